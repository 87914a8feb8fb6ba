"""The life of an issue while jobs break and are fixed."""

from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest
from trunkwatch.config import TicketsSection
from trunkwatch.metrics.lines import Labels
from trunkwatch.status.trunk_status import TrunkStatus
from trunkwatch.tickets.model import TicketKey

from tests.tickets.builders import BAD, BRANCH, GROUP, REPO, RUN, fixed, job
from tests.tickets.stage import Stage, a_stage, each_vendor, opened

HOUR = 3600.0
KEY = TicketKey(REPO, BRANCH, GROUP)


@each_vendor
def test_a_broken_job_opens_an_issue(stage: Stage) -> None:
    """A delivered alert of a job that is broken opens one issue with labels."""
    stage.set_status(job("a"))
    stage.deliver("a")
    stage.settle()
    assert stage.issue.title == "[P2] inductor jobs broken for 3 commits in a row on o/r main"
    assert stage.issue.labels == ["Pri:P2", "Team:broken-inductor", "Source:trunkwatch"]
    assert RUN in stage.issue.body
    assert stage.writes() == ["POST"]


def test_a_job_of_a_long_name_has_an_issue_too(stage: Stage) -> None:
    """Its alert has the cut name, which the link for a silence has as well."""
    name = "x" * 900
    stage.set_status(job(name))
    stage.deliver(name)
    stage.settle()
    assert f'job_name="{Labels().bounded(name)}"' in unquote(unquote(stage.issue.body))
    stage.set_status(fixed(name))
    stage.settle()
    assert stage.issue.state == "closed"


def test_without_a_delivery_no_issue_is_opened(stage: Stage) -> None:
    """The alert of a broken job may be routed elsewhere."""
    stage.set_status(job("a"))
    stage.settle()
    assert stage.issues == []


def test_a_delivery_for_a_fixed_job_opens_nothing(stage: Stage) -> None:
    """A late delivery does not replace the current status."""
    stage.set_status(fixed("a"))
    stage.deliver("a")
    stage.settle()
    stage.set_status(job("a"))
    stage.settle()
    assert stage.issues == []


def test_a_delivery_is_kept_while_the_exporter_is_behind(stage: Stage) -> None:
    """Of two replicas, the one that is polled may read a failure after the other."""
    stage.set_status(fixed("a"))
    stage.status.lingering = {"a"}
    stage.deliver("a")
    stage.settle()
    stage.set_status(job("a"))
    stage.settle()
    assert stage.issue.state == "open"


def test_a_delivery_that_comes_during_a_round_is_kept(stage: Stage) -> None:
    """The status of the round was read before the delivery."""
    stage.status.lingering = {"a"}
    stage.deliver("a")
    stage.round()
    stage.wait(1.0)
    stage.status.lingering.clear()
    stage.status.trunk = delivering(stage)  # type: ignore[method-assign, assignment]  # it delivers meanwhile
    stage.set_status(fixed("a"))
    stage.round()
    assert [alert.job.job_name for alert in stage.store.firing_alerts()[KEY]] == ["b"]


def delivering(stage: Stage) -> Callable[[str, str], TrunkStatus]:
    """Return a status request during which Alertmanager delivers one more alert."""
    read = stage.status.trunk

    def trunk(repo: str, branch: str) -> TrunkStatus:
        status = read(repo, branch)
        stage.deliver("b")
        return status

    return trunk


def test_a_silenced_alert_opens_nothing_until_the_silence_ends(stage: Stage) -> None:
    """A delivered alert opens the issue after its silence ends."""
    stage.set_status(job("a"))
    stage.deliver("a")
    stage.status.silenced = {"a"}
    stage.settle()
    assert stage.issues == []
    stage.status.silenced = set()
    stage.settle()
    assert stage.issue.state == "open"


def test_an_issue_is_opened_while_alertmanager_is_away(stage: Stage) -> None:
    """The delivered alert counts while Alertmanager does not answer."""
    stage.status.alertmanager_up = False
    opened(stage, "a")
    assert stage.issue.state == "open"


def test_nothing_is_written_while_nothing_changes(stage: Stage) -> None:
    """Repeated deliveries and an hour of rounds write nothing."""
    opened(stage, "a")
    for _ in range(10):
        stage.deliver("a")
        stage.settle()
    assert stage.writes() == []


def test_polling_an_unchanged_issue_costs_no_quota(stage: Stage) -> None:
    """GitHub does not count answers with 304."""
    opened(stage, "a")
    stage.settle()
    before = stage.server.counted()
    stage.settle()
    assert stage.server.counted() == before


def test_a_new_failure_edits_the_issue_without_a_comment(stage: Stage) -> None:
    """Title and body are updated without a notification."""
    opened(stage, "a")
    stage.set_status(job("a", failures_in_outage=4))
    stage.settle()
    assert stage.issue.title == "[P2] inductor jobs broken for 4 commits in a row on o/r main"
    assert stage.writes() == ["PATCH /1"]


@each_vendor
def test_one_more_job_is_one_comment(stage: Stage) -> None:
    """The comment names the new job, and the body names both."""
    opened(stage, "a")
    stage.set_status(job("a"), job("b"))
    stage.settle()
    assert stage.writes() == ["POST /1/comments", "PATCH /1"]
    (comment,) = stage.issue.comments
    assert "**Broken now:**\n\n- `pull / b`" in comment.body
    assert "`pull / a`" not in comment.body
    assert "2 jobs of the group are broken." in comment.body


def test_one_job_fixed_is_one_comment(stage: Stage) -> None:
    """The comment names the fixing commit, and the issue stays open for the other job."""
    opened(stage, "a", "b")
    stage.set_status(fixed("a"), job("b"))
    stage.settle()
    (comment,) = stage.issue.comments
    by = "`ffffffffff` by `author-f`: `Put it right`"
    assert f"- `pull / a`: fixed by {by}, after 1 h" in comment.body
    assert stage.issue.state == "open"


@each_vendor
def test_the_last_job_fixed_closes_the_issue(stage: Stage) -> None:
    """The closing comment contains the fixing commit and the duration."""
    opened(stage, "a")
    stage.wait(2 * HOUR)
    stage.set_status(fixed("a"))
    stage.settle()
    assert (stage.issue.state, stage.issue.reason) == ("closed", "completed")
    (comment,) = stage.issue.comments
    assert "**Fixed: no job of the group `inductor` is broken.**" in comment.body
    assert "All in all it lasted 3 h 4 min." in comment.body
    assert "`pull / a`: fixed by `ffffffffff`" in comment.body
    assert stage.issue.body.splitlines()[1].startswith("**Nothing of this is broken any more.**")
    assert "- **State:** fixed" in stage.issue.body
    assert "firing" not in stage.issue.body
    assert "At the tip now" not in stage.issue.body


def test_a_removed_job_is_not_called_fixed(stage: Stage) -> None:
    """A job that the workflow no longer runs is reported as removed."""
    opened(stage, "a")
    stage.set_status(fixed("b"))
    stage.settle()
    assert (stage.issue.state, stage.issue.reason) == ("closed", "not_planned")
    (comment,) = stage.issue.comments
    assert "`pull / a`: removed, not fixed" in comment.body
    assert "- **State:** ended" in stage.issue.body
    assert "fixed by" not in comment.body


def test_the_end_of_another_outage_fixed_nothing(stage: Stage) -> None:
    """An outage that a change of the configuration ended has no fixing commit."""
    opened(stage, "a")
    stage.set_status(fixed("a", first_bad="9" * 40))
    stage.settle()
    assert "`pull / a`: fixed, after" in stage.issue.comments[0].body


def test_a_job_that_no_longer_counts_is_not_called_fixed(stage: Stage) -> None:
    """A higher `failures_to_open` ends an outage without a fix."""
    opened(stage, "a")
    stage.set_status(job("a", broken=False, last_verdict="FAIL"))
    stage.settle()
    assert "not counted as broken any more, without a pass" in stage.issue.comments[0].body
    assert stage.issue.reason == "not_planned"


def test_an_exempted_job_is_not_called_fixed(stage: Stage) -> None:
    """The comment contains the reason of the exemption, whose end reopens the issue."""
    opened(stage, "a")
    stage.set_status(job("a", known_broken={"reason": "new driver", "until": None}))
    stage.settle()
    assert stage.issue.state == "closed"
    assert "declared as known to be broken: `new driver`" in stage.issue.comments[0].body
    stage.set_status(job("a"))
    stage.deliver("a")
    stage.settle()
    assert stage.issue.state == "open"


def test_a_job_of_another_group_now_is_not_called_fixed(stage: Stage) -> None:
    """The comment names the new group of the job."""
    opened(stage, "a")
    stage.set_status(job("a", group="other"))
    stage.settle()
    assert "is in the group `other` now" in stage.issue.comments[0].body


@pytest.mark.parametrize(
    ("facts", "words"),
    [
        ({"known_broken": {"reason": "new driver", "until": None}}, "fixed by"),
        ({"group": "other"}, "fixed by"),
        # Another outage began and was closed since the last look: its commit is not the fix.
        ({"first_bad": "e" * 40}, "fixed, after"),
    ],
)
def test_a_repaired_job_is_called_fixed_whatever_else_changed(
    stage: Stage, facts: dict[str, Any], words: str
) -> None:
    """A pass comes before an exemption, another group and an outage between two looks."""
    opened(stage, "a")
    stage.set_status(fixed("a", **facts))
    stage.settle()
    (comment,) = stage.issue.comments
    assert f"`pull / a`: {words}" in comment.body
    assert ("Put it right" in comment.body) is (words == "fixed by")
    assert stage.issue.reason == "completed"


def test_an_outage_within_reopen_within_reopens_the_issue(stage: Stage) -> None:
    """The issue is reopened with a comment, and no new one is opened."""
    opened(stage, "a")
    stage.set_status(fixed("a"))
    stage.settle()
    stage.wait(71 * HOUR)
    opened(stage, "a")
    assert (stage.issue.state, stage.issue.reason) == ("open", "reopened")
    assert "Broken again" in stage.issue.comments[-1].body
    assert "Nothing of this" not in stage.issue.body


@each_vendor
def test_an_outage_after_reopen_within_is_a_new_issue(stage: Stage) -> None:
    """The new issue links to the old one."""
    opened(stage, "a")
    stage.set_status(fixed("a"))
    stage.settle()
    stage.wait(73 * HOUR)
    opened(stage, "a")
    old, new = stage.issues
    assert (old.state, new.state) == ("closed", "open")
    assert "An earlier outage of this group: #1." in new.body


def test_without_auto_close_the_issue_stays_open(tmp_path: Path) -> None:
    """One comment reports the end, and another the next outage."""
    with a_stage(tmp_path, TicketsSection(auto_close=False)) as stage:
        opened(stage, "a")
        stage.set_status(fixed("a"))
        stage.settle()
        assert stage.issue.state == "open"
        assert stage.issue.body.splitlines()[1].startswith("**Nothing of this is broken any more.")
        assert len(stage.issue.comments) == 1
        stage.set_status(job("a"))
        stage.settle()
        assert "**Broken now:**" in stage.issue.comments[1].body
        assert "Nothing of this" not in stage.issue.body


def test_the_dashboard_is_linked_where_the_configuration_names_it(tmp_path: Path) -> None:
    """Repository, branch and group are URL-encoded."""
    url = "https://grafana.example.org/d/t?r={repo}&b={branch}&g={group}"
    with a_stage(tmp_path, TicketsSection(dashboard_url=url)) as stage:
        opened(stage, "a")
        wanted = "https://grafana.example.org/d/t?r=o%2Fr&b=main&g=inductor"
        assert f"[Dashboard]({wanted})" in stage.issue.body


def test_issues_are_opened_in_the_configured_repository(tmp_path: Path) -> None:
    """It may differ from the repository of the results."""
    with a_stage(tmp_path, TicketsSection(repo="o/tickets")) as stage:
        stage.server.fake.repo("o/tickets")
        opened(stage, "a")
        assert stage.issues == []
        assert len(stage.server.issues.all("o/tickets")) == 1


def test_the_first_bad_is_named(stage: Stage) -> None:
    """The body contains the commit, its author and its title."""
    opened(stage, "a")
    assert f"`{BAD[:10]}` by `author-b`: `Enable the new scheduler`" in stage.issue.body


def renamed(name: str, **facts: object) -> dict[str, object]:
    """Return a broken job whose label `workflow` has moved."""
    return job(name, workflow="Build and test", **facts)


def test_one_outage_is_one_entry_although_its_workflow_has_another_name(stage: Stage) -> None:
    """Nothing was removed, fixed or broken anew: only the name in the body changes."""
    opened(stage, "a")
    stage.set_status(renamed("a"))
    stage.settle()
    assert stage.writes() == ["PATCH /1"]
    assert "`Build and test / a`" in stage.issue.body
    stage.set_status({**fixed("a"), "workflow": "Build and test"})
    stage.settle()
    (comment,) = stage.issue.comments
    assert "`Build and test / a`: fixed by" in comment.body


def test_a_dismissed_outage_whose_workflow_has_another_name_stays_dismissed(stage: Stage) -> None:
    """It is not a new outage, so the issue that a person closed is not reopened."""
    opened(stage, "a")
    stage.server.issues.close_by("author-b", stage.issue)
    stage.settle()
    stage.set_status(renamed("a"))
    stage.deliver("a")
    stage.settle()
    assert stage.issue.state == "closed"


def test_another_outage_is_another_entry_although_its_job_has_the_same_name(stage: Stage) -> None:
    """It began at another commit, or the old job is still there."""
    for status in ([renamed("a", first_bad="d" * 40)], [job("a"), renamed("a")]):
        stage.set_status(job("a"))
        opened(stage, "a")
        before = len(stage.issue.comments)
        stage.set_status(*status)
        stage.settle()
        text = "".join(comment.body for comment in stage.issue.comments[before:])
        assert "`Build and test / a`: first bad" in text
