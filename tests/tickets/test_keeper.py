"""What becomes of an issue while jobs break and are fixed, and while people work with it."""

from collections.abc import Callable
from pathlib import Path

from trunkwatch.tickets.facts import Key, Picture
from trunkwatch.tickets.model import Settings

from tests.tickets.builders import BAD, BRANCH, GROUP, REPO, RUN, fixed, job
from tests.tickets.stage import Stage, a_stage, opened

HOUR = 3600.0
KEY = Key(REPO, BRANCH, GROUP)


def test_a_broken_job_opens_an_issue(stage: Stage) -> None:
    """A delivered alert of a job that is broken opens one issue with labels."""
    stage.is_true(job("a"))
    stage.deliver("a")
    stage.settle()
    assert stage.issue.title == "[P2] inductor jobs broken for 3 commits in a row on o/r main"
    assert stage.issue.labels == ["Pri:P2", "Team:broken-inductor", "Source:trunkwatch"]
    assert RUN in stage.issue.body
    assert stage.writes() == ["POST"]


def test_what_nobody_delivered_opens_nothing(stage: Stage) -> None:
    """A job may be broken and routed to somebody else."""
    stage.is_true(job("a"))
    stage.settle()
    assert stage.issues == []


def test_a_delivery_of_what_is_fixed_opens_nothing(stage: Stage) -> None:
    """A late delivery does not speak for the present."""
    stage.is_true(fixed("a"))
    stage.deliver("a")
    stage.settle()
    stage.is_true(job("a"))
    stage.settle()
    assert stage.issues == []


def test_a_delivery_outlives_an_exporter_that_is_behind(stage: Stage) -> None:
    """Of two replicas, the one that is asked may hear of a failure after the other."""
    stage.is_true(fixed("a"))
    stage.told.lingering = {"a"}
    stage.deliver("a")
    stage.settle()
    stage.is_true(job("a"))
    stage.settle()
    assert stage.issue.state == "open"


def test_a_delivery_that_comes_during_a_round_is_kept(stage: Stage) -> None:
    """What the round has read is older than that."""
    stage.deliver("a")
    stage.wait(1.0)
    stage.told.trunk = told_late(stage)  # type: ignore[method-assign, assignment]  # it delivers meanwhile
    stage.is_true(fixed("a"))
    stage.round()
    assert [permit.job.job_name for permit in stage.ledger.permits()[KEY]] == ["b"]


def told_late(stage: Stage) -> Callable[[str, str], Picture]:
    """Return a reading during which Alertmanager tells of one more job."""
    read = stage.told.trunk

    def trunk(repo: str, branch: str) -> Picture:
        picture = read(repo, branch)
        stage.deliver("b")
        return picture

    return trunk


def test_a_silenced_alert_opens_nothing_until_the_silence_ends(stage: Stage) -> None:
    """What was delivered before somebody silenced it waits."""
    stage.is_true(job("a"))
    stage.deliver("a")
    stage.told.silenced = {"a"}
    stage.settle()
    assert stage.issues == []
    stage.told.silenced = set()
    stage.settle()
    assert stage.issue.state == "open"


def test_an_issue_is_opened_while_alertmanager_is_away(stage: Stage) -> None:
    """It has delivered the alert, so somebody is to hear of it."""
    stage.told.alertmanager_up = False
    opened(stage, "a")
    assert stage.issue.state == "open"


def test_nothing_is_written_while_nothing_changes(stage: Stage) -> None:
    """A repeated delivery and an hour of rounds leave the issue alone."""
    opened(stage, "a")
    for _ in range(10):
        stage.deliver("a")
        stage.settle()
    assert stage.writes() == []


def test_asking_whether_a_person_closed_it_costs_nothing(stage: Stage) -> None:
    """GitHub does not count an answer that nothing has changed."""
    opened(stage, "a")
    stage.settle()
    before = stage.server.counted()
    stage.settle()
    assert stage.server.counted() == before


def test_a_new_failure_edits_the_issue_and_says_nothing(stage: Stage) -> None:
    """Title and body follow the facts; nobody is notified."""
    opened(stage, "a")
    stage.is_true(job("a", failures_in_outage=4))
    stage.settle()
    assert stage.issue.title == "[P2] inductor jobs broken for 4 commits in a row on o/r main"
    assert stage.writes() == ["PATCH /1"]


def test_one_more_job_is_one_comment(stage: Stage) -> None:
    """The comment names the new job; the body names both."""
    opened(stage, "a")
    stage.is_true(job("a"), job("b"))
    stage.settle()
    assert stage.writes() == ["POST /1/comments", "PATCH /1"]
    (said,) = stage.issue.comments
    assert "**Broken now:**\n\n- `pull / b`" in said.body
    assert "`pull / a`" not in said.body
    assert "2 jobs of the group are broken." in said.body


def test_one_job_fixed_is_one_comment(stage: Stage) -> None:
    """The comment names who fixed it, and the issue stays open for the other."""
    opened(stage, "a", "b")
    stage.is_true(fixed("a"), job("b"))
    stage.settle()
    (said,) = stage.issue.comments
    by = "`ffffffffff` by `author-f`: `Put it right`"
    assert f"- `pull / a`: fixed by {by}, after 1 h" in said.body
    assert stage.issue.state == "open"


def test_the_last_job_fixed_closes_the_issue(stage: Stage) -> None:
    """The closing comment says what fixed it and how long it lasted."""
    opened(stage, "a")
    stage.wait(2 * HOUR)
    stage.is_true(fixed("a"))
    stage.settle()
    assert (stage.issue.state, stage.issue.reason) == ("closed", "completed")
    (said,) = stage.issue.comments
    assert "**Fixed: no job of the group `inductor` is broken.**" in said.body
    assert "All in all it lasted 3 h 4 min." in said.body
    assert "`pull / a`: fixed by `ffffffffff`" in said.body
    assert stage.issue.body.splitlines()[1].startswith("**Nothing of this is broken any more.**")


def test_a_removed_job_is_not_called_fixed(stage: Stage) -> None:
    """The workflow runs without the job, so nobody knows whether it works."""
    opened(stage, "a")
    stage.is_true(fixed("b"))
    stage.settle()
    assert (stage.issue.state, stage.issue.reason) == ("closed", "not_planned")
    (said,) = stage.issue.comments
    assert "`pull / a`: removed, not fixed" in said.body
    assert "fixed by" not in said.body


def test_the_end_of_another_outage_fixed_nothing(stage: Stage) -> None:
    """Where the outage ended by a change of the configuration, no commit is praised for it."""
    opened(stage, "a")
    stage.is_true(fixed("a", first_bad="9" * 40))
    stage.settle()
    assert "`pull / a`: fixed, after" in stage.issue.comments[0].body


def test_a_job_that_no_longer_counts_is_not_called_fixed(stage: Stage) -> None:
    """Whoever raises the number of failures that it takes has repaired nothing."""
    opened(stage, "a")
    stage.is_true(job("a", broken=False, last_verdict="FAIL"))
    stage.settle()
    assert "not counted as broken any more, without a pass" in stage.issue.comments[0].body
    assert stage.issue.reason == "not_planned"


def test_an_exempted_job_is_not_called_fixed(stage: Stage) -> None:
    """The exemption's reason stands in the comment, and its end opens the issue again."""
    opened(stage, "a")
    stage.is_true(job("a", known_broken={"reason": "new driver", "until": None}))
    stage.settle()
    assert stage.issue.state == "closed"
    assert "declared as known to be broken: `new driver`" in stage.issue.comments[0].body
    stage.is_true(job("a"))
    stage.deliver("a")
    stage.settle()
    assert stage.issue.state == "open"


def test_a_job_of_another_group_now_is_not_called_fixed(stage: Stage) -> None:
    """The configuration has given it to another team."""
    opened(stage, "a")
    stage.is_true(job("a", group="other"))
    stage.settle()
    assert "is in the group `other` now" in stage.issue.comments[0].body


def test_what_returns_soon_reopens_the_same_issue(stage: Stage) -> None:
    """One history stays in one place."""
    opened(stage, "a")
    stage.is_true(fixed("a"))
    stage.settle()
    stage.wait(71 * HOUR)
    opened(stage, "a")
    assert (stage.issue.state, stage.issue.reason) == ("open", "reopened")
    assert "Broken again" in stage.issue.comments[-1].body
    assert "Nothing of this" not in stage.issue.body


def test_what_returns_late_is_a_new_issue_that_names_the_old(stage: Stage) -> None:
    """After reopen_within it is another story."""
    opened(stage, "a")
    stage.is_true(fixed("a"))
    stage.settle()
    stage.wait(73 * HOUR)
    opened(stage, "a")
    old, new = stage.issues
    assert (old.state, new.state) == ("closed", "open")
    assert "An earlier outage of this group: #1." in new.body


def test_without_auto_close_the_issue_stays_open_and_says_that_it_is_over(tmp_path: Path) -> None:
    """One comment tells it, and another tells when something breaks again."""
    with a_stage(tmp_path, Settings(auto_close=False)) as stage:
        opened(stage, "a")
        stage.is_true(fixed("a"))
        stage.settle()
        assert stage.issue.state == "open"
        assert stage.issue.body.splitlines()[1].startswith("**Nothing of this is broken any more.")
        assert len(stage.issue.comments) == 1
        stage.is_true(job("a"))
        stage.settle()
        assert "**Broken now:**" in stage.issue.comments[1].body
        assert "Nothing of this" not in stage.issue.body


def test_the_dashboard_is_linked_where_the_configuration_names_it(tmp_path: Path) -> None:
    """What stands in the place of repository, branch and group is encoded."""
    url = "https://grafana.example.org/d/t?r={repo}&b={branch}&g={group}"
    with a_stage(tmp_path, Settings(dashboard=url)) as stage:
        opened(stage, "a")
        wanted = "https://grafana.example.org/d/t?r=o%2Fr&b=main&g=inductor"
        assert f"[Dashboard]({wanted})" in stage.issue.body


def test_the_configuration_says_where_issues_belong(tmp_path: Path) -> None:
    """Results may be of another repository, or of none that GitHub knows."""
    with a_stage(tmp_path, Settings(repo="o/tickets")) as stage:
        stage.server.fake.repo("o/tickets")
        opened(stage, "a")
        assert stage.issues == []
        assert len(stage.server.issues.all("o/tickets")) == 1


def test_the_first_bad_is_named(stage: Stage) -> None:
    """Who reads the issue sees the commit, its author and its title."""
    opened(stage, "a")
    assert f"`{BAD[:10]}` by `author-b`: `Enable the new scheduler`" in stage.issue.body
