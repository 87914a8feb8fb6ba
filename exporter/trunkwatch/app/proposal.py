"""A configuration for a repository that `refresh_all` has read, for `trunkwatch init`."""

import time
from datetime import UTC, datetime, timedelta

from trunkwatch.app.once import Once
from trunkwatch.config import Config, RepoSource, parse_config
from trunkwatch.config.proposal import (
    BrokenNow,
    Evaluated,
    Read,
    plan_of,
    survey_of,
    text_of,
)
from trunkwatch.domain.job import JobState
from trunkwatch.engine.snapshot import TrunkState
from trunkwatch.errors import UsageError
from trunkwatch.poller import TrunkEngine
from trunkwatch.poller.totals import Counters
from trunkwatch.report.notes import trunk_notes
from trunkwatch.sources.github.successful_runs import successful_runs

TRIED = (1, 2, 3, 5)
"""Every N of which a comment has the number of outages."""


def proposal(
    once: Once,
    source: RepoSource,
    team: str,
    baseline: float | None,
) -> str:
    """Return the text of a configuration for one repository.

    Args:
        once: the repository, read.
        source: by which it was read.
        team: that owns every group at first.
        baseline: seconds for which the jobs that are broken now are exempt; None for none.

    Raises:
        UsageError: it has no job, so that nothing can be proposed.
    """
    trunk = _only_trunk(once)
    entries = once.engine.state(source.name).entries
    survey = survey_of(
        trunk.order,
        once.store.observations(trunk.trunk),
        once.store.load().labels.get(trunk.trunk, {}),
        # GitLab itself marks the jobs that are allowed to fail; with Gitea, their run fails too.
        successful_runs(entries, trunk.trunk) if source.type == "github" else frozenset(),
    )
    plan = plan_of(survey, "gitlab" if source.type == "gitlab" else None)
    read = Read(source, team)
    config = parse_config(text_of(survey, plan, read, Evaluated()), "trunkwatch.yml")
    return text_of(survey, plan, read, _evaluated(once, config, baseline))


def _only_trunk(once: Once) -> TrunkState:
    snapshot = once.engine.snapshot
    (trunk,) = snapshot.trunks or (None,)
    if trunk is None or not trunk.jobs:
        notes = [] if trunk is None else trunk_notes(trunk, time.time())
        problems = [source.problem for source in snapshot.sources if source.problem]
        reasons = [*dict.fromkeys([*notes, *problems])] or ["no result was read"]
        raise UsageError("\n".join(["no job was found to write a configuration for:", *reasons]))
    return trunk


def _evaluated(once: Once, config: Config, baseline: float | None) -> Evaluated:
    """Evaluate the results that were read by a proposed configuration."""
    now = once.engine.snapshot.as_of
    engine = TrunkEngine(config, once.store, Counters(), lambda: now)
    outages: dict[str, dict[int, int]] = {group.name: {} for group in config.groups}
    for number in TRIED:
        found = [outage.group.name for test in engine.back_test(number) for outage in test.outages]
        for name, counts in outages.items():
            counts[number] = found.count(name)
    jobs = [job for trunk in engine.snapshot.trunks for job in trunk.jobs]
    groups = [job.group.name for job in jobs]
    until = None if baseline is None else datetime.fromtimestamp(now, UTC) + timedelta(0, baseline)
    return Evaluated(
        jobs={group.name: groups.count(group.name) for group in config.groups},
        outages=outages,
        broken=[BrokenNow(job.key, _since(job)) for job in jobs if job.alerting],
        until=until.date().isoformat() if until is not None else None,
    )


def _since(job: JobState) -> str | None:
    since = job.blame.broken_since if job.blame is not None else None
    return datetime.fromtimestamp(since, UTC).date().isoformat() if since is not None else None
