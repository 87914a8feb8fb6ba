"""The main thread supervises: signals, failures and dead threads end a process in bounded time."""

import signal
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from trunkwatch import process
from trunkwatch.app import Server, WebOptions
from trunkwatch.app import server as app_server
from trunkwatch.errors import StoreError
from trunkwatch.poller import TrunkEngine
from trunkwatch.process import INTERNAL_ERROR, Supervisor

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


def test_a_thread_that_dies_is_unhealthy(server: Server) -> None:
    """/-/healthy depends on the threads of the listeners and pollers."""
    assert server._dead_threads() == []
    server._poller._threads[0] = dead = threading.Thread(target=nothing, name="poll-ci")
    dead.start()
    dead.join()
    assert server._supervisor.dead_threads() == ["poll-ci"]
