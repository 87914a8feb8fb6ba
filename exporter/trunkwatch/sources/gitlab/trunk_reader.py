"""The reader of one trunk: its order, and the pipelines that changed."""

from typing import NamedTuple

from trunkwatch.domain.model import TrunkOrder
from trunkwatch.errors import BadAnswerError, NotFoundError, SourceError
from trunkwatch.rest.client import FATAL_ERRORS
from trunkwatch.rest.lists import page_numbers
from trunkwatch.sources.commits import (
    ListedCommit,
    UnreadableOrderError,
    cold_begin,
    first_parents,
)
from trunkwatch.sources.gitlab.pipeline_reader import PipelineReader, Reading, event_of
from trunkwatch.sources.gitlab.position import SLACK_SECONDS, Position
from trunkwatch.sources.gitlab.rows import Pipeline
from trunkwatch.sources.gitlab.words import ACTIVE, FINAL
from trunkwatch.sources.projects_source import UNREADABLE_JOB_TIMEOUT_SECONDS, TrunkRead

MAX_CHANGED_PIPELINES = 50
"""Changed pipelines that one refresh of a trunk reads; the next refresh follows at once and reads
others."""


class _Changed(NamedTuple):
    """The pipelines of a list whose last change was not read.

    Attributes:
        runs: by id.
        newest: the newest change that was listed (seconds since the epoch).
        is_whole: whether the list has no further rows.
    """

    runs: dict[int, Pipeline]
    newest: float
    is_whole: bool


class TrunkReader:
    """A reader of one trunk, for one refresh."""

    def __init__(self, reading: Reading, position: Position) -> None:
        """Args:
        reading: the trunk, and how it is read.
        position: the position in the trunk; `read` advances it.
        """
        self._reading = reading
        self._api = reading.api
        self._config = reading.config
        self._trunk = reading.trunk
        self._project = reading.project
        self._position = position
        self._now = reading.now

    def read(self) -> TrunkRead:
        """Read the order, and the pipelines that changed or may have.

        Raises:
            SourceError: one of the lists cannot be read.
        """
        position, result = self._position, TrunkRead()
        order = self._read_order(result)
        begin = self._begin(order)
        changed = self._changed(begin)
        children, parents = self._changed_children(begin)
        listed = changed.runs | parents
        partial = [each.newest for each in (changed, children) if not each.is_whole]
        # Changes after the end of a partial list are unread.
        until = min([self._now, *partial])
        still_open = [run for number, run in position.open.items() if number not in listed]
        due = sorted(listed.values(), key=lambda run: run.updated)
        unread = [*still_open, *due]
        for run in unread[: len(still_open) + MAX_CHANGED_PIPELINES]:
            if not self._read_run(run, result):
                break
            unread = unread[1:]
            position.since = max(position.since or begin, min(run.updated, until))
        result.unread = len({run.sha for run in unread}) or int(bool(partial))
        if not unread:
            position.see(*children.runs.values())
            newest = max(changed.newest, children.newest)
            position.since = max(position.since or begin, min(newest, until))
        result.facts.append(position.entry(self._trunk, self._now))
        return result

    def _read_run(self, run: Pipeline, result: TrunkRead) -> bool:
        """Read one pipeline; return False if no further one may be read in this refresh."""
        position = self._position
        reader = PipelineReader(self._reading, position, run)
        try:
            rows = list(reader.rows())
        except FATAL_ERRORS as error:
            result.error = error
            return False
        except SourceError as error:
            if not isinstance(error, NotFoundError) or error.is_refused:
                result.error = result.error or error
                position.keep_failed(run, self._now)
                return True
            rows = []  # a pipeline may be deleted
        result.facts += rows
        if reader.unreadable and self._now - run.updated < UNREADABLE_JOB_TIMEOUT_SECONDS:
            result.error = result.error or BadAnswerError(
                f"{self._trunk}: a job of pipeline {run.id} cannot be read; newer results wait for"
                " it for half an hour"
            )
            return False
        position.see(*reader.read)
        unfinished = any(not row.finished for row in rows)
        wanted = run.status in ACTIVE or (run.status in FINAL and unfinished)
        position.keep_open(run, self._now, wanted=wanted)
        return True

    # ------------------------------------------------------------------ order

    def _read_order(self, result: TrunkRead) -> TrunkOrder | None:
        """Return the order; None if a row is unreadable, or if the source may not order the trunk.

        A cold start reads it in any case, since `_begin` needs its dates.
        """
        if not self._config.could_order() and self._position.since is not None:
            return None
        try:
            order = self._order()
        except UnreadableOrderError as error:
            result.error = error
            return None
        if self._config.could_order():
            result.facts.append(order)
        return order

    def _order(self) -> TrunkOrder:
        """Return the first-parent chain as far as the window goes.

        The parents link the commits: a server that ignores `first_parent`, and a push or a force
        push between two pages, cannot put a commit into the chain.
        """
        listed: dict[str, ListedCommit] = {}
        position, size = self._position, self._api.client.per_page
        for number in range(1, -(-self._config.window // size) + 1):
            page = self._api.commits(self._project, self._trunk.branch, number)
            if page.dropped:
                raise UnreadableOrderError(
                    f"{self._trunk}: the list of commits has unreadable rows; the order stays"
                )
            listed.update((each.commit.sha, each) for each in page.rows)
            if len(page.rows) < size or position.tip in listed:
                break
        position.tip = next(iter(listed), "")
        chain = list(first_parents(listed, position.tip))[: self._config.window]
        commits = tuple(each.commit for each in reversed(chain))
        return TrunkOrder(self._trunk, commits, bool(chain and chain[-1].parents))

    def _begin(self, order: TrunkOrder | None) -> float:
        """Return the time since which changes are read (seconds since the epoch)."""
        if self._position.since is not None:
            return max(0.0, self._position.since - SLACK_SECONDS)
        return cold_begin(order, self._now)

    # ------------------------------------------------------------------ pipelines

    def _changed(self, begin: float, source: str | None = None) -> _Changed:
        """Return the pipelines whose last change was not read, as many as one refresh reads.

        A row that changes moves to the end of the list, so that offsets skip rows: each further
        page is requested by the time of the last row instead, and by offset only within one second.

        Args:
            begin: the time of the oldest change (seconds since the epoch).
            source: what started the pipelines; None for all but child pipelines.

        Raises:
            LimitExceededError: all pages that a list may have show nothing new.
        """
        found: dict[int, Pipeline] = {}
        since, offset, newest = int(begin), 1, begin
        most = self._api.client.max_list_pages
        for number in page_numbers(f"{self._trunk}: pipelines", most):
            page = self._api.pipelines(self._project, self._trunk.branch, since, offset, source)
            found.update(
                (run.id, run)
                for run in page.rows
                if not self._position.has_seen(run) and (source or self._is_counted(run))
            )
            newest = max([newest, *(run.updated for run in page.rows)])
            if len(page.rows) + page.dropped < self._api.client.per_page:
                return _Changed(found, newest, is_whole=True)
            advances = bool(found) or newest > (self._position.since or begin)
            if len(found) > MAX_CHANGED_PIPELINES or (number == most and advances):
                break
            since, offset = (int(newest) - 1, 1) if newest - 1 > since + 1 else (since, offset + 1)
        return _Changed(found, newest, is_whole=False)

    def _is_counted(self, run: Pipeline) -> bool:
        """Return whether the configuration counts the pipelines of the event."""
        return event_of(run) in self._reading.events

    def _changed_children(self, begin: float) -> tuple[_Changed, dict[int, Pipeline]]:
        """Return the child pipelines that changed, and all pipelines of their commits, by id.

        GitLab does not list the parent of a child pipeline.
        """
        if not self._position.bridges:
            return _Changed({}, begin, is_whole=True), {}
        children = self._changed(begin, "parent_pipeline")
        parents: dict[int, Pipeline] = {}
        for sha in dict.fromkeys(child.sha for child in children.runs.values()):
            runs = self._api.pipelines_of(self._project, self._trunk.branch, sha)
            parents.update((run.id, run) for run in runs if self._is_counted(run))
        return children, parents
