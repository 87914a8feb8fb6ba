"""From an empty folder to the first alert, on the framework-sized stand-in GitHub."""

import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
from trunkwatch.config import load_config

from tests.cli.program import run_program, serving
from tests.github.fake import TOKEN
from tests.github.large_trunk import REPO, LargeTrunk, large_trunk
from tests.github.server import GitHubServer, serving_github
from tests.support.waiting import eventually

pytestmark = [pytest.mark.live, pytest.mark.slow]

COMMITS = 60
SPACING, DURATION = 1800.0, 3600.0
MAX_SECONDS = 180.0
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
            re.sub(r"(\([^(),]*), \d+, .*\)", r"\1)", self.made.slots[each.slot].name)
            for each in self.made.breakages
            if each.last is None and COMMITS - each.first >= commits
        }


@pytest.fixture
def github() -> Iterator[World]:
    """Serve the large trunk, whose newest commit ended half an hour ago."""
    begin = time.time() - (COMMITS - 1) * SPACING - DURATION - 1800
    made = large_trunk(commits=COMMITS, spacing=SPACING, duration=DURATION, begin=begin)
    with serving_github(made.fake) as server:
        yield World(made, server)


def variables(folder: Path, github: GitHubServer) -> dict[str, str]:
    return {
        "GITHUB_TOKEN": TOKEN,
        "GITHUB_API_URL": github.url,
        "XDG_CACHE_HOME": str(folder / "cache"),
    }


def test_three_commands_end_with_a_configuration_that_alerts(tmp_path: Path, github: World) -> None:
    """They cost one cold start, and the config's first alerts are the jobs that are broken."""
    own = variables(tmp_path, github.server)

    def run(*arguments: str, code: int = 0) -> None:
        run_program(arguments, tmp_path, code=code, seconds=MAX_SECONDS, variables=own)

    begun = time.monotonic()
    run("check", "--repo", REPO, code=1)
    cold = github.server.counted()
    assert cold <= COLD_START_REQUESTS
    run("backtest", "--repo", REPO)
    run("init", "--repo", REPO, "--output", "trunkwatch.yml")
    assert time.monotonic() - begun < MAX_SECONDS
    assert github.server.counted() - cold <= FURTHER_REQUESTS
    assert "20 workflows" in (tmp_path / "trunkwatch.yml").read_text()
    assert len(load_config(str(tmp_path / "trunkwatch.yml")).groups) == 20

    cache = next((tmp_path / "cache").rglob("*.db"))
    with serving(tmp_path, f"--storage.path={cache}", variables=own) as served:
        # Stored results are exported once the source has answered.
        samples = eventually(lambda: served.samples("ci_job_alerting"), "jobs are exported", 60)
        assert served.get("/-/ready").ok
    alerting = {_name_of(labels) for labels, value in samples.items() if value}
    assert github.broken_for(SURELY) <= alerting <= github.broken_for(N)


def _name_of(labels: str) -> str:
    found = re.search(r'job_name="([^"]*)"', labels)
    assert found is not None
    return found[1]
