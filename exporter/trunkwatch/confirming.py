"""The composition of `trunkwatch confirm`; names each concrete class once."""

import logging
import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import NamedTuple

from trunkwatch.config import ConfirmSection, load_config
from trunkwatch.confirm.buildbot import BuildbotRunner
from trunkwatch.confirm.github import GithubRunner
from trunkwatch.confirm.gitlab import GitlabRunner
from trunkwatch.confirm.listing import confirm_object
from trunkwatch.confirm.metrics import ConfirmMetrics
from trunkwatch.confirm.rounds import Confirmer
from trunkwatch.confirm.runner import Runner
from trunkwatch.confirm.store import ConfirmStore
from trunkwatch.errors import UsageError
from trunkwatch.rest.client import READ_TRIES
from trunkwatch.rest.credentials import Authorization, EnvToken, FileToken
from trunkwatch.rest.http import HttpContext
from trunkwatch.status.client import ExporterClient
from trunkwatch.status.worker import ROUND_SECONDS, Worker
from trunkwatch.urls import is_server
from trunkwatch.web import WebServer, WebSettings
from trunkwatch.web.program import CONFIRM_PATH, ProgramPages
from trunkwatch.web.program_server import ProgramServer

log = logging.getLogger(__name__)


def _github(section: ConfirmSection, http: HttpContext, token: Authorization | None) -> Runner:
    assert token is not None
    return GithubRunner(
        section.api,
        http,
        token,
        events=section.events,
        called_workflows=section.called_workflows,
        never=section.never,
    )


def _gitlab(section: ConfirmSection, http: HttpContext, token: Authorization | None) -> Runner:
    assert token is not None
    return GitlabRunner(section.api, http, token, events=section.events, never=section.never)


def _buildbot(section: ConfirmSection, http: HttpContext, token: Authorization | None) -> Runner:
    del token
    return BuildbotRunner(
        section.api,
        http,
        builders=section.builders,
        never=section.never,
        force_scheduler=section.force_scheduler,
    )


class Ci(NamedTuple):
    """One type of CI.

    Attributes:
        runner: makes the client.
        variable: the environment variable of the token that the vendor's own tools read; None for
            a CI without tokens.
        rights: those that a token needs, or the credentials of a CI without tokens.
    """

    runner: Callable[[ConfirmSection, HttpContext, Authorization | None], Runner]
    variable: str | None
    rights: str


CIS: Mapping[str, Ci] = MappingProxyType(
    {
        "github": Ci(
            _github,
            "GITHUB_TOKEN",
            "a fine-grained token needs Actions: read and write, and Contents: read",
        ),
        "gitlab": Ci(
            _gitlab,
            "GITLAB_TOKEN",
            "a project access token needs the scope api and a role that may retry jobs, such as"
            " Developer",
        ),
        "buildbot": Ci(
            _buildbot,
            None,
            "Buildbot has no tokens: write user:password@ into confirm.api_url",
        ),
    }
)
"""Every CI that can run jobs again, by the type in the configuration."""


@dataclass(frozen=True, slots=True)
class ConfirmOptions:
    """The command line of `trunkwatch confirm`.

    Attributes:
        config_file: path of the configuration file.
        storage: path of the storage file.
        listen: `host:port`.
        exporter: base URL of `trunkwatch serve`.
        token_file: file with the token of the CI; None to read the environment.
        web_config: path of the web configuration; None for plain HTTP without passwords.
        interval: from one round to the next (seconds).
    """

    config_file: str
    storage: str
    listen: str
    exporter: str = field(repr=False)  # may have a password
    token_file: str | None = None
    web_config: str | None = None
    interval: float = ROUND_SECONDS


class ConfirmServer(ProgramServer):
    """The process of `trunkwatch confirm`: a round every minute, and its pages."""

    def __init__(self, options: ConfirmOptions, environ: Mapping[str, str] = os.environ) -> None:
        """Validate the configuration and the flags before anything starts.

        Args:
            options: the command line.
            environ: environment variables; the token if no file is named.

        Raises:
            ConfigError: the configuration, or that of the listener, is invalid.
            UsageError: a flag is invalid, or the configuration has no section `confirm`.
            StoreError: the storage file cannot be used, or another process uses it.
            ListenError: the web address cannot be bound.
        """
        config = load_config(options.config_file)
        section = config.confirm
        if section is None:
            raise UsageError(
                f"{options.config_file}: confirm is missing, and nothing is run again without it:"
                " add `confirm: {mode: ask}`, which only shows what would be run (docs/confirm.md)"
            )
        if not is_server(options.exporter):
            # Do not repeat the value: it may contain a password.
            raise UsageError("--exporter.url: must be a URL such as http://127.0.0.1:10077")
        ci = CIS[section.type]
        token = _token(ci, options, environ)
        super().__init__(mode=section.mode)
        self._metrics = ConfirmMetrics()
        http = HttpContext(
            count_request=lambda code: self._metrics.add("requests", code),
            max_answer_bytes=config.limits.max_answer_bytes,
        )
        self._store = ConfirmStore(options.storage)
        try:
            self._web = WebServer(
                options.listen,
                ProgramPages(
                    CONFIRM_PATH,
                    lambda: confirm_object(self._metrics.health, section.mode),
                    self._metrics.problems,
                    self._metrics.families,
                    self._supervisor.dead_threads,
                ),
                max_connections=config.limits.max_connections,
                count_refused=lambda reason: self._metrics.add("http_refused", reason),
                settings=WebSettings(options.web_config, self._metrics.web_config_reloaded),
            )
        except Exception:
            self._store.close()
            raise
        confirmer = Confirmer(
            self._store,
            ExporterClient(options.exporter, tries=READ_TRIES),
            ci.runner(section, http, token),
            section,
            self._metrics,
            time.time,
        )
        self._worker = Worker("confirm", confirmer.round, options.interval)


def _token(ci: Ci, options: ConfirmOptions, environ: Mapping[str, str]) -> Authorization | None:
    if ci.variable is None:
        if options.token_file is not None:
            raise UsageError(f"--token-file: {ci.rights}")
        return None
    if options.token_file is not None:
        return FileToken(options.token_file)
    if environ.get(ci.variable):
        return EnvToken(ci.variable, environ)
    raise UsageError(f"no token: name a file by --token-file, or set {ci.variable}; {ci.rights}")
