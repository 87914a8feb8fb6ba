"""Builders: what happened on a trunk reads like the sentence under test, `Story("P F F . F")`.

One letter is one commit, oldest first:

    P passed   F failed   K flaky: failed, then passed   S skipped   H hung
    C cancelled by a newer push, after a while   c likewise, at once
    ? running for ever   . no run
"""

import json
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any
from unittest import mock

from trunkwatch.config import parse_config

from tests.github.commits import CommitNode
from tests.github.exporter import (
    TOKEN_VARIABLE,
    RefreshResult,
    SimulatedExporter,
    expected_jobs,
    job_differences,
)
from tests.github.fake import TOKEN, FakeGitHub
from tests.github.faults import Kind
from tests.github.repo import PlannedRun, Repo
from tests.github.server import LogEntry, serving_github
from tests.github.workflows import Job, Workflow, hanging, skipped, superseded

REPO = "o/r"
CI = Workflow("ci", ".github/workflows/ci.yml")
LINT = Workflow("lint", ".github/workflows/lint.yml")
NAME = "test"
MINUTE, HOUR = 60.0, 3600.0


def job_of(letter: str, name: str = NAME, end: float = 300.0) -> Job:
    """Return the first attempt of a job that a letter stands for."""
    if letter == "S":
        return skipped(name)
    if letter == "H":
        return hanging(name, limit=600.0)
    if letter in "Cc":
        return superseded(name, end=400.0 if letter == "C" else 90.0)
    if letter == "?":
        return Job(name, end=None)
    return Job(name, end=end, conclusion="failure" if letter in "FK" else "success")


class Story:
    """A repository whose trunk gets a commit an hour.

    Attributes:
        world: that it is in; its time stands an interval after the last commit.
        repo: the repository.
        every: seconds from one commit to the next.
        commits: oldest first.
        runs: of `CI`, by the place of their commit.
    """

    def __init__(
        self,
        letters: str = "",
        *,
        every: float = HOUR,
        fake: FakeGitHub | None = None,
        repo: str = REPO,
    ) -> None:
        """Args:
        letters: what happened on each commit.
        every: seconds from one commit to the next.
        world: a new one by default.
        repo: its name.
        """
        self.fake = fake or FakeGitHub()
        self.repo: Repo = self.fake.repo(repo)
        self.every = every
        self.commits: list[CommitNode] = []
        self.runs: dict[int, PlannedRun] = {}
        self.then(letters)

    def then(self, letters: str, *, workflow: Workflow = CI, name: str = NAME) -> None:
        """Let more commits come, one after the other."""
        for letter in letters.split():
            commit = self.push()
            if letter != ".":
                self.runs[len(self.commits) - 1] = self.run(commit, letter, workflow, name)
            self.fake.now += self.every

    def push(self) -> CommitNode:
        """Push one commit now."""
        self.commits.append(self.repo.commit(f"Change {len(self.commits)}"))
        return self.commits[-1]

    def run(
        self, commit: CommitNode, letter: str, workflow: Workflow = CI, name: str = NAME
    ) -> PlannedRun:
        """Plan a run of one job a few seconds after now."""
        at = self.fake.now + 5
        run = self.repo.run(commit, workflow, [job_of(letter, name)], at=at)
        if letter == "K":
            run.rerun(at + 400, [Job(name)])
        return run

    def jobs(self, commit: CommitNode, jobs: Sequence[Job], workflow: Workflow = CI) -> PlannedRun:
        """Plan a run of several jobs a few seconds after now."""
        return self.repo.run(commit, workflow, jobs, at=self.fake.now + 5)


def check_truth(exporter: SimulatedExporter, repo: str = REPO) -> None:
    """Assert that every job is as expected."""
    assert job_differences(exporter.jobs(), expected_jobs(exporter, repo)) == {}


def asked(exporter: SimulatedExporter, part: str, since: int = 0) -> list[LogEntry]:
    """Return the requests from the `since`th on whose path holds `part`."""
    return [entry for entry in exporter.server.log[since:] if part in entry.path]


@contextmanager
def reading(fake: FakeGitHub, section: str, prefix: str = "") -> Iterator[SimulatedExporter]:
    """Serve a fake GitHub and read it with the keys of a configuration section.

    Args:
        fake: the fake GitHub to serve.
        section: what follows the name, the type and the address.
        prefix: path of the API below the host.
    """
    with (
        mock.patch.dict(os.environ, {TOKEN_VARIABLE: TOKEN}),
        serving_github(fake, prefix=prefix) as server,
    ):
        known = f"name: gh, type: github, api_url: '{server.url}'"
        config = parse_config(f"sources: [{{{known}, {section}}}]\n", "t.yml")
        yield SimulatedExporter(fake, server, config)


def order_of(exporter: SimulatedExporter) -> list[str]:
    """Return the titles of the trunk's commits, oldest first."""
    return [commit.title or "" for commit in exporter.trunk.order.commits]


def rewrites(exporter: SimulatedExporter) -> int:
    """Return how many force pushes were counted."""
    counts = exporter.counters.totals().counts
    return int(counts.get(("trunkwatch_trunk_rewrites_total", REPO, "main"), 0))


def counted(done: Iterable[RefreshResult]) -> int:
    """Return what some refreshes cost."""
    return sum(refreshed.counted for refreshed in done)


def sent(done: Iterable[RefreshResult]) -> int:
    """Return how many requests some refreshes sent."""
    return sum(refreshed.sent for refreshed in done)


@contextmanager
def spoilt(
    exporter: SimulatedExporter, path: str, change: Callable[[Any], None], times: int = 1
) -> Iterator[None]:
    """Spoil the next answers whose path matches, in a way of the test's own.

    Args:
        exporter: the exporter whose requests are affected.
        path: matches somewhere in the request's path.
        change: changes the document.
        times: how many answers.
    """

    def spoil(text: str) -> str:
        document = json.loads(text)
        change(document)
        return json.dumps(document)

    exporter.server.fail_next(Kind.NULL_FIELD, path, times)
    with mock.patch.object(exporter.server.faults, "corrupt_document", spoil):
        yield
