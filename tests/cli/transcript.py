"""Runs a transcript: commands, what they print and how they end, and the files they read.

    One sentence that says what the transcript shows.

    $ trunkwatch check --config.file trunkwatch.yml
      what it prints on standard output, indented by two spaces
    ! what it prints on standard error
    [2]

    -- trunkwatch.yml --
    sources: ...

A command is a line for bash. No [code] is code 0. What differs from run to run is masked, see
`MASKS`. `python -m tests.cli.transcript FILE...` writes down what the commands do now.
"""

import os
import re
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from trunkwatch import __version__

ROOT = Path(__file__).parents[2]
MASKS: tuple[tuple[str, str], ...] = (
    (r"\bts=\S+", "ts=TIME"),
    (r'"(ts|last_success)": "[^"]+"', r'"\1": "TIME"'),
    (rf"\b{re.escape(__version__)}\b", "VERSION"),
    (r" +$", ""),
)
"""Patterns and what is shown instead: the present, the version, a table's trailing spaces."""


@dataclass(frozen=True, slots=True)
class Transcript:
    """A transcript as it stands in its file."""

    title: str
    script: str
    files: Mapping[str, str]

    @property
    def commands(self) -> list[str]:
        """The lines that are run."""
        return re.findall(r"^\$ (.*)$", self.script, re.MULTILINE)

    def replay(self, folder: Path) -> str:
        """Run the commands in an empty folder; return the script as it really went."""
        for name, text in self.files.items():
            (folder / name).write_text(text, encoding="utf-8")
        program = folder / ".bin" / "trunkwatch"
        program.parent.mkdir()
        program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m trunkwatch "$@"\n')
        program.chmod(0o755)
        return "\n\n".join(_run(command, folder) for command in self.commands)


def read(path: Path) -> Transcript:
    """Read a transcript."""
    head, *parts = re.split(r"^-- (\S+) --\n", path.read_text(encoding="utf-8"), flags=re.MULTILINE)
    title, _, script = head.partition("\n\n")
    files = dict(zip(parts[::2], map(_without_blank_end, parts[1::2]), strict=True))
    return Transcript(title, script.strip("\n"), files)


def _without_blank_end(text: str) -> str:
    """The blank line before the next file is for reading."""
    return text.rstrip("\n") + "\n" if text.strip() else ""


def _run(command: str, folder: Path) -> str:
    """Only what a command needs is in its environment: no colour, no user's settings."""
    environment = {
        "PATH": f"{folder / '.bin'}:{os.environ['PATH']}",
        "PYTHONPATH": str(ROOT),
        "LC_ALL": "C.UTF-8",
    }
    done = subprocess.run(
        ["bash", "-o", "pipefail", "-c", command],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    code = [f"[{done.returncode}]"] if done.returncode else []
    shown = [f"$ {command}", *_lines(done.stdout, "  "), *_lines(done.stderr, "! "), *code]
    return "\n".join(line.rstrip() for line in shown)


def _lines(text: str, mark: str) -> list[str]:
    for pattern, shown in MASKS:
        text = re.sub(pattern, shown, text, flags=re.MULTILINE)
    return [mark + line for line in text.removesuffix("\n").split("\n")] if text else []


def _rewrite(path: Path) -> None:
    transcript = read(path)
    with TemporaryDirectory() as folder:
        script = transcript.replay(Path(folder))
    files = "".join(f"\n-- {name} --\n{text.strip()}\n" for name, text in transcript.files.items())
    path.write_text(f"{transcript.title}\n\n{script}\n{files}", encoding="utf-8")


if __name__ == "__main__":
    for name in sys.argv[1:]:
        _rewrite(Path(name))
