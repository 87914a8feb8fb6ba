"""What one result says and whether it counts (sections 3.1 and 3.2 of docs/policy.md)."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from trunkwatch.domain.model import Evidence, Observation, TrunkOrder

HOUR = 3600.0
PENDING_LIMIT = 36 * HOUR
"""Seconds after which an unfinished row is no longer believed: dead twins stay queued for ever."""

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
"""A completed result's conclusion. `retry`: the attempt was lost and the CI runs it again."""

UNFINISHED = frozenset({"queued", "in_progress", "waiting", "requested", "pending"})

DEFAULT_EVENTS = frozenset({"push", "schedule", "workflow_dispatch"})

DEFAULT_INFRA_STEPS = tuple(
    re.compile(pattern)
    for pattern in (
        r"(?i)set up job",
        r"(?i)run actions/checkout@.*",
        r"(?i)check ?out( (the )?(code|repo|repository|sources?))?",
        r"(?i)initialize containers",
        r"(?i)no runner\b.*",
    )
)
"""Steps that run before any code of the repository does; a fault there is the machinery's."""


@dataclass(frozen=True, slots=True)
class NameRule:
    """Moves every completed result of the jobs whose raw name matches to one row of the table."""

    match: re.Pattern[str]
    evidence: Evidence


@dataclass(frozen=True, slots=True)
class EvidenceRules:
    """The evidence table with what the configuration moved.

    Attributes:
        moved: conclusion to evidence, for conclusions that the configuration moves.
        names: rules by job name, first match wins, before the conclusion is looked at.
        events: what may have started a run that counts.
        infra_steps: names of steps that fail for the machinery's sake, not the code's; full match.
    """

    moved: Mapping[str, Evidence] = field(default_factory=dict)
    names: tuple[NameRule, ...] = ()
    events: frozenset[str] = DEFAULT_EVENTS
    infra_steps: tuple[re.Pattern[str], ...] = DEFAULT_INFRA_STEPS

    def is_infra_step(self, step: str | None) -> bool:
        """Whether a step that failed looks like a fault of the machinery."""
        return step is not None and any(p.fullmatch(step) for p in self.infra_steps)


def why_ignored(row: Observation, order: TrunkOrder, rules: EvidenceRules) -> str | None:
    """Say why a result does not count for this trunk, or None when it does."""
    if row.sha not in order.index:
        return "commit"
    if row.head_repo != order.trunk.repo:
        return "head_repo"
    if row.head_branch != order.trunk.branch:
        return "head_branch"
    return None if row.event in rules.events else "event"


def is_startup_failure(row: Observation) -> bool:
    """Whether the row says that a whole run broke before it had a single job."""
    return row.finished and row.conclusion == "startup_failure"


def unknown_word(row: Observation) -> str | None:
    """Return the status or conclusion that the table does not know, or None."""
    if not row.finished:
        return None if row.status in UNFINISHED else row.status
    return None if row.conclusion in COMPLETED else str(row.conclusion or "null")


def expires_at(row: Observation, committed_at: float | None) -> float | None:
    """When an unfinished row stops being pending (seconds since the epoch); None for never."""
    for moment in (row.created_at, row.started_at, committed_at):
        if moment is not None:
            return moment + PENDING_LIMIT
    return None


def evidence_of(
    row: Observation, rules: EvidenceRules, committed_at: float | None, now: float
) -> Evidence:
    """Read one row of the evidence table.

    Args:
        row: the result as reported.
        rules: what the configuration moved.
        committed_at: of the row's commit; the last resort for the age of an unfinished row.
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
