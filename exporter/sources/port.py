"""What a source must do. One method; contract tests run against every source."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Protocol

import requests

from exporter.domain.facts import Fact


class Source(Protocol):
    """One CI server, or one file of results."""

    def refresh(self, cursor: str | None) -> Iterable[Fact]:
        """Read what is new; the caller takes all of it or nothing.

        The network is asked before this returns; only a local file may still be read while the
        caller iterates.

        Args:
            cursor: the text of the last `Cursor` that was stored, or None on a cold start.

        Raises:
            SourceError: nothing of this refresh counts; the last known values stay.
        """


@dataclass(frozen=True, slots=True)
class Tools:
    """What a source is given instead of reaching for it.

    Attributes:
        session: makes a session for HTTP.
        count_request: is told the status code of each answer, or `error` where there was none.
    """

    session: Callable[[], requests.Session] = requests.Session
    count_request: Callable[[str], None] = lambda _code: None
