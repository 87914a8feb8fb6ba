"""The list of a trunk's runs, kept in parts that are asked for again at no cost.

A filtered list is cut off after 1,000 runs, and any change of it changes every page. So it is read
by ranges of `created`, which never changes: each closed range of at most a page has an address of
its own, whose ETag says for nothing whether any of its runs was run again.
https://docs.github.com/en/rest/actions/workflow-runs#list-workflow-runs-for-a-repository
"""

from collections import defaultdict
from collections.abc import Collection, Iterable
from dataclasses import replace

from trunkwatch.domain.evidence import PENDING_LIMIT
from trunkwatch.domain.model import Trunk
from trunkwatch.errors import SourceAnswerError
from trunkwatch.sources.github.client import LIST_TRIES, GithubClient, Page
from trunkwatch.sources.github.dialect import PER_PAGE
from trunkwatch.sources.github.notes import Kind, Notebook
from trunkwatch.sources.github.parts import RECHECK_OUTAGE, Part, Parts
from trunkwatch.sources.github.runs import RUNS, Run, counts, run_of_json
from trunkwatch.times import format_time

CLOSE_AT = 80
"""Runs at which the open part of the list is closed, before it outgrows a page."""

KEPT_OPEN = 20
"""Newest runs that stay in the open part then: runs that were just made may still come in."""


class RunList:
    """One trunk's runs: what is known of them, and what has yet to be asked.

    Attributes:
        runs: by their ids.
        parts: of the list.
    """

    def __init__(
        self,
        source: str,
        trunk: Trunk,
        client: GithubClient,
        book: Notebook,
        events: frozenset[str],
        now: float,
    ) -> None:
        """Args:
        source: its name, for errors.
        trunk: whose runs.
        client: asks GitHub.
        book: keeps the runs and the parts of the list.
        events: what may have started a run that counts.
        now: seconds since the epoch.
        """
        self._source = source
        self._trunk = trunk
        self._client = client
        self._book = book
        self._events = events
        self._now = now
        self._path = f"/repos/{trunk.repo}/actions/runs"
        self.parts = Parts(book, client.fingerprint(), now)
        notes = book.all(Kind.RUN).values()
        self.runs: dict[int, Run] = {}
        self._at: dict[str, dict[int, Run]] = defaultdict(dict)
        for run in map(run_of_json, notes):
            self._remember(run)

    # ------------------------------------------------------------------ asking

    def read_newest(self, start: float) -> None:
        """Read the open part of the list; from `start` on when nothing is known."""
        first, etag = self.parts.open_part(start)
        page = self._page(first, None, etag)
        if page is None:
            return
        etag = page.etag
        if page.total > PER_PAGE:
            first, etag = self._take_newest_of(page, first, None), None
        else:
            self._take(page.rows)
            if page.total >= CLOSE_AT:
                first, etag = self._close(page.rows, first, etag)
        self.parts.keep_open(first, etag)

    def read_gap(self) -> None:
        """Read the newest runs of the newest part of the list that has not been read."""
        gap = self.parts.newest_gap()
        page = self._page(gap.first, gap.last, None)
        if page is None:
            return
        if page.total > PER_PAGE:
            self._take_newest_of(page, gap.first, gap.last)
        else:
            self._take(page.rows)
            self.parts.drop_gap(gap.first)
            self.parts.keep(gap._replace(etag=page.etag, checked=self._now))

    def check(self, part: Part) -> None:
        """Ask whether anything in a closed part has changed."""
        page = self._page(part.first, part.last, self.parts.etag_of(part))
        if page is not None and page.total > PER_PAGE:
            self.parts.open_up(part)
            return
        if page is not None:
            self._take(page.rows)
            part = part._replace(etag=page.etag)
        self.parts.keep(part._replace(checked=self._now))

    def in_flight(self, every: float) -> list[Part]:
        """Return the closed parts that hold unfinished runs and were not checked for a while."""
        waiting = [
            run.created
            for run in self.runs.values()
            if not run.finished and run.created > self._now - PENDING_LIMIT
        ]
        return [part for part in self.parts.holding(waiting) if self.parts.age(part) >= every]

    def due(self, interval: float, outages: Collection[str]) -> list[Part]:
        """Return the closed parts to ask for now, so that each has its turn in time.

        Args:
            interval: seconds from one refresh to the next.
            outages: commits on which jobs that are broken now failed; theirs come first.
        """
        urgent = [run.created for run in self.runs.values() if run.sha in outages]
        broken = [
            part for part in self.parts.holding(urgent) if self.parts.age(part) >= RECHECK_OUTAGE
        ]
        return [*broken, *(part for part in self.parts.due(interval) if part not in broken)]

    def forget(self, start: float) -> None:
        """Drop what was created before a moment."""
        self.parts.forget(start)
        for run in [run for run in self.runs.values() if run.created < start]:
            self.drop(run)

    def at(self, sha: str) -> Iterable[Run]:
        """Return the runs of a commit."""
        return self._at[sha].values() if sha in self._at else ()

    def put(self, run: Run) -> None:
        """Keep what is known of a run."""
        self._remember(run)
        self._book.put(Kind.RUN, run.to_json(), run.id)

    def _remember(self, run: Run) -> None:
        self.runs[run.id] = run
        self._at[run.sha][run.id] = run

    def drop(self, run: Run) -> None:
        """Forget a run that is gone."""
        self.runs.pop(run.id, None)
        self._at[run.sha].pop(run.id, None)
        self._book.drop(Kind.RUN, run.id)

    def missing(self, run: Run) -> None:
        """Forget a run that cannot be found, and see to it that its part of the list is read anew.

        GitHub has not found what was there all along; then the list still says so.
        """
        self.drop(run)
        self.parts.doubt(run.created)

    # ------------------------------------------------------------------ parts

    def _close(self, rows: Iterable[Run], first: int, etag: str | None) -> tuple[int, str | None]:
        """Close all but the newest of the open part; return where it begins now."""
        newest_first = sorted((int(run.created) for run in rows), reverse=True)
        border = newest_first[KEPT_OPEN]
        if border <= first:
            return first, etag
        self.parts.keep(Part(first, border - 1))
        return border, None

    def _take_newest_of(self, page: Page[Run], first: int, last: int | None) -> int:
        """Take what is certain of a page that is not all of its part, and note the rest as a gap.

        The oldest second of the page may go on on the next page. Returns the first second that is
        known now.
        """
        oldest = int(min(run.created for run in page.rows))
        newer = [run for run in page.rows if run.created > oldest]
        if newer:
            self._take(newer)
            if last is not None:
                self.parts.keep(Part(oldest + 1, last))
            self.parts.put_gap(first, oldest)
            return oldest + 1
        # More than a page of runs within one second: that second is read to its end.
        self._take(self._client.whole_list(self._path, self._query(oldest, oldest), RUNS))
        self.parts.keep(Part(oldest, oldest if last is None else last, checked=self._now))
        self.parts.drop_gap(first)
        self.parts.put_gap(first, oldest - 1)
        return oldest + 1

    # ------------------------------------------------------------------ pages

    def _query(self, first: int, last: int | None) -> list[tuple[str, str | int]]:
        begin = format_time(first)
        created = f">={begin}" if last is None else f"{begin}..{format_time(last)}"
        # One request can be of one event, or of all.
        only = [("event", event) for event in self._events if len(self._events) == 1]
        return [
            ("branch", self._trunk.branch),
            *only,
            ("created", created),
            ("exclude_pull_requests", "true"),
        ]

    def _page(self, first: int, last: int | None, etag: str | None) -> Page[Run] | None:
        """Read the newest page of a part; one that contradicts itself is read again."""
        query = [*self._query(first, last), ("per_page", PER_PAGE)]
        page = None
        for _ in range(LIST_TRIES):
            page = self._client.page(self._path, query, RUNS, etag)
            if page is None or (_is_whole(page) and not any(map(self._is_doubtful, page.rows))):
                return page
        if page is not None and _is_whole(page):
            # It may always be so: what it says is taken, and asked for again next time.
            return page._replace(etag=None)
        raise SourceAnswerError(
            self._source,
            f"GET {self._path}: the list of runs did not hold the {page.total if page else 0} runs"
            " that it says; it is read again at the next refresh",
        )

    def _is_doubtful(self, run: Run) -> bool:
        """The repository of a deleted fork is null; that of a run of ours never is."""
        ours = run.head_branch == self._trunk.branch and run.event in self._events
        return run.doubt or (ours and not run.head_repo)

    def _take(self, rows: Iterable[Run]) -> None:
        for run in rows:
            if counts(run, self._trunk, self._events):
                known = self.runs.get(run.id, run)
                name = run.name or self._name_of(run.path)
                self.put(replace(run, name=name, seen=known.seen, jobs=known.jobs))

    def _name_of(self, path: str) -> str:
        """Return what a workflow is called by a run whose name GitHub does say."""
        return next((run.name for run in self.runs.values() if run.path == path and run.name), "")


def _is_whole(page: Page[Run]) -> bool:
    """Whether a first page holds what it says: all rows, or a full page, newest first."""
    created = [run.created for run in page.rows]
    distinct = len({run.id for run in page.rows})
    in_order = created == sorted(created, reverse=True)
    return distinct == len(page.rows) == min(page.total, PER_PAGE) and in_order
