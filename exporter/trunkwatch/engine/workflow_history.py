"""All workflows of a trunk: at each commit, and what follows from all commits together."""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from trunkwatch.engine.expiry_queue import ExpiryQueue
from trunkwatch.engine.workflow_commit import WorkflowAt


@dataclass(frozen=True, slots=True)
class WorkflowHistory:
    """One workflow over all commits.

    Attributes:
        name: as it was last seen where it counts; None where it never counted.
        completed: places at which it completed, ascending.
        failed_to_start: whether a run of it ever failed to start.
    """

    name: str | None
    completed: tuple[int, ...]
    failed_to_start: bool


class WorkflowHistories:
    """Kept by identity and commit; what follows is computed when it is asked for."""

    def __init__(self) -> None:
        self._at: dict[str, dict[str, WorkflowAt]] = {}
        self._courses: dict[str, WorkflowHistory] = {}
        self._ignored: Counter[str] = Counter()
        self._unknown: Counter[str] = Counter()
        self._agenda: ExpiryQueue[tuple[str, str]] = ExpiryQueue()

    def put(self, workflow: str, sha: str, at: WorkflowAt) -> None:
        """Take what a workflow is at a commit now."""
        commits = self._at.setdefault(workflow, {})
        before = commits.get(sha)
        if before is not None:
            self._ignored.subtract(before.ignored)
            self._unknown.subtract(before.unknown)
        commits[sha] = at
        self._ignored.update(at.ignored)
        self._unknown.update(at.unknown)
        self._agenda.put((sha, workflow), at.changes_at)
        self._courses.pop(workflow, None)

    def at(self, workflow: str, sha: str) -> WorkflowAt | None:
        """Return what a workflow is at a commit; None where it was not seen."""
        return self._at.get(workflow, {}).get(sha)

    def everywhere(self, workflow: str) -> Collection[WorkflowAt]:
        """Return what a workflow is at each commit where it was seen."""
        return self._at.get(workflow, {}).values()

    def course(self, workflow: str) -> WorkflowHistory:
        """Return what follows from all commits."""
        if workflow not in self._courses:
            self._courses[workflow] = _course(self.everywhere(workflow))
        return self._courses[workflow]

    def latest_names(self) -> dict[str, str]:
        """Name the workflows that count here; one that is only seen elsewhere renames nobody."""
        names = {workflow: self.course(workflow).name for workflow in self._at}
        return {workflow: name for workflow, name in names.items() if name is not None}

    def due(self, now: float) -> Sequence[tuple[str, str]]:
        """Return commits and the workflows there that time has changed; they are put again."""
        return self._agenda.due(now)

    @property
    def changes_at(self) -> float | None:
        """When time will change one of them (seconds since the epoch), or None."""
        return self._agenda.earliest()

    @property
    def ignored(self) -> Mapping[str, int]:
        """Runs that do not count, by reason."""
        return +self._ignored

    @property
    def unknown(self) -> Mapping[str, int]:
        """Rows whose status or conclusion the evidence table does not know, by that word."""
        return +self._unknown


def _course(commits: Collection[WorkflowAt]) -> WorkflowHistory:
    counting = sorted((at.commit_index, at) for at in commits if at.commit_index is not None)
    return WorkflowHistory(
        name=counting[-1][1].name if counting else None,
        completed=tuple(commit_index for commit_index, at in counting if at.completed),
        failed_to_start=any(at.startup_jobs for at in commits),
    )
