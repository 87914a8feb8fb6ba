"""How a trunk, a job, a source and their data are, in a few words with a colour."""

from collections.abc import Sequence
from typing import NamedTuple

from trunkwatch.domain.job import JobState
from trunkwatch.engine.snapshot import (
    Data,
    Snapshot,
    SourceStatus,
    TrunkState,
    data_of,
    is_stale,
)
from trunkwatch.report.notes import is_reliable
from trunkwatch.report.words import ago, commits, counted, failures_phrase

BAD, ODD, GOOD = "bad", "odd", "good"
"""Levels: broken, unknown, well. Nothing that rests on old data is well."""


class Standing(NamedTuple):
    """A state in words.

    Attributes:
        level: `BAD`, `ODD` or `GOOD`; the class of an element.
        words: a phrase.
    """

    level: str
    words: str


def jobs_are(number: int, state: str) -> str:
    """Return a number of jobs with a verb, such as "1 job is broken"."""
    return f"{counted(number, 'job')} {'is' if number == 1 else 'are'} {state}"


def trunk_standing(state: TrunkState, now: float) -> Standing:
    """Return how a trunk is.

    Args:
        state: of the trunk.
        now: seconds since the epoch.
    """
    alerting = sum(job.failing for job in state.jobs)
    exempt = sum(job.broken for job in state.jobs) - alerting
    if not alerting and not state.mass_breakage:
        return _without_alerts(exempt, reliable=is_reliable(state, now))
    cause = "One commit broke most of the jobs: " if state.mass_breakage else ""
    also = f", {exempt:,} more {'is' if exempt == 1 else 'are'} known broken" if exempt else ""
    return Standing(BAD, f"{cause}{jobs_are(alerting, 'broken')}{also}")


def _without_alerts(exempt: int, *, reliable: bool) -> Standing:
    """Return how jobs are of which none counts as broken.

    Args:
        exempt: number of known-broken jobs that are broken.
        reliable: whether the data can be relied on.
    """
    if not reliable:
        return Standing(ODD, "Whether a job is broken is unknown")
    if exempt:
        return Standing(ODD, f"{jobs_are(exempt, 'known broken')}, no other job is broken")
    return Standing(GOOD, "Nothing is broken")


def freshness(state: TrunkState, now: float) -> Standing:
    """Return how old a trunk's data is, and whether it is doubtful.

    Args:
        state: of the trunk.
        now: seconds since the epoch.
    """
    if state.data_at is None:
        return Standing(ODD, "never read")
    age = f"data read {ago(state.data_at, now)}"
    data = data_of(state, now)
    if data is Data.DOUBTFUL:
        return Standing(ODD, f"doubtful: the newest {commits(state.missing)} lack results, {age}")
    if data is Data.STALE:
        return Standing(ODD, f"stale: {age}")
    return Standing(GOOD if state.up else ODD, age if state.up else f"not read: {age}")


def headline(snapshot: Snapshot, now: float) -> Standing:
    """Return how all trunks are together.

    Args:
        snapshot: the state.
        now: seconds since the epoch.
    """
    standings = [trunk_standing(state, now) for state in snapshot.trunks]
    broken = sum(job.failing for state in snapshot.trunks for job in state.jobs)
    trunks = sum(standing.level == BAD for standing in standings)
    where = f" on {counted(trunks, 'trunk')}" if len(standings) > 1 else ""
    unknown = sum(not is_reliable(state, now) for state in snapshot.trunks)
    doubt = f"; {_unreliable(unknown, len(standings))}" if unknown else ""
    if trunks:
        return Standing(BAD, f"{jobs_are(broken, 'broken')}{where}{doubt}")
    if not standings:
        return Standing(ODD, "Nothing has been read yet")
    exempt = sum(job.broken for state in snapshot.trunks for job in state.jobs)
    level, words = _without_alerts(exempt, reliable=not unknown)
    return Standing(level, f"{words}{doubt}")


def _unreliable(unknown: int, every: int) -> str:
    if every == 1:
        return "its data cannot be relied on"
    return f"the data of {counted(unknown, 'trunk')} cannot be relied on"


def job_standing(job: JobState, *, reliable: bool) -> Standing:
    """Return how a job is.

    Args:
        job: its state.
        reliable: whether the data of its trunk can be relied on.
    """
    if job.broken:
        known = "Known broken" if job.known_broken else "Broken"
        return Standing(ODD if job.known_broken else BAD, f"{known}: {failures_phrase(job)}")
    if job.consecutive_failures:
        return Standing(ODD, f"Failing, not broken yet: {failures_phrase(job)}")
    if not reliable:
        return Standing(ODD, "Not broken when it was read last")
    if job.last_verdict is None:
        return Standing(ODD, "No result yet")
    return Standing(GOOD, "Not broken")


def source_standing(source: SourceStatus, now: float) -> Standing:
    """Return how a source is.

    Args:
        source: its state.
        now: seconds since the epoch.
    """
    if not source.answered:
        return Standing(ODD, "being read for the first time")
    if not source.up:
        return Standing(BAD, "failing")
    return Standing(ODD, "stale") if is_stale(source, now) else Standing(GOOD, "up")


def worst_trunks_first(
    trunks: Sequence[TrunkState], now: float
) -> list[tuple[TrunkState, Standing]]:
    """Return trunks with their standing: broken ones by priority and number, then unknown ones.

    Args:
        trunks: in any order.
        now: seconds since the epoch.
    """

    def badness(pair: tuple[TrunkState, Standing]) -> tuple[int, str, int]:
        state, standing = pair
        alerting = [job for job in state.jobs if job.failing]
        worst = min((job.group.priority for job in alerting), default="")
        return (BAD, ODD, GOOD).index(standing.level), worst, -len(alerting)

    return sorted(((state, trunk_standing(state, now)) for state in trunks), key=badness)
