"""Asking a CI server for JSON, with every way in which that fails made one clear line."""

from collections.abc import Sequence
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import requests
from requests.utils import get_auth_from_url

from trunkwatch.errors import SourceAnswerError, SourceUnreachable
from trunkwatch.sources.port import SourceContext

USER_AGENT = "trunkwatch"
BODY_SHOWN = 60
"""Characters of an unexpected body that an error quotes."""


class JsonClient:
    """GETs JSON objects from below one address."""

    def __init__(self, source: str, base: str, tools: SourceContext, timeout: float) -> None:
        """Args:
        source: name of the source that asks, for errors.
        base: the address that every path is put behind; user:password@ in it is sent as HTTP
            basic authentication and shown nowhere.
        tools: makes the session and counts the requests.
        timeout: seconds to wait for a connection, and for each part of an answer.
        """
        self._source = source
        self._base = without_credentials(base).rstrip("/")
        self._tools = tools
        self._timeout = timeout
        self._session = tools.session()
        self._session.headers.update({"Accept": "application/json", "User-Agent": USER_AGENT})
        user, password = get_auth_from_url(base)
        if user or password:
            self._session.auth = (user, password)

    def address(self, path: str) -> str:
        """Return the address of a path, fit to be shown."""
        return f"{self._base}{path}"

    def get(self, path: str, query: Sequence[tuple[str, str | int]] = ()) -> dict[str, Any]:
        """Return the object at a path.

        Raises:
            SourceUnreachable: no answer, or one that was cut off.
            SourceAnswerError: a status other than 200, or a body that is not a JSON object.
        """
        url = self.address(path)
        try:
            answer = self._session.get(url, params=list(query), timeout=self._timeout)
        except requests.RequestException as error:
            self._tools.count_request("error")
            raise SourceUnreachable(self._source, f"GET {url}: {cause_of(error)}") from None
        self._tools.count_request(str(answer.status_code))
        return self._object(url, answer)

    def _object(self, url: str, answer: requests.Response) -> dict[str, Any]:
        if answer.status_code != requests.codes.ok:
            raise SourceAnswerError(
                self._source, f"GET {url}: HTTP {answer.status_code} {answer.reason}"
            )
        try:
            document = answer.json()
        except (ValueError, RecursionError):
            shown = " ".join(answer.text.split())[:BODY_SHOWN]
            raise SourceAnswerError(
                self._source, f"GET {url}: the answer is not JSON: {shown!r}"
            ) from None
        if not isinstance(document, dict):
            raise SourceAnswerError(self._source, f"GET {url}: the answer is not a JSON object")
        return document


def without_credentials(url: str) -> str:
    """Return an address without its user:password@, so that no error, metric or page shows them."""
    parts = urlsplit(url)
    return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))


def cause_of(error: requests.RequestException) -> str:
    """Say in a few words why there was no answer."""
    if isinstance(error, requests.Timeout):
        return "timed out"
    reason: object = error
    while isinstance(reason, BaseException) and reason.args:
        inner = getattr(reason.args[0], "reason", None) or reason.args[-1]
        if not isinstance(inner, BaseException):
            break
        reason = inner
    return " ".join(str(reason).split()) or type(error).__name__
