"""The row cache returns the stored rows."""

from hypothesis import given
from hypothesis import strategies as st
from trunkwatch.domain.model import Observation, RawJob
from trunkwatch.engine import row_cache
from trunkwatch.engine.row_cache import RowCache

from tests.domain.builders import MemoryRows, row
from tests.domain.scripts import batches, bounded
from tests.vectors.notation import WORKFLOW, sha_of

JOBS = {row(0, f"job-{number}").job for number in range(2)}


@bounded
@given(st.lists(batches(12), min_size=1, max_size=6), st.sampled_from((0, 5, 1000)))
def test_cached_rows_are_the_stored_ones(reports: list[list[Observation]], limit: int) -> None:
    """With any limit, the rows of a workflow at a commit are the stored ones."""
    stored = MemoryRows()
    recent = RowCache(stored, limit)
    every: set[RawJob] = set()
    for batch in reports:
        changed = {
            ((sha, raw.workflow_key), raw)
            for raw, shas in stored.add(batch).items()
            for sha in shas
        }
        every |= {raw for _, raw in changed}
        places = {place for place, _ in changed}
        for sha, workflow in places:
            touched = {raw for place, raw in changed if place == (sha, workflow)}
            own = [raw for raw in every if raw.workflow_key == workflow]
            found = recent.read(sha, workflow, touched, own)
            held = {row for jobs in found.values() for row in jobs}
            assert held == set(stored.of_jobs(own, [sha]))
            assert all(row.job == raw for raw, jobs in found.items() for row in jobs)
        recent.evict(places)


def read_each(recent: RowCache, *places: int) -> None:
    for place in places:
        recent.read(sha_of(place), WORKFLOW, {row(place, "job-0").job}, JOBS)
        recent.evict({(sha_of(place), WORKFLOW)})


def cached(recent: RowCache) -> set[str]:
    return {sha for sha, _ in recent.cached}


def test_the_least_recently_read_rows_are_evicted() -> None:
    """Over the limit the rows that were read longest ago go, and the latest stay."""
    stored = MemoryRows(row(place, f"job-{n}") for place in range(3) for n in range(2))
    recent = RowCache(stored, 4)
    read_each(recent, 0, 1, 0, 2)
    assert cached(recent) == {sha_of(0), sha_of(2)}
    none = RowCache(stored, 0)
    read_each(none, 0)
    assert cached(none) == {sha_of(0)}


def test_a_job_that_is_read_again_is_counted_once() -> None:
    """A commit counts with its current rows, however often a job of it is read again."""
    stored = MemoryRows(row(place, f"job-{n}") for place in range(2) for n in range(2))
    recent = RowCache(stored, limit=4)
    read_each(recent, 0, 1, 1, 1, 1)
    assert cached(recent) == {sha_of(0), sha_of(1)}


def test_the_default_limit_is_bounded() -> None:
    """The default limit is some ten thousand rows."""
    assert 10_000 <= row_cache.CACHED_ROWS_LIMIT <= 50_000
