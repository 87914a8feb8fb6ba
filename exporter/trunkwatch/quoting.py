"""Values and keys that people wrote, as errors quote them: short, and without credentials.

A token in a clone's address is pasted where owner/name belongs, and a missing space after a colon
makes a key of a key and its value. Errors are shown in logs, which more people read.
"""

import math
import re
from datetime import date

from trunkwatch.cuts import cut_to_characters

HIDDEN = "***"

MAX_QUOTED_CHARACTERS = 200
"""Characters of a value that are quoted."""

MAX_QUOTED_DIGITS = 40
"""Digits of a number that are quoted; Python refuses to convert one of thousands to decimals."""

_SCHEME = re.compile(r"\s*[a-z][a-z0-9+.-]*://", re.IGNORECASE)
_BARE_LOGIN = re.compile(r"\s*[^\s()\[\]*'\"@]+(?=@)")
"""A login before a host without a scheme; a job such as `test (node@18)` or a pattern has none."""

_WORD = re.compile(r"[^\s()'\"]+")
_QUERY = re.compile(r"([?#]).*", re.DOTALL)


def quoted(value: object) -> str:
    """Return a value for an error."""
    if isinstance(value, str):
        return repr(cut_to_characters(without_login(value), MAX_QUOTED_CHARACTERS))
    if isinstance(value, int) and abs(value) >= 10**MAX_QUOTED_DIGITS:
        return f"a number of about {math.ceil(value.bit_length() * math.log10(2))} digits"
    if value is None or isinstance(value, int | float | date):
        return repr(value)
    if isinstance(value, list | dict):
        return "a list" if isinstance(value, list) else "a mapping"
    return f"a value of type {type(value).__name__}"


def quoted_key(key: object) -> str:
    """Return a key of a mapping for an error, without what follows a colon in it."""
    if not isinstance(key, str):
        return quoted(key)
    name, colon, _ = key.partition(":")
    shown = without_login(name) + (f":{HIDDEN}" if colon else "")
    return cut_to_characters(shown, MAX_QUOTED_CHARACTERS)


def without_login(value: str) -> str:
    """Return a value without what may be the login of an address, and an address without its query.

    Unlike `urls.without_credentials`, this is for a value that may be no valid address: a password
    may contain any character, such as a slash or a space.
    """
    scheme = _SCHEME.match(value)
    if scheme is None:
        login = _BARE_LOGIN.match(value)
        return value if login is None else HIDDEN + value[login.end() :]
    _, at, rest = value.removeprefix(scheme[0]).rpartition("@")
    rest = _QUERY.sub(rf"\1{HIDDEN}", rest)
    return f"{scheme[0]}{HIDDEN if at else ''}{at}{rest}"


def without_logins(text: str) -> str:
    """Return a sentence with addresses in it without their logins."""
    return _WORD.sub(lambda word: _word_without_login(word[0]), text)


def _word_without_login(word: str) -> str:
    before, at, rest = word.rpartition("@")
    if not before:
        return word
    scheme, mark, _ = before.partition("://")
    kept = scheme + mark if mark and "@" not in scheme else ""
    return f"{kept}{HIDDEN}{at}{rest}"


def has_login(value: str) -> bool:
    """Return whether a value is an address with a user, a token or a password."""
    _, scheme, rest = value.partition("://")
    return scheme != "" and "@" in rest
