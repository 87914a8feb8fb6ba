"""The cost of reading and writing does not grow with the stored rows, counted in SQLite's steps."""

from collections.abc import Callable
from functools import partial

from trunkwatch.domain.model import TrunkOrder
from trunkwatch.store import SqliteStore

from tests.support.rows import NOW, TRUNK, named, order, run, sha

JOBS = [named("a"), named("b")]


def steps_of(store: SqliteStore, call: Callable[[], object]) -> int:
    """Return how many instructions SQLite executes during a call."""
    count = 0

    def step() -> int:
        nonlocal count
        count += 1
        return 0

    store._connection.set_progress_handler(step, 1)
    call()
    store._connection.set_progress_handler(None, 0)
    return count


def store_of(commits: int, jobs: int) -> SqliteStore:
    """Return a store with a result of each job at each commit."""
    store = SqliteStore()
    trunk: TrunkOrder = order(commits)
    rows = [run(place, job=named(f"{job}")) for place in range(commits) for job in range(jobs)]
    store.apply("ci", [trunk, *rows, *(run(at, job=job) for at in (0, 1) for job in JOBS)], NOW)
    return store


def read_pairs(store: SqliteStore) -> None:
    assert len(list(store.observations(TRUNK, JOBS, [sha(1), sha(0)]))) == 4


def test_pairs_of_job_and_commit_are_looked_up() -> None:
    """Rows of some jobs at some commits cost the same at any history and number of jobs."""
    stores = [store_of(commits, jobs) for commits in (2, 60) for jobs in (2, 60)]
    steps = [steps_of(store, partial(read_pairs, store)) for store in stores]
    assert max(steps) == min(steps)
