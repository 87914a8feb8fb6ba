"""What a source says in one refresh: a stream of facts that is taken whole or not at all."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from trunkwatch.domain.model import Observation, Trunk, TrunkOrder
from trunkwatch.errors import SourceError


@dataclass(frozen=True, slots=True)
class Cursor:
    """Where the source will go on next time; opaque to everybody else.

    Attributes:
        text: whatever the source wants to read back; JSON by habit.
    """

    text: str


@dataclass(frozen=True, slots=True)
class StateEntry:
    """One of many things that a source keeps by name; opaque to everybody else.

    A source of a thousand repositories changes a few of its notes at each refresh, where its one
    cursor would have to be written whole.

    Attributes:
        key: its name.
        text: whatever the source wants to read back; None forgets the note.
    """

    key: str
    text: str | None


@dataclass(frozen=True, slots=True)
class SourceState:
    """What a source is given back.

    Attributes:
        cursor: the text of the last `Cursor` that was stored, or None on a cold start.
        notes: every note that is kept, by its key.
    """

    cursor: str | None = None
    notes: Mapping[str, str] = field(default_factory=dict)


EMPTY_STATE = SourceState()
"""The memory of a cold start."""


@dataclass(frozen=True, slots=True)
class RefreshReport:
    """What a source says of its own work, before anything else; stored nowhere.

    Attributes:
        unread: commits of the window whose results have yet to be read.
        quota_remaining: requests left in the vendor's window, where it has one.
        again: seconds after which it wants to be asked again; None for the poll interval.
        read_until: per trunk, the moment up to which everything that was due has been read
            (seconds since the epoch); a trunk that is not named is as new as the last success.
        trouble: what could not be read, when the rest of the refresh counts all the same; the
            refresh is then no success.
    """

    unread: int = 0
    quota_remaining: int | None = None
    again: float | None = None
    read_until: Mapping[Trunk, float] = field(default_factory=dict)
    trouble: SourceError | None = None


Fact = Observation | TrunkOrder | Cursor | StateEntry | RefreshReport
