"""The parts of the demonstration; `tests/e2e/test_make_run.py` runs the whole."""

import json
import threading
from functools import partial
from pathlib import Path
from typing import cast

import requests
from trunkwatch.demo import play
from trunkwatch.demo.incident import INCIDENT
from trunkwatch.demo.notifications import NotificationHandler
from trunkwatch.demo.receiver import Delivery
from trunkwatch.demo.screen import Screen
from trunkwatch.demo.tickets import Tickets

from tests.support.waiting import eventually


class Passed:
    """Stands for `trunkwatch tickets`; keeps the receivers of its notifications."""

    def __init__(self) -> None:
        self.got: list[str] = []

    def deliver(self, delivery: Delivery) -> None:
        self.got.append(delivery.receiver)


def test_notifications_before_the_tickets_are_passed_on_once_they_run() -> None:
    """None is sent to a program that does not run yet, and none is lost; after the end none is."""
    handler, tickets = NotificationHandler(Screen()), Passed()
    handler.delivered(Delivery("early", {}))
    handler.pass_to(cast(Tickets, tickets))
    handler.delivered(Delivery("later", {}))
    assert tickets.got == ["early", "later"]
    handler.pass_to(None)
    handler.delivered(Delivery("last", {}))
    assert tickets.got == ["early", "later"]


def test_the_addresses_of_a_replay_open(tmp_path: Path) -> None:
    """With an address to listen on, every run of the written file has its page."""
    target, stop = tmp_path / "incident.ndjson", threading.Event()
    flags = ["--to", str(target), "--at-once=99", "--web.listen-address=127.0.0.1:0"]
    playing = threading.Thread(target=play.main, args=(flags, stop))
    playing.start()
    try:
        lines = len(INCIDENT.read_text("utf-8").splitlines())
        written = partial(_lines, target, lines)
        rows = map(json.loads, eventually(written, "a replay"))
        urls = {row["url"] for row in rows if row.get("url")}
        assert len(urls) > 5
        assert {requests.get(url, timeout=10).status_code for url in sorted(urls)[:5]} == {200}
    finally:
        stop.set()
        playing.join()


def _lines(path: Path, number: int) -> list[str]:
    """Return the lines of a file once it has so many."""
    lines = path.read_text("utf-8").splitlines() if path.exists() else []
    return lines if len(lines) >= number else []
