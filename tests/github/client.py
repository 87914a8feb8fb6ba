"""A client that does nothing on its own, for the tests of the stand-in itself."""

from collections.abc import Mapping
from typing import Any

import requests

from tests.github.server import StandIn
from tests.github.world import TOKEN

IMPATIENT = 0.1
"""Seconds after which it gives up on an answer that never comes."""


class Client:
    """Asks a stand-in below one repository.

    Attributes:
        patience: seconds after which it gives up.
        session: of its connection.
    """

    def __init__(self, server: StandIn, token: str | None = TOKEN, repo: str = "o/r") -> None:
        """Args:
        server: that is asked.
        token: None to ask without one.
        repo: full name.
        """
        self.patience = 10.0
        self._base = f"{server.url}/repos/{repo}"
        self.session = requests.Session()
        self.session.trust_env = False
        if token is not None:
            self.session.headers["Authorization"] = f"Bearer {token}"

    def answer(self, path: str, *, etag: str | None = None, **query: Any) -> requests.Response:
        """Return the answer to one request."""
        headers: Mapping[str, str] = {"If-None-Match": etag} if etag else {}
        return self.session.get(
            f"{self._base}{path}",
            params={key: str(value) for key, value in query.items()},
            headers=headers,
            timeout=self.patience,
        )

    def get(self, path: str, **query: Any) -> Any:
        """Return the document at a path, which must be there."""
        answer = self.answer(path, **query)
        assert answer.status_code == requests.codes.ok, answer.text
        return answer.json()

    def close(self) -> None:
        """Let go of the connection."""
        self.session.close()
