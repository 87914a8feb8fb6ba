"""Find phrases that the project's docstrings and comments avoid.

`python -m tests.docs.language [PATH ...]` lists them with file and line.
"""

import ast
import io
import re
import sys
import tokenize
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

BANNED = {
    "say": r"\bsa(?:y|ys|id|ying)\b",
    "tell": r"\bt(?:ell|ells|old|elling)\b",
    "what is": r"\bwhat (?:is|are|was|were|has|came|comes|there)\b",
    "of ours": r"\bof ours\b",
    "known": r"(?<!last )(?<!well-)\bknown\b(?![-_ ]broken)",
    "nobody": r"\bnobody\b",
    "a metaphor for the architecture": r"\b(?:house|room|rooms|floor|floors)\b",
}
"""Banned phrases as regular expressions that begin at a word, by their names in the report."""

_BANNED = [(name, re.compile(pattern, re.IGNORECASE)) for name, pattern in BANNED.items()]
# One boundary for all: a search for `\b` first is three times as fast.
_ANY = re.compile(
    rf"\b(?:{'|'.join(each.removeprefix(chr(92) + 'b') for each in BANNED.values())})",
    re.IGNORECASE,
)
_CODE = re.compile(r"``[^`]*``|`[^`]*`")
_COMMENT = re.compile(r"#.*")


class Finding(NamedTuple):
    """A banned phrase.

    Attributes:
        line: its line in the file, from 1.
        rule: the key in `BANNED`.
        text: the line or the comment that holds it.
    """

    line: int
    rule: str
    text: str


def prose_of(source: str) -> Iterator[tuple[int, str]]:
    """Yield each line of the docstrings, attribute docstrings and comments, with its number."""
    # Reading the tokens takes longer than all else, and few comments have a banned phrase.
    comments = "\n".join(_COMMENT.findall(source))
    if _ANY.search(comments) or _ANY.search(_CODE.sub("", comments)):
        for token in tokenize.generate_tokens(io.StringIO(source).readline):
            if token.type == tokenize.COMMENT:
                yield token.start[0], token.string
    for node in ast.walk(ast.parse(source)):
        if (
            isinstance(node, ast.Expr)
            and isinstance(node.value, ast.Constant)
            and isinstance(node.value.value, str)
        ):
            for offset, line in enumerate(node.value.value.splitlines()):
                yield node.lineno + offset, line


def findings_in(source: str) -> list[Finding]:
    """Return the banned phrases of one Python file, in the order of their lines."""
    if not _ANY.search(source):
        return []  # most files: not worth parsing
    return sorted(
        Finding(number, name, line.strip())
        for number, line in prose_of(source)
        for name, pattern in _BANNED
        if pattern.search(_CODE.sub("", line))
    )


def main(paths: list[str]) -> int:
    """Print the findings of files and folders; return 1 if there are any."""
    total = 0
    for path in map(Path, paths):
        for file in sorted(path.rglob("*.py")) if path.is_dir() else [path]:
            for found in findings_in(file.read_text(encoding="utf-8")):
                total += 1
                print(f"{file}:{found.line}: {found.rule}: {found.text}")
    return int(total > 0)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:] or ["exporter", "dashboards", "tools", "tests"]))
