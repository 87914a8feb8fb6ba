"""Threads, back-off, and what must not end them."""

import threading
from collections.abc import Callable

import pytest
from trunkwatch.engine.facts import Fact, SourceState
from trunkwatch.errors import SourceError
from trunkwatch.poller import Poller
from trunkwatch.poller.poller import BACK_OFF_LIMIT_SECONDS, JITTER_SHARE, Timing, wait_after
from trunkwatch.sources import Refresh

from tests.poller.harness import Harness, ScriptedSource, config_of
from tests.support.rows import NOW, history

SECONDS = 30.0
"""Longer than anything here takes; what takes longer hangs."""


@pytest.mark.parametrize(
    ("interval", "failures", "seconds"),
    [
        (60.0, 0, 60.0),
        (60.0, 1, 60.0),
        (60.0, 2, 120.0),
        (60.0, 3, 240.0),
        (60.0, 4, BACK_OFF_LIMIT_SECONDS),
        (60.0, 1000, BACK_OFF_LIMIT_SECONDS),
        (1.0, 9, 256.0),
        (1.0, 10, BACK_OFF_LIMIT_SECONDS),
        (299.0, 1, 299.0),
        (299.0, 2, BACK_OFF_LIMIT_SECONDS),
        (301.0, 1, 301.0),
        (301.0, 2, 301.0),
        (3600.0, 0, 3600.0),
        (3600.0, 50, 3600.0),
    ],
)
def test_back_off(interval: float, failures: int, seconds: float) -> None:
    """The first failure costs nothing, each further one doubles the wait up to five minutes, or
    up to the interval where that is longer; success resets it.
    """
    assert wait_after(interval, failures, jitter=0.0) == seconds


def test_jitter_only_shortens() -> None:
    """Jitter shortens an interval by up to a tenth, and never lengthens it."""
    assert wait_after(60.0, 0, jitter=1.0) == pytest.approx(60.0 * (1 - JITTER_SHARE))
    assert 54.0 <= wait_after(60.0, 0, jitter=0.5) <= 60.0


def test_a_source_that_a_reload_dropped_is_not_woken() -> None:
    """A delivery may arrive for a source of the configuration before."""
    harness = Harness()
    Poller(harness.engine, [], Timing(lambda: 0.0)).wake("ci")


def test_how_long_a_refresh_took_is_noted() -> None:
    """The duration of a refresh is recorded, whether it succeeded or failed."""
    harness = Harness()
    ticks = iter([10.0, 12.5, 20.0, 21.0])
    poller = Poller(harness.engine, [], Timing(lambda: next(ticks)))
    assert poller.refresh_once(harness.section("ci"), ScriptedSource(history("P")))
    assert harness.source().refresh_seconds == 2.5
    assert not poller.refresh_once(harness.section("ci"), ScriptedSource(SourceError("x")))
    assert harness.source().refresh_seconds == 1.0


def test_every_change_is_published() -> None:
    """Success and failure are both published: a source that is down has to be seen."""
    harness = Harness()
    harness.refresh(ScriptedSource(history("P")))
    harness.refresh(ScriptedSource(SourceError("x")))
    harness.poller.expire_once()
    assert harness.published == 3


def test_an_unexpected_exception_is_counted_and_survived(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """An internal error in a source is a failed refresh with a traceback in the log."""
    harness = Harness()
    harness.ingest(*history("P F F F"))
    assert not harness.refresh(ScriptedSource(ZeroDivisionError("division by zero")))
    assert harness.count("trunkwatch_source_errors_total", "ci", "bug") == 1
    assert harness.source().problem == "internal error (ZeroDivisionError), see the log"
    assert harness.job().broken
    assert any(record.exc_info for record in caplog.records)


class Endless:
    """A source that is refreshed repeatedly, with an answer per call.

    Attributes:
        calls: how often it was asked.
    """

    def __init__(self, answer: Callable[[int], list[Fact]], enough: int) -> None:
        self.calls = 0
        self._answer = answer
        self._enough = enough
        self.asked_enough = threading.Event()

    def refresh(self, state: SourceState) -> Refresh:
        del state
        self.calls += 1
        if self.calls >= self._enough:
            self.asked_enough.set()
        return Refresh(self._answer(self.calls))


FAST = config_of("{name: ci, type: recorded, path: a, poll_interval: 1ms}")


def test_a_thread_survives_whatever_a_source_raises() -> None:
    """The thread of a source goes on after errors, expected or not, and after a snapshot that
    could not be published.
    """

    def answer(call: int) -> list[Fact]:
        if call == 1:
            raise SourceError("gone")
        if call == 2:
            raise ZeroDivisionError
        return history("P F F F")

    def publish() -> None:
        raise ZeroDivisionError

    harness, source = Harness(FAST), Endless(answer, enough=4)
    poller = Poller(harness.engine, [(harness.section("ci"), source)], Timing(lambda: 0.0), publish)
    poller.start()
    assert source.asked_enough.wait(SECONDS)
    poller.stop()
    assert harness.job().broken
    calls = source.calls
    assert not [thread for thread in threading.enumerate() if thread.name == "poll-ci"]
    assert source.calls == calls


def test_renewing_survives_a_store_that_cannot_be_read(caplog: pytest.LogCaptureFixture) -> None:
    """What time changes is judged again the next time, and the failure is logged."""
    harness = Harness()

    def breaks() -> None:
        raise ZeroDivisionError

    harness.engine.expire = breaks  # type: ignore[method-assign]  # the smallest thing that breaks
    harness.poller.expire_once()
    assert harness.published == 0
    assert any("evaluation failed" in record.message for record in caplog.records)


def test_nothing_is_stored_after_the_end() -> None:
    """A refresh that comes back after the end was asked for is thrown away."""
    harness = Harness()
    poller = Poller(harness.engine, [], Timing(lambda: 0.0))
    poller.start()
    poller.stop()
    assert not poller.refresh_once(harness.section("ci"), ScriptedSource(history("P")))
    assert harness.engine.snapshot.trunks == ()
    assert harness.source().last_success is None


def test_the_end_waits_for_a_refresh_that_is_being_stored() -> None:
    """`stop` returns when the refresh in flight has ended, so that the store can be closed."""
    entered, leave = threading.Event(), threading.Event()

    class Slow:
        def refresh(self, state: SourceState) -> Refresh:
            del state
            entered.set()
            assert leave.wait(SECONDS)
            return Refresh(())

    harness = Harness()
    ticks = iter(range(1000))
    poller = Poller(
        harness.engine, [(harness.section("ci"), Slow())], Timing(lambda: float(next(ticks)))
    )
    poller.start()
    assert entered.wait(SECONDS)
    stopper = threading.Thread(target=poller.stop)
    stopper.start()
    leave.set()
    stopper.join(SECONDS)
    assert not stopper.is_alive()
    assert not [thread for thread in threading.enumerate() if thread.name == "poll-ci"]


def test_sources_that_hang_do_not_add_up() -> None:
    """The end waits a bounded time for all sources together, not for each of them."""
    entered, leave = threading.Semaphore(0), threading.Event()

    class Hangs:
        def refresh(self, state: SourceState) -> Refresh:
            del state
            entered.release()
            assert leave.wait(SECONDS)
            return Refresh(history("P"))

    names = [f"s{number}" for number in range(4)]
    harness = Harness(
        config_of(", ".join(f"{{name: {n}, type: recorded, path: a}}" for n in names))
    )
    poller = Poller(
        harness.engine, [(harness.section(n), Hangs()) for n in names], Timing(lambda: NOW)
    )
    poller.start()
    for _ in names:
        assert entered.acquire(timeout=SECONDS)
    poller.stop(0.0)
    hanging = [thread for thread in threading.enumerate() if thread.name.startswith("poll-s")]
    assert len(hanging) == 4
    leave.set()
    for thread in hanging:
        thread.join(SECONDS)
    assert harness.engine.snapshot.trunks == ()
