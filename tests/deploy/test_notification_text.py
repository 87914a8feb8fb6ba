"""The title and the plain text of notifications, rendered by amtool."""

from pathlib import Path

import pytest

from tests.deploy.notification import (
    FIRST_BAD,
    LAST_GOOD,
    OCCURRED,
    RUNBOOKS,
    TITLE,
    Alert,
    broken,
    noted,
    notification,
    render,
)

SILENCE = "http://localhost:9093/#/silences/new?filter=%7Balertname%3D%22TrunkJobBroken%22%2C"
SILENCE_GROUP = (
    f"{SILENCE}branch%3D%22main%22%2Cgroup%3D%22inductor%22%2Crepo%3D%22pytorch%2Fpytorch%22%7D"
)


def silence_of(job: str) -> str:
    """Return the link that silences one job, given its percent-encoded name."""
    trunk = "repo%3D%22pytorch%2Fpytorch%22%2Cbranch%3D%22main%22%2C"
    return f"{SILENCE}{trunk}job_name%3D%22{job}%22%7D"


LINKS = f"""\
Reason: Failure_Threshold=1, Number_of_Jobs_Failing=1
Runbook: {RUNBOOKS}/TrunkJobBroken.md
Dashboard: http://localhost:3000/d/trunkwatch-trunk\
?var-repo=pytorch%2Fpytorch&var-branch=main&var-group=inductor
Page: http://localhost:10077/
Source: http://localhost:9090/graph?g0.expr=x&g0.tab=1
"""

ONE_JOB = f"""\
{TITLE}
Summary: sm86 / test (a) (workflow inductor) is broken on pytorch/pytorch main
Occurred at: {OCCURRED}
State: firing
Team: broken-inductor
Priority: P2
Jobs:
  - sm86 / test (a) (workflow inductor)
    Failures: 3 commits
    First bad: {FIRST_BAD} author-b: Fuse more
    Last good: {LAST_GOOD}
    Suspects: 2 commits, 1 of them tested
      333333333333 author-a: Tidy
      444444444444 author-b: Fuse more
    Failed step: Test
    First failing run: https://github.com/pytorch/pytorch/actions/runs/7
    Compare: https://github.com/pytorch/pytorch/compare/2...4
    Tip: failing on the newest 3 commits that have a result
    Silence this job: {silence_of("sm86%20%2F%20test%20%28a%29")}
{LINKS}\
Silence all of it: {SILENCE_GROUP}
"""

RESOLVED = f"""\
[RESOLVED] {TITLE}
Summary: a is not broken any more on pytorch/pytorch main
Occurred at: {OCCURRED}
State: resolved
Team: broken-inductor
Priority: P2
Not broken any more:
  - a (workflow inductor)
    Ended: 2025-12-09 18:05 UTC, 2h3m20s after it began to fire
    Failures: 3 commits
    First bad: {FIRST_BAD} author-b: Fuse more
  Closed by the pass that "trunkwatch explain" names; or the job was removed (TrunkJobRetired \
tells), moved to another group or marked as known broken.
{LINKS}"""

EXPORTER_DOWN = f"""\
[P2] Trunkwatch exporter is down
Summary: No Trunkwatch exporter can be scraped
Alert began at: 2025-12-09 16:02 UTC
State: firing
Team: trunk
Priority: P2
Alerts:
  - No Trunkwatch exporter can be scraped
    For five minutes nobody was reached.
    Targets: exporter:10077 (up=0)
Runbook: {RUNBOOKS}/TrunkwatchExporterDown.md
Dashboard: http://localhost:3000/d/trunkwatch-trunk
Page: http://localhost:10077/
Source: http://localhost:9090/graph?g0.expr=x&g0.tab=1
Silence all of it: http://localhost:9093/#/silences/new?filter=\
%7Balertname%3D%22TrunkwatchExporterDown%22%7D
"""


def of_exporter() -> Alert:
    """Return an alert about the exporter, which has a description and no facts of a job."""
    labels = {"alertname": "TrunkwatchExporterDown", "team": "trunk", "priority": "P2"}
    annotations = {
        "title": "[P2] Trunkwatch exporter is down",
        "summary": "No Trunkwatch exporter can be scraped",
        "description": "For five minutes nobody was reached.\nTargets: exporter:10077 (up=0)",
        "runbook_url": f"{RUNBOOKS}/TrunkwatchExporterDown.md",
    }
    return Alert(labels, annotations)


def text(folder: Path, *alerts: Alert) -> str:
    """Return the plain text of a notification."""
    return render("trunkwatch.text", notification(*alerts), folder)


def title(folder: Path, *alerts: Alert) -> str:
    """Return the title of a notification."""
    return render("trunkwatch.title", notification(*alerts), folder)


def jobs_of(message: str) -> list[str]:
    """Return the jobs of a message, in order."""
    lines = message.splitlines()
    return [line.removeprefix("  - ").split(" (")[0] for line in lines if line.startswith("  - ")]


def test_one_broken_job_is_told_from_title_to_silence(tmp_path: Path) -> None:
    """The message has title, summary, time, state, team, priority, facts, reason and links."""
    assert text(tmp_path, broken("sm86 / test (a)")) == ONE_JOB


def test_the_longest_outage_comes_first(tmp_path: Path) -> None:
    """Jobs are sorted by number of failures, largest first, then by name."""
    alerts = [broken("a", 3), broken("b", 12), broken("c", 3), broken("d", 100)]
    assert jobs_of(text(tmp_path, *alerts)) == ["d", "b", "a", "c"]


def test_a_job_whose_failures_are_unknown_is_told_last(tmp_path: Path) -> None:
    """A job without a number of failures is listed after those with one."""
    alerts = [broken("a", failures=""), broken("b", 1)]
    told = text(tmp_path, *alerts)
    assert jobs_of(told) == ["b", "a"]
    assert [line for line in told.splitlines() if "Failures:" in line] == [
        "    Failures: 1 commit",
        "    Failures: unknown",
    ]


def test_suspects_that_jobs_share_are_listed_once(tmp_path: Path) -> None:
    """Three jobs with the same suspects list them only under the first job."""
    told = text(tmp_path, broken("a"), broken("b"), broken("c"))
    assert told.count("333333333333 author-a: Tidy") == 1
    assert told.count("      the same as above\n") == 2
    assert "Summary: 3 jobs of group inductor are broken on pytorch/pytorch main\n" in told


def test_suspects_that_jobs_do_not_share_are_listed_for_five(tmp_path: Path) -> None:
    """If the lists differ, the first five jobs have their own; all jobs have the number."""
    alerts = [
        broken(f"job {n}", suspects=f"1 commit, oldest first\n{n} author-a: T") for n in range(6)
    ]
    told = text(tmp_path, *alerts)
    assert [n for n in range(6) if f"      {n} author-a: T\n" in told] == [0, 1, 2, 3, 4]
    assert told.count("    Suspects: 1 commit, tested\n") == 6


@pytest.mark.parametrize(("jobs", "told", "end"), [(20, 20, []), (25, 20, ["  and 5 more"])])
def test_at_most_twenty_jobs_are_told(jobs: int, told: int, end: list[str], tmp_path: Path) -> None:
    """Twenty jobs are all listed; of 25 the five with the fewest failures are only counted."""
    message = text(tmp_path, *(broken(f"job {n:02}", 3 + n) for n in range(jobs)))
    newest = [f"job {n:02}" for n in range(jobs)][::-1]
    assert jobs_of(message) == newest[:told]
    assert [line for line in message.splitlines() if line.startswith("  and ")] == end


def test_the_end_is_told_without_what_nobody_needs_any_more(tmp_path: Path) -> None:
    """A resolve has each job's end and duration, and neither suspects nor silence links."""
    assert text(tmp_path, broken("a", ended=True)) == RESOLVED


def test_the_end_of_many_jobs_is_cut_as_well(tmp_path: Path) -> None:
    """Of 25 resolved jobs twenty are listed and five are counted."""
    message = text(tmp_path, *(broken(f"job {n:02}", ended=True) for n in range(25)))
    assert len(jobs_of(message)) == 20
    assert "  and 5 more\n" in message
    assert (
        "Summary: 25 jobs of group inductor are not broken any more on pytorch/pytorch main\n"
        in message
    )


def test_a_job_that_ended_is_told_apart_from_those_that_fire(tmp_path: Path) -> None:
    """A resolved job is counted in state and title, and listed after the firing ones."""
    lines = text(tmp_path, broken("a", ended=True), broken("b", 5)).splitlines()
    assert lines[0] == f"{TITLE} (1 ended)"
    assert lines[1] == "Summary: b (workflow inductor) is broken on pytorch/pytorch main"
    assert lines[3] == "State: firing: 1 still firing, 1 ended"
    found = [line for line in lines if line.startswith(("Jobs:", "Not broken", "  - "))]
    assert found == [
        "Jobs:",
        "  - b (workflow inductor)",
        "Not broken any more:",
        "  - a (workflow inductor)",
    ]


def test_what_fires_longest_says_when_it_occurred(tmp_path: Path) -> None:
    """The time is that of the earliest firing job, or of a resolved one if none fires."""
    early, late = "2025-12-09 08:00 UTC", "2025-12-09 09:30 UTC"
    firing = [broken("a", broken_since=when) for when in (late, early, late, "")]
    assert f"Occurred at: {early}\n" in text(tmp_path, *firing)
    mixed = [broken("a", ended=True, broken_since=early), broken("b", broken_since=late)]
    assert f"Occurred at: {late}\n" in text(tmp_path, *mixed)


def test_the_start_of_an_alert_is_not_when_it_occurred(tmp_path: Path) -> None:
    """If the end of the first failing run is unknown, the alert's start has its own caption."""
    early, late = "2025-12-09T10:00:00+02:00", "2025-12-09T09:30:00Z"
    unknown = [broken("a", began=when, broken_since="") for when in (late, early)]
    found = text(tmp_path, *unknown)
    assert "Alert began at: 2025-12-09 08:00 UTC\n" in found
    assert "Occurred at" not in found


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ("1 commit, oldest first\nx", "1 commit, tested"),
        ("14 commits, oldest first\nx", "14 commits, 1 of them tested"),
        ("0 commits: first bad and", "0 commits: something outside the repository changed"),
        ("unknown: no passing commit is known", "unknown"),
    ],
)
def test_suspects_are_told_by_number(said: str, told: str, tmp_path: Path) -> None:
    """First bad is the only tested suspect; no suspects and unknown suspects differ."""
    assert f"    Suspects: {told}\n" in text(tmp_path, broken("a", suspects=said))


def test_what_is_unknown_has_no_line(tmp_path: Path) -> None:
    """A missing failed step, run, comparison or tip has no caption."""
    unknown = dict.fromkeys(("failed_step", "url", "compare_url", "tip", "first_bad_by"), "")
    told = text(tmp_path, noted(broken("a"), unknown))
    for caption in ("Failed step", "First failing run", "Compare", "Tip"):
        assert caption not in told
    assert f"    First bad: {FIRST_BAD}\n" in told


def test_an_alert_without_facts_is_told_by_its_description(tmp_path: Path) -> None:
    """Alerts about the exporter have their description in place of a job's facts."""
    assert text(tmp_path, of_exporter()) == EXPORTER_DOWN


def test_the_title_is_the_one_the_alerts_share(tmp_path: Path) -> None:
    """The title of the notification is the annotation `title`."""
    assert title(tmp_path, broken("a"), broken("b")) == TITLE


def test_the_end_is_told_in_the_title(tmp_path: Path) -> None:
    """The title of a resolve begins with RESOLVED and repeats the rest."""
    assert title(tmp_path, broken("a", ended=True)) == f"[RESOLVED] {TITLE}"


def test_a_job_that_ended_earlier_does_not_blur_the_title(tmp_path: Path) -> None:
    """The title is that of the firing alerts, since a resolved alert keeps its old one."""
    old = broken("a", ended=True, title=TITLE.replace("3", "2"))
    assert title(tmp_path, old, broken("b")) == f"{TITLE} (1 ended)"


def test_a_title_that_alerts_do_not_share_is_made_of_labels(tmp_path: Path) -> None:
    """If the alerts' titles differ, the title has group, repo, branch and the number of jobs."""
    jobs = [broken("a", title="one"), broken("b", title="two")]
    expected = "[P2] inductor jobs broken on pytorch/pytorch main (2)"
    assert title(tmp_path, *jobs) == expected
    ended = [broken("a", title="one", ended=True), broken("b", title="two", ended=True)]
    assert title(tmp_path, *ended) == f"[RESOLVED] {expected}"


def test_a_title_of_other_alerts_is_the_alerts_name(tmp_path: Path) -> None:
    """The title of two failing sources with different titles is the alert's name."""
    labels = {"alertname": "TrunkwatchSourceFailing", "priority": "P3", "team": "trunk"}
    sources = [Alert(labels | {"source": name}, {"title": name}) for name in ("x", "y")]
    assert title(tmp_path, *sources) == "[P3] TrunkwatchSourceFailing (2)"


@pytest.mark.parametrize(
    ("notes", "link"),
    [
        ({"url": "https://ci.example.org/7", "runbook_url": "r"}, "https://ci.example.org/7"),
        ({"url": "javascript:alert(1)", "runbook_url": "https://r"}, "https://r"),
        ({"url": "", "runbook_url": "https://r"}, "https://r"),
        ({"url": "", "runbook_url": ""}, "http://localhost:9093"),
    ],
    ids=["run", "no address", "runbook", "alertmanager"],
)
def test_the_title_leads_to_the_run(notes: dict[str, str], link: str, tmp_path: Path) -> None:
    """The link is the failing run if all share it, else the runbook, else Alertmanager."""
    data = notification(noted(broken("a"), notes))
    assert render("trunkwatch.link", data, tmp_path) == link
