"""Refreshes sources on a schedule: one thread, interval and back-off per source."""

import logging
import math
import random
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from trunkwatch.config import SourceConfig
from trunkwatch.errors import SourceError, StoreError
from trunkwatch.poller.trunk_engine import TrunkEngine
from trunkwatch.process import ended_threads, repeating_thread
from trunkwatch.sources import Source

log = logging.getLogger(__name__)

POLLER, FAILED_REFRESH = __name__, "refresh failed"
"""The logger and the message of a failed refresh, for commands that print it themselves."""

BACK_OFF_LIMIT_SECONDS = 300.0
"""The longest wait of a failing source (or its own interval, if that is longer)."""

JITTER_SHARE = 0.1
"""Random share of a wait, so that a thousand exporters do not send their requests in step."""

MAX_WAIT_SECONDS = 3600.0
"""The longest wait that a source may ask for, unless its own interval is longer."""

EXPIRY_INTERVAL_SECONDS = 5.0
"""Seconds between two checks for expired results, which expire after hours or days."""

CONTINUE_WITHIN_SECONDS = 1.0
"""The longest `retry_after` that means: the source has more to read now."""

STOP_SECONDS = 10.0
"""Seconds that `stop` waits for refreshes to end; their results are not stored."""


@dataclass(frozen=True, slots=True)
class Timing:
    """The clock and the random numbers of a poller.

    Attributes:
        monotonic: seconds of a clock that is never set.
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
    limit = max(interval, BACK_OFF_LIMIT_SECONDS)
    wait = min(interval * 2.0 ** min(max(0, failures - 1), 32), limit)
    return wait * (1.0 - JITTER_SHARE * jitter)


class Poller:
    """Refreshes sources until it is stopped."""

    def __init__(
        self,
        engine: TrunkEngine,
        sources: Sequence[tuple[SourceConfig, Source]],
        timing: Timing,
        published: Callable[[], None] = lambda: None,
    ) -> None:
        """Args:
        engine: stores and evaluates the results.
        sources: each with its section of the configuration.
        timing: the clock and the random numbers.
        published: called after each change of the engine's snapshot.
        """
        self._engine = engine
        self._timing = timing
        self._published = published
        self._stopped = threading.Event()
        self._wake = {config.name: threading.Event() for config, _ in sources}
        self._delivered = threading.Event()
        engine.deferred = self._delivered.set
        self._threads = [
            self._thread(partial(self._poll, *item), f"poll-{item[0].name}") for item in sources
        ]
        for loop in (self._expire, self._evaluate_deliveries):
            self._threads.append(self._thread(loop, loop.__name__.strip("_")))

    def start(self) -> None:
        """Start all threads."""
        for thread in self._threads:
            thread.start()

    def dead_threads(self) -> list[str]:
        """Return the names of the threads that have ended, although `stop` was not called."""
        return [] if self._stopped.is_set() else ended_threads(self._threads)

    def stop(self, seconds: float = STOP_SECONDS) -> None:
        """End all threads and wait for them, up to some seconds."""
        self._stopped.set()
        self._engine.stop_parts()
        for event in (self._delivered, *self._wake.values()):
            event.set()
        deadline = self._timing.monotonic() + seconds
        for thread in (each for each in self._threads if each.ident is not None):
            thread.join(max(0.0, deadline - self._timing.monotonic()))

    def wake(self, source: str) -> None:
        """Refresh a source now, if it is one of this poller's: a reload may have dropped it."""
        if source in self._wake:
            self._wake[source].set()

    def delivered(self) -> None:
        """Request an evaluation of the deliveries that the engine has stored."""
        self._delivered.set()

    def _thread(self, loop: Callable[[], None], name: str) -> threading.Thread:
        return repeating_thread(loop, name, self._stopped)

    # ------------------------------------------------------------------ refreshes

    def refresh_once(self, config: SourceConfig, source: Source) -> bool:
        """Refresh one source; return whether that succeeded.

        A failure is recorded and logged, not raised.
        """
        begun = self._timing.monotonic()

        def seconds() -> float:
            return self._timing.monotonic() - begun

        try:
            refresh = source.refresh(self._engine.begin_refresh(config.name))
            if self._stopped.is_set():
                return False
            error = self._engine.ingest_refresh(config.name, refresh, seconds)
        except SourceError as failure:
            if self._stopped.is_set():
                return False
            problem = failure.of(config.name)
            self._failed(config, failure.reason, failure.fields(), seconds(), problem)
            return False
        except StoreError as failure:
            self._failed(config, "store", {"error": str(failure)}, seconds(), str(failure))
            return False
        except Exception as failure:
            log.exception("internal error", extra={"source": config.name})
            problem = f"internal error ({type(failure).__name__}), see the log"
            self._failed(config, "bug", {"error": problem}, seconds(), problem)
            return False
        if error is not None:
            fields = {"source": config.name, "reason": error.reason, **error.fields()}
            log.error("partial refresh", extra=fields)
        self._publish()
        return True

    def refresh_until_done(self, config: SourceConfig, source: Source) -> bool:
        """Refresh one source until it has read everything; return whether the last succeeded."""
        while self.refresh_once(config, source):
            wait = self._engine.retry_after(config.name)
            if wait is None or wait > CONTINUE_WITHIN_SECONDS:
                # Some sources read the details of failures first, and the focus has all failures
                # only now.
                return not config.refreshes_after_evaluation or self.refresh_once(config, source)
        return False

    def _poll(self, config: SourceConfig, source: Source) -> None:
        failures = 0
        while not self._stopped.is_set():
            wake = self._wake[config.name]
            wake.clear()
            try:
                failures = 0 if self.refresh_once(config, source) else failures + 1
                wait = self._wait(config, failures)
            except Exception:
                # The thread is the only one that reads this source.
                log.exception("polling failed", extra={"source": config.name, "reason": "bug"})
                wait = max(config.poll_interval, BACK_OFF_LIMIT_SECONDS)
            if not self._stopped.is_set():
                wake.wait(wait)

    def _wait(self, config: SourceConfig, failures: int) -> float:
        """Return the seconds until the next refresh of a source, within a bound."""
        wait = self._engine.retry_after(config.name) if not failures else None
        if wait is None or math.isnan(wait):
            wait = wait_after(config.poll_interval, failures, self._timing.jitter())
        return min(max(0.0, wait), max(config.poll_interval, MAX_WAIT_SECONDS))

    def _failed(
        self,
        config: SourceConfig,
        reason: str,
        fields: Mapping[str, str],
        seconds: float,
        problem: str,
    ) -> None:
        """Log and record a failed refresh.

        Args:
            config: of the source.
            reason: the label of `trunkwatch_source_errors_total`.
            fields: the error for the log, where the source is a field too.
            seconds: how long the refresh took.
            problem: the text for the source's status.
        """
        log.error(FAILED_REFRESH, extra={"source": config.name, "reason": reason, **fields})
        self._engine.refresh_failed(config.name, reason, problem, seconds)
        self._publish()

    # ------------------------------------------------------------------ evaluation

    def expire_once(self) -> None:
        """Evaluate the trunks with expired results; a failure is logged, not raised."""
        self._evaluate(self._engine.expire)

    def _expire(self) -> None:
        while not self._stopped.wait(EXPIRY_INTERVAL_SECONDS):
            self.expire_once()

    def _evaluate_deliveries(self) -> None:
        """Evaluate deliveries; those that arrive during one evaluation share the next."""
        while not self._stopped.is_set():
            self._delivered.wait()
            self._delivered.clear()
            if not self._stopped.is_set():
                self._evaluate(self._engine.evaluate_pending)

    def _evaluate(self, evaluate: Callable[[], None]) -> None:
        try:
            evaluate()
        except StoreError as error:
            log.error("evaluation failed", extra={"reason": "store", "error": error})
        except Exception:
            log.exception("evaluation failed", extra={"reason": "bug"})
        else:
            self._publish()

    def _publish(self) -> None:
        """Call `published`; its failure must not end the thread that reads CI."""
        try:
            self._published()
        except Exception:
            log.exception("publishing failed", extra={"reason": "bug"})
