"""Workflows and planned jobs, as tests declare them."""

import json
from collections.abc import Sequence
from dataclasses import dataclass

NO_PATH = ".github"
"""The path of annotations that are about no file."""

HANG_LIMIT = 3600.0
"""The default `timeout-minutes` of a hanging job, in seconds."""

SUPERSEDED = "Canceling since a higher priority waiting request for ci-{branch} exists"
"""GitHub's annotation of a job that a newer run of its concurrency group cancelled."""

CANCELED = "The operation was canceled."
FAILED = "Process completed with exit code 1."


@dataclass(frozen=True, slots=True)
class Workflow:
    """A workflow file.

    Attributes:
        name: the display name; a renamed workflow has another name at the same path.
        path: the path of its file, its identity.
    """

    name: str
    path: str


@dataclass(frozen=True, slots=True)
class Job:
    """The planned course of one job of an attempt.

    Attributes:
        name: with its matrix values.
        start: when a runner picks it up, in seconds since the start of the attempt.
        end: when it completes, in seconds since the start of the attempt; None for never.
        conclusion: GitHub's conclusion; None for a job that completes without one.
        failed_step: the step that fails; by default a step named after the job.
        needs: names of the jobs that must end before this one is created.
        hang: whether its own `timeout-minutes` stops it; GitHub reports it as `cancelled`.
        annotations: messages on its check run, beside those that its conclusion implies.
        annotation_path: the file that these are about.
        continue_on_error: whether its failure does not fail the run.
    """

    name: str
    start: float = 30.0
    end: float | None = 300.0
    conclusion: str | None = "success"
    failed_step: str | None = None
    needs: tuple[str, ...] = ()
    hang: bool = False
    annotations: tuple[str, ...] = ()
    annotation_path: str = NO_PATH
    continue_on_error: bool = False


def workflow_text(name: str, jobs: Sequence[Job]) -> str:
    """Return a workflow file with these jobs on every push, none of which has an environment."""
    keys = {job.name: f"job-{number}" for number, job in enumerate(jobs, start=1)}
    lines = [f"name: {json.dumps(name)}", "on: push", "jobs:"]
    for job in jobs or [Job("build")]:
        needs = ", ".join(keys[need] for need in job.needs if need in keys)
        lines += [
            f"  {keys.get(job.name, 'build')}:",
            f"    name: {json.dumps(job.name)}",
            *([f"    needs: [{needs}]"] if needs else ()),
            "    runs-on: ubuntu-latest",
            "    steps:",
            "      - run: make",
        ]
    return "\n".join([*lines, ""])


def skipped(name: str, at: float = 5.0, needs: tuple[str, ...] = ()) -> Job:
    """Return a job that is skipped at a time (seconds since the start of the attempt)."""
    return Job(name, at, at, "skipped", needs=needs)


def hanging(name: str, start: float = 30.0, limit: float = HANG_LIMIT) -> Job:
    """Return a job that its own `timeout-minutes` stops after `limit` seconds."""
    return Job(name, start, start + limit, "cancelled", hang=True)


def superseded(name: str, start: float = 30.0, end: float = 400.0, *, branch: str = "main") -> Job:
    """Return a job that a newer push cancelled."""
    return Job(name, start, end, "cancelled", annotations=(SUPERSEDED.format(branch=branch),))
