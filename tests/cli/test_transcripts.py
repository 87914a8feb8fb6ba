"""Whole-program tests; each reads as a transcript, see `tests/cli/transcript.py`."""

from pathlib import Path

import pytest

from tests.cli.transcript import as_program, in_process, read

each_transcript = pytest.mark.parametrize(
    "path",
    sorted(Path(__file__).with_name("transcripts").glob("*.txt")),
    ids=lambda path: path.stem,
)


@each_transcript
def test_transcript(path: Path, tmp_path: Path) -> None:
    """The command line prints what the transcript contains, to the letter."""
    transcript = read(path)
    assert transcript.title.endswith(".")
    assert transcript.commands
    assert transcript.replay(tmp_path, in_process) == transcript.script


@pytest.mark.slow
@each_transcript
def test_transcript_of_processes(path: Path, tmp_path: Path) -> None:
    """Each command prints the same as a process of its own."""
    transcript = read(path)
    assert transcript.replay(tmp_path, as_program) == transcript.script
