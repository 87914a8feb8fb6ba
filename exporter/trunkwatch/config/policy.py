"""Conversion of a configuration into the domain's policy."""

from trunkwatch.config.schema import (
    Config,
    GroupMatchSection,
    GroupSection,
    JobOverride,
    Jobs,
    MatchSection,
)
from trunkwatch.domain.evidence import DEFAULT_INFRA_STEPS, EvidenceRules, NameRule
from trunkwatch.domain.groups import Group, Match, Override
from trunkwatch.domain.model import Evidence, Trunk
from trunkwatch.domain.names import PRESETS, FoldRule, Naming
from trunkwatch.domain.outage import Thresholds
from trunkwatch.domain.policy import KnownBroken, Policy


def policy_of(config: Config) -> Policy:
    """Return the policy of a configuration."""
    return Policy(
        evidence=_evidence(config.jobs),
        naming=_naming(config.jobs),
        groups=tuple(_group(section) for section in config.groups),
        known_broken=tuple(
            KnownBroken(_match(section.match), section.reason, section.until)
            for section in config.known_broken
        ),
        green={Trunk(section.repo, section.branch): section.required for section in config.green},
        retire_after=config.jobs.retire_after,
    )


def _evidence(jobs: Jobs) -> EvidenceRules:
    return EvidenceRules(
        moved=jobs.evidence.moved(),
        names=tuple(NameRule(rule.match, Evidence(rule.to)) for rule in jobs.evidence.names),
        events=frozenset(jobs.events),
        infra_steps=DEFAULT_INFRA_STEPS if jobs.infra_steps is None else jobs.infra_steps,
    )


def _naming(jobs: Jobs) -> Naming:
    preset = PRESETS[jobs.preset] if jobs.preset else None
    own_fold = tuple(FoldRule(rule.match, rule.to) for rule in jobs.fold)
    return Naming(
        ignore=(preset.ignore if preset else ()) + jobs.ignore,
        fold=(preset.fold if preset else ()) + own_fold,
        aliases={(alias.workflow, alias.old): alias.to for alias in jobs.aliases},
    )


def _group(section: GroupSection) -> Group:
    thresholds = Thresholds(section.failures_to_open, section.passes_to_close, section.flaky_closes)
    return Group(
        name=section.name,
        team=section.team,
        priority=section.priority,
        thresholds=thresholds,
        failure_threshold=section.failure_threshold,
        count=section.count,
        silent_after=section.silent_after,
        match=_match(section.match),
        overrides=tuple(
            Override(override.match, _overridden(thresholds, override)) for override in section.jobs
        ),
    )


def _overridden(group: Thresholds, override: JobOverride) -> Thresholds:
    failures, passes = override.failures_to_open, override.passes_to_close
    closes = override.flaky_closes
    return Thresholds(
        failures_to_open=group.failures_to_open if failures is None else failures,
        passes_to_close=group.passes_to_close if passes is None else passes,
        flaky_closes=group.flaky_closes if closes is None else closes,
    )


def _match(section: MatchSection) -> Match:
    event = section.event if isinstance(section, GroupMatchSection) else None
    return Match(section.repo, section.branch, section.workflow, section.job_name, event)
