"""Whole-program tests; each reads as a transcript, see `tests/cli/transcript.py`."""

from pathlib import Path

import pytest

from tests.cli.transcript import as_program, in_process, read

TRANSCRIPTS = {
    path.stem: read(path) for path in sorted(Path(__file__).with_name("transcripts").glob("*.txt"))
}
FAST = [name for name, transcript in TRANSCRIPTS.items() if not transcript.needs_processes]


@pytest.mark.parametrize("name", FAST)
def test_transcript(name: str, tmp_path: Path) -> None:
    """The command line prints what the transcript contains, to the letter."""
    transcript = TRANSCRIPTS[name]
    assert transcript.title.endswith(".")
    assert transcript.commands
    assert transcript.replay(tmp_path, in_process) == transcript.script


@pytest.mark.slow
@pytest.mark.parametrize("name", TRANSCRIPTS)
def test_transcript_of_processes(name: str, tmp_path: Path) -> None:
    """Each command prints the same as a process of its own."""
    transcript = TRANSCRIPTS[name]
    assert transcript.replay(tmp_path, as_program) == transcript.script
