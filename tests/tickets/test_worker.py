"""Rounds come at each wake, and go on after one that failed."""

import logging
import queue

import pytest
from trunkwatch.cli.tickets import show
from trunkwatch.tickets.worker import Worker

PATIENCE = 10.0
"""Seconds; only a failure waits that long."""


def test_a_round_comes_at_once_and_at_each_wake() -> None:
    """Nobody waits a minute for what has just been delivered."""
    rounds: queue.Queue[None] = queue.Queue()
    worker = Worker(lambda: rounds.put(None), every=3600.0)
    worker.start()
    rounds.get(timeout=PATIENCE)
    worker.wake()
    rounds.get(timeout=PATIENCE)
    worker.stop()


def test_a_round_comes_by_itself() -> None:
    """An alert that resolves while it is inhibited never says so."""
    rounds: queue.Queue[None] = queue.Queue()
    worker = Worker(lambda: rounds.put(None), every=0.01)
    worker.start()
    for _ in range(3):
        rounds.get(timeout=PATIENCE)
    worker.stop()


def test_a_round_that_fails_is_logged_and_followed_by_another(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """A mistake of ours in one group must not end the work on all others for good."""
    rounds: queue.Queue[None] = queue.Queue()

    def act() -> None:
        rounds.put(None)
        raise RuntimeError("a mistake of ours")

    worker = Worker(act, every=3600.0)
    with caplog.at_level(logging.ERROR):
        worker.start()
        rounds.get(timeout=PATIENCE)
        worker.wake()
        rounds.get(timeout=PATIENCE)
        worker.stop()
    assert "a mistake of ours" in caplog.text


def test_a_dry_run_shows_a_terminal_what_a_page_would_show(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Markdown is rendered for a person, and left as it is for a program."""
    show("open o/r#1", "**bold**")
    assert "**bold**" in capsys.readouterr().out
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    show("open o/r#1", "**bold**")
    shown = capsys.readouterr().out
    assert "open o/r#1" in shown
    assert "bold" in shown
    assert "**" not in shown
