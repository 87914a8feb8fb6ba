"""Builders of Alertmanager's template data, and rendering with amtool."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Any

from trunkwatch.addresses import job_path
from trunkwatch.domain.model import JobKey
from trunkwatch.metrics.facts import WHOLE_BYTES

from tests.deploy.files import DEPLOY, TEMPLATES, run
from tests.support.engines import OLDEST, find_engine

EXPORTER = "http://localhost:10077"
RUNBOOKS = f"{EXPORTER}/runbooks"
TITLE = "[P2] inductor jobs broken for 3 commits in a row on pytorch/pytorch main"

OCCURRED = "2025-12-09 12:22 UTC"
BEGAN = "2025-12-09T16:02:11Z"
ENDED = "2025-12-09T18:05:31Z"
STILL_FIRING = "0001-01-01T00:00:00Z"

FIRST_BAD = "4" * 40
LAST_GOOD = "2" * 40
FIXING = "6" * 40
GITHUB = "https://github.com/pytorch/pytorch"

CAPTIONS = {
    "ended": "Ended",
    "ended_at": "Ended at",
    "lasted": "Lasted",
    "fixed_by": "Fixed by",
    "fixed_by_whom": "Fixed by whom",
    "moved_to": "Moved to",
    "muted_because": "Muted because",
    "title": "Title",
    "failures": "Failures",
    "broken_since": "Occurred at",
    "first_bad": "First bad",
    "first_bad_by": "First bad by",
    "last_good": "Last good",
    "failed_step": "Failed step",
    "url": "First failing run",
    "commits": "Commits",
    "compare": "Compare",
    "page": "Page",
    "suspects": "Suspects",
    "reason": "Reason",
    "failing_for": "Failing for",
    "explain": "Explain",
}
"""The facts of a job in the order of their lines in `description`."""

FACTS = {
    "broken_since": OCCURRED,
    "first_bad": FIRST_BAD,
    "first_bad_by": "author-b: Fuse more",
    "last_good": LAST_GOOD,
    "failed_step": "Test",
    "url": f"{GITHUB}/actions/runs/7",
    "commits": f"{GITHUB}/commit/",
    "compare": f"{GITHUB}/compare/{LAST_GOOD}...{FIRST_BAD}",
    "suspects": "2\n3333333333 author-a: Tidy\n4444444444 author-b: Fuse more",
    "reason": "Failure_Threshold=1, Number_of_Jobs_Failing=1",
    "explain": "trunkwatch explain --config.file FILE -- 'a'",
}
FIXED = {
    "ended": "fixed",
    "ended_at": "2025-12-09 18:05 UTC",
    "lasted": "5h 43m",
    "fixed_by": FIXING,
    "fixed_by_whom": "author-c: Fuse less",
}

LABELS = {
    "alertname": "TrunkJobBroken",
    "repo": "pytorch/pytorch",
    "branch": "main",
    "workflow": "inductor",
    "group": "inductor",
    "team": "broken-inductor",
    "priority": "P2",
    "severity": "warning",
}

MEDIA = ("trunkwatch.text", "trunkwatch.markdown", "trunkwatch.slack")

GROUPED_BY = ("alertname", "repo", "branch", "group")


@dataclass(frozen=True, slots=True)
class Alert:
    """One alert of a notification.

    Attributes:
        labels: all labels.
        annotations: all annotations.
        resolved: whether it has ended.
    """

    labels: Mapping[str, str]
    annotations: Mapping[str, str]
    resolved: bool = False

    def data(self) -> dict[str, Any]:
        """Return the alert in the format of template data."""
        length = 2_400 if self.labels["alertname"] == "TrunkJobBroken" else 200
        return {
            "status": "resolved" if self.resolved else "firing",
            "labels": dict(self.labels),
            "annotations": dict(self.annotations),
            "startsAt": BEGAN,
            "endsAt": ENDED if self.resolved else STILL_FIRING,
            # The expression of TrunkJobBroken has about 2,400 characters, others a few hundred.
            "generatorURL": f"http://localhost:9090/graph?g0.expr={'x' * length}&g0.tab=1",
            "fingerprint": "0",
        }


def description(**facts: str) -> str:
    """Return the annotation of a broken job: one line per fact, in the order of the rules."""
    lines = [f"{CAPTIONS[name]}: {facts[name]}" for name in CAPTIONS if facts.get(name)]
    if facts.get("suspects"):
        number = next(n for n, line in enumerate(lines) if line.startswith("Suspects: "))
        listed = facts["suspects"].splitlines()
        lines[number : number + 1] = [f"Suspects: {listed[0]}", *(f"- {row}" for row in listed[1:])]
    return "\n".join(lines)


def broken(job: str, failures: int | str = 3, *, resolved: bool = False, **facts: str) -> Alert:
    """Return the alert of a broken job of the group inductor; `facts` replaces those of the rules.

    A resolved alert without the fact `ended` has an end that is not confirmed.
    """
    path = job_path(JobKey("pytorch/pytorch", "main", "inductor", job))
    page = f"{EXPORTER}{path}" if len(path) < WHOLE_BYTES - len(EXPORTER) else ""
    known = {**FACTS, "failures": str(failures), "page": page} | facts
    if not known.get("ended"):
        known = {"title": TITLE, "failing_for": "3h 40m 12s"} | known
    notes = {
        "summary": f"{job} (workflow inductor) is broken on pytorch/pytorch main",
        "description": description(**known),
        "runbook_url": f"{RUNBOOKS}/TrunkJobBroken",
    }
    return Alert(LABELS | {"job_name": job}, notes, resolved)


def fixed(job: str, **facts: str) -> Alert:
    """Return the alert of a job that passes again."""
    return broken(job, resolved=True, **({"reason": ""} | FIXED | facts))


def of_exporter() -> Alert:
    """Return an alert about the exporter, which has a description and no facts of a job."""
    labels = {"alertname": "TrunkwatchExporterDown", "team": "trunk", "priority": "P2"}
    annotations = {
        "title": "[P2] Trunkwatch exporter is down",
        "summary": "No Trunkwatch exporter can be scraped",
        "description": "For five minutes nobody was reached.\nTargets: exporter:10077 (up=0)",
        "runbook_url": f"{RUNBOOKS}/TrunkwatchExporterDown",
    }
    return Alert(labels, annotations)


def notification(*alerts: Alert) -> dict[str, Any]:
    """Return Alertmanager's template data for some alerts."""
    labels = common([alert.labels for alert in alerts])
    return {
        "receiver": "r",
        "status": "resolved" if all(alert.resolved for alert in alerts) else "firing",
        "alerts": [alert.data() for alert in alerts],
        "groupLabels": {name: labels[name] for name in GROUPED_BY if name in labels},
        "commonLabels": labels,
        "commonAnnotations": common([alert.annotations for alert in alerts]),
        "externalURL": "http://localhost:9093",
    }


def common(sets: list[Mapping[str, str]]) -> dict[str, str]:
    """Return the names and values that all sets have in common."""
    first, *others = sets
    return {k: v for k, v in first.items() if all(other.get(k) == v for other in others)}


SEPARATOR = "\x1e"


LINKED = DEPLOY / "alertmanager" / "places.compose.tmpl"
"""The addresses of a Grafana and of the web pages of an Alertmanager."""

UNSET = TEMPLATES / "places.tmpl"
"""No address."""


def render_all(
    names: Sequence[str],
    data: dict[str, Any],
    kind: str = "text",
    engines: str = OLDEST,
    places: Path = LINKED,
) -> list[str]:
    """Render templates with amtool, as text or within HTML.

    Args:
        names: the templates.
        data: Alertmanager's template data.
        kind: `text` or `html`.
        engines: the pair whose amtool renders.
        places: the file with the addresses that no alert has.
    """
    with NamedTemporaryFile("w", suffix=".json") as file:
        json.dump(data, file)
        file.flush()
        rendered = run(
            find_engine(engines, "amtool"),
            "template",
            "render",
            f"--template.glob={TEMPLATES}/*.tmpl",
            f"--template.glob={places}",
            "--template.text=" + SEPARATOR.join(f'{{{{ template "{name}" . }}}}' for name in names),
            f"--template.type={kind}",
            f"--template.data={file.name}",
        )
    assert rendered.returncode == 0, rendered.stderr
    return rendered.stdout.split(SEPARATOR)


def render(name: str, data: dict[str, Any], kind: str = "text") -> str:
    """Render one template with the oldest amtool."""
    (rendered,) = render_all([name], data, kind)
    return rendered
