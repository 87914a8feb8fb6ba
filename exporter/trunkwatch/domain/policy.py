"""All that the configuration decides about the policy, in one value."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from trunkwatch.domain.evidence import EvidenceRules
from trunkwatch.domain.groups import Group, Match
from trunkwatch.domain.model import JobKey, Trunk
from trunkwatch.domain.names import Naming

RETIRE_AFTER = 50
"""Commits on which a workflow completed without a job, after which the job counts as removed."""


@dataclass(frozen=True, slots=True)
class KnownBroken:
    """Jobs that are broken on purpose for a while: visible, not alerting.

    Attributes:
        match: which jobs.
        reason: why, in a person's words.
        until: when the exemption ends (seconds since the epoch); None for no end.
    """

    match: Match
    reason: str
    until: float | None = None

    def holds(self, key: JobKey, now: float) -> bool:
        """Whether the exemption covers the job now."""
        return (self.until is None or now < self.until) and self.match.covers(key)


@dataclass(frozen=True, slots=True)
class Policy:
    """What the configuration decides.

    Attributes:
        evidence: what results say and which count.
        naming: from raw names to watched names.
        groups: first match wins; the default group comes after the last.
        known_broken: exemptions, first match wins.
        green: per trunk, patterns over "workflow / job_name" that a green commit needs.
        retire_after: commits, see `RETIRE_AFTER`.
    """

    evidence: EvidenceRules = field(default_factory=EvidenceRules)
    naming: Naming = field(default_factory=Naming)
    groups: tuple[Group, ...] = ()
    known_broken: tuple[KnownBroken, ...] = ()
    green: Mapping[Trunk, tuple[re.Pattern[str], ...]] = field(default_factory=dict)
    retire_after: int = RETIRE_AFTER
