"""Reading the columns of jobs from the store, for pages and for the JSON of attempts."""

import logging
import threading
from collections.abc import Sequence

from trunkwatch.domain.columns import Column
from trunkwatch.domain.model import JobKey
from trunkwatch.errors import StoreError
from trunkwatch.web.view import View

log = logging.getLogger(__name__)

READ_AT_ONCE = 2
"""Readers of the store, which wait while it is written to."""


class ColumnReader:
    """Reads columns for `READ_AT_ONCE` requests at a time."""

    def __init__(self) -> None:
        self._reading = threading.BoundedSemaphore(READ_AT_ONCE)

    def read(self, view: View, key: JobKey, shas: Sequence[str]) -> Sequence[Column] | None:
        """Return a job's columns at some commits; None if others are reading, or the store fails.

        Args:
            view: the current data.
            key: the job.
            shas: the commits.
        """
        if not self._reading.acquire(blocking=False):
            return None
        try:
            return view.columns(key, shas)
        except StoreError as error:
            log.error("results of a job cannot be read", extra={"error": error})
            return None
        finally:
            self._reading.release()
