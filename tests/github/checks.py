"""Check runs and jobs, with their state at a given time."""

from dataclasses import dataclass, field
from itertools import pairwise

from tests.github.workflows import NO_PATH, Job

COMPLETED = "completed"
ACTIONS = "github-actions"
"""The slug of GitHub Actions among the apps."""

NEVER = float("inf")
HOUR = 3600.0


@dataclass(frozen=True, slots=True)
class Step:
    """The state of one step of a job.

    Attributes:
        number: from 1.
        name: the display name.
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
class CheckRun:
    """One check run: a job of GitHub Actions, or a check of another CI system.

    Attributes:
        id: the id of the check run and of the job.
        name: the name of the check.
        sha: the commit that was checked.
        suite: the check suite's id.
        app: the slug of the app that reports it.
        created_at: when it is created (seconds since the epoch).
        begins_at: when it starts to run (seconds since the epoch).
        ends_at: when it completes (seconds since the epoch); infinite for never.
        final_conclusion: the conclusion once it has completed; None if it never gets one.
        annotations: the messages once it has completed.
        url: the details URL; None for the page of the job.
    """

    id: int
    name: str
    sha: str
    suite: int
    app: str
    created_at: float
    begins_at: float
    ends_at: float
    final_conclusion: str | None
    annotations: tuple[str, ...] = ()
    url: str | None = None

    def status(self, now: float) -> str:
        if now >= self.ends_at:
            return COMPLETED
        return "in_progress" if now >= self.begins_at else "queued"

    def conclusion(self, now: float) -> str | None:
        return self.final_conclusion if now >= self.ends_at else None

    def started_at(self, now: float) -> float:
        """Return the start; while a check is queued GitHub reports its creation time."""
        return self.begins_at if now >= self.begins_at else self.created_at

    def completed_at(self, now: float) -> float | None:
        return self.ends_at if now >= self.ends_at else None

    def annotation_path(self, message: str) -> str:
        """Return the file that an annotation is about."""
        del message
        return NO_PATH

    def annotations_at(self, now: float) -> tuple[str, ...]:
        """Return the annotations at a time."""
        return self.annotations if now >= self.ends_at else ()


@dataclass(frozen=True)
class WorkflowJob(CheckRun):
    """One job of one attempt of a run.

    Attributes:
        run_id: the id of its run.
        attempt: the attempt of its run, from 1.
        plan: the planned course.
        copy_of: the job of an earlier attempt that is listed again under this id, or None.
    """

    run_id: int = 0
    attempt: int = 1
    plan: Job = field(default_factory=lambda: Job(""))
    copy_of: int | None = None

    def annotation_path(self, message: str) -> str:
        """Return the file that an annotation is about."""
        return self.plan.annotation_path if message in self.plan.annotations else NO_PATH

    @property
    def failed_step(self) -> str | None:
        if self.final_conclusion != "failure":
            return None
        return self.plan.failed_step or f"Run {self.name.partition(' / ')[0]}"

    def steps(self, now: float) -> list[Step]:
        """Return the steps at a time; a queued or skipped job has none."""
        if now < self.begins_at or self.final_conclusion == "skipped":
            return []
        names = ("Set up job", self.failed_step or f"Run {self.name}", "Complete job")
        ends_at = self.ends_at if self.ends_at < NEVER else self.begins_at + 2 * HOUR
        share = (ends_at - self.begins_at) / 10
        edges = (self.begins_at, self.begins_at + share, ends_at - share, ends_at)
        answers = ("success", self.final_conclusion, "success")
        return [
            _step(number, name, final_conclusion, edge, now)
            for number, (name, final_conclusion, edge) in enumerate(
                zip(names, answers, pairwise(edges), strict=True), start=1
            )
        ]


def _step(
    number: int, name: str, final_conclusion: str | None, edge: tuple[float, float], now: float
) -> Step:
    begin, end = edge
    if now < begin:
        return Step(number, name, "queued", None, None, None)
    if now < end:
        return Step(number, name, "in_progress", None, begin, None)
    return Step(number, name, COMPLETED, final_conclusion, begin, end)
