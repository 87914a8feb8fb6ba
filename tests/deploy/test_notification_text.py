"""What a person reads: the templates, rendered by amtool on a notification's data."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.deploy.files import DATA, TEMPLATES, run
from tests.support.binaries import find_binary

RUNBOOKS = "https://github.com/trunkwatch/trunkwatch/blob/main/rules/runbooks"

# The look-alikes of angle brackets that the templates put in their place.
LEFT, RIGHT = "\u2039", "\u203a"

TWO_JOBS = f"""\
Firing: linux-jammy-cpu-py3.8-gcc11-inductor / test (inductor_torchbench) (workflow inductor) \
is broken on pytorch/pytorch main since 444444444444
  First bad: 4444444444444444444444444444444444444444
  Last good: 2222222222222222222222222222222222222222
  Suspects: 2 commits, oldest first
    333333333333 author-a: keep std::vector{LEFT}int{RIGHT}
    444444444444 author-b: {LEFT}!channel{RIGHT} look here
  Failing run: https://ci.example.org/runs/7

Firing: cuda12.1-py3.10-gcc9-sm86 / test (inductor) (workflow inductor) \
is broken on pytorch/pytorch main since 444444444444
  First bad: 4444444444444444444444444444444444444444
  Last good: unknown
  Suspects: unknown: no passing commit is known

Reason: Failure_Threshold=1, Number_of_Jobs_Failing=2
Runbook: {RUNBOOKS}/TrunkJobBroken.md
"""

EXPORTER_DOWN = f"""\
Firing: No Trunkwatch exporter can be scraped
  For five minutes nobody was reached.
    Targets: exporter:10077 (up=0)

Runbook: {RUNBOOKS}/TrunkwatchExporterDown.md
"""


@pytest.fixture
def two_jobs() -> Any:
    """Return the data of a notification about two jobs of one group, as Alertmanager has it."""
    return json.loads((DATA / "two_jobs_firing.json").read_text())


def render(name: str, data: Any, folder: Path) -> str:
    """Render one of the templates with amtool."""
    path = folder / "data.json"
    path.write_text(json.dumps(data))
    rendered = run(
        find_binary("amtool"),
        "template",
        "render",
        f"--template.glob={TEMPLATES}/*.tmpl",
        f'--template.text={{{{ template "{name}" . }}}}',
        f"--template.data={path}",
    )
    assert rendered.returncode == 0, rendered.stderr
    return rendered.stdout


def resolve(data: Any) -> Any:
    """Return the data as it is when every alert has ended."""
    ended = [alert | {"status": "resolved"} for alert in data["alerts"]]
    return data | {"status": "resolved", "alerts": ended}


def test_the_title_is_the_one_the_alerts_share(two_jobs: Any, tmp_path: Path) -> None:
    """The title of the notification is the annotation `title`, word for word."""
    assert render("trunkwatch.title", two_jobs, tmp_path) == (
        "[P2] inductor jobs broken for 3 commits in a row on pytorch/pytorch main"
    )


def test_the_end_is_told_in_the_title(two_jobs: Any, tmp_path: Path) -> None:
    """The title of a resolve begins with RESOLVED and repeats the rest."""
    assert render("trunkwatch.title", resolve(two_jobs), tmp_path) == (
        "[RESOLVED] [P2] inductor jobs broken for 3 commits in a row on pytorch/pytorch main"
    )


def test_a_title_without_a_shared_annotation_is_made_of_labels(
    two_jobs: Any, tmp_path: Path
) -> None:
    """Where the alerts' titles differ, the title names group, repo, branch and how many jobs."""
    del two_jobs["commonAnnotations"]["title"]
    assert render("trunkwatch.title", two_jobs, tmp_path) == (
        "[P2] inductor jobs broken on pytorch/pytorch main (2)"
    )
    assert render("trunkwatch.title", resolve(two_jobs), tmp_path) == (
        "[RESOLVED] [P2] inductor jobs broken on pytorch/pytorch main (2)"
    )


def test_a_title_of_other_alerts_is_the_alerts_name(two_jobs: Any, tmp_path: Path) -> None:
    """Two failing sources, each with a title of its own, are told by the alert's name."""
    labels = {"alertname": "TrunkwatchSourceFailing", "priority": "P3", "team": "trunk"}
    data = two_jobs | {"commonLabels": labels, "commonAnnotations": {}}
    assert render("trunkwatch.title", data, tmp_path) == "[P3] TrunkwatchSourceFailing (2)"


def test_the_text_names_the_facts_of_each_job(two_jobs: Any, tmp_path: Path) -> None:
    """Each job is listed with first bad, last good, suspects and run; then reason and runbook."""
    assert render("trunkwatch.text", two_jobs, tmp_path) == TWO_JOBS


def test_the_text_tells_repaired_jobs_apart(two_jobs: Any, tmp_path: Path) -> None:
    """When one of two jobs is repaired, the one that is still broken comes first."""
    two_jobs["alerts"][0]["status"] = "resolved"
    lines = render("trunkwatch.text", two_jobs, tmp_path).splitlines()
    heads = [line for line in lines if line.startswith(("Firing:", "Resolved:"))]
    assert [head.split(" (workflow")[0] for head in heads] == [
        "Firing: cuda12.1-py3.10-gcc9-sm86 / test (inductor)",
        "Resolved: linux-jammy-cpu-py3.8-gcc11-inductor / test (inductor_torchbench)",
    ]


def test_an_alert_without_facts_is_told_by_its_description(two_jobs: Any, tmp_path: Path) -> None:
    """The watcher's own alerts have no first bad commit: their description stands instead."""
    runbook = {"runbook_url": f"{RUNBOOKS}/TrunkwatchExporterDown.md"}
    annotations = {
        "summary": "No Trunkwatch exporter can be scraped",
        "description": "For five minutes nobody was reached.\nTargets: exporter:10077 (up=0)",
    }
    alert = two_jobs["alerts"][0] | {
        "labels": {"alertname": "TrunkwatchExporterDown"},
        "annotations": annotations | runbook,
    }
    data = two_jobs | {"alerts": [alert], "commonAnnotations": annotations | runbook}
    assert render("trunkwatch.text", data, tmp_path) == EXPORTER_DOWN


def test_a_commit_title_cannot_wake_a_channel(two_jobs: Any, tmp_path: Path) -> None:
    """No angle bracket of a job's name or a commit's title reaches a chat service."""
    for alert in two_jobs["alerts"]:
        alert["annotations"] = dict.fromkeys(alert["annotations"], "<!channel>")
    two_jobs["commonAnnotations"] = dict.fromkeys(two_jobs["commonAnnotations"], "<!channel>")
    for name in ("trunkwatch.title", "trunkwatch.text"):
        rendered = render(name, two_jobs, tmp_path)
        assert f"{LEFT}!channel{RIGHT}" in rendered
        assert "<" not in rendered


@pytest.mark.parametrize(
    ("shared", "link"),
    [
        (
            {"url": "https://ci.example.org/runs/7", "runbook_url": "r"},
            "https://ci.example.org/runs/7",
        ),
        ({"runbook_url": f"{RUNBOOKS}/A.md"}, f"{RUNBOOKS}/A.md"),
        ({}, "http://localhost:9093"),
    ],
    ids=["run", "runbook", "alertmanager"],
)
def test_the_title_leads_to_the_run(
    two_jobs: Any, shared: dict[str, str], link: str, tmp_path: Path
) -> None:
    """The link is the failing run where all share one, else the runbook, else Alertmanager."""
    data = two_jobs | {"commonAnnotations": shared}
    assert render("trunkwatch.link", data, tmp_path) == link
