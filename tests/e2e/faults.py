"""Parts of the stack that end, come back, move or double; each lasts for a `with` block."""

import signal
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

from trunkwatch.demo.stack import HOST, Program, free_port

from tests.e2e.live import World
from tests.support.waiting import eventually

Fault = Callable[[World], AbstractContextManager[None]]


@contextmanager
def exporter_away(world: World) -> Iterator[None]:
    """Stop the exporter, and start it again on what it has stored."""
    exporter = world.stack.exporter
    exporter.stop()
    eventually(lambda: world.metric('max(up{job="trunkwatch"})') == 0, "the scrape fails")
    yield
    exporter.start()
    exporter.wait_ready()


@contextmanager
def exporter_moves(world: World) -> Iterator[None]:
    """Stop the exporter, and start another one, elsewhere and with nothing stored."""
    world.stack.exporter.stop()
    yield
    port, replacement = another_exporter(world)
    world.stack.exporter = replacement
    replacement.start()
    world.stack.scrape([port])
    replacement.wait_ready()
    scraped(world, port)


@contextmanager
def two_exporters(world: World) -> Iterator[None]:
    """Scrape a second exporter beside the first one, which ends when the second has been seen."""
    port, second = another_exporter(world)
    second.start()
    try:
        second.wait_ready()
        first = int(
            world.stack.query("trunkwatch_build_info")[0]["metric"]["instance"].split(":")[1]
        )
        world.stack.scrape([first, port])
        scraped(world, port)
        yield
    finally:
        first_one, world.stack.exporter = world.stack.exporter, second
        first_one.stop()
        world.stack.scrape([port])


@contextmanager
def prometheus_away(world: World, number: signal.Signals = signal.SIGTERM) -> Iterator[None]:
    """Stop Prometheus, and start it again on what it has stored."""
    world.stack.prometheus.stop(number)
    yield
    world.stack.prometheus.start()
    world.stack.prometheus.wait_ready()


@contextmanager
def prometheus_killed(world: World) -> Iterator[None]:
    """Kill Prometheus, which then reads its write-ahead log."""
    with prometheus_away(world, signal.SIGKILL):
        yield


@contextmanager
def alertmanager_away(world: World) -> Iterator[None]:
    """Stop Alertmanager, and start it again with its notification log but without any alert."""
    world.stack.alertmanager.stop()
    yield
    world.stack.alertmanager.start()
    world.stack.alertmanager.wait_ready()


@contextmanager
def source_fails(world: World) -> Iterator[None]:
    """Break the recorded file by a line in its middle, and mend it."""
    file = world.folder / "trunks.ndjson"
    good = file.read_text()
    file.write_text("<html>the share is gone</html>\n" + good)
    eventually(lambda: world.metric('trunkwatch_source_up{source="trunks"}') == 0, "it fails")
    yield
    file.write_text(file.read_text().partition("\n")[2])
    eventually(lambda: world.metric('trunkwatch_source_up{source="trunks"}') == 1, "it is back")


def another_exporter(world: World) -> tuple[int, Program]:
    port = free_port()
    return port, world.stack.new_exporter(f"exporter-{port}", port)


def scraped(world: World, port: int) -> None:
    """Wait until an exporter has been scraped and judged."""
    instance = f'{{instance="{HOST}:{port}"}}'
    eventually(lambda: world.metric(f"count(ci_job_broken{instance})"), "it is scraped")
    world.judged()
