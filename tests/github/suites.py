"""Check suites, with their state at a given time."""

from bisect import bisect_right
from dataclasses import dataclass, field

from tests.github.checks import COMPLETED, CheckRun
from tests.github.runs import Run

FAILED = ("failure", "timed_out", "cancelled")


@dataclass(frozen=True)
class CheckSuite:
    """The check runs of one app at a commit; those of GitHub Actions are one suite per run.

    Attributes:
        id: the suite's id.
        sha: the commit.
        app: the slug of the app; None for one that has been deleted.
        head_branch: the name of the head branch.
        created_at: when it is created (seconds since the epoch).
        run: the workflow run of the suite, or None.
        rows: its check runs, in the order in which they were planned.
    """

    id: int
    sha: str
    app: str | None
    head_branch: str
    created_at: float
    run: Run | None = None
    rows: list[CheckRun] = field(default_factory=list)

    def exists(self, now: float) -> bool:
        return self.run.exists(now) if self.run else self.created_at <= now

    def rows_at(self, now: float, *, latest: bool = False) -> list[CheckRun]:
        """Return the check runs that exist, by id; if `latest`, the newest one of each name."""
        rows = sorted((r for r in self.rows if r.created_at <= now), key=lambda row: row.id)
        return list({row.name: row for row in rows}.values()) if latest else rows

    def status(self, now: float) -> str:
        """Return the status; a suite of another app without check runs stays queued."""
        if self.run:
            return self.run.status(now)
        statuses = {row.status(now) for row in self.rows_at(now)}
        if statuses <= {COMPLETED}:
            return COMPLETED if statuses else "queued"
        return "queued" if statuses <= {"queued"} else "in_progress"

    def conclusion(self, now: float) -> str | None:
        if self.run:
            return self.run.conclusion(now)
        if self.status(now) != COMPLETED:
            return None
        found = [row.final_conclusion for row in self.rows_at(now, latest=True)]
        return next((word for word in found if word in FAILED), found[-1])

    def updated_at(self, now: float) -> float:
        """Return the time of the last change of the suite or of one of its check runs."""
        changes = [self.created_at]
        for row in self.rows:
            changes += (row.created_at, row.begins_at, row.ends_at)
        changes.sort()
        own = changes[bisect_right(changes, now) - 1]
        return max(own, self.run.updated_at(now)) if self.run else own
