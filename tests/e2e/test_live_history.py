"""A long history through the live stack: what is told is what the policy says, and no more."""

import json
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import requests
from trunkwatch.demo.stack import HOST, Pace, Stack

from tests.e2e.faults import (
    Fault,
    exporter_away,
    exporter_moves,
    prometheus_away,
    source_fails,
    two_exporters,
)
from tests.e2e.live import LiveTrunk, World, running, short, told_by
from tests.e2e.story import COMMITS, CONFIG, JOBS, late, lives, on
from tests.support.rows import sha
from tests.support.waiting import eventually

pytestmark = pytest.mark.xdist_group("live-history")

PACE = Pace(
    scrape="100ms",
    group_wait="100ms",
    group_interval="200ms",
    # Longer than the test. Prometheus repeats that an alert has ended for 15 minutes, which is less
    # than what lies between two commits, and Alertmanager says so again if the group has spoken
    # meanwhile. Here those minutes would be hundreds of commits.
    resend="1h",
)
REPO = "o/history"


@contextmanager
def prometheus_restarts(world: World) -> Iterator[None]:
    """Restart Prometheus, and wait until it has found Alertmanager: what it says before is lost."""
    with prometheus_away(world):
        yield
    url = f"http://{HOST}:{world.stack.ports.prometheus}/api/v1/alertmanagers"
    eventually(lambda: requests.get(url, timeout=5).json()["data"]["activeAlertmanagers"], "found")


FAULTS: Mapping[int, Fault] = {
    35: source_fails,
    60: exporter_away,
    90: prometheus_restarts,
    125: exporter_moves,
    150: two_exporters,
}
"""Before which commit; that commit lands after it."""


class Change(NamedTuple):
    """One notification.

    Attributes:
        place: of the commit that it followed.
        group: that it is of.
        firing: all jobs of the group that are broken, sorted.
        ended: jobs that are no longer, sorted.
    """

    place: int
    group: str
    firing: tuple[str, ...]
    ended: tuple[str, ...]


class Said(NamedTuple):
    """What `trunkwatch backtest` says of the whole history."""

    outages: list[dict[str, Any]]
    changes: list[Change]


def back_test(folder: Path, letters: Mapping[str, str]) -> Said:
    """Replay the whole history by the command, with no stack at all."""
    trunk = LiveTrunk(folder / "whole.ndjson", REPO)
    trunk.land(**{job: " ".join(text.upper()) for job, text in letters.items()})
    (folder / "whole.yml").write_text(CONFIG.format(file="whole.ndjson"))
    command = [sys.executable, "-m", "trunkwatch", "backtest", "--format", "json", "--config.file"]
    done = subprocess.run(
        [*command, str(folder / "whole.yml")], check=True, capture_output=True, cwd=folder
    )
    (only,) = json.loads(done.stdout)["replays"][0]["trunks"]
    return Said(only["outages"], list(_changes(only["notifications"])))


def _changes(notifications: list[dict[str, Any]]) -> Iterator[Change]:
    places = {sha(place): place for place in range(COMMITS)}
    broken: dict[str, set[str]] = {}
    for each in notifications:
        came, ended = ({short({"job_name": n}) for n in each[key]} for key in ("broken", "ended"))
        now = broken[each["group"]] = (broken.get(each["group"], set()) | came) - ended
        yield Change(places[each["commit"]], each["group"], _names(now), _names(ended))


def _names(jobs: Any) -> tuple[str, ...]:
    return tuple(sorted(jobs))


class Play:
    """Lands the history commit by commit, and notes after which one what was told."""

    def __init__(self, world: World, letters: Mapping[str, str], said: Said) -> None:
        self.heard: list[Change] = []
        self._world = world
        self._trunk = world.trunk(REPO)
        self._letters = letters
        self._said = said

    def run(self) -> None:
        for place in range(COMMITS):
            if place in FAULTS:
                with FAULTS[place](self._world):
                    pass
            self._land(place)
            self._listen(place)
        self._world.stays(self._trunk, self._world.told(self._trunk))
        self._note(COMMITS)

    def _land(self, place: int) -> None:
        self._trunk.land(f"linux.g{place // 7}", **on(self._letters, place))
        self._world.reached(self._trunk)
        results = late(self._letters, place)
        if results:
            for job, letter in results.items():
                self._trunk.finish(job, letter, f"linux.g{place // 7}")
            self._world.settle()

    def _listen(self, place: int) -> None:
        """Wait for as many notifications as the policy says there are up to a commit."""
        due = sum(change.place <= place for change in self._said.changes)
        eventually(
            lambda: len(self._world.told(self._trunk)) >= due, f"{due} were told at {place}", 20
        )
        self._note(place)

    def _note(self, place: int) -> None:
        for each in self._world.deliveries(self._trunk)[len(self.heard) :]:
            group, told = str(each.body["groupLabels"]["group"]), told_by(each)
            self.heard.append(Change(place, group, _names(told.firing), _names(told.ended)))


def test_a_long_history_tells_each_change_once_and_nothing_else(tmp_path: Path) -> None:
    """Of 200 commits with breaks, flakes, restarts, faults and fixes: just what `backtest` says."""
    letters = lives()
    said = back_test(tmp_path, letters)
    (tmp_path / "trunks.ndjson").touch()
    with running(tmp_path, CONFIG.format(file="trunks.ndjson"), Stack, PACE) as world:
        play = Play(world, letters, said)
        play.run()
        print("\n".join(lines_of(play.heard)))
        assert sorted(play.heard) == sorted(said.changes)
        check_outages(world, said)


def check_outages(world: World, said: Said) -> None:
    """Compare what Prometheus has seen, evaluation by evaluation, and what the team has read."""
    trunk = world.trunk(REPO)
    assert world.metric("max(max_over_time(ci_branch_mass_breakage[1h]))") == 0
    assert rises(world) == Counter(short(outage) for outage in said.outages)
    assert world.firings(trunk) == expected_firings(said)
    expected = {
        (short(outage), outage["first_bad"])
        for outage in said.outages
        if outage["notifications"] and outage["known_broken"] is None
    }
    assert {
        (short(alert["labels"]), alert["annotations"]["first_bad"])
        for each in world.deliveries(trunk)
        for alert in each.alerts
    } == expected


def rises(world: World) -> Counter[str]:
    """How often each job's outage began, as Prometheus has scraped it."""
    began: Counter[str] = Counter()
    for series in world.stack.query("job:ci_job_broken:max[1h]"):
        values = [value for _, value in series["values"]]
        began[short(series["metric"])] += sum(
            (old, new) == ("0", "1") for old, new in pairwise(values)
        )
    return +began


def expected_firings(said: Said) -> Counter[str]:
    """How often each job's alert began; Prometheus begins anew what outlasts its restart."""
    restart = next(place for place, fault in FAULTS.items() if fault is prometheus_restarts)
    fires: Counter[str] = Counter()
    firing: dict[str, frozenset[str]] = {}
    at_restart: dict[str, frozenset[str]] = {}
    for change in said.changes:
        before = firing.get(change.group, frozenset())
        now = firing[change.group] = frozenset(change.firing)
        fires.update(now - before)
        if change.place < restart:
            at_restart[change.group] = now
    fires.update(job for jobs in at_restart.values() for job in jobs)
    return fires


def lines_of(changes: list[Change]) -> Iterator[str]:
    """Write what was told, one line each."""
    yield f"{len(changes)} notifications of {COMMITS} commits and {len(JOBS)} jobs"
    for change in changes:
        now = ", ".join(change.firing) or "none"
        ended = f"; no longer: {', '.join(change.ended)}" if change.ended else ""
        yield f"  after commit {change.place:3}  {change.group:9} broken: {now}{ended}"
