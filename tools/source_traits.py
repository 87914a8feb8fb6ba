"""Writes the tables of docs/sources.md from the sources' declarations; `tools.docs` runs it."""

from collections.abc import Iterable
from typing import get_args

from trunkwatch.config.schema import SourceConfig
from trunkwatch.sources import SOURCES, Traits

BEGIN = "<!-- generated from exporter/trunkwatch/sources by `make docs`: begin -->"
END = "<!-- generated: end -->"

TRUNKS = (1, 10, 100, 1_000)
"""Numbers of trunks for which the cost is shown."""


def poll_intervals() -> dict[str, float]:
    """Return the default interval of each kind of source (seconds)."""
    sections = get_args(get_args(SourceConfig)[0])
    return {
        get_args(each.model_fields["type"].annotation)[0]: each.model_fields[
            "poll_interval"
        ].default
        for each in sections
    }


def render_sources(text: str) -> str:
    """Return the document with its generated part replaced."""
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    parts = [BEGIN, "", *_answers(), "", "### Requests an hour", "", *_costs(), "", END]
    return before + "\n".join(parts) + after


def _answers() -> Iterable[str]:
    heads = ("CI", "attempts", "failed step", "allowed to fail", "order of commits", "webhooks")
    yield from _head(heads)
    for kind, (_, traits) in SOURCES.items():
        link = f"[{traits.title}]({traits.document}), `type: {kind}`"
        events = ", ".join(f"`{event}`" for event in traits.webhooks) or "none"
        cells = (traits.attempts, traits.failed_step, traits.may_fail, traits.order, events)
        yield _line(link, *cells)


def _costs() -> Iterable[str]:
    intervals = poll_intervals()
    numbers = (f"{number:,} trunk{'s' * (number > 1)}" for number in TRUNKS)
    yield from _head(("CI", "interval", *numbers))
    for kind, (_, traits) in SOURCES.items():
        yield _line(traits.title, f"{intervals[kind]:g} s", *_cost(traits, intervals[kind]))


def _cost(traits: Traits, interval: float) -> Iterable[str]:
    return (f"{traits.requests_an_hour(number, interval):,}" for number in TRUNKS)


def _head(names: Iterable[str]) -> Iterable[str]:
    line = _line(*names)
    yield line
    yield "|" + "---|" * (line.count("|") - 1)


def _line(*cells: str) -> str:
    return f"| {' | '.join(cells)} |"
