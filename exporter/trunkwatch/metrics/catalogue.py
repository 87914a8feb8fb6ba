"""The catalogue: every metric family of `serve`, in the order of the exposition.

`make docs` writes docs/metrics.md from this table; the tests of rules and dashboards look names up
here. Prometheus sets the labels `job` and `instance`, so no family has them.
"""

from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType

JOB_LABELS = ("repo", "branch", "workflow", "job_name", "group", "team", "priority")
BRANCH_LABELS = ("repo", "branch")
SOURCE_LABELS = ("source",)


class Kind(StrEnum):
    """The Prometheus metric types that are used here."""

    GAUGE = "gauge"
    COUNTER = "counter"


class Scope(StrEnum):
    """The subject of a family, which also decides when it is rendered."""

    JOB = "job"
    BRANCH = "branch"
    OWN = "own"


@dataclass(frozen=True, slots=True)
class Family:
    """One metric family.

    Attributes:
        name: as exposed, a counter's `_total` included.
        kind: gauge or counter.
        scope: CI families (job, branch) come from the snapshot, own ones from the process.
        labels: label names, in order.
        help: the HELP text.
    """

    name: str
    kind: Kind
    scope: Scope
    labels: tuple[str, ...]
    help: str


def _job(name: str, text: str, *more: str) -> Family:
    return Family(f"ci_job_{name}", Kind.GAUGE, Scope.JOB, (*JOB_LABELS, *more), text)


def _branch(name: str, text: str, *more: str) -> Family:
    return Family(name, Kind.GAUGE, Scope.BRANCH, (*BRANCH_LABELS, *more), text)


def _group(name: str, text: str, *more: str) -> Family:
    return _branch(f"ci_group_{name}", text, "group", *more)


def _own(name: str, text: str, *labels: str) -> Family:
    kind = Kind.COUNTER if name.endswith("_total") else Kind.GAUGE
    return Family(name, kind, Scope.OWN, labels, text)


FAMILIES: tuple[Family, ...] = (
    _job(
        "consecutive_failures",
        "Consecutive failing commits at the tip of the trunk (the streak); from the last refresh,"
        " not asked from CI at scrape time.",
    ),
    _job("failures_to_open", "Consecutive failing commits that open an outage of this job (N)."),
    _job("broken", "1 while an outage of this job is open, else 0."),
    _job(
        "alerting",
        "Failing commits of the open outage of this job while it alerts: no exemption holds, and"
        " its group has had failure_threshold such jobs at once; else 0.",
    ),
    _job(
        "failures_in_outage",
        "Failing commits from the outage's first bad on; 0 when no outage is open.",
    ),
    _job(
        "broken_since_timestamp_seconds",
        "When the first failing run of the open outage ended; absent when no outage is open, or the"
        " time is unknown.",
    ),
    _job("known_broken", "1 while the configuration exempts this job from alerting, else 0."),
    _job(
        "streak_truncated",
        "1 while the streak may be longer than shown: older commits were not read.",
    ),
    _job(
        "suspect_commits",
        "Commits after last good up to and including first bad; absent where last good is unknown.",
    ),
    _job("pending_commits", "Commits newer than the newest pass whose result is pending."),
    _job("flaky_commits", "Commits newer than the newest pass that failed and passed."),
    _job(
        "mostly_flaky",
        "1 while more than half of the job's newest 20 verdicts failed and passed: it may never"
        " alert, else 0.",
    ),
    _job("last_success_timestamp_seconds", "When the newest pass ended."),
    _job("last_verdict_timestamp_seconds", "When the newest pass, failure or flake ended."),
    _job("silent_after_seconds", "Time without a verdict after which this job counts as silent."),
    _job("duration_seconds", "Run time of the newest verdict; the longest shard's."),
    _job(
        "outage_info",
        "The facts of an open outage, each empty where unknown; facts has all of them, one a line."
        " The value is the time at which they were found, or, without an alert, at which the job"
        " broke: of two series of one job, the larger is current.",
        "first_bad",
        "last_good",
        "url",
        "failed_step",
        "author",
        "title",
        "facts",
    ),
    _job(
        "suspect_info",
        "The suspects of an open outage, at most 10, with the job's result there; the value is the"
        " commit's place after last good, 1 is the oldest.",
        "sha",
        "author",
        "title",
        "result",
    ),
    _group("failure_threshold", "Jobs of the group that must be broken at once before it alerts."),
    _group(
        "alert_info",
        "The title and the reason of the alerts of the group, while any job alerts. The value is"
        " the time of the evaluation: of two series of one group, the larger is current.",
        "title",
        "reason",
    ),
    _branch(
        "ci_branch_data_timestamp_seconds",
        "Time up to which all sources of this trunk have been read: the age of the newest"
        " evidence about its newest commits, not of the last request.",
    ),
    _branch(
        "ci_branch_up",
        "1 if the last refresh of each source of this trunk has read it, else 0.",
    ),
    _branch(
        "ci_branch_source_up",
        "1 if the last refresh of this source of the trunk has read it, else 0.",
        *SOURCE_LABELS,
    ),
    _branch(
        "ci_branch_source_data_timestamp_seconds",
        "Time up to which this source of the trunk has been read; absent if never.",
        *SOURCE_LABELS,
    ),
    _branch(
        "ci_branch_data_doubtful",
        "1 while the newest commits have no result although earlier ones had, and chance does not"
        " explain it, else 0.",
    ),
    _branch(
        "ci_workflow_inactive",
        "1 for a workflow that its CI has disabled for inactivity: its jobs do not run, and its"
        " outages stay open.",
        "workflow",
    ),
    _branch("ci_branch_head_timestamp_seconds", "Commit time of the newest commit that was read."),
    _branch(
        "ci_branch_mass_breakage",
        "1 while more than half of the jobs with a verdict at one commit broke there and have not"
        " passed since, else 0.",
    ),
    _branch(
        "ci_branch_mass_breakage_info",
        "The commit that broke most jobs; the value is the number of jobs that it broke and that"
        " have not passed since.",
        "sha",
        "author",
        "title",
    ),
    _branch(
        "ci_branch_truncated_outages",
        "Outages that alert and may have begun before the oldest commit that was read.",
    ),
    _branch(
        "ci_branch_commits_since_green",
        "Commits newer than the newest green one; all commits read where none is green; only"
        " where green is configured.",
    ),
    _branch(
        "ci_branch_last_green_timestamp_seconds",
        "When the newest green commit was made; only where green is configured.",
    ),
    Family(
        "ci_job_last_outage_info",
        Kind.GAUGE,
        Scope.OWN,
        (*JOB_LABELS, "first_bad", "ended", "facts"),
        "An outage whose alert ended in the last 45 minutes: how (fixed, flaky, removed, muted,"
        " moved, unwatched, revised), when and by which commit. The value is the time at which that"
        " was noticed.",
    ),
    Family(
        "ci_job_ticket_info",
        Kind.GAUGE,
        Scope.OWN,
        (*JOB_LABELS, "ticket", "url", "state", "assignees"),
        "The ticket of an alerting job's group; only with tickets.url. state: open, or dismissed if"
        " a person closed it during the outage; url and assignees are empty where there are none."
        " The value is when it was opened.",
    ),
    Family(
        "ci_job_silence_info",
        Kind.GAUGE,
        Scope.OWN,
        (*JOB_LABELS, "silence", "created_by", "comment"),
        "A silence of a job's alert; only with alertmanager.url. The value is when it ends.",
    ),
    Family(
        "ci_job_retired_total",
        Kind.COUNTER,
        Scope.OWN,
        (*BRANCH_LABELS, "reason"),
        "Jobs that counted as removed since the start; reason removed_broken: an outage was open.",
    ),
    _own(
        "trunkwatch_source_up",
        "1 if the last refresh of the source has read any of its trunks.",
        *SOURCE_LABELS,
    ),
    _own(
        "trunkwatch_source_last_success_timestamp_seconds",
        "When a refresh of the source last succeeded; 0 if never.",
        *SOURCE_LABELS,
    ),
    _own(
        "trunkwatch_source_refresh_duration_seconds",
        "How long the last refresh of the source took; 0 before the first has ended.",
        *SOURCE_LABELS,
    ),
    _own(
        "trunkwatch_source_poll_interval_seconds",
        "Configured time from one refresh of the source to the next.",
        *SOURCE_LABELS,
    ),
    _own(
        "trunkwatch_source_requests_total",
        "Requests to the source by HTTP status; error where there was no answer.",
        *SOURCE_LABELS,
        "code",
    ),
    _own(
        "trunkwatch_source_errors_total",
        "Refreshes that failed, as a whole or for a trunk, by reason.",
        *SOURCE_LABELS,
        "reason",
    ),
    _own(
        "trunkwatch_source_quota_remaining",
        "Requests that the vendor still allows in this window; only where it counts them.",
        *SOURCE_LABELS,
    ),
    _own(
        "trunkwatch_source_unread_commits",
        "Commits of the window whose results have yet to be read: a cold start goes back in time.",
        *SOURCE_LABELS,
    ),
    _own(
        "trunkwatch_source_limitation",
        "1 for each right that the credentials of the source lack, address that its server refuses,"
        " or other lack of what is configured; the log and check name what is missing.",
        *SOURCE_LABELS,
        "limitation",
    ),
    _own(
        "trunkwatch_source_rows_dropped_total",
        "Rows that were read and cannot be used, by reason.",
        *SOURCE_LABELS,
        "reason",
    ),
    _own(
        "trunkwatch_store_rows",
        "Results in the storage file, counted once an hour where old ones are dropped.",
    ),
    _own("trunkwatch_store_bytes", "Size of the storage file with its log, in bytes."),
    _own(
        "trunkwatch_store_oldest_timestamp_seconds",
        "Time of the oldest commit whose results are all stored; older ones were dropped.",
    ),
    _own(
        "trunkwatch_webhook_deliveries_total",
        "Deliveries of webhooks, by what became of them (accepted, ignored, duplicate, unsigned,"
        " bad_signature, too_large, malformed, failed).",
        "outcome",
    ),
    _own(
        "trunkwatch_http_refused_total",
        "Connections closed and requests refused before they were handled, by reason (late_head,"
        " late_body, late_reader, too_many_connections, too_many_bodies, head_too_large, malformed,"
        " no_file_descriptor, late_handshake, tls_handshake, client_certificate, unauthorized,"
        " too_many_logins).",
        "reason",
    ),
    _own(
        "trunkwatch_unknown_conclusions_total",
        "Results whose status or conclusion is not in the evidence table.",
        *BRANCH_LABELS,
        "conclusion",
    ),
    _own(
        "trunkwatch_off_trunk_runs_total",
        "Runs that do not count: their commit, branch or repository is not the trunk's (commit,"
        " head_branch, head_repo), or their event is not configured (event).",
        *BRANCH_LABELS,
        "reason",
    ),
    _own(
        "trunkwatch_label_values_cut_total",
        "Values of labels that were longer than limits.max_label_bytes.",
    ),
    _own("trunkwatch_jobs_dropped_total", "Jobs refused because a limit on jobs was reached."),
    _own(
        "trunkwatch_trunk_rewrites_total",
        "Force pushes: times that the last tip of the trunk was gone.",
        *BRANCH_LABELS,
    ),
    _own(
        "trunkwatch_config_reload_success",
        "1 if the last reload of the configuration was taken, 0 if the old one is still used.",
    ),
    _own(
        "trunkwatch_web_config_reload_success",
        "1 if the newest web configuration and its certificates are used, 0 if the old ones are.",
    ),
    _own(
        "trunkwatch_storage_up",
        "0 if the last attempt to store results failed or the storage file is damaged, else 1.",
    ),
    _own(
        "trunkwatch_triage_known",
        "1 if tickets (peer tickets) or silences (peer alertmanager) were read in the last five"
        " minutes, else 0: then who is on it is not known; only where it is configured.",
        "peer",
    ),
    _own(
        "trunkwatch_triage_timestamp_seconds",
        "When tickets or silences were last read; absent if never.",
        "peer",
    ),
    _own(
        "trunkwatch_web_info",
        "Always 1; the address of the pages as a browser reaches it (--web.external-url).",
        "external_url",
    ),
    _own(
        "trunkwatch_shard_info",
        "Always 1; which of several exporters this is; absent without --shard.",
        "shard",
        "shards",
    ),
    _own(
        "trunkwatch_shards",
        "Number of exporters that share the repositories, also as the label, which names their set;"
        " absent without --shard.",
        "shards",
    ),
    _own("trunkwatch_build_info", "Always 1; the version that runs.", "version"),
)
"""Every family that Trunkwatch exposes."""

BY_NAME = MappingProxyType({family.name: family for family in FAMILIES})
"""The same by exposed name."""


def of_scope(scope: Scope) -> tuple[Family, ...]:
    """Return the families of a scope, in order."""
    return tuple(family for family in FAMILIES if family.scope is scope)
