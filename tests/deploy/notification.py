"""Builders of Alertmanager's template data, and rendering with amtool."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from tests.deploy.files import TEMPLATES, run
from tests.support.binaries import find_binary

RUNBOOKS = "https://github.com/trunkwatch/trunkwatch/blob/main/rules/runbooks"
TITLE = "[P2] inductor jobs broken for 3 commits in a row on pytorch/pytorch main"

OCCURRED = "2025-12-09 12:22 UTC"
BEGAN = "2025-12-09T16:02:11Z"
ENDED = "2025-12-09T18:05:31Z"
STILL_FIRING = "0001-01-01T00:00:00Z"

FIRST_BAD = "4" * 40
LAST_GOOD = "2" * 40
SUSPECTS = f"2 commits, oldest first\n{'3' * 12} author-a: Tidy\n{'4' * 12} author-b: Fuse more"

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

GROUPED_BY = ("alertname", "repo", "branch", "group")


@dataclass(frozen=True, slots=True)
class Alert:
    """One alert of a notification.

    Attributes:
        labels: all labels.
        annotations: all annotations.
        ended: whether it is resolved.
        began: when it started to fire (RFC 3339).
    """

    labels: Mapping[str, str]
    annotations: Mapping[str, str]
    ended: bool = False
    began: str = BEGAN

    def data(self) -> dict[str, Any]:
        """Return the alert in the format of template data."""
        return {
            "status": "resolved" if self.ended else "firing",
            "labels": dict(self.labels),
            "annotations": dict(self.annotations),
            "startsAt": self.began,
            "endsAt": ENDED if self.ended else STILL_FIRING,
            "generatorURL": "http://localhost:9090/graph?g0.expr=x&g0.tab=1",
            "fingerprint": "0",
        }


def facts(job: str, failures: str) -> dict[str, str]:
    """Return the annotations that the rules give to the alert of a broken job."""
    return {
        "title": TITLE,
        "summary": f"{job} (workflow inductor) is broken on pytorch/pytorch main",
        "description": "Prose that says the same.",
        "first_bad": FIRST_BAD,
        "first_bad_by": "author-b: Fuse more",
        "last_good": LAST_GOOD,
        "failures": failures,
        "broken_since": OCCURRED,
        "suspects": SUSPECTS,
        "failed_step": "Test",
        "url": "https://github.com/pytorch/pytorch/actions/runs/7",
        "compare_url": "https://github.com/pytorch/pytorch/compare/2...4",
        "tip": "failing on the newest 3 commits that have a result",
        "reason": "Failure_Threshold=1, Number_of_Jobs_Failing=1",
        "runbook_url": f"{RUNBOOKS}/TrunkJobBroken.md",
    }


def broken(
    job: str, failures: int | str = 3, *, ended: bool = False, began: str = BEGAN, **more: str
) -> Alert:
    """Return the alert of a broken job of the group inductor; `more` replaces annotations."""
    notes = facts(job, str(failures)) | more
    return Alert(LABELS | {"job_name": job}, notes, ended, began)


def noted(alert: Alert, annotations: Mapping[str, str]) -> Alert:
    """Return the alert with some annotations replaced."""
    return replace(alert, annotations={**alert.annotations, **annotations})


def notification(*alerts: Alert) -> dict[str, Any]:
    """Return Alertmanager's template data for some alerts."""
    labels = common([alert.labels for alert in alerts])
    return {
        "receiver": "r",
        "status": "resolved" if all(alert.ended for alert in alerts) else "firing",
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


def render(name: str, data: dict[str, Any], folder: Path, kind: str = "text") -> str:
    """Render one of the templates with amtool, as text or within HTML."""
    path = folder / "data.json"
    path.write_text(json.dumps(data))
    rendered = run(
        find_binary("amtool"),
        "template",
        "render",
        f"--template.glob={TEMPLATES}/*.tmpl",
        f'--template.text={{{{ template "{name}" . }}}}',
        f"--template.type={kind}",
        f"--template.data={path}",
    )
    assert rendered.returncode == 0, rendered.stderr
    return rendered.stdout
