"""The reader of one trunk: its order, its new tasks and runs, and the jobs of these runs."""

from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import TypeVar

from trunkwatch.domain.evidence import PENDING_LIMIT
from trunkwatch.domain.model import Trunk, TrunkOrder
from trunkwatch.errors import BadAnswerError, NotFoundError, SourceError
from trunkwatch.rest.client import FATAL_ERRORS
from trunkwatch.rest.lists import LIST_TRIES, Page, page_numbers
from trunkwatch.sources.commits import (
    ListedCommit,
    UnreadableOrderError,
    cold_begin,
    first_parents,
)
from trunkwatch.sources.gitea.api import GiteaApi
from trunkwatch.sources.gitea.position import Position, RunState
from trunkwatch.sources.gitea.rows import COMPLETED, Job, Run, Task
from trunkwatch.sources.gitea.run_rows import RunRows
from trunkwatch.sources.projects_source import UNREADABLE_JOB_TIMEOUT_SECONDS, TrunkRead

MAX_RUNS = 50
"""Runs of a trunk whose jobs one refresh reads; the next refresh follows at once and reads others.
"""

Row = TypeVar("Row", Task, Run)


class IdsWentBackError(Exception):
    """The newest row is older than one that was read: rows were deleted, or the server is new."""


@dataclass(frozen=True, slots=True)
class Reading:
    """What one refresh of one trunk reads.

    Attributes:
        api: of the server.
        repo: the repository as the server names it.
        trunk: the trunk.
        events: which events' runs count.
        window: commits that a cold start reads.
        gives_order: whether the source orders the trunk.
        now: seconds since the epoch.
    """

    api: GiteaApi
    repo: str
    trunk: Trunk
    events: frozenset[str]
    window: int
    gives_order: bool
    now: float


class TrunkReader:
    """A reader of one trunk, for one refresh."""

    def __init__(self, reading: Reading, position: Position) -> None:
        """Args:
        reading: the trunk, and how it is read.
        position: the position in the trunk; `read` advances it.
        """
        self._reading = reading
        self._position = position
        self._result = TrunkRead()
        self._has_unreadable = False

    def read(self) -> TrunkRead:
        """Read the order, and new or unfinished runs.

        Raises:
            SourceError: one of the lists cannot be read.
        """
        try:
            return self._read()
        except IdsWentBackError:
            self._position, self._result = Position(self._position.scope), TrunkRead()
            return self._read()

    def _read(self) -> TrunkRead:
        result, position = self._result, self._position
        begin = cold_begin(self._read_order(), self._reading.now)
        if self._read_tasks(begin):
            self._read_runs(begin)
            due = [run for run in sorted(position.runs.items()) if run[1].due or run[1].open]
            # Those that are open are read at each refresh, else they would keep others waiting.
            known = [number for number, run in due if run.is_reported]
            unread = [*known, *(number for number, run in due if not run.is_reported)]
            for number in unread[: len(known) + MAX_RUNS]:
                if not self._read_run(number):
                    break
                unread = unread[1:]
            result.unread = len(unread)
        if not self._has_unreadable:
            position.unreadable_since = None
        result.facts.append(position.entry(self._reading.trunk))
        return result

    # ------------------------------------------------------------------ order

    def _read_order(self) -> TrunkOrder | None:
        """Return the order; a cold start reads it in any case, for its dates."""
        if not self._reading.gives_order and self._position.task:
            return None
        try:
            order = self._order()
        except UnreadableOrderError as error:
            self._result.error = error
            return None
        if self._reading.gives_order:
            self._result.facts.append(order)
        return order

    def _order(self) -> TrunkOrder:
        """Return the first-parent chain, as far as the window or the commit that was read last.

        Gitea lists all parents by date: where the chain leaves a list, another one begins with the
        missing commit. So neither a push nor a wrong date can put a commit into the chain.
        """
        trunk, known, size = self._reading.trunk, self._position.tip, self._reading.window
        chain = self._chain(trunk.branch)
        while chain and len(chain) < size and chain[-1].parents:
            if any(each.commit.sha == known for each in chain):
                break
            chain += self._chain(chain[-1].parents[0])
        chain = chain[:size]
        self._position.tip = chain[0].commit.sha if chain else ""
        commits = tuple(each.commit for each in reversed(chain))
        return TrunkOrder(trunk, commits, bool(chain and chain[-1].parents))

    def _chain(self, start: str) -> list[ListedCommit]:
        """Return the chain from a branch or a commit on, as far as one page has it."""
        page = self._reading.api.commits(self._reading.repo, start)
        tip = next((each.commit.sha for each in page.rows), "")
        if page.dropped or (start != self._reading.trunk.branch and tip != start):
            raise UnreadableOrderError(
                f"{self._reading.trunk}: the list of commits from {start} has unreadable rows; the"
                " order stays"
            )
        return list(first_parents({each.commit.sha: each for each in page.rows}, tip))

    # ------------------------------------------------------------------ lists, newest first

    def _newest(
        self, fetch: Callable[[int], Page[Row]], newest: int, oldest: int, begin: float
    ) -> tuple[dict[int, Row], int]:
        """Return the rows down to one that was read, by id, and the number of unreadable ones.

        New rows shift the others to later pages, where they are seen twice; only a deleted row
        could hide another, and makes the total smaller.

        Args:
            fetch: returns a page by its number.
            newest: the greatest id that was read; 0 to read down to a time instead.
            oldest: the id to read down to.
            begin: that time (seconds since the epoch).

        Raises:
            IdsWentBackError: the list ends before `newest`.
        """
        for _ in range(LIST_TRIES):
            found: dict[int, Row] = {}
            seen = dropped = total = 0
            for number in page_numbers(
                str(self._reading.trunk), self._reading.api.client.max_list_pages
            ):
                page = fetch(number)
                size = len(page.rows) + page.dropped
                if (page.total or 0) < total:
                    break
                total, seen, dropped = page.total or 0, seen + size, dropped + page.dropped
                found.update((row.id, row) for row in page.rows)
                if number == 1 and not page.dropped and max(found, default=0) < newest:
                    raise IdsWentBackError
                is_known = any(row.id <= oldest for row in page.rows)
                # A run that was skipped or cancelled as it waited never began.
                is_old = 0 < max((row.begun for row in page.rows), default=0) < begin
                if size == 0 or 0 < total <= seen or (is_known if newest else is_old):
                    return found, dropped
        raise BadAnswerError(
            f"{self._reading.trunk}: rows were deleted each of the {LIST_TRIES} times that the list"
            " was read; it is read again at the next refresh"
        )

    def _counts(self, row: Task | Run) -> bool:
        """Return whether a row is of the trunk: a server ignores a filter that it does not know."""
        return row.branch == self._reading.trunk.branch and row.event in self._reading.events

    def _read_tasks(self, begin: float) -> bool:
        """Record the new tasks; return False while they wait for one that cannot be read."""
        position, now, reading = self._position, self._reading.now, self._reading
        oldest = min(position.unended, default=position.task)
        found, dropped = self._newest(
            lambda number: reading.api.tasks(reading.repo, number), position.task, oldest, begin
        )
        if dropped and self._waits("a task"):
            return False
        for task in sorted(found.values(), key=lambda task: task.id):
            if self._counts(task) and self._is_news(task):
                self._add(task)
        first_seen = {task.id: position.unended.get(task.id, now) for task in found.values()}
        position.unended = {
            task.id: first_seen[task.id]
            for task in found.values()
            if not task.ended and self._counts(task) and now - first_seen[task.id] <= PENDING_LIMIT
        }
        position.task = max([position.task, *found])
        return True

    def _is_news(self, task: Task) -> bool:
        """Return whether a task may have changed since it was read, or was not read.

        One of a transaction that took longer than others is seen after tasks with greater ids.
        """
        position = self._position
        if task.id > position.task or task.id in position.unended:
            return True
        run = position.runs.get(task.run)
        return run is not None and task.id not in run.tasks.get(task.name, ())

    def _waits(self, what: str) -> bool:
        """Return whether newer results still wait for an unreadable row, a pass perhaps."""
        self._has_unreadable, now = True, self._reading.now
        since = self._position.unreadable_since
        self._position.unreadable_since = since = now if since is None else min(since, now)
        if now - since >= UNREADABLE_JOB_TIMEOUT_SECONDS:
            return False
        self._result.error = BadAnswerError(
            f"{self._reading.trunk}: {what} cannot be read; newer results wait for half an hour"
        )
        return True

    def _run(self, number: int, row: Task | Run) -> RunState:
        new = RunState(self._reading.now, row.workflow, row.event)
        return self._position.runs.setdefault(number, new)

    def _add(self, task: Task) -> None:
        run = self._run(task.run, task)
        if not (run.open or run.due):
            run.since = self._reading.now
        ids = run.tasks.setdefault(task.name, [])
        if task.id not in ids:
            ids.append(task.id)
            if task.name in run.waiting:
                run.waiting.remove(task.name)  # This is the attempt that it waited for.
        run.due[task.id] = task
        # The list of runs may show the event by which a schedule was registered instead.
        run.event = task.event

    def _read_runs(self, begin: float) -> None:
        """Record the new runs, whose jobs may have no task."""
        reading, position = self._reading, self._position
        if reading.api.has_jobs is False:
            return
        branch = reading.trunk.branch
        try:
            found, _ = self._newest(
                lambda number: reading.api.runs(reading.repo, branch, number),
                position.run,
                position.run,
                begin,
            )
        except NotFoundError as error:
            if reading.api.has_jobs or error.is_refused:
                raise  # the repository is gone, or a right is, since its tasks were read
            reading.api.has_jobs = False
            return
        for run in found.values():
            known = position.runs.get(run.number)
            is_new = run.id > position.run or (known is not None and known.id is None)
            if self._counts(run) and is_new:
                state = self._run(run.number, run)
                state.id, state.open = run.id, True
        position.run = max([position.run, *found])

    # ------------------------------------------------------------------ one run

    def _read_run(self, number: int) -> bool:
        """Report one run; return False if no further one may be read in this refresh."""
        run, result = self._position.runs[number], self._result
        try:
            jobs = self._jobs(run)
        except FATAL_ERRORS as error:
            result.error = error
            return False
        except SourceError as error:
            result.error = result.error or error
            return True
        if jobs is None:
            return False
        rows = RunRows(self._reading.trunk, number, run, self._reading.now)
        result.facts += rows.of(jobs)
        run.due.clear()
        run.is_reported = True
        is_young = self._reading.now - run.since <= PENDING_LIMIT
        run.open = is_young and any(job.status != COMPLETED for job in jobs)
        return True

    def _jobs(self, run: RunState) -> Collection[Job] | None:
        """Return the jobs of a run; None while newer runs wait for one that cannot be read."""
        api = self._reading.api
        if run.id is None or api.has_jobs is False:
            return ()
        found = api.jobs(self._reading.repo, run.id)
        if found is None:
            return ()
        jobs, dropped = found
        return None if dropped and self._waits("a job") else jobs
