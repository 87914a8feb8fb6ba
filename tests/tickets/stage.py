"""`trunkwatch tickets` without its web server: a reconciler that can be killed, and its GitHub."""

import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

import pytest
from trunkwatch.config import TicketsSection
from trunkwatch.errors import ReadingError
from trunkwatch.metrics.lines import Labels
from trunkwatch.rest.credentials import EnvToken
from trunkwatch.rest.http import HttpContext
from trunkwatch.status.trunk_status import TrunkStatus, parse_trunk_status
from trunkwatch.tickets.alerts import AlertList, parse_alerts, webhook_payload
from trunkwatch.tickets.issues.api import Api
from trunkwatch.tickets.issues.github import GithubIssues
from trunkwatch.tickets.issues.gitlab import GitlabIssues
from trunkwatch.tickets.issues.tracker import IssueTracker
from trunkwatch.tickets.metrics import TicketMetrics
from trunkwatch.tickets.reconcile.executor import Runtime
from trunkwatch.tickets.reconcile.reconciler import Reconciler
from trunkwatch.tickets.store import TicketStore

from tests.github.fake import TOKEN, FakeGitHub
from tests.github.issue_model import Issue
from tests.github.server import GitHubServer, serving_github
from tests.gitlab.issues import serving_gitlab
from tests.tickets.builders import (
    REPO,
    Json,
    alert,
    broken_names,
    delivery,
    job,
    listed_alert,
    trunk,
)

MINUTE = 61.0
"""Seconds from one round to the next; requests of the previous round have settled by then."""

ROUNDS = 4
"""Rounds after which no operation is left, also after a kill."""

TIMEOUT = 10.0
"""Seconds until a request times out; only a failing test waits that long."""

CLIENTS: Mapping[str, Callable[..., Api]] = {"github": GithubIssues, "gitlab": GitlabIssues}
SERVERS = {"github": serving_github, "gitlab": serving_gitlab}
each_vendor = pytest.mark.parametrize("stage", list(CLIENTS), indirect=True)
"""The tests of the port, which both implementations pass."""


@cache
def _empty_store() -> bytes:
    """Return an empty storage file; creating each one would wait for the disk a hundred times."""
    with TemporaryDirectory() as folder:
        path = Path(folder) / "tickets.db"
        TicketStore(str(path)).close()
        return path.read_bytes()


class Killed(BaseException):
    """The process was killed."""


class FakeStatusClient:
    """The state of the exporter and of Alertmanager.

    Attributes:
        document: the exporter's JSON; None while it does not answer.
        silenced: jobs whose alert is suppressed.
        lingering: fixed jobs whose alert has not resolved yet.
        strange_alerts: further entries of Alertmanager's list; they win over the jobs'.
        alertmanager_up: Alertmanager answers.
    """

    def __init__(self) -> None:
        self.document: Json | None = trunk()
        self.silenced: set[str] = set()
        self.lingering: set[str] = set()
        self.strange_alerts: list[Json] = []
        self.alertmanager_up = True

    def trunk(self, repo: str, branch: str) -> TrunkStatus:
        del repo, branch
        if self.document is None:
            raise ReadingError("GET http://exporter: refused")
        return parse_trunk_status(self.document)

    def alerts(self) -> AlertList:
        if not self.alertmanager_up:
            raise ReadingError("GET http://alertmanager: refused")
        names = [*broken_names(self.document or trunk()), *self.lingering]
        states = {name: "suppressed" if name in self.silenced else "active" for name in names}
        usual = [listed_alert(name, state) for name, state in states.items()]
        return parse_alerts([*usual, *self.strange_alerts])


class Ending(NamedTuple):
    """The visible content of an issue, without nonces and durations."""

    state: str
    reason: str | None
    title: str
    body: str
    labels: tuple[str, ...]
    comments: tuple[str, ...]


@dataclass
class Stage:
    """One GitHub with one tickets process.

    Attributes:
        server: the stand-in for GitHub or GitLab.
        status: of the exporter and of Alertmanager.
        path: of the storage file.
        config: the section `tickets` of the configuration.
        kill_at: number of the checkpoint at which the process is killed; 0 for never.
        passed: names of the checkpoints so far.
        timeout: of requests to GitHub (seconds).
        metrics: of the current process.
        name: of the Trunkwatch.
    """

    server: GitHubServer
    status: FakeStatusClient
    path: Path
    config: TicketsSection
    kill_at: int = 0
    timeout: float = TIMEOUT
    name: str | None = None

    def __post_init__(self) -> None:
        self.passed: list[str] = []
        if not self.path.exists():
            self.path.write_bytes(_empty_store())
        self.start()

    def start(self) -> None:
        """Start the process."""
        self.store = TicketStore(str(self.path))
        # A kill loses nothing that was written to the page cache; no test simulates a power cut.
        self.store._db.execute("PRAGMA synchronous = OFF")
        self.metrics = TicketMetrics()
        context = HttpContext(
            count_request=lambda code: self.metrics.add("requests", code),
            clock=lambda: self.now,
            sleep=lambda _seconds: None,
        )
        token = EnvToken("TOKEN", {"TOKEN": TOKEN})
        self.reconciler = Reconciler(
            self.store,
            IssueTracker(CLIENTS[self.config.type](self.server.url, context, token, self.timeout)),
            self.status,
            self.config,
            Runtime(lambda: self.now, self.metrics, self._checkpoint),
            name=self.name,
            label_of=Labels().bounded,
        )

    def restart(self) -> None:
        """End the process and start another."""
        self.store.close()
        self.start()

    def _checkpoint(self, name: str) -> None:
        self.passed.append(name)
        if len(self.passed) == self.kill_at:
            raise Killed(name)

    # ------------------------------------------------------------------ events

    @property
    def now(self) -> float:
        """The time of GitHub and of the process (seconds since the epoch)."""
        return self.server.fake.now

    def wait(self, seconds: float) -> None:
        """Advance the clock."""
        self.server.fake.now += seconds

    def deliver(self, *names: str, status: str = "firing") -> None:
        """Deliver alerts of jobs."""
        payload = webhook_payload(delivery(*(alert(name, status) for name in names)))
        self.store.add_firing(payload.firing, self.now)

    def set_status(self, *jobs: Json, **more: Any) -> None:
        """Set the jobs in the exporter's JSON."""
        self.status.document = trunk(*jobs, **more)

    def round(self) -> None:
        """Run one round; restart after a kill."""
        try:
            self.reconciler.reconcile_all()
        except Killed:
            self.restart()

    def settle(self) -> None:
        """Run rounds, a minute apart, until no operation is left."""
        for _ in range(ROUNDS):
            self.round()
            self.wait(MINUTE)

    # ------------------------------------------------------------------ the issues

    @property
    def issues(self) -> list[Issue]:
        """The issues on GitHub."""
        return self.server.issues.all(REPO)

    @property
    def issue(self) -> Issue:
        """The only issue."""
        (issue,) = self.issues
        return issue

    def writes(self) -> list[str]:
        """Return the write requests since the last call, without the repository."""
        writes = [w.replace(f"/repos/{REPO}/issues", "") for w in self.server.issues.writes]
        self.server.issues.writes.clear()
        return [write.strip() for write in writes]

    def endings(self) -> list[Ending]:
        """Return the visible content of every issue."""
        return [
            Ending(
                issue.state,
                issue.reason,
                issue.title,
                same(issue.body),
                tuple(issue.labels),
                tuple(same(comment.body) for comment in issue.comments),
            )
            for issue in self.issues
        ]


def opened(stage: Stage, *names: str) -> None:
    """Break jobs, and let their issue be opened."""
    stage.set_status(*(job(name) for name in names))
    stage.deliver(*names)
    stage.settle()
    stage.writes()


def same(text: str) -> str:
    """Return a text without nonces and durations."""
    text = re.sub(r"nonce=[0-9a-f]+", "nonce=0", text)
    return re.sub(r"(after|lasted) \d[^.\n]*", r"\1 a while", text)


Scenario = Callable[[Stage], None]


@contextmanager
def a_stage(
    folder: Path, config: TicketsSection | None = None, kill_at: int = 0
) -> Iterator[Stage]:
    """Run a tickets process with a GitHub, or a GitLab, of its own."""
    fake = FakeGitHub()
    fake.repo(REPO)
    config = config or TicketsSection()
    with SERVERS[config.type](fake) as server:
        path = folder / "tickets.db"
        stage = Stage(server, FakeStatusClient(), path, config, kill_at)
        try:
            yield stage
        finally:
            stage.store.close()
