"""Writes the tables of docs/sources.md and docs/scale.md from the sources' declarations.

`tools.docs` runs it.
"""

from collections.abc import Iterable
from typing import get_args

from trunkwatch.config.sources import SourceConfig
from trunkwatch.sources import SOURCES, Traits

from tools.generated import with_generated

MAKER = "exporter/trunkwatch/sources"

TRUNKS = (1, 10, 100, 1_000)
"""Numbers of trunks for which the cost is shown."""

SCALE_TRUNKS = 10_000
"""The trunks of the example of docs/scale.md."""

SCALE_INTERVAL_SECONDS = 600.0
"""The longer interval of that example."""

QUOTA_OR_FILE = ("github", "recorded")
"""The kinds of sources that the example treats by themselves, or that send no requests."""


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
    lines = [*_answers(), "", "### Requests an hour", "", *_costs()]
    return with_generated(text, MAKER, "\n".join(lines))


def render_scale(text: str) -> str:
    """Return docs/scale.md with its generated part replaced."""
    return with_generated(text, MAKER, "\n".join(_many_trunks()))


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


def _many_trunks() -> Iterable[str]:
    intervals = poll_intervals()
    heads = f"CI, {SCALE_TRUNKS:,} trunks", "at the default interval"
    yield from _head((*heads, f"every {SCALE_INTERVAL_SECONDS / 60:.0f} minutes"))
    for kind, (_, traits) in SOURCES.items():
        if kind not in QUOTA_OR_FILE:
            hours = [
                traits.requests_an_hour(SCALE_TRUNKS, seconds)
                for seconds in (intervals[kind], SCALE_INTERVAL_SECONDS)
            ]
            link = f"[{traits.title}]({traits.document})"
            yield _line(link, *(_rate(requests) for requests in hours))


def _rate(requests: int) -> str:
    """Return requests an hour, with those of a second where there are any."""
    each = round(requests / 3600)
    return f"{requests:,}: {each} a second" if each else f"{requests:,}"


def _head(names: Iterable[str]) -> Iterable[str]:
    line = _line(*names)
    yield line
    yield "|" + "---|" * (line.count("|") - 1)


def _line(*cells: str) -> str:
    return f"| {' | '.join(cells)} |"
