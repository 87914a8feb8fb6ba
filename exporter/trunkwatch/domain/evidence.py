"""The evidence of one row and whether the row counts (docs/policy.md, sections 3.1 and 3.2)."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from trunkwatch.domain.model import Evidence, Observation, TrunkOrder
from trunkwatch.patterns import Pattern

HOUR = 3600.0
PENDING_LIMIT = 36 * HOUR
"""Seconds after which an unfinished row counts as unknown: some jobs stay queued for ever."""

COMPLETED: Mapping[str, Evidence] = MappingProxyType(
    {
        "success": Evidence.PASS,
        "failure": Evidence.FAIL,
        "timed_out": Evidence.FAIL,
        "startup_failure": Evidence.FAIL,
        "skipped": Evidence.SKIP,
        "neutral": Evidence.SKIP,
        "cancelled": Evidence.UNKNOWN,
        "stale": Evidence.UNKNOWN,
        "action_required": Evidence.UNKNOWN,
        "retry": Evidence.UNKNOWN,
    }
)
"""Evidence by a completed row's conclusion; `retry` is a lost attempt that the CI repeats."""

UNFINISHED = frozenset({"queued", "in_progress", "waiting", "requested", "pending"})

MERGE_GROUP = "merge_group"
"""The event of a merge queue: its run tests the commit that lands, on a branch of its own."""

PUSHES = frozenset({"push", MERGE_GROUP})
"""The events of which every commit has runs."""

QUEUE_BRANCHES = "gh-readonly-queue"
"""The folder of these branches, followed by the trunk's name:
https://docs.github.com/en/repositories/configuring-branches-and-merges-in-your-repository/configuring-pull-request-merges/managing-a-merge-queue"""

DEFAULT_EVENTS = frozenset({"push", "schedule", "workflow_dispatch"})

DEFAULT_INFRA_STEPS = tuple(
    Pattern(text)
    for text in (
        r"(?i)set up job",
        r"(?i)run actions/checkout@.*",
        r"(?i)check ?out( (the )?(code|repo|repository|sources?))?",
        r"(?i)initialize containers",
        r"(?i)no runner\b.*",
    )
)
"""Steps that run before any code of the repository; their failures are infrastructure failures."""


@dataclass(frozen=True, slots=True)
class NameRule:
    """A rule that gives every completed row of the jobs whose raw name matches one evidence."""

    match: Pattern
    evidence: Evidence


@dataclass(frozen=True, slots=True)
class EvidenceRules:
    """The evidence table with the configured changes.

    Attributes:
        moved: evidence by conclusion, where the configuration changes it.
        names: rules by job name; the first match wins over the conclusion.
        events: the events that start runs that count.
        infra_steps: full-match patterns of steps whose failure is an infrastructure failure.
    """

    moved: Mapping[str, Evidence] = field(default_factory=dict)
    names: tuple[NameRule, ...] = ()
    events: frozenset[str] = DEFAULT_EVENTS
    infra_steps: tuple[Pattern, ...] = DEFAULT_INFRA_STEPS

    def is_infra_step(self, step: str | None) -> bool:
        """Return whether a failed step indicates an infrastructure failure."""
        return step is not None and any(p.fullmatch(step) for p in self.infra_steps)


def why_ignored(row: Observation, order: TrunkOrder, rules: EvidenceRules) -> str | None:
    """Return the reason why a row does not count for this trunk, or None when it does."""
    if row.sha not in order.index:
        return "commit"
    if row.head_repo != order.trunk.repo:
        return "head_repo"
    if not is_of_branch(row.event, row.head_branch, order.trunk.branch):
        return "head_branch"
    return None if row.event in rules.events else "event"


def is_of_branch(event: str, head_branch: str, branch: str) -> bool:
    """Return whether a run is of a branch, or of the merge queue before it.

    Args:
        event: that started the run.
        head_branch: of the run.
        branch: of the trunk.
    """
    if head_branch == branch:
        return True
    return event == MERGE_GROUP and head_branch.startswith(f"{QUEUE_BRANCHES}/{branch}/")


def is_startup_failure(row: Observation) -> bool:
    """Return whether the row reports a run that failed before it had a job."""
    return row.conclusion == "startup_failure" and row.finished


def unknown_word(row: Observation) -> str | None:
    """Return the row's status or conclusion if the table does not list it, else None."""
    if not row.finished:
        return None if row.status in UNFINISHED else row.status
    return None if row.conclusion in COMPLETED else str(row.conclusion or "null")


def expires_at(row: Observation, committed_at: float | None) -> float | None:
    """Return when an unfinished row stops being pending (seconds since the epoch), or None."""
    for moment in (row.created_at, row.started_at, committed_at):
        if moment is not None:
            return moment + PENDING_LIMIT
    return None


def evidence_of(
    row: Observation, rules: EvidenceRules, committed_at: float | None, now: float
) -> Evidence:
    """Return the evidence of one row.

    Args:
        row: the row as reported.
        rules: the evidence table.
        committed_at: of the row's commit; used for the age of an unfinished row without a time.
        now: seconds since the epoch.
    """
    if row.finished:
        return _completed_evidence(row, rules)
    if row.status not in UNFINISHED:
        return Evidence.UNKNOWN
    limit = expires_at(row, committed_at)
    return Evidence.PENDING if limit is None or now <= limit else Evidence.UNKNOWN


def _completed_evidence(row: Observation, rules: EvidenceRules) -> Evidence:
    for rule in rules.names:
        if rule.match.fullmatch(row.job.job_name):
            return rule.evidence
    conclusion = row.conclusion or ""
    moved = rules.moved.get(conclusion)
    return moved if moved is not None else COMPLETED.get(conclusion, Evidence.UNKNOWN)
