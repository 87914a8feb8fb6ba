"""Whole-program tests; each reads as a transcript, see `tests/cli/transcript.py`."""

from pathlib import Path

import pytest

from tests.cli.transcript import read

TRANSCRIPTS = sorted(Path(__file__).with_name("transcripts").glob("*.txt"))


@pytest.mark.parametrize("path", TRANSCRIPTS, ids=lambda path: path.stem)
def test_transcript(path: Path, tmp_path: Path) -> None:
    """The program does what the transcript says, to the letter."""
    transcript = read(path)
    assert transcript.title.endswith(".")
    assert transcript.commands
    assert transcript.replay(tmp_path) == transcript.script
