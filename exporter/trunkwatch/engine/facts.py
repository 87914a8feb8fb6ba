"""The facts that a refresh of a source yields, and the state that a source keeps in the store."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from trunkwatch.domain.model import (
    Observation,
    Trunk,
    TrunkOrder,
    WorkflowReport,
    WorkflowState,
)
from trunkwatch.domain.suspects import ChangedFiles, Span


@dataclass(frozen=True, slots=True)
class Cursor:
    """The position at which a source continues; opaque to everything else.

    Attributes:
        text: in the source's own format; JSON by convention.
    """

    text: str


@dataclass(frozen=True, slots=True)
class StateEntry:
    """One entry of a source's state; opaque to everything else.

    Entries are written one by one, a cursor as a whole: a source of a thousand repositories
    changes only a few entries per refresh.

    Attributes:
        key: unique within the source.
        text: in the source's own format; None deletes the entry.
    """

    key: str
    text: str | None


@dataclass(frozen=True, slots=True)
class SourceState:
    """The state that a source stored at earlier refreshes.

    Attributes:
        cursor: the text of the last `Cursor`; None on a cold start.
        entries: the text of every `StateEntry`, by its key.
    """

    cursor: str | None = None
    entries: Mapping[str, str] = field(default_factory=dict)


EMPTY_STATE = SourceState()
"""The state on a cold start."""


@dataclass(frozen=True, slots=True)
class TrunkRemoved:
    """A trunk that its source does not watch any more: its branch is gone, or not the default.

    Its outages end as removed once no source feeds it.

    Attributes:
        trunk: the trunk.
        reason: for the log.
    """

    trunk: Trunk
    reason: str = "not watched any more"


@dataclass(frozen=True, slots=True)
class AddedCommits:
    """Commits of a trunk, of which the source may not have all: a `TrunkOrder` has the tip.

    They add to the stored ones (`domain.model.with_added`). None is taken away, so that a part of
    an order is never a force push.

    Attributes:
        order: the commits, oldest first.
    """

    order: TrunkOrder

    @property
    def trunk(self) -> Trunk:
        """The trunk."""
        return self.order.trunk


@dataclass(frozen=True, slots=True)
class ReportedState:
    """The stored state of a workflow, as its CI reports it.

    Attributes:
        state: the latest one.
        tip: the newest commit of the trunk when the state was first reported, as a full hash; None
            where it was unknown. A run of the workflow on a newer commit ends the state.
    """

    state: WorkflowState
    tip: str | None


@dataclass(frozen=True, slots=True)
class FilesReport:
    """The files that a commit of a trunk changes, or several commits together.

    Attributes:
        trunk: the trunk.
        span: the commits.
        files: bounded by `domain.suspects.changed_files`.
    """

    trunk: Trunk
    span: Span
    files: ChangedFiles


Fact = (
    Observation
    | TrunkOrder
    | AddedCommits
    | WorkflowReport
    | FilesReport
    | TrunkRemoved
    | Cursor
    | StateEntry
)
