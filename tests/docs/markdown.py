"""Reads the project's Markdown for the checks of this package."""

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

PROJECT = Path(__file__).resolve().parents[2]
DOCS = PROJECT / "docs"

_FENCE = re.compile(r"^( *)(`{3,})(\w*)\n(.*?)^\1\2$", re.MULTILINE | re.DOTALL)
_INDENTED = re.compile(r"(?<=\n\n)((?:    .*\n|\n)+)")
_HEADING = re.compile(r"^(#+) (.*)$", re.MULTILINE)
_LINK = re.compile(r"\]\(([^)\s]+)\)")
_CODE = re.compile(r"`([^`\n]+)`")


class Block(NamedTuple):
    """A fenced block of code."""

    language: str
    text: str


def repository_files() -> list[Path]:
    """Return the project's files, those that the next commit would bring included."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=PROJECT,
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    files = [PROJECT / name for name in listed.split("\0") if name]
    return [file for file in files if file.is_file()]


FILES = [file for file in repository_files() if file.suffix == ".md"]


def name_of(path: Path) -> str:
    """Return a file's path within the project."""
    return str(path.relative_to(PROJECT))


def read(path: Path | str) -> str:
    """Return a document, by its path within the project."""
    return (PROJECT / path).read_text(encoding="utf-8")


def blocks(text: str, language: str | None = None) -> list[Block]:
    """Return the fenced blocks of a document, without their indentation."""
    found = [
        Block(word, re.sub(f"^{indent}", "", inside, flags=re.MULTILINE))
        for indent, _, word, inside in _FENCE.findall(text)
    ]
    return [block for block in found if language in (None, block.language)]


def between_blocks(text: str) -> list[str]:
    """Return the text before each fenced block, and that after the last."""
    return _FENCE.split(text)[:: _FENCE.groups + 1]


def prose(text: str) -> str:
    """Return a document without its fenced blocks."""
    return _FENCE.sub("", text)


def commands(text: str) -> Iterator[str]:
    """Yield the command lines of a document's indented blocks, without comments and prompts."""
    for block in _INDENTED.findall(prose(text)):
        for line in block.splitlines():
            command = line.strip().removeprefix("$ ").split("  #")[0].strip()
            if command:
                yield command


def inline_code(text: str) -> list[str]:
    """Return what stands between single backticks."""
    return _CODE.findall(prose(text))


def tables(text: str) -> list[list[list[str]]]:
    """Return each table as its rows of cells; the first row is the head."""
    found: list[list[list[str]]] = []
    before = ""
    for line in prose(text).splitlines():
        if line.startswith("|"):
            if not before.startswith("|"):
                found.append([])
            if not re.fullmatch(r"[|\-: ]+", line):
                found[-1].append([cell.strip() for cell in line.strip()[1:-1].split("|")])
        before = line
    return found


def table(text: str, *head: str) -> list[list[str]]:
    """Return the rows of the one table that begins with these columns."""
    (found,) = [rows[1:] for rows in tables(text) if tuple(rows[0][: len(head)]) == head]
    assert all(len(row) >= len(head) for row in found)
    return found


def section(text: str, heading: str) -> str:
    """Return what stands under a heading, up to the next one of its level or above."""
    matches = list(_HEADING.finditer(text))
    (start,) = [m for m in matches if m[2] == heading]
    ends = (m.start() for m in matches if m.start() > start.start() and len(m[1]) <= len(start[1]))
    return text[start.end() : next(ends, len(text))]


def headings(text: str) -> list[str]:
    """Return the headings of a document."""
    return [match[2] for match in _HEADING.finditer(prose(text))]


def anchors(text: str) -> set[str]:
    """Return what links into a document may name, as forges make it from the headings."""
    return {
        re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings(text)
    }


def links(text: str) -> list[str]:
    """Return the targets of a document's links."""
    return _LINK.findall(prose(text))
