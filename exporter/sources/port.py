"""What a source must do. One method; contract tests run against every source."""

import time
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from typing import Protocol

import requests

from exporter.domain.evidence import DEFAULT_EVENTS
from exporter.domain.facts import Fact, Memory
from exporter.domain.model import Trunk


class Source(Protocol):
    """One CI server, or one file of results."""

    def refresh(self, memory: Memory) -> Iterable[Fact]:
        """Read what is new; the caller takes all of it or nothing.

        The network is asked before this returns; only a local file may still be read while the
        caller iterates.

        Args:
            memory: what it said of itself before, as far as that was stored.

        Raises:
            SourceError: nothing of this refresh counts; the last known values stay.
        """


@dataclass(frozen=True, slots=True)
class Tools:
    """What a source is given instead of reaching for it.

    Attributes:
        session: makes a session for HTTP.
        count_request: is told the status code of each answer, or `error` where there was none.
        clock: the time (seconds since the epoch).
        sleep: waits for some seconds.
        events: what may have started a run that counts (`jobs.events`).
        commits_of_outages: the commits of a trunk on which jobs that are broken now failed.
    """

    session: Callable[[], requests.Session] = requests.Session
    count_request: Callable[[str], None] = lambda _code: None
    clock: Callable[[], float] = time.time
    sleep: Callable[[float], None] = time.sleep
    events: frozenset[str] = DEFAULT_EVENTS
    commits_of_outages: Callable[[Trunk], Collection[str]] = lambda _trunk: ()
