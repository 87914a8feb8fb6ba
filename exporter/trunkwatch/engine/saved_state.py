"""The evaluated state of a trunk, as it is stored: a restart reads it instead of all rows."""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field, fields, is_dataclass
from enum import Enum
from typing import NamedTuple

from trunkwatch.domain.history import ColumnHistory
from trunkwatch.domain.model import Commit, JobKey, RawJob
from trunkwatch.domain.policy import Policy
from trunkwatch.domain.walk import JobWalk
from trunkwatch.engine.workflow_commit import WorkflowCommit
from trunkwatch.patterns import Pattern

STATE_VERSION = 3
"""Raised whenever an evaluation of the same rows by the same policy gives another state."""


@dataclass(frozen=True, slots=True)
class SavedJob:
    """One watched job, see `TrackedJob`, without what its name and the policy decide.

    Attributes:
        walk: over all of its commits.
        checkpoints: earlier walks, oldest first.
        counts_starts: see `TrackedJob`.
    """

    walk: JobWalk
    checkpoints: tuple[JobWalk, ...]
    counts_starts: bool


class WorkflowPlace(NamedTuple):
    """A workflow, by identity, at a commit."""

    workflow: str
    sha: str


class SavedTrunk(NamedTuple):
    """The whole state of one trunk.

    Attributes:
        commits: number of the trunk's oldest commits that it was evaluated with.
        raw_jobs: all raw jobs that have rows.
        jobs: the watched jobs, with their columns.
        workflows: the workflows at each commit.
    """

    commits: int
    raw_jobs: Iterable[RawJob]
    jobs: Mapping[JobKey, tuple[SavedJob, ColumnHistory]]
    workflows: Mapping[WorkflowPlace, WorkflowCommit]


class ChangedJob(NamedTuple):
    """A job whose state differs from the saved one.

    Attributes:
        before: its saved columns; None where it is not saved.
        saved: its state; None where no row of it counts any more.
        history: its columns.
    """

    before: ColumnHistory | None
    saved: SavedJob | None
    history: ColumnHistory


@dataclass(slots=True)
class StateChanges:
    """The differences from the saved state.

    Attributes:
        is_whole: nothing of the saved state is valid.
        jobs: the changed jobs.
        workflows: the workflows that were evaluated again, at their commits; None for one whose
            rows there were dropped.
    """

    is_whole: bool = False
    jobs: dict[JobKey, ChangedJob] = field(default_factory=dict)
    workflows: dict[WorkflowPlace, WorkflowCommit | None] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return bool(self.is_whole or self.jobs or self.workflows)

    def clear(self) -> None:
        """Note that all of them are stored."""
        self.is_whole = False
        self.jobs.clear()
        self.workflows.clear()

    def note_job(
        self, key: JobKey, before: ColumnHistory | None, saved: SavedJob | None, now: ColumnHistory
    ) -> None:
        """Note a job that has changed.

        Args:
            key: the job.
            before: its columns before; None for a new one.
            saved: its state; None for one without rows that count.
            now: its columns.
        """
        earlier = self.jobs.get(key)
        self.jobs[key] = ChangedJob(before if earlier is None else earlier.before, saved, now)


def order_digest(commits: Sequence[Commit], digest: str = "") -> str:
    """Return a digest of commits after others.

    Args:
        commits: the later ones.
        digest: of the earlier ones.
    """
    for commit in commits:
        # The time decides when an unfinished row without one expires.
        text = f"{digest}{commit.sha}{commit.committed_at}"
        digest = hashlib.blake2b(text.encode(), digest_size=16).hexdigest()
    return digest


def policy_digest(policy: Policy) -> str:
    """Return a digest of what decides about the saved state: a state of another one is void."""
    parts = (STATE_VERSION, policy.evidence, policy.naming, policy.groups)
    return hashlib.blake2b(_canonical(parts).encode(), digest_size=16).hexdigest()


def _canonical(value: object) -> str:
    """Return a text that is equal for equal settings only."""
    if isinstance(value, Pattern):
        return f"re({value.text!r})"
    if is_dataclass(value):
        parts = (f"{f.name}={_canonical(getattr(value, f.name))}" for f in fields(value))
        return f"{type(value).__name__}({','.join(parts)})"
    if isinstance(value, Enum):
        return f"{type(value).__name__}.{value.name}"
    if isinstance(value, Mapping):
        items = sorted((_canonical(k), _canonical(v)) for k, v in value.items())
        return f"{{{','.join(f'{k}:{v}' for k, v in items)}}}"
    if isinstance(value, AbstractSet):
        return f"{{{','.join(sorted(map(_canonical, value)))}}}"
    if isinstance(value, tuple | list):
        return f"({','.join(map(_canonical, value))})"
    return repr(value)
