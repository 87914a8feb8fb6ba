"""More connections than open files: the log stays short, and scrapes are answered afterwards."""

import resource
import socket
import time
from contextlib import ExitStack, suppress
from pathlib import Path

import pytest
import requests

from tests.cli.program import Served, serving
from tests.support.rows import history, write_recorded
from tests.support.waiting import eventually

FILES, CONNECTIONS = 64, 200
REFRESHED = "trunkwatch_source_last_success_timestamp_seconds"
LOG_BYTES = 20_000
"""In ten seconds; a traceback for each connection took 3 MB."""


@pytest.mark.parametrize(("lost", "seconds"), [(0, 10.0), (50, 3.0)])
def test_a_flood_of_connections_is_no_flood_of_lines(
    tmp_path: Path, lost: int, seconds: float
) -> None:
    """With 64 descriptors and 200 connections, also after others have taken 50 of them."""
    write_recorded(tmp_path / "ci.ndjson", history("P F F"))
    (tmp_path / "c.yml").write_text(
        "sources: [{name: ci, type: recorded, path: ci.ndjson, poll_interval: 1s}]"
    )
    arguments = ("--config.file=c.yml", "--storage.path=t.db")
    with serving(tmp_path, *arguments, files=FILES) as served:
        eventually(lambda: value(served, "ci_job_consecutive_failures"), "the streak")
        if lost:
            limit = (FILES - lost, FILES)
            resource.prlimit(served.process.pid, resource.RLIMIT_NOFILE, limit)
        flood(served, seconds)
        resource.prlimit(served.process.pid, resource.RLIMIT_NOFILE, (FILES, FILES))
        now = time.time()
        eventually(lambda: value(served, REFRESHED) > now, "a scrape, and a refresh")
        assert value(served, "ci_job_consecutive_failures") == 2
        assert served.end() == 0
    log = "".join(served.log)
    print(f"{len(log)} bytes of log")
    assert "connection or request refused" in log
    assert len(log) < LOG_BYTES


def value(served: Served, name: str) -> float:
    """Return the sample of a family; 0 while the exporter does not answer."""
    with suppress(requests.RequestException, ValueError):
        (sample,) = served.samples(name).values()
        return sample
    return 0.0


def flood(served: Served, seconds: float) -> None:
    """Keep connections open that send nothing, and replace those that were closed."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        with ExitStack() as stack:
            opened = [stack.enter_context(socket.socket()) for _ in range(CONNECTIONS)]
            for each in opened:
                each.setblocking(False)
                each.connect_ex(("127.0.0.1", served.port))
            time.sleep(0.5)
            for each in opened[::2]:
                with suppress(OSError):
                    each.send(b"GET /metrics HTTP/1.1\r\n")
            time.sleep(0.5)
