"""Results of other CI systems that report to GitHub: one trunk, whoever tests it."""

import pytest

from tests.github.exporter import SimulatedExporter, running_exporter
from tests.github.faults import Faults, Kind
from tests.sources.github.stories import HOUR, MINUTE, Story, asked, counted

BOTH = ", checks: [buildkite], statuses: ['jenkins/.*']"


def mixed(letters: str = "P P P") -> Story:
    """A trunk on which two apps and two contexts report a failure of every commit."""
    story = Story(letters)
    for commit in story.commits:
        report(story, story.repo.commits[commit.sha].sha)
    story.fake.now += HOUR
    return story


def report(story: Story, sha: str, conclusion: str = "failure") -> None:
    commit = story.repo.commits[sha]
    story.repo.check(commit, "buildkite", "bk", conclusion)
    story.repo.check(commit, "circleci", "cc", conclusion)
    story.repo.status(commit, "jenkins/build", conclusion)
    story.repo.status(commit, "travis", conclusion)


def names(exporter: SimulatedExporter) -> set[str]:
    return {key.job_name for key in exporter.jobs()}


@pytest.mark.parametrize(("more", "expected"), [
    ("", {"test"}),
    (", checks: [buildkite]", {"test", "bk"}),
    (", checks: [buildkite, circleci]", {"test", "bk", "cc"}),
    (", checks: [github-actions]", {"test"}),
    (", statuses: ['jenkins/.*']", {"test", "jenkins/build"}),
    (", statuses: ['.*']", {"test", "jenkins/build", "travis"}),
    (", statuses: ['jenkins']", {"test"}),
    (BOTH, {"test", "bk", "jenkins/build"}),
])  # fmt: skip
def test_what_is_named_counts_and_nothing_else(
    more: str, expected: set[str], graphql: bool
) -> None:
    """Apps by their slug, statuses by a pattern that matches in full."""
    with running_exporter(mixed().fake, more=more, graphql=graphql) as exporter:
        exporter.refresh_until_idle()
        assert names(exporter) == expected
        assert all(exporter.job(name).broken for name in expected - {"test"})
        assert exporter.job("test").consecutive_failures == 0


def test_nothing_is_asked_for_when_nothing_is_named(graphql: bool) -> None:
    """Statuses cost a request a commit."""
    with running_exporter(mixed().fake, graphql=graphql) as exporter:
        exporter.refresh_until_idle()
        assert asked(exporter, "/status") == []


def test_what_they_say_later_is_seen(graphql: bool) -> None:
    """A pending status that fails, and a failure that is reported as fixed."""
    story = mixed()
    with running_exporter(story.fake, more=BOTH, graphql=graphql) as exporter:
        exporter.refresh_until_idle()
        commit = story.push()
        story.repo.status(commit, "jenkins/build", "pending")
        story.repo.check(commit, "buildkite", "bk", took=20 * MINUTE)
        exporter.advance(3 * MINUTE)
        assert (exporter.job("jenkins/build").pending, exporter.job("bk").pending) == (1, 1)
        story.repo.status(commit, "jenkins/build", "success")
        exporter.advance(3 * MINUTE)
        assert not exporter.job("jenkins/build").broken
        assert exporter.job("bk").broken
        exporter.advance(20 * MINUTE)
        assert not exporter.job("bk").broken


@pytest.mark.parametrize(("state", "streak"), [("failure", 4), ("error", 4), ("success", 0)])
def test_the_states_of_a_status(state: str, streak: int, graphql: bool) -> None:
    """An error is a failure of that CI; there is no better word for it."""
    story = mixed()
    story.repo.status(story.push(), "jenkins/build", state)
    with running_exporter(story.fake, more=BOTH, graphql=graphql) as exporter:
        exporter.refresh_until_idle()
        assert exporter.job("jenkins/build").consecutive_failures == streak


def test_the_latest_status_of_a_context_counts(graphql: bool) -> None:
    """What a re-run replaces is not listed any more."""
    story = mixed()
    commit = story.push()
    story.repo.status(commit, "jenkins/build", "failure", story.fake.now - 60)
    story.repo.status(commit, "jenkins/build", "success")
    with running_exporter(story.fake, more=BOTH, graphql=graphql) as exporter:
        exporter.refresh_until_idle()
        assert exporter.job("jenkins/build").consecutive_failures == 0


def test_a_commit_that_only_others_test_counts(graphql: bool) -> None:
    """There need be no run of Actions at all."""
    with running_exporter(mixed(". . .").fake, more=BOTH, graphql=graphql) as exporter:
        refreshed = exporter.refresh_until_idle()[-1]
        assert names(exporter) == {"bk", "jenkins/build"}
        assert exporter.job("bk").broken
        assert refreshed.state.unread == 0


def test_nothing_new_of_theirs_is_free(graphql: bool) -> None:
    """Their lists are asked for with ETags, young commits now and then."""
    with running_exporter(mixed().fake, more=BOTH, graphql=graphql) as exporter:
        exporter.refresh_until_idle()
        exporter.advance(5 * MINUTE)
        assert counted(exporter.advance(HOUR)) == 0


def test_a_fault_leaves_what_they_said(graphql: bool) -> None:
    """It is reported, and nothing is taken back."""
    story = mixed()
    with running_exporter(story.fake, more=BOTH, graphql=graphql) as exporter:
        exporter.refresh_until_idle()
        report(story, story.push().sha, "success")
        exporter.server.fail_next(Kind.SERVER_ERROR, "/status$", times=99)
        done = exporter.advance(10 * MINUTE)
        assert not done[-1].state.up
        assert exporter.job("jenkins/build").broken
        exporter.server.faults = Faults()
        exporter.advance(5 * MINUTE)
        assert not exporter.job("jenkins/build").broken
