"""Docstrings and comments avoid the banned phrases (see `tests/docs/language.py`)."""

from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.docs.language import BANNED, findings_in
from tests.docs.markdown import PROJECT, name_of, repository_files
from tests.support.each import for_each

FILES = [file for file in repository_files() if file.suffix == ".py"]

EXCEPTIONS: Mapping[tuple[str, str], str] = {}
"""A file and a rule that it may break, with the reason."""


EXAMPLES = {
    "say": "The page says so.",
    "tell": "CI told it.",
    "what is": "Return what was read.",
    "of ours": "An error of ours.",
    "known": "All known jobs.",
    "nobody": "Nobody reads it.",
    "a metaphor for the architecture": "The house of the code.",
}


@for_each("file", FILES, ids=name_of)
def test_no_docstring_or_comment_has_a_banned_phrase(file: Path) -> None:
    """A Python file has no banned phrase but those of the exceptions."""
    found = findings_in(file.read_text(encoding="utf-8"))
    assert [f for f in found if (name_of(file), f.rule) not in EXCEPTIONS] == []


def test_every_exception_is_needed() -> None:
    """Each exception is of a phrase that its file contains."""
    named = {PROJECT / name for name, _ in EXCEPTIONS}
    found = {
        (name_of(file), finding.rule)
        for file in named
        for finding in findings_in(file.read_text(encoding="utf-8"))
    }
    assert set(EXCEPTIONS) <= found


@for_each("rule", BANNED)
def test_each_phrase_is_found(rule: str) -> None:
    """Every rule finds its phrase in a docstring, in an attribute docstring and in a comment."""
    prose = EXAMPLES[rule]
    for source in (f'"""{prose}"""\n', f'X = 1\n"""{prose}"""\n', f"X = 1  # {prose}\n"):
        assert [finding.rule for finding in findings_in(source)] == [rule]


@pytest.mark.parametrize("prose", ["Return `told`.", "The last known state.", "A well-known port."])
def test_code_and_allowed_words_are_not_found(prose: str) -> None:
    """Names in backquotes and the allowed uses are no findings."""
    assert findings_in(f'"""{prose}"""\n') == []
