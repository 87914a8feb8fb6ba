"""What the exporter and Alertmanager say, read once into values."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from trunkwatch.annotations import annotation_lines
from trunkwatch.domain.model import display_name
from trunkwatch.errors import ReadingError
from trunkwatch.times import parse_time

ALERT = "TrunkJobBroken"
"""The one alert that tickets are about."""


class Key(NamedTuple):
    """What one ticket is about."""

    repo: str
    branch: str
    group: str


class JobName(NamedTuple):
    """One job of a trunk."""

    workflow: str
    job_name: str

    def __str__(self) -> str:
        return display_name(self.workflow, self.job_name)


class CommitLine(NamedTuple):
    """A commit as a ticket names it; author and title are None where they are not known."""

    sha: str
    author: str | None = None
    title: str | None = None


@dataclass(frozen=True, slots=True)
class JobFacts:
    """One job, as the exporter's JSON tells it.

    Attributes:
        name: the job.
        group: the group it is in.
        broken: an outage is open.
        failures: FAILs of the open outage.
        first_bad: the commit at which it broke; None where nothing fails.
        last_good: hash of the PASS before it, where known.
        suspects: how many commits are suspect, where known.
        tested: how many of them have a verdict, where known.
        also_suspect: the suspects beside first bad, oldest first.
        since: when its first failing run began (seconds since the epoch), where known.
        url: of that run.
        compare_url: where last good and first bad are compared.
        failed_step: of that run.
        annotations: of that run: what the CI says about why it failed.
        same_step: the step is the same at every failure.
        infra: that run looks like a fault of the machinery.
        confirmed: first bad failed in more than one attempt.
        together: jobs of other groups with the same first bad.
        pending: commits whose results are awaited.
        last_verdict: PASS, FAIL, FLAKY, or None.
        known_broken: why it is exempt; None where it is not.
        ended: hash of first bad of its newest outage that has ended, and the commit that ended it.
    """

    name: JobName
    group: str
    broken: bool
    failures: int
    first_bad: CommitLine | None
    last_good: str | None
    suspects: int | None
    tested: int | None
    also_suspect: tuple[CommitLine, ...]
    since: float | None
    url: str | None
    compare_url: str | None
    failed_step: str | None
    annotations: tuple[str, ...]
    same_step: bool
    infra: bool
    confirmed: bool
    together: tuple[str, ...]
    pending: int
    last_verdict: str | None
    known_broken: str | None
    ended: tuple[str, CommitLine] | None


@dataclass(frozen=True, slots=True)
class GroupFacts:
    """One group of a trunk.

    Attributes:
        team: who answers for it.
        priority: P0 to P3.
        threshold: broken jobs that make it fire.
        failing: broken jobs, known-broken ones apart.
    """

    team: str
    priority: str
    threshold: int
    failing: int


@dataclass(frozen=True, slots=True)
class Picture:
    """One trunk, as the exporter's JSON tells it.

    Attributes:
        reliable: every source was read; what is not there is gone, and not merely unread.
        groups: by name.
        jobs: by name.
    """

    reliable: bool
    groups: Mapping[str, GroupFacts]
    jobs: Mapping[JobName, JobFacts]

    def broken(self, group: str) -> tuple[JobFacts, ...]:
        """Return the broken jobs of a group, exempt ones apart, the longest outage first."""
        found = [
            job
            for job in self.jobs.values()
            if job.group == group and job.broken and job.known_broken is None
        ]
        return tuple(sorted(found, key=lambda job: (-job.failures, job.name)))


class Links(NamedTuple):
    """Where a reader goes on; each None where it is not known."""

    runbook: str | None = None
    dashboard: str | None = None
    source: str | None = None
    alertmanager: str | None = None


class Alert(NamedTuple):
    """One alert that has not resolved.

    Attributes:
        active: neither silenced nor inhibited.
        links: that it brings along.
    """

    active: bool
    links: Links


Alerts = Mapping[Key, Mapping[JobName, Alert]]


# ---------------------------------------------------------------------- the exporter's JSON


def picture_of(document: Any) -> Picture:
    """Understand what `/api/v1/trunk/<repo>/<branch>` answers.

    Raises:
        ReadingError: it is something else.
    """
    try:
        jobs = [_job(row) for row in document["jobs"]]
        return Picture(
            reliable=all(bool(source["up"]) for source in document["sources"]),
            groups={row["group"]: _group(row) for row in document["groups"]},
            jobs={job.name: job for job in jobs},
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise ReadingError(
            f"the exporter's JSON is not what docs/policy.md describes ({error!r}); do both"
            " run the same version?"
        ) from None


def _group(row: Mapping[str, Any]) -> GroupFacts:
    return GroupFacts(
        str(row["team"]), str(row["priority"]), int(row["failure_threshold"]),
        int(row["jobs_failing"]),
    )  # fmt: skip


def _job(row: Mapping[str, Any]) -> JobFacts:
    exempt = row.get("known_broken")
    return JobFacts(
        name=JobName(str(row["workflow"]), str(row["job_name"])),
        group=str(row["group"]),
        broken=bool(row["broken"]),
        failures=int(row["failures_in_outage"]),
        first_bad=_first_bad(row),
        last_good=row.get("last_good"),
        suspects=row.get("suspects"),
        tested=row.get("tested_suspects"),
        also_suspect=_also_suspect(row),
        since=parse_time(row["since"]) if row.get("since") else None,
        url=row.get("url"),
        compare_url=row.get("compare_url"),
        failed_step=row.get("failed_step"),
        annotations=annotation_lines(str(line) for line in row.get("annotations") or ()),
        same_step=row.get("same_step") is not None,
        infra=bool(row.get("infra")),
        confirmed=bool(row.get("confirmed")),
        together=tuple(str(name) for name in row.get("also_broken_since") or ()),
        pending=int(row.get("pending_commits") or 0),
        last_verdict=row.get("last_verdict"),
        known_broken=None if exempt is None else str(exempt["reason"]),
        ended=_ended(row.get("last_outage")),
    )


def _first_bad(row: Mapping[str, Any]) -> CommitLine | None:
    """First bad is the newest suspect; where no suspects are known, only its hash is."""
    sha = row.get("first_bad")
    return (
        next((line for line in _suspects(row) if line.sha == sha), CommitLine(sha)) if sha else None
    )


def _also_suspect(row: Mapping[str, Any]) -> tuple[CommitLine, ...]:
    return tuple(line for line in _suspects(row) if line.sha != row.get("first_bad"))


def _suspects(row: Mapping[str, Any]) -> list[CommitLine]:
    return [_commit(commit) for commit in row.get("suspect_commits") or ()]


def _ended(row: Mapping[str, Any] | None) -> tuple[str, CommitLine] | None:
    return None if row is None else (str(row["first_bad"]), _commit(row["ended_by"]))


def _commit(row: Mapping[str, Any]) -> CommitLine:
    return CommitLine(str(row["sha"]), row.get("author"), row.get("title"))


# ---------------------------------------------------------------------- Alertmanager


def alerts_of(rows: Any) -> Alerts:
    """Understand what `/api/v2/alerts` answers; other alerts than ours are left out.

    Raises:
        ReadingError: it is something else.
    """
    found: dict[Key, dict[JobName, Alert]] = {}
    try:
        for row in rows:
            labels = row["labels"]
            if labels.get("alertname") == ALERT:
                key, job = identity_of(labels)
                active = row["status"]["state"] == "active"
                found.setdefault(key, {})[job] = Alert(active, _links(row))
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise ReadingError(
            f"Alertmanager's list of alerts is not what its API v2 describes ({error!r});"
            " is --alertmanager.url its address?"
        ) from None
    return found


LABELS = ("repo", "branch", "group", "workflow", "job_name")


def identity_of(labels: Mapping[str, Any]) -> tuple[Key, JobName]:
    """Return whose alert this is.

    Raises:
        ValueError: a label is missing; the text names it.
    """
    for name in LABELS:
        if not isinstance(labels.get(name), str) or not labels[name]:
            raise ValueError(f"the label {name} is missing")
    return (
        Key(labels["repo"], labels["branch"], labels["group"]),
        JobName(labels["workflow"], labels["job_name"]),
    )


def _links(row: Mapping[str, Any]) -> Links:
    notes = row.get("annotations") or {}
    return Links(notes.get("runbook_url"), notes.get("dashboard_url"), row.get("generatorURL"))


def links_of(alerts: Iterable[Alert], known: Links) -> Links:
    """Return what is known of the links and, where nothing was, what the first alert says.

    What is known stays: two replicas of Prometheus give two addresses of one source in turn, and
    the ticket would be edited each time.
    """
    for alert in alerts:
        known = Links(*(old or new for old, new in zip(known, alert.links, strict=True)))
    return known
