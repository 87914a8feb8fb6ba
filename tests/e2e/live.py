"""The accelerated stack and the trunks of the live tests.

A second stands for a minute: every duration of the rules and of Alertmanager is a sixtieth of that
in `rules/` and `deploy/`, so that ten minutes pass in ten seconds.
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

from tests.e2e.vmalert import on_vmalert
from tests.support.engines import OLDEST, VMALERT, finder
from tests.support.rows import ATTEMPTS, ndjson, run, sha
from tests.support.waiting import always, eventually

SECONDS_PER_MINUTE = 1.0
SPEEDUP = 60.0 / SECONDS_PER_MINUTE

NOT_GREEN_MINUTES = 25
"""Replaces the rule's day: longer than data takes to become stale (15 + 5 minutes)."""

PACE = Pace(
    scrape="500ms",
    group_wait="500ms",
    group_interval="1s",
    # A sixtieth of docker-compose.yml's.
    resend="8s",
    lookback="5s",
)

QUIET_SECONDS = 3.0
"""Several scrapes, evaluations and group intervals: all due notifications have been sent."""


def accelerated(rules: str) -> str:
    """Return the rules with every duration divided by `SPEEDUP`."""
    text = rules.replace("for: 24h", f"for: {NOT_GREEN_MINUTES}m")
    text = re.sub(r"\b900\b", f"{900 / SPEEDUP:g}", text)
    return re.sub(r"(?<=\[|\s)(?:\d+[smhd])+(?=[\]\s)])", _accelerated, text)


def _accelerated(found: re.Match[str]) -> str:
    return f"{parse_duration(found.group()) / SPEEDUP * 1000:.0f}ms"


class AcceleratedStack(Stack):
    """The stack on accelerated rules."""

    def prometheus_settings(self, exporter_ports: Sequence[int]) -> dict[str, Any]:
        """Return the settings and write the rule files that they name."""
        settings = super().prometheus_settings(exporter_ports)
        for file in (PROJECT / "rules").glob("*.rules.yml"):
            (self.folder / file.name).write_text(accelerated(file.read_text()))
        settings["rule_files"] = [str(self.folder / "*.rules.yml")]
        return settings


class Notification(NamedTuple):
    """The jobs of one notification.

    Attributes:
        firing: the broken jobs.
        resolved: the jobs that are no longer broken.
    """

    firing: frozenset[str]
    resolved: frozenset[str]


def notification(firing: str, resolved: str = "") -> Notification:
    """Return a notification of jobs, given as names separated by spaces."""
    return Notification(frozenset(firing.split()), frozenset(resolved.split()))


class LiveTrunk:
    """A branch of a repository whose results are written to a recorded file."""

    def __init__(self, file: Path, repo: str, branch: str = "main") -> None:
        self.file = file
        self.name = Trunk(repo, branch)
        self._begun = float(int(time.time()) - 3600)
        self._count = 0

    @property
    def tip(self) -> float:
        """The date of the newest commit (seconds since the epoch); no two commits share one."""
        return self._begun + self._count - 1

    @property
    def selector(self) -> str:
        """The label matchers of the branch."""
        return f'repo="{self.name.repo}",branch="{self.name.branch}"'

    def land(self, runner: str = "linux.g5", **letters: str) -> None:
        """Push commits; each job has one letter per commit (see tests/support/rows.py)."""
        columns = {job: text.split() for job, text in letters.items()}
        facts: list[Fact] = []
        for number in range(max(map(len, columns.values()))):
            facts.append(TrunkOrder(self.name, (self._commit(self._count),), older_unread=False))
            for job, column in columns.items():
                facts += self._rows(self._count, job, column[number], runner)
            self._count += 1
        self._append(facts)

    def finish(self, job: str, letter: str, runner: str = "linux.g5") -> None:
        """Write a job's result at the tip."""
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


class LiveStack:
    """A running stack and all notifications that were delivered."""

    def __init__(self, stack: Stack, folder: Path, deliveries: list[Delivery]) -> None:
        self.stack = stack
        self.folder = folder
        self._deliveries = deliveries

    def trunk(self, repo: str, branch: str = "main", source: str = "trunks") -> LiveTrunk:
        return LiveTrunk(self.folder / f"{source}.ndjson", repo, branch)

    def deliveries(self, trunk: LiveTrunk, alert: str = "TrunkJobBroken") -> list[Delivery]:
        """Return the deliveries about a trunk, oldest first."""
        labels = {"alertname": alert, "repo": trunk.name.repo, "branch": trunk.name.branch}
        return [
            each
            for each in list(self._deliveries)
            if labels.items() <= each.body["groupLabels"].items()
        ]

    def notifications(self, trunk: LiveTrunk, alert: str = "TrunkJobBroken") -> list[Notification]:
        """Return the notifications about a trunk, oldest first, each with the ends that are new.

        Prometheus resends an end for 15 minutes, and a notification that is sent within a group
        interval after that lists it once more.
        """
        found: list[Notification] = []
        ended: frozenset[str] = frozenset()
        for each in map(notification_of, self.deliveries(trunk, alert)):
            found.append(each._replace(resolved=each.resolved - ended))
            ended = (ended | each.resolved) - each.firing
        return found

    def deliveries_of_alert(self, alert: str) -> list[Delivery]:
        """Return the deliveries of an alert that concerns no trunk."""
        return [
            each
            for each in list(self._deliveries)
            if each.body["groupLabels"].get("alertname") == alert
        ]

    def alert_names(self) -> set[str]:
        """Return the names of all alerts that were delivered."""
        return {
            str(alert["labels"]["alertname"]) for d in list(self._deliveries) for alert in d.alerts
        }

    def alerts(self, trunk: LiveTrunk, alert: str = "TrunkJobBroken") -> dict[str, dict[str, Any]]:
        """Return Alertmanager's active alerts of a trunk, by job."""
        wanted = {"alertname": alert, "repo": trunk.name.repo, "branch": trunk.name.branch}
        held = [a for a in self.stack.alerts() if wanted.items() <= a["labels"].items()]
        return {short_name(alert["labels"]): alert for alert in held}

    def metric(self, expression: str) -> float | None:
        """Return the value of an instant query with one sample; None if it has none."""
        samples = self.stack.query(expression)
        return float(samples[0]["value"][1]) if samples else None

    def firing_counts(self, trunk: LiveTrunk) -> dict[str, int]:
        """Return how often each job's alert started to fire, according to Prometheus."""
        series = f'ALERTS_FOR_STATE{{alertname="TrunkJobBroken",{trunk.selector}}}[1h]'
        return {
            short_name(found["metric"]): len({value for _, value in found["values"]})
            for found in self.stack.query(series)
        }

    # ------------------------------------------------------------------ waiting

    def wait_until_read(self, source: str = "trunks") -> None:
        """Wait until all written results have been read, scraped and evaluated by every rule.

        It waits for two refreshes: the second one started after the file was written.
        """
        last = f'min(trunkwatch_source_last_success_timestamp_seconds{{source="{source}"}})'
        after = time.time()
        for _ in range(2):
            newer = f"{last} > {after!r}"
            eventually(partial(self.metric, newer), "the source is read again")
            after = self.metric(last) or after
        self.wait_until_evaluated()

    def wait_until_scraped(self, trunk: LiveTrunk) -> None:
        """Wait until the tip of a trunk has been scraped and the rules were evaluated."""
        head = f"min(ci_branch_head_timestamp_seconds{{{trunk.selector}}})"
        eventually(lambda: self.metric(head) == trunk.tip, "the tip is scraped")
        self.wait_until_evaluated()

    def wait_until_evaluated(self) -> None:
        """Wait until the rule of every alert has been evaluated again."""
        now = time.time()
        eventually(lambda: min(evaluation_times(self.stack)) > now, "all rules are evaluated")

    def expect_no_more(
        self, trunk: LiveTrunk, expected: Sequence[Notification], seconds: float = QUIET_SECONDS
    ) -> None:
        """Fail if another notification about a trunk's jobs arrives within some seconds."""
        always(lambda: self._check(trunk, expected), "nothing more is sent", seconds)

    def expect(self, trunk: LiveTrunk, expected: Sequence[Notification]) -> None:
        """Wait for as many notifications about a trunk's jobs, and compare them."""
        eventually(
            lambda: len(self.notifications(trunk)) >= len(expected), f"{expected[-1]} is sent"
        )
        self._check(trunk, expected)

    def _check(self, trunk: LiveTrunk, expected: Sequence[Notification]) -> bool:
        observed = self.notifications(trunk)
        assert observed == list(expected), f"{observed} was sent, not {list(expected)}"
        return True


def notification_of(delivery: Delivery) -> Notification:
    """Return the jobs of a notification."""
    by_status: dict[str, set[str]] = {"firing": set(), "resolved": set()}
    for alert in delivery.alerts:
        by_status[alert["status"]].add(short_name(alert["labels"]))
    return Notification(frozenset(by_status["firing"]), frozenset(by_status["resolved"]))


def short_name(labels: Any) -> str:
    """Return the text in a job's parentheses, or the alert's name if there is no job."""
    name = str(labels.get("job_name") or labels["alertname"])
    return name[name.find("(") + 1 :].rstrip(")")


def evaluation_times(stack: Stack) -> list[float]:
    """Return the time of the data of each alert's last evaluation."""
    url = f"http://{HOST}:{stack.ports.prometheus}/api/v1/rules"
    answer = requests.get(url, params={"type": "alert"}, timeout=10).json()
    return [
        datetime.fromisoformat(rule["lastEvaluation"]).timestamp()
        - getattr(stack, "evaluation_delay", 0.0)
        for group in answer["data"]["groups"]
        for rule in group["rules"]
    ]


@contextmanager
def running(
    folder: Path, config: str, stack: type[Stack], pace: Pace, engines: str = OLDEST
) -> Iterator[LiveStack]:
    """Run the stack on a configuration, whose files must exist, with a pair or vmalert."""
    deliveries: list[Delivery] = []
    lock = threading.Lock()

    def delivered(delivery: Delivery) -> None:
        with lock:
            deliveries.append(delivery)

    (folder / "trunkwatch.yml").write_text(config)
    receiver = Receiver(delivered)
    receiver.start()
    try:
        options: dict[str, Any] = {"pace": pace, "find": finder(engines)}
        kind = on_vmalert(stack) if engines == VMALERT else stack
        with kind(folder, folder / "trunkwatch.yml", receiver.port, **options) as started:
            yield LiveStack(started, folder, deliveries)
    finally:
        receiver.stop()
