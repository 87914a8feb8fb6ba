"""Clients that send nothing, or a byte now and then, do not delay the others."""

import socket
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from functools import partial
from pathlib import Path
from statistics import median

import pytest

from tests.github.webhooks import Delivery
from tools.bench_webhook import SECRET, Bench, bench

IDLE, HEADS, BODIES = 100, 20, 20
THREADS = 30
"""More than the exporter has with all threads of its listener busy."""

LATE_SECONDS = 25.0
"""After the ten seconds of a head, on a busy machine."""


@pytest.fixture
def running() -> Iterator[Bench]:
    """Run an exporter that has read four commits."""
    with bench(commits=4, workflows=2, jobs=30) as found:
        yield found


def seconds(call: Callable[[], object]) -> float:
    """Return how long a call takes."""
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def scrape(running: Bench) -> None:
    answer = running.session.get(f"{running.url}/metrics", timeout=30)
    assert answer.status_code == 200
    assert len(answer.content) > 1_000


def begun_delivery(each: Delivery) -> bytes:
    """Return the head of a delivery, without its body."""
    lines = [f"{name}: {value}" for name, value in each.headers(SECRET).items()]
    head = ["POST /webhook/github HTTP/1.1", "Host: x", *lines, f"Content-Length: {len(each.body)}"]
    return "\r\n".join([*head, "", ""]).encode()


def is_closed(connection: socket.socket) -> bool:
    """Return whether the server has closed a connection; drop what it has answered."""
    connection.setblocking(False)
    try:
        while connection.recv(4096):
            pass
    except BlockingIOError:
        return False
    except OSError:
        pass
    return True


def test_slow_clients_delay_nobody(running: Bench) -> None:
    """Scrapes and deliveries are answered as before; late heads are closed, no threads pile up."""
    queue = running.push_commit()
    scrapes_before = [seconds(lambda: scrape(running)) for _ in range(20)]
    deliveries_before = [seconds(partial(running.deliver, each)) for each in queue[:10]]
    address = ("127.0.0.1", int(running.url.rpartition(":")[2]))
    with ExitStack() as stack:

        def opened(first: bytes) -> socket.socket:
            connection = stack.enter_context(socket.create_connection(address, 30))
            connection.sendall(first)
            return connection

        idle = [opened(b"") for _ in range(IDLE)]
        heads = [opened(b"GET /metrics HTTP/1.1\r\nX: ") for _ in range(HEADS)]
        bodies = [opened(begun_delivery(queue[0])) for _ in range(BODIES)]
        scrapes, deliveries, waiting = [], [], queue[10:]
        deadline = time.monotonic() + LATE_SECONDS
        open_still = [*idle, *heads]
        while open_still and time.monotonic() < deadline:
            for connection in (*heads, *bodies):
                with suppress(OSError):
                    connection.send(b"x")
            scrapes.append(seconds(lambda: scrape(running)))
            if waiting:
                deliveries.append(seconds(partial(running.deliver, waiting.pop(0))))
            open_still = [each for each in open_still if not is_closed(each)]
            time.sleep(0.5)
        assert not open_still
        threads = list(Path(f"/proc/{running.served.process.pid}/task").iterdir())
        assert len(threads) <= THREADS
    assert len(scrapes) >= 10
    assert median(scrapes) < 5 * median(scrapes_before) + 0.1
    assert max(scrapes) < 2.0
    assert median(deliveries) < 5 * median(deliveries_before) + 0.25
    refused = running.served.samples("trunkwatch_http_refused_total")
    assert refused['{reason="late_head"}'] == IDLE + HEADS
