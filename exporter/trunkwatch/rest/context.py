"""The dependencies of every HTTP client."""

import time
from collections.abc import Callable
from dataclasses import dataclass

import requests


@dataclass(frozen=True, slots=True)
class HttpContext:
    """The dependencies of an HTTP client, as arguments.

    Attributes:
        session: makes a session.
        count_request: counts a request by the status code of its answer, or by `error` for none.
        clock: returns the time (seconds since the epoch).
        sleep: waits (seconds).
    """

    session: Callable[[], requests.Session] = requests.Session
    count_request: Callable[[str], None] = lambda _code: None
    clock: Callable[[], float] = time.time
    sleep: Callable[[float], None] = time.sleep
