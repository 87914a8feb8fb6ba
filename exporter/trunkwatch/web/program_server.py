"""The life of a program that acts on trunks: its pages, its rounds and its storage file."""

import logging

from trunkwatch import __version__
from trunkwatch.process import Supervisor
from trunkwatch.status.worker import Worker
from trunkwatch.store.program_file import ProgramFile
from trunkwatch.web.server import WebServer

log = logging.getLogger(__name__)


class ProgramServer:
    """The process; a subclass makes its parts."""

    _store: ProgramFile
    _web: WebServer
    _worker: Worker

    def __init__(self, **started: str) -> None:
        """Args:
        started: fields of the log line of its start.
        """
        self._started = started
        self._supervisor = Supervisor(self._dead_threads)

    @property
    def port(self) -> int:
        """The bound port."""
        return self._web.port

    def run(self) -> int:
        """Serve until SIGTERM or SIGINT; return the exit code."""
        self._web.start()
        return self._supervisor.run(self._begin, self._stop)

    def _begin(self) -> None:
        self._worker.start()
        fields = {"version": __version__, **self._started}
        log.info("listening on port %d", self.port, extra=fields)

    def _stop(self) -> None:
        """Finish what runs; an abandoned request is repeated or found after a start."""
        self._web.stop()
        self._worker.stop()
        self._store.close()

    def _dead_threads(self) -> list[str]:
        return [*self._web.dead_threads(), *self._worker.dead_threads()]
