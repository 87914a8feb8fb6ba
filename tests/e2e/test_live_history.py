"""A long history through the live stack sends exactly the notifications of the policy.

Twice: with short faults, when each notification is compared; and with each part away for up to
35 minutes, when the reported outages are compared.
"""

import json
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from itertools import pairwise, product
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import requests
from trunkwatch.demo.stack import HOST, Pace, Stack

from tests.e2e.faults import (
    Fault,
    alertmanager_stopped,
    exporter_moved,
    exporter_stopped,
    prometheus_stopped,
    source_fails,
    two_exporters,
)
from tests.e2e.history import COMMITS, CONFIG, JOBS, first_results, job_histories, late_results
from tests.e2e.live import (
    SECONDS_PER_MINUTE,
    AcceleratedStack,
    LiveStack,
    LiveTrunk,
    notification_of,
    running,
    short_name,
)
from tests.e2e.vmalert import VISIBLE_SECONDS
from tests.support.engines import LTS, NEWEST, OLDEST, VMALERT
from tests.support.facts import facts_of
from tests.support.rows import sha
from tests.support.waiting import eventually

PACE = Pace(
    # Evaluations are most of the cost; more often, they would also be torn more often, see below.
    scrape="200ms",
    group_wait="100ms",
    group_interval="200ms",
    # Longer than the test. Prometheus resends a resolved alert for 15 minutes, and Alertmanager
    # would list it again in later notifications of its group. Real commits are further apart;
    # here hundreds come within that time.
    resend="1h",
)
SHORT_PACE = replace(PACE, group_wait="400ms", resend="8s", lookback="5s")
"""The same, 60 times as fast: resent as in docker-compose.yml, and grouped over two scrapes."""

VMALERT_PACE = replace(
    SHORT_PACE,
    group_wait=f"{2 * VISIBLE_SECONDS:g}s",
    group_interval=f"{2 * VISIBLE_SECONDS:g}s",
    lookback="10s",
)
"""The same, grouped over two evaluations of vmalert, which are further apart."""

REPO = "o/history"


@contextmanager
def prometheus_restarts(live: LiveStack) -> Iterator[None]:
    """Restart Prometheus, and wait until it has found Alertmanager: alerts before that are lost."""
    with prometheus_stopped(live):
        yield
    url = f"http://{HOST}:{live.stack.ports.prometheus}/api/v1/alertmanagers"
    eventually(lambda: requests.get(url, timeout=5).json()["data"]["activeAlertmanagers"], "found")


FAULTS: Mapping[int, Fault] = {
    35: source_fails,
    60: exporter_stopped,
    90: prometheus_restarts,
    125: exporter_moved,
    150: two_exporters,
}
"""Each fault by the number of the commit that is pushed after it."""


AWAY = tuple(product((1, 5, 35), (exporter_stopped, prometheus_stopped, alertmanager_stopped)))
"""How many minutes a part is away, and which."""

HELD_SECONDS = 25 * SECONDS_PER_MINUTE
"""The rules hold an alert for 30 minutes."""


class Change(NamedTuple):
    """One notification.

    Attributes:
        place: number of the commit after which it was sent.
        group: its group.
        firing: all jobs of the group that are broken, sorted.
        resolved: jobs that are no longer broken, sorted.
    """

    place: int
    group: str
    firing: tuple[str, ...]
    resolved: tuple[str, ...]


class BackTest(NamedTuple):
    """The output of `trunkwatch backtest` for the whole history."""

    outages: list[dict[str, Any]]
    changes: list[Change]

    def broken_after(self, place: int) -> set[str]:
        """Return the jobs that alert after a commit."""
        groups = {each.group: each.firing for each in self.changes if each.place <= place}
        return {job for firing in groups.values() for job in firing}


def back_test(folder: Path, letters: Mapping[str, str]) -> BackTest:
    """Replay the whole history by the command, with no stack at all."""
    trunk = LiveTrunk(folder / "whole.ndjson", REPO)
    trunk.land(**{job: " ".join(text.upper()) for job, text in letters.items()})
    (folder / "whole.yml").write_text(CONFIG.format(file="whole.ndjson"))
    command = [sys.executable, "-m", "trunkwatch", "backtest", "--format", "json", "--config.file"]
    done = subprocess.run(
        [*command, str(folder / "whole.yml")], check=True, capture_output=True, cwd=folder
    )
    (only,) = json.loads(done.stdout)["replays"][0]["trunks"]
    return BackTest(only["outages"], list(_changes(only["notifications"])))


def _changes(notifications: list[dict[str, Any]]) -> Iterator[Change]:
    places = {sha(place): place for place in range(COMMITS)}
    broken: dict[str, set[str]] = {}
    for each in notifications:
        new, resolved = (
            {short_name({"job_name": n}) for n in each[key]} for key in ("broken", "ended")
        )
        now = broken[each["group"]] = (broken.get(each["group"], set()) | new) - resolved
        yield Change(places[each["commit"]], each["group"], _names(now), _names(resolved))


def _names(jobs: Any) -> tuple[str, ...]:
    return tuple(sorted(jobs))


class HistoryRun:
    """A run of the history commit by commit that records the notifications after each."""

    def __init__(self, live: LiveStack, letters: Mapping[str, str], backtest: BackTest) -> None:
        self.observed: list[Change] = []
        self._live = live
        self._trunk = live.trunk(REPO)
        self._letters = letters
        self._backtest = backtest

    def run(self) -> None:
        for place in range(COMMITS):
            if place in FAULTS:
                with FAULTS[place](self._live):
                    pass
            self._land(place)
            self._wait_for_notifications(place)
        self._live.expect_no_more(self._trunk, self._live.notifications(self._trunk))
        self._record(COMMITS)

    def run_with_restarts(self, restarts: Mapping[int, tuple[int, Fault]]) -> set[str]:
        """Run it; a part is away for some minutes while the results of some commits come.

        Returns:
            The jobs that were broken while a part was away for longer than the hold.
        """
        unheld: set[str] = set()
        for place in range(COMMITS):
            began = time.monotonic()
            if place in restarts:
                minutes, fault = restarts[place]
                with fault(self._live):
                    self._write(place)
                    # Notifications of that time are compared with the rest.
                    time.sleep(minutes * SECONDS_PER_MINUTE)
            else:
                self._write(place)
            self._live.wait_until_read()
            # On a busy machine a restart takes long.
            if time.monotonic() - began > HELD_SECONDS:
                unheld |= self._backtest.broken_after(place - 1)
            broken = self._backtest.broken_after(place)
            eventually(
                partial(self._is_notified, broken), f"{broken} are notified at commit {place}"
            )
        return unheld

    def _write(self, place: int) -> None:
        self._trunk.land(f"linux.g{place // 7}", **first_results(self._letters, place))
        for job, letter in late_results(self._letters, place).items():
            self._trunk.finish(job, letter, f"linux.g{place // 7}")

    def _is_notified(self, broken: set[str]) -> bool:
        """Return whether the last notifications of all groups list these jobs as broken."""
        last = {
            str(each.body["groupLabels"]["group"]): each
            for each in self._live.deliveries(self._trunk)
        }
        alerts = [alert for each in last.values() for alert in each.alerts]
        return {each.job for each in map(observed, alerts) if each.ended == "open"} == broken

    def _land(self, place: int) -> None:
        self._trunk.land(f"linux.g{place // 7}", **first_results(self._letters, place))
        self._live.wait_until_scraped(self._trunk)
        results = late_results(self._letters, place)
        if results:
            for job, letter in results.items():
                self._trunk.finish(job, letter, f"linux.g{place // 7}")
            self._live.wait_until_read()

    def _wait_for_notifications(self, place: int) -> None:
        """Wait for as many notifications as the back-test has up to a commit."""
        due = sum(change.place <= place for change in self._backtest.changes)
        eventually(
            lambda: len(self._live.notifications(self._trunk)) >= due,
            f"{due} notifications at commit {place}",
            20,
        )
        self._record(place)

    def _record(self, place: int) -> None:
        for each in self._live.deliveries(self._trunk)[len(self.observed) :]:
            group, notification = str(each.body["groupLabels"]["group"]), notification_of(each)
            self.observed.append(
                Change(place, group, _names(notification.firing), _names(notification.resolved))
            )


@pytest.mark.large
@pytest.mark.xdist_group("live-history")
def test_a_long_history_sends_each_change_once(tmp_path: Path) -> None:
    """200 commits with breakages, flakes, faults and fixes send the notifications of `backtest`."""
    letters = job_histories()
    backtest = back_test(tmp_path, letters)
    (tmp_path / "trunks.ndjson").touch()
    with running(tmp_path, CONFIG.format(file="trunks.ndjson"), Stack, PACE) as live:
        history_run = HistoryRun(live, letters, backtest)
        history_run.run()
        print("\n".join(lines_of(history_run.observed)))
        assert sorted(history_run.observed) == sorted(backtest.changes)
        check_outages(live, backtest)


@pytest.mark.xdist_group("live-history-restarts")
@pytest.mark.parametrize(
    "engines",
    [
        pytest.param(OLDEST, marks=pytest.mark.large),
        *(
            pytest.param(pair, marks=(pytest.mark.large, pytest.mark.engines))
            for pair in (NEWEST, LTS, VMALERT)
        ),
    ],
)
def test_a_long_history_with_restarts_tells_each_outage(tmp_path: Path, engines: str) -> None:
    """With parts away for 1, 5 and 35 minutes, each outage and its end are reported."""
    letters = job_histories()
    backtest = back_test(tmp_path, letters)
    (tmp_path / "trunks.ndjson").touch()
    config = CONFIG.format(file="trunks.ndjson")
    pace = VMALERT_PACE if engines == VMALERT else SHORT_PACE
    with running(tmp_path, config, AcceleratedStack, pace, engines) as live:
        ends = sorted({change.place for change in backtest.changes if change.resolved})
        restarts = {ends[n * len(ends) // len(AWAY)]: away for n, away in enumerate(AWAY)}
        assert len(restarts) == len(AWAY)
        unheld = HistoryRun(live, letters, backtest).run_with_restarts(restarts)
        assert len(unheld) < len(JOBS)
        unlisted = {sha(place) for place, (_, f) in restarts.items() if f is alertmanager_stopped}
        check_outages(live, backtest, unheld, unlisted)


class Told(NamedTuple):
    """An outage as alerts name it.

    Attributes:
        job: its name.
        first_bad: full hash.
        ended: how it ended; `open` while it alerts.
        by: the commit that ended it; None if none did.
    """

    job: str
    first_bad: str
    ended: str
    by: str | None = None


ENDED = {"passed": "fixed", "flaked": "flaky"}
"""The words of `backtest`, and those of an alert."""


def check_outages(
    live: LiveStack,
    backtest: BackTest,
    unheld: Collection[str] = (),
    unlisted: Collection[str] = (),
) -> None:
    """Compare Prometheus' evaluations and the delivered alerts with the back-test.

    Args:
        live: the stack.
        backtest: the outages of the policy.
        unheld: jobs of which an end may be unconfirmed: a part was away for longer than the hold.
        unlisted: commits while Alertmanager was away. Afterwards it ends a group with those of its
            alerts that were sent again first, and lists no others that ended meanwhile.
    """
    trunk = live.trunk(REPO)
    assert live.metric("max(max_over_time(ci_branch_mass_breakage[1h]))") == 0
    told = [each for each in backtest.outages if each["notifications"]]
    assert alert_starts(live) == Counter(short_name(outage) for outage in told)
    expected = {told_of(outage) for outage in told}
    expected |= {each._replace(ended="open", by=None) for each in expected}
    said = {observed(alert) for each in live.deliveries(trunk) for alert in each.alerts}
    unconfirmed = {each for each in said if each.ended == "unconfirmed"}
    assert {each.job for each in unconfirmed} <= set(unheld)
    assert said - unconfirmed <= expected
    assert {each.by for each in expected - said} <= set(unlisted)


def told_of(outage: dict[str, Any]) -> Told:
    """Return an outage of the back-test."""
    ended = outage["ending"]
    closed = outage["closed_commit"] if ended in ENDED else None
    return Told(short_name(outage), outage["first_bad"], ENDED.get(ended, ended), closed)


def observed(alert: Mapping[str, Any]) -> Told:
    """Return a delivered alert."""
    facts = facts_of(alert)
    ended = facts.get("Ended", "open" if alert["status"] == "firing" else "unconfirmed")
    return Told(short_name(alert["labels"]), facts["First bad"], ended, facts.get("Fixed by"))


def alert_starts(live: LiveStack) -> Counter[str]:
    """Return how often each job's alert started, according to the exporter's series."""
    began: Counter[str] = Counter()
    for series in live.stack.query("job:ci_job_alerting:max[1h]"):
        # VictoriaMetrics returns the markers of a series' end as well.
        values = ["0", *(value for _, value in series["values"] if value != "NaN")]
        began[short_name(series["metric"])] += sum(
            old == "0" != new for old, new in pairwise(values)
        )
    return +began


def lines_of(changes: list[Change]) -> Iterator[str]:
    """Yield one line per notification."""
    yield f"{len(changes)} notifications of {COMMITS} commits and {len(JOBS)} jobs"
    for change in changes:
        now = ", ".join(change.firing) or "none"
        resolved = f"; no longer: {', '.join(change.resolved)}" if change.resolved else ""
        yield f"  after commit {change.place:3}  {change.group:9} broken: {now}{resolved}"
