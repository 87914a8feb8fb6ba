"""The outages of one job, as its page lists them."""

from collections.abc import Sequence
from typing import NamedTuple

from trunkwatch.addresses import outage_path
from trunkwatch.domain.job import JobState
from trunkwatch.domain.model import Commit, TrunkOrder, Verdict
from trunkwatch.domain.outage import episodes
from trunkwatch.html.details import Detail


class Outage(NamedTuple):
    """A row of a job's list of outages.

    Attributes:
        first_bad: its first failing commit.
        last_good: the commit of the pass before it.
        closed_by: the commit that closed it; None while it is open.
        failures: number of FAILs.
        suspects: commits after last good up to and including first bad; None where unknown.
        path: of its page.
        is_chosen: whether this page is about it.
    """

    first_bad: Commit
    last_good: Commit | None
    closed_by: Commit | None
    failures: int
    suspects: Sequence[Commit] | None
    path: str
    is_chosen: bool


def outages_of(job: JobState, order: TrunkOrder, chosen: str | None) -> list[Outage]:
    """Return the outages of a job's history, newest first.

    Args:
        job: the job.
        order: its trunk.
        chosen: the first bad commit of the outage that a page is about.
    """
    verdicts, indexes = job.verdicts, job.commit_indexes
    found = []
    for episode in episodes(verdicts, job.group.thresholds_of(job.key.job_name)):
        bad, good = indexes[episode.first_bad], None
        if episode.last_good is not None:
            good = indexes[episode.last_good]
        end = len(verdicts) if episode.closed is None else episode.closed
        first_bad = order.commits[bad]
        found.append(
            Outage(
                first_bad=first_bad,
                last_good=None if good is None else order.commits[good],
                closed_by=None if episode.closed is None else order.commits[indexes[end]],
                failures=verdicts[episode.first_bad : end].count(Verdict.FAIL),
                suspects=None if good is None else order.commits[good + 1 : bad + 1],
                path=outage_path(job.key, first_bad.sha),
                is_chosen=first_bad.sha == chosen,
            )
        )
    return found[::-1]


def detail_at(found: Sequence[Detail], outage: Outage | None) -> Detail | None:
    """Return the attempts at the first bad commit of an outage, if they were read."""
    wanted = outage.first_bad if outage is not None else None
    return next((detail for detail in found if detail.commit == wanted), None)


def newest_shas(job: JobState, order: TrunkOrder, number: int) -> list[str]:
    """Return the newest commits at which a job has results, at most `number`."""
    newest = job.history.newest(number)
    return sorted({order.commits[place.commit_index].sha for place in newest})
