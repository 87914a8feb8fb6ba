"""Puts the parts of `trunkwatch tickets` together; names each of its concrete classes once."""

import logging
import os
import queue
import signal
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import FrameType
from typing import Any
from urllib.parse import urlsplit

from trunkwatch.config import Config, load_config
from trunkwatch.errors import UsageError
from trunkwatch.rest import EnvToken, FileToken, HttpContext, read_secret
from trunkwatch.tickets.carrier import KeeperTools
from trunkwatch.tickets.counts import Counts
from trunkwatch.tickets.dryrun import DryRun
from trunkwatch.tickets.github import Api, GithubIssues
from trunkwatch.tickets.issues import Issues
from trunkwatch.tickets.keeper import Keeper
from trunkwatch.tickets.ledger import MEMORY, Ledger
from trunkwatch.tickets.model import Settings
from trunkwatch.tickets.payload import delivered
from trunkwatch.tickets.readings import HttpReadings
from trunkwatch.tickets.worker import Worker
from trunkwatch.web import WebServer
from trunkwatch.web.alerts import AlertPages

log = logging.getLogger(__name__)

TOKEN_VARIABLE = "GITHUB_TOKEN"
"""What GitHub's own tools and runners call it."""


@dataclass(frozen=True, slots=True)
class TicketOptions:
    """What the command line says.

    Attributes:
        config_file: path of the configuration.
        storage: path of the storage file; None only for a dry run.
        listen: `host:port`.
        alertmanager: address of Alertmanager.
        exporter: address of `trunkwatch serve`.
        token_file: a file with GitHub's token; None for the environment.
        auth_token_file: a file with the token that deliveries bring; None for none.
        tell: shows what a dry run would do; None for no dry run.
    """

    config_file: str
    storage: str | None
    listen: str
    alertmanager: str
    exporter: str
    token_file: str | None = None
    auth_token_file: str | None = None
    tell: Callable[[str, str], None] | None = None


class TicketServer:
    """`trunkwatch tickets`: takes deliveries and keeps issues true, until a signal ends it."""

    def __init__(self, options: TicketOptions, environ: Mapping[str, str] = os.environ) -> None:
        """Check everything that can be wrong before anything starts.

        Args:
            options: of the command line.
            environ: where the token is looked for when no file is named.

        Raises:
            ConfigError: the configuration cannot be used.
            UsageError: a flag cannot be meant.
            StoreError: the storage cannot be used, or another process uses it.
            ListenError: the address cannot be listened on.
        """
        config = load_config(options.config_file)
        for flag, url in (
            ("--alertmanager.url", options.alertmanager),
            ("--exporter.url", options.exporter),
        ):
            _check_url(flag, url)
        self._counts = Counts()
        api = _api(config, options, self._counts, environ)
        self._ledger = Ledger(_storage(options))
        self._asked: queue.SimpleQueue[int] = queue.SimpleQueue()
        try:
            secret = _secret(options.auth_token_file)
            pages = AlertPages(
                self._deliver,
                secret,
                self._counts.problems,
                self._counts.families,
                lambda outcome: self._counts.add("deliveries", outcome),
            )
            self._web = WebServer(options.listen, pages)
        except Exception:
            self._ledger.close()
            raise
        keeper = Keeper(
            self._ledger,
            Issues(api),
            HttpReadings(options.exporter, options.alertmanager),
            settings_of(config),
            KeeperTools(time.time, self._counts),
        )
        self._worker = Worker(keeper.round)

    @property
    def port(self) -> int:
        """The port that is listened on."""
        return self._web.port

    def run(self) -> None:
        """Serve until SIGTERM or SIGINT."""
        for kind in (signal.SIGTERM, signal.SIGINT):
            signal.signal(kind, self._on_signal)
        self._web.start()
        self._worker.start()
        log.info("listening on port %d", self.port)
        signum = self._asked.get()
        log.info("%s: stopping", signal.Signals(signum).name)
        self._web.stop()
        self._worker.stop()
        self._ledger.close()

    def _on_signal(self, signum: int, frame: FrameType | None) -> None:
        del frame
        self._asked.put(signum)

    def _deliver(self, document: Any) -> str:
        """Store what a delivery permits; when this returns, nothing of it can be lost."""
        said = delivered(document)
        self._ledger.permit(said.permits, time.time())
        self._worker.wake()
        return f"{len(said.permits)} firing, {said.resolved} resolved, {said.others} of no concern"


def settings_of(config: Config) -> Settings:
    """Return what the configuration decides about tickets."""
    section = config.tickets
    return Settings(
        repo=section.repo,
        labels=section.labels,
        assignees=section.assignees,
        auto_close=section.auto_close,
        reopen_within=section.reopen_within,
        max_new_per_hour=section.max_new_per_hour,
        timezone=section.timezone,
        timezones=section.timezones,
        dashboard=section.dashboard_url,
    )


def _check_url(flag: str, url: str) -> None:
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.netloc:
        # What was given is not repeated: people put passwords into URLs.
        raise UsageError(f"{flag}: must be a URL such as http://127.0.0.1:9093")


def _storage(options: TicketOptions) -> str:
    if options.tell is not None:
        return MEMORY
    if options.storage is None:
        raise UsageError(
            "--storage.path is missing: without it, a restart would not know what it was about to"
            " open; name a file, or try --dry-run"
        )
    return options.storage


def _api(config: Config, options: TicketOptions, counts: Counts, environ: Mapping[str, str]) -> Api:
    if options.tell is not None:
        return DryRun(options.tell)
    if options.token_file is None and not environ.get(TOKEN_VARIABLE):
        raise UsageError(
            f"no token: name a file by --token-file, or set {TOKEN_VARIABLE}; a fine-grained token"
            " needs Issues: read and write, and nothing else"
        )
    token = (
        EnvToken(TOKEN_VARIABLE, environ)
        if options.token_file is None
        else FileToken(options.token_file)
    )
    http = HttpContext(count_request=lambda code: counts.add("requests", code))
    return GithubIssues(config.tickets.api_url, http, token)


def _secret(path: str | None) -> Callable[[], bytes] | None:
    """Return a function that reads the token of deliveries anew; it is tried once."""
    if path is None:
        return None

    def read() -> bytes:
        return read_secret(f"--auth.token-file {path}", path)

    read()
    return read
