"""What the live tests share: the whole stack at a quick pace, and trunks that results land on.

A second stands for a minute: every duration of the rules and of the pace is a sixtieth of what
`rules/` and `deploy/` say, so that what takes ten minutes is seen in ten seconds.
"""

import re
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import requests
from trunkwatch.config.fields import parse_duration
from trunkwatch.demo.binaries import PROJECT
from trunkwatch.demo.receiver import Delivery, Receiver
from trunkwatch.demo.stack import HOST, Pace, Stack
from trunkwatch.domain.model import Commit, Observation, RawJob, Trunk, TrunkOrder
from trunkwatch.engine.facts import Fact

from tests.support.rows import ATTEMPTS, ndjson, run, sha
from tests.support.waiting import always, eventually

SECONDS_PER_MINUTE = 1.0
QUICKER = 60.0 / SECONDS_PER_MINUTE

NOT_GREEN_MINUTES = 25
"""In place of a day: longer than it takes data to be called stale (15 + 5 minutes)."""

PACE = Pace(
    scrape="500ms",
    group_wait="500ms",
    group_interval="1s",
    # Not a sixtieth of a minute: Alertmanager forgets an alert that it has not heard of for four
    # times as long, and on a busy machine Prometheus takes seconds to come back.
    resend="10s",
    lookback="5s",
)

QUIET_SECONDS = 3.0
"""Several scrapes, evaluations and group intervals of this pace: what is to be told is told."""


def quicker(rules: str) -> str:
    """Return the rules with every duration divided by `QUICKER`."""
    text = rules.replace("for: 24h", f"for: {NOT_GREEN_MINUTES}m")
    text = re.sub(r"\b900\b", f"{900 / QUICKER:g}", text)
    return re.sub(r"(?<=\[|\s)(?:\d+[smhd])+(?=[\]\s)])", _quicker, text)


def _quicker(found: re.Match[str]) -> str:
    return f"{parse_duration(found.group()) / QUICKER * 1000:.0f}ms"


class QuickStack(Stack):
    """The stack on quicker rules."""

    def prometheus_settings(self, exporter_ports: Sequence[int]) -> dict[str, Any]:
        """Return the settings, and write the rules that they name."""
        settings = super().prometheus_settings(exporter_ports)
        for file in (PROJECT / "rules").glob("*.rules.yml"):
            (self.folder / file.name).write_text(quicker(file.read_text()))
        settings["rule_files"] = [str(self.folder / "*.rules.yml")]
        return settings


class Told(NamedTuple):
    """One notification, by the jobs that it named.

    Attributes:
        firing: broken.
        ended: no longer so.
    """

    firing: frozenset[str]
    ended: frozenset[str]


def told(firing: str, ended: str = "") -> Told:
    """Return a notification of jobs whose names are one word each."""
    return Told(frozenset(firing.split()), frozenset(ended.split()))


class LiveTrunk:
    """A branch of a repository, and the recorded file that its results are written to."""

    def __init__(self, file: Path, repo: str, branch: str = "main") -> None:
        self.file = file
        self.name = Trunk(repo, branch)
        self._begun = float(int(time.time()) - 3600)
        self._count = 0

    @property
    def tip(self) -> float:
        """When the newest commit was made (seconds since the epoch); no two are made at once."""
        return self._begun + self._count - 1

    @property
    def selector(self) -> str:
        """The labels that select it."""
        return f'repo="{self.name.repo}",branch="{self.name.branch}"'

    def land(self, runner: str = "linux.g5", **letters: str) -> None:
        """Land commits at once: of each job, a letter for each of them (tests/support/rows.py)."""
        columns = {job: text.split() for job, text in letters.items()}
        facts: list[Fact] = []
        for number in range(max(map(len, columns.values()))):
            facts.append(TrunkOrder(self.name, (self._commit(self._count),), older_unread=False))
            for job, column in columns.items():
                facts += self._rows(self._count, job, column[number], runner)
            self._count += 1
        self._append(facts)

    def finish(self, job: str, letter: str, runner: str = "linux.g5") -> None:
        """Give a job its result on the tip."""
        self._append(list(self._rows(self._count - 1, job, letter, runner)))

    def _commit(self, place: int) -> Commit:
        return Commit(sha(place), self._begun + place, f"author-{place}", f"change {place}")

    def _rows(self, place: int, job: str, letter: str, runner: str) -> Iterator[Observation]:
        at = self._begun + place
        for attempt, word in enumerate(ATTEMPTS[letter], 1):
            running = word == "in_progress"
            yield run(
                place,
                None if running else word,
                status="in_progress" if running else "completed",
                attempt=attempt,
                trunk=self.name,
                head_branch=self.name.branch,
                head_repo=self.name.repo,
                job=RawJob("inductor", None, f"linux / test ({job}, 1, 1, {runner})"),
                created_at=at,
                started_at=at + attempt,
                completed_at=None if running else at + attempt + 0.5,
            )

    def _append(self, facts: Sequence[Fact]) -> None:
        with self.file.open("a", encoding="utf-8") as file:
            file.write(ndjson(facts))


class World:
    """A running stack and everything that was delivered."""

    def __init__(self, stack: Stack, folder: Path, deliveries: list[Delivery]) -> None:
        self.stack = stack
        self.folder = folder
        self._deliveries = deliveries

    def trunk(self, repo: str, branch: str = "main", source: str = "trunks") -> LiveTrunk:
        return LiveTrunk(self.folder / f"{source}.ndjson", repo, branch)

    def deliveries(self, trunk: LiveTrunk, alert: str = "TrunkJobBroken") -> list[Delivery]:
        """What was delivered of a trunk, oldest first."""
        labels = {"alertname": alert, "repo": trunk.name.repo, "branch": trunk.name.branch}
        return [
            each
            for each in list(self._deliveries)
            if labels.items() <= each.body["groupLabels"].items()
        ]

    def told(self, trunk: LiveTrunk, alert: str = "TrunkJobBroken") -> list[Told]:
        """What was said of a trunk, oldest first."""
        return [told_by(each) for each in self.deliveries(trunk, alert)]

    def names_of(self, alert: str) -> list[Delivery]:
        """What was said of an alert of the watcher's own."""
        return [
            each
            for each in list(self._deliveries)
            if each.body["groupLabels"].get("alertname") == alert
        ]

    def alerts(self, trunk: LiveTrunk, alert: str = "TrunkJobBroken") -> dict[str, dict[str, Any]]:
        """What Alertmanager holds of a trunk, by job."""
        wanted = {"alertname": alert, "repo": trunk.name.repo, "branch": trunk.name.branch}
        held = [a for a in self.stack.alerts() if wanted.items() <= a["labels"].items()]
        return {short(alert["labels"]): alert for alert in held}

    def metric(self, expression: str) -> float | None:
        """The value of an instant query that answers with one sample, or None."""
        samples = self.stack.query(expression)
        return float(samples[0]["value"][1]) if samples else None

    def firings(self, trunk: LiveTrunk) -> dict[str, int]:
        """How often the alert of each job began to fire, as Prometheus counts it."""
        series = f'ALERTS_FOR_STATE{{alertname="TrunkJobBroken",{trunk.selector}}}[1h]'
        return {
            short(found["metric"]): len({value for _, value in found["values"]})
            for found in self.stack.query(series)
        }

    # ------------------------------------------------------------------ waiting

    def settle(self, source: str = "trunks") -> None:
        """Wait until what is written has been read, scraped and judged by every rule.

        The second refresh that is seen to end began after the first one had ended.
        """
        last = f'min(trunkwatch_source_last_success_timestamp_seconds{{source="{source}"}})'
        after = time.time()
        for _ in range(2):
            newer = f"{last} > {after!r}"
            eventually(partial(self.metric, newer), "the source is read again")
            after = self.metric(last) or after
        self.judged()

    def reached(self, trunk: LiveTrunk) -> None:
        """Wait until the tip of a trunk has been scraped and judged."""
        head = f"min(ci_branch_head_timestamp_seconds{{{trunk.selector}}})"
        eventually(lambda: self.metric(head) == trunk.tip, "the tip is scraped")
        self.judged()

    def judged(self) -> None:
        """Wait until every alert's rule has been evaluated from now on."""
        now = time.time()
        eventually(lambda: min(evaluations(self.stack)) > now, "all rules are evaluated")

    def stays(
        self, trunk: LiveTrunk, so_far: Sequence[Told], seconds: float = QUIET_SECONDS
    ) -> None:
        """Fail if anything more is told of a trunk's jobs within some seconds."""
        always(lambda: self.told(trunk) == list(so_far), "nothing more is told", seconds)
        self._check(trunk, so_far)

    def hears(self, trunk: LiveTrunk, so_far: Sequence[Told]) -> None:
        """Wait until as much has been told of a trunk's jobs, and compare it."""
        eventually(lambda: len(self.told(trunk)) >= len(so_far), f"{so_far[-1]} is told")
        self._check(trunk, so_far)

    def _check(self, trunk: LiveTrunk, so_far: Sequence[Told]) -> None:
        heard = self.told(trunk)
        assert heard == list(so_far), f"{heard} was told, not {list(so_far)}"


def told_by(delivery: Delivery) -> Told:
    """Return the jobs of a notification."""
    by_status: dict[str, set[str]] = {"firing": set(), "resolved": set()}
    for alert in delivery.alerts:
        by_status[alert["status"]].add(short(alert["labels"]))
    return Told(frozenset(by_status["firing"]), frozenset(by_status["resolved"]))


def short(labels: Any) -> str:
    """Return what stands in a job's parentheses, or the alert's name where there is no job."""
    name = str(labels.get("job_name") or labels["alertname"])
    return name[name.find("(") + 1 :].rstrip(")")


def evaluations(stack: Stack) -> list[float]:
    """When each alert's rule was evaluated last: when that began, told once it has ended."""
    url = f"http://{HOST}:{stack.ports.prometheus}/api/v1/rules"
    answer = requests.get(url, params={"type": "alert"}, timeout=10).json()
    return [
        datetime.fromisoformat(rule["lastEvaluation"]).timestamp()
        for group in answer["data"]["groups"]
        for rule in group["rules"]
    ]


@contextmanager
def running(folder: Path, config: str, stack: type[Stack], pace: Pace) -> Iterator[World]:
    """Run the stack on a configuration; its files must be there."""
    deliveries: list[Delivery] = []
    lock = threading.Lock()

    def delivered(delivery: Delivery) -> None:
        with lock:
            deliveries.append(delivery)

    (folder / "trunkwatch.yml").write_text(config)
    receiver = Receiver(delivered)
    receiver.start()
    try:
        with stack(folder, folder / "trunkwatch.yml", receiver.port, pace=pace) as started:
            yield World(started, folder, deliveries)
    finally:
        receiver.stop()
