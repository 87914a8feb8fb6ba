"""The words of the policy as values."""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property
from typing import NamedTuple

RunId = int | str
"""A run's identity as its CI gives it: a number or a text."""

STARTUP_JOB = "(startup)"
"""The pseudo-job of a workflow whose run broke before it had a single job."""


class Evidence(StrEnum):
    """What one attempt of one job says."""

    PASS = "pass"
    FAIL = "fail"
    SKIP = "skip"
    UNKNOWN = "unknown"
    PENDING = "pending"


class Verdict(StrEnum):
    """What all observations of a job at one commit say together."""

    PASS = "PASS"
    FAIL = "FAIL"
    FLAKY = "FLAKY"
    PENDING = "PENDING"
    NONE = "NONE"

    @property
    def decided(self) -> bool:
        """Whether it is an answer (PASS, FAIL or FLAKY) at all."""
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
        workflow_name: what people see; may change.
        workflow_path: what identifies the workflow, where the CI has such a thing.
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
    def display_name(self) -> str:
        """The job's name within its trunk, as GitHub shows it: "workflow / job_name"."""
        return display_name(self.workflow, self.job_name)


@dataclass(frozen=True, slots=True)
class Commit:
    """One commit of a trunk.

    Attributes:
        sha: the full hash, lower case.
        committed_at: seconds since the epoch, or None where it is unknown.
        author: as the source names the author, or None.
        title: the first line of the message, or None.
    """

    sha: str
    committed_at: float | None = None
    author: str | None = None
    title: str | None = None


@dataclass(frozen=True, slots=True)
class Observation:
    """One attempt of one job at one commit, as the CI reported it.

    Attributes:
        trunk: the trunk that the source reports it for.
        sha: the commit that was built.
        job: the job's raw name.
        status: `completed` or one of the CI's unfinished states.
        conclusion: the CI's answer; read only when completed; None is unknown.
        run_id: what identifies the run, or None where the CI has no such thing.
        attempt: counts from 1 within a run.
        job_id: the CI's id of this row, where it has one.
        run_number: orders runs of one commit.
        event: what started the run (`push`, `schedule`, ...).
        head_branch: the branch the run says it is of; a fork may have one of the same name.
        head_repo: the repository that branch is in.
        created_at: seconds since the epoch, or None.
        started_at: seconds since the epoch, or None.
        completed_at: seconds since the epoch, or None.
        url: where a person reads the log.
        failed_step: the first step that failed.
        infra: the CI says that its own machinery broke, not the code.
        annotations: what the CI says about why it failed, as `annotation_lines` cuts it.
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

    @property
    def finished(self) -> bool:
        """Whether the CI has answered."""
        return self.status == "completed"

    @property
    def known_since(self) -> float | None:
        """When this attempt began, as exactly as the CI says (seconds since the epoch)."""
        if self.started_at is not None:
            return self.started_at
        return self.created_at if self.created_at is not None else self.completed_at

    @property
    def ended(self) -> float | None:
        """When this attempt ended, as exactly as the CI says (seconds since the epoch)."""
        return self.completed_at if self.completed_at is not None else self.known_since


@dataclass(frozen=True)
class TrunkOrder:
    """The first-parent chain of a trunk, never ordered by time.

    Attributes:
        trunk: the branch it is of.
        commits: oldest first.
        older_unread: older commits exist that were not read.
    """

    trunk: Trunk
    commits: tuple[Commit, ...]
    older_unread: bool = False

    @cached_property
    def index(self) -> dict[str, int]:
        """Each commit's place in `commits`, by its hash; 0 is the oldest."""
        return {commit.sha: commit_index for commit_index, commit in enumerate(self.commits)}

    def extends(self, older: "TrunkOrder") -> bool:
        """Whether this is `older` with commits added at the tip and nothing else changed."""
        return (
            self.older_unread == older.older_unread
            and self.commits[: len(older.commits)] == older.commits
        )


def splice(known: TrunkOrder, fresh: TrunkOrder) -> TrunkOrder:
    """Return what is known of a trunk once `fresh`, its newest part, has been read.

    Commits older than `fresh` stay known as long as the two chains meet; where they do not meet
    (a rewritten history, or a gap larger than what was read), only `fresh` is certain.
    """
    if not fresh.commits:
        return known
    commit_index = known.index.get(fresh.commits[0].sha)
    if not commit_index:
        return fresh
    return TrunkOrder(fresh.trunk, known.commits[:commit_index] + fresh.commits, known.older_unread)


def rewrites(known: TrunkOrder, fresh: TrunkOrder) -> bool:
    """Whether `fresh` no longer holds the tip that was known: a force push."""
    return bool(known.commits) and known.commits[-1].sha not in fresh.index


def newest_first(observations: Iterable[Observation]) -> list[Observation]:
    """Sort attempts for reading: the newest first, in an order that arrival cannot change."""
    return sorted(observations, key=run_order, reverse=True)


class _Identity(NamedTuple):
    """Tells rows of one moment apart, so that arrival never decides between them."""

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
        row.ended if row.ended is not None else float("-inf"),
        row.failed_step or "",
        row.annotations,
        (row.job.workflow_name, row.job.workflow_path or ""),
        (row.event, row.head_branch, row.head_repo),
    )


def oldest_first(row: Observation) -> tuple[bool, float, _Identity]:
    """A sort key that puts the earliest attempt first; one without a time comes last."""
    begun = row.known_since
    return begun is None, begun or 0.0, _identity(row)


def run_order(row: Observation) -> tuple[float, int, _Identity]:
    """The order of attempts in time, complete and independent of arrival."""
    begun = row.known_since if row.known_since is not None else float("-inf")
    number = row.run_number if row.run_number is not None else -1
    return begun, number, _identity(row)


def run_id_order(run_id: RunId | None) -> tuple[bool, RunId]:
    """A sort key for run ids: none first, then numbers by value, then texts."""
    if run_id is None:
        return False, -1
    return isinstance(run_id, str), run_id
