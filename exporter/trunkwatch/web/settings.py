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


_Files = tuple[tuple[str, bytes], ...]
"""Paths, and digests of their contents: a key is not kept in memory twice."""


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
        self._seen: _Files = ()
        self._problem = ""
        self._now = Settings(None, (), Logins({}, self._checks), ())
        if path is not None:
            self._seen, self._now = self._read(path)

    def current(self) -> Settings:
        """Return the settings; those before a change that cannot be used."""
        if self._path is None:
            return self._now
        if self._is_unchanged():
            self._recovered()
        else:
            try:
                seen, settings = self._read(self._path)
                self._check_protection(settings, self._path)
            except ConfigError as error:
                self._keep(error)
            else:
                self._seen, self._now = seen, settings
                self._recovered()
                log.info("web configuration reloaded", extra={"path": self._path})
        return self._now

    def close(self) -> None:
        """Stop the threads."""
        self._checks.close()

    def _is_unchanged(self) -> bool:
        try:
            return all(_digest(_content(path)) == digest for path, digest in self._seen)
        except OSError:
            return False

    def _recovered(self) -> None:
        if self._problem:
            self._problem = ""
            self._report(True)

    def _keep(self, error: ConfigError) -> None:
        problem = str(error)
        if problem != self._problem:
            log.error("web configuration not usable, the old one stays", extra={"error": problem})
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

    def _read(self, path: str) -> tuple[_Files, Settings]:
        content = _content_or_error(path, path, "")
        config = parse_web_config(content, path)
        files, section = [(path, _digest(content))], config.tls_server_config
        if section is None:
            return tuple(files), self._settings(config, None)
        for key in ("cert_file", "key_file", "client_ca_file"):
            name = getattr(section, key)
            if name is not None:
                found = _content_or_error(name, path, f"tls_server_config.{key}: {name} ")
                files.append((name, _digest(found)))
        try:
            context = tls_context(section)
        except ValueError as error:
            raise ConfigError(path, [f"tls_server_config: {error}"]) from None
        return tuple(files), self._settings(config, context)

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


def _content_or_error(path: str, config_path: str, where: str) -> bytes:
    try:
        return _content(path)
    except OSError as error:
        problem = f"{where}cannot be read ({error.strerror})"
        raise ConfigError(config_path, [problem]) from None
