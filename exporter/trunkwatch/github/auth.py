"""Authentication: a token, or a GitHub App whose key signs a JWT that gets an installation token.

The steps are described at
https://docs.github.com/en/apps/creating-github-apps/authenticating-with-a-github-app.
"""

import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import datetime
from http import HTTPStatus
from types import MappingProxyType
from typing import Any

from trunkwatch.config.sources import GithubApp, GithubSource
from trunkwatch.errors import (
    BadAnswerError,
    CredentialsError,
    NotFoundError,
    RateLimitedError,
    RequestError,
)
from trunkwatch.github.api import GithubRules
from trunkwatch.rest.client import RestClient
from trunkwatch.rest.credentials import (
    BEARER,
    Authorization,
    RefusedCredential,
    fingerprint_of,
    is_header_word,
    read_secret,
    token_of,
)
from trunkwatch.rest.http import HttpContext

JWT_BACKDATED_SECONDS, JWT_SECONDS = 60, 540
"""Seconds that a JWT is dated back, and valid for: clocks differ, and GitHub refuses one that is
valid for more than ten minutes by its own clock."""

RENEW_BEFORE_SECONDS = 300.0
"""Seconds before its end at which an installation token is replaced."""

MIN_USE_SECONDS, MAX_USE_SECONDS = 60.0, 3300.0
"""Seconds that an installation token is used whatever end the server's clock gives. It is valid
for an hour; with a wrong clock here, one would be requested each time, or used for ever.
"""

NEEDS_EXTRA = "app needs an extra of the package: pip install 'trunkwatch[github-app]'"

REFUSALS: Mapping[int, str] = MappingProxyType(
    {
        HTTPStatus.UNAUTHORIZED: "app_id and private_key_file do not belong together, or the clock"
        " of this machine is wrong",
        HTTPStatus.FORBIDDEN: "the App's installation is suspended",
        HTTPStatus.NOT_FOUND: "the App is not installed where {repo} is, or installation_id is that"
        " of another App",
    }
)
"""The meaning of permanent refusals, by their status."""


def authorization_of(config: GithubSource, http: HttpContext) -> Authorization:
    """Return how a source authenticates."""
    if config.app is not None:
        return AppToken(config, config.app, http)
    return token_of(config.token_file, config.token_env, "token_file, token_env or app")


class AppToken:
    """The installation token of a GitHub App, requested when needed and replaced in time.

    One value with an end of its own needs no cache library: two attributes and a lock hold it.
    """

    def __init__(self, config: GithubSource, app: GithubApp, http: HttpContext) -> None:
        self._app = app
        self._account = config.entries[0]
        self._jwt = _Jwt(app)
        self._api = RestClient(
            config.api_url,
            http,
            rules=GithubRules(),
            authorization=self._jwt,
            timeout=config.timeout,
        )
        self._refusal = RefusedCredential()
        self._lock = threading.Lock()
        self._key = ""
        self._token: str | None = None
        self._renew_at = 0.0

    def header(self, now: float) -> str:
        """Return the installation token as a header; request one if there is none."""
        with self._lock:
            if self._token is None or now >= self._renew_at:
                self._token, self._renew_at = self._new_token(now)
            self._refusal.check(self._key, now)
            return f"{BEARER}{self._token}"

    def fingerprint(self, now: float) -> str:
        """Return the fingerprint of the installation token."""
        return fingerprint_of(self.header(now).encode())

    def refused(self, header: str | None) -> None:
        """Drop the installation token, unless it has been replaced since."""
        with self._lock:
            if header != f"{BEARER}{self._token}":
                return
            self._token = None
            self._refusal.refuse(
                self._key,
                "the server refuses the installation token that it gave (HTTP 401): the App was"
                " suspended or removed; it is asked for a new one after a pause",
            )

    def _new_token(self, now: float) -> tuple[str, float]:
        """Return a token and when to replace it."""
        self._key = self._jwt.fingerprint(now)
        self._refusal.check(self._key, now)
        self._jwt.sign(now)
        number = self._app.installation_id or self._installation()
        path = f"/app/installations/{number}/access_tokens"
        answer = self._ask("POST", path)
        try:
            token, end = answer["token"], datetime.fromisoformat(answer["expires_at"])
            if not is_header_word(token.encode()):
                raise ValueError
        except (AttributeError, KeyError, TypeError, ValueError):
            raise self._odd("POST", path) from None
        renew_at = max(end.timestamp() - RENEW_BEFORE_SECONDS, now + MIN_USE_SECONDS)
        return token, min(renew_at, now + MAX_USE_SECONDS)

    def _installation(self) -> int:
        """Return the installation on the first repository, or on the owner of the first glob."""
        path = f"/repos/{self._account.name}/installation"
        if self._account.is_glob:
            path = f"/users/{self._account.owner}/installation"
            with suppress(NotFoundError):
                return self._number(f"/orgs/{self._account.owner}/installation", self._api.request)
        return self._number(path, self._ask)

    def _number(self, path: str, ask: Callable[[str, str], Any]) -> int:
        try:
            return int(ask("GET", path)["id"])
        except (KeyError, TypeError, ValueError):
            raise self._odd("GET", path) from None

    def _ask(self, method: str, path: str) -> Any:
        try:
            return self._api.request(method, path)
        except RequestError as error:
            if error.status in (HTTPStatus.OK, HTTPStatus.CREATED):
                raise self._odd(method, path) from None
            why = REFUSALS.get(error.status or 0)
            if why is None or isinstance(error, RateLimitedError):
                raise
            problem = f"{method} {self._api.address(path)}: HTTP {error.status}"
            why = why.format(repo=self._account.name)
            refusal = f"{problem}: {why}; it is asked again after a pause"
        raise self._refusal.refuse(self._key, refusal)

    def _odd(self, method: str, path: str) -> BadAnswerError:
        # The answer is not quoted: it may hold the token.
        return BadAnswerError(f"{method} {self._api.address(path)}: not what GitHub documents")


class _Jwt:
    """The JWT that authenticates the App itself; signed anew for each installation token."""

    def __init__(self, app: GithubApp) -> None:
        self._app = app
        self._where = f"private_key_file {app.private_key_file}"
        self._key = b""
        self._signed = ""

    def header(self, now: float) -> str:
        del now
        return f"{BEARER}{self._signed}"

    def fingerprint(self, now: float) -> str:
        """Read the key anew; return its fingerprint."""
        del now
        self._key = read_secret(self._where, self._app.private_key_file)
        return fingerprint_of(self._key)

    def refused(self, header: str | None) -> None:
        """Do nothing: AppToken records refusals."""

    def sign(self, now: float) -> None:
        """Sign a new JWT with the key that was read last."""
        try:
            import jwt
        except ImportError:
            raise CredentialsError(NEEDS_EXTRA) from None
        issued = int(now)
        claims = {
            "iat": issued - JWT_BACKDATED_SECONDS,
            "exp": issued + JWT_SECONDS,
            "iss": str(self._app.app_id),
        }
        try:
            self._signed = jwt.encode(claims, self._key, algorithm="RS256")
        except NotImplementedError:
            # PyJWT is installed, and cryptography, with which it signs, is not.
            raise CredentialsError(NEEDS_EXTRA) from None
        except (jwt.PyJWTError, AttributeError, TypeError, ValueError):
            raise CredentialsError(
                f"{self._where} holds no private RSA key as PEM; the App's settings make one"
            ) from None
