"""From an empty folder to the first alert, on a large trunk of the stand-in GitHub."""

import os
import re
import shutil
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from trunkwatch.config import load_config
from trunkwatch.demo.receiver import Delivery
from trunkwatch.demo.stack import Pace, Stack

from tests.cli.program import run_program, serving
from tests.e2e.live import running
from tests.github.fake import TOKEN
from tests.github.large_trunk import REPO, Breakage, LargeTrunk, large_trunk
from tests.github.server import GitHubServer, serving_github
from tests.support.facts import facts_of
from tests.support.secrets import DETECTOR
from tests.support.waiting import eventually

pytestmark = [pytest.mark.live, pytest.mark.slow]

SPACING, DURATION = 1800.0, 3600.0
MAX_CPU_SECONDS = 180.0
"""The three commands take less than three minutes on an idle machine: CPU time, as the tests may
share theirs."""

TIMEOUT_SECONDS = 600.0

COLD_START_REQUESTS = 60
"""Counted requests of a cold start; README.md has the measured number."""

FURTHER_REQUESTS = 20
"""Counted requests beside those of one cold start."""


N, SURELY = 3, 5
"""Commits for which a job must be broken to alert, and for which it does even if the results of
one commit were cancelled."""


class World(NamedTuple):
    """The large trunk, and its server."""

    made: LargeTrunk
    server: GitHubServer

    def broken_for(self, commits: int) -> set[str]:
        """Return the jobs that have been broken for so many of the newest commits, folded."""
        return {
            self._job_name(each)
            for each in self.made.breakages
            if each.last is None and len(self.made.commits) - each.first >= commits
        }

    def check_alert(self, alert: Mapping[str, Any]) -> None:
        """Assert that an alert names a broken job, its group and team, and the right commits."""
        labels, facts = alert["labels"], facts_of(alert)
        broken = min(
            each.first
            for each in self.made.breakages
            if each.last is None
            and self._job_name(each) == labels["job_name"]
            and self._workflow(each) == labels["workflow"]
        )
        assert labels["group"] == labels["workflow"]
        assert (alert["status"], labels["team"]) == ("firing", "trunk")
        last_good, first_bad = self.made.commits[broken - 1 : broken + 1]
        assert (facts["First bad"], facts["Last good"]) == (first_bad.sha, last_good.sha)

    def _workflow(self, broken: Breakage) -> str:
        return self.made.workflows[self.made.slots[broken.slot].workflow].name

    def _job_name(self, broken: Breakage) -> str:
        return re.sub(r"(\([^(),]*), \d+, .*\)", r"\1)", self.made.slots[broken.slot].name)


@pytest.fixture(params=[(20, 100), pytest.param((60, 450), marks=pytest.mark.large)])
def github(request: pytest.FixtureRequest) -> Iterator[World]:
    """Serve a large trunk of some commits and jobs; the newest commit ended half an hour ago."""
    commits, jobs = request.param
    begin = time.time() - (commits - 1) * SPACING - DURATION - 1800
    made = large_trunk(commits, jobs=jobs, spacing=SPACING, duration=DURATION, begin=begin)
    with serving_github(made.fake) as server:
        yield World(made, server)


def variables(folder: Path, github: GitHubServer) -> dict[str, str]:
    return {
        "GITHUB_TOKEN": TOKEN,
        "GITHUB_API_URL": github.url,
        "XDG_CACHE_HOME": str(folder / "cache"),
    }


def cpu_seconds() -> float:
    """Return the CPU time of this process, which serves GitHub, and of the commands that ended."""
    return sum(os.times()[:4])


def test_three_commands_end_with_a_configuration_that_alerts(
    tmp_path: Path, github: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They cost one cold start, and the config's first notifications name the jobs broken now."""
    own = variables(tmp_path, github.server)

    def run(*arguments: str, code: int = 0) -> None:
        run_program(arguments, tmp_path, code=code, seconds=TIMEOUT_SECONDS, variables=own)

    begun = cpu_seconds()
    run("check", "--repo", REPO, code=1)
    cold = github.server.counted()
    assert cold <= COLD_START_REQUESTS
    run("backtest", "--repo", REPO)
    run("init", "--repo", REPO, "--output", "trunkwatch.yml")
    assert cpu_seconds() - begun < MAX_CPU_SECONDS
    assert github.server.counted() - cold <= FURTHER_REQUESTS
    workflows = len({slot.workflow for slot in github.made.slots})
    assert f"{workflows} workflows" in (tmp_path / "trunkwatch.yml").read_text()
    assert len(load_config(str(tmp_path / "trunkwatch.yml")).groups) == workflows

    cache = next((tmp_path / "cache").rglob("*.db"))
    # Stack names its storage itself; a copy of what `init` stored saves a second cold start.
    shutil.copy(cache, tmp_path / "exporter.db")
    with serving(tmp_path, f"--storage.path={cache}", variables=own) as served:
        # Stored results are exported once the source has answered.
        samples = eventually(lambda: served.samples("ci_job_alerting"), "jobs are exported", 60)
        assert served.get("/-/ready").ok
    alerting = {_name_of(labels) for labels, value in samples.items() if value}
    assert github.broken_for(SURELY) <= alerting <= github.broken_for(N)

    for name, value in own.items():
        monkeypatch.setenv(name, value)
    deliveries = _first_notifications(tmp_path, alerting)
    assert {each.receiver for each in deliveries} == {"ticket"}
    for alert in (alert for each in deliveries for alert in each.alerts):
        github.check_alert(alert)


def _first_notifications(folder: Path, jobs: set[str]) -> list[Delivery]:
    """Run the stack on a folder's configuration until it has notified of all of some jobs."""
    config = (folder / "trunkwatch.yml").read_text()
    with running(folder, config, Stack, Pace()) as live:
        trunk = live.trunk(REPO)

        def complete() -> list[Delivery]:
            found = live.deliveries(trunk)
            seen = {alert["labels"]["job_name"] for each in found for alert in each.alerts}
            return found if seen == jobs else []

        deliveries = eventually(complete, "the jobs that are broken are sent", 90)
        assert live.alert_names() <= {"TrunkJobBroken", "TrunkwatchWatchdog"}
    DETECTOR.search_files(folder)
    return deliveries


def _name_of(labels: str) -> str:
    found = re.search(r'job_name="([^"]*)"', labels)
    assert found is not None
    return found[1]
