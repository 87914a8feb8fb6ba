"""The process `trunkwatch confirm` of the demo."""

import sys
from collections.abc import Iterator
from pathlib import Path

import requests

from trunkwatch.demo.stack import HOST, Ports, Program
from trunkwatch.engine.triage import QuestionNote
from trunkwatch.report.triage import question_words
from trunkwatch.web.program import CONFIRM_PATH

ROUND = "1s"
"""From one round to the next."""


class Confirm:
    """The process, and the questions that were printed."""

    def __init__(self, folder: Path, config: Path, ports: Ports) -> None:
        """Args:
        folder: for its files.
        config: the configuration file of the exporter.
        ports: of the programs.
        """
        self._address = f"http://{HOST}:{ports.confirm}"
        token = folder / "confirm.token"
        token.write_text("any", encoding="utf-8")
        command = [
            sys.executable,
            "-m",
            "trunkwatch",
            "confirm",
            f"--config.file={config}",
            f"--storage.path={folder / 'confirm.db'}",
            f"--web.listen-address={self._address.removeprefix('http://')}",
            f"--exporter.url=http://{HOST}:{ports.exporter}",
            f"--token-file={token}",
            f"--interval={ROUND}",
        ]
        self.program = Program("confirm", command, folder, f"{self._address}/-/healthy")
        self._printed: set[str] = set()

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

    def changes(self) -> Iterator[str]:
        """Yield a line for each question that was asked or answered since the last call."""
        try:
            document = requests.get(f"{self._address}{CONFIRM_PATH}", timeout=5).json()
        except requests.RequestException:
            return
        for row in reversed(document["questions"]):
            kind, first_bad, sha, state = (
                str(row[name]) for name in ("kind", "first_bad", "sha", "state")
            )
            note = QuestionNote(kind, first_bad, sha, state, 0.0, row["reason"], row["answer"])
            words = f"        confirm {question_words(note)}"
            if words not in self._printed:
                self._printed.add(words)
                yield words
