"""A GitHub App: its key signs a JWT, and the JWT gets a token for its installation.

The steps stand at https://docs.github.com/en/apps/creating-github-apps/authenticating-with-a-github-app.
"""

import threading
from collections.abc import Mapping
from datetime import datetime
from http import HTTPStatus
from types import MappingProxyType
from typing import Any

import requests
from requests.auth import AuthBase

from trunkwatch.config.schema import GithubApp, GithubSource
from trunkwatch.errors import (
    SourceAnswerError,
    SourceAuthError,
    SourceLimitedError,
    SourceUnreachable,
)
from trunkwatch.sources.github.credentials import (
    Refusal,
    content_of,
    fingerprint_of,
    is_header_word,
)
from trunkwatch.sources.github.dialect import HEADERS
from trunkwatch.sources.http import cause_of, without_credentials
from trunkwatch.sources.port import SourceContext

TRY_APP_AGAIN = 600.0
"""Seconds after which an App that was refused asks for an installation token again."""

JWT_BACKDATED, JWT_SECONDS = 60, 540
"""Seconds that a JWT is dated back, and good for: clocks differ, and GitHub refuses one that is
good for more than ten minutes by its own clock."""

RENEW_BEFORE = 300.0
"""Seconds before its end at which an installation token is replaced."""

LEAST_USE, MOST_USE = 60.0, 3300.0
"""Seconds that an installation token is used whatever the server's clock says of its end. It is
good for an hour; by a wrong clock here, one would be asked for at each request, or used for ever.
"""

PAUSE = 60.0
"""Seconds to wait at a rate limit that says nothing of time, as GitHub's rules ask."""

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
"""What the answers that asking again does not change mean, by their status."""


class AppToken:
    """The installation token of a GitHub App, asked for when there is none and replaced in time."""

    def __init__(self, config: GithubSource, app: GithubApp, tools: SourceContext) -> None:
        """Args:
        config: of the source.
        app: the App, as the configuration describes it.
        tools: makes the session and counts the requests.
        """
        self._source = config.name
        self._app = app
        self._key_place = f"private_key_file {app.private_key_file}"
        self._repo = config.all_repos[0]
        self._api = without_credentials(config.api_url).rstrip("/")
        self._timeout = config.timeout
        self._count = tools.count_request
        self._session = tools.session()
        self._session.headers.update(HEADERS)
        self._refusal = Refusal(config.name, TRY_APP_AGAIN)
        self._lock = threading.Lock()
        self._key = ""
        self._token: str | None = None
        self._renew_at = 0.0

    def header(self, now: float) -> str:
        """Return the installation token as a header; ask for one where there is none."""
        with self._lock:
            if self._token is None or now >= self._renew_at:
                self._token, self._renew_at = self._new_token(now)
            self._refusal.check(self._key, now)
            return f"Bearer {self._token}"

    def fingerprint(self, now: float) -> str:
        """Tell this installation token from others: an ETag is good for one of them only."""
        return fingerprint_of(self.header(now).encode())

    def refused(self) -> None:
        """Forget the installation token."""
        with self._lock:
            self._token = None
            self._refusal.refuse(
                "the server refuses the installation token that it gave (HTTP 401): the App was"
                " suspended or removed; it is asked for a new one in ten minutes"
            )

    def _new_token(self, now: float) -> tuple[str, float]:
        """Return a token and when to replace it."""
        key = content_of(self._source, self._key_place, self._app.private_key_file)
        self._key = fingerprint_of(key)
        self._refusal.check(self._key, now)
        signed = _Bearer(self._signed(key, int(now)))
        number = self._app.installation_id or self._installation(signed, now)
        path = f"/app/installations/{number}/access_tokens"
        answer = self._ask("POST", path, signed, now)
        try:
            token, end = answer["token"], datetime.fromisoformat(answer["expires_at"])
            if not is_header_word(token.encode()):
                raise ValueError
        except (AttributeError, KeyError, TypeError, ValueError):
            raise self._odd("POST", path) from None
        return token, min(max(end.timestamp() - RENEW_BEFORE, now + LEAST_USE), now + MOST_USE)

    def _installation(self, signed: AuthBase, now: float) -> int:
        path = f"/repos/{self._repo}/installation"
        try:
            return int(self._ask("GET", path, signed, now)["id"])
        except (KeyError, TypeError, ValueError):
            raise self._odd("GET", path) from None

    def _signed(self, key: bytes, now: int) -> str:
        try:
            import jwt
        except ImportError:
            raise SourceAuthError(self._source, NEEDS_EXTRA) from None
        issuer = str(self._app.app_id)
        claims = {"iat": now - JWT_BACKDATED, "exp": now + JWT_SECONDS, "iss": issuer}
        try:
            return jwt.encode(claims, key, algorithm="RS256")
        except NotImplementedError:
            # PyJWT is there, and what it signs with is not.
            raise SourceAuthError(self._source, NEEDS_EXTRA) from None
        except (jwt.PyJWTError, AttributeError, TypeError, ValueError):
            problem = (
                f"{self._key_place} holds no private RSA key as PEM; the App's settings make one"
            )
            raise SourceAuthError(self._source, problem) from None

    # ------------------------------------------------------------------ one request

    def _ask(self, method: str, path: str, signed: AuthBase, now: float) -> Any:
        url = f"{self._api}{path}"
        try:
            answer = self._session.request(method, url, auth=signed, timeout=self._timeout)
        except requests.RequestException as error:
            self._count("error")
            raise SourceUnreachable(self._source, f"{method} {url}: {cause_of(error)}") from None
        self._count(str(answer.status_code))
        if answer.status_code not in (HTTPStatus.OK, HTTPStatus.CREATED):
            self._complain(method, url, answer, now)
        try:
            return answer.json()
        except (ValueError, RecursionError):
            raise self._odd(method, path) from None

    def _complain(self, method: str, url: str, answer: requests.Response, now: float) -> None:
        """Raise what an answer that is none means."""
        problem = f"{method} {url}: HTTP {answer.status_code}"
        wait = _limited(answer, now)
        if wait is not None:
            raise SourceLimitedError(
                self._source, f"{problem}, rate limited for {wait:.0f} s", now + wait
            )
        why = REFUSALS.get(answer.status_code)
        if why is None:
            raise SourceAnswerError(self._source, f"{problem} {answer.reason}")
        why = why.format(repo=self._repo)
        raise self._refusal.refuse(f"{problem}: {why}; it is asked again in ten minutes")

    def _odd(self, method: str, path: str) -> SourceAnswerError:
        # What came instead is not quoted: it may hold the token.
        url = f"{self._api}{path}"
        return SourceAnswerError(self._source, f"{method} {url}: not what GitHub documents")


class _Bearer(AuthBase):
    """Sends a JWT; a header alone would give way to what a ~/.netrc says of the host."""

    def __init__(self, signed: str) -> None:
        self._signed = signed

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        request.headers["Authorization"] = f"Bearer {self._signed}"
        return request


def _limited(answer: requests.Response, now: float) -> float | None:
    """Return the seconds to wait, where the answer is a rate limit."""
    asked, reset = answer.headers.get("Retry-After"), answer.headers.get("X-RateLimit-Reset")
    spent = answer.headers.get("X-RateLimit-Remaining") == "0"
    if answer.status_code != HTTPStatus.TOO_MANY_REQUESTS and (
        answer.status_code != HTTPStatus.FORBIDDEN or not (asked or spent)
    ):
        return None
    if asked and asked.isdecimal():
        return float(asked)
    return max(float(reset) - now, PAUSE) if spent and reset and reset.isdecimal() else PAUSE
