"""The worker runs rounds at each wake, also after a failed one."""

import logging
import queue

import pytest
from trunkwatch.cli.tickets import show
from trunkwatch.status.worker import Worker

TIMEOUT_SECONDS = 10.0
"""Only a failing test waits that long."""


def test_a_round_runs_at_once_and_at_each_wake() -> None:
    """A round after a delivery does not wait for the interval."""
    rounds: queue.Queue[None] = queue.Queue()
    worker = Worker("tickets", lambda: rounds.put(None), interval=3600.0, pause=0.0)
    worker.start()
    rounds.get(timeout=TIMEOUT_SECONDS)
    worker.wake()
    rounds.get(timeout=TIMEOUT_SECONDS)
    worker.stop()


def test_rounds_run_at_the_interval() -> None:
    """Without a delivery, rounds run at the interval."""
    rounds: queue.Queue[None] = queue.Queue()
    worker = Worker("tickets", lambda: rounds.put(None), interval=0.01)
    worker.start()
    for _ in range(3):
        rounds.get(timeout=TIMEOUT_SECONDS)
    worker.stop()


def test_a_round_that_fails_is_logged_and_followed_by_another(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """An internal error in one group does not end the work on all others."""
    rounds: queue.Queue[None] = queue.Queue()

    def act() -> None:
        rounds.put(None)
        raise RuntimeError("an internal error")

    worker = Worker("tickets", act, interval=3600.0, pause=0.0)
    with caplog.at_level(logging.ERROR):
        worker.start()
        rounds.get(timeout=TIMEOUT_SECONDS)
        worker.wake()
        rounds.get(timeout=TIMEOUT_SECONDS)
        worker.stop()
    assert "an internal error" in caplog.text


def test_a_dry_run_renders_markdown_on_a_terminal(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Markdown is rendered on a terminal, and printed raw otherwise."""
    show("open o/r#1", "**bold**")
    assert "**bold**" in capsys.readouterr().out
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    show("open o/r#1", "**bold**")
    shown = capsys.readouterr().out
    assert "open o/r#1" in shown
    assert "bold" in shown
    assert "**" not in shown
