"""A session whose requests reach the fake GitHub without a socket, in a tenth of the time."""

import io
from collections.abc import Callable, Iterator, Mapping
from http import HTTPStatus
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import requests
import urllib3.exceptions
from requests.adapters import BaseAdapter
from requests.structures import CaseInsensitiveDict

from tests.github.http_server import HttpRequest, HttpResponse, Transfer

Respond = Callable[[HttpRequest], HttpResponse]


class DirectSession(requests.Session):
    """A session that passes every request to a function.

    It is for simulated time, in which thousands of requests are sent. Connections, and what can go
    wrong with them, are tested through the server (tests/rest, tests/github/test_faults.py).
    """

    def __init__(self, respond: Respond) -> None:
        """Args:
        respond: returns the response to a request.
        """
        super().__init__()
        self.trust_env = (
            False  # no proxy and no ~/.netrc: looking for them takes as long as the rest
        )
        self.mount("http://", _Adapter(respond))


class _Adapter(BaseAdapter):
    def __init__(self, respond: Respond) -> None:
        super().__init__()
        self._respond = respond

    def send(
        self,
        request: requests.PreparedRequest,
        stream: bool = False,
        timeout: Any = None,
        verify: Any = True,
        cert: Any = None,
        proxies: Mapping[str, str] | None = None,
    ) -> requests.Response:
        del stream, timeout, verify, cert, proxies
        parts = urlsplit(str(request.url))
        body = request.body or b""
        sent = self._respond(
            HttpRequest(
                str(request.method),
                parts.path,
                parse_qsl(parts.query, keep_blank_values=True),
                {name.lower(): str(value) for name, value in request.headers.items()},
                body.encode() if isinstance(body, str) else body,
            )
        )
        if sent.transfer is Transfer.NEVER:
            raise requests.ReadTimeout("timed out")
        response = requests.Response()
        response.status_code = sent.status
        response.reason = HTTPStatus(sent.status).phrase
        response.headers = CaseInsensitiveDict(sent.headers)
        response.raw = _Reset() if sent.transfer is Transfer.RESET else io.BytesIO(sent.body)
        response.url, response.request = str(request.url), request
        return response

    def close(self) -> None:
        """Nothing is open."""


class _Reset(io.BytesIO):
    """A body that ends with the connection."""

    def stream(self, size: int, decode_content: bool) -> Iterator[bytes]:
        del size, decode_content
        raise urllib3.exceptions.ProtocolError("Connection broken", ConnectionResetError())
