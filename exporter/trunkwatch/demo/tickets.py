"""The ticket beside the notification: `trunkwatch tickets --dry-run`, as its reader sees it."""

import sys
from collections.abc import Iterator
from pathlib import Path

import requests

from trunkwatch.demo.receiver import Delivery
from trunkwatch.demo.stack import HOST, Ports, Program, free_port

BEGINNING = "--- "
"""What a dry run prints before what it would do."""

LOG_LINE = "ts="
"""What a line of the log begins with."""

DELIVERY_SECONDS = 5.0


class Tickets:
    """Keeps tickets that nobody opens, and tells what would stand in them."""

    def __init__(self, folder: Path, config: Path, ports: Ports) -> None:
        """Args:
        folder: for its log.
        config: the configuration of the exporter.
        ports: where the exporter and Alertmanager listen.
        """
        self._address = f"http://{HOST}:{free_port()}"
        command = [
            sys.executable,
            "-m",
            "trunkwatch",
            "tickets",
            f"--config.file={config}",
            f"--web.listen-address={self._address.removeprefix('http://')}",
            f"--exporter.url=http://{HOST}:{ports.exporter}",
            f"--alertmanager.url=http://{HOST}:{ports.alertmanager}",
            "--dry-run",
        ]
        self.program = Program("tickets", command, folder, f"{self._address}/-/healthy")
        self._read = 0

    def start(self) -> None:
        """Start it and wait until it answers.

        Raises:
            StackError: it does not.
        """
        self.program.start()
        self.program.wait_ready()

    def stop(self) -> None:
        """End it."""
        self.program.stop()

    def deliver(self, delivery: Delivery) -> None:
        """Hand on a notification, as Alertmanager would with a receiver of its own."""
        requests.post(f"{self._address}/alerts", json=dict(delivery.body), timeout=DELIVERY_SECONDS)

    def look(self) -> Iterator[str]:
        """Yield what it would have done since the last look, each in one text."""
        text = self.program.log.read_text(encoding="utf-8", errors="replace")
        complete = text[: text.rfind("\n") + 1]
        news, self._read = complete[self._read :], len(complete)
        for block in _blocks(news.splitlines()):
            yield "\n".join(block).strip()


def _blocks(lines: list[str]) -> Iterator[list[str]]:
    block: list[str] = []
    for line in lines:
        if line.startswith((BEGINNING, LOG_LINE)):
            if block:
                yield block
            block = []
        if block or line.startswith(BEGINNING):
            block.append(line.removeprefix(BEGINNING))
    if block:
        yield block
