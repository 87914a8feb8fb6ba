"""Workflow runs and their attempts, with their state at a given time."""

from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

from tests.github.checks import ACTIONS, COMPLETED, NEVER, WorkflowJob
from tests.github.commits import CommitNode
from tests.github.workflows import CANCELED, FAILED, Job, Workflow


@dataclass(frozen=True)
class Attempt:
    """One attempt of a run.

    Attributes:
        number: from 1.
        at: the start (seconds since the epoch).
        rows: its jobs.
    """

    number: int
    at: float
    rows: tuple[WorkflowJob, ...]


class Run:
    """One run of a workflow at a commit, with its planned attempts.

    Attributes:
        id: the run id.
        suite: the id of its check suite, the same for all attempts.
        repo: the repository's full name.
        number: the run number within its workflow.
        commit: the head commit.
        workflow: the workflow, under its name at that time.
        event: the triggering event.
        head_branch: the name of the head branch.
        head_repo: full name of the head branch's repository.
        startup_failure: whether it fails before any job is created.
        attempts: in order.
        deleted_at: when it is deleted (seconds since the epoch), or None.
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
        commit: the head commit.
        workflow: the workflow, under its name at that time.
        event: the triggering event.
        head: branch and repository.
        startup_failure: whether it fails before any job is created.
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
        """Return the newest attempt that has started."""
        return next(a for a in reversed(self.attempts) if a.at <= now)

    def rows(self, now: float) -> Iterator[WorkflowJob]:
        """Yield the jobs of all attempts that exist at a time."""
        for attempt in self.attempts:
            yield from (row for row in attempt.rows if row.created_at <= now)

    def latest_rows(self, now: float) -> list[WorkflowJob]:
        """Return the newest job of each name, over all attempts."""
        return list({row.name: row for row in self.rows(now)}.values())

    def status(self, now: float) -> str:
        attempt = self.attempt(now)
        if all(row.ends_at <= now for row in attempt.rows):
            return COMPLETED
        return "in_progress" if any(_runs(row, now) for row in attempt.rows) else "queued"

    def conclusion(self, now: float) -> str | None:
        if self.status(now) != COMPLETED:
            return None
        if self.startup_failure:
            return "startup_failure"
        rows = self.attempt(now).rows
        answers = {"success" if _is_allowed(row) else row.final_conclusion for row in rows}
        for word in ("failure", "timed_out"):
            if word in answers:
                return "failure"
        if "cancelled" in answers:
            return "cancelled"
        return "skipped" if answers == {"skipped"} else "success"

    def updated_at(self, now: float) -> float:
        """Return the time of the last change."""
        return self._changes[bisect_right(self._changes, now) - 1]

    @cached_property
    def _changes(self) -> list[float]:
        moments = {attempt.at for attempt in self.attempts}
        for attempt in self.attempts:
            for row in attempt.rows:
                if row.copy_of is None:
                    moments |= {row.created_at, row.begins_at, row.ends_at}
        return sorted(moments)

    def changed_after(self, since: float, now: float) -> bool:
        """Return whether the run is created by now and changed after another time."""
        return self.created_at <= now and self.updated_at(now) > since

    def changes(self) -> Sequence[float]:
        """Return the times of all changes, sorted."""
        return self._changes

    def add(self, attempt: Attempt) -> None:
        """Plan another attempt."""
        self.attempts.append(attempt)
        self.__dict__.pop("_changes", None)

    def delete(self, at: float) -> None:
        """Delete the run at a time."""
        self.deleted_at = at


def _is_allowed(row: WorkflowJob) -> bool:
    return row.plan is not None and row.plan.continue_on_error


def _runs(row: WorkflowJob, now: float) -> bool:
    return row.copy_of is None and row.begins_at <= now


def workflow_job(
    run: Run, number: int, begun: float, job: Job, created: float, identity: int
) -> WorkflowJob:
    """Return the job of an attempt that follows a plan."""
    ends_at = NEVER if job.end is None else begun + job.end
    return WorkflowJob(
        identity,
        job.name,
        run.commit.sha,
        run.suite,
        ACTIONS,
        created,
        max(created, begun + job.start),
        max(created, ends_at),
        job.conclusion,
        _annotations(job, identity),
        run_id=run.id,
        attempt=number,
        plan=job,
    )


def relisted(row: WorkflowJob, identity: int, number: int, at: float) -> WorkflowJob:
    """Return a completed job of an earlier attempt under a new id, as a re-run may list it."""
    return replace(row, id=identity, attempt=number, created_at=at, copy_of=row.id)


def creation_times(jobs: Sequence[Job], begun: float) -> Mapping[str, float]:
    """Return each job's creation time: the start of the attempt, or the end of its needs."""
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
