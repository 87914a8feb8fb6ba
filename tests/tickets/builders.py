"""JSON of the exporter and of Alertmanager: `trunk(job("a"), job("b", broken=False))`."""

from collections.abc import Mapping, Sequence
from typing import Any

from trunkwatch.metrics.lines import Labels
from trunkwatch.tickets.alerts import ALERT
from trunkwatch.times import format_time

from tests.github.fake import T0

Json = dict[str, Any]

REPO, BRANCH, GROUP, TEAM = "o/r", "main", "inductor", "broken-inductor"
WORKFLOW = "pull"
GOOD, BAD = "a" * 40, "b" * 40
RUN = "https://ci.example.org/runs/1"
COMPARE = "https://ci.example.org/compare/1"
PAGER = "https://alerts.example.org"


def job(name: str, **facts: Any) -> Json:
    """Return a job of the exporter's JSON: broken for three commits by default."""
    broken = facts.pop("broken", True)
    failures = facts.pop("failures_in_outage", 3 if broken else 0)
    first_bad = facts.pop("first_bad", BAD if broken else None)
    suspects = [
        {"sha": "c" * 40, "author": "author-c", "title": "Tidy up", "state": "C"},
        {
            "sha": first_bad,
            "author": "author-b",
            "title": "Enable the new scheduler",
            "state": "F",
        },
    ]
    return {
        "repo": REPO, "branch": BRANCH, "workflow": WORKFLOW, "job_name": name, "group": GROUP,
        "failures_to_open": 3, "consecutive_failures": failures, "stopped_by": "pass",
        "truncated": False, "broken": broken, "failures_in_outage": failures,
        "first_bad": first_bad, "last_good": GOOD if broken else None,
        "suspects": 2 if broken else None, "tested_suspects": 1 if broken else None,
        "suspect_commits": suspects if broken else [],
        "next_test": {"sha": suspects[0]["sha"], "state": "C", "results": 1} if broken else None,
        "broken_since": format_time(T0 - 3600) if broken else None, "url": RUN if broken else None,
        "compare_url": COMPARE if broken else None, "failed_step": "Test" if broken else None,
        "annotations": [],
        "same_step": "Test" if broken else None, "infra": False if broken else None,
        "confirmed": False if broken else None, "also_broken_since": [],
        "pending_commits": 0, "flaky_commits": 0,
        "last_verdict": "FAIL" if broken else "PASS", "known_broken": None, **facts,
    }  # fmt: skip


def fixed(name: str, first_bad: str = BAD, **facts: Any) -> Json:
    """Return a job that was fixed by a commit."""
    by = {"sha": "f" * 40, "author": "author-f", "title": "Put it right"}
    outage = {"first_bad": first_bad, "ended_by": by}
    return job(name, broken=False, last_outage=outage, **facts)


def trunk(*jobs: Json, up: bool = True, threshold: int = 1, **group: Any) -> Json:
    """Return the exporter's JSON of one trunk with one group."""
    failing = sum(
        row["broken"] and row["known_broken"] is None and row["group"] == GROUP for row in jobs
    )
    row = {
        "repo": REPO, "branch": BRANCH, "group": GROUP, "team": TEAM, "priority": "P2",
        "failures_to_open": 3, "failure_threshold": threshold, "jobs_failing": failing,
        "firing": failing >= threshold, **group,
    }  # fmt: skip
    return {
        "as_of": format_time(T0),
        "sources": [{"source": "ci", "up": up, "last_success": format_time(T0)}],
        "groups": [row],
        "jobs": list(jobs),
    }


def labels(name: str) -> dict[str, str]:
    """Return the labels of a job's alert, in which a long name is cut."""
    return {
        "alertname": ALERT, "repo": REPO, "branch": BRANCH, "group": GROUP, "team": TEAM,
        "priority": "P2", "severity": "warning", "workflow": WORKFLOW,
        "job_name": Labels().bounded(name),
    }  # fmt: skip


def delivery(*alerts: Mapping[str, Any], **whole: Any) -> Json:
    """Return the payload of a webhook."""
    return {
        "version": "4", "groupKey": "{}:{}", "truncatedAlerts": 0, "receiver": "ticket",
        "status": "firing", "groupLabels": {}, "commonLabels": {}, "commonAnnotations": {},
        "externalURL": PAGER, "alerts": list(alerts), **whole,
    }  # fmt: skip


def alert(name: str, status: str = "firing", **more: Any) -> Json:
    """Return one alert of a webhook."""
    return {
        "status": status, "labels": labels(name), "annotations": {}, "fingerprint": "0" * 16,
        "startsAt": "2026-09-21T00:00:00Z", "endsAt": "0001-01-01T00:00:00Z",
        "generatorURL": "http://prometheus.example.org/graph", **more,
    }  # fmt: skip


def listed_alert(name: str, state: str = "active") -> Json:
    """Return one alert of Alertmanager's API."""
    return {
        "labels": labels(name),
        "annotations": {"runbook_url": "https://books.example.org/TrunkJobBroken"},
        "status": {"state": state, "silencedBy": [], "inhibitedBy": []},
        "generatorURL": "http://prometheus.example.org/graph",
        "fingerprint": "0" * 16, "receivers": [{"name": "ticket"}],
        "startsAt": "2026-09-21T00:00:00Z", "endsAt": "2026-09-21T00:04:00Z",
        "updatedAt": "2026-09-21T00:00:00Z",
    }  # fmt: skip


def broken_names(document: Mapping[str, Any]) -> Sequence[str]:
    """Return the jobs for which the rules alert."""
    return [
        row["job_name"]
        for row in document["jobs"]
        if row["broken"] and row["known_broken"] is None and row["group"] == GROUP
    ]
