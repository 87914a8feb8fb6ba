"""The values of the policy: trunks, commits, jobs, observations, verdicts."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property
from typing import Any, NamedTuple

import msgspec

RunId = int | str
"""A run's id in its CI: a number or a text."""

STARTUP_JOB = "(startup)"
"""The name of the pseudo-job that fails when a run fails before it has a job."""


class Evidence(StrEnum):
    """The evidence of one attempt of one job."""

    PASS = "pass"
    FAIL = "fail"
    SKIP = "skip"
    UNKNOWN = "unknown"
    PENDING = "pending"

    # That of `Enum` is computed in Python, several times for each result.
    __hash__ = str.__hash__


class Verdict(StrEnum):
    """The verdict of all observations of a job at one commit."""

    PASS = "PASS"
    FAIL = "FAIL"
    FLAKY = "FLAKY"
    PENDING = "PENDING"
    NONE = "NONE"

    __hash__ = str.__hash__

    @property
    def decided(self) -> bool:
        """Whether it is PASS, FAIL or FLAKY."""
        return self in DECIDED


DECIDED = frozenset({Verdict.PASS, Verdict.FAIL, Verdict.FLAKY})


class Trunk(NamedTuple):
    """One branch of one repository."""

    repo: str
    branch: str

    def __str__(self) -> str:
        return f"{self.repo} {self.branch}"


class RawJob(NamedTuple):
    """A job as the CI names it, before ignoring, folding and aliases.

    Attributes:
        workflow_name: shown to people; may change.
        workflow_path: identifies the workflow, where the CI has paths.
        job_name: the full name, shard and runner included.
    """

    workflow_name: str
    workflow_path: str | None
    job_name: str

    @property
    def workflow_key(self) -> str:
        """The workflow's identity: its path where there is one, so that a rename keeps history."""
        return self.workflow_path or self.workflow_name


def display_name(workflow: str, job_name: str) -> str:
    """Return the name of a job within its trunk: "workflow / job_name"."""
    return f"{workflow} / {job_name}"


class JobKey(NamedTuple):
    """A job as Trunkwatch names it: after ignoring, folding and aliases."""

    repo: str
    branch: str
    workflow: str
    job_name: str

    @property
    def trunk(self) -> Trunk:
        """The branch."""
        return Trunk(self.repo, self.branch)

    @property
    def display_name(self) -> str:
        """The job's name within its trunk, as GitHub shows it: "workflow / job_name"."""
        return display_name(self.workflow, self.job_name)

    @property
    def full_name(self) -> str:
        """The only name that no other job has: "repo branch: workflow / job_name"."""
        return f"{self.repo} {self.branch}: {self.display_name}"


@dataclass(frozen=True, slots=True)
class Commit:
    """One commit of a trunk.

    Attributes:
        sha: the full hash, lower case.
        committed_at: seconds since the epoch, or None where it is unknown.
        author: in the source's spelling, or None.
        title: the first line of the message, or None.
    """

    sha: str
    committed_at: float | None = None
    author: str | None = None
    title: str | None = None


class Observation(msgspec.Struct, frozen=True, gc=False):
    """One attempt of one job at one commit, as reported by the CI.

    No frozen dataclass: there is one for each result, and this one is built in a tenth of the time.
    It refers to texts, numbers and tuples of these only, so that the garbage collector needs not
    look at it.

    Attributes:
        trunk: the trunk for which the source reports it.
        sha: the commit that was built.
        job: the job's raw name.
        status: `completed` or one of the CI's unfinished states.
        conclusion: the CI's result, read only when completed; None where it is unknown.
        run_id: identifies the run; None where the CI has no runs.
        attempt: counts from 1 within a run.
        job_id: the CI's id of this row, where it has one.
        run_number: orders runs of one commit.
        event: the event that started the run (`push`, `schedule`, ...).
        head_branch: the run's branch; a fork may have a branch of the same name.
        head_repo: the repository of that branch.
        created_at: seconds since the epoch, or None.
        started_at: seconds since the epoch, or None.
        completed_at: seconds since the epoch, or None.
        url: of the log page.
        failed_step: the first step that failed.
        infra: the CI reports an infrastructure failure.
        annotations: the CI's messages about the failure, shortened by `annotation_lines`.
        run_completed: the CI reports that this attempt of the run has ended, so that a row
            without a result will never have one.
    """

    trunk: Trunk
    sha: str
    job: RawJob
    status: str
    conclusion: str | None = None
    run_id: RunId | None = None
    attempt: int = 1
    job_id: RunId | None = None
    run_number: int | None = None
    event: str = "push"
    head_branch: str = ""
    head_repo: str = ""
    created_at: float | None = None
    started_at: float | None = None
    completed_at: float | None = None
    url: str | None = None
    failed_step: str | None = None
    infra: bool = False
    annotations: tuple[str, ...] = ()
    run_completed: bool = False

    def changed(self, **values: Any) -> "Observation":
        """Return it with some other values."""
        return msgspec.structs.replace(self, **values)

    @property
    def finished(self) -> bool:
        """Whether the attempt has ended."""
        return self.status == "completed"

    @property
    def began_at(self) -> float | None:
        """The start, else creation, else end of the attempt (seconds since the epoch)."""
        if self.started_at is not None:
            return self.started_at
        return self.created_at if self.created_at is not None else self.completed_at

    @property
    def ended_at(self) -> float | None:
        """The end of the attempt, else `began_at` (seconds since the epoch)."""
        return self.completed_at if self.completed_at is not None else self.began_at


@dataclass(frozen=True)
class TrunkOrder:
    """The commits of a trunk in first-parent order, never sorted by time.

    Attributes:
        trunk: the branch.
        commits: oldest first.
        older_unread: whether older commits exist that were not read.
    """

    trunk: Trunk
    commits: tuple[Commit, ...]
    older_unread: bool = False

    @cached_property
    def index(self) -> dict[str, int]:
        """Each commit's index in `commits`, by its hash; 0 is the oldest."""
        return {commit.sha: commit_index for commit_index, commit in enumerate(self.commits)}

    def extends(self, older: "TrunkOrder") -> bool:
        """Return whether this is `older` with only commits added at the tip."""
        return self is older or (
            self.older_unread == older.older_unread
            and self.commits[: len(older.commits)] == older.commits
        )


class WorkflowState(StrEnum):
    """Whether a workflow can still run, as its CI reports it."""

    ACTIVE = "active"
    DELETED = "deleted"  # its file is gone from the trunk
    DISABLED = "disabled"  # by a person
    INACTIVE = "inactive"  # by the CI, after a time without changes; its jobs may be broken still


@dataclass(frozen=True, slots=True)
class WorkflowReport:
    """The state of one workflow of a trunk.

    A workflow without a report is active until it is missed for too long, one that is reported as
    active until the CI takes that back.

    Attributes:
        trunk: the trunk.
        workflow_key: the workflow's identity, see `RawJob.workflow_key`.
        state: the latest one.
    """

    trunk: Trunk
    workflow_key: str
    state: WorkflowState


def splice(stored: TrunkOrder, fresh: TrunkOrder) -> TrunkOrder:
    """Return the stored order with its newest part replaced by `fresh`.

    Commits older than `fresh` are kept if the two chains meet. If they do not (a rewritten
    history, or a gap larger than the part that was read), only `fresh` is returned.
    """
    if not fresh.commits:
        return stored
    commit_index = stored.index.get(fresh.commits[0].sha)
    if not commit_index:
        return fresh
    return TrunkOrder(
        fresh.trunk, stored.commits[:commit_index] + fresh.commits, stored.older_unread
    )


def with_added(stored: TrunkOrder, added: TrunkOrder) -> TrunkOrder:
    """Return the stored order with the commits of `added`; none is taken away.

    A new commit is put before the next commit of `added` that is stored, or at the tip.
    """
    new: list[Commit] = []
    before: dict[str, list[Commit]] = {}
    for commit in added.commits:
        new.append(commit)
        if commit.sha in stored.index:
            before[commit.sha], new = new, []
    commits: list[Commit] = []
    for commit in stored.commits:
        commits += before.get(commit.sha, (commit,))
    commits += new
    reaches_back = added.commits and commits[0] is added.commits[0]
    older_unread = added.older_unread if reaches_back else stored.older_unread
    return TrunkOrder(stored.trunk, tuple(commits), older_unread)


def rewrites(stored: TrunkOrder, fresh: TrunkOrder) -> bool:
    """Return whether `fresh` lacks the stored tip: a force push."""
    return bool(stored.commits) and stored.commits[-1].sha not in fresh.index


def newest_first(observations: Iterable[Observation]) -> list[Observation]:
    """Return attempts sorted for display, newest first, independent of arrival."""
    return sorted(observations, key=run_order, reverse=True)


class _Identity(NamedTuple):
    """The tie-breaker between rows of one time, so that the order never depends on arrival."""

    run: tuple[bool, RunId]
    attempt: int
    job_name: str
    job: tuple[bool, RunId]
    url: str
    answer: str
    ended: float
    failed_step: str
    annotations: tuple[str, ...]
    workflow: tuple[str, str]
    origin: tuple[str, str, str]


def _identity(row: Observation) -> _Identity:
    return _Identity(
        run_id_order(row.run_id),
        row.attempt,
        row.job.job_name,
        run_id_order(row.job_id),
        row.url or "",
        row.conclusion or row.status,
        row.ended_at if row.ended_at is not None else float("-inf"),
        row.failed_step or "",
        row.annotations,
        (row.job.workflow_name, row.job.workflow_path or ""),
        (row.event, row.head_branch, row.head_repo),
    )


def oldest_first(row: Observation) -> tuple[bool, float, _Identity]:
    """Return a sort key: the earliest attempt first, attempts without a time last."""
    begun = row.began_at
    return begun is None, begun or 0.0, _identity(row)


def run_order(row: Observation) -> tuple[float, int, _Identity]:
    """Return a sort key: attempts by time, total and independent of arrival."""
    return *_run_begin(row), _identity(row)


def _run_begin(row: Observation) -> tuple[float, int]:
    begun, number = row.began_at, row.run_number
    return float("-inf") if begun is None else begun, -1 if number is None else number


def in_run_order(rows: Sequence[Observation]) -> list[Observation]:
    """Return attempts sorted by `run_order`.

    The beginning of that key suffices unless two rows share it, and costs a quarter of it.
    """
    places = {}
    for row in rows:
        place = (*_run_begin(row), run_id_order(row.run_id), row.attempt, row.job.job_name)
        places[place] = row
    if len(places) < len(rows):
        return sorted(rows, key=run_order)
    return [places[place] for place in sorted(places)]


def run_id_order(run_id: RunId | None) -> tuple[bool, RunId]:
    """Return a sort key for run ids: None first, then numbers by value, then texts."""
    if run_id is None:
        return False, -1
    return isinstance(run_id, str), run_id
