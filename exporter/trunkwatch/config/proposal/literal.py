"""Names as patterns, and patterns as YAML."""

import re

import yaml

_SPECIAL = re.compile(r"([\\.^$*+?{}\[\]|()])")
_NUMBER = re.compile(r"\d+")
_PLAIN = re.compile(r"[A-Za-z][\w./-]*")
_WORDS = frozenset({"null", "true", "false", "yes", "no", "on", "off", "y", "n"})
"""Texts that YAML 1.1 takes for other values."""


def literal(name: str) -> str:
    """Return the pattern that matches a name alone."""
    return _SPECIAL.sub(r"\\\1", name)


def any_number(name: str) -> str:
    r"""Return the pattern of a name with `\d+` instead of each number."""
    return "".join(
        r"\d+" if _NUMBER.fullmatch(part) else literal(part) for part in re.split(r"(\d+)", name)
    )


def scalar(text: str) -> str:
    """Return a text as YAML in one line: plain where it may be, else in quotes."""
    if _PLAIN.fullmatch(text) and text.lower() not in _WORDS:
        return text
    return quoted(text)


def quoted(text: str) -> str:
    """Return a text as YAML in one line and in quotes, in which a backslash is itself if it can."""
    style = "'" if text.isprintable() else '"'
    dumped = yaml.dump(text, default_style=style, width=float("inf"), allow_unicode=True)
    return str(dumped).strip()
