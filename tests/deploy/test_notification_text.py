"""The content of notifications, rendered by amtool: titles, the first lines, ends."""

import re
from typing import Any

import pytest

from tests.deploy.notification import (
    EXPORTER,
    FIXING,
    MEDIA,
    OCCURRED,
    TITLE,
    Alert,
    broken,
    fixed,
    notification,
    of_exporter,
    render,
    render_all,
)
from tests.support.engines import NEWEST
from tools.messages import FOLD_CHARACTERS, FOLD_LINES, SCENARIOS, folded

TRUNK = "pytorch/pytorch main"


def text(*alerts: Alert) -> str:
    """Return the plain text of a notification."""
    return render("trunkwatch.text", notification(*alerts))


def title(*alerts: Alert) -> str:
    """Return the title of a notification."""
    return render("trunkwatch.title", notification(*alerts))


def jobs_of(message: str) -> list[str]:
    """Return the jobs of a plain message, in order."""
    return re.findall(r"^- (.*?) \(workflow", message, re.MULTILINE)


@pytest.mark.parametrize("jobs", [1, 3, 25])
@pytest.mark.parametrize("medium", MEDIA)
def test_the_first_five_lines_decide(medium: str, jobs: int) -> None:
    """Job, age, first bad with author and link, failed step, run: of the longest outage."""
    message = render(medium, notification(*(broken(f"job-{n}", 3 + n) for n in range(jobs))))
    job, occurred, first_bad, step, run = message[message.index("job-") :].splitlines()[:5]
    assert job.startswith(f"job-{jobs - 1}")
    assert f"Occurred at: {OCCURRED}, 3h 40m ago, {jobs + 2} failures" in occurred
    assert "4444444444" in first_bad
    assert "author-b: Fuse more" in first_bad
    assert "https://github.com/pytorch/pytorch/commit/4444444444" in first_bad
    assert "Failed step" in step
    assert "https://github.com/pytorch/pytorch/actions/runs/7" in run


@pytest.mark.parametrize("length", [10, 110, 500])
def test_slack_shows_the_first_five_lines_without_unfolding(length: int) -> None:
    """Five lines fit before the fold, whatever the length of the texts from outside."""
    texts: dict[str, Any] = {"first_bad_by": "b" * length, "failed_step": "s" * length}
    shown, rest = folded(render("trunkwatch.slack", notification(broken("j" * length, **texts))))
    assert shown.count("\n") == FOLD_LINES
    assert len(shown) <= FOLD_CHARACTERS
    assert shown.endswith("|First failing run>\n")
    assert rest.lstrip().startswith("Suspects: ")


@pytest.mark.parametrize("ended", [0, 5, 20])
@pytest.mark.parametrize("medium", MEDIA)
def test_twenty_five_jobs_have_fewer_than_forty_lines(medium: str, ended: int) -> None:
    """The longest outages come first; the jobs that do not fit are counted."""
    many = "\n".join(["99", *(f"{n:010x} author: title" for n in range(10)), "and 89 more"])
    alerts = [broken(f"job-{n:02}", n + 1, suspects=many) for n in range(25 - ended)]
    alerts += [fixed(f"done-{n}") for n in range(ended)]
    message = render(medium, notification(*alerts))
    assert len(message.splitlines()) < 40
    told = re.findall(r"(?<!/)job-\d\d", message)
    assert told == sorted((f"job-{n:02}" for n in range(25 - ended)), reverse=True)[: len(told)]
    left = 25 - ended - len(told)
    assert re.findall(r"^-? ?and (\d+) more$", message, re.MULTILINE) == [str(left)] * (left > 0)


def test_a_job_whose_failures_are_unknown_is_told_last() -> None:
    """A job without a number of failures is listed after those with one, without the number."""
    message = text(broken("a", failures=""), broken("b", 1))
    assert jobs_of(message) == ["b", "a"]
    assert re.findall("Occurred at: .*", message) == [
        f"Occurred at: {OCCURRED}, 3h 40m ago, 1 failure",
        f"Occurred at: {OCCURRED}, 3h 40m ago",
    ]


def test_suspects_that_jobs_share_are_listed_once() -> None:
    """A job with the suspects of the job above refers to them; others have their own list."""
    other = "1\n5555555555 author-d: Other"
    message = text(broken("a"), broken("b"), broken("c", suspects=other))
    assert message.count("    3333333333 author-a: Tidy") == 1
    assert message.count("    the same as above\n") == 1
    assert message.count("    5555555555 author-d: Other") == 1


@pytest.mark.parametrize(
    ("suspects", "told"),
    [
        ("1", "1 commit, tested"),
        ("14", "14 commits, 1 of them tested"),
        ("0", "0 commits: something outside the repository changed"),
        ("", "unknown, no passing commit is known"),
    ],
)
def test_suspects_are_told_by_number(suspects: str, told: str) -> None:
    """First bad is the only tested suspect; no suspects and unknown suspects differ."""
    message = text(broken("a", suspects=f"{suspects}\n4444444444 x: y" if suspects else ""))
    page = f"{EXPORTER}/trunk/pytorch/pytorch/main/job/inductor/a"
    assert f"  Suspects: {told}; see {page}\n" in message


def test_a_fact_that_is_unknown_has_no_line() -> None:
    """A missing failed step, run, comparison, author or age has no caption."""
    unknown = ("page", "failed_step", "url", "compare", "first_bad_by", "commits", "failing_for")
    facts: dict[str, Any] = dict.fromkeys(unknown, "")
    message = text(broken("a", **facts))
    assert not re.search("; see|Failed step|First failing run|Compare|ago", message)
    assert "  First bad: 4444444444\n" in message


@pytest.mark.parametrize("medium", MEDIA)
def test_the_start_of_the_alert_is_not_the_beginning_of_the_outage(medium: str) -> None:
    """`startsAt` is in no message; an unknown beginning is called unknown."""
    data = notification(broken("a", broken_since=""), fixed("b", broken_since=""))
    for message in (render(medium, data), render(medium, notification(of_exporter()))):
        assert "16:02" not in message
    assert "Occurred at: unknown" in render(medium, data)


# ---------------------------------------------------------------------- ends

ENDS: list[tuple[dict[str, str], str]] = [
    ({"ended": "fixed", "fixed_by": FIXING}, "fixed by 6666666666"),
    ({"ended": "flaky", "fixed_by": FIXING}, "fixed by 6666666666"),
    ({"ended": "removed"}, "the job was removed, not repaired"),
    ({"ended": "muted"}, "muted as known to be broken"),
    ({"ended": "muted", "muted_because": "no GPU"}, "muted as known to be broken, because no GPU"),
    ({"ended": "moved", "moved_to": "group rocm"}, "moved to group rocm, where it alerts"),
    ({"ended": "moved"}, "moved to another group, where it alerts"),
    ({"ended": "unwatched"}, "no longer watched, not repaired"),
    ({"ended": "revised"}, "late results say that there was no outage"),
    ({"ended": "another"}, "another"),
    ({}, "not confirmed, it may still be broken"),
]


@pytest.mark.parametrize(("facts", "told"), ENDS)
def test_an_end_has_its_reason(facts: dict[str, Any], told: str) -> None:
    """Only a pass is called a repair; without a reason the end is called not confirmed."""
    alert = broken("a", resolved=True, **facts)
    is_fixed = facts.get("ended") in ("fixed", "flaky")
    name, *messages = render_all(["trunkwatch.title", *MEDIA], notification(alert))
    assert name.startswith(f"[FIXED] a on {TRUNK} by 6666666666" if is_fixed else "[ENDED] a on")
    for message in messages:
        plain = re.sub(r"[`<>\[\]]|https?://[^|)\s]*[|)]?", "", message)
        assert told.split()[0] in plain
        assert ("fixed" in plain) is is_fixed
    assert f"  Ended: {told}" in messages[0]


def test_a_fix_names_commit_author_and_duration() -> None:
    """The title has all three; the text links the commits."""
    assert title(fixed("a")) == (
        f"[FIXED] a on {TRUNK} by 6666666666 author-c: Fuse less, broken for 5h 43m"
    )
    message = text(fixed("a"))
    assert message.splitlines()[:4] == [
        "- a (workflow inductor)",
        "  Ended: fixed by 6666666666 author-c: Fuse less"
        " https://github.com/pytorch/pytorch/commit/6666666666",
        f"  Occurred at: {OCCURRED}, for 5h 43m, 3 failures",
        "  First bad: 4444444444 author-b: Fuse more"
        " https://github.com/pytorch/pytorch/commit/4444444444",
    ]


def test_the_title_of_several_ends_is_no_better_than_its_worst() -> None:
    """FIXED only if all are; the commit only if it is the same for all."""
    jobs = f"2 inductor jobs on {TRUNK}"
    assert title(fixed("a"), fixed("b")) == f"[FIXED] {jobs} by 6666666666 author-c: Fuse less"
    assert title(fixed("a"), fixed("b", fixed_by="7" * 40)) == f"[FIXED] {jobs}"
    assert title(fixed("a"), broken("b", resolved=True)) == f"[ENDED] {jobs}: 1 fixed, 1 not"
    lost = [broken(job, resolved=True) for job in "ab"]
    assert title(*lost) == f"[ENDED] {jobs}: not confirmed, it may still be broken"


def test_jobs_that_ended_are_told_after_those_that_are_broken() -> None:
    """Each has one line; an alert that still fires although its outage is over is one of them."""
    late = fixed("b")
    over = Alert(late.labels, late.annotations)
    lines = text(fixed("a"), over, broken("c")).splitlines()
    assert title(over) == title(late)
    assert lines[0] == "- c (workflow inductor)"
    assert [line[:30] for line in lines if line.startswith(("- a", "- b"))] == [
        "- a (workflow inductor): fixed",
        "- b (workflow inductor): fixed",
    ]


# ---------------------------------------------------------------------- titles


def test_the_title_is_the_one_the_alerts_share() -> None:
    """It is the line of the broken jobs; jobs that ended have none and are counted."""
    assert title(broken("a"), broken("b")) == TITLE
    assert title(fixed("a"), broken("b")) == f"{TITLE} (1 ended)"


@pytest.mark.parametrize(
    ("titles", "told"),
    [(["one", "two"], "2 inductor jobs"), ([""], "1 inductor job"), ([""] * 3, "3 inductor jobs")],
)
def test_a_title_that_alerts_do_not_share_counts_them(titles: list[str], told: str) -> None:
    """Without a shared title, it has the number, group, repo and branch."""
    alerts = [broken(f"job {n}", title=name) for n, name in enumerate(titles)]
    assert title(*alerts) == f"[P2] {told} broken on {TRUNK}"


def test_a_title_of_other_alerts() -> None:
    """An alert without a job is resolved under its own title, or under its name if several are."""
    down = of_exporter()
    ended = Alert(down.labels, down.annotations, resolved=True)
    assert title(ended) == "[RESOLVED] [P2] Trunkwatch exporter is down"
    labels = {"alertname": "TrunkwatchSourceFailing", "priority": "P3", "team": "trunk"}
    sources = [Alert(labels | {"source": name}, {"title": name}) for name in ("x", "y")]
    assert title(*sources) == "[P3] TrunkwatchSourceFailing (2)"


@pytest.mark.parametrize(
    ("url", "runbook", "link"),
    [
        ("https://ci.example.org/7", "https://r", "https://ci.example.org/7"),
        ("javascript:alert(1)", "https://r", "https://r"),
        ("", "https://r", "https://r"),
        ("", "", "http://localhost:9093"),
    ],
)
def test_the_title_leads_to_the_run(url: str, runbook: str, link: str) -> None:
    """The link is the failing run of a single job, else the runbook, else Alertmanager."""
    alert = broken("a", url=url)
    data = notification(Alert(alert.labels, {**alert.annotations, "runbook_url": runbook}))
    assert render("trunkwatch.link", data) == link


@pytest.mark.engines
@pytest.mark.parametrize("name", SCENARIOS)
def test_every_version_renders_the_same(name: str) -> None:
    """The newest Alertmanager renders each documented message as the oldest one does."""
    names, data = ["trunkwatch.title", *MEDIA], notification(*SCENARIOS[name])
    assert render_all(names, data, engines=NEWEST) == render_all(names, data)


@pytest.mark.parametrize("medium", MEDIA)
def test_a_page_is_where_the_exporter_says_it_is(medium: str) -> None:
    """The trunk's page comes from the job's, else the first page from the runbook's address."""
    trunk = f"{EXPORTER}/trunk/pytorch/pytorch/main"
    assert re.search(rf"{trunk}[>|)\n]", render(medium, notification(broken("a"), broken("b"))))
    alone = of_exporter()
    assert re.search(rf"{EXPORTER}[>|)\n]", render(medium, notification(alone)))
    notes = {
        **alone.annotations,
        "runbook_url": "https://wiki.example.com/books/TrunkwatchExporter",
    }
    elsewhere = render(medium, notification(Alert(alone.labels, notes)))
    assert not re.search(r"Page|wiki\.example\.com[>|)\n]", elsewhere)
