"""Whole-program tests; each reads as a transcript, see `tests/cli/transcript.py`."""

from pathlib import Path

import pytest

from tests.cli.transcript import as_program, in_process, read

TRANSCRIPTS = {
    path.stem: read(path) for path in sorted(Path(__file__).with_name("transcripts").glob("*.txt"))
}
NEEDS_PROCESSES = [name for name, found in TRANSCRIPTS.items() if found.needs_processes]


def test_each_transcript_has_a_title_and_a_command() -> None:
    """A transcript begins with one sentence, and runs something."""
    for name, transcript in TRANSCRIPTS.items():
        assert transcript.title.endswith("."), name
        assert transcript.commands, name


@pytest.mark.parametrize("name", sorted(TRANSCRIPTS.keys() - NEEDS_PROCESSES))
def test_transcript(name: str, tmp_path: Path) -> None:
    """The command line prints what the transcript contains, to the letter."""
    transcript = TRANSCRIPTS[name]
    assert transcript.replay(tmp_path, in_process) == transcript.script


@pytest.mark.slow
@pytest.mark.parametrize("name", [*NEEDS_PROCESSES, "check_three_failures_fire", "bad_flags"])
def test_transcript_of_processes(name: str, tmp_path: Path) -> None:
    """Each command prints the same as a process of its own."""
    transcript = TRANSCRIPTS[name]
    assert transcript.replay(tmp_path, as_program) == transcript.script
