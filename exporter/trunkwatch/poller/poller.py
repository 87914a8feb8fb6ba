"""Drives refreshes: one thread per source, each with its own interval and back-off."""

import logging
import random
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from trunkwatch.config import SourceConfig
from trunkwatch.errors import SourceError, StoreError, TrunkwatchError
from trunkwatch.poller.trunk_engine import TrunkEngine
from trunkwatch.sources import Source

log = logging.getLogger(__name__)

BACK_OFF_LIMIT = 300.0
"""Seconds that a failing source is left alone at most (or its own interval, if that is longer)."""

JITTER = 0.1
"""Share of a wait that is left to chance, so that a thousand exporters do not ask in step."""

RENEW_SECONDS = 5.0
"""How late the passing of time may be noticed; what it changes is measured in hours and days."""

AT_ONCE = 1.0
"""Seconds within which a source that asks to be asked again has only paused in one long reading."""

STOP_SECONDS = 10.0
"""How long a refresh may go on after the end was asked for; nothing of it is stored then."""


@dataclass(frozen=True, slots=True)
class Timing:
    """What a poller takes from outside.

    Attributes:
        monotonic: seconds that never jump.
        jitter: a number from 0 to 1.
    """

    monotonic: Callable[[], float]
    jitter: Callable[[], float] = random.random


def wait_after(interval: float, failures: int, jitter: float) -> float:
    """Return the seconds until the next refresh.

    Args:
        interval: the configured poll interval (seconds).
        failures: refreshes that failed in a row; each doubles the wait, up to the limit.
        jitter: a number from 0 to 1.
    """
    limit = max(interval, BACK_OFF_LIMIT)
    wait = min(interval * 2.0 ** min(max(0, failures - 1), 32), limit)
    return wait * (1.0 - JITTER * jitter)


class Poller:
    """Refreshes sources until it is stopped."""

    def __init__(
        self,
        watcher: TrunkEngine,
        sources: Sequence[tuple[SourceConfig, Source]],
        timing: Timing,
        published: Callable[[], None] = lambda: None,
    ) -> None:
        """Args:
        watcher: takes what the sources say.
        sources: each with its section of the configuration.
        timing: clocks and chance.
        published: called after each change of the watcher's snapshot.
        """
        self._watcher = watcher
        self._timing = timing
        self._published = published
        self._stopped = threading.Event()
        self._awake = {config.name: threading.Event() for config, _ in sources}
        self._news = threading.Event()
        self._threads = [
            threading.Thread(target=self._poll, args=item, name=f"poll-{item[0].name}", daemon=True)
            for item in sources
        ]
        for work in (self._renew, self._judge):
            self._threads.append(threading.Thread(target=work, name=work.__name__, daemon=True))

    def start(self) -> None:
        """Start a thread per source."""
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Ask all threads to end and wait for them."""
        self._stopped.set()
        for event in (self._news, *self._awake.values()):
            event.set()
        deadline = self._timing.monotonic() + STOP_SECONDS
        for thread in self._threads:
            thread.join(max(0.0, deadline - self._timing.monotonic()))

    def refresh_once(self, config: SourceConfig, source: Source) -> bool:
        """Refresh one source; whether that succeeded. A failure is noted and logged, not raised."""
        begun = self._timing.monotonic()

        def seconds() -> float:
            return self._timing.monotonic() - begun

        try:
            facts = source.refresh(self._watcher.memory(config.name))
            if self._stopped.is_set():
                return False
            trouble = self._watcher.refreshed(config.name, facts, seconds)
        except SourceError as error:
            self._failed(config, error.reason, error, seconds())
            return False
        except StoreError as error:
            self._failed(config, "store", error, seconds())
            return False
        except Exception as error:
            log.exception("source %s: a mistake of ours", config.name)
            self._failed(
                config, "bug", TrunkwatchError(f"{type(error).__name__}: {error}"), seconds()
            )
            return False
        if trouble is not None:
            log.error("%s", trouble)
        self._publish()
        return True

    def refresh_until_done(self, config: SourceConfig, source: Source) -> bool:
        """Refresh one source until it has no more to say at once; whether the last succeeded."""
        while self.refresh_once(config, source):
            again = self._watcher.asks_again(config.name)
            if again is None or again > AT_ONCE:
                # What people look at is known only now.
                return not config.looks_again or self.refresh_once(config, source)
        return False

    def _failed(
        self, config: SourceConfig, reason: str, error: TrunkwatchError, seconds: float
    ) -> None:
        log.error("%s", error)
        self._watcher.failed(config.name, reason, str(error), seconds)
        self._publish()

    def _publish(self) -> None:
        """Tell of a change; that this fails must not end the thread that reads CI."""
        try:
            self._published()
        except Exception:
            log.exception("what is known could not be published: a mistake of ours")

    def _poll(self, config: SourceConfig, source: Source) -> None:
        failures = 0
        while not self._stopped.is_set():
            awake = self._awake[config.name]
            awake.clear()
            failures = 0 if self.refresh_once(config, source) else failures + 1
            wait = self._watcher.asks_again(config.name) if not failures else None
            if wait is None:
                wait = wait_after(config.poll_interval, failures, self._timing.jitter())
            if not self._stopped.is_set():
                awake.wait(wait)

    def wake(self, source: str) -> None:
        """Refresh a source now: something happened there that only a refresh can read."""
        self._awake[source].set()

    def told(self) -> None:
        """Judge soon what the watcher was told between refreshes."""
        self._news.set()

    def _judge(self) -> None:
        """What comes while one judgement is made is judged together by the next."""
        while not self._stopped.is_set():
            self._news.wait()
            self._news.clear()
            if not self._stopped.is_set():
                self._now_judge(self._watcher.evaluate_pending)

    def _renew(self) -> None:
        while not self._stopped.wait(RENEW_SECONDS):
            self.renew_once()

    def renew_once(self) -> None:
        """Judge again what the passing of time has changed; a failure is logged, not raised."""
        self._now_judge(self._watcher.renew)

    def _now_judge(self, judge: Callable[[], None]) -> None:
        try:
            judge()
        except StoreError as error:
            log.error("%s", error)
        except Exception:
            log.exception("what has changed could not be judged: a mistake of ours")
        else:
            self._publish()
