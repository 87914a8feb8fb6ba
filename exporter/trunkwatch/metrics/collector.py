"""Turn snapshots into metric families. Stateless: a job that left the snapshot has no series."""

from collections.abc import Iterable, Iterator, Mapping, Sequence

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from trunkwatch.domain.job import JobState
from trunkwatch.domain.model import Commit
from trunkwatch.engine.snapshot import Snapshot, SourceStatus, Totals, TrunkState
from trunkwatch.metrics.catalogue import FAMILIES, Family, Kind, Scope

SUSPECTS_SHOWN = 10
"""Suspects per job that become series; the JSON lists all of them."""

TITLE_SHOWN = 80
"""Characters of a commit's title in a label."""

STEP_SHOWN = 80
"""Characters of a failed step's name in a label."""

Sample = tuple[tuple[str, ...], float]
"""Label values, in the catalogue's order, and the value."""

LabelledFamily = CounterMetricFamily | GaugeMetricFamily
"""A family that samples can be added to."""


def job_families(trunks: Iterable[TrunkState]) -> Iterator[Metric]:
    """Yield the families about single jobs."""
    families = empty_job_families()
    for trunk in trunks:
        for job in trunk.jobs:
            add_job(families, job)
    yield from families


def empty_job_families() -> list[LabelledFamily]:
    """Return the families about single jobs, in order, without samples."""
    return [_empty(family) for family in _of(Scope.JOB)]


def add_job(families: Sequence[LabelledFamily], job: JobState) -> None:
    """Add one job's samples to `empty_job_families`."""
    labels = _job_labels(job)
    for name, more, value in _job_samples(job):
        families[_JOB_PLACES[f"ci_job_{name}"]].add_metric((*labels, *more), value)


def branch_families(trunks: Iterable[TrunkState]) -> Iterator[Metric]:
    """Yield the families about groups and trunks."""
    samples: dict[str, list[Sample]] = {family.name: [] for family in _of(Scope.BRANCH)}
    for trunk in trunks:
        for name, more, value in _branch_samples(trunk):
            samples[name].append(((*trunk.trunk, *more), value))
    yield from _families(Scope.BRANCH, samples)


def own_families(snapshot: Snapshot, totals: Totals, version: str) -> Iterator[Metric]:
    """Yield the families about Trunkwatch itself."""
    samples: dict[str, list[Sample]] = {family.name: [] for family in _of(Scope.OWN)}
    for source in snapshot.sources:
        for name, value in _source_samples(source):
            samples[f"trunkwatch_source_{name}"].append(((source.name,), value))
        for limitation in sorted(source.limitations):
            samples["trunkwatch_source_limitation"].append(((source.name, limitation), 1.0))
    for (name, *labels), value in sorted(totals.counts.items()):
        if name.startswith("ci_") and not snapshot.complete:
            continue  # CI families are exported only once every source has been read.
        samples[name].append((tuple(labels), value))
    samples["trunkwatch_config_reload_success"].append(((), float(totals.config_reload_ok)))
    samples["trunkwatch_build_info"].append(((version,), 1.0))
    yield from _families(Scope.OWN, samples)


# ---------------------------------------------------------------------- samples


def _job_labels(job: JobState) -> tuple[str, ...]:
    return (*job.key, job.group.name, job.group.team, job.group.priority)


def _job_samples(job: JobState) -> Iterator[tuple[str, tuple[str, ...], float]]:
    """Yield name, further labels and value; an unknown number has no sample."""
    yield "consecutive_failures", (), job.consecutive_failures
    yield "failures_to_open", (), job.failures_to_open
    yield "broken", (), float(job.broken)
    yield "failures_in_outage", (), job.failures_in_outage
    yield "known_broken", (), float(job.known_broken is not None)
    yield "streak_truncated", (), float(job.truncated)
    yield "pending_commits", (), job.pending
    yield "flaky_commits", (), job.flaky
    yield "silent_after_seconds", (), job.group.silent_after
    for name, value in (
        ("broken_since_timestamp_seconds", _broken_since(job)),
        ("last_success_timestamp_seconds", job.last_success_at),
        ("last_verdict_timestamp_seconds", job.last_verdict_at),
        ("duration_seconds", job.duration),
    ):
        if value is not None:
            yield name, (), value
    yield from _blame_samples(job)


def _broken_since(job: JobState) -> float | None:
    return job.blame.broken_since if job.broken and job.blame else None


def _blame_samples(job: JobState) -> Iterator[tuple[str, tuple[str, ...], float]]:
    blame = job.blame
    if blame is None:
        return
    last_good = blame.last_good.sha if blame.last_good else ""
    run = (blame.url or "", (blame.failed_step or "")[:STEP_SHOWN])
    yield "outage_info", (blame.first_bad.sha, last_good, *run, *_by(blame.first_bad)), 1.0
    if blame.suspects is None:
        return
    yield "suspect_commits", (), len(blame.suspects)
    if job.broken:
        for position, commit in enumerate(blame.suspects[:SUSPECTS_SHOWN], 1):
            yield "suspect_info", (commit.sha, *_by(commit)), position


def _by(commit: Commit) -> tuple[str, str]:
    return commit.author or "", (commit.title or "")[:TITLE_SHOWN]


def _branch_samples(trunk: TrunkState) -> Iterator[tuple[str, tuple[str, ...], float]]:
    for group in trunk.groups:
        yield "ci_group_failure_threshold", (group.group.name,), group.group.failure_threshold
    head = trunk.order.commits[-1].committed_at if trunk.order.commits else None
    if trunk.data_at is not None:
        yield "ci_branch_data_timestamp_seconds", (), trunk.data_at
    yield "ci_branch_up", (), float(trunk.up)
    yield "ci_branch_data_doubtful", (), float(trunk.missing > 0)
    for workflow in trunk.inactive_workflows:
        yield "ci_workflow_inactive", (workflow,), 1.0
    if head is not None:
        yield "ci_branch_head_timestamp_seconds", (), head
    yield "ci_branch_mass_breakage", (), float(trunk.mass_breakage)
    if trunk.green is not None:
        yield "ci_branch_commits_since_green", (), trunk.green.commits_since
        if trunk.green.commit is not None and trunk.green.commit.committed_at is not None:
            yield "ci_branch_last_green_timestamp_seconds", (), trunk.green.commit.committed_at


def _source_samples(source: SourceStatus) -> Iterator[tuple[str, float]]:
    yield "up", float(source.up)
    yield "last_success_timestamp_seconds", source.last_success or 0.0
    yield "refresh_duration_seconds", source.refresh_seconds or 0.0
    yield "poll_interval_seconds", source.poll_interval
    if source.quota_remaining is not None:
        yield "quota_remaining", source.quota_remaining
    if source.unread is not None:
        yield "unread_commits", source.unread


# ---------------------------------------------------------------------- families


def _of(scope: Scope) -> list[Family]:
    return [family for family in FAMILIES if family.scope is scope]


_JOB_PLACES = {family.name: position for position, family in enumerate(_of(Scope.JOB))}


def _families(scope: Scope, samples: Mapping[str, list[Sample]]) -> Iterator[Metric]:
    for family in _of(scope):
        metric = _empty(family)
        for labels, value in samples[family.name]:
            metric.add_metric(labels, value)
        yield metric


def _empty(family: Family) -> LabelledFamily:
    kind = CounterMetricFamily if family.kind is Kind.COUNTER else GaugeMetricFamily
    return kind(family.name, family.help, labels=family.labels)
