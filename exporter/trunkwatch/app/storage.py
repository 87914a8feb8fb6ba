"""The thread that drops old results and measures the storage, beside everything else."""

import logging
import time
from collections.abc import Iterator

from trunkwatch.config import Config
from trunkwatch.errors import TrunkwatchError
from trunkwatch.poller import TrunkEngine
from trunkwatch.poller.totals import Counters
from trunkwatch.process import Background
from trunkwatch.store import Store

log = logging.getLogger(__name__)

ROUND_SECONDS = 3600.0
"""Seconds between two rounds."""

MEASURE_SECONDS = 60.0
"""Seconds between two looks at the size of the file."""

STOP_SECONDS = 2.0
"""How long a stop waits for the step that runs."""


class StorageKeeper(Background):
    """Drops the results that are too old at the start and every hour, step by step."""

    def __init__(
        self, config: Config, engine: TrunkEngine, store: Store, counters: Counters
    ) -> None:
        """Args:
        config: how long results are kept.
        engine: drops them.
        store: measured.
        counters: where the measures are put.
        """
        super().__init__("storage")
        self._config = config
        self._engine = engine
        self._store = store
        self._counters = counters
        self._next_round = 0.0

    def stop(self) -> None:
        """End the thread after the step that runs."""
        super().stop()
        if self._thread.is_alive():
            self._thread.join(STOP_SECONDS)

    def run_round(self) -> None:
        """Drop old results and count the others; log a failure, and try again an hour later.

        Where nothing is dropped nothing is counted: a count reads the whole file.
        """
        keep = self._config.storage.retention.keep
        if keep is None:
            return
        try:
            self._paced(self._engine.drop_results(keep, self._config.kept_commits))
            rows = self._paced(self._store.count_rows())
            if not self._stopping.is_set():
                self._counters.set("trunkwatch_store_rows", rows or 0)
        except TrunkwatchError as error:
            if not self._stopping.is_set():  # The end of the process closes the file.
                log.error("old results not dropped, next try in an hour", extra={"error": error})
        except Exception:
            log.exception("old results not dropped, next try in an hour")

    def measure(self) -> None:
        """Note the size of the file and the age of what it has."""
        self._counters.set("trunkwatch_store_bytes", self._store.size())
        oldest = self._engine.oldest_kept()
        if oldest is not None:
            self._counters.set("trunkwatch_store_oldest_timestamp_seconds", oldest)

    def _run(self) -> None:
        while not self._stopping.is_set():
            if time.monotonic() >= self._next_round:
                self.run_round()
                self._next_round = time.monotonic() + ROUND_SECONDS
            self.measure()
            self._stopping.wait(MEASURE_SECONDS)

    def _paced(self, steps: Iterator[int | None]) -> int | None:
        """Run steps; after each, others may have the processor and the lock for as long."""
        value, began = None, time.monotonic()
        for step in steps:
            value = step
            if self._stopping.wait(time.monotonic() - began):
                break
            began = time.monotonic()
        return value
