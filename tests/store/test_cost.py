"""The cost of reading and writing does not grow with the stored rows, counted in SQLite's steps."""

from collections.abc import Callable
from functools import partial
from pathlib import Path

from trunkwatch.domain.model import TrunkOrder
from trunkwatch.store import SqliteStore

from tests.support.rows import NOW, TRUNK, named, order, pending, run, sha

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
    assert max(steps) <= 1.05 * min(steps)


def test_rows_that_stay_unfinished_cost_nothing() -> None:
    """A refresh costs the same beside any number of rows that never end."""
    steps = []
    for count in (10, 1000):
        store = store_of(2, 2)
        store.apply("ci", [pending(0, run_id=number) for number in range(count)], NOW)
        steps.append(steps_of(store, partial(store.apply, "ci", [run(1, run_id="new")], NOW)))
    assert steps[1] <= 1.05 * steps[0]


def test_a_new_row_costs_the_same_at_any_history() -> None:
    """The steps of a refresh of one row depend neither on stored commits nor on stored jobs."""
    stores = [store_of(commits, jobs) for commits in (2, 60) for jobs in (2, 60)]
    steps = [
        steps_of(store, partial(store.apply, "ci", [run(1, job=JOBS[0], run_id="new")], NOW))
        for store in stores
    ]
    assert max(steps) <= 1.05 * min(steps)


def test_a_batch_is_written_to_few_pages(tmp_path: Path) -> None:
    """The rows of 450 jobs at a new commit cost less than 1 kB of writes each."""
    store = SqliteStore(str(tmp_path / "results.db"))
    jobs = [named(f"{number}") for number in range(450)]
    written = []
    for place in range(12):
        rows = [run(place, job=job, job_id=number) for number, job in enumerate(jobs)]
        store.apply("ci", rows, NOW)
        written.append(Path(f"{tmp_path}/results.db-wal").stat().st_size)
        store._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    assert sum(written[4:]) / (8 * 450) < 1000
    store.close()
