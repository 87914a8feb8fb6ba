"""Check runs and jobs as they stand at a moment: rows of the lists that GitHub gives."""

from dataclasses import dataclass, field
from itertools import pairwise

from tests.github.workflows import Job

COMPLETED = "completed"
NEVER = float("inf")
HOUR = 3600.0


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
class CheckRun:
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
    final_conclusion: str
    annotations: tuple[str, ...] = ()
    url: str | None = None

    def status(self, now: float) -> str:
        if now >= self.ends_at:
            return COMPLETED
        return "in_progress" if now >= self.begins_at else "queued"

    def conclusion(self, now: float) -> str | None:
        return self.final_conclusion if now >= self.ends_at else None

    def started_at(self, now: float) -> float:
        """When it started; while it is queued GitHub says when it was made."""
        return self.begins_at if now >= self.begins_at else self.created_at

    def completed_at(self, now: float) -> float | None:
        return self.ends_at if now >= self.ends_at else None

    def annotations_at(self, now: float) -> tuple[str, ...]:
        """Return the annotations that stand on it."""
        return self.annotations if now >= self.ends_at else ()


@dataclass(frozen=True)
class WorkflowJob(CheckRun):
    """One job of one attempt of a run.

    Attributes:
        run_id: of its run.
        attempt: of its run, from 1.
        plan: what was written down.
        copy_of: the job of an earlier attempt that is listed again under this id, or None.
    """

    run_id: int = 0
    attempt: int = 1
    plan: Job = field(default_factory=lambda: Job(""))
    copy_of: int | None = None

    @property
    def failed_step(self) -> str | None:
        if self.final_conclusion != "failure":
            return None
        return self.plan.failed_step or f"Run {self.name.partition(' / ')[0]}"

    def steps(self, now: float) -> list[Step]:
        """Return the steps as they stand; a job that is queued or was skipped has none."""
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
    number: int, name: str, final_conclusion: str, edge: tuple[float, float], now: float
) -> Step:
    begin, end = edge
    if now < begin:
        return Step(number, name, "queued", None, None, None)
    if now < end:
        return Step(number, name, "in_progress", None, begin, None)
    return Step(number, name, COMPLETED, final_conclusion, begin, end)
