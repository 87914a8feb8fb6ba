"""The row cache returns the stored rows."""

from collections.abc import Mapping

from hypothesis import given
from hypothesis import strategies as st
from trunkwatch.domain.model import Observation
from trunkwatch.engine import row_cache
from trunkwatch.engine.row_cache import RowCache, RowsOfCommit

from tests.domain.builders import MemoryRows, row
from tests.domain.scripts import batches, bounded
from tests.vectors.notation import sha_of


def held(found: Mapping[str, RowsOfCommit]) -> dict[str, set[Observation]]:
    return {
        sha: {row for jobs in commit.values() for rows in jobs.values() for row in rows}
        for sha, commit in found.items()
    }


@bounded
@given(
    st.lists(batches(12), min_size=1, max_size=6),
    st.sampled_from((0, 5, 1000)),
    st.sampled_from((0, 1, 100)),
)
def test_cached_rows_are_the_stored_ones(
    reports: list[list[Observation]], limit: int, history: int
) -> None:
    """With any limit and any way of reading, a commit's rows are the stored ones."""
    stored = MemoryRows()
    recent = RowCache(stored, limit, history)
    for batch in reports:
        touched = stored.add(batch)
        shas = {sha for commits in touched.values() for sha in commits}
        found = held(recent.read(touched, shas))
        assert found == {sha: set(stored.of_commits({sha})) for sha in shas}


def test_rows_are_under_their_workflow_and_job() -> None:
    """A commit's rows are returned by workflow identity and raw job."""
    one, other = row(0, "a", workflow="w"), row(0, "a", workflow="w", path="w.yml")
    found = RowCache(MemoryRows([one, other])).read({}, {sha_of(0)})
    assert found == {sha_of(0): {"w": {one.job: [one]}, "w.yml": {other.job: [other]}}}


def test_the_least_recently_used_commit_is_evicted() -> None:
    """Over the limit the least recently used commit is evicted, and the latest stays."""
    stored = MemoryRows(row(place, f"job-{n}") for place in range(3) for n in range(2))
    recent = RowCache(stored, 4)
    for place in (0, 1, 0, 2):
        recent.read({}, {sha_of(place)})
    assert recent.cached_commits == {sha_of(0), sha_of(2)}
    RowCache(stored, 0).read({}, {sha_of(0)})


def test_a_job_that_is_read_again_is_counted_once() -> None:
    """A commit counts with its current rows, however often a job of it is read again."""
    stored = MemoryRows(row(place, f"job-{n}") for place in range(2) for n in range(2))
    recent = RowCache(stored, limit=4, rows_per_job=0)
    for place in (0, 1, 1, 1, 1):
        recent.read({row(place, "job-0").job: {sha_of(place)}}, {sha_of(place)})
    assert recent.cached_commits == {sha_of(0), sha_of(1)}


def test_the_default_limit_is_bounded() -> None:
    """The default limit is some ten thousand rows."""
    assert 10_000 <= row_cache.CACHED_ROWS_LIMIT <= 50_000
