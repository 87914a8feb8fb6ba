"""Every error that Trunkwatch raises on purpose.

    TrunkwatchError
    ├── UsageError              a flag or an argument that cannot be meant
    ├── ConfigError             the configuration: all its problems at once
    ├── StoreError              the storage file cannot be used; it was left untouched
    ├── ListenError             the web address cannot be listened on
    ├── BadDelivery             a request to a webhook is not a valid delivery
    │   ├── UnsignedDelivery    it has no signature
    │   └── BadSignature        its signature does not match the configured secret
    ├── ReadingError            the exporter or Alertmanager does not answer as it should
    ├── TrackerError            GitHub's issues: something was not done, or nobody knows
    │   ├── TrackerUnsure       no answer, or none that says whether it was done
    │   ├── TrackerLimited      not done, and nothing else will be before a certain time
    │   └── TrackerRefused      not done, and this will not be until somebody changes something
    │       └── IssueGone       the issue was deleted or moved away
    └── SourceError             a refresh failed; the last known values stay
        ├── RequestError        an HTTP request failed
        │   ├── NoAnswerError       no answer: refused, timed out, cut off
        │   ├── BadAnswerError      an answer that the server does not document
        │   ├── CredentialsError    the token is missing or refused
        │   ├── NotFoundError       the resource does not exist, or may not be read
        │   └── RateLimitedError    the rate limit, or the share of it for us, is used up
        ├── RecordedFileError   a recorded file has a broken line (file:line)
        ├── GitError            the local clone that gives the trunk's order cannot be read
        └── OrderConflictError  two sources both give the order of one trunk

Callers ask for the type; the text is for people and says what to do next.
"""

from collections.abc import Sequence


class TrunkwatchError(Exception):
    """Base of all errors below; its text is one line for the person at the terminal."""


class UsageError(TrunkwatchError):
    """A flag or an argument that cannot be meant."""


class ConfigError(TrunkwatchError):
    """The configuration cannot be used.

    Attributes:
        path: the file.
        problems: one line each, with the key's path and what would be right.
    """

    def __init__(self, path: str, problems: Sequence[str]) -> None:
        self.path = path
        self.problems = tuple(problems)
        super().__init__("\n".join(f"{path}: {problem}" for problem in self.problems))


class StoreError(TrunkwatchError):
    """The storage file cannot be used. It was left as it was found.

    Attributes:
        path: the file.
    """

    def __init__(self, path: str, problem: str) -> None:
        self.path = path
        super().__init__(f"storage {path}: {problem}")


class ListenError(TrunkwatchError):
    """The web address cannot be listened on.

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
    """It has no signature."""

    outcome = "unsigned"


class BadSignature(BadDelivery):
    """Its signature does not match the configured secret."""

    outcome = "bad_signature"


class ReadingError(TrunkwatchError):
    """The exporter or Alertmanager does not answer as it should; what was known stays."""


class TrackerError(TrunkwatchError):
    """Something was not done on GitHub, or nobody knows whether it was."""


class TrackerUnsure(TrackerError):  # noqa: N818 — reads as the state that it reports
    """No answer, or none that says whether it was done."""


class TrackerLimited(TrackerError):  # noqa: N818 — as above
    """It was not done, and nothing else will be before a certain time.

    Attributes:
        until: when to ask again (seconds since the epoch).
    """

    def __init__(self, problem: str, until: float) -> None:
        self.until = until
        super().__init__(problem)


class TrackerRefused(TrackerError):  # noqa: N818 — as above
    """It was not done, and this will not be until somebody changes something.

    Attributes:
        status: of HTTP.
    """

    def __init__(self, problem: str, status: int) -> None:
        self.status = status
        super().__init__(problem)


class IssueGone(TrackerRefused):
    """The issue was deleted, or moved to another repository."""


class SourceError(TrunkwatchError):
    """A refresh failed; the last known values stay.

    Attributes:
        reason: one word for the metric `trunkwatch_source_errors_total`.
    """

    reason = "error"

    def of(self, source: str) -> str:
        """Return the text with the name of the source, which the source itself need not know."""
        return f"source {source}: {self}"


class RequestError(SourceError):
    """An HTTP request failed.

    Attributes:
        status: the status code of the answer; None without an answer that counts.
        retryable: the failure may be an accident (no answer, 5xx, a short limit).
    """

    def __init__(self, problem: str, *, status: int | None = None, retryable: bool = False) -> None:
        self.status = status
        self.retryable = retryable
        super().__init__(problem)


class NoAnswerError(RequestError):
    """No answer: refused, timed out or cut off."""

    reason = "unreachable"


class BadAnswerError(RequestError):
    """An answer that the server does not document."""

    reason = "answer"


class CredentialsError(RequestError):
    """The token or secret is missing, unreadable, or refused by the server."""

    reason = "auth"


class NotFoundError(RequestError):
    """The resource does not exist, or may not be read."""

    reason = "missing"


class RateLimitedError(RequestError):
    """The server's rate limit, or the share of it that may be used, is used up.

    Attributes:
        until: when to send the next request (seconds since the epoch).
    """

    reason = "limit"

    def __init__(
        self, problem: str, until: float, *, status: int | None = None, retryable: bool = False
    ) -> None:
        self.until = until
        super().__init__(problem, status=status, retryable=retryable)


class RecordedFileError(SourceError):
    """A recorded file cannot be read; the text begins with file and line."""

    reason = "file"


class GitError(SourceError):
    """The local clone that gives the trunk's order cannot be read."""

    reason = "git"


class OrderConflictError(SourceError):
    """Two sources both give the order of one trunk."""

    reason = "order"


_SOURCE_ERRORS: list[type[SourceError]] = [
    SourceError,
    *SourceError.__subclasses__(),
    *RequestError.__subclasses__(),
]

SOURCE_ERROR_REASONS = frozenset(error.reason for error in _SOURCE_ERRORS)
"""Every `reason`, so that each counter exists at 0 before its first error."""
