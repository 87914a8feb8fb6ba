"""The settings of a refresh, and its result so far."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import NamedTuple

from trunkwatch.engine.facts import Fact
from trunkwatch.errors import NoAnswerError, SourceError
from trunkwatch.rest.client import FATAL_ERRORS
from trunkwatch.rest.limits import RefreshBudget
from trunkwatch.sources.github.external_checks import ExternalChecks
from trunkwatch.sources.github.state import Kind, TrunkContext
from trunkwatch.sources.github.suites import SuiteClient

UNREADABLE_COMMIT_TIMEOUT_SECONDS = 1800.0
"""Seconds for which a commit whose jobs cannot be read holds back the newer ones: it may be the
pass between their failures. After that it counts as a commit on which nothing ran."""


class Graph(NamedTuple):
    """GraphQL, where it can be used.

    Attributes:
        suites: reads through it.
        points: that may be used.
    """

    suites: SuiteClient
    points: RefreshBudget


@dataclass(frozen=True, slots=True)
class ReadSettings:
    """The settings of a refresh, the same for every trunk of a source.

    Attributes:
        window: commits to read.
        interval: seconds from one refresh to the next.
        external: the results of other CI systems that count.
        budget: the requests that may be sent.
        graph: GraphQL; None where it is not configured.
    """

    window: int
    interval: float
    external: ExternalChecks
    budget: RefreshBudget
    graph: Graph | None = None


@dataclass(slots=True)
class Outcome:
    """The result of reading one trunk, or of all trunks of a source.

    Attributes:
        facts: the facts that are certain now.
        error: the first error of what could not be read.
        unread: commits of the window whose results have not been read.
        more: history could be read at once, and was left for the next refresh.
        due_since: when the oldest read that was left out became due (seconds, epoch), or None.
    """

    facts: list[Fact] = field(default_factory=list)
    error: SourceError | None = None
    unread: int = 0
    more: bool = False
    due_since: float | None = None

    def add_error(self, error: SourceError | None) -> None:
        """Keep the first error."""
        self.error = self.error or error

    def add(self, outcome: "Outcome") -> None:
        """Add the result of one trunk to that of the source."""
        self.facts.extend(outcome.facts)
        self.add_error(outcome.error)
        self.unread += outcome.unread
        self.more |= outcome.more

    def may_go_on(self, budget: RefreshBudget) -> bool:
        """Return whether history may be read now; note whether it may be read in a moment."""
        if budget.for_history():
            return True
        self.more = budget.history_later()
        return False

    def leave_out(self, since: float) -> None:
        """Let the data age while something is not read.

        Args:
            since: when it became due (seconds since the epoch).
        """
        self.due_since = since if self.due_since is None else min(self.due_since, since)


class Attempts:
    """The reads of one trunk in one refresh: an error of one keeps no other from being tried.

    Attributes:
        outcome: of all of them.
    """

    def __init__(self, context: TrunkContext) -> None:
        self.outcome = Outcome()
        self._state = context.state
        self._now = context.now
        self._failed: set[str] = set()
        self._unreachable = False

    def has_failed(self, name: str) -> bool:
        """Return whether something could not be read in this refresh."""
        return name in self._failed

    def read(self, name: str, read: Callable[[], Iterable[Fact] | None]) -> bool:
        """Read one thing; return whether that succeeded.

        Facts before an error count: they are stored as read.
        """
        if name in self._failed:
            return False
        try:
            for fact in read() or ():
                self.outcome.facts.append(fact)
        except SourceError as error:
            # One address that never answers must not keep all others from being read.
            fatal = isinstance(error, FATAL_ERRORS)
            if fatal and (self._unreachable or not isinstance(error, NoAnswerError)):
                raise
            self._unreachable = self._unreachable or fatal
            self._failed.add(name)
            self.outcome.add_error(error)
            return False
        return True

    def read_commit(self, sha: str, read_jobs: Callable[[], Iterable[Fact]]) -> bool:
        """Read the jobs of a commit; return False if newer commits must wait for it."""
        entry = self._state.get(Kind.COMMIT, sha) or {}
        failing = entry.get("failing", self._now)
        # Written beforehand, because a successful read replaces the entry.
        self._state.put(Kind.COMMIT, {**entry, "failing": failing}, sha)
        read = self.read(sha, read_jobs)
        return read or self._now - failing > UNREADABLE_COMMIT_TIMEOUT_SECONDS
