"""A tickets command without its web: a keeper that can be killed, and a GitHub that goes on."""

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

from trunkwatch.errors import ReadingError
from trunkwatch.rest import EnvToken, HttpContext
from trunkwatch.tickets.carrier import KeeperTools
from trunkwatch.tickets.counts import Counts
from trunkwatch.tickets.facts import Alerts, Picture, alerts_of, picture_of
from trunkwatch.tickets.github import GithubIssues
from trunkwatch.tickets.issues import Issues
from trunkwatch.tickets.keeper import Keeper
from trunkwatch.tickets.ledger import Ledger
from trunkwatch.tickets.model import Settings
from trunkwatch.tickets.payload import delivered

from tests.github.issue_rows import Issue
from tests.github.server import StandIn, serving_github
from tests.github.world import TOKEN, World
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
"""Seconds from one round to the next: what was sent in the last one has settled by then."""

ROUNDS = 4
"""Rounds after which nothing is left to do, also behind a kill."""

TIMEOUT = 10.0
"""Seconds until an answer that never comes is given up; only a failure waits that long."""


@cache
def _empty_ledger() -> bytes:
    """Return a storage file: to make each anew would wait for the disk a hundred times."""
    with TemporaryDirectory() as folder:
        path = Path(folder) / "tickets.db"
        Ledger(str(path)).close()
        return path.read_bytes()


class Killed(BaseException):
    """The process is gone."""


class Told:
    """What is true, as far as the keeper can read it.

    Attributes:
        document: the exporter's JSON; None while it does not answer.
        silenced: jobs whose alert is suppressed.
        lingering: jobs whose alert has not resolved yet.
        alertmanager_up: it answers.
    """

    def __init__(self) -> None:
        self.document: Json | None = trunk()
        self.silenced: set[str] = set()
        self.lingering: set[str] = set()
        self.alertmanager_up = True

    def trunk(self, repo: str, branch: str) -> Picture:
        del repo, branch
        if self.document is None:
            raise ReadingError("GET http://exporter: refused")
        return picture_of(self.document)

    def alerts(self) -> Alerts:
        if not self.alertmanager_up:
            raise ReadingError("GET http://alertmanager: refused")
        names = [*broken_names(self.document or trunk()), *self.lingering]
        states = {name: "suppressed" if name in self.silenced else "active" for name in names}
        return alerts_of([listed_alert(name, state) for name, state in states.items()])


class Ending(NamedTuple):
    """What a reader of the issues sees, without what differs from one run to the next."""

    state: str
    reason: str | None
    title: str
    body: str
    labels: tuple[str, ...]
    comments: tuple[str, ...]


@dataclass
class Stage:
    """One world with one tickets command.

    Attributes:
        server: GitHub.
        told: what is true.
        path: of the storage file.
        settings: of the configuration.
        kill_at: the number of the checkpoint at which the process is killed; 0 for never.
        passed: the checkpoints so far.
        timeout: seconds until an answer that never comes is given up.
        counts: of the process that runs now.
    """

    server: StandIn
    told: Told
    path: Path
    settings: Settings
    kill_at: int = 0
    timeout: float = TIMEOUT

    def __post_init__(self) -> None:
        self.passed: list[str] = []
        if not self.path.exists():
            self.path.write_bytes(_empty_ledger())
        self.start()

    def start(self) -> None:
        """Start the process."""
        self.ledger = Ledger(str(self.path))
        # A process that is killed leaves what it wrote to the system; a power cut is not played.
        self.ledger._db.execute("PRAGMA synchronous = OFF")
        self.counts = Counts()
        context = HttpContext(
            count_request=lambda code: self.counts.add("requests", code),
            clock=lambda: self.now,
            sleep=lambda _seconds: None,
        )
        token = EnvToken("TOKEN", {"TOKEN": TOKEN})
        self.keeper = Keeper(
            self.ledger,
            Issues(GithubIssues(self.server.url, context, token, self.timeout)),
            self.told,
            self.settings,
            KeeperTools(lambda: self.now, self.counts, self._checkpoint),
        )

    def restart(self) -> None:
        """End the process, whatever it was doing, and start another."""
        self.ledger.close()
        self.start()

    def _checkpoint(self, name: str) -> None:
        self.passed.append(name)
        if len(self.passed) == self.kill_at:
            raise Killed(name)

    # ------------------------------------------------------------------ what happens

    @property
    def now(self) -> float:
        """The time of everybody (seconds since the epoch)."""
        return self.server.world.now

    def wait(self, seconds: float) -> None:
        """Let time pass."""
        self.server.world.now += seconds

    def deliver(self, *names: str, status: str = "firing") -> None:
        """Let Alertmanager tell of jobs."""
        said = delivered(delivery(*(alert(name, status) for name in names)))
        self.ledger.permit(said.permits, self.now)

    def is_true(self, *jobs: Json, **more: Any) -> None:
        """Let the exporter say something else."""
        self.told.document = trunk(*jobs, **more)

    def round(self) -> None:
        """Do one round; one that is killed is followed by a restart."""
        try:
            self.keeper.round()
        except Killed:
            self.restart()

    def settle(self) -> None:
        """Do as many rounds as it takes, a minute apart."""
        for _ in range(ROUNDS):
            self.round()
            self.wait(MINUTE)

    # ------------------------------------------------------------------ what a reader sees

    @property
    def issues(self) -> list[Issue]:
        """The issues that are there."""
        return self.server.issues.all(REPO)

    @property
    def issue(self) -> Issue:
        """The only issue."""
        (issue,) = self.issues
        return issue

    def writes(self) -> list[str]:
        """Return what was written since this was last asked, without the address."""
        said = [write.replace(f"/repos/{REPO}/issues", "") for write in self.server.issues.writes]
        self.server.issues.writes.clear()
        return [write.strip() for write in said]

    def endings(self) -> list[Ending]:
        """Return what is to be seen in the end."""
        return [
            Ending(
                issue.state,
                issue.reason,
                issue.title,
                same(issue.body),
                tuple(issue.labels),
                tuple(same(said.body) for said in issue.comments),
            )
            for issue in self.issues
        ]


def opened(stage: Stage, *names: str) -> None:
    """Let jobs break, and their issue be opened."""
    stage.is_true(*(job(name) for name in names))
    stage.deliver(*names)
    stage.settle()
    stage.writes()


def same(text: str) -> str:
    """Return a text without its nonce and without how long things took."""
    text = re.sub(r"nonce=[0-9a-f]+", "nonce=0", text)
    return re.sub(r"(after|lasted) \d[^.\n]*", r"\1 a while", text)


Scenario = Callable[[Stage], None]


@contextmanager
def a_stage(folder: Path, settings: Settings | None = None, kill_at: int = 0) -> Iterator[Stage]:
    """Play on a GitHub of its own."""
    world = World()
    world.repo(REPO)
    with serving_github(world) as github:
        stage = Stage(github, Told(), folder / "tickets.db", settings or Settings(), kill_at)
        try:
            yield stage
        finally:
            stage.ledger.close()
