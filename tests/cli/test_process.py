"""The main thread supervises: signals, failures and dead threads end a process in bounded time."""

import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from trunkwatch import process
from trunkwatch.app import Server, WebOptions
from trunkwatch.app import server as app_server
from trunkwatch.errors import StoreError
from trunkwatch.poller import TrunkEngine
from trunkwatch.process import INTERNAL_ERROR, Supervisor
from trunkwatch.web.gateway import PAGE_THREADS

from tests.cli.program import Served, environment
from tests.support.rows import history, write_recorded
from tests.support.waiting import eventually

HANDLED = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


@pytest.fixture(autouse=True)
def handlers(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Restore the handlers of pytest, and check often."""
    monkeypatch.setattr(process, "CHECK_SECONDS", 0.01)
    before = {kind: signal.getsignal(kind) for kind in HANDLED}
    yield
    for kind, handler in before.items():
        signal.signal(kind, handler)


def nothing() -> None:
    """Do nothing."""


def test_signals_are_answered_while_work_hangs(monkeypatch: pytest.MonkeyPatch) -> None:
    """SIGTERM has precedence over reloads, and neither work nor an end that hang delay it."""
    monkeypatch.setattr(process, "STOP_SECONDS", 0.05)
    leave, reloads = threading.Event(), []

    def reload() -> None:
        reloads.append(1)
        leave.wait(30)

    def begin() -> None:
        for _ in range(50):
            signal.raise_signal(signal.SIGHUP)
        signal.raise_signal(signal.SIGTERM)

    def stop() -> None:
        leave.wait(30)

    assert Supervisor(list).run(begin, stop, reload) == 0
    assert len(reloads) <= 1
    leave.set()


def test_reloads_are_coalesced() -> None:
    """Signals that arrive during a reload cause one more."""
    reloads: list[int] = []

    def reload() -> None:
        reloads.append(1)
        if len(reloads) == 1:
            for _ in range(50):
                signal.raise_signal(signal.SIGHUP)
        else:
            signal.raise_signal(signal.SIGTERM)

    begin = lambda: signal.raise_signal(signal.SIGHUP)  # noqa: E731 — one line reads better
    assert Supervisor(list).run(begin, nothing, reload) == 0
    assert len(reloads) in (2, 3)


def test_a_failure_of_the_work_ends_the_process() -> None:
    """What the work raises is raised by the main thread, after the end of everything else."""
    stopped = threading.Event()

    def begin() -> None:
        raise StoreError("x.db", "cannot be read")

    with pytest.raises(StoreError):
        Supervisor(list).run(begin, stopped.set)
    assert stopped.is_set()


def test_a_dead_thread_ends_the_process() -> None:
    """A thread that must run and does not is reported, and ends the process with a code."""
    supervisor = Supervisor(lambda: ["poll-ci"])
    assert supervisor.dead_threads() == ["poll-ci"]
    assert supervisor.run(nothing, nothing) == INTERNAL_ERROR


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    """Yield a server that polls a file, without its signals."""
    path = tmp_path / "ci.ndjson"
    write_recorded(path, history("P F F F"))
    config = tmp_path / "trunkwatch.yml"
    config.write_text(f"sources: [{{name: ci, type: recorded, path: {path}}}]\n")
    found = Server(str(config), str(tmp_path / "results.db"), WebOptions("127.0.0.1:0"))
    for web in found._web:
        web.start()
    found._begin("")
    yield found
    found._stop()


def test_a_reload_that_fails_changes_nothing(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A damaged page during a reload: configuration, engine and pollers of before go on."""
    eventually(lambda: server._engine.snapshot.trunks, "the file is read")

    def damaged(*_args: object, **_kwargs: object) -> TrunkEngine:
        raise StoreError("x.db", "database disk image is malformed")

    before = server._engine
    with monkeypatch.context() as patched:
        patched.setattr(app_server, "TrunkEngine", damaged)
        server._reload()
    assert server._engine is before
    assert not server._counters.totals().config_reload_ok
    assert server._dead_threads() == []
    read = before.snapshot.sources[0].last_success
    server._poller.wake("ci")
    eventually(lambda: before.snapshot.sources[0].last_success != read, "polled again")
    server._reload()
    assert server._engine is not before
    assert server._counters.totals().config_reload_ok


STUCK = """
import sys, time
from trunkwatch.__main__ import run
from trunkwatch.web import pages

def stuck(*_):
    print("stuck", file=sys.stderr, flush=True)
    time.sleep(1_000)

pages.Pages._ready = stuck
sys.argv[0] = "trunkwatch"
run()
"""


@pytest.mark.live
def test_a_stuck_handler_does_not_delay_the_end(tmp_path: Path) -> None:
    """SIGTERM ends the program within five seconds although every thread of a listener is stuck."""
    (tmp_path / "trunkwatch.yml").write_text("sources: [{name: ci, type: recorded, path: x}]")
    addresses = [f"--web.{name}listen-address=127.0.0.1:0" for name in ("", "metrics-", "webhook-")]
    started = subprocess.Popen(
        [sys.executable, "-c", STUCK, "serve", *addresses],
        cwd=tmp_path, env=environment(), stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    with started, ExitStack() as stack:
        stack.callback(started.kill)
        served = Served(started)
        for _ in range(20):
            connection = socket.create_connection(("127.0.0.1", served.port), 30)
            stack.enter_context(connection)
            connection.sendall(b"GET /-/ready HTTP/1.1\r\nHost: x\r\n\r\n")
        for _ in range(PAGE_THREADS):
            served.wait_for_log("^stuck$")
        begin = time.monotonic()
        started.terminate()
        assert started.wait(30) == 0
        assert time.monotonic() - begin < 5.0


def test_a_thread_that_dies_is_unhealthy(server: Server) -> None:
    """/-/healthy depends on the threads of the listeners, the pollers and the storage."""
    assert server._dead_threads() == []
    server._keeper.stop()
    assert server._dead_threads() == []
    server._poller._threads[0] = _dead("poll-ci")
    server._keeper = server._new_keeper()
    server._keeper._thread = _dead("storage")
    assert server._supervisor.dead_threads() == ["poll-ci", "storage"]


def _dead(name: str) -> threading.Thread:
    dead = threading.Thread(target=nothing, name=name)
    dead.start()
    dead.join()
    return dead
