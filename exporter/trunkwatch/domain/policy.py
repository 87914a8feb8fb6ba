"""The configured policy in one value."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from trunkwatch.domain.evidence import EvidenceRules
from trunkwatch.domain.groups import Group, Match
from trunkwatch.domain.model import JobKey, Trunk
from trunkwatch.domain.names import Naming
from trunkwatch.patterns import Pattern

RETIRE_AFTER = 50
"""Commits at which a workflow completed without a job before the job is retired."""


@dataclass(frozen=True, slots=True)
class KnownBroken:
    """An exemption of jobs from alerting while they stay visible.

    Attributes:
        match: the jobs.
        reason: written by a person.
        until: when the exemption ends (seconds since the epoch); None for no end.
    """

    match: Match
    reason: str
    until: float | None = None

    def holds(self, key: JobKey, now: float) -> bool:
        """Return whether the exemption covers the job now."""
        return (self.until is None or now < self.until) and self.match.covers(key)


@dataclass(frozen=True, slots=True)
class Policy:
    """The configured policy.

    Attributes:
        evidence: the evidence table, and which runs count.
        naming: from raw names to watched names.
        groups: the first match wins; the default group comes after the last.
        known_broken: exemptions; the first match that holds wins.
        green: per trunk, patterns over "workflow / job_name" that a green commit needs.
        retire_after: commits, see `RETIRE_AFTER`.
    """

    evidence: EvidenceRules = field(default_factory=EvidenceRules)
    naming: Naming = field(default_factory=Naming)
    groups: tuple[Group, ...] = ()
    known_broken: tuple[KnownBroken, ...] = ()
    green: Mapping[Trunk, tuple[Pattern, ...]] = field(default_factory=dict)
    retire_after: int = RETIRE_AFTER
