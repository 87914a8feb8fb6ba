"""A configuration compared with the jobs that there are, for `check-config --live`."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from trunkwatch.config import Config, policy_of
from trunkwatch.domain.evidence import PUSHES, EvidenceRules, why_ignored
from trunkwatch.domain.groups import Group
from trunkwatch.domain.job import JobState
from trunkwatch.domain.model import JobKey, Observation, Trunk, TrunkOrder
from trunkwatch.domain.names import Naming, any_full_match, event_label
from trunkwatch.domain.policy import Policy
from trunkwatch.engine.snapshot import Snapshot
from trunkwatch.report.words import counted, plain


@dataclass(frozen=True, slots=True)
class Results:
    """The results of one trunk.

    Attributes:
        names: the jobs of the runs that count, as the CI names them.
        runs: number of these runs by event.
    """

    names: frozenset[str]
    runs: Mapping[str, int]


def results_of(order: TrunkOrder, rows: Iterable[Observation], rules: EvidenceRules) -> Results:
    """Return the results of a trunk."""
    names, runs = set(), defaultdict(set)
    for row in rows:
        if why_ignored(row, order, rules) is None:
            names.add(row.job.job_name)
            runs[row.event].add((row.sha, row.run_id))
    return Results(frozenset(names), {event: len(ids) for event, ids in sorted(runs.items())})


def group_lines(config: Config, snapshot: Snapshot) -> Iterator[str]:
    """Yield each group, in the order of the file, and its jobs."""
    jobs = [job for trunk in snapshot.trunks for job in trunk.jobs]
    several = len(snapshot.trunks) > 1
    by_group: dict[str, list[JobKey]] = defaultdict(list)
    groups = {group.name: group for group in policy_of(config).groups}
    for job in jobs:
        groups.setdefault(job.group.name, job.group)
        by_group[job.group.name].append(job.key)
    for name, group in groups.items():
        keys = sorted(by_group[name])
        number = counted(len(keys), "job")
        yield plain(f"group {name} (team {group.team}, {group.priority}): {number}")
        for key in keys:
            place = f"{key.repo} {key.branch}: " if several else ""
            yield plain(f"  {place}{key.display_name}")


def live_warnings(
    config: Config, snapshot: Snapshot, results: Mapping[Trunk, Results]
) -> Iterator[str]:
    """Yield a line for each part of a configuration that nothing of the results fits.

    Args:
        config: the configuration.
        snapshot: the jobs.
        results: of each trunk.
    """
    policy = policy_of(config)
    jobs = [job for trunk in snapshot.trunks for job in trunk.jobs]
    names = {name for each in results.values() for name in each.names}
    yield from _groups(policy, jobs)
    yield from _names(config, policy.naming, names)
    for place, known in enumerate(policy.known_broken):
        if not any(known.match.covers(job.key) for job in jobs):
            yield f"known_broken[{place}]: matches no job"
    for place, green in enumerate(config.green):
        trunk = Trunk(green.repo, green.branch)
        shown = [job.key.display_name for job in jobs if job.key[:2] == trunk]
        for number, pattern in enumerate(green.required):
            if not any(map(pattern.fullmatch, shown)):
                yield f"green[{place}].required[{number}]: matches no job of {trunk}"
    for trunk, found in sorted(results.items()):
        yield from _events(trunk, found)


def _events(trunk: Trunk, found: Results) -> Iterator[str]:
    if found.runs and not PUSHES & found.runs.keys():
        events = ", ".join(f"{event} ({number})" for event, number in found.runs.items())
        yield (
            f"{trunk}: no run of a push was read, only those of {events}; if pushes have runs,"
            " correct branches of the source and jobs.events"
        )


def _names(config: Config, naming: Naming, names: Iterable[str]) -> Iterator[str]:
    for place, pattern in enumerate(config.jobs.ignore):
        if not any(map(pattern.fullmatch, names)):
            yield f"jobs.ignore[{place}]: matches no job"
    left = {name for name in names if not any_full_match(naming.ignore, name)}
    presets = len(naming.fold) - len(config.jobs.fold)  # a preset's rules come first
    for place, rule in enumerate(naming.fold, -presets):
        if place >= 0 and not any(map(rule.match.fullmatch, left)):
            yield f"jobs.fold[{place}]: matches no job"
        left = {rule.folded(name) for name in left}


# ---------------------------------------------------------------------- groups


def _groups(policy: Policy, jobs: Sequence[JobState]) -> Iterator[str]:
    for place, group in enumerate(policy.groups):
        mine = [job for job in jobs if job.group == group]
        if not mine:
            yield f"groups[{place}] {group.name!r}: {_why_empty(place, policy, jobs)}"
            continue
        for number, override in enumerate(group.overrides):
            if not any(override.match.fullmatch(job.key.job_name) for job in mine):
                yield f"groups[{place}].jobs[{number}]: matches no job of the group"


def _why_empty(place: int, policy: Policy, jobs: Sequence[JobState]) -> str:
    """Return the reason why a group has no job."""
    group, before = policy.groups[place], policy.groups[:place]
    wanted = [job for job in jobs if _covers(group, job, policy.evidence.events)]
    takers = Counter(job.group.name for job in wanted if job.group in before)
    if takers:
        taken = ", ".join(f"{name!r} ({number})" for name, number in sorted(takers.items()))
        what = counted(sum(takers.values()), "job")
        return f"is shadowed: groups before it take the {what} that it matches: {taken}"
    if wanted:
        return "matches no run: its jobs have no run of this event"
    return "matches no job"


def _covers(group: Group, job: JobState, events: Iterable[str]) -> bool:
    """Return whether a group matches a job, or would match its runs of some event."""
    for event in sorted(events):
        suffix = event_label("", event)
        if job.group.match.event is not None and job.key.workflow.endswith(suffix):
            key = job.key._replace(workflow=job.key.workflow.removesuffix(suffix))
            return group.match.covers(key, event)
    return any(group.match.covers(job.key, event) for event in (None, *events))
