"""What a source must do. One method; contract tests run against every source."""

import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import requests

from trunkwatch.domain.evidence import DEFAULT_EVENTS
from trunkwatch.domain.model import Observation, Trunk
from trunkwatch.engine.facts import Fact, SourceState


class Source(Protocol):
    """One CI server, or one file of results."""

    def refresh(self, memory: SourceState) -> Iterable[Fact]:
        """Read what is new; the caller takes all of it or nothing.

        The network is asked before this returns; only a local file may still be read while the
        caller iterates.

        Args:
            memory: what it said of itself before, as far as that was stored.

        Raises:
            SourceError: nothing of this refresh counts; the last known values stay.
        """


@dataclass(frozen=True, slots=True)
class Heard:
    """What a delivery says.

    Attributes:
        facts: given what the source said of itself before, what is to be stored.
        look: something happened that only a refresh can read.
    """

    facts: Callable[[SourceState], Iterable[Fact]]
    look: bool = False


@runtime_checkable
class WebhookSource(Protocol):
    """A source that also takes what its CI tells on its own (webhooks)."""

    def secret(self) -> bytes | None:
        """Return what deliveries are signed with; None where they are off.

        Raises:
            SourceError: there should be a secret, and it cannot be read.
        """

    def hear(self, event: str, body: Mapping[str, Any]) -> Heard | None:
        """Understand a delivery; None where it is about nothing that is watched.

        Raises:
            BadDelivery: it is not what the CI documents.
        """


@dataclass(frozen=True, slots=True)
class FailureFocus:
    """What of a trunk people look at now, so that a source may look there first.

    Attributes:
        commits: those on which jobs that are broken now failed.
        urls: of the first failing runs whose failed step is not known.
        unexplained: the first failing runs without annotations, as their sources told them.
    """

    commits: frozenset[str] = frozenset()
    urls: frozenset[str] = frozenset()
    unexplained: frozenset[Observation] = frozenset()


@dataclass(frozen=True, slots=True)
class SourceContext:
    """What a source is given instead of reaching for it.

    Attributes:
        session: makes a session for HTTP.
        count_request: is told the status code of each answer, or `error` where there was none.
        clock: the time (seconds since the epoch).
        sleep: waits for some seconds.
        events: what may have started a run that counts (`jobs.events`).
        interest: what of a trunk people look at now.
    """

    session: Callable[[], requests.Session] = requests.Session
    count_request: Callable[[str], None] = lambda _code: None
    clock: Callable[[], float] = time.time
    sleep: Callable[[float], None] = time.sleep
    events: frozenset[str] = DEFAULT_EVENTS
    interest: Callable[[Trunk], FailureFocus] = lambda _trunk: FailureFocus()
