"""The interfaces between the engine and the sources; contract tests run against every source."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable

from trunkwatch.domain.evidence import DEFAULT_EVENTS
from trunkwatch.domain.model import Observation, Trunk
from trunkwatch.domain.suspects import Span
from trunkwatch.engine.facts import Fact, SourceState
from trunkwatch.errors import SourceError
from trunkwatch.rest.http import HttpContext


@dataclass(frozen=True, slots=True)
class TrunkReport:
    """The state of one trunk after a refresh of its source.

    Attributes:
        read_until: the time up to which all due results have been read (seconds since the epoch):
            the age of the newest evidence about the newest commits, not of the last request. None
            while this object has not read it: the engine knows how far earlier ones came.
        error: why the trunk could not be read completely; the source's other trunks are well.
    """

    read_until: float | None
    error: SourceError | None = None


@dataclass(frozen=True, slots=True)
class Limitation:
    """A right that the credentials lack, an address that the server refuses, or another lack.

    Attributes:
        name: a short word for logs and the label of a metric, such as `checks`.
        text: the answers that are missing without it, and the right that would give them.
    """

    name: str
    text: str


@dataclass(frozen=True, slots=True)
class RefreshReport:
    """What a source reports about a refresh; none of it is stored.

    Attributes:
        unread: commits of the window whose results have not been read yet.
        quota_remaining: requests left in the vendor's window; None for a vendor without quota.
        retry_after: seconds until the next refresh; None for the poll interval.
        trunks: each trunk that is watched now; one that is absent is as fresh as the last success.
        error: an error of the whole source, whose facts count all the same; such a refresh does
            not count as a success.
        limitations: rights and addresses that the source lacks.
        dropped: numbers of rows that were read and cannot be used, by reason; each row counts
            once, in the first refresh that reads it.
    """

    unread: int = 0
    quota_remaining: int | None = None
    retry_after: float | None = None
    trunks: Mapping[Trunk, TrunkReport] = field(default_factory=dict)
    error: SourceError | None = None
    limitations: tuple[Limitation, ...] = ()
    dropped: Mapping[str, int] = field(default_factory=dict)

    @property
    def failure(self) -> SourceError | None:
        """The error of a refresh that is no success: of the source, or of every trunk."""
        errors = [trunk.error for trunk in self.trunks.values()]
        return self.error or (errors[0] if errors and all(errors) else None)


@dataclass(frozen=True, slots=True)
class Refresh:
    """The result of one refresh.

    Attributes:
        facts: to be stored completely or not at all, beside those that `SourceContext.store` took
            during the refresh. Only a local file may still be read while they are iterated, before
            any lock is taken; that may raise SourceError.
        report: about the refresh itself.
    """

    facts: Iterable[Fact]
    report: RefreshReport = RefreshReport()


class Source(Protocol):
    """One CI server, or one file of results."""

    def refresh(self, state: SourceState) -> Refresh:
        """Read new results; all network requests end before this returns.

        Args:
            state: what the source stored at earlier refreshes.

        Raises:
            SourceError: nothing of this refresh counts; the last known values stay.
        """


class DeliveryUpdate(Protocol):
    """The change that one webhook delivery reports."""

    @property
    def needs_refresh(self) -> bool:
        """Whether a refresh is due, because the delivery does not contain the change itself."""

    def facts(self, state: SourceState) -> Iterable[Fact]:
        """Return the facts to store.

        Args:
            state: of the source; nothing else is stored before these facts are.
        """


@dataclass(frozen=True, slots=True)
class Delivery:
    """One webhook delivery whose signature was verified.

    Attributes:
        id: unique among the deliveries of a source, the same when one is delivered again.
        update: the change; None where it concerns nothing that is watched.
        is_ping: a test of the connection, which contains no event.
    """

    id: str
    update: DeliveryUpdate | None
    is_ping: bool = False


@runtime_checkable
class WebhookSource(Protocol):
    """A source that also takes webhooks; it verifies and parses its own deliveries."""

    @property
    def webhook_enabled(self) -> bool:
        """Whether a webhook secret is configured."""

    def check_headers(self, headers: Mapping[str, str]) -> None:
        """Reject a request before its body is read.

        Args:
            headers: by lower-case name.

        Raises:
            BadDelivery: no body could make it a valid delivery.
        """

    def parse_delivery(self, headers: Mapping[str, str], body: bytes) -> Delivery:
        """Verify and parse one request.

        Args:
            headers: by lower-case name.
            body: as it was sent.

        Raises:
            BadDelivery: it is not a delivery that the CI server documents, or not signed with
                the configured secret.
            SourceError: the configured secret cannot be read.
        """


@dataclass(frozen=True, slots=True)
class FailureFocus:
    """The failures of one trunk that people are looking at, which a source reads first.

    Attributes:
        commits: those on which jobs with an open outage failed.
        without_step: the first failing runs whose failed step has not been read.
        unexplained: the first failing runs whose annotations have not been read.
        files: commits whose changed files rank the suspects, and have not been read; in the order
            in which to read them, when nothing else is left.
    """

    commits: frozenset[str] = frozenset()
    without_step: frozenset[Observation] = frozenset()
    unexplained: frozenset[Observation] = frozenset()
    files: tuple[Span, ...] = ()


@dataclass(frozen=True, slots=True)
class SourceContext:
    """The dependencies of a source, as arguments.

    Attributes:
        http: session, request counter, clock and sleep.
        events: which events' runs count (`jobs.events`).
        focus: returns the failures of a trunk to read first.
        store: stores facts of a refresh that goes on, complete for their trunks; None where all are
            stored at its end. Raises StoreError.
        owns: returns whether this exporter reads a repository, given its label `repo`; another
            shard reads the others (docs/scale.md). A source sends no request about these, and does
            not remove what it has stored of them.
        refreshes_once: whether the refreshes end once all is read, as those of a command do, so
            that no later one can show that something has not changed.
    """

    http: HttpContext = HttpContext()  # noqa: RUF009 — frozen
    events: frozenset[str] = DEFAULT_EVENTS
    focus: Callable[[Trunk], FailureFocus] = lambda _trunk: FailureFocus()
    store: Callable[[Iterable[Fact]], None] | None = None
    owns: Callable[[str], bool] = lambda _repo: True
    refreshes_once: bool = False
