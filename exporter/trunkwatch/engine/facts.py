"""The output of a refresh: a stream of facts that is stored completely or not at all."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from trunkwatch.domain.model import Observation, Trunk, TrunkOrder
from trunkwatch.errors import SourceError


@dataclass(frozen=True, slots=True)
class Cursor:
    """Where the source continues at its next refresh; opaque to its callers.

    Attributes:
        text: in a format of the source's choice, usually JSON.
    """

    text: str


@dataclass(frozen=True, slots=True)
class StateEntry:
    """One entry of a source's state by key; opaque to its callers.

    A source of a thousand repositories changes a few entries at each refresh, whereas one cursor
    for all of them would have to be written as a whole.

    Attributes:
        key: unique within the source.
        text: in a format of the source's choice; None deletes the entry.
    """

    key: str
    text: str | None


@dataclass(frozen=True, slots=True)
class SourceState:
    """A source's own state, which it reads back at its next refresh.

    Attributes:
        cursor: the text of the last stored `Cursor`; None on a cold start.
        notes: the text of every stored `StateEntry`, by key.
    """

    cursor: str | None = None
    notes: Mapping[str, str] = field(default_factory=dict)


EMPTY_STATE = SourceState()
"""The state on a cold start."""


@dataclass(frozen=True, slots=True)
class RefreshReport:
    """A source's report about its own refresh; not stored.

    Attributes:
        unread: commits of the window whose results have yet to be read.
        quota_remaining: requests left in the vendor's window, where it has one.
        again: seconds until the next refresh; None for the poll interval.
        read_until: per trunk, the time up to which all due results were read (seconds since the
            epoch); a trunk that is missing here is as new as the last success.
        trouble: the error of a partial refresh: its facts are stored, but it is no success.
    """

    unread: int = 0
    quota_remaining: int | None = None
    again: float | None = None
    read_until: Mapping[Trunk, float] = field(default_factory=dict)
    trouble: SourceError | None = None


Fact = Observation | TrunkOrder | Cursor | StateEntry | RefreshReport
