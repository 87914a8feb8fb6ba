"""Turn snapshots into metric families. Stateless: a job that left the snapshot has no series."""

from collections.abc import Iterable, Iterator
from itertools import chain

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from trunkwatch.domain.job import JobState
from trunkwatch.engine.cells import MEANINGS, suspect_letters
from trunkwatch.engine.shown import Alert, outage_of
from trunkwatch.engine.snapshot import Snapshot, SourceStatus, Totals, TrunkState
from trunkwatch.engine.triage import Triage
from trunkwatch.metrics.catalogue import Family, Kind, Scope, of_scope
from trunkwatch.metrics.facts import (
    STEP_SHOWN,
    by,
    end_of,
    ended_facts,
    group_reason,
    group_title,
    outage_facts,
)

Sample = tuple[str, tuple[str, ...], float]
"""Name, label values in the catalogue's order, and the value."""


def job_families(trunks: Iterable[TrunkState]) -> Iterator[Metric]:
    """Yield the families about single jobs."""
    return _families(
        Scope.JOB,
        (
            (f"ci_job_{name}", (*job_labels(job), *more), value)
            for trunk in trunks
            for job in trunk.jobs
            for name, more, value in job_samples(job)
        ),
    )


def branch_families(trunks: Iterable[TrunkState]) -> Iterator[Metric]:
    """Yield the families about groups and trunks."""
    return _families(
        Scope.BRANCH,
        (
            (name, (*trunk.trunk, *more), value)
            for trunk in trunks
            for name, more, value in branch_samples(trunk)
        ),
    )


def own_families(snapshot: Snapshot, totals: Totals, version: str) -> Iterator[Metric]:
    """Yield the families about Trunkwatch itself."""
    samples = chain(ended_samples(snapshot), own_samples(snapshot, totals, version))
    return _families(Scope.OWN, samples)


# ---------------------------------------------------------------------- samples


def own_samples(
    snapshot: Snapshot, totals: Totals, version: str, external_url: str = ""
) -> Iterator[Sample]:
    """Yield the samples about Trunkwatch itself; those of one family in order.

    Args:
        snapshot: the state.
        totals: counts since the start.
        version: that runs.
        external_url: address of the pages; empty where none are served.
    """
    for source in snapshot.sources:
        for name, value in _source_samples(source):
            yield f"trunkwatch_source_{name}", (source.name,), value
        for limitation in sorted(source.limitations):
            yield "trunkwatch_source_limitation", (source.name, limitation), 1.0
    for (name, *labels), value in sorted(totals.counts.items()):
        if name.startswith("ci_") and not snapshot.complete:
            continue  # CI families are exported only once every source has been read.
        yield name, tuple(labels), value
    yield "trunkwatch_config_reload_success", (), float(totals.config_reload_ok)
    yield "trunkwatch_web_config_reload_success", (), float(totals.web_config_ok)
    yield "trunkwatch_storage_up", (), float(totals.storage_ok)
    if external_url:
        yield "trunkwatch_web_info", (external_url,), 1.0
    yield "trunkwatch_build_info", (version,), 1.0


def ended_samples(snapshot: Snapshot, external_url: str = "") -> Iterator[Sample]:
    """Yield the samples of the alerts that ended recently.

    Args:
        snapshot: the state.
        external_url: address of the pages; empty where none are served.
    """
    for alert in snapshot.ended if snapshot.complete else ():
        labels = _ended_labels(alert, external_url)
        yield "ci_job_last_outage_info", labels, end_of(alert).noticed_at


def triage_samples(snapshot: Snapshot, triage: Triage, now: float) -> Iterator[Sample]:
    """Yield the samples about tickets and silences; none for unknown ones.

    Args:
        snapshot: the state.
        triage: who is on it.
        now: seconds since the epoch.
    """
    readings = list(triage.readings())
    for peer, reading in readings:
        yield "trunkwatch_triage_known", (peer,), float(reading.known(now) is not None)
        if reading.read_at is not None:
            yield "trunkwatch_triage_timestamp_seconds", (peer,), reading.read_at
    trunks = snapshot.trunks if readings and snapshot.complete else ()
    current = triage.at(now)
    for job in (job for trunk in trunks for job in trunk.alerting):
        found, labels = current.of(job), job_labels(job)
        ticket = found.ticket
        if ticket is not None:
            people = ", ".join(ticket.assignees)
            yield (
                "ci_job_ticket_info",
                (*labels, ticket.name, ticket.url or "", ticket.state, people),
                ticket.opened_at,
            )
        for silence in found.silences:
            texts = (silence.ident, silence.created_by, silence.comment)
            yield "ci_job_silence_info", (*labels, *texts), silence.ends_at or 0.0


def job_labels(job: JobState) -> tuple[str, ...]:
    """Return the values of `JOB_LABELS`."""
    return (*job.key, job.group.name, job.group.team, job.group.priority)


def job_samples(job: JobState, external_url: str = "") -> Iterator[Sample]:
    """Yield the samples of one job, without `ci_job_` and the job's own labels.

    An unknown number has no sample.

    Args:
        job: its state.
        external_url: address of the pages; empty where none are served.
    """
    yield "consecutive_failures", (), job.consecutive_failures
    yield "failures_to_open", (), job.failures_to_open
    yield "broken", (), float(job.broken)
    yield "alerting", (), job.failures_in_outage if job.alerting else 0
    yield "failures_in_outage", (), job.failures_in_outage
    yield "known_broken", (), float(job.known_broken is not None)
    yield "streak_truncated", (), float(job.truncated)
    yield "pending_commits", (), job.pending
    yield "flaky_commits", (), job.flaky
    yield "mostly_flaky", (), float(job.mostly_flaky)
    yield "silent_after_seconds", (), job.group.silent_after
    for name, value in (
        ("broken_since_timestamp_seconds", _broken_since(job)),
        ("last_success_timestamp_seconds", job.last_success_at),
        ("last_verdict_timestamp_seconds", job.last_verdict_at),
        ("duration_seconds", job.duration),
    ):
        if value is not None:
            yield name, (), value
    yield from _blame_samples(job, external_url)


def _broken_since(job: JobState) -> float | None:
    return job.blame.broken_since if job.broken and job.blame else None


def _blame_samples(job: JobState, external_url: str) -> Iterator[Sample]:
    outage = outage_of(job)
    if outage is not None:
        # An end is noticed after the outage began: where an outage goes on without its alert, as
        # a muted one does, the facts of the end are the current ones.
        found_at = job.evaluated_at if job.alerting else outage.broken_since or 0.0
        yield "outage_info", _outage_labels(outage, external_url), found_at
    if job.blame is None or job.blame.suspects is None:
        return
    yield "suspect_commits", (), len(job.blame.suspects)
    if outage is not None:
        suspects = suspect_letters(job, len(outage.listed))
        for position, (commit, letter) in enumerate(suspects, 1):
            yield "suspect_info", (commit.sha, *by(commit), MEANINGS[letter]), position


def _outage_labels(outage: Alert, external_url: str) -> tuple[str, ...]:
    return (
        outage.first_bad.sha,
        outage.last_good or "",
        outage.url or "",
        (outage.failed_step or "")[:STEP_SHOWN],
        *by(outage.first_bad),
        outage_facts(outage, external_url),
    )


def _ended_labels(alert: Alert, external_url: str) -> tuple[str, ...]:
    job, *group = alert.key
    facts = ended_facts(alert, external_url)
    return (*job, *group, alert.first_bad.sha, str(end_of(alert).reason), facts)


def branch_samples(trunk: TrunkState) -> Iterator[Sample]:
    """Yield the samples of one trunk and its groups, without the trunk's own labels."""
    for group in trunk.groups:
        name = group.group.name
        yield "ci_group_failure_threshold", (name,), group.group.failure_threshold
        if group.alerting is not None:
            texts = (group_title(group, group.alerting), group_reason(group))
            yield "ci_group_alert_info", (name, *texts), trunk.evaluated_at
    head = trunk.order.commits[-1].committed_at if trunk.order.commits else None
    if trunk.data_at is not None:
        yield "ci_branch_data_timestamp_seconds", (), trunk.data_at
    yield "ci_branch_up", (), float(trunk.up)
    for source in trunk.sources:
        yield "ci_branch_source_up", (source.name,), float(source.up)
        if source.read_until is not None:
            yield "ci_branch_source_data_timestamp_seconds", (source.name,), source.read_until
    yield "ci_branch_data_doubtful", (), float(trunk.missing > 0)
    for workflow in trunk.inactive_workflows:
        yield "ci_workflow_inactive", (workflow,), 1.0
    if head is not None:
        yield "ci_branch_head_timestamp_seconds", (), head
    mass = trunk.mass_breakage
    yield "ci_branch_mass_breakage", (), float(mass is not None)
    if mass is not None:
        commit = trunk.order.commits[mass.commit_index]
        yield "ci_branch_mass_breakage_info", (commit.sha, *by(commit)), mass.jobs
    truncated = sum(group.alerting.truncated for group in trunk.groups if group.alerting)
    yield "ci_branch_truncated_outages", (), truncated
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


def _families(scope: Scope, samples: Iterable[Sample]) -> Iterator[Metric]:
    families = {family.name: empty_family(family) for family in of_scope(scope)}
    for name, labels, value in samples:
        families[name].add_metric(labels, value)
    yield from families.values()


def empty_family(family: Family) -> CounterMetricFamily | GaugeMetricFamily:
    """Return a family without samples."""
    kind = CounterMetricFamily if family.kind is Kind.COUNTER else GaugeMetricFamily
    return kind(family.name, family.help, labels=family.labels)
