"""Waiting, with a timeout, for an effect of a running program."""

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

LOOK_SECONDS = 0.1
"""The pause between two calls of `look`."""


def eventually(look: Callable[[], T | None], what: str, seconds: float = 60.0) -> T:
    """Return the first true value of `look`: not None, not empty, not zero.

    Args:
        look: called repeatedly.
        what: the description for the failure message.
        seconds: the timeout.
    """
    deadline = time.monotonic() + seconds
    while True:
        answer = look()
        if answer:
            return answer
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {seconds:g} s: {what}")
        time.sleep(LOOK_SECONDS)


def always(look: Callable[[], bool], what: str, seconds: float) -> None:
    """Fail as soon as `look` returns False within a time: for events that must not happen."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        assert look(), what
        time.sleep(LOOK_SECONDS)
