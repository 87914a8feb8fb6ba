"""Every error that Trunkwatch raises on purpose.

    TrunkwatchError
    ├── UsageError              an invalid flag or argument
    ├── ConfigError             an invalid configuration, with all its problems
    ├── StoreError              the storage file cannot be used; it was left untouched
    ├── ListenError             the exporter cannot listen on a web address
    ├── BadDelivery             a request to a webhook is not a valid delivery
    │   ├── UnsignedDelivery    it has no signature
    │   └── BadSignature        its signature does not match the configured secret
    ├── ReadingError            the status of the exporter or Alertmanager cannot be read
    │   └── UnknownTrunkError   the exporter does not have the trunk
    ├── QueueFullError          alerts of a delivery were not stored; it has to be sent again
    ├── TrackerError            a request for an issue failed, or its outcome is unknown
    │   ├── TrackerUnsure       outcome unknown: no answer, or an ambiguous one
    │   ├── TrackerLimited      rate limited: not done; no request succeeds before a given time
    │   └── TrackerRefused      refused: not done; a retry fails until the cause is removed
    │       └── IssueGone       the issue was deleted or moved away, its repository was not
    └── SourceError             a refresh failed; the last known values stay
        ├── RequestError        an HTTP request failed
        │   ├── NoAnswerError       no answer: refused, timed out, cut off
        │   ├── BadAnswerError      an answer that the server does not document
        │   │   └── LimitExceededError  one that is larger than allowed
        │   ├── CredentialsError    the token is missing or refused
        │   ├── NotFoundError       the resource does not exist, or may not be read
        │   └── RateLimitedError    the rate limit, or the share that may be used, is used up
        ├── RecordedFileError   a recorded file cannot be read (file:line)
        ├── GitError            the local clone with the trunk's commits cannot be read
        └── OrderConflictError  two sources give the commit order of one trunk

Callers decide by the type; the text is for people and names the next step.
"""

from collections.abc import Sequence
from http import HTTPStatus


class TrunkwatchError(Exception):
    """Base of all errors below; its text is one line for the terminal."""


class UsageError(TrunkwatchError):
    """A flag or an argument is invalid."""


class ConfigError(TrunkwatchError):
    """The configuration cannot be used.

    Attributes:
        path: the file.
        problems: one line each: the path of the key and the valid values.
    """

    def __init__(self, path: str, problems: Sequence[str]) -> None:
        self.path = path
        self.problems = tuple(problems)
        super().__init__("\n".join(f"{path}: {problem}" for problem in self.problems))


class StoreError(TrunkwatchError):
    """The storage file cannot be used; it was left untouched.

    Attributes:
        path: the file.
    """

    def __init__(self, path: str, problem: str) -> None:
        self.path = path
        super().__init__(f"storage {path}: {problem}")


class ListenError(TrunkwatchError):
    """The exporter cannot listen on a web address.

    Attributes:
        address: `host:port` as given.
    """

    def __init__(self, address: str, problem: str) -> None:
        self.address = address
        super().__init__(f"cannot listen on {address}: {problem}")


class BadDelivery(TrunkwatchError):  # noqa: N818 — names the thing that was received
    """A request to a webhook is not a valid delivery; the text is the answer to its sender.

    Attributes:
        outcome: the label of `trunkwatch_webhook_deliveries_total`.
    """

    outcome = "malformed"


class UnsignedDelivery(BadDelivery):
    """The delivery has no signature."""

    outcome = "unsigned"


class BadSignature(BadDelivery):
    """The signature of the delivery does not match the configured secret."""

    outcome = "bad_signature"


class ReadingError(TrunkwatchError):
    """The status of the exporter or Alertmanager cannot be read; the last known status stays."""


class UnknownTrunkError(ReadingError):
    """The exporter does not have the trunk."""


class QueueFullError(TrunkwatchError):
    """Alerts of a delivery were not stored; it has to be sent again."""


class TrackerError(TrunkwatchError):
    """A request for an issue failed, or its outcome is unknown."""


class TrackerUnsure(TrackerError):  # noqa: N818 — reads as the state that it reports
    """The outcome is unknown: the server gave no answer, or an ambiguous one."""


class TrackerLimited(TrackerError):  # noqa: N818 — as above
    """Rate limited: the request was not done, and no other succeeds before `until`.

    Attributes:
        until: when to send the next request (seconds since the epoch).
    """

    def __init__(self, problem: str, until: float) -> None:
        self.until = until
        super().__init__(problem)


class TrackerRefused(TrackerError):  # noqa: N818 — as above
    """The request was refused; a retry fails until its cause is removed.

    Attributes:
        status: the HTTP status code.
    """

    def __init__(self, problem: str, status: int) -> None:
        self.status = status
        super().__init__(problem)


class IssueGone(TrackerRefused):
    """The issue was deleted, moved to another repository or made a discussion."""


DETAIL_CHARACTERS = 300
"""Characters of an answer that the log quotes."""


class SourceError(TrunkwatchError):
    """A refresh failed; the last known values stay.

    Its text is shown on pages and holds Trunkwatch's own words only: a server may put anything into
    an error message.

    Attributes:
        reason: one word for the metric `trunkwatch_source_errors_total`.
        detail: words of the server in one line, for the log alone; empty without any.
    """

    reason = "error"

    def __init__(self, problem: str, *, detail: str = "") -> None:
        self.detail = " ".join(detail.split())[:DETAIL_CHARACTERS]
        super().__init__(problem)

    def fields(self) -> dict[str, str]:
        """Return the fields of a log line about it."""
        return {"error": str(self), **({"detail": self.detail} if self.detail else {})}

    def of(self, source: str) -> str:
        """Return the text with the name of the source; the raising code does not have it."""
        return f"source {source}: {self}"


class RequestError(SourceError):
    """An HTTP request failed.

    Attributes:
        status: the HTTP status code of the answer; None without one.
        retryable: the failure may be transient (no answer, 5xx, a short limit).
    """

    def __init__(
        self,
        problem: str,
        *,
        status: int | None = None,
        retryable: bool = False,
        detail: str = "",
    ) -> None:
        self.status = status
        self.retryable = retryable
        super().__init__(problem, detail=detail)


class NoAnswerError(RequestError):
    """No answer: refused, timed out or cut off."""

    reason = "unreachable"


class BadAnswerError(RequestError):
    """An answer that the server does not document."""

    reason = "answer"


class LimitExceededError(BadAnswerError):
    """The answer has more bytes, or the list more pages, than `limits` allow."""

    reason = "too_large"


class CredentialsError(RequestError):
    """The token or secret is missing, unreadable, or refused by the server."""

    reason = "auth"


class NotFoundError(RequestError):
    """The resource does not exist, or may not be read."""

    reason = "missing"

    @property
    def is_refused(self) -> bool:
        """Whether it may exist all the same: a right is missing."""
        return self.status == HTTPStatus.FORBIDDEN


class RateLimitedError(RequestError):
    """The server's rate limit, or the share of it that may be used, is used up.

    Attributes:
        until: when to send the next request (seconds since the epoch).
    """

    reason = "limit"

    def __init__(
        self,
        problem: str,
        until: float,
        *,
        status: int | None = None,
        retryable: bool = False,
        detail: str = "",
    ) -> None:
        self.until = until
        super().__init__(problem, status=status, retryable=retryable, detail=detail)


class RecordedFileError(SourceError):
    """A recorded file cannot be read; the text begins with file and line."""

    reason = "file"


class GitError(SourceError):
    """The local clone with the trunk's commits cannot be read."""

    reason = "git"


class OrderConflictError(SourceError):
    """Two sources give the commit order of one trunk."""

    reason = "order"


_SOURCE_ERRORS: list[type[SourceError]] = [
    SourceError,
    *SourceError.__subclasses__(),
    *RequestError.__subclasses__(),
    LimitExceededError,
]

SOURCE_ERROR_REASONS = frozenset(error.reason for error in _SOURCE_ERRORS)
"""Every `reason`, so that each counter exists at 0 before its first error."""
