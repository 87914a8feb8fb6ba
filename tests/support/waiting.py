"""Waiting for something that a running program is about to do, with a bound."""

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

LOOK_SECONDS = 0.1
"""Between two looks."""


def eventually(look: Callable[[], T], what: str, seconds: float = 60.0) -> T:
    """Return the first answer of `look` that is true: not None, not empty, not zero.

    Args:
        look: asked again and again.
        what: is waited for; the failure says it.
        seconds: how long at most.
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
    """Fail as soon as `look` says no within a span of time: for what must not happen."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        assert look(), what
        time.sleep(LOOK_SECONDS)
