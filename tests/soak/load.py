"""The load of the kills: two GitHubs with webhooks, a growing and a rewritten recorded file."""

import json
import os
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from http import HTTPStatus
from pathlib import Path
from random import Random

import requests

from tests.github.fake import FakeGitHub
from tests.github.large_trunk import LargeTrunk
from tests.github.webhooks import Delivery, deliveries
from tests.support.rows import history, named, ndjson

SECRET = "secret-of-the-webhooks"
POLLED, DELIVERED, REWRITTEN = "framework/polled", "framework/delivered", "o/rewritten"
DURATION = 3600.0
PUSH_SPACING = 1200.0
RETRY_SECONDS = 0.05

Job = tuple[str, str, str]
"""Repository, workflow and job name."""


@dataclass
class Webhooks:
    """Deliveries that are sent to both exporters, to the killed one until it accepts them.

    Attributes:
        source: the name of the source.
        targets: the base URLs: of the exporter that is never killed, then of the other.
        accepted: the time of the newest verdict of each job whose delivery was accepted.
        count: accepted deliveries.
        retried: deliveries that no process answered.
    """

    source: str
    targets: Sequence[str]
    accepted: dict[Job, float] = field(default_factory=dict)
    count: int = 0
    retried: int = 0

    def send(self, each: Delivery) -> None:
        """Send one delivery to each exporter until it is accepted, as `targets` are ordered."""
        for target in self.targets:
            while not self._is_accepted(target, each):
                self.retried += 1
                time.sleep(RETRY_SECONDS)
        self.count += 1
        job = each.document.get("workflow_job")
        if job is not None and job["conclusion"] in ("success", "failure"):
            name = each.document["repository"]["full_name"], job["workflow_name"], job["name"]
            ended = datetime.fromisoformat(job["completed_at"]).timestamp()
            self.accepted[name] = ended

    def _is_accepted(self, target: str, each: Delivery) -> bool:
        try:
            answer = requests.post(
                f"{target}/webhook/{self.source}",
                each.body,
                headers=each.headers(SECRET),
                timeout=10,
            )
        except requests.RequestException:
            return False
        return answer.status_code == HTTPStatus.ACCEPTED


def trunk_of(repo: str, seed: int, commits: int, jobs: int) -> LargeTrunk:
    """Return a trunk with a history that has just completed."""
    begin = float(int(time.time())) - commits * DURATION
    made = LargeTrunk(FakeGitHub(begin, limited=False), 3, jobs, seed, repo)
    for number in range(commits):
        made.new_commit(begin + number * DURATION, DURATION - 600, quiet=True)
    made.fake.now = begin + commits * DURATION
    return made


def push(made: LargeTrunk, commits: int) -> list[Delivery]:
    """Push commits at once; return the deliveries of their runs and results, commit by commit.

    A job's newest verdict is then that of the last delivery about it.
    """
    begun = made.fake.now
    for number in range(commits):
        made.new_commit(begun + 1 + number * PUSH_SPACING, PUSH_SPACING - 60, quiet=True)
    made.fake.now = begun + 1 + commits * PUSH_SPACING
    found = deliveries(made.fake, begun, made.fake.now)
    return [
        each
        for each in found
        if each.event == "workflow_run"
        or (each.event == "workflow_job" and each.document["action"] == "completed")
    ]


class RecordedFiles:
    """The order of the delivered trunk, a file that grows by parts of lines, and a rewritten one.

    Attributes:
        growing: the file that only grows.
        rewritten: the file with a broken job, truncated, rewritten and replaced.
        repos: the repositories in the growing file, in the order in which they broke.
    """

    def __init__(self, folder: Path, random: Random, delivered: LargeTrunk) -> None:
        order, _ = delivered.fake.expected_facts(delivered.repo)
        (folder / "order.ndjson").write_text(ndjson([order]))
        self.growing, self.rewritten = folder / "growing.ndjson", folder / "rewritten.ndjson"
        self._random = random
        self.repos: list[str] = []
        lines = ndjson(history("P P P F F F", named("always")))
        self._text = lines.replace('"o/r"', f'"{REWRITTEN}"')
        self.rewritten.write_text(self._text)
        self.growing.touch()

    def grow(self) -> str:
        """Append a trunk with a broken job in random pieces; return its repository."""
        repo = f"o/t{len(self.repos)}"
        self._append(ndjson(history("P F F F")).replace('"o/r"', f'"{repo}"'))
        self.repos.append(repo)
        return repo

    def mend(self, repo: str) -> None:
        """Append the commit on which the job of a trunk passes."""
        text = ndjson(history("P F F F P")).replace('"o/r"', f'"{repo}"')
        known = set(self.growing.read_text().splitlines())
        shas = {json.loads(line)["sha"] for line in known if f'"{repo}"' in line}
        new = [line for line in text.splitlines() if json.loads(line)["sha"] not in shas]
        self._append("".join(f"{line}\n" for line in new))

    def _append(self, text: str) -> None:
        data = text.encode()
        while data:
            size = self._random.randrange(1, len(data) + 1)
            with self.growing.open("ab") as file:
                file.write(data[:size])
            data = data[size:]
            time.sleep(self._random.uniform(0.0, 0.08))

    def rewrite(self) -> None:
        """Write the file anew in one of several ways; at the end it is as before."""
        how = self._random.choice(("begin anew", "line by line", "truncate", "rename"))
        data = self._text.encode()
        if how == "rename":
            new = self.rewritten.with_suffix(".new")
            new.write_bytes(data)
            new.replace(self.rewritten)
            return
        if how == "truncate":
            os.truncate(self.rewritten, self._random.randrange(len(data)))
            time.sleep(self._random.uniform(0.0, 0.2))
        pieces = data.splitlines(keepends=True) if how == "line by line" else [data]
        with self.rewritten.open("wb") as file:
            for piece in pieces:
                file.write(piece)
                file.flush()
                time.sleep(self._random.uniform(0.0, 0.04))
