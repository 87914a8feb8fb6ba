"""Reads expositions back, with prometheus_client's own parsers."""

from collections.abc import Iterable, Mapping

from prometheus_client.core import Metric
from prometheus_client.openmetrics.parser import text_string_to_metric_families as openmetrics
from prometheus_client.parser import text_string_to_metric_families as plain
from prometheus_client.samples import Sample

__all__ = ["openmetrics", "plain", "samples_of", "value_of"]


def samples_of(families: Iterable[Metric]) -> dict[str, list[Sample]]:
    """Return all samples by their name; a family without samples is there too."""
    found: dict[str, list[Sample]] = {}
    for family in families:
        name = f"{family.name}_total" if family.type == "counter" else family.name
        found.setdefault(name, []).extend(s for s in family.samples if s.name == name)
    return found


def value_of(samples: Iterable[Sample], **labels: str) -> float:
    """Return the value of the one sample that has these labels."""
    (value,) = [sample.value for sample in samples if has(sample.labels, labels)]
    return value


def has(labels: Mapping[str, str], wanted: Mapping[str, str]) -> bool:
    """Whether all wanted labels are there, with these values."""
    return wanted.items() <= labels.items()
