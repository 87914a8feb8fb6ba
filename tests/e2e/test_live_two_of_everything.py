"""Two exporters with own storages and poll intervals: the faults of one change no notification."""

import shutil
import signal
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest
from trunkwatch.app.standstill import STANDSTILL_SECONDS
from trunkwatch.demo.stack import Program

from tests.e2e.conftest import CONFIG
from tests.e2e.faults import wait_for_scrape
from tests.e2e.live import PACE, AcceleratedStack, LiveStack, notification, running
from tests.support.engines import OLDEST
from tests.support.waiting import eventually

pytestmark = pytest.mark.xdist_group("live-two")

AN_HOUR = 3600.0
SLOW = CONFIG.replace("poll_interval: 200ms", "poll_interval: 1500ms")


class Pair:
    """A stack with two exporters.

    Attributes:
        live: the stack.
        first: the exporter that polls often, and has no faults.
        second: the exporter that has the faults.
        storage: of the second.
    """

    def __init__(self, live: LiveStack, port: int, second: Program, storage: Path) -> None:
        self.live = live
        self.first = live.stack.exporter
        self.second = second
        self.storage = storage
        self._instance = f'{{job="trunkwatch",instance="127.0.0.1:{port}"}}'

    def wait_until_gone(self) -> None:
        eventually(lambda: self.live.metric(f"up{self._instance}") == 0, "the scrape fails")

    def wait_until_back(self) -> None:
        eventually(lambda: self.live.metric(f"up{self._instance}") == 1, "the scrape succeeds")
        eventually(lambda: self.live.metric(f"count(ci_job_broken{self._instance})"), "it has jobs")
        self.live.wait_until_evaluated()


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    """Run the stack with a second exporter beside the first one."""
    folder = tmp_path_factory.mktemp("two")
    for name in ("trunks", "other"):
        (folder / f"{name}.ndjson").touch()
    with running(folder, CONFIG, AcceleratedStack, PACE, OLDEST) as live:
        port = live.stack.ports.tickets
        second = live.stack.new_exporter("second", port)
        config = folder / "slow.yml"
        config.write_text(SLOW)
        place = second._command.index("--config.file") + 1
        second._command[place] = str(config)
        second.start()
        try:
            second.wait_ready()
            trunk = live.trunk("o/first")
            trunk.land(a="P")
            live.stack.scrape([live.stack.ports.exporter, port])
            wait_for_scrape(live, port)
            yield Pair(live, port, second, folder / "second.db")
        finally:
            second.send(signal.SIGCONT)
            second.stop()


Meanwhile = Callable[[], None]


def killed(pair: Pair, meanwhile: Meanwhile) -> None:
    """Kill the second exporter, and start it again on its storage."""
    pair.second.stop(signal.SIGKILL)
    pair.wait_until_gone()
    meanwhile()
    pair.second.start()
    pair.second.wait_ready()


def restored(pair: Pair, meanwhile: Meanwhile) -> None:
    """Stop the second exporter, and start it on a copy of its storage of an hour before."""
    pair.second.stop()
    old = pair.storage.with_suffix(".old")
    shutil.copy(pair.storage, old)
    with closing(sqlite3.connect(old)) as database:
        database.execute("UPDATE sources SET last_success = last_success - ?", (AN_HOUR,))
        database.commit()
    pair.second.start()
    pair.second.wait_ready()
    pair.wait_until_back()
    meanwhile()
    pair.second.stop()
    shutil.move(old, pair.storage)
    for suffix in ("-wal", "-shm"):
        Path(f"{pair.storage}{suffix}").unlink(missing_ok=True)
    pair.second.start()
    pair.second.wait_ready()


def hung(pair: Pair, meanwhile: Meanwhile) -> None:
    """Stop the second exporter by SIGSTOP for longer than a standstill, and let it go on."""
    began = time.monotonic()
    pair.second.send(signal.SIGSTOP)
    pair.wait_until_gone()
    meanwhile()
    time.sleep(max(0.0, STANDSTILL_SECONDS + 1 - (time.monotonic() - began)))
    pair.second.send(signal.SIGCONT)


FAULTS = [killed, *(pytest.param(each, marks=pytest.mark.large) for each in (restored, hung))]


@pytest.mark.parametrize("fault", FAULTS)
def test_the_faults_of_one_begin_no_alert_twice(
    pair: Pair, fault: Callable[[Pair, Meanwhile], None]
) -> None:
    """What breaks and is repaired meanwhile is sent once, and nothing when the other is back."""
    # The end of a waits for the slower exporter. Prometheus resends ends for 15 minutes: a later
    # notification may list an end again, but never a beginning.
    live = pair.live
    trunk = live.trunk(f"o/{fault.__name__}")
    trunk.land(a="P F F F", b="P P P P")
    live.expect(trunk, [notification("a")])

    def firing() -> frozenset[str]:
        return live.notifications(trunk)[-1].firing

    def change() -> None:
        trunk.land(a="P P P", b="F F F")
        eventually(lambda: firing() == {"b"}, "b is sent, and the end of a")

    fault(pair, change)
    pair.wait_until_back()
    live.expect_no_more(trunk, live.notifications(trunk))
    assert firing() == {"b"}
    trunk.land(a="P", b="P")
    eventually(lambda: firing() == frozenset(), "the end of b is sent")
    live.expect_no_more(trunk, live.notifications(trunk))
    assert live.firing_counts(trunk) == {"a": 1, "b": 1}
