"""What GitLab does otherwise than GitHub with the issues of `trunkwatch tickets`."""

import re
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import gitlab
import pytest
from trunkwatch.config import TicketsSection
from trunkwatch.errors import IssueGone, StoreError, TrackerRefused, UsageError
from trunkwatch.rest.credentials import EnvToken
from trunkwatch.rest.http import HttpContext
from trunkwatch.ticketing import TicketOptions, TicketServer
from trunkwatch.tickets.issues.gitlab import GitlabIssues
from trunkwatch.tickets.issues.tracker import IssueTracker
from trunkwatch.tickets.model import Change, Comment, Create, State, Ticket, TicketKey
from trunkwatch.tickets.store import TicketStore
from trunkwatch.tickets.text.markdown import Marker, quoted

from tests.github.fake import TOKEN, FakeGitHub
from tests.github.faults import Kind
from tests.github.issue_model import Comment as Note
from tests.github.issues import MOVED
from tests.github.responses import NOT_FOUND
from tests.github.server import GitHubServer
from tests.gitlab.issues import GitlabIssueTracker, serving_gitlab
from tests.tickets.builders import fixed, job
from tests.tickets.stage import Stage, a_stage, opened

PROJECT = "group/sub/project"
KEY = TicketKey(PROJECT, "main", "g")
TICKET = Ticket(KEY, PROJECT, 1, "0f", State.OPEN, "", "", {}, "t", "P2")
SECOND, UNMADE = replace(TICKET, number=2), replace(TICKET, number=None)
MARKER = Marker(quoted(KEY), "0f", "open")
CREATE = Create("0f", "t", f"{MARKER}\nb", ("Source:trunkwatch", "Pri:P2"), ())
CLOSE, REOPEN = Change({"state": "closed"}), Change({"state": "open"})


@pytest.fixture
def server() -> Iterator[GitHubServer]:
    """Serve one project in a subgroup."""
    fake = FakeGitHub()
    fake.repo(PROJECT)
    with serving_gitlab(fake) as server:
        yield server


@pytest.fixture
def tracker(server: GitHubServer) -> IssueTracker:
    """Return a tracker with one issue of the project."""
    tracker = tracker_of(server)
    tracker.execute(TICKET, CREATE)
    return tracker


def tracker_of(server: GitHubServer, *, confidential: bool = False) -> IssueTracker:
    """Return a tracker by the fake's clock."""
    context = HttpContext(clock=lambda: server.fake.now, sleep=lambda _seconds: None)
    token = EnvToken("TOKEN", {"TOKEN": TOKEN})
    return IssueTracker(GitlabIssues(server.url, context, token, confidential=confidential))


def gitlab_issues(server: GitHubServer) -> GitlabIssueTracker:
    """Return the issues with what only GitLab has."""
    assert isinstance(server.issues, GitlabIssueTracker)
    return server.issues


def test_an_independent_client_sees_the_same(server: GitHubServer, tracker: IssueTracker) -> None:
    """python-gitlab finds what the tracker wrote, and the tracker what python-gitlab wrote."""
    tracker.execute(TICKET, Comment("1f", "text"))
    client = gitlab.Gitlab(server.url.removesuffix("/api/v4"), oauth_token=TOKEN)
    project = client.projects.get(PROJECT)
    (issue,) = project.issues.list(
        state="opened", labels="Source:trunkwatch", order_by="created_at", sort="asc", get_all=True
    )
    assert (issue.iid, issue.title, issue.confidential) == (1, "t", False)
    assert [note.body for note in issue.notes.list(get_all=True)] == ["text"]
    issue.state_event, issue.description = "close", "mine"
    issue.save()
    assert tracker.read(TICKET).closed_at == server.fake.now
    tracker.execute(TICKET, REOPEN)
    assert project.issues.get(1).state == "opened"
    (user,) = client.users.list(username="author-a")
    made = project.issues.create(
        {"title": "u", "description": CREATE.body, "labels": "Source:trunkwatch, x",
         "assignee_ids": [user.id]}
    )  # fmt: skip
    made.notes.create({"body": "n"})
    assert tracker.read(SECOND).assignees == ("author-a",)
    found = tracker.find(PROJECT, quoted(KEY), None)
    assert found is not None
    assert found.number == made.iid
    with pytest.raises(gitlab.exceptions.GitlabGetError, match="404"):
        project.issues.get(9)


def test_a_page_of_notes_that_is_not_full_is_not_the_last(
    server: GitHubServer, tracker: IssueTracker
) -> None:
    """GitLab leaves out notes that may not be read; the comment beyond them is not sent twice."""
    (issue,) = server.issues.all(PROJECT)
    sent = Comment("2f", f"{Marker(quoted(KEY), '2f', 'comment')}\ntext")
    since = server.fake.now
    tracker.execute(TICKET, sent)
    notes = [Note(number, "x", "hidden", since) for number in range(1_000, 1_099)]
    issue.comments += [*notes, Note(2_000, "x", "seen", since)]
    gitlab_issues(server).unreadable = {note.id for note in notes}
    assert tracker.was_executed(TICKET, sent, since) == (True, None)
    assert tracker.was_executed(TICKET, Comment("3f", ""), since) == (False, None)
    server.log.clear()
    server.fake.now += 7200.0
    issue.comments.append(Note(3_000, "x", "new", server.fake.now))
    tracker.was_executed(TICKET, Comment("3f", ""), server.fake.now)
    assert len(server.log) == 1, "older pages are not read"


def test_an_event_that_gitlab_ignores_is_a_refusal(
    server: GitHubServer, tracker: IssueTracker
) -> None:
    """GitLab answers 200, and the issue stays as it is."""
    gitlab_issues(server).ignored = {"close"}
    with pytest.raises(TrackerRefused, match=r"the issue stayed opened; .*role"):
        tracker.execute(TICKET, CLOSE)
    gitlab_issues(server).ignored = {"reopen"}
    tracker.execute(TICKET, CLOSE)
    with pytest.raises(TrackerRefused, match="the issue stayed closed"):
        tracker.execute(TICKET, REOPEN)


def test_the_copy_of_a_moved_issue_stays_closed(
    server: GitHubServer, tracker: IssueTracker
) -> None:
    """It is neither reopened nor found again: the issue is gone."""
    tracker.execute(TICKET, CLOSE)
    (issue,) = server.issues.all(PROJECT)
    issue.instead = MOVED
    with pytest.raises(IssueGone, match="was moved"):
        tracker.execute(TICKET, REOPEN)
    assert issue.state == "closed"
    assert tracker.find(PROJECT, quoted(KEY), 0.0) is None


@pytest.mark.parametrize(
    ("facts", "reason"),
    [
        ({"issues_enabled": False}, "has no issues, or none that the token may see"),
        ({"permissions": {"project_access": {"access_level": 10}}}, "role of the token .* too low"),
        ({"path_with_namespace": "group/new"}, "group/sub/project is called group/new now"),
    ],
)
def test_an_issue_is_kept_if_its_project_is_the_cause(
    server: GitHubServer, tracker: IssueTracker, facts: dict[str, object], reason: str
) -> None:
    """Its issues come back with it; the error names what to do."""
    (issue,) = server.issues.all(PROJECT)
    issue.instead = NOT_FOUND
    gitlab_issues(server).facts = facts
    with pytest.raises(TrackerRefused, match=reason) as found:
        tracker.read(TICKET)
    assert not isinstance(found.value, IssueGone)
    gitlab_issues(server).facts = {"permissions": {"project_access": None, "group_access": None}}
    with pytest.raises(IssueGone):
        tracker.read(TICKET)


def test_a_renamed_project_is_named_and_nothing_is_let_go(
    server: GitHubServer, tracker: IssueTracker
) -> None:
    """GitLab redirects reads, and answers 405 to changes."""
    server.fake.rename(server.fake.repos[PROJECT], "group/new")
    for ticket, step in ((TICKET, CLOSE), (UNMADE, CREATE), (TICKET, Comment("0f", ""))):
        with pytest.raises(TrackerRefused, match="is called group/new now") as found:
            tracker.execute(ticket, step)
        assert not isinstance(found.value, IssueGone)
    with pytest.raises(TrackerRefused, match="is called group/new now"):
        tracker.read(TICKET)


def test_a_server_that_redirects_is_named(server: GitHubServer, tracker: IssueTracker) -> None:
    """A redirect from http to https does not mean that an issue is gone."""
    server.issues.refusals = {"GET .*/issues/1": MOVED}
    with pytest.raises(TrackerRefused, match=r"correct tickets.api_url") as found:
        tracker.read(TICKET)
    assert not isinstance(found.value, IssueGone)


def test_an_issue_is_opened_as_configured(tmp_path: Path) -> None:
    """Logins become ids, one without a user is left out, and the title mentions no user."""
    config = TicketsSection(
        type="gitlab", repo=PROJECT, assignees=("author-a", "nobody"), labels=("a, b", "x" * 60)
    )
    with a_stage(tmp_path, config) as stage:
        stage.server.fake.repo(PROJECT)
        stage.set_status(job("a"), priority="@all " + "é" * 300)
        stage.deliver("a")
        stage.settle()
        (issue,) = stage.server.issues.all(PROJECT)
        assert issue.assignees == ["author-a"]
        assert issue.labels[3:] == ["a  b", "x" * 49 + "…"]
        assert issue.title.startswith("[@\N{WORD JOINER}all ")
        assert len(issue.title) <= 255


def test_users_that_cannot_be_read_keep_no_issue_from_being_opened(server: GitHubServer) -> None:
    """They are looked up before anything is sent: the issue is more important than they are."""
    server.fail_next(Kind.BAD_GATEWAY, "/users", times=9)
    tracker = tracker_of(server)
    number = tracker.execute(TICKET, replace(CREATE, assignees=("author-a", "author-b")))
    (opened_now,) = (issue for issue in server.issues.all(PROJECT) if issue.number == number)
    assert opened_now.assignees == []


def test_a_new_issue_may_be_confidential(server: GitHubServer) -> None:
    """It is so from the start, since a later change would be too late."""
    tracker_of(server, confidential=True).execute(TICKET, CREATE)
    assert [issue.confidential for issue in server.issues.all(PROJECT)] == [True]


@pytest.mark.parametrize("stage", ["gitlab"], indirect=True)
def test_a_comment_begins_no_line_with_a_quick_action(stage: Stage) -> None:
    """GitLab executes a line such as `/close`, whoever wrote the job's name or the commit."""
    by = {"sha": "c" * 40, "author": "/assign me", "title": "/close\n/close"}
    opened(stage, "/close", "b\n/close")
    stage.set_status(
        job("/close", annotations=["/close"], suspect_commits=[by]), fixed("b\n/close")
    )
    stage.settle()
    stage.set_status(fixed("/close"))
    stage.settle()
    texts = [stage.issue.body, *(comment.body for comment in stage.issue.comments)]
    assert len(texts) > 1
    assert not [line for text in texts for line in text.splitlines() if line.startswith("/")]


@pytest.mark.parametrize(
    ("section", "error"),
    [
        ("", "tickets opens issues on GitHub: set tickets.type to gitlab"),
        ("tickets: {type: gitlab}", "no token: name a file by --token-file, or set GITLAB_TOKEN"),
        ("tickets: {type: github}", "or set GITHUB_TOKEN"),
    ],
)
def test_the_projects_of_gitlab_are_not_looked_for_on_github(
    section: str, error: str, tmp_path: Path
) -> None:
    """Where all results are of GitLab, the type is asked for, unless it is given."""
    source = "sources: [{name: lab, type: gitlab, repos: [g/s/p]}]"
    (tmp_path / "trunkwatch.yml").write_text(f"{source}\n{section}\n")
    path = str(tmp_path / "trunkwatch.yml")
    options = TicketOptions(path, "t.db", ":0", "http://h", ("http://h",))
    with pytest.raises(UsageError, match=re.escape(error)):
        TicketServer(options, {})


def test_a_file_with_the_issues_of_another_server_is_refused(tmp_path: Path) -> None:
    """Its numbers are those of other issues; without any issue it may be used."""
    (tmp_path / "trunkwatch.yml").write_text(
        "sources: [{name: lab, type: gitlab, repos: [g/s/p]}]\ntickets: {type: gitlab}\n"
    )
    path, storage = str(tmp_path / "trunkwatch.yml"), str(tmp_path / "t.db")
    with closing(TicketStore(storage)) as store:
        store.bind("https://old.example.com/api/v4")
        store.bind("https://api.github.com")
        store.save_ticket(TICKET)
        store.bind("https://api.github.com")
    options = TicketOptions(path, storage, "127.0.0.1:0", "http://h", ("http://h",))
    with pytest.raises(StoreError, match=r"has the issues of https://api.github.com, and .*api/v4"):
        TicketServer(options, {"GITLAB_TOKEN": TOKEN})
