"""The workflows of a trunk, at each commit and over all commits."""

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

from trunkwatch.domain.job import earliest
from trunkwatch.domain.model import Commit
from trunkwatch.engine.expiry_queue import ExpiryQueue
from trunkwatch.engine.workflow_commit import WorkflowCommit


@dataclass(frozen=True, slots=True)
class WorkflowHistory:
    """One workflow over all commits.

    Attributes:
        name: its name at the newest commit where it counts; None where it never counted.
        completed: indexes of the commits at which it completed, ascending.
        failed_to_start: whether any of its runs failed to start.
    """

    name: str | None
    completed: tuple[int, ...]
    failed_to_start: bool


class WorkflowHistories:
    """Every workflow of a trunk by identity and commit; a history is computed on first use."""

    def __init__(self) -> None:
        self._commits: dict[str, dict[str, WorkflowCommit]] = {}
        self._histories: dict[str, WorkflowHistory] = {}
        self._ignored_runs: Counter[str] = Counter()
        self._unknown_words: Counter[str] = Counter()
        self._expiries: ExpiryQueue[tuple[str, str]] = ExpiryQueue()

    def put(self, workflow: str, sha: str, current: WorkflowCommit) -> None:
        """Store the current state of a workflow at a commit, replacing the earlier one."""
        commits = self._commits.setdefault(workflow, {})
        before = commits.get(sha)
        if before is not None:
            self._ignored_runs.subtract(before.ignored_runs)
            self._unknown_words.subtract(before.unknown_words)
        commits[sha] = current
        self._ignored_runs.update(current.ignored_runs)
        self._unknown_words.update(current.unknown_words)
        self._expiries.put((sha, workflow), current.changes_at)
        self._histories.pop(workflow, None)

    def get(self, workflow: str, sha: str) -> WorkflowCommit | None:
        """Return a workflow at a commit; None where it has no rows."""
        return self._commits.get(workflow, {}).get(sha)

    def commits_of(self, workflow: str) -> Collection[WorkflowCommit]:
        """Return a workflow at each commit where it has rows."""
        return self._commits.get(workflow, {}).values()

    def history(self, workflow: str) -> WorkflowHistory:
        """Return a workflow's history over all commits."""
        if workflow not in self._histories:
            self._histories[workflow] = _history(self.commits_of(workflow))
        return self._histories[workflow]

    def latest_names(self) -> dict[str, str]:
        """Return the latest name of each workflow that counts on this trunk.

        A workflow that only runs for forks or other branches must not rename one that counts.
        """
        names = {workflow: self.history(workflow).name for workflow in self._commits}
        return {workflow: name for workflow, name in names.items() if name is not None}

    def reported(self, commits: Iterable[Commit]) -> Mapping[str, float | None]:
        """Return those of some commits that have results that count.

        Returns:
            By hash, the time at which the first result was reported (seconds since the epoch), or
            None where that is unknown.
        """
        found: dict[str, float | None] = {}
        for commit in commits:
            counting = [
                each
                for workflow in self._commits.values()
                if (each := workflow.get(commit.sha)) is not None and each.commit_index is not None
            ]
            if counting:
                found[commit.sha] = earliest(each.reported_at for each in counting)
        return found

    def pop_expired(self, now: float) -> Sequence[tuple[str, str]]:
        """Return the (sha, workflow) pairs to evaluate again because of the time, once each."""
        return self._expiries.pop_expired(now)

    @property
    def changes_at(self) -> float | None:
        """When time alone will change the next workflow (seconds since the epoch), or None."""
        return self._expiries.next_expiry()

    @property
    def ignored_runs(self) -> Mapping[str, int]:
        """Numbers of runs that do not count, by reason."""
        return +self._ignored_runs

    def ignored_from(self) -> Mapping[str, tuple[str, ...]]:
        """Return the events, branches and repositories of runs that do not count, by reason."""
        found: dict[str, set[str]] = {}
        for commits in self._commits.values():
            for each in commits.values():
                for reason, values in each.ignored_from.items():
                    found.setdefault(reason, set()).update(values)
        return {reason: tuple(sorted(values)) for reason, values in found.items()}

    @property
    def unknown_words(self) -> Mapping[str, int]:
        """Numbers of rows by the status or conclusion that the evidence table does not list."""
        return +self._unknown_words


def _history(commits: Collection[WorkflowCommit]) -> WorkflowHistory:
    counting = [(each.commit_index, each) for each in commits if each.commit_index is not None]
    counting.sort(key=lambda pair: pair[0])
    return WorkflowHistory(
        name=counting[-1][1].name if counting else None,
        completed=tuple(commit_index for commit_index, each in counting if each.completed),
        failed_to_start=any(each.startup_failures for each in commits),
    )
