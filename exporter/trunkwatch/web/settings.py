"""The settings of a listener from its web configuration, read again when its files change."""

import errno
import hashlib
import logging
import ssl
from collections.abc import Callable
from dataclasses import dataclass

from trunkwatch.config.web_config import WebConfig, parse_web_config
from trunkwatch.errors import ConfigError
from trunkwatch.textfiles import open_regular
from trunkwatch.web.login import Checks, Logins
from trunkwatch.web.tls import tls_context

log = logging.getLogger(__name__)

MAX_FILE_BYTES = 1024 * 1024
"""The longest web configuration, certificate or key."""


@dataclass(frozen=True, slots=True, repr=False)
class Settings:
    """The settings of one state of the files.

    Attributes:
        tls: for new connections; None for plain HTTP.
        allowed_sans: names of which the certificate of a client must have one; all if empty.
        logins: who may read.
        headers: of every answer, in place of others of their names.
    """

    tls: ssl.SSLContext | None
    allowed_sans: tuple[str, ...]
    logins: Logins
    headers: tuple[tuple[str, str], ...]


_Files = list[tuple[str, bytes | str]]
"""Paths, and digests of their contents (a key is not kept in memory twice) or why they cannot be
read."""


class WebSettings:
    """The current settings of one listener. For use in its event loop.

    The files are compared at each connection and request, as Prometheus' exporters do: they are
    small, and their times are too coarse to detect every change.
    """

    def __init__(self, path: str | None, report: Callable[[bool], None] = lambda _: None) -> None:
        """Read the files.

        Args:
            path: of the web configuration; None for plain HTTP without passwords.
            report: called with False when a change cannot be used, with True when it is mended.

        Raises:
            ConfigError: a file cannot be used.
        """
        self._path = path
        self._report = report
        self._checks = Checks()
        self._seen: _Files = []
        self._refused: tuple[_Files, tuple[str, ...]] | None = None
        self._problem = ""
        self._now = Settings(None, (), Logins({}, self._checks), ())
        if path is not None:
            self._now = self._read(path, self._seen)

    def current(self) -> Settings:
        """Return the settings; those before a change that cannot be used, whatever is wrong."""
        if self._path is not None:
            try:
                self._refresh(self._path)
            except ConfigError as error:
                self._keep(str(error))
            except Exception as error:
                # asyncio drops an exception here, and with it the connection, without a log line.
                self._keep(repr(error), error)
        return self._now

    def _refresh(self, path: str) -> None:
        """Use the files if they have changed.

        Raises:
            ConfigError: they cannot be used.
        """
        if _is_unchanged(self._seen):
            self._recovered()
            return
        if self._refused is not None and _is_unchanged(self._refused[0]):
            # Parsing takes seconds at worst, in the event loop, and anybody can connect.
            raise ConfigError(path, self._refused[1])
        self._refused = None
        seen: _Files = []
        try:
            settings = self._read(path, seen)
            self._check_protection(settings, path)
        except ConfigError as error:
            self._refused = seen, error.problems
            raise
        self._seen, self._now = seen, settings
        self._recovered()
        log.info("web configuration reloaded", extra={"path": path})

    def close(self) -> None:
        """Stop the threads."""
        self._checks.close()

    def _recovered(self) -> None:
        if self._problem:
            self._problem = ""
            self._report(True)

    def _keep(self, problem: str, internal: Exception | None = None) -> None:
        """Log a problem once: anybody can send requests."""
        if problem != self._problem:
            text = "web configuration not usable, the old one stays"
            log.error(text, extra={"error": problem}, exc_info=internal)
            self._report(False)
        self._problem = problem

    def _check_protection(self, settings: Settings, path: str) -> None:
        """Refuse a change that leaves data open: a file may be seen while it is written.

        Raises:
            ConfigError: it would need a restart.
        """
        problems = []
        if (settings.tls is None) != (self._now.tls is None):
            problems.append("tls_server_config: can be added or deleted by a restart only")
        if self._now.logins and not settings.logins:
            problems.append("basic_auth_users: the last user can be deleted by a restart only")
        if problems:
            raise ConfigError(path, problems)

    def _read(self, path: str, seen: _Files) -> Settings:
        """Return the settings of the files, which are added to `seen`.

        Raises:
            ConfigError: they cannot be used.
        """
        config = parse_web_config(_content_or_error(path, path, "", seen), path)
        section = config.tls_server_config
        if section is None:
            return self._settings(config, None)
        for key in ("cert_file", "key_file", "client_ca_file"):
            name = getattr(section, key)
            if name is not None:
                _content_or_error(name, path, f"tls_server_config.{key}: {name} ", seen)
        try:
            context = tls_context(section)
        except ValueError as error:
            raise ConfigError(path, [f"tls_server_config: {error}"]) from None
        return self._settings(config, context)

    def _settings(self, config: WebConfig, tls: ssl.SSLContext | None) -> Settings:
        section = config.tls_server_config
        users = {name: each.get_secret_value() for name, each in config.basic_auth_users.items()}
        return Settings(
            tls,
            (section.client_allowed_sans or ()) if section else (),
            Logins(users, self._checks),
            tuple(config.http_server_config.headers.items()),
        )


def _digest(content: bytes) -> bytes:
    return hashlib.sha256(content).digest()


def _content(path: str) -> bytes:
    """Return the content of a file.

    Raises:
        OSError: it cannot be read, is no regular file, or is too large.
    """
    with open_regular(path) as file:
        content = file.read(MAX_FILE_BYTES + 1)
    if len(content) > MAX_FILE_BYTES:
        raise OSError(errno.EFBIG, f"larger than {MAX_FILE_BYTES} bytes")
    return content


def _state(path: str) -> bytes | str:
    try:
        return _digest(_content(path))
    except OSError as error:
        return str(error)


def _is_unchanged(files: _Files) -> bool:
    return all(_state(path) == state for path, state in files)


def _content_or_error(path: str, config_path: str, where: str, seen: _Files) -> bytes:
    """Return the content of a file, which is added to `seen` also if it cannot be read.

    Raises:
        ConfigError: it cannot be read.
    """
    try:
        content = _content(path)
    except OSError as error:
        seen.append((path, str(error)))
        problem = f"{where}cannot be read ({error.strerror})"
        raise ConfigError(config_path, [problem]) from None
    seen.append((path, _digest(content)))
    return content
