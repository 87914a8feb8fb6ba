r"""Regular expressions of the configuration, matched in linear time by RE2.

Python's own engine backtracks: one name of forty characters can keep `(a+)+b` busy for hours. RE2
knows neither look-around nor back-references. All else means what it means in Python, except that
`\b` knows ASCII words only and `$` is the very end. Fixed expressions of the code stay with `re`.
"""

import re
import warnings
from functools import lru_cache
from typing import Any

import re2

from trunkwatch.quoting import quoted

_WORD = r"\p{L}\p{N}_"
_SPACE = r"\t-\r\x1c- \x{85}\x{a0}\x{1680}\x{2000}-\x{200a}\x{2028}\x{2029}\x{202f}\x{205f}\x{3000}"
_NO_SPACE = (
    r"\x00-\x08\x0e-\x1b!-\x{84}\x{86}-\x{9f}\x{a1}-\x{167f}\x{1681}-\x{1fff}\x{200b}-\x{2027}"
    r"\x{202a}-\x{202e}\x{2030}-\x{205e}\x{2060}-\x{2fff}\x{3001}-\x{10ffff}"
)
"""What `\\w`, `\\s` and `\\S` match in Python; RE2's own are ASCII only."""

_OUTSIDE = {
    "d": r"\p{Nd}",
    "D": r"\P{Nd}",
    "w": f"[{_WORD}]",
    "W": f"[^{_WORD}]",
    "s": f"[{_SPACE}]",
    "S": f"[^{_SPACE}]",
    "Z": r"\z",
}
_INSIDE = {"d": r"\p{Nd}", "D": r"\P{Nd}", "w": _WORD, "s": _SPACE, "S": _NO_SPACE, "b": r"\x08"}

_TOKENS = re.compile(
    r"""\\(?:[0-3][0-7]{2}|u[0-9a-fA-F]{4}|U[0-9a-fA-F]{8}|.)  # an escape
    |   \[\^?\]?(?:\\.|[^\]\\])*\]  # a set of characters
    |   \{,\d+\}                    # a repetition from 0
    |   .""",
    re.VERBOSE | re.DOTALL,
)
_SET_TOKENS = re.compile(r"\\(?:u[0-9a-fA-F]{4}|U[0-9a-fA-F]{8}|.)|.", re.DOTALL)

_INSTEAD = (
    (
        re.compile(r"\(\?<?[=!]"),
        "look-around",
        "match the text itself, or let a rule before it win",
    ),
    (re.compile(r"\\[1-9]|\(\?P="), "a back-reference", "list the alternatives, as in (aa|bb)"),
    (re.compile(r"\(\?\("), "a condition", "write both alternatives, as in (a|b)"),
    (re.compile(r"\(\?>|[*+?}]\+"), "a possessive repetition", "repeat by * or + alone"),
    (re.compile(r"\(\?#"), "a comment", "write it as a comment of YAML"),
    (re.compile(r"\(\?[ims]*[auLx]"), "this flag", "use no flags other than i, m and s"),
    (re.compile(r"\\N"), r"\N", "write the character itself"),
    (re.compile(r"\\W"), r"\W in brackets", r"use it without brackets, as in (\W|_)"),
)
"""Constructs that RE2 lacks, by their text, with their name and what can be written instead."""


class Pattern:
    """A regular expression that matches a text in full, in time linear in its length.

    Attributes:
        text: in Python's syntax, without look-around and back-references.
    """

    __slots__ = ("_regexp", "text")

    def __init__(self, text: str) -> None:
        """Compile the text.

        Raises:
            ValueError: it is no regular expression, or RE2 lacks what it uses.
        """
        _python(text)
        self.text = text
        self._regexp = _re2(text, captures=False)

    def __repr__(self) -> str:
        return f"Pattern({self.text!r})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Pattern) and other.text == self.text

    def __hash__(self) -> int:
        return hash(self.text)

    def fullmatch(self, text: str) -> bool:
        """Return whether the pattern matches all of a text."""
        return self._regexp.fullmatch(_encoded(text)) is not None

    def expand(self, text: str, template: str) -> str | None:
        r"""Return a template with the groups of a match in full, or None without match.

        Args:
            text: the text to match.
            template: in the syntax of `re.sub`: `\1` and `\g<name>` are groups.

        Raises:
            ValueError: the template is none, or names a group that does not exist.
        """
        pieces = _pieces(self.text, template)
        match = _capturing(self.text).fullmatch(_encoded(text))
        if match is None:
            return None
        return "".join(
            piece if isinstance(piece, str) else (match[piece] or b"").decode() for piece in pieces
        )


def matches_go(expression: str, text: str) -> bool | None:
    """Return whether an expression in Go's syntax matches a text in full; None if it is invalid."""
    try:
        return _compiled(expression, captures=False).fullmatch(_encoded(text)) is not None
    except (re2.error, UnicodeEncodeError):
        return None


def _encoded(text: str) -> bytes:
    """Return UTF-8; half a surrogate pair, which has none, becomes a question mark."""
    return text.encode("utf-8", "replace")


def _python(text: str) -> re.Pattern[str]:
    """Compile by Python's own parser: its errors name the place."""
    try:
        with warnings.catch_warnings():
            # '[[]' is valid; Python only warns that a later version may parse it differently.
            warnings.simplefilter("ignore", FutureWarning)
            return re.compile(text)
    except (re.error, OverflowError, ValueError) as error:  # a number of thousands of digits
        raise ValueError(f"{quoted(text)} is not a regular expression: {error}") from None


def _compiled(expression: str, *, captures: bool) -> Any:
    options = re2.Options()
    options.never_capture = not captures
    options.log_errors = False  # It would write to standard error.
    return re2.compile(expression.encode(), options)


def _re2(text: str, *, captures: bool) -> Any:
    try:
        return _compiled(_translated(text), captures=captures)
    except UnicodeEncodeError:
        raise ValueError(f"{quoted(text)} contains half a surrogate pair") from None
    except re2.error as error:
        raise ValueError(f"{quoted(text)} cannot be used: {_reason(text, error)}") from None


@lru_cache(maxsize=1024)
def _capturing(text: str) -> Any:
    return _re2(text, captures=True)


def _reason(text: str, error: Exception) -> str:
    plain = re.sub(r"\\[^\dNW]", "", text)
    for construct, name, instead in _INSTEAD:
        if construct.search(plain):
            return f"{name} is not supported; {instead}"
    (reason,) = error.args
    return reason.decode("utf-8", "replace") if isinstance(reason, bytes) else str(reason)


def _translated(text: str) -> str:
    """Return an expression by which RE2 matches what Python's syntax means."""
    return "".join(map(_translated_token, _TOKENS.findall(text)))


def _translated_token(token: str) -> str:
    if token.startswith("\\"):
        return _escape(token, _OUTSIDE)
    if token.startswith("{,"):
        return "{0" + token[1:]
    if len(token) == 1:
        return token
    start = re.match(r"\[\^?\]?", token)
    assert start is not None
    # RE2 has named classes such as [[:alpha:]], which are a set of these characters in Python.
    parts = (
        _escape(part, _INSIDE) if part.startswith("\\") else part.replace("[", r"\[")
        for part in _SET_TOKENS.findall(token[start.end() : -1])
    )
    return f"{start[0].replace(']', chr(92) + ']')}{''.join(parts)}]"


def _escape(token: str, classes: dict[str, str]) -> str:
    name = token[1:]
    if name[0] in "uU":
        return f"\\x{{{name[1:]}}}"
    if name in classes:
        return classes[name]
    if (name in "123456789") if classes is _OUTSIDE else name == "W":
        # RE2 would read another meaning: `\12` as a line break, and the ASCII class.
        raise re2.error(token)
    return name if name == "_" or not name.isascii() else token


@lru_cache(maxsize=1024)
def _pieces(pattern: str, template: str) -> tuple[str | int, ...]:
    """Return the texts and the numbers of the groups that a template consists of.

    Python's own parser reads it: the template is expanded with one character for each group.
    """
    compiled = _python(pattern)
    names = {index: f"?P<{name}>" for name, index in compiled.groupindex.items()}
    free = (mark for mark in map(chr, range(0xE000, 0xF900)) if mark not in template)
    marks = [mark for mark, _ in zip(free, range(compiled.groups + 1), strict=False)]
    groups = "".join(f"({names.get(n, '')}{mark})" for n, mark in enumerate(marks) if n)
    match = re.match(f"{marks[0]}(?={groups})", "".join(marks))
    assert match is not None
    try:
        expanded = match.expand(template)
    except (re.error, IndexError, ValueError) as error:
        raise ValueError(f"{quoted(template)} does not fit match: {error}") from None
    parts = re.split(f"([{''.join(marks)}])", expanded)
    return tuple(marks.index(part) if part in marks else part for part in parts if part)
