"""The composition of `trunkwatch tickets`; names each concrete class once."""

import logging
import os
import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from types import MappingProxyType
from typing import Any

from trunkwatch.config import Config, load_config
from trunkwatch.errors import QueueFullError, UsageError
from trunkwatch.metrics.lines import Labels
from trunkwatch.rest.credentials import Authorization, EnvToken, FileToken, read_secret
from trunkwatch.rest.http import HttpContext
from trunkwatch.status.worker import ROUND_SECONDS, Worker
from trunkwatch.store import MEMORY, real_path
from trunkwatch.tickets.alerts import FiringAlert, webhook_payload
from trunkwatch.tickets.issues.api import Api
from trunkwatch.tickets.issues.dry_run import DryRun
from trunkwatch.tickets.issues.github import GithubIssues
from trunkwatch.tickets.issues.gitlab import GitlabIssues
from trunkwatch.tickets.issues.tracker import IssueTracker
from trunkwatch.tickets.listing import tickets_object
from trunkwatch.tickets.metrics import TicketMetrics
from trunkwatch.tickets.reconcile.executor import Runtime
from trunkwatch.tickets.reconcile.peers import Check, PeerChecks
from trunkwatch.tickets.reconcile.reconciler import Reconciler
from trunkwatch.tickets.status_client import HttpStatusClient
from trunkwatch.tickets.store import TicketStore
from trunkwatch.urls import is_server, without_credentials
from trunkwatch.web import WebServer, WebSettings
from trunkwatch.web.alerts import AlertPages, is_delivery
from trunkwatch.web.program_server import ProgramServer

log = logging.getLogger(__name__)

TOKENS: Mapping[str, tuple[str, str]] = MappingProxyType(
    {
        "github": ("GITHUB_TOKEN", "a fine-grained token needs only Issues: read and write"),
        "gitlab": ("GITLAB_TOKEN", "a project access token needs the scope api and a role that may"
                   " edit issues, Planner or Reporter"),
    }
)  # fmt: skip
"""The variable that the vendor's own tools read, and the rights of a token, by type of tickets."""


@dataclass(frozen=True, slots=True)
class TicketOptions:
    """The command line of `trunkwatch tickets`.

    Attributes:
        config_file: path of the configuration file.
        storage: path of the storage file; required except for a dry run.
        listen: `host:port`.
        alertmanager: base URL of Alertmanager.
        exporters: base URLs of `trunkwatch serve`.
        token_file: file with the token of GitHub or GitLab; None to read the environment.
        auth_token_file: file with the bearer token of deliveries; None to accept all,
            which only a loopback listener may.
        web_config: path of the web configuration; None for plain HTTP without passwords.
        show: prints the requests of a dry run; None to send them.
        interval: from one round to the next without a delivery (seconds).
    """

    config_file: str
    storage: str | None
    listen: str
    alertmanager: str = field(repr=False)  # may have a password, as the next
    exporters: Sequence[str] = field(repr=False)
    token_file: str | None = None
    auth_token_file: str | None = None
    show: Callable[[str, str], None] | None = None
    web_config: str | None = None
    interval: float = ROUND_SECONDS


class TicketServer(ProgramServer):
    """The process of `trunkwatch tickets`: receives deliveries and reconciles issues."""

    _store: TicketStore

    def __init__(self, options: TicketOptions, environ: Mapping[str, str] = os.environ) -> None:
        """Validate the configuration and the flags before anything starts.

        Args:
            options: the command line.
            environ: environment variables; the token if no file is named.

        Raises:
            ConfigError: the configuration, or that of the listener, is invalid.
            UsageError: a flag is invalid.
            StoreError: the storage file cannot be used, another process uses it, or it has the
                issues of another server.
            ListenError: the web address cannot be bound.
        """
        super().__init__()
        config = load_config(options.config_file)
        _check_urls(options)
        self._name = config.name
        self._metrics = TicketMetrics()
        _check_type(config)
        token = None if options.show is not None else _token(config.tickets.type, options, environ)
        api = _api(config, options, self._metrics, token)
        self._store = TicketStore(_storage(options))
        try:
            self._store.bind(_server(config))
            secret = _secret(options.auth_token_file)
            pages = AlertPages(
                self._deliver,
                secret,
                self._metrics.problems,
                self._metrics.families,
                lambda outcome: self._metrics.add("deliveries", outcome),
                self._supervisor.dead_threads,
                lambda: tickets_object(self._metrics.health, dry_run=options.show is not None),
            )
            self._web = WebServer(
                options.listen,
                pages,
                max_connections=config.limits.max_connections,
                count_refused=lambda reason: self._metrics.add("http_refused", reason),
                settings=WebSettings(options.web_config, self._metrics.web_config_reloaded),
                has_own_secret=None if secret is None else is_delivery,
            )
            if secret is None and not self._web.is_loopback:
                self._web.stop()
                raise UsageError(
                    f"--auth.token-file is missing, and anybody who reaches {options.listen} could"
                    " send alerts: name a file with the bearer token of Alertmanager's receiver"
                    " (http_config.authorization.credentials_file), or listen on 127.0.0.1"
                )
        except Exception:
            self._store.close()
            raise
        self._reconciler = _reconciler(config, options, self._store, api, self._metrics, token)
        self._worker = Worker("tickets", self._reconciler.reconcile_all, options.interval)

    def _deliver(self, document: Any) -> str:
        """Store the firing alerts of a delivery; once this returns, they survive a kill."""
        payload = webhook_payload(document, self._name)
        refused = self._store.add_firing(payload.firing, time.time(), self._reconciler.is_known)
        self._worker.wake()
        for outcome, number in payload.outcomes(refused).items():
            self._metrics.add("alerts", outcome, number)
        if payload.skipped:
            fields = {"alerts": len(payload.skipped), "problems": payload.problems()}
            log.warning("alerts of a delivery skipped", extra=fields)
        if refused:
            raise QueueFullError(
                f"{refused} of {len(payload.firing)} firing alerts are too many; send them again"
            )
        return payload.summary()


def print_once(options: TicketOptions) -> Mapping[str, str]:
    """Show what one round would do with issues if every active alert had been delivered.

    The storage file is copied, so that it may be in use.

    Args:
        options: the command line; `show` is set.

    Returns:
        The error of each peer that could not be read.

    Raises:
        ConfigError: the configuration is invalid.
        UsageError: a flag is invalid.
        StoreError: the storage file cannot be used.
        ReadingError: Alertmanager does not answer.
    """
    assert options.show is not None
    config, metrics = load_config(options.config_file), TicketMetrics()
    _check_urls(options)
    _check_type(config)
    listed = HttpStatusClient(options.exporters, options.alertmanager, config.name).alerts()
    active = [
        FiringAlert(key, job, None)
        for key, jobs in listed.alerts.items()
        for job, alert in jobs.items()
        if alert.active is not False
    ]
    with TemporaryDirectory() as folder, closing(_copied(options.storage, folder)) as store:
        store.bind(_server(config))
        store.add_firing(active, time.time())
        api = DryRun(options.show)
        _reconciler(config, options, store, api, metrics, None).reconcile_all()
    return metrics.health.errors


def _copied(path: str | None, folder: str) -> TicketStore:
    if path is None:
        return TicketStore(MEMORY)
    for suffix in ("", "-wal"):
        with suppress(FileNotFoundError):
            shutil.copy(f"{real_path(path)}{suffix}", Path(folder) / f"tickets.db{suffix}")
    return TicketStore(str(Path(folder) / "tickets.db"))


def _reconciler(
    config: Config,
    options: TicketOptions,
    store: TicketStore,
    api: Api,
    metrics: TicketMetrics,
    token: Authorization | None,
) -> Reconciler:
    status = HttpStatusClient(options.exporters, options.alertmanager, config.name)
    checks: dict[str, Check] = {
        "exporter": status.check_exporter,
        "alertmanager": status.alerts,
    }
    if token is not None:
        checks[config.tickets.type] = lambda: token.header(time.time())
    runtime = Runtime(time.time, metrics)
    peers = PeerChecks(checks)
    tracker = IssueTracker(api)
    label_of = Labels(config.limits.max_label_bytes).bounded
    return Reconciler(store, tracker, status, config.tickets, runtime, peers, config.name, label_of)


def _check_urls(options: TicketOptions) -> None:
    check_url("--alertmanager.url", options.alertmanager)
    for url in options.exporters:
        check_url("--exporter.url", url)


def check_url(flag: str, url: str) -> None:
    """Refuse a value of a flag that is no URL.

    Raises:
        UsageError: it is none.
    """
    if not is_server(url):
        # Do not repeat the value: it may contain a password.
        raise UsageError(f"{flag}: must be a URL such as http://127.0.0.1:9093")


def _storage(options: TicketOptions) -> str:
    if options.show is not None:
        return MEMORY
    if options.storage is None:
        raise UsageError(
            "--storage.path is missing: without it, a restart could open an issue twice; name a"
            " file, or try --dry-run"
        )
    return options.storage


def _server(config: Config) -> str:
    return without_credentials(config.tickets.api).rstrip("/")


def _check_type(config: Config) -> None:
    """Refuse GitHub as the default where the issues are to be in projects of GitLab.

    Raises:
        UsageError: neither a type nor a repository is named, and all results are of GitLab.
    """
    is_default = not {"type", "repo"} & config.tickets.model_fields_set
    if is_default and {source.type for source in config.sources} == {"gitlab"}:
        raise UsageError(
            "the sources read GitLab, and tickets opens issues on GitHub: set tickets.type to"
            " gitlab for issues in their projects, or tickets.repo to a repository on GitHub"
        )


def _token(kind: str, options: TicketOptions, environ: Mapping[str, str]) -> Authorization:
    variable, rights = TOKENS[kind]
    if options.token_file is not None:
        return FileToken(options.token_file)
    if environ.get(variable):
        return EnvToken(variable, environ)
    raise UsageError(f"no token: name a file by --token-file, or set {variable}; {rights}")


def _api(
    config: Config, options: TicketOptions, metrics: TicketMetrics, token: Authorization | None
) -> Api:
    if token is None:
        assert options.show is not None
        return DryRun(options.show)
    http = HttpContext(
        count_request=lambda code: metrics.add("requests", code),
        max_answer_bytes=config.limits.max_answer_bytes,
        max_list_pages=config.limits.max_list_pages,
    )
    section = config.tickets
    if section.type == "gitlab":
        return GitlabIssues(section.api, http, token, confidential=section.confidential)
    return GithubIssues(section.api, http, token)


def _secret(path: str | None) -> Callable[[], bytes] | None:
    """Return a function that reads the token of deliveries; fail now if it cannot."""
    if path is None:
        return None

    def read() -> bytes:
        return read_secret(f"--auth.token-file {path}", path)

    read()
    return read
