"""GitLab's words in those of the evidence table (docs/policy.md, section 3.2).

Statuses: https://docs.gitlab.com/api/jobs/. A word that is not listed is passed on: the table
counts it as unknown. Reasons only refine `failed`: one that is not listed is a plain failure.
"""

from collections.abc import Mapping
from types import MappingProxyType

COMPLETED = "completed"


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


STATUSES: Mapping[str, tuple[str, str | None]] = MappingProxyType(
    {
        "success": (COMPLETED, "success"),
        "failed": (COMPLETED, "failure"),
        "canceled": (COMPLETED, "cancelled"),
        "canceling": (COMPLETED, "cancelled"),
        "skipped": (COMPLETED, "skipped"),
        # These may wait for ever for a person or a time. Pending, they would keep the commit open.
        "manual": (COMPLETED, "skipped"),
        "scheduled": (COMPLETED, "skipped"),
        "created": ("queued", None),
        "waiting_for_resource": ("queued", None),
        "waiting_for_callback": ("queued", None),
        "preparing": ("queued", None),
        "pending": ("queued", None),
        "running": ("in_progress", None),
    }
)
"""Status and conclusion by the status of a job."""

BLOCKED = frozenset({"manual", "scheduled"})
"""Statuses of a pipeline that waits for a person or a time; so do its jobs that are `created`."""

ACTIVE = frozenset({"running", "canceling"})
"""Statuses of a pipeline during which its jobs end without a change of its own."""

FINAL = frozenset({"success", "failed", "canceled", "skipped"})
"""Statuses of a pipeline that has ended."""

TIMED_OUT = _words(
    "job_execution_timeout job_execution_server_timeout server_timeout_running "
    "server_timeout_canceling"
)
"""Reasons of a job that ran longer than it may."""

NOT_RUN = _words(
    "deployment_rejected failed_outdated_deployment_job forward_deployment_failure stale_schedule"
)
"""Reasons of a job that GitLab or a person did not want any more: a newer deployment was there."""

INFRA = _words(
    "api_failure archived_failure builds_disabled ci_quota_exceeded data_integrity_failure "
    "environment_creation_failure ip_restriction_failure job_router_failure job_token_expired "
    "no_matching_runner no_updates_canceling no_updates_running project_deleted "
    "runner_external_dependency_failure runner_interrupted runner_system_failure "
    "runner_unsupported scheduler_failure stuck_or_timeout_failure "
    "stuck_pending_no_matching_runners stuck_pending_with_matching_runners user_blocked"
)
"""Reasons that are faults of the CI system."""

SCRIPT_FAILURE = "script_failure"
"""The reason of most failures, which explains nothing."""

EVENTS: Mapping[str, str] = MappingProxyType(
    {
        "push": "push",
        "schedule": "schedule",
        "web": "workflow_dispatch",
        "api": "workflow_dispatch",
        "trigger": "workflow_dispatch",
        "pipeline": "workflow_dispatch",
        "chat": "workflow_dispatch",
    }
)
"""Events by the source of a pipeline; those started by hand or by a program share one. Another
source, such as `merge_request_event`, is its own event, which counts only if it is configured."""


def outcome(
    status: str, reason: str, *, may_fail: bool, blocked: bool
) -> tuple[str, str | None, bool]:
    """Return the status and conclusion of a job, and whether the CI system is at fault.

    Args:
        status: of the job.
        reason: of its failure; empty without one.
        may_fail: a failure of the job does not count.
        blocked: its pipeline waits for a person or a time.
    """
    if status == "created" and blocked:
        status = "skipped"
    word, conclusion = STATUSES.get(status, (status, None))
    if status != "failed":
        return word, conclusion, False
    if reason in NOT_RUN:
        return word, "stale", False
    if may_fail:
        return word, "neutral", False
    return word, "timed_out" if reason in TIMED_OUT else conclusion, reason in INFRA
