"""Runs, their attempts and their jobs, as they stand at a moment."""

from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import pairwise

from tests.github.history import CommitNode
from tests.github.plan import CANCELED, FAILED, Job, Workflow

COMPLETED = "completed"
NEVER = float("inf")


@dataclass(frozen=True, slots=True)
class Step:
    """One step of a job, as it stands at a moment.

    Attributes:
        number: from 1.
        name: what people see.
        status: queued, in_progress or completed.
        conclusion: None while unfinished.
        started_at: seconds since the epoch, or None.
        completed_at: seconds since the epoch, or None.
    """

    number: int
    name: str
    status: str
    conclusion: str | None
    started_at: float | None
    completed_at: float | None


@dataclass(frozen=True)
class CheckRow:
    """One check run: a job of GitHub Actions, or what another CI reports.

    Attributes:
        id: of the check run, and of the job.
        name: of the check.
        sha: the commit it is of.
        suite: the check suite's id.
        app: the slug of the app that reports it.
        created_at: when the row begins to exist (seconds since the epoch).
        begins_at: when it starts to run (seconds since the epoch).
        ends_at: when it is over (seconds since the epoch); infinite for never.
        answer: its conclusion in the end.
        annotations: messages that stand on it in the end.
        url: where its details are; None for that of the job.
    """

    id: int
    name: str
    sha: str
    suite: int
    app: str
    created_at: float
    begins_at: float
    ends_at: float
    answer: str
    annotations: tuple[str, ...] = ()
    url: str | None = None

    def status(self, now: float) -> str:
        if now >= self.ends_at:
            return COMPLETED
        return "in_progress" if now >= self.begins_at else "queued"

    def conclusion(self, now: float) -> str | None:
        return self.answer if now >= self.ends_at else None

    def started_at(self, now: float) -> float:
        """When it started; while it is queued GitHub says when it was made."""
        return self.begins_at if now >= self.begins_at else self.created_at

    def completed_at(self, now: float) -> float | None:
        return self.ends_at if now >= self.ends_at else None

    def said(self, now: float) -> tuple[str, ...]:
        """Return the annotations that stand on it."""
        return self.annotations if now >= self.ends_at else ()


@dataclass(frozen=True)
class JobRow(CheckRow):
    """One job of one attempt of a run.

    Attributes:
        run_id: of its run.
        attempt: of its run, from 1.
        plan: what was written down.
        copy_of: the job of an earlier attempt that is listed again under this id, or None.
    """

    run_id: int = 0
    attempt: int = 1
    plan: Job = Job("")
    copy_of: int | None = None

    @property
    def failed_step(self) -> str | None:
        if self.answer != "failure":
            return None
        return self.plan.failed_step or f"Run {self.name.partition(' / ')[0]}"

    def steps(self, now: float) -> list[Step]:
        """Return the steps as they stand; a job that is queued or was skipped has none."""
        if now < self.begins_at or self.answer == "skipped":
            return []
        names = ("Set up job", self.failed_step or f"Run {self.name}", "Complete job")
        ends_at = self.ends_at if self.ends_at < NEVER else self.begins_at + 2 * HOUR
        share = (ends_at - self.begins_at) / 10
        edges = (self.begins_at, self.begins_at + share, ends_at - share, ends_at)
        answers = ("success", self.answer, "success")
        return [
            _step(number, name, answer, edge, now)
            for number, (name, answer, edge) in enumerate(
                zip(names, answers, pairwise(edges), strict=True), start=1
            )
        ]


HOUR = 3600.0


def _step(number: int, name: str, answer: str, edge: tuple[float, float], now: float) -> Step:
    begin, end = edge
    if now < begin:
        return Step(number, name, "queued", None, None, None)
    if now < end:
        return Step(number, name, "in_progress", None, begin, None)
    return Step(number, name, COMPLETED, answer, begin, end)


@dataclass(frozen=True)
class Attempt:
    """One attempt of a run.

    Attributes:
        number: from 1.
        at: when it began (seconds since the epoch).
        rows: its jobs.
    """

    number: int
    at: float
    rows: tuple[JobRow, ...]


class Run:
    """One run of a workflow at a commit, with the attempts that a test plans.

    Attributes:
        id: of the run.
        suite: of its check suite; the same for all attempts.
        repo: full name of the repository it is in.
        number: counts the runs of its workflow.
        commit: what it is of.
        workflow: with the name that the workflow had then.
        event: what started it.
        head_branch: the branch that it says it is of.
        head_repo: full name of the repository that this branch is in.
        startup_failure: it broke before it had a single job.
        attempts: in their order.
        deleted_at: when it was deleted (seconds since the epoch), or None.
    """

    def __init__(
        self,
        identity: tuple[int, int, int],
        repo: str,
        commit: CommitNode,
        workflow: Workflow,
        event: str,
        head: tuple[str, str],
        startup_failure: bool,
    ) -> None:
        """Args:
        identity: id, check suite and number.
        repo: full name.
        commit: what it is of.
        workflow: with its name.
        event: what started it.
        head: branch and repository.
        startup_failure: whether it breaks before it has a job.
        """
        self.id, self.suite, self.number = identity
        self.repo = repo
        self.commit = commit
        self.workflow = workflow
        self.event = event
        self.head_branch, self.head_repo = head
        self.startup_failure = startup_failure
        self.attempts: list[Attempt] = []
        self.deleted_at: float | None = None

    @property
    def created_at(self) -> float:
        return self.attempts[0].at

    def exists(self, now: float) -> bool:
        return self.created_at <= now and (self.deleted_at is None or now < self.deleted_at)

    def attempt(self, now: float) -> Attempt:
        """Return the newest attempt that has begun."""
        return next(a for a in reversed(self.attempts) if a.at <= now)

    def rows(self, now: float) -> Iterator[JobRow]:
        """Yield the jobs of all attempts that exist."""
        for attempt in self.attempts:
            yield from (row for row in attempt.rows if row.created_at <= now)

    def status(self, now: float) -> str:
        attempt = self.attempt(now)
        if all(row.ends_at <= now for row in attempt.rows):
            return COMPLETED
        return "in_progress" if any(r.begins_at <= now for r in attempt.rows) else "queued"

    def conclusion(self, now: float) -> str | None:
        if self.status(now) != COMPLETED:
            return None
        if self.startup_failure:
            return "startup_failure"
        answers = {row.answer for row in self.attempt(now).rows}
        for word in ("failure", "timed_out"):
            if word in answers:
                return "failure"
        if "cancelled" in answers:
            return "cancelled"
        return "skipped" if answers == {"skipped"} else "success"

    def updated_at(self, now: float) -> float:
        """Return when anything of it changed last."""
        return self._changes[bisect_right(self._changes, now) - 1]

    @cached_property
    def _changes(self) -> list[float]:
        moments = {attempt.at for attempt in self.attempts}
        for attempt in self.attempts:
            for row in attempt.rows:
                if row.copy_of is None:
                    moments |= {row.created_at, row.begins_at, row.ends_at}
        return sorted(moments)

    def changes(self) -> Sequence[float]:
        """Return every moment at which something of it changes."""
        return self._changes

    def add(self, attempt: Attempt) -> None:
        """Plan one more attempt."""
        self.attempts.append(attempt)
        self.__dict__.pop("_changes", None)

    def delete(self, at: float) -> None:
        """Let it be gone for good from a moment on."""
        self.deleted_at = at


def job_row(run: Run, number: int, begun: float, job: Job, created: float, identity: int) -> JobRow:
    """Make the row of a planned job."""
    ends_at = NEVER if job.end is None else begun + job.end
    return JobRow(
        identity,
        job.name,
        run.commit.sha,
        run.suite,
        "github-actions",
        created,
        max(created, begun + job.start),
        max(created, ends_at),
        job.conclusion,
        _annotations(job, identity),
        run_id=run.id,
        attempt=number,
        plan=job,
    )


def copied(row: JobRow, identity: int, number: int, at: float) -> JobRow:
    """List a finished job of an earlier attempt again, as a re-run may do."""
    return replace(row, id=identity, attempt=number, created_at=at, copy_of=row.id)


def creation_times(jobs: Sequence[Job], begun: float) -> Mapping[str, float]:
    """Return when each job begins to exist: with the attempt, or when its needs are done."""
    ends = {job.name: NEVER if job.end is None else begun + job.end for job in jobs}
    return {
        job.name: max((ends.get(need, begun) for need in job.needs), default=begun) for job in jobs
    }


def _annotations(job: Job, identity: int) -> tuple[str, ...]:
    if job.hang:
        minutes = round(((job.end or 0.0) - job.start) / 60)
        runner = identity % 50
        limit = (
            f"The job running on runner GitHub Actions {runner} has exceeded the maximum"
            f" execution time of {minutes} minutes."
        )
        return (limit, CANCELED, *job.annotations)
    if job.conclusion == "failure":
        return (FAILED, *job.annotations)
    if job.conclusion == "cancelled" and not job.annotations:
        return (CANCELED,)
    return job.annotations
