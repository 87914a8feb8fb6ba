"""SIGKILLs of `trunkwatch tickets` while jobs break and are mended, and GitHub has faults.

python -m tests.soak.ticket_kills --kills 100 --seed 1
"""

import argparse
import sys
import tempfile
import threading
import time
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
from random import Random
from typing import Any

import requests
from trunkwatch.domain.model import Trunk

from tests.cli.program import serving
from tests.github.fake import TOKEN, FakeGitHub
from tests.github.faults import Faults, Kind
from tests.github.server import serving_github
from tests.soak.process import Killable
from tests.support.fakehttp import Answer, Request, as_json
from tests.support.fakehttp import serving as http
from tests.support.rows import history, ndjson
from tests.support.waiting import eventually
from tests.tickets.around import CONFIG, LABELS, SECRET
from tests.tickets.builders import delivery

FAULTS = (Kind.SERVER_ERROR, Kind.BAD_GATEWAY, Kind.RESET, Kind.TRUNCATED)
FAULT_RATE = 0.05
KILLS_PER_TRUNK = 8
SETTLE_SECONDS = 300.0
"""An abandoned request may take effect for half a minute; a failed one is repeated after one."""

REPEAT_SECONDS = 5.0


@dataclass
class TicketReport:
    """The counts of a run.

    Attributes:
        kills: SIGKILLs.
        accepted: deliveries of alerts that were answered with 200.
        outages: groups that broke.
        mended: those that were mended.
        faults: injected into GitHub's answers.
        corrupt: kills after which the storage failed its integrity check.
        doubled: issues beyond one for each outage.
        lost: outages without an issue in the right state.
        tracebacks: in the log.
    """

    kills: int = 0
    accepted: int = 0
    outages: int = 0
    mended: int = 0
    faults: int = 0
    corrupt: int = 0
    doubled: int = 0
    lost: int = 0
    tracebacks: int = 0

    @property
    def wrong(self) -> int:
        """The sum of what must be 0."""
        return self.corrupt + self.doubled + self.lost + self.tracebacks


class TicketRun:
    """One process that is killed, with an exporter, a GitHub and an Alertmanager."""

    def __init__(self, folder: Path, seed: int, stack: ExitStack) -> None:
        self.report = TicketReport()
        self._random = Random(seed)
        self._folder = folder
        self._broken: dict[str, bool] = {}
        self._fake = FakeGitHub(time.time(), limited=False)
        self._github = stack.enter_context(serving_github(self._fake))
        self._github.faults = Faults(FAULT_RATE, seed, FAULTS)
        self._github.issues.fail_late = True
        pager = stack.enter_context(http(self._alerts))
        config = CONFIG.replace("{labels: [ci],", "{max_new_per_hour: 1000, labels: [ci],")
        (folder / "trunkwatch.yml").write_text(config % self._github.url)
        (folder / "token").write_text(TOKEN)
        (folder / "secret").write_text(SECRET)
        (folder / "ci.ndjson").touch()
        self._exporter = stack.enter_context(serving(folder))
        self._killed = Killable(
            folder,
            "tickets",
            "--token-file=token",
            "--auth.token-file=secret",
            f"--exporter.url=http://127.0.0.1:{self._exporter.port}",
            f"--alertmanager.url={pager.url}",
        )
        self._killed.start()
        stack.callback(self._killed.kill)

    def run(self, kills: int) -> TicketReport:
        """Kill and restart while alerts arrive; return the counts."""
        killed, random, report = self._killed, self._random, self.report
        while killed.kills < kills:
            self._fake.now = time.time()
            if killed.kills >= KILLS_PER_TRUNK * len(self._broken):
                self._change()
            if random.random() < 0.7:
                killed.wait_until_ready()
                report.accepted += self._deliver()
            time.sleep(random.uniform(0.0, 1.0))
            killed.kill()
            report.corrupt += killed.is_corrupt()
            killed.start()
        report.kills = killed.kills
        self._settle()
        return report

    def _change(self) -> None:
        """Break a job of a further trunk; mend every second one a trunk later."""
        names = list(self._broken)
        if len(names) % 2:
            self._record(names[-1], "P F F F P")
            self._broken[names[-1]] = False
        repo = f"o/t{len(names)}"
        self._fake.repo(repo)
        self._record(repo, "P F F F")
        self._broken[repo] = True
        eventually(lambda: self._shows(repo, 1.0), f"{repo} is broken")

    def _record(self, repo: str, letters: str) -> None:
        facts = history(letters, trunk=Trunk(repo, "main"))
        path = self._folder / "ci.ndjson"
        known = set(path.read_text().splitlines())
        lines = [line for line in ndjson(facts).splitlines() if line not in known]
        if letters.endswith("P"):
            lines = [line for line in lines if f'"{5:040x}"' in line]
        with path.open("a") as file:
            file.write("".join(f"{line}\n" for line in lines))

    def _shows(self, repo: str, broken: float) -> bool:
        found = self._exporter.samples("ci_job_broken")
        return any(f'repo="{repo}"' in labels and at == broken for labels, at in found.items())

    def _alerts(self, request: Request) -> Answer:
        del request
        return as_json([
            {"labels": {**LABELS, "repo": repo}, "annotations": {}, "status": {"state": "active"}}
            for repo, broken in self._broken.items() if broken
        ])  # fmt: skip

    def _deliver(self) -> int:
        """Deliver every alert as Alertmanager repeats it; return how many were accepted."""
        accepted = 0
        for repo, broken in self._broken.items():
            alert: dict[str, Any] = {
                "status": "firing" if broken else "resolved",
                "labels": {**LABELS, "repo": repo},
            }
            answer = requests.post(
                f"{self._killed.url}/alerts",
                json=delivery(alert),
                headers={"Authorization": f"Bearer {SECRET}"},
                timeout=10,
            )
            accepted += answer.ok
        return accepted

    def _settle(self) -> None:
        """Let the process finish, and compare the issues with the outages."""
        report, killed = self.report, self._killed
        killed.wait_until_ready()
        ended = threading.Event()
        deadline = time.monotonic() + SETTLE_SECONDS
        while self._lost() and time.monotonic() < deadline:
            self._fake.now = time.time()
            report.accepted += self._deliver()
            ended.wait(REPEAT_SECONDS)
        report.lost = self._lost()
        report.doubled = sum(
            max(0, len(self._github.issues.all(repo)) - 1) for repo in self._broken
        )
        report.outages = len(self._broken)
        report.mended = sum(not broken for broken in self._broken.values())
        report.faults = len(self._github.faults.happened)
        report.tracebacks = killed.tracebacks()

    def _lost(self) -> int:
        """Return the number of outages without an issue in the right state."""
        states = {
            repo: [issue.state for issue in self._github.issues.all(repo)] for repo in self._broken
        }
        right = {True: "open", False: "closed"}
        return sum(right[broken] not in states[repo] for repo, broken in self._broken.items())


def main() -> int:
    """Kill and print."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    begun = time.monotonic()
    with tempfile.TemporaryDirectory() as name, ExitStack() as stack:
        report = TicketRun(Path(name), options.seed, stack).run(options.kills)
    for name, value in asdict(report).items():
        print(f"{name:15} {value}")
    print(f"{time.monotonic() - begun:.0f} s")
    return 1 if report.wrong else 0


if __name__ == "__main__":
    sys.exit(main())
