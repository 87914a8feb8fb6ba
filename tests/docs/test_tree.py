"""Rules for every file of the project."""

import ast
import os
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.docs.markdown import PROJECT, name_of, repository_files
from tests.support.each import for_each

FILES = repository_files()
TESTS = [file for file in FILES if file.is_relative_to(PROJECT / "tests") and file.suffix == ".py"]

# In parts, since this file is checked as well.
HOSTS = tuple(
    name.replace("_", "")
    for name in (
        "py_pi.org",
        "files.python_hosted.org",
        "deb.deb_ian.org",
        "security.deb_ian.org",
        "registry.npm_js.org",
        "proxy.gol_ang.org",
    )
)
FOREIGN = {
    "a path of a workplace": r"(?<![\w.\-/])/wor" + r"k(?:/|\b)",
    "a path of a temporary folder": r"(?<![\w.\-])/tm" + r"p/\w",
    "the host of a package registry": rf"\b(?:{'|'.join(map(re.escape, HOSTS))})",
}


def functions_of(file: Path) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    """Yield the functions of a file that pytest runs."""
    text = file.read_text(encoding="utf-8")
    for node in ast.walk(ast.parse(text)) if "def test_" in text else ():
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        if node.name.startswith("test_"):
            yield node


def complaint(docstring: str | None) -> str | None:
    """Return why a docstring is not one sentence, or None where it is."""
    if not docstring:
        return "has no docstring"
    text = " ".join(docstring.split())
    if not text.endswith((".", "?", '."')):
        return "does not end as a sentence does"
    if "\n\n" in docstring.strip() or re.search(r"[a-z`)][.?!] [A-Z]", text):
        return "is more than one sentence"
    return None


@for_each("file", TESTS, ids=name_of)
@pytest.mark.slow
def test_every_test_has_a_docstring_of_one_sentence(file: Path) -> None:
    """All docstrings of tests together read as the specification."""
    bad = [f"{test.name} {why}" for test in functions_of(file)
           if (why := complaint(ast.get_docstring(test)))]  # fmt: skip
    assert bad == []


@pytest.mark.parametrize(
    ("docstring", "ok"),
    [
        (None, False),
        ("", False),
        ("A sentence.", True),
        ("A question, is it?", True),
        ("A sentence over\n    two lines.", True),
        ("It is `serve --now`: exit code 2, e.g. 2.5 s.", True),
        ("No full stop", False),
        ("One sentence. Another one.", False),
        ("A sentence.\n\nA paragraph", False),
        ("A sentence.\n\nA paragraph.", False),
    ],
)
def test_none_and_two_sentences_are_refused(docstring: str | None, ok: bool) -> None:
    """The check above can fail."""
    assert (complaint(docstring) is None) is ok


def foreign(text: str) -> list[str]:
    """Return the names in a text that no file of the project may contain."""
    return [
        f"{what}: {match.group()}"
        for what, expression in FOREIGN.items()
        for match in re.finditer(expression, text)
    ]


@for_each("file", FILES, ids=name_of)
@pytest.mark.slow
def test_no_file_names_a_place_of_one_machine(file: Path) -> None:
    """No file contains a path of one machine or a host that a mirror may replace."""
    assert foreign(file.read_text(encoding="utf-8", errors="replace")) == []


@pytest.mark.parametrize(
    "text",
    [
        "cd /wor" + "k/main",
        "see /wor" + "k",
        "open('/tm" + "p/x')",
        "https://py" + "pi.org/simple",
        "deb http://deb.deb" + "ian.org/debian",
        "https://registry.npm" + "js.org/",
        "https://files.python" + "hosted.org/packages",
    ],
)
def test_a_foreign_place_is_found(text: str) -> None:
    """The check above can fail: each of these names one."""
    assert foreign(text)


@pytest.mark.parametrize("text", ["tmpfs: [/tm" + "p]", ".github/workflows/ci.yml", "/workers"])
def test_a_similar_path_is_allowed(text: str) -> None:
    """A container's temporary folder and a path with a similar beginning are allowed."""
    assert foreign(text) == []


def test_ci_runs_what_everybody_runs() -> None:
    """`.ci/run` is executable and runs `make test` and `make test-all` and nothing else."""
    script = PROJECT / ".ci" / "run"
    assert os.access(script, os.X_OK)
    commands = script.read_text(encoding="utf-8").partition('cd "$(dirname "$0")/.."\n')[2]
    assert commands.splitlines() == ["make test", "make test-all"]


def test_the_license_is_whole() -> None:
    """The license is complete, from its title to its appendix."""
    text = (PROJECT / "LICENSE").read_text(encoding="utf-8")
    assert "Apache License" in text
    assert "Version 2.0, January 2004" in text
    assert "END OF TERMS AND CONDITIONS" in text
