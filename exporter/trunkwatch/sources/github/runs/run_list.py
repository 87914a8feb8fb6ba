"""The list of a trunk's runs, read by ranges of creation time that cost nothing to check again.

A filtered list is cut off after 1,000 runs, and any change of it changes every page. So it is read
by ranges of `created`, which never changes: each closed range of at most a page has an address of
its own, whose ETag shows for free whether any of its runs was run again.
https://docs.github.com/en/rest/actions/workflow-runs#list-workflow-runs-for-a-repository
"""

from collections import defaultdict
from collections.abc import Collection, Iterable
from dataclasses import replace

from trunkwatch.domain.evidence import PENDING_LIMIT
from trunkwatch.errors import BadAnswerError
from trunkwatch.github import PER_PAGE
from trunkwatch.rest.lists import LIST_TRIES, Page
from trunkwatch.sources.github.runs.run import RUNS, Run, counts, run_of_json
from trunkwatch.sources.github.runs.run_ranges import (
    RECHECK_OUTAGE_SECONDS,
    CreatedRange,
    RunRanges,
)
from trunkwatch.sources.github.state import Kind, TrunkContext
from trunkwatch.times import format_time

CLOSE_AT_RUNS = 80
"""Runs at which the open range is closed, before it outgrows a page."""

KEPT_OPEN_RUNS = 20
"""Newest runs that stay in the open range then: further runs may still appear among them."""


class RunList:
    """One trunk's runs as far as they have been listed.

    Attributes:
        runs: by their ids.
        ranges: of the list.
    """

    def __init__(self, context: TrunkContext) -> None:
        self._context = context
        self._client = context.client
        self._state = context.state
        self._now = context.now
        self._path = f"{context.repo_path}/actions/runs"
        self.ranges = RunRanges(context)
        self.runs: dict[int, Run] = {}
        self._at: dict[str, dict[int, Run]] = defaultdict(dict)
        for run in map(run_of_json, self._state.all(Kind.RUN).values()):
            self._remember(run)

    def read_newest(self, start: float) -> None:
        """Read the open range; on a cold start it begins at `start`."""
        first, etag = self.ranges.open_range(start)
        page = self._page(first, None, etag)
        if page is None:
            return
        etag = page.etag
        if _total(page) > PER_PAGE:
            first, etag = self._take_newest_of(page, first, None), None
        else:
            self._take(page.rows)
            if _total(page) >= CLOSE_AT_RUNS:
                first, etag = self._close(page.rows, first, etag)
        self.ranges.put_open(first, etag)

    def read_unread_range(self) -> None:
        """Read the newest runs of the newest range that has not been read."""
        unread = self.ranges.newest_unread()
        page = self._page(unread.first, unread.last, None)
        if page is None:
            return
        if _total(page) > PER_PAGE:
            self._take_newest_of(page, unread.first, unread.last)
        else:
            self._take(page.rows)
            self.ranges.drop_unread(unread.first)
            self.ranges.put(unread._replace(etag=page.etag, checked=self._now))

    def check(self, closed: CreatedRange) -> None:
        """Read a closed range again if anything in it has changed."""
        page = self._page(closed.first, closed.last, self.ranges.etag_of(closed))
        if page is not None and _total(page) > PER_PAGE:
            self.ranges.split(closed)
            return
        if page is not None:
            self._take(page.rows)
            closed = closed._replace(etag=page.etag)
        self.ranges.put(closed._replace(checked=self._now))

    def unfinished_ranges(self, every: float) -> list[CreatedRange]:
        """Return the closed ranges with unfinished runs that were not checked for some seconds."""
        unfinished = [
            run.created
            for run in self.runs.values()
            if not run.finished and run.created > self._now - PENDING_LIMIT
        ]
        return self._checked_before(every, unfinished)

    def due(self, interval: float, outages: Collection[str]) -> list[CreatedRange]:
        """Return the closed ranges to check now, so that each is checked in time.

        Args:
            interval: seconds from one refresh to the next.
            outages: commits on which jobs with an open outage failed; theirs come first.
        """
        urgent = [run.created for run in self.runs.values() if run.sha in outages]
        first = self._checked_before(RECHECK_OUTAGE_SECONDS, urgent)
        return [*first, *(each for each in self.ranges.due(interval) if each not in first)]

    def _checked_before(self, seconds: float, created: Collection[float]) -> list[CreatedRange]:
        return [each for each in self.ranges.holding(created) if self.ranges.age(each) >= seconds]

    def forget(self, start: float) -> None:
        """Drop the runs that were created before a moment."""
        self.ranges.forget(start)
        for run in [run for run in self.runs.values() if run.created < start]:
            self.drop(run)

    def at(self, sha: str) -> Iterable[Run]:
        """Return the runs of a commit."""
        return self._at[sha].values() if sha in self._at else ()

    def put(self, run: Run) -> None:
        """Store a run."""
        self._remember(run)
        self._state.put(Kind.RUN, run.to_json(), run.id)

    def _remember(self, run: Run) -> None:
        self.runs[run.id] = run
        self._at[run.sha][run.id] = run

    def drop(self, run: Run) -> None:
        """Delete a run."""
        self.runs.pop(run.id, None)
        self._at[run.sha].pop(run.id, None)
        self._state.drop(Kind.RUN, run.id)

    def missing(self, run: Run) -> None:
        """Delete a run that GitHub does not find, and read its range again.

        GitHub sometimes fails to find a run that exists; then the list still contains it.
        """
        self.drop(run)
        self.ranges.invalidate(run.created)

    def _close(self, rows: Iterable[Run], first: int, etag: str | None) -> tuple[int, str | None]:
        """Close all but the newest of the open range; return where it begins now."""
        newest_first = sorted((int(run.created) for run in rows), reverse=True)
        border = newest_first[KEPT_OPEN_RUNS]
        if border <= first:
            return first, etag
        self.ranges.put(CreatedRange(first, border - 1))
        return border, None

    def _take_newest_of(self, page: Page[Run], first: int, last: int | None) -> int:
        """Take the certain runs of a page that is not its whole range; the rest stays unread.

        The oldest second of the page may continue on the next page. Returns the first second that
        has been read.
        """
        oldest = int(min(run.created for run in page.rows))
        newer = [run for run in page.rows if run.created > oldest]
        if newer:
            self._take(newer)
            if last is not None:
                self.ranges.put(CreatedRange(oldest + 1, last))
            self.ranges.put_unread(first, oldest)
            return oldest + 1
        # More than a page of runs within one second: read that second to its end.
        self._take(self._client.whole_list(self._path, self._query(oldest, oldest), RUNS))
        newest = oldest if last is None else last
        self.ranges.put(CreatedRange(oldest, newest, checked=self._now))
        self.ranges.drop_unread(first)
        self.ranges.put_unread(first, oldest - 1)
        return oldest + 1

    def _query(self, first: int, last: int | None) -> list[tuple[str, str | int]]:
        begin = format_time(first)
        created = f">={begin}" if last is None else f"{begin}..{format_time(last)}"
        # A request filters by one event or by none.
        events = self._context.events
        only = [("event", event) for event in events if len(events) == 1]
        return [
            ("branch", self._context.trunk.branch),
            *only,
            ("created", created),
            ("exclude_pull_requests", "true"),
        ]

    def _page(self, first: int, last: int | None, etag: str | None) -> Page[Run] | None:
        """Read the newest page of a range; one that contradicts itself is read again."""
        query = [*self._query(first, last), ("per_page", PER_PAGE)]
        page = None
        for _ in range(LIST_TRIES):
            page = self._client.page(self._path, query, RUNS, etag)
            if page is None or (_is_whole(page) and not any(map(self._is_doubtful, page.rows))):
                return page
        if page is not None and _is_whole(page):
            # It may stay doubtful for ever: take it, and read it again next time.
            return page._replace(etag=None)
        raise BadAnswerError(
            f"GET {self._path}: the list of runs did not hold the {_total(page) if page else 0}"
            " runs that it says; it is read again at the next refresh"
        )

    def _is_doubtful(self, run: Run) -> bool:
        """Return whether a run is incomplete.

        Only the repository of a deleted fork may be null, and such a run is not of the trunk.
        """
        context = self._context
        of_trunk = run.head_branch == context.trunk.branch and run.event in context.events
        return run.is_doubtful or (of_trunk and not run.head_repo)

    def _take(self, rows: Iterable[Run]) -> None:
        for run in rows:
            if counts(run, self._context.trunk, self._context.events):
                stored = self.runs.get(run.id, run)
                name = run.name or self._name_of(run.path)
                version = stored.read_version
                self.put(replace(run, name=name, read_version=version, jobs=stored.jobs))

    def _name_of(self, path: str) -> str:
        """Return the name of a workflow from another run; GitHub omits it in some."""
        return next((run.name for run in self.runs.values() if run.path == path and run.name), "")


def _total(page: Page[Run]) -> int:
    return page.total or 0


def _is_whole(page: Page[Run]) -> bool:
    """Return whether a first page is consistent: all rows, or a full page, newest first."""
    created = [run.created for run in page.rows]
    distinct = len({run.id for run in page.rows})
    in_order = created == sorted(created, reverse=True)
    return distinct == len(page.rows) == min(_total(page), PER_PAGE) and in_order
