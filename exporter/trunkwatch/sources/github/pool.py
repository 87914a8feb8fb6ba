"""A bounded number of threads that read repositories at once."""

import queue
import threading
from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

Result = TypeVar("Result")

THREADS = 16
"""Requests at once; GitHub allows a token a hundred, and may serve several exporters with it."""


def in_parallel(tasks: Iterable[Callable[[], Result]], threads: int = THREADS) -> Iterator[Result]:
    """Run tasks on some threads; yield their results in the calling thread, as they come.

    A single task, or any with one thread, runs in the calling thread. Tasks that wait when the
    caller stops iterating are not begun.

    Args:
        tasks: each begins when a thread is free.
        threads: their number at most.

    Raises:
        Exception: a task raised it.
    """
    waiting = list(tasks)
    if min(len(waiting), threads) < 2:
        yield from (task() for task in waiting)
    else:
        yield from _Workers(waiting, threads).results()


class _Workers:
    def __init__(self, tasks: list[Callable[[], Result]], threads: int) -> None:
        self._tasks: queue.SimpleQueue[Callable[[], Result]] = queue.SimpleQueue()
        for task in tasks:
            self._tasks.put(task)
        self._number = len(tasks)
        self._threads = min(threads, len(tasks))
        self._done: queue.SimpleQueue[tuple[Result | None, Exception | None]] = queue.SimpleQueue()
        self._stopped = False

    def results(self) -> Iterator[Result]:
        # Daemon threads: a request that hangs must not keep the process from ending.
        for number in range(self._threads):
            threading.Thread(target=self._work, name=f"github-{number}", daemon=True).start()
        try:
            for _ in range(self._number):
                result, error = self._done.get()
                if error is not None:
                    raise error
                yield result  # type: ignore[misc]
        finally:
            self._stopped = True

    def _work(self) -> None:
        while not self._stopped:
            try:
                task = self._tasks.get_nowait()
            except queue.Empty:
                return
            try:
                self._done.put((task(), None))
            except Exception as error:
                self._done.put((None, error))
