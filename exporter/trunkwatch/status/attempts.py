"""The attempts behind a job's cells, parsed from the exporter's JSON."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from trunkwatch.domain.model import Evidence
from trunkwatch.rest.json_text import checked_text, int_or_none, text_or_none
from trunkwatch.status.shape import unlike_the_document
from trunkwatch.times import parse_time_or_none


class Attempt(NamedTuple):
    """One attempt of one CI job at one commit (docs/policy.md, 4.3).

    Attributes:
        job_name: as the CI names it, shard included.
        workflow_path: of the workflow's file; None where the CI has none.
        run_id: identifies the run; None if it is no number.
        job_id: identifies the job in its attempt; None if it is no number.
        attempt: from 1, within the run.
        evidence: what it counts as.
        started_at: seconds since the epoch; None if it never began.
        completed_at: seconds since the epoch; None where it is unknown.
    """

    job_name: str
    workflow_path: str | None
    run_id: int | None
    job_id: int | None
    attempt: int
    evidence: Evidence
    started_at: float | None
    completed_at: float | None

    @property
    def minutes(self) -> float | None:
        """The minutes that it took; None where a time is unknown."""
        if self.started_at is None or self.completed_at is None:
            return None
        return max(0.0, (self.completed_at - self.started_at) / 60)


class JobAtCommit(NamedTuple):
    """A job at one commit.

    Attributes:
        state: its letter (`engine.cells.MEANINGS`).
        attempts: of its shards.
    """

    state: str
    attempts: tuple[Attempt, ...]


def parse_attempts(document: Any) -> Mapping[str, JobAtCommit]:
    """Parse the answer of `/api/v1/trunk/<repo>/<branch>/job/<workflow>/<job name>`, by commit.

    Raises:
        ReadingError: it has another shape. Nothing is left out: an attempt that was not read could
            be the one that somebody else asked for.
    """
    try:
        return {
            checked_text(row["sha"]): JobAtCommit(
                checked_text(row["state"]), tuple(_attempt(each) for each in row["attempts"])
            )
            for row in document["commits"]
        }
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise unlike_the_document(error) from None


def _attempt(row: Mapping[str, Any]) -> Attempt:
    number = int_or_none(row["attempt"])
    if number is None:
        raise ValueError("attempt must be a whole number")
    return Attempt(
        checked_text(row["job_name"]),
        text_or_none(row["workflow_path"]),
        int_or_none(row["run_id"]),
        int_or_none(row["job_id"]),
        number,
        Evidence(row["evidence"]),
        parse_time_or_none(row["started_at"]),
        parse_time_or_none(row["completed_at"]),
    )
