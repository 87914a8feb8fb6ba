"""Well-known tables: their columns, their words for results, and when a row was written.

The expressions are ours and go into the query as they are; those of a configuration never do.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from trunkwatch.domain.evidence import COMPLETED, UNFINISHED

OWN_WORDS: Mapping[str, str] = MappingProxyType({word: word for word in (*COMPLETED, *UNFINISHED)})
"""The words of a table without a preset: those of the evidence table, which are GitHub's."""


@dataclass(frozen=True, slots=True)
class Preset:
    """A well-known table.

    Attributes:
        database: where it usually is.
        table: its usual name.
        columns: expressions by the key of `columns`.
        words: of its statuses and conclusions, as those of the evidence table.
        cursor: an expression: when a row was written.
        slack: seconds after that time in which a row may still become visible.
        pruned_by: an expression of times by which the table is indexed; empty for none.
        condition: that rows of jobs fulfil; empty for none.
    """

    database: str = "default"
    table: str = ""
    columns: Mapping[str, str] = field(default_factory=dict)
    words: Mapping[str, str] = field(default_factory=lambda: OWN_WORDS)
    cursor: str = ""
    slack: float = 120.0
    pruned_by: str = ""
    condition: str = ""


# https://github.com/pytorch/test-infra, clickhouse_db_schema/default.workflow_job
_PYTORCH = Preset(
    table="workflow_job",
    columns={
        "repo": "repository_full_name",
        "branch": "head_branch",
        "sha": "head_sha",
        "workflow": "workflow_name",
        "job_name": "name",
        "status": "status",
        "conclusion": "conclusion",
        "run_id": "run_id",
        "attempt": "run_attempt",
        "job_id": "id",
        "event": "workflow_event",
        "created_at": "created_at",
        "started_at": "started_at",
        "completed_at": "completed_at",
        "url": "html_url",
        "failed_step": (
            "arrayFirst(step -> step.conclusion IN ('failure', 'timed_out'), steps).name"
        ),
    },
    cursor="_inserted_at",
    pruned_by="created_at",
)

_NOT_RUN = (
    "skipped", "broken", "waiting_failed", "blocked_failed", "unblocked_failed", "blocked",
    "unblocked",
)  # fmt: skip
_WAITING = (
    "pending", "waiting", "limiting", "limited", "scheduled", "assigned", "accepted",
    "platform_limiting", "platform_limited",
)  # fmt: skip
"""https://buildkite.com/docs/pipelines/configure/notifications#build-states, of jobs."""

# https://github.com/pytorch/test-infra, clickhouse_db_schema/vllm_buildkite_jobs: the payloads of
# https://buildkite.com/docs/apis/webhooks/pipelines/job-events. Parallel jobs share their name, and
# one of them would hide the failure of another.
_BUILDKITE = Preset(
    database="vllm",
    table="vllm_buildkite_jobs",
    columns={
        "repo": r"extract(pipeline.repository, '([^/:]+/[^/:]+?)(?:\\.git)?/?$')",
        "branch": "build.branch",
        "sha": "build.commit",
        "workflow": "pipeline.name",
        "job_name": (
            "ifNull(concat(job.name, ' ', toString(job.parallel_group_index + 1), '/',"
            " toString(job.parallel_group_total)), job.name)"
        ),
        "status": "job.state",
        "run_id": "build.number",
        "job_id": "job.id",
        "run_number": "build.number",
        "event": (
            "multiIf(ifNull(build.pull_request.id, '') NOT IN ('', 'false'), 'pull_request',"
            " build.source = 'webhook', 'push', build.source = 'schedule', 'schedule',"
            " 'workflow_dispatch')"
        ),
        "created_at": "job.created_at",
        "started_at": "job.started_at",
        "completed_at": "job.finished_at",
        "url": "job.web_url",
        "allow_failure": "job.soft_failed",
    },
    words={
        "passed": "success",
        "failed": "failure",
        "timed_out": "timed_out",
        "canceled": "cancelled",
        "canceling": "cancelled",
        "expired": "cancelled",
        **dict.fromkeys(_NOT_RUN, "skipped"),
        **dict.fromkeys(_WAITING, "queued"),
        **dict.fromkeys(("running", "timing_out"), "in_progress"),
    },
    # The table has no time of its insertion: the newest time of the job stands in.
    cursor=(
        "greatest(job.created_at, ifNull(job.started_at, job.created_at),"
        " ifNull(job.finished_at, job.created_at))"
    ),
    slack=900.0,
    condition="job.type = 'script'",
)

PRESETS: Mapping[str | None, Preset] = MappingProxyType(
    {None: Preset(), "pytorch": _PYTORCH, "buildkite": _BUILDKITE}
)
"""By the value of `preset`; None for a table of one's own."""
