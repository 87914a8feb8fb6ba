"""What a world is made of, as a test writes it down: workflows, jobs, checks, and their times."""

from dataclasses import dataclass

HANG_LIMIT = 3600.0
"""Seconds of `timeout-minutes` that a hanging job has by default."""

SUPERSEDED = "Canceling since a higher priority waiting request for ci-{branch} exists"
"""What GitHub says of a run that a newer one of its concurrency group cancelled."""

CANCELED = "The operation was canceled."
FAILED = "Process completed with exit code 1."


@dataclass(frozen=True, slots=True)
class Workflow:
    """A workflow file.

    Attributes:
        name: what people see; a rename is another name at the same path.
        path: of its file; what identifies it.
    """

    name: str
    path: str


@dataclass(frozen=True, slots=True)
class Job:
    """What will become of one job of an attempt.

    Attributes:
        name: with its matrix values.
        start: when a runner takes it, in seconds since the attempt's begin.
        end: when it is over, likewise; None for never.
        conclusion: in GitHub's word.
        failed_step: the step that fails; one named after the job where it fails and none is given.
        needs: names of the jobs before whose end it does not exist.
        hang: it was stopped by its own `timeout-minutes`, and arrives as `cancelled`.
        annotations: messages on its check run, beside those that its end brings.
    """

    name: str
    start: float = 30.0
    end: float | None = 300.0
    conclusion: str = "success"
    failed_step: str | None = None
    needs: tuple[str, ...] = ()
    hang: bool = False
    annotations: tuple[str, ...] = ()


def skipped(name: str, at: float = 5.0, needs: tuple[str, ...] = ()) -> Job:
    """Return a job that is skipped at a moment."""
    return Job(name, at, at, "skipped", needs=needs)


def hanging(name: str, start: float = 30.0, limit: float = HANG_LIMIT) -> Job:
    """Return a job that its own `timeout-minutes` stops after `limit` seconds."""
    return Job(name, start, start + limit, "cancelled", hang=True)


def superseded(name: str, start: float = 30.0, end: float = 400.0, *, branch: str = "main") -> Job:
    """Return a job that a newer push cancelled."""
    return Job(name, start, end, "cancelled", annotations=(SUPERSEDED.format(branch=branch),))
