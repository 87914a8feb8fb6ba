"""The runs of a repository, from its unfiltered list.

With a filter (`branch`, `created`, `event`, …) GitHub answers this list from a search index, which
may be days old without a sign of it; without one it reads the database. The list holds the runs of
every branch, the newest first as a rule, which no document promises.
https://docs.github.com/en/rest/actions/workflow-runs#list-workflow-runs-for-a-repository
"""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from trunkwatch.errors import BadAnswerError, NotFoundError
from trunkwatch.github import PER_PAGE
from trunkwatch.rest.client import Query
from trunkwatch.rest.lists import LIST_TRIES, UNREADABLE_ERRORS, Page
from trunkwatch.sources.github.runs.run import (
    MISSING,
    RUNS,
    SETTLING_SECONDS,
    Run,
    counts,
    run_of,
    run_of_json,
)
from trunkwatch.sources.github.state import Kind, TrunkContext

MAX_NEW_PAGES = 10
"""Pages that are read in one go for the runs since the last refresh; the rest is history."""

RECHECK_SECONDS = 1500.0
"""Seconds in which every page, or the suites of every commit, are read again: a re-run is noticed
within half an hour."""

REPLICA_LAG_SECONDS = 180.0
"""Seconds after its last change, or after it was first missed, in which a run may still appear."""

NOTHING_READ = float("inf")


class RunList:
    """One trunk's runs as far as they have been listed.

    Attributes:
        runs: by their ids.
        has_lost_runs: whether GitHub did not find a listed run in this refresh. It may exist all
            the same: until the list has been read again, its results may be old.
    """

    def __init__(self, context: TrunkContext) -> None:
        self._context = context
        self._client = context.client
        self._state = context.state
        self._now = context.now
        self._path = f"{context.repo_path}/actions/runs"
        self._is_current = False
        self.runs: dict[int, Run] = {}
        self.has_lost_runs = False
        self._at: dict[str, dict[int, Run]] = defaultdict(dict)
        for run in map(run_of_json, self._state.all(Kind.RUN).values()):
            self._remember(run)

    # ------------------------------------------------------------------ the list

    @property
    def covered(self) -> float:
        """The time from which on every run is listed here.

        Infinity before the newest page has been read in this refresh: runs may have begun since.
        """
        entry = self._entry()
        covered: float = entry.get("covered", NOTHING_READ) if self._is_current else NOTHING_READ
        forgotten: float = entry.get("forgotten", 0.0)
        return max(covered, forgotten)

    @property
    def pages(self) -> int:
        """The number of pages that have been read."""
        return int(self._entry().get("page", 1)) - 1

    def read_newest(self) -> None:
        """Read the first page, and further ones up to the runs that were listed before."""
        entry = self._entry()
        token = self._client.fingerprint()
        etag = entry.get("etag") if entry.get("token") == token else None
        changed = self._client.page(self._path, FIRST_PAGE, RUNS, etag)
        self._is_current = True
        if changed is None:
            return
        first = page = self._checked(changed, 1)
        before = entry.get("seen", [])
        seen = set(before)
        number = 1
        self._take(page.rows)
        while seen and not _meets(page, seen) and not _is_last(page) and number < MAX_NEW_PAGES:
            number += 1
            page = self._checked(self._client.whole_page(self._path, QUERY, number, RUNS), number)
            self._take(page.rows)
        if not entry or not _meets(page, seen):
            # Runs between these and the ones that were listed before may be missing.
            entry = {"page": number + 1, "covered": _covered_by(page)}
        ids = [run.id for run in first.rows]
        etag = first.etag if self._is_whole(first, 1) or ids == before else None
        self._put_entry({**entry, "etag": etag, "token": token, "seen": ids})

    def read_older(self) -> None:
        """Read the next page of older runs; those that were forgotten are read again."""
        entry = self._entry()
        if entry.get("forgotten", 0.0) > entry["covered"]:
            entry = {**entry, "page": 1, "covered": NOTHING_READ, "forgotten": 0.0}
        page = self._client.cached_page(self._path, QUERY, entry["page"], RUNS)
        page = self._checked(page, entry["page"])
        self._take(page.rows)
        covered = min(entry["covered"], _covered_by(page))
        self._put_entry({**entry, "page": entry["page"] + 1, "covered": covered})

    @property
    def recheck_due(self) -> float:
        """When the next page is to be read again (seconds since the epoch)."""
        checked: float = self._entry().get("checked", 0.0)
        return checked + self._recheck_pause() if self.pages > 1 else NOTHING_READ

    def is_recheck_due(self) -> bool:
        """Return whether the next page is to be read again, for runs that were run again."""
        return self.recheck_due <= self._now

    def recheck(self) -> None:
        """Read one of the older pages again, each in turn; unchanged ones are free."""
        entry = self._entry()
        number = max(2, entry.get("recheck", 1) % self.pages + 1)
        page = self._client.cached_page(self._path, QUERY, number, RUNS)
        self._take(self._checked(page, number).rows)
        # A page is read by the first refresh after it is due; that must not delay the next ones.
        due = self.recheck_due
        checked = due if self._now - due < self._recheck_pause() else self._now
        self._put_entry({**entry, "recheck": number, "checked": checked})

    def _recheck_pause(self) -> float:
        """Return the seconds between two pages."""
        return RECHECK_SECONDS / (self.pages - 1)

    def read_unlisted(self, run_ids: Iterable[int], entry: dict[str, Any]) -> list[Run]:
        """Read runs that the list has not shown; return those that count.

        Not every replica of GitHub has a new run yet, or all fields of it: one that is not found,
        or that is incomplete or cannot be read, is read again for `REPLICA_LAG_SECONDS`.

        Args:
            run_ids: of one commit.
            entry: of the commit. Runs that are not found are added with the time since when, and
                those that do not count are added, and never read again.

        Raises:
            BadAnswerError: one was not answered; the others have been read all the same.
        """
        others = set(entry.get("others", ()))
        before = entry.pop("missing", {})
        missing, found, error = {}, [], None
        for run_id in sorted(set(run_ids) - others - self.runs.keys()):
            try:
                run = self._run(run_id)
            except BadAnswerError as failure:
                run, error = None, error or failure
            self._take([run] if run is not None else [])
            since = min(before.get(str(run_id), self._now), self._now)
            if run_id in self.runs:
                found.append(self.runs[run_id])
            elif (run is None or run.is_doubtful) and not self._is_over(since):
                missing[str(run_id)] = since
            else:
                others.add(run_id)  # deleted, or of another branch or event
        if others:
            entry["others"] = sorted(others)
        if missing:
            entry["missing"] = missing
        if error is not None:
            raise error
        return found

    def is_missing(self, sha: str) -> bool:
        """Return whether a run of a commit was not found, and may still appear."""
        entry = self._state.get(Kind.COMMIT, sha) or {}
        return any(
            since <= self._now and not self._is_over(since)
            for since in entry.get("missing", {}).values()
        )

    def _is_over(self, since: float) -> bool:
        """Return whether every replica has what changed at a time (seconds since the epoch)."""
        return self._now - since >= REPLICA_LAG_SECONDS

    def _run(self, run_id: int) -> Run | None:
        """Read one run; None if it is not found, or is not as GitHub documents it."""
        try:
            row = self._client.get(f"{self._path}/{run_id}")
        except NotFoundError:
            return None
        try:
            return run_of(row)
        except UNREADABLE_ERRORS as error:
            self._client.drop_row(RUNS.key or "", row, error)
            return None

    def _entry(self) -> dict[str, Any]:
        return self._state.get(Kind.RUN_LIST) or {}

    def _put_entry(self, entry: dict[str, Any]) -> None:
        self._state.put(Kind.RUN_LIST, entry)

    def _checked(self, page: Page[Run], number: int) -> Page[Run]:
        """Return a page, read again while rows are missing or incomplete, as long as it helps.

        Raises:
            BadAnswerError: no row can be read, so that the time that the page covers is unknown.
        """
        for _ in range(LIST_TRIES - 1):
            if self._is_whole(page, number):
                break
            page = self._client.whole_page(self._path, QUERY, number, RUNS)
        if page.dropped and not page.rows:
            raise BadAnswerError(
                f"GET {self._path}: none of the {page.dropped} runs of page {number} can be read"
            )
        return page

    def _is_whole(self, page: Page[Run], number: int) -> bool:
        distinct = len({run.id for run in page.rows})
        left = (page.total or 0) - (number - 1) * PER_PAGE
        return distinct == max(0, min(PER_PAGE, left)) and not any(
            map(self._is_doubtful, page.rows)
        )

    def _is_doubtful(self, run: Run) -> bool:
        """Return whether a run is incomplete, which GitHub mends a moment later."""
        return run.is_doubtful and self._now - run.updated < SETTLING_SECONDS

    def _take(self, rows: Iterable[Run]) -> None:
        for run in rows:
            if counts(run, self._context.trunk, self._context.events):
                self.take(run)

    # ------------------------------------------------------------------ the runs

    def take(self, run: Run) -> None:
        """Store a report of a run that counts."""
        run = replace(run, name=run.name or self._name_of(run.path))
        stored = self.runs.get(run.id)
        self.put(run if stored is None else stored.merged(run))

    def _name_of(self, path: str) -> str:
        """Return the name of a workflow from another run; GitHub omits it in some."""
        return next((run.name for run in self.runs.values() if run.path == path and run.name), "")

    def forget(self, start: float) -> None:
        """Drop the runs that were created before a moment."""
        old = [run for run in self.runs.values() if run.created < start]
        for run in old:
            self.drop(run)
        if old:
            self._put_entry({**self._entry(), "forgotten": start})

    def at(self, sha: str) -> Iterable[Run]:
        """Return the runs of a commit."""
        return self._at[sha].values() if sha in self._at else ()

    def put(self, run: Run) -> None:
        """Store a run."""
        self._remember(run)
        self._state.put(Kind.RUN, run.to_json(), run.id)

    def drop(self, run: Run) -> None:
        """Delete a run; its stored results stay."""
        self.runs.pop(run.id, None)
        self._at[run.sha].pop(run.id, None)
        self._state.drop(Kind.RUN, run.id)

    def missing(self, run: Run) -> None:
        """Delete a run that GitHub does not find, and list it again; a recent one stays due.

        GitHub sometimes fails to find a run that exists; then the lists still contain it. A webhook
        reports a run before every replica has it, and without it no job of it can be evaluated.
        """
        self.has_lost_runs = True
        if not self._is_over(run.updated):
            self.put(replace(run, read_version=MISSING))
            return
        self.drop(run)  # deleted; its stored results stay
        self._put_entry({**self._entry(), "etag": None})
        entry = dict(self._state.get(Kind.COMMIT, run.sha) or {})
        if entry.pop("listed", None) is not None:
            self._state.put(Kind.COMMIT, entry, run.sha)

    def _remember(self, run: Run) -> None:
        self.runs[run.id] = run
        self._at[run.sha][run.id] = run


QUERY = (("exclude_pull_requests", "true"),)
FIRST_PAGE: Query = (*QUERY, ("per_page", PER_PAGE), ("page", 1))


def _meets(page: Page[Run], seen: set[int]) -> bool:
    return any(run.id in seen for run in page.rows)


def _is_last(page: Page[Run]) -> bool:
    return len(page.rows) + page.dropped < PER_PAGE


def _covered_by(page: Page[Run]) -> float:
    """Return the time from which on a list that ends with this page has every run.

    The page's newest run, since the order within a page is not certain.
    """
    return 0.0 if _is_last(page) else max(run.created for run in page.rows)
