"""The ticket beside the notification: `trunkwatch tickets --dry-run`."""

import sys
from collections.abc import Iterator
from pathlib import Path

import requests

from trunkwatch.demo.receiver import Delivery
from trunkwatch.demo.stack import HOST, Ports, Program

REQUEST_PREFIX = "--- "
"""The start of each request in the output of a dry run."""

LOG_PREFIX = "ts="
"""The start of each line of the log."""

DELIVERY_TIMEOUT_SECONDS = 5.0

ROUND = "3s"
"""From one round to the next, so that an answer of CI is in the ticket before it is closed."""


class Tickets:
    """A running dry run, and its output."""

    def __init__(self, folder: Path, config: Path, ports: Ports, *, links_silences: bool) -> None:
        """Args:
        folder: for its log file.
        config: the configuration file of the exporter.
        ports: of the programs.
        links_silences: whether Alertmanager has a page on which a silence can be created.
        """
        self._address = f"http://{HOST}:{ports.tickets}"
        command = [
            sys.executable,
            "-m",
            "trunkwatch",
            "tickets",
            f"--config.file={config}",
            f"--web.listen-address={self._address.removeprefix('http://')}",
            f"--exporter.url=http://{HOST}:{ports.exporter}",
            f"--alertmanager.url=http://{HOST}:{ports.alertmanager}",
            f"--interval={ROUND}",
            "--dry-run",
        ]
        self.program = Program("tickets", command, folder, f"{self._address}/-/healthy")
        self._read = 0
        self._links_silences = links_silences

    def start(self) -> None:
        """Start it and wait until it answers.

        Raises:
            StackError: it does not answer in time.
        """
        self.program.start()
        self.program.wait_ready()

    def stop(self) -> None:
        """Stop the process."""
        self.program.stop()

    def deliver(self, delivery: Delivery) -> None:
        """Forward a notification to `/alerts`."""
        body = dict(delivery.body)
        if not self._links_silences:
            body.pop("externalURL", None)
        requests.post(f"{self._address}/alerts", json=body, timeout=DELIVERY_TIMEOUT_SECONDS)

    def new_requests(self) -> Iterator[str]:
        """Yield the requests shown since the last call."""
        text = self.program.log.read_text(encoding="utf-8", errors="replace")
        complete = text[: text.rfind("\n") + 1]
        new, self._read = complete[self._read :], len(complete)
        for block in _blocks(new.splitlines()):
            yield "\n".join(block).strip()


def _blocks(lines: list[str]) -> Iterator[list[str]]:
    block: list[str] = []
    for line in lines:
        if line.startswith((REQUEST_PREFIX, LOG_PREFIX)):
            if block:
                yield block
            block = []
        if block or line.startswith(REQUEST_PREFIX):
            block.append(line.removeprefix(REQUEST_PREFIX))
    if block:
        yield block
