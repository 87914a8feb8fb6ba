"""Who asks GitHub: nobody in particular, the owner of a token, or a GitHub App."""

import os
from collections.abc import Callable, Mapping
from typing import Protocol

from trunkwatch.config.schema import GithubSource
from trunkwatch.errors import SourceAuthError
from trunkwatch.sources.github.app import AppToken
from trunkwatch.sources.github.credentials import (
    Refusal,
    content_of,
    fingerprint_of,
    is_header_word,
)
from trunkwatch.sources.port import SourceContext

TRY_TOKEN_AGAIN = 3600.0
"""Seconds after which a refused token is tried again although it is the same one: servers that
were out of order have refused good ones, and one request an hour hammers nobody."""


class Authorization(Protocol):
    """Gives the header that says who asks."""

    def header(self, now: float) -> str | None:
        """Return the value of the Authorization header; None where nobody in particular asks.

        Args:
            now: seconds since the epoch.

        Raises:
            SourceAuthError: there is no token to give, or the server refused it a while ago.
            SourceError: the server was asked for a token, and did not give one.
        """

    def fingerprint(self, now: float) -> str:
        """Return 8 characters that tell tokens apart and give nothing away; "" without a token.

        Raises:
            SourceError: as for `header`.
        """

    def refused(self) -> None:
        """Take note that the server answered the last header with 401."""


def authorization_of(config: GithubSource, tools: SourceContext) -> Authorization:
    """Return what a source authenticates with."""
    if config.app is not None:
        return AppToken(config, config.app, tools)
    if config.token_file is not None:
        return FileToken(config.name, config.token_file)
    if config.token_env is not None:
        return EnvToken(config.name, config.token_env)
    return NoToken(config.name)


def webhook_secret(config: GithubSource) -> Callable[[], bytes | None]:
    """Return a function that reads the secret of a source's webhooks; None where they are off.

    The function raises SourceAuthError where there should be a secret and none can be read.
    """

    def read() -> bytes | None:
        path = config.webhook_secret_file
        if path is None:
            return None
        return content_of(config.name, f"webhook_secret_file {path}", path)

    return read


class NoToken:
    """Nobody in particular asks: 60 requests an hour on github.com."""

    def __init__(self, source: str) -> None:
        """Args:
        source: its name, for errors.
        """
        self._refusal = Refusal(source, TRY_TOKEN_AGAIN)

    def header(self, now: float) -> None:
        """Return no header."""
        self._refusal.check("", now)

    def fingerprint(self, now: float) -> str:
        """Return nothing, since there is no token."""
        del now
        return ""

    def refused(self) -> None:
        """Take note that this server answers nobody without a token."""
        self._refusal.refuse(
            "the server asks for a token (HTTP 401); name one by token_file, token_env or app"
        )


class _Token:
    """A token that stands somewhere, and is read each time that it is used."""

    def __init__(self, source: str, where: str, read: Callable[[], bytes]) -> None:
        """Args:
        source: its name, for errors.
        where: the key and the place, for errors.
        read: returns the token; raises SourceAuthError.
        """
        self._source = source
        self._where = where
        self._read = read
        self._refusal = Refusal(source, TRY_TOKEN_AGAIN)

    def header(self, now: float) -> str:
        """Return the token as a header."""
        token = self._token()
        self._refusal.check(fingerprint_of(token), now)
        return f"Bearer {token.decode('ascii')}"

    def fingerprint(self, now: float) -> str:
        """Tell this token from others."""
        del now
        return fingerprint_of(self._token())

    def refused(self) -> None:
        """Take note that the token is not accepted."""
        self._refusal.refuse(
            f"the server refuses the token of {self._where} (HTTP 401): it is wrong, revoked or"
            " expired; a new one is tried at once, the same one again in an hour"
        )

    def _token(self) -> bytes:
        token = self._read()
        if not is_header_word(token):
            raise SourceAuthError(self._source, f"{self._where} holds no token: one is one word")
        return token


class FileToken(_Token):
    """A token in a file."""

    def __init__(self, source: str, path: str) -> None:
        """Args:
        source: its name, for errors.
        path: the file.
        """
        where = f"token_file {path}"
        super().__init__(source, where, lambda: content_of(source, where, path))


class EnvToken(_Token):
    """A token in an environment variable."""

    def __init__(self, source: str, name: str, environ: Mapping[str, str] = os.environ) -> None:
        """Args:
        source: its name, for errors.
        name: the variable.
        environ: the environment.
        """
        where = f"token_env {name}"

        def read() -> bytes:
            token = environ.get(name, "").strip()
            if not token:
                raise SourceAuthError(source, f"{where}: this variable is not set, or is empty")
            return token.encode("utf-8", "surrogateescape")

        super().__init__(source, where, read)
