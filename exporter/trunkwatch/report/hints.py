"""Hints at the cause of a failure, in words."""

from collections.abc import Iterator

from trunkwatch.domain.blame import Blame
from trunkwatch.times import format_time


def hints(blame: Blame) -> Iterator[str]:
    """Yield the hints of an outage or a streak, each in a few words."""
    if blame.confirmed:
        yield "confirmed: first bad failed in more than one attempt"
    if blame.same_step:
        yield f"every failure is at the step {blame.same_step!r}"
    if blame.infra:
        yield "it looks like a fault of the infrastructure"
    if blame.suspects is not None and blame.tested is not None:
        untested = len(blame.suspects) - blame.tested
        if untested:
            yield f"{blame.tested} of {len(blame.suspects)} suspects tested"
        elif not blame.suspects:
            yield "first bad and last good are one commit: something outside the repository changed"


def exemption(reason: str, until: float | None) -> str:
    """Return why a job does not alert, and until when."""
    end = f" until {format_time(until)}" if until is not None else ""
    return f"Known broken{end}: {reason}"
