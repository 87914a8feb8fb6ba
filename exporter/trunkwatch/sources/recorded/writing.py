"""Writes recorded results, as `trunkwatch record` does (docs/recorded.md)."""

import json
from collections.abc import Iterable, Iterator, Mapping

from trunkwatch.domain.model import Observation, TrunkOrder, WorkflowState
from trunkwatch.domain.suspects import NO_FILES, ChangedFiles, Span
from trunkwatch.times import format_time_or_none


def recorded_lines(
    order: TrunkOrder,
    rows: Iterable[Observation],
    states: Mapping[str, WorkflowState],
    files: Mapping[Span, ChangedFiles] = NO_FILES,
) -> Iterator[str]:
    """Write a trunk as lines that read back as the same commits, observations, states and files.

    Args:
        order: the trunk.
        rows: its observations.
        states: of its workflows, by their identity.
        files: that its commits change.
    """
    trunk = {"repo": order.trunk.repo, "branch": order.trunk.branch}
    yield _line({"kind": "order", **trunk, "complete": True})
    for place, commit in enumerate(order.commits):
        yield _line(
            {
                "kind": "commit",
                **trunk,
                "sha": commit.sha,
                "committed_at": format_time_or_none(commit.committed_at),
                "author": commit.author,
                "title": commit.title,
                "older_unread": (place == 0 and order.older_unread) or None,
            }
        )
    for row in rows:
        yield _line({"kind": "run", **trunk, **_run_fields(row)})
    for workflow, state in states.items():
        # The identity is the path or, without one, the name: both are read back as the same.
        yield _line({"kind": "workflow", **trunk, "workflow_path": workflow, "state": state})
    for span, changed in files.items():
        yield _line(
            {
                "kind": "files",
                **trunk,
                "sha": span.until,
                "since": span.since,
                "files": changed.paths,
                "more_files": not changed.is_complete or None,
            }
        )


def _run_fields(row: Observation) -> dict[str, object]:
    return {
        "sha": row.sha,
        "workflow": row.job.workflow_name,
        "workflow_path": row.job.workflow_path,
        "job_name": row.job.job_name,
        "run_id": row.run_id,
        "attempt": row.attempt,
        "job_id": row.job_id,
        "run_number": row.run_number,
        "status": row.status,
        "conclusion": row.conclusion,
        "event": row.event,
        "head_branch": row.head_branch,
        "head_repo": row.head_repo,
        "created_at": format_time_or_none(row.created_at),
        "started_at": format_time_or_none(row.started_at),
        "completed_at": format_time_or_none(row.completed_at),
        "url": row.url,
        "failed_step": row.failed_step,
        "infra": row.infra or None,
        "annotations": row.annotations or None,
        "run_completed": row.run_completed or None,
    }


def _line(fields: Mapping[str, object]) -> str:
    known = {key: value for key, value in fields.items() if value is not None}
    return json.dumps(known, ensure_ascii=False, separators=(",", ":")) + "\n"
