"""The life of a process that serves: its signals, the threads that it needs, and its end."""

import logging
import os
import queue
import signal
import sys
import threading
from collections.abc import Callable, Iterable, Sequence
from types import FrameType
from typing import NoReturn

log = logging.getLogger(__name__)

INTERNAL_ERROR = 70
"""The exit code of a process that cannot go on: EX_SOFTWARE of sysexits.h."""

STOP_SECONDS = 4.0
"""How long a stopped process waits for its threads; requests to other servers are abandoned."""

RESTART_SECONDS = 10.0
"""Seconds after which a thread goes on after an internal error."""

CHECK_SECONDS = 1.0
"""Seconds between two checks that every thread runs."""


class Supervisor:
    """The main thread of a process: waits for signals while other threads work.

    It never works itself, so that a signal is answered whatever the work does.
    """

    def __init__(self, dead_threads: Callable[[], Sequence[str]]) -> None:
        """Args:
        dead_threads: returns the names of threads that must run and do not.
        """
        self._dead_threads = dead_threads
        # A handler may interrupt anything, even another handler: this queue is reentrant.
        self._events: queue.SimpleQueue[int | BaseException] = queue.SimpleQueue()
        self._reload = threading.Event()
        self._worker: threading.Thread | None = None

    def dead_threads(self) -> list[str]:
        """Return the names of the threads that must run and do not."""
        dead = list(self._dead_threads())
        if self._worker is not None and not self._worker.is_alive():
            dead.append(self._worker.name)
        return dead

    def run(
        self,
        begin: Callable[[], None],
        stop: Callable[[], None],
        reload: Callable[[], None] | None = None,
    ) -> int:
        """Work until SIGTERM or SIGINT; return the exit code.

        Args:
            begin: starts the work.
            stop: ends it; abandoned after `STOP_SECONDS`.
            reload: called after SIGHUP, once for all signals that arrive during a call.

        Raises:
            Exception: the error of `begin` or `reload`, after `stop`.
        """
        for kind in (signal.SIGTERM, signal.SIGINT):
            signal.signal(kind, self._on_signal)
        if reload is not None:
            signal.signal(signal.SIGHUP, self._on_signal)
        arguments = (begin, reload)
        self._worker = threading.Thread(
            target=self._work, args=arguments, name="control", daemon=True
        )
        self._worker.start()
        try:
            return self._wait()
        finally:
            _bounded(stop)

    def _on_signal(self, signum: int, frame: FrameType | None) -> None:
        del frame
        self._events.put(signum)

    def _work(self, begin: Callable[[], None], reload: Callable[[], None] | None) -> None:
        try:
            begin()
            while True:
                self._reload.wait()
                self._reload.clear()
                if reload is not None:
                    reload()
        except BaseException as error:
            self._events.put(error)

    def _wait(self) -> int:
        while True:
            try:
                event = self._events.get(timeout=CHECK_SECONDS)
            except queue.Empty:
                dead = self.dead_threads()
                if dead:
                    log.critical("a thread has died, exiting", extra={"threads": ",".join(dead)})
                    return INTERNAL_ERROR
                continue
            if isinstance(event, BaseException):
                raise event
            if event != signal.SIGHUP:
                log.info("stopping", extra={"signal": signal.Signals(event).name})
                return 0
            self._reload.set()


def repeating_thread(
    loop: Callable[[], None], name: str, stopped: threading.Event
) -> threading.Thread:
    """Return a thread that runs a loop until it is stopped, again after an internal error.

    Args:
        loop: returns soon after `stopped` is set.
        name: of the thread.
        stopped: ends it.
    """

    def repeat() -> None:
        while not stopped.is_set():
            try:
                loop()
            except Exception:
                log.exception("internal error, the thread goes on", extra={"in_thread": name})
                stopped.wait(RESTART_SECONDS)

    return threading.Thread(target=repeat, name=name, daemon=True)


def ended_threads(threads: Iterable[threading.Thread]) -> list[str]:
    """Return the names of those threads that were started and have ended."""
    return [each.name for each in threads if each.ident is not None and not each.is_alive()]


class Background:
    """A thread that runs a loop until it is stopped; the base of what works beside all else."""

    def __init__(self, name: str) -> None:
        """Args:
        name: of the thread.
        """
        self._stopping = threading.Event()
        self._thread = repeating_thread(self._run, name, self._stopping)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def stop(self) -> None:
        """End the thread; what it waits for is abandoned."""
        self._stopping.set()

    def dead_threads(self) -> list[str]:
        """Return the name of the thread if it has ended, although `stop` was not called."""
        return [] if self._stopping.is_set() else ended_threads([self._thread])

    def _run(self) -> None:
        """Work; return soon after `_stopping` is set."""
        raise NotImplementedError


def ignore_reloads() -> None:
    """Ignore SIGHUP, which kills by default, until `Supervisor.run` handles it.

    The configuration is read later, so that such a reload is not lost.
    """
    signal.signal(signal.SIGHUP, signal.SIG_IGN)


def leave(code: int) -> NoReturn:
    """End the process with a code, also while other threads work.

    Python waits for every thread of a thread pool, daemons too, whatever such a thread does.
    """
    if threading.active_count() > 1:
        logging.shutdown()
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)
    sys.exit(code)


def _bounded(stop: Callable[[], None]) -> None:
    """Call a function that stops the work; give up after `STOP_SECONDS`."""
    stopping = threading.Thread(target=stop, name="stop", daemon=True)
    stopping.start()
    stopping.join(STOP_SECONDS)
    if stopping.is_alive():
        log.warning("work abandoned, which is safe", extra={"after_seconds": STOP_SECONDS})
