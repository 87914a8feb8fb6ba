"""The argument that names one job."""

import re
import shlex
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from difflib import get_close_matches

from trunkwatch.domain.job import JobState
from trunkwatch.engine.snapshot import Snapshot, TrunkState
from trunkwatch.errors import UsageError

LISTED = 10
"""Names that an error lists at most."""

SIMILARITY = 0.5
"""The least similarity of a suggested name, as `difflib` measures it."""

SIMILARITY_OF_PART = 0.75
"""That of a part of a name: short texts are alike by chance."""

_PART = re.compile(r"[^\W_]+")

Found = tuple[JobState, TrunkState]


def find_job(snapshot: Snapshot, wanted: str, lists_all: str) -> Found:
    """Return the only job of a name.

    A whole name is preferred to a part of one, and equal letters to those of another case.

    Args:
        snapshot: the jobs.
        wanted: a job's name, or "workflow / name", or "repo branch: workflow / name", or a part.
        lists_all: the command that lists the jobs.

    Raises:
        UsageError: no job or several jobs have the name.
    """
    jobs = [(job, trunk) for trunk in snapshot.trunks for job in trunk.jobs]
    found = _first_matches(jobs, wanted)
    if len(found) == 1:
        return found[0]
    if not found:
        raise UsageError("\n".join(_unknown(snapshot, jobs, wanted, lists_all)))
    named = "; ".join(shlex.quote(_names(job)[-1]) for job, _ in found[:LISTED])
    raise UsageError(f"{wanted!r} is {len(found)} jobs, give one of them in full: {named}")


def _first_matches(jobs: Iterable[Found], wanted: str) -> list[Found]:
    """Return the jobs of the first way to compare names by which there are any."""
    folded = wanted.casefold()
    ways: tuple[Callable[[JobState], bool], ...] = (
        lambda job: wanted in _names(job),
        lambda job: folded in map(str.casefold, _names(job)),
        lambda job: wanted in _names(job)[-1],
        lambda job: folded in _names(job)[-1].casefold(),
    )
    for way in ways:
        found = [item for item in jobs if way(item[0])]
        if found:
            return found
    return []


def _unknown(
    snapshot: Snapshot, jobs: Iterable[Found], wanted: str, lists_all: str
) -> Iterable[str]:
    """Yield the lines of the error that no job has a name."""
    names = _nearest(wanted.casefold(), [job for job, _ in jobs])
    if names:
        yield f"no job is called {wanted!r}; the nearest names: {'; '.join(map(repr, names))}"
    else:
        yield f"no job is called {wanted!r}; to list the jobs: {lists_all}"
    failed = [source for source in snapshot.sources if not source.up]
    if failed:
        sources = ", ".join(source.name for source in failed)
        yield f"it may be missing because a source could not be read (see above): {sources}"


def _nearest(wanted: str, jobs: Sequence[JobState]) -> list[str]:
    """Return the names that are like a text, or have a part that is."""
    whole, parts = defaultdict(list), defaultdict(list)
    for job in jobs:
        for name in _names(job)[:2]:
            whole[name.casefold()].append(job.key.display_name)
        for part in _PART.findall(job.key.display_name.casefold()):
            parts[part].append(job.key.display_name)
    near = get_close_matches(wanted, whole, LISTED, SIMILARITY)
    found = [name for each in near for name in whole[each]]
    if not found:
        near = get_close_matches(wanted, parts, LISTED, SIMILARITY_OF_PART)
        found = [name for each in near for name in parts[each]]
    return list(dict.fromkeys(found))[:LISTED]


def _names(job: JobState) -> tuple[str, str, str]:
    """Return the names that a job can be given by; only the last one is always unique."""
    return job.key.job_name, job.key.display_name, job.key.full_name
