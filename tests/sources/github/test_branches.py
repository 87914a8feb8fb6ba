"""Repositories and branches of the source github: empty, missing, oddly named, not named."""

from tests.github.exporter import running_exporter
from tests.github.fake import FakeGitHub
from tests.sources.github.stories import HOUR, MINUTE, Story, check_truth, order_of, reading


def test_an_empty_repository_is_told_and_nothing_is_shown(graphql: bool) -> None:
    """There is no trunk yet; the first commit makes one."""
    story = Story()
    with running_exporter(story.fake, graphql=graphql) as exporter:
        refreshed = exporter.refresh()
        assert not refreshed.state.up
        assert "is the repository empty?" in (refreshed.state.problem or "")
        story.then("P F")
        exporter.refresh_until_idle()
        check_truth(exporter)


def test_a_branch_that_does_not_exist_is_told() -> None:
    """The error names the possible causes."""
    story = Story("P")
    section = "repo: o/r, branches: [mian], token_env: STANDIN_TOKEN"
    with reading(story.fake, section) as exporter:
        refreshed = exporter.refresh()
        assert not refreshed.ok
        assert "the name is wrong" in (refreshed.state.problem or "")


def test_a_branch_may_have_a_slash_in_its_name() -> None:
    """Release branches do."""
    story = Story("P P")
    story.repo.commit("stable", branch="release/1.0", parents=[story.commits[0]])
    section = "repo: o/r, branches: [release/1.0], token_env: STANDIN_TOKEN"
    with reading(story.fake, section) as exporter:
        exporter.refresh_until_idle()
        assert order_of(exporter) == ["Change 0", "stable"]


def test_without_branches_the_default_branch_is_read() -> None:
    """It is asked for once an hour, and followed when it changes; the old one is removed."""
    fake = FakeGitHub()
    story = Story("P F", fake=fake)
    section = "repo: o/r, token_env: STANDIN_TOKEN"
    with reading(fake, section) as exporter:
        exporter.refresh_until_idle()
        exporter.advance(30 * MINUTE)
        assert len([e for e in exporter.server.log if e.path == "/repos/o/r"]) == 1
        check_truth(exporter)
        assert exporter.trunk.trunk.branch == "main"
        story.repo.commit("renamed", branch="trunk", parents=[story.commits[1]])
        story.repo.default_branch = "trunk"
        exporter.advance(HOUR)
        assert {t.trunk.branch for t in exporter.engine.snapshot.trunks} == {"trunk"}
