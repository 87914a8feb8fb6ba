"""Another number of shards, by the steps of docs/scale.md, ends no alert and begins none."""

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any

import pytest
import requests
from trunkwatch.demo.stack import Program
from trunkwatch.shards import owner_of

from tests.e2e.live import (
    PACE,
    QUIET_SECONDS,
    AcceleratedStack,
    LiveStack,
    LiveTrunk,
    Notification,
    notification,
    running,
)
from tests.support.engines import OLDEST
from tests.support.waiting import always, eventually

pytestmark = pytest.mark.xdist_group("live-resharding")

CONFIG = """
sources: [{name: trunks, type: recorded, path: trunks.ndjson, poll_interval: 200ms}]
jobs: {preset: pytorch}
groups: [{name: inductor, match: {workflow: "inductor.*"}, team: broken-inductor, priority: P2}]
"""
MOVES = ((1, 1), (2, 2), (1, 3), (2, 3))
"""The owner of each repository among two shards, and among three."""


class ShardedStack(AcceleratedStack):
    """The stack with an exporter for each shard, at 127.0.0.<number>; none at first."""

    def __init__(self, folder: Path, *args: Any, **options: Any) -> None:
        """Args: those of `Stack`."""
        self.shards: dict[int, Program] = {}
        super().__init__(folder, *args, **options)

    @property
    def programs(self) -> tuple[Program, ...]:
        """The programs, in the order of their start."""
        return self.alertmanager, self.prometheus, *self.shards.values()

    def prometheus_settings(self, exporter_ports: Sequence[int]) -> dict[str, Any]:
        """Return the settings with all shards in one scrape job."""
        settings = super().prometheus_settings(exporter_ports)
        targets = list(map(self.address, self.shards))
        settings["scrape_configs"][0]["static_configs"][0]["targets"] = targets
        return settings

    def address(self, number: int | str) -> str:
        """Return host and port of a shard."""
        return f"127.0.0.{number}:{self.ports.exporter}"

    def start(self, number: int, shards: int) -> None:
        """Start a shard on its storage file, which is empty at first, and let it be scraped."""
        base = self.new_exporter(f"shard-{number}", self.ports.exporter)
        command = [*base._command[:-1], self.address(number), "--shard", f"{number}/{shards}"]
        command += ["--shard.peers", f"http://{self.address('{shard}')}"]
        url = f"http://{self.address(number)}/-/ready"
        self.shards[number] = Program(base.name, command, self.folder, url)
        self.shards[number].start()
        self.scrape([])

    def wait_until_read(self, *numbers: int) -> None:
        """Wait until shards are ready and have read their windows."""
        for number in numbers:
            self.shards[number].wait_ready()
            eventually(partial(self._has_read_all, number), "it has read everything")

    def stop_shard(self, number: int) -> None:
        """Stop a shard for good."""
        self.shards.pop(number).stop()
        self.scrape([])

    def _has_read_all(self, number: int) -> bool:
        lines = requests.get(f"http://{self.address(number)}/metrics", timeout=5).text.splitlines()
        name = "trunkwatch_source_unread_commits{"
        return all(float(line.split()[-1]) == 0 for line in lines if line.startswith(name))


@pytest.fixture
def live(tmp_path: Path) -> Iterator[LiveStack]:
    """Run the stack without an exporter."""
    (tmp_path / "trunks.ndjson").touch()
    with running(tmp_path, CONFIG, ShardedStack, PACE, OLDEST) as live:
        yield live


def two_to_three(stack: ShardedStack, meanwhile: Callable[[], None]) -> None:
    """Start the new shard, wait, and restart the others."""
    stack.start(3, 3)
    stack.wait_until_read(3)
    restart(stack, meanwhile, 3)


def three_to_two(stack: ShardedStack, meanwhile: Callable[[], None]) -> None:
    """Restart the others, wait, and stop the last shard."""
    restart(stack, meanwhile, 2)
    stack.wait_until_read(1, 2)
    stack.stop_shard(3)


def restart(stack: ShardedStack, meanwhile: Callable[[], None], shards: int) -> None:
    """Restart the first two shards with another number of shards, one after the other."""
    for number, while_stopped in ((1, meanwhile), (2, lambda: None)):
        stack.shards[number].stop()
        while_stopped()
        stack.start(number, shards)
        stack.wait_until_read(number)


def repo_of(owners: tuple[int, int]) -> str:
    """Return a repository with these owners among two and among three shards."""
    names = (f"o/r{number}" for number in count())
    return next(name for name in names if (owner_of(name, 2), owner_of(name, 3)) == owners)


def is_only_at(live: LiveStack, trunk: LiveTrunk, address: str) -> bool:
    """Return whether one exporter and no other has jobs of a trunk."""
    found = live.stack.query(f"ci_job_broken{{{trunk.selector}}}")
    return {sample["metric"]["instance"] for sample in found} == {address}


@pytest.mark.parametrize(
    ("before", "after", "reshard"),
    [(2, 3, two_to_three), pytest.param(3, 2, three_to_two, marks=pytest.mark.large)],
)
def test_another_number_of_shards_ends_no_alert_and_begins_none(
    live: LiveStack,
    before: int,
    after: int,
    reshard: Callable[[ShardedStack, Callable[[], None]], None],
) -> None:
    """Trunks that move and trunks that stay keep their alert; a change meanwhile is sent once."""
    stack = live.stack
    assert isinstance(stack, ShardedStack)
    for number in range(1, before + 1):
        stack.start(number, before)
    stack.wait_until_read(*stack.shards)
    trunks = [live.trunk(repo_of(each)) for each in MOVES]
    expected: list[Notification] = []

    def land(sent: Notification, **letters: str) -> None:
        for trunk in trunks:
            trunk.land(**letters)
        expected.append(sent)

    def nothing_more() -> None:
        for trunk in trunks:
            live.expect(trunk, expected)
        shown = lambda: all(live.notifications(trunk) == expected for trunk in trunks)  # noqa: E731
        always(shown, "nothing more is sent", QUIET_SECONDS)

    land(notification("a"), a="P F F F", b="P P P P", c="P P P P")
    nothing_more()
    reshard(stack, lambda: land(notification("a b"), a="F F F", b="F F F", c="P P P"))
    for trunk, each in zip(trunks, MOVES, strict=True):
        address = stack.address(each[after - 2])
        eventually(partial(is_only_at, live, trunk, address), "it has moved")
    nothing_more()
    land(notification("", resolved="a b"), a="P", b="P", c="P")
    nothing_more()
    assert [live.firing_counts(trunk) for trunk in trunks] == [{"a": 1, "b": 1}] * len(trunks)
    others = {name for name in live.alert_names() if not name.startswith("Trunkwatch")}
    assert others == {"TrunkJobBroken"}
    firing = 'ALERTS{alertname=~"TrunkwatchShard.*",alertstate="firing"}'
    eventually(lambda: not stack.query(firing), "the set of shards is complete")
