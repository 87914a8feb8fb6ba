"""A client that does nothing on its own, for the tests of the stand-in itself."""

from collections.abc import Mapping
from typing import Any

import requests

from tests.github.fake import TOKEN
from tests.github.server import GitHubServer

IMPATIENT = 0.1
"""Seconds after which it gives up on an answer that never comes."""


class Client:
    """Asks a stand-in below one repository.

    Attributes:
        patience: seconds after which it gives up.
        session: of its connection.
    """

    def __init__(self, server: GitHubServer, token: str | None = TOKEN, repo: str = "o/r") -> None:
        """Args:
        server: that is asked.
        token: None to ask without one.
        repo: full name.
        """
        self.timeout_seconds = 10.0
        self._base = f"{server.url}/repos/{repo}"
        self.session = requests.Session()
        self.session.trust_env = False
        if token is not None:
            self.session.headers["Authorization"] = f"Bearer {token}"

    def response(self, path: str, *, etag: str | None = None, **query: Any) -> requests.Response:
        """Return the answer to one request."""
        headers: Mapping[str, str] = {"If-None-Match": etag} if etag else {}
        return self.session.get(
            f"{self._base}{path}",
            params={key: str(value) for key, value in query.items()},
            headers=headers,
            timeout=self.timeout_seconds,
        )

    def get(self, path: str, **query: Any) -> Any:
        """Return the document at a path, which must be there."""
        answer = self.response(path, **query)
        assert answer.status_code == requests.codes.ok, answer.text
        return answer.json()

    def close(self) -> None:
        """Let go of the connection."""
        self.session.close()
