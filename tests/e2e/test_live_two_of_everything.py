"""Two exporters with own storages and poll intervals: the faults of one change no notification."""

import shutil
import signal
import sqlite3
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
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


@dataclass(frozen=True)
class Exporter:
    """One of the two exporters of a stack.

    Attributes:
        live: the stack.
        program: its process.
        port: that is scraped.
        storage: its file.
    """

    live: LiveStack
    program: Program
    port: int
    storage: Path

    def wait_until_gone(self) -> None:
        eventually(lambda: self._metric("up{}") == 0, "the scrape fails")

    def wait_until_back(self) -> None:
        eventually(lambda: self._metric("up{}") == 1, "the scrape succeeds")
        eventually(lambda: self._metric("count(ci_job_broken{})"), "it has jobs")
        self.live.wait_until_evaluated()

    def start(self) -> None:
        self.program.start()
        self.program.wait_ready()

    def _metric(self, expression: str) -> float | None:
        instance = f'{{job="trunkwatch",instance="127.0.0.1:{self.port}"}}'
        return self.live.metric(expression.replace("{}", instance))


Pair = Mapping[str, Exporter]


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    """Run the stack with a slow exporter, which polls less often, beside the fast one."""
    folder = tmp_path_factory.mktemp("two")
    for name in ("trunks", "other"):
        (folder / f"{name}.ndjson").touch()
    with running(folder, CONFIG, AcceleratedStack, PACE, OLDEST) as live:
        ports = live.stack.ports
        second = live.stack.new_exporter("second", ports.tickets)
        config = folder / "slow.yml"
        config.write_text(SLOW)
        place = second._command.index("--config.file") + 1
        second._command[place] = str(config)
        both = {
            "fast": Exporter(live, live.stack.exporter, ports.exporter, folder / "exporter.db"),
            "slow": Exporter(live, second, ports.tickets, folder / "second.db"),
        }
        try:
            both["slow"].start()
            trunk = live.trunk("o/first")
            trunk.land(a="P")
            live.stack.scrape([each.port for each in both.values()])
            wait_for_scrape(live, ports.tickets)
            yield both
        finally:
            for each in both.values():
                each.program.send(signal.SIGCONT)
            second.stop()


Meanwhile = Callable[[], None]


def killed(exporter: Exporter, meanwhile: Meanwhile) -> None:
    """Kill an exporter, and start it again on its storage."""
    exporter.program.stop(signal.SIGKILL)
    exporter.wait_until_gone()
    meanwhile()
    exporter.start()


def restored(exporter: Exporter, meanwhile: Meanwhile) -> None:
    """Stop an exporter, and start it on a copy of its storage of an hour before."""
    exporter.program.stop()
    old = exporter.storage.with_suffix(".old")
    shutil.copy(exporter.storage, old)
    with closing(sqlite3.connect(old)) as database:
        database.execute("UPDATE sources SET last_success = last_success - ?", (AN_HOUR,))
        database.commit()
    exporter.start()
    exporter.wait_until_back()
    meanwhile()
    exporter.program.stop()
    shutil.move(old, exporter.storage)
    for suffix in ("-wal", "-shm"):
        Path(f"{exporter.storage}{suffix}").unlink(missing_ok=True)
    exporter.start()


def hung(exporter: Exporter, meanwhile: Meanwhile) -> None:
    """Stop an exporter by SIGSTOP for longer than a standstill, and let it go on."""
    began = time.monotonic()
    exporter.program.send(signal.SIGSTOP)
    exporter.wait_until_gone()
    meanwhile()
    time.sleep(max(0.0, STANDSTILL_SECONDS + 1 - (time.monotonic() - began)))
    exporter.program.send(signal.SIGCONT)


CASES = [
    (killed, "fast"),
    (killed, "slow"),
    pytest.param(restored, "slow", marks=pytest.mark.large),
    pytest.param(hung, "fast", marks=pytest.mark.large),
]
"""Each fault, and the exporter that has it: both have one that kills and one that takes long."""


@pytest.mark.parametrize(("fault", "faulty"), CASES)
def test_the_faults_of_one_begin_no_alert_twice(
    pair: Pair, fault: Callable[[Exporter, Meanwhile], None], faulty: str
) -> None:
    """What breaks and is repaired meanwhile is sent once, and nothing when the other is back."""
    # The end of a waits for the slow exporter while that is up. Prometheus resends ends for 15
    # minutes: a later notification may list an end again, but never a beginning.
    exporter = pair[faulty]
    live = exporter.live
    trunk = live.trunk(f"o/{fault.__name__}-{faulty}")
    trunk.land(a="P F F F", b="P P P P")
    live.expect(trunk, [notification("a")])

    def firing() -> frozenset[str]:
        return live.notifications(trunk)[-1].firing

    def change() -> None:
        trunk.land(a="P P P", b="F F F")
        eventually(lambda: firing() == {"b"}, "b is sent, and the end of a")

    fault(exporter, change)
    exporter.wait_until_back()
    live.expect_no_more(trunk, live.notifications(trunk))
    assert firing() == {"b"}
    trunk.land(a="P", b="P")
    eventually(lambda: firing() == frozenset(), "the end of b is sent")
    live.expect_no_more(trunk, live.notifications(trunk))
    assert live.firing_counts(trunk) == {"a": 1, "b": 1}
