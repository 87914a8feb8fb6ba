"""Jobs: from the jobs of a run, or from the check runs of a commit, to observations.

A job and its check run are one thing with one id. The check runs of a commit come a hundred a page
whatever workflow they are of; the jobs of a run have more fields (the attempt, the steps).
https://docs.github.com/en/rest/actions/workflow-jobs, https://docs.github.com/en/rest/checks/runs
"""

import math
import re
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from trunkwatch.domain.model import Observation, Trunk
from trunkwatch.github import TOTAL
from trunkwatch.rest.json_text import (
    int_or_none,
    list_or_empty,
    object_or_empty,
    optional_object,
    text_or_none,
)
from trunkwatch.rest.lists import Listing
from trunkwatch.sources.github.runs.run import COMPLETED, Run, id_of, row_of
from trunkwatch.times import parse_time, plausible_time

ACTIONS_APP = "github-actions"

MIN_TIMED_OUT_SECONDS = 300.0
"""Seconds that a cancelled job must have run for its own time limit to be a possible cause."""

TIMED_OUT_MESSAGE = re.compile(r"exceeded the maximum execution time")
"""GitHub's annotation of a job that its own `timeout-minutes` stopped."""

JOB_URL = re.compile(r"/actions/runs/(\d+)/job/(\d+)(?:[/?#]|\Z)")
"""Part of the address of a job: the ids of its run and of itself. A check run that a step made
through the API has another address: it is in the suite of any run of the commit, and is no job."""

RAN = ("SUCCESS", "FAILURE", "TIMED_OUT")
"""Conclusions of check runs that have run, in the words of GraphQL."""

UNREADABLE = "unreadable"
"""The status of a job whose own, or whose conclusion, cannot be read: it is read again."""

UNEXPANDED = "${{"
"""Part of the name of a matrix that was skipped before it was expanded."""

_UNEXPANDED_VALUES = re.compile(r"(?<=.) \([^()]*?\$\{\{", re.DOTALL)


class Job(NamedTuple):
    """One attempt of one job, from either list.

    Attributes:
        id: of the job and of its check run.
        name: with its matrix values.
        status: `completed`, one of the unfinished states, or `UNREADABLE`.
        conclusion: None while unfinished.
        attempt: None where the list omits it.
        run: the id of its run; None where the list omits it, or it is no job of a run.
        suite: the id of its check suite; None where the list omits it.
        app: the slug of the app that reports it, and its name.
        created: seconds since the epoch, or None.
        started: seconds since the epoch, or None.
        completed: seconds since the epoch, or None.
        url: of its log.
        failed_step: the first step that failed; None where the list omits it.
        annotations: their number; None where the list omits it.
        node: the GraphQL id of its check run; empty where the list omits it.
    """

    id: int
    name: str
    status: str
    conclusion: str | None
    attempt: int | None = None
    run: int | None = None
    suite: int | None = None
    app: tuple[str, str] = (ACTIONS_APP, "")
    created: float | None = None
    started: float | None = None
    completed: float | None = None
    url: str | None = None
    failed_step: str | None = None
    annotations: int | None = None
    node: str = ""

    @property
    def finished(self) -> bool:
        """Whether it has a result; a completed row without a conclusion is not written yet."""
        return self.status == COMPLETED and self.conclusion is not None

    @property
    def is_incomplete(self) -> bool:
        """Whether it has ended without a conclusion, which GitHub writes a moment later."""
        return self.status == COMPLETED and self.conclusion is None

    @property
    def is_unreadable(self) -> bool:
        """Whether its identity can be read and its status cannot."""
        return self.status == UNREADABLE

    @property
    def may_have_timed_out(self) -> bool:
        """Whether it was cancelled so late that its own time limit may be the cause."""
        if self.conclusion != "cancelled" or self.annotations == 0:
            return False
        if self.started is None or self.completed is None:
            return True  # without a duration, only its annotations can decide
        return not 0 <= self.completed - self.started < MIN_TIMED_OUT_SECONDS


def job_of(row: Mapping[str, Any]) -> Job:
    """Parse a row of the jobs of a run, or the job of a webhook.

    Raises:
        ValueError: it has no identity.
    """
    if "run_attempt" in row and int_or_none(row["run_attempt"]) is None:
        raise ValueError(f"job {row['id']} is of the attempt {row['run_attempt']!r}")
    return Job(
        *_named(row),
        attempt=row.get("run_attempt"),
        run=int_or_none(row.get("run_id")),
        created=_time(row.get("created_at")),
        started=_time(row.get("started_at")),
        completed=_time(row.get("completed_at")),
        url=text_or_none(row.get("html_url")),
        failed_step=failed_step(row.get("steps")),
        node=str(row.get("node_id") or ""),
    )


def check_of(row: Mapping[str, Any]) -> Job:
    """Parse a row of the check runs of a commit, or the check run of a webhook.

    Raises:
        ValueError: it has no identity.
    """
    app = optional_object(row.get("app"))
    if app and not (isinstance(app.get("slug"), str) and isinstance(app.get("name"), str | None)):
        raise ValueError(f"a check run of the app {ascii(app)[:100]}")
    suite = int_or_none(object_or_empty(row.get("check_suite")).get("id"))
    url = text_or_none(row.get("html_url")) or text_or_none(row.get("details_url"))
    annotations = int_or_none(object_or_empty(row.get("output")).get("annotations_count"))
    return Job(
        *_named(row),
        run=_run_of_url(row.get("details_url")) or _run_of_url(url),
        suite=suite,
        app=(str(app.get("slug") or ""), str(app.get("name") or "")),
        started=_time(row.get("started_at")),
        completed=_time(row.get("completed_at")),
        url=url,
        annotations=annotations,
        node=str(row.get("node_id") or ""),
    )


def check_of_node(node: Mapping[str, Any]) -> Job | None:
    """Parse a check run as GraphQL gives it; None for one that is no job of a run.

    Raises:
        ValueError: it has no address, name or status, or no times although it ran.
    """
    url = node["detailsUrl"]
    if not all(isinstance(value, str) for value in (url, node["name"], node["status"])):
        raise ValueError(f"a check run at {url!r} with the name {node['name']!r}")
    match = JOB_URL.search(url)
    if match is None:
        return None
    started, completed = _time(node.get("startedAt")), _time(node.get("completedAt"))
    if node["conclusion"] in RAN and None in (started, completed):
        raise ValueError(f"the check run at {url} has run, and has no times")
    conclusion = node["conclusion"]
    if not isinstance(conclusion, str | None):
        raise ValueError(f"the check run at {url} has the conclusion {conclusion!r}")
    row = {
        "id": id_of(match[2]),
        "name": node["name"],
        "status": node["status"].lower(),
        "conclusion": None if conclusion is None else conclusion.lower(),
    }
    return Job(
        *_named(row),
        run=id_of(match[1]),
        started=started,
        completed=completed,
        url=url,
        node=str(node["id"] or ""),
    )


JOBS: Listing[Job] = Listing(
    job_of,
    lambda job: job.id,
    lambda job: job.is_incomplete or job.is_unreadable,
    key="jobs",
    total=TOTAL,
)
"""How the jobs of a run are read."""

CHECKS: Listing[Job] = Listing(
    check_of, lambda job: job.id, JOBS.is_doubtful, key="check_runs", total=TOTAL
)
"""How the check runs of a commit are read."""


def name_of(job: Job) -> str | None:
    """Return the name under which a job counts; None for a row that is no job.

    A matrix that was skipped before it was expanded is a single row whose name may contain a
    literal `${{ … }}`: its jobs exist and were skipped, under the name that they share.
    """
    if UNEXPANDED not in job.name:
        return job.name
    match = _UNEXPANDED_VALUES.search(job.name)
    return job.name[: match.start()] if match and job.conclusion == "skipped" else None


def observations(trunk: Trunk, run: Run, job: Job, conclusion: str | None) -> Iterator[Observation]:
    """Yield the observation of a job; nothing if its row is no job.

    Args:
        trunk: of the run.
        run: of the job.
        job: as GitHub reports it.
        conclusion: of the job; None while it is undecided.
    """
    name = name_of(job)
    if name is None:
        return
    status = "in_progress" if job.status == COMPLETED else job.status
    yield row_of(
        run,
        trunk,
        name,
        status=status if conclusion is None else COMPLETED,
        conclusion=conclusion,
        attempt=job.attempt or 1,
        job_id=job.id,
        created_at=job.created,
        started_at=job.started,
        completed_at=job.completed if conclusion is not None else None,
        url=job.url,
        failed_step=job.failed_step,
    )


def _named(row: Mapping[str, Any]) -> tuple[int, str, str, str | None]:
    identity, name, status = row["id"], row["name"], row["status"]
    if (int_or_none(identity) or 0) <= 0:
        raise ValueError(f"a row with the id {ascii(identity)[:60]}")
    if not isinstance(name, str):
        raise ValueError(f"job {identity} with the name {name!r}")
    conclusion = row.get("conclusion") if status == COMPLETED else None
    if not isinstance(status, str) or not isinstance(conclusion, str | None):
        return identity, name, UNREADABLE, None
    return identity, name, status, conclusion


def _run_of_url(url: object) -> int | None:
    match = JOB_URL.search(url) if isinstance(url, str) else None
    return id_of(match[1]) if match else None


def failed_step(steps: object) -> str | None:
    """Return the name of the first step that failed, or None."""
    for step in list_or_empty(steps):
        if isinstance(step, dict) and step.get("conclusion") in ("failure", "timed_out"):
            return text_or_none(step.get("name"))
    return None


def _time(text: object) -> float | None:
    """Return a time; None for a placeholder such as 0001-01-01, as GitHub gives for an open end.

    Another value is None too: the result counts without it.
    """
    try:
        return None if text is None else plausible_time(parse_time(text), now=math.inf)
    except ValueError:
        return None
