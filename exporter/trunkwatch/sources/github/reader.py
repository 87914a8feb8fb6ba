"""One trunk: what to ask of GitHub now, in which order, and within what allowance."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import partial

from trunkwatch.domain.model import Trunk
from trunkwatch.engine.facts import Fact
from trunkwatch.errors import SourceAuthError, SourceError, SourceLimitedError, SourceUnreachable
from trunkwatch.sources.github.allowance import Allowance
from trunkwatch.sources.github.annotations import Explanations
from trunkwatch.sources.github.chain import Chain, ChainReader
from trunkwatch.sources.github.client import GithubClient
from trunkwatch.sources.github.depth import Depth
from trunkwatch.sources.github.hangs import Hangs
from trunkwatch.sources.github.notes import Kind, Notebook
from trunkwatch.sources.github.others import Others
from trunkwatch.sources.github.parked import Parked
from trunkwatch.sources.github.runlist import RunList
from trunkwatch.sources.github.runs import Run
from trunkwatch.sources.github.steps import Steps
from trunkwatch.sources.github.sweep import HALF_READ, Sweep
from trunkwatch.sources.port import FailureFocus

DAY = 86_400.0
HISTORY = 90 * DAY
"""Seconds that reading goes back at most: GitHub keeps the logs of a run for 90 days."""

SLACK = 3600.0
"""Seconds by which a run may seem to have been made before its commit: clocks differ."""

LIARS = 50
"""Of so many commits, one may have a date that is older than it is."""

SWEEP_EVERY = 2
"""Refreshes from one reading of a commit in flight to the next: a failure is then seen two
refreshes after it happened at the latest, for half of the requests."""

PATIENCE = 1800.0
"""Seconds for which a commit whose jobs cannot be read holds back the newer ones: it may be the
pass between their failures. After that it counts as one that nothing ran on."""

HOPELESS = (SourceAuthError, SourceLimitedError, SourceUnreachable)
"""Errors after which nothing else need be asked in the same refresh."""


@dataclass(frozen=True, slots=True)
class Settings:
    """What is the same for every trunk of a source.

    Attributes:
        source: its name, for errors.
        events: what may have started a run that counts.
        window: commits to read.
        interval: seconds from one refresh to the next.
        others: which results of other CI systems count.
    """

    source: str
    events: frozenset[str]
    window: int
    interval: float
    others: Others


@dataclass(slots=True)
class Outcome:
    """What the reading of one trunk came to.

    Attributes:
        facts: what is certain now.
        trouble: what could not be read, the first of it.
        unread: commits of the window whose results have yet to be read.
        more: something old could be read at once, and was left for the next refresh.
        due_since: since when the oldest of what was left out was due (seconds, epoch), or None.
    """

    facts: list[Fact] = field(default_factory=list)
    trouble: SourceError | None = None
    unread: int = 0
    more: bool = False
    due_since: float | None = None


class TrunkReader:
    """Reads one trunk once."""

    def __init__(
        self,
        settings: Settings,
        trunk: Trunk,
        client: GithubClient,
        book: Notebook,
        interest: FailureFocus,
        allowance: Allowance,
        now: float,
    ) -> None:
        """Args:
        settings: what is the same for every trunk.
        trunk: what to read.
        client: asks GitHub.
        book: what is known of the trunk.
        interest: what people look at now.
        allowance: what may be spent.
        now: seconds since the epoch.
        """
        source = settings.source
        self._settings = settings
        self._trunk = trunk
        self._client = client
        self._book = book
        self._interest = interest
        self._allowance = allowance
        self._now = now
        self._chains = ChainReader(source, trunk, client, settings.window)
        self._runs = RunList(source, trunk, client, book, settings.events, now)
        self._hangs = Hangs(source, trunk, client, book)
        self._sweep = Sweep(trunk, client, book, self._runs, self._hangs, now)
        self._steps = Steps(source, trunk, client, book)
        self._explanations = Explanations(source, trunk, client, book)
        self._parked = Parked(trunk, book, self._hangs)
        self._outcome = Outcome()
        self._failed: set[str] = set()
        self._unreachable = False

    def read(self) -> Outcome:
        """Read what is due, as far as the allowance goes; an error ends it and loses nothing."""
        outcome = self._outcome
        try:
            chain = self._chains.read(self._book)
            start = self._start(chain)
            self._runs.read_newest(start)
            self._runs.parts.widen(start)
        except SourceError as error:
            outcome.trouble = error
            return outcome
        depth = Depth(self._trunk, chain, self._book, self._runs, SLACK)
        try:
            self._read_news(depth)
            self._read_history(depth)
            self._read_details()
            self._read_others(depth)
        except HOPELESS as error:
            outcome.trouble = outcome.trouble or error
        outcome.facts.extend(self._parked.of_all(self._runs.runs, self._now))
        self._conclude(depth, start)
        return outcome

    def _start(self, chain: Chain) -> float:
        """From when on runs are of interest (seconds since the epoch).

        Dates may lie: one commit in fifty with a date of long ago does not open up years.
        """
        dates = sorted(c.committed_at for c in chain.commits if c.committed_at is not None)
        oldest = dates[len(dates) // LIARS] if dates else self._now
        return max(oldest - SLACK, self._now - HISTORY)

    # ------------------------------------------------------------------ news

    def _read_news(self, depth: Depth) -> None:
        """Read what may have happened since the last refresh."""
        settings = self._settings
        pause = (SWEEP_EVERY - 0.5) * settings.interval
        due = self._runs.due(settings.interval, self._interest.commits)
        for part in [*self._runs.in_flight(pause), *due]:
            if self._allowance.for_news():
                self._try(f"part {part.first}", partial(self._runs.check, part))
        while depth.known and self._runs.parts.has_gap(depth.known_from):
            if not self._allowance.for_news() or not self._try("gap", self._runs.read_gap):
                # A hole in the list of runs: nothing newer is believed before it is filled, and
                # the data does not get newer either.
                self._outcome.due_since = 0.0
                return
        barrier = 0
        for place, sha, runs in self._due(depth, pause):
            if place < barrier or not self._allowance.for_news():
                self._leave_out(runs)
            elif not self._read_commit(sha, runs):
                barrier = max(barrier, place)

    def _read_commit(self, sha: str, runs: list[Run]) -> bool:
        """Read the jobs of a commit; False where nothing newer may be believed before it."""
        note = self._book.get(Kind.SWEEP, sha) or {}
        failing = note.get("failing", self._now)
        # Written beforehand, because a reading that succeeds writes the note anew.
        self._book.put(Kind.SWEEP, {**note, "failing": failing}, sha)
        read = self._try(sha, partial(self._sweep.read, sha, runs))
        return read or self._now - failing > PATIENCE

    def _due(self, depth: Depth, pause: float) -> list[tuple[int, str, list[Run]]]:
        """Return the commits in flight that are to be read now, each with its place.

        Those that are over or were never read come first, the oldest before the others: a streak
        must not be seen from its newer end while a pass below it waits to be read. Then come those
        that go on, the longest unread first.
        """
        found = []
        for place, sha in depth.known_commits():
            waiting = depth.unsettled(sha)
            at = (self._book.get(Kind.SWEEP, sha) or {}).get("at", 0.0)
            over = all(run.finished for run in waiting)
            news = over and any(run.seen not in (run.version, HALF_READ) for run in waiting)
            if waiting and (news or self._now - at >= pause):
                goes_on = at if at and not news else 0.0
                found.append((goes_on, -place, sha, waiting))
        found.sort(key=lambda item: item[:2])
        return [(-place, sha, runs) for _, place, sha, runs in found]

    def _leave_out(self, runs: Iterable[Run]) -> None:
        since = min(run.updated for run in runs)
        known = self._outcome.due_since
        self._outcome.due_since = since if known is None else min(known, since)

    # ------------------------------------------------------------------ history

    def _read_history(self, depth: Depth) -> None:
        """Read commits that were never read, the newest first, down to the end of the window."""
        for sha in depth.unread_commits():
            while depth.is_behind_gap(sha) and "gap" not in self._failed:
                if not self._may_go_on():
                    return
                self._try("gap", self._runs.read_gap)
            runs = depth.unsettled(sha)
            if runs and not self._may_go_on():
                return
            if runs:
                self._try(sha, partial(self._sweep.read, sha, runs))

    def _may_go_on(self) -> bool:
        if self._allowance.for_history():
            return True
        self._outcome.more = self._allowance.history_later()
        return False

    def _read_details(self) -> None:
        """Read what explains results, and make sure that no run was missed."""
        runs = self._runs.runs
        for job in self._hangs.waiting():
            if self._allowance.for_news():
                self._try(job, partial(self._hangs.ask, job, runs))
        for wanted in self._steps.waiting(self._interest.urls, runs):
            if self._allowance.for_news():
                self._try(f"steps {wanted}", partial(self._steps.ask, wanted, runs))
        for row in self._explanations.waiting(self._interest.unexplained, runs):
            if self._allowance.for_news():
                self._try(f"annotations {row.job_id}", partial(self._explanations.ask, row))
        for part in self._runs.parts.unchecked() if not self._outcome.more else ():
            if self._allowance.for_news():
                self._try(f"part {part.first}", partial(self._runs.check, part))

    def _read_others(self, depth: Depth) -> None:
        """Read what other CI systems report; they have no list that says what is new."""
        others, pause = self._settings.others, SWEEP_EVERY * self._settings.interval
        due = others.due(depth, self._book, pause, self._now) if others.wanted else ()
        for sha in due:
            if not self._may_go_on():
                return
            read = partial(others.read, self._trunk, sha, self._client, self._book, self._now)
            self._try(f"others {sha}", read)

    def _try(self, name: str, read: Callable[[], Iterable[Fact] | None]) -> bool:
        """Read one thing; whether that succeeded. What came before an error counts: what has been
        read is noted as read."""
        if name in self._failed:
            return False
        try:
            for fact in read() or ():
                self._outcome.facts.append(fact)
        except HOPELESS as error:
            # One address that never answers must not keep all others from being asked.
            if not isinstance(error, SourceUnreachable) or self._unreachable:
                raise
            self._unreachable = True
            self._failed.add(name)
            self._outcome.trouble = self._outcome.trouble or error
            return False
        except SourceError as error:
            self._failed.add(name)
            self._outcome.trouble = self._outcome.trouble or error
            return False
        return True

    # ------------------------------------------------------------------ the end

    def _conclude(self, depth: Depth, start: float) -> None:
        self._runs.forget(start)
        self._forget_details()
        self._outcome.facts.extend(depth.order())
        self._outcome.unread = depth.unread()
        self._outcome.facts.extend(self._book.changes())

    def _forget_details(self) -> None:
        runs, shas = self._runs.runs, {run.sha for run in self._runs.runs.values()}
        for kind in (Kind.HANG, Kind.STEP, Kind.EXPLAINED):
            notes = self._book.all(kind).items()
            gone = [job for job, note in notes if note["run"] and note["run"] not in runs]
            self._book.drop_all(kind, gone)
        self._book.drop_all(
            Kind.SWEEP, [sha for sha in self._book.all(Kind.SWEEP) if sha not in shas]
        )
