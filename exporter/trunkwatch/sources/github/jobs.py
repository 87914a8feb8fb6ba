"""Jobs: from the jobs of a run, or from the check runs of a commit, to observations.

A job and its check run are one thing with one id. The check runs of a commit come a hundred a page
whatever workflow they are of; the jobs of a run say more (the attempt, the steps).
https://docs.github.com/en/rest/actions/workflow-jobs, https://docs.github.com/en/rest/checks/runs
"""

import re
from collections.abc import Mapping
from typing import Any, NamedTuple

from trunkwatch.domain.model import Observation, RawJob, Trunk
from trunkwatch.sources.github.client import Listing
from trunkwatch.sources.github.runs import COMPLETED, Run, whole
from trunkwatch.times import parse_time

ACTIONS_APP = "github-actions"

LONG_ENOUGH = 300.0
"""Seconds that a cancelled job must have run for it to be asked whether it hung."""

TOO_LONG = re.compile(r"exceeded the maximum execution time")
"""What GitHub says in an annotation of a job that its own `timeout-minutes` stopped."""

UNFILLED = "${{"
"""A name that still holds this is of a matrix that was skipped before it was spread out."""

_UNFILLED_PART = re.compile(r"(.+?) \([^()]*\$\{\{.*")


class Job(NamedTuple):
    """One attempt of one job, as either list tells it.

    Attributes:
        id: of the job and of its check run.
        name: with its matrix values.
        status: `completed` or one of the unfinished states.
        conclusion: None while unfinished.
        attempt: None where the list does not say.
        run: the run that it is of, where the list says so.
        suite: the check suite that it is in, where the list says so.
        app: the slug of the app that reports it, and its name.
        created: seconds since the epoch, or None.
        started: seconds since the epoch, or None.
        completed: seconds since the epoch, or None.
        url: where people read its log.
        failed_step: the first step that failed, where the list says so.
        annotations: how many there are, where the list says so.
    """

    id: int
    name: str
    status: str
    conclusion: str | None
    attempt: int | None
    run: int | None
    suite: int | None
    app: tuple[str, str]
    created: float | None
    started: float | None
    completed: float | None
    url: str | None
    failed_step: str | None
    annotations: int | None

    @property
    def finished(self) -> bool:
        """Whether GitHub has answered; a completed row without a conclusion is not written yet."""
        return self.status == COMPLETED and self.conclusion is not None

    @property
    def is_unsaid(self) -> bool:
        """Whether it is over and its answer is missing, which should not be."""
        return self.status == COMPLETED and self.conclusion is None

    @property
    def may_have_hung(self) -> bool:
        """Whether it was cancelled after so long that its own time limit may have done it."""
        if self.conclusion != "cancelled" or self.annotations == 0:
            return False
        if self.started is None or self.completed is None:
            return True  # how long it ran is not said; its annotations are
        return self.completed - self.started >= LONG_ENOUGH


def job_of(row: Mapping[str, Any]) -> Job:
    """Read a row of the jobs of a run, or the job of a webhook.

    Raises:
        ValueError: it cannot be told from other jobs.
    """
    if row.get("run_attempt", 1) is None:
        raise ValueError(f"job {row['id']} is of no attempt")
    return Job(
        *_named(row),
        attempt=row.get("run_attempt"),
        run=whole(row.get("run_id")),
        suite=None,
        app=(ACTIONS_APP, ""),
        created=_time(row.get("created_at")),
        started=_time(row.get("started_at")),
        completed=_time(row.get("completed_at")),
        url=row.get("html_url"),
        failed_step=_failed_step(row.get("steps")),
        annotations=None,
    )


def check_of(row: Mapping[str, Any]) -> Job:
    """Read a row of the check runs of a commit, or the check run of a webhook.

    Raises:
        ValueError: it cannot be told from other check runs.
    """
    app = row.get("app") or {}
    suite = whole((row.get("check_suite") or {}).get("id"))
    if suite is None and app.get("slug") in (ACTIONS_APP, None):
        raise ValueError(f"check run {row['id']} is in no check suite")
    annotations = whole((row.get("output") or {}).get("annotations_count"))
    return Job(
        *_named(row),
        attempt=None,
        run=None,
        suite=suite,
        app=(str(app.get("slug") or ""), str(app.get("name") or "")),
        created=None,
        started=_time(row.get("started_at")),
        completed=_time(row.get("completed_at")),
        url=row.get("html_url") or row.get("details_url"),
        failed_step=None,
        annotations=annotations,
    )


JOBS: Listing[Job] = Listing("jobs", job_of, lambda job: job.id, lambda job: job.is_unsaid)
"""How the jobs of a run are read."""

CHECKS: Listing[Job] = Listing(
    "check_runs", check_of, lambda job: job.id, lambda job: job.is_unsaid
)
"""How the check runs of a commit are read."""


def name_of(job: Job) -> str | None:
    """Return the name that a job counts under; None for a row that stands for no job at all.

    A matrix that was skipped before it was spread out is a single row whose name may hold a literal
    `${{ … }}`: it says that its children were present and skipped, under the name that they share.
    """
    if UNFILLED not in job.name:
        return job.name
    match = _UNFILLED_PART.fullmatch(job.name)
    return match.group(1) if match and job.conclusion == "skipped" else None


def observation(trunk: Trunk, run: Run, job: Job, conclusion: str | None) -> Observation | None:
    """Return what a job says, or None when its row stands for no job.

    Args:
        trunk: that the run is of.
        run: that the job is of.
        job: as GitHub reports it.
        conclusion: what it says in the end; None while that is not known.
    """
    name = name_of(job)
    if name is None:
        return None
    status = "in_progress" if job.status == COMPLETED else job.status
    return Observation(
        trunk,
        run.sha,
        RawJob(*run.raw_workflow, name),
        status if conclusion is None else COMPLETED,
        conclusion,
        run_id=run.id,
        attempt=job.attempt or 1,
        job_id=job.id,
        run_number=run.number,
        event=run.event,
        head_branch=trunk.branch,
        head_repo=trunk.repo,
        created_at=job.created,
        started_at=job.started,
        completed_at=job.completed if conclusion is not None else None,
        url=job.url,
        failed_step=job.failed_step,
    )


def _named(row: Mapping[str, Any]) -> tuple[int, str, str, str | None]:
    identity, name, status = row["id"], row["name"], row["status"]
    if whole(identity) is None:
        raise ValueError(f"a row with the id {identity!r}")
    if not isinstance(name, str) or not isinstance(status, str):
        raise ValueError(f"job {identity} with the name {name!r} and the status {status!r}")
    conclusion = row.get("conclusion") if status == COMPLETED else None
    return identity, name, status, conclusion if isinstance(conclusion, str) else None


def _failed_step(steps: object) -> str | None:
    for step in steps if isinstance(steps, list) else ():
        if isinstance(step, dict) and step.get("conclusion") in ("failure", "timed_out"):
            name = step.get("name")
            return name if isinstance(name, str) else None
    return None


def _time(text: object) -> float | None:
    return None if text is None else parse_time(text)
