"""Faults of parts of the stack, each for a `with` block: stops, restarts, moves, duplicates."""

import signal
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

from trunkwatch.demo.stack import HOST, Program, free_port

from tests.e2e.live import LiveStack
from tests.support.waiting import eventually

Fault = Callable[[LiveStack], AbstractContextManager[None]]


@contextmanager
def exporter_stopped(live: LiveStack) -> Iterator[None]:
    """Stop the exporter, and start it again on its storage."""
    exporter = live.stack.exporter
    exporter.stop()
    eventually(lambda: live.metric('max(up{job="trunkwatch"})') == 0, "the scrape fails")
    yield
    exporter.start()
    exporter.wait_ready()


@contextmanager
def exporter_moved(live: LiveStack) -> Iterator[None]:
    """Stop the exporter, and start another one on another port with an empty storage."""
    live.stack.exporter.stop()
    yield
    port, replacement = new_exporter(live)
    live.stack.exporter = replacement
    replacement.start()
    live.stack.scrape([port])
    replacement.wait_ready()
    wait_for_scrape(live, port)


@contextmanager
def two_exporters(live: LiveStack) -> Iterator[None]:
    """Scrape a second exporter beside the first one, then stop the first one."""
    port, second = new_exporter(live)
    second.start()
    try:
        second.wait_ready()
        first = int(
            live.stack.query("trunkwatch_build_info")[0]["metric"]["instance"].split(":")[1]
        )
        live.stack.scrape([first, port])
        wait_for_scrape(live, port)
        yield
    finally:
        first_one, live.stack.exporter = live.stack.exporter, second
        first_one.stop()
        live.stack.scrape([port])


@contextmanager
def prometheus_stopped(live: LiveStack, number: signal.Signals = signal.SIGTERM) -> Iterator[None]:
    """Stop Prometheus, and start it again on its storage."""
    live.stack.prometheus.stop(number)
    yield
    live.stack.prometheus.start()
    live.stack.prometheus.wait_ready()


@contextmanager
def prometheus_killed(live: LiveStack) -> Iterator[None]:
    """Kill Prometheus, which then reads its write-ahead log."""
    with prometheus_stopped(live, signal.SIGKILL):
        yield


@contextmanager
def alertmanager_stopped(live: LiveStack) -> Iterator[None]:
    """Stop Alertmanager, and start it again with its notification log but without any alert."""
    live.stack.alertmanager.stop()
    yield
    live.stack.alertmanager.start()
    live.stack.alertmanager.wait_ready()


@contextmanager
def source_fails(live: LiveStack) -> Iterator[None]:
    """Make the recorded file invalid by a first line, and remove that line again."""
    file = live.folder / "trunks.ndjson"
    good = file.read_text()
    file.write_text("<html>the share is gone</html>\n" + good)
    eventually(lambda: live.metric('trunkwatch_source_up{source="trunks"}') == 0, "it fails")
    yield
    file.write_text(file.read_text().partition("\n")[2])
    eventually(lambda: live.metric('trunkwatch_source_up{source="trunks"}') == 1, "it is back")


def new_exporter(live: LiveStack) -> tuple[int, Program]:
    port = free_port()
    return port, live.stack.new_exporter(f"exporter-{port}", port)


def wait_for_scrape(live: LiveStack, port: int) -> None:
    """Wait until an exporter has been scraped and the rules were evaluated."""
    instance = f'{{instance="{HOST}:{port}"}}'
    eventually(lambda: live.metric(f"count(ci_job_broken{instance})"), "it is scraped")
    live.wait_until_evaluated()
