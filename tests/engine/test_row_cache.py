"""Rows at hand are the stored rows."""

from collections.abc import Mapping

from hypothesis import given
from hypothesis import strategies as st
from trunkwatch.domain.model import Observation
from trunkwatch.engine import row_cache
from trunkwatch.engine.row_cache import RowCache, RowsOfCommit

from tests.domain.builders import Ledger, row
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
def test_rows_at_hand_are_the_stored_ones(
    reports: list[list[Observation]], limit: int, history: int
) -> None:
    """However much is kept, and however it is read, a commit's rows are those that are stored."""
    ledger = Ledger()
    recent = RowCache(ledger, limit, history)
    for batch in reports:
        touched = ledger.take(batch)
        shas = {sha for commits in touched.values() for sha in commits}
        found = held(recent.read(touched, shas))
        assert found == {sha: set(ledger.of_commits({sha})) for sha in shas}


def test_rows_are_under_their_workflow_and_job() -> None:
    """A commit's rows are found by workflow identity and raw job."""
    one, other = row(0, "a", workflow="w"), row(0, "a", workflow="w", path="w.yml")
    found = RowCache(Ledger([one, other])).read({}, {sha_of(0)})
    assert found == {sha_of(0): {"w": {one.job: [one]}, "w.yml": {other.job: [other]}}}


def test_what_was_used_last_is_kept() -> None:
    """Over the limit, the commit that was not used for longest is let go; the newest stays."""
    ledger = Ledger(row(place, f"job-{n}") for place in range(3) for n in range(2))
    recent = RowCache(ledger, 4)
    for place in (0, 1, 0, 2):
        recent.read({}, {sha_of(place)})
    assert recent.at_hand == {sha_of(0), sha_of(2)}
    RowCache(ledger, 0).read({}, {sha_of(0)})


def test_a_job_that_is_read_again_takes_no_more_room() -> None:
    """However often one job changes, its commit counts with the rows that it has."""
    ledger = Ledger(row(place, f"job-{n}") for place in range(2) for n in range(2))
    recent = RowCache(ledger, limit=4, history=0)
    for place in (0, 1, 1, 1, 1):
        recent.read({row(place, "job-0").job: {sha_of(place)}}, {sha_of(place)})
    assert recent.at_hand == {sha_of(0), sha_of(1)}


def test_the_memory_is_bounded() -> None:
    """The product keeps some ten thousand rows, not all."""
    assert 10_000 <= row_cache.ROW_CACHE_LIMIT <= 50_000
