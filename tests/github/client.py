"""A plain HTTP client for the tests of the fake GitHub itself."""

from collections.abc import Mapping
from typing import Any

import requests

from tests.github.fake import TOKEN
from tests.github.server import GitHubServer


class Client:
    """A client of one repository.

    Attributes:
        server: the server.
        url: the address of the repository.
        timeout_seconds: for each request.
        session: the session of its connection.
    """

    def __init__(self, server: GitHubServer, token: str | None = TOKEN, repo: str = "o/r") -> None:
        """Args:
        server: the server.
        token: None for requests without one.
        repo: full name.
        """
        self.timeout_seconds = 10.0
        self.server = server
        self.url = f"{server.url}/repos/{repo}"
        self.session = requests.Session()
        self.session.trust_env = False
        if token is not None:
            self.session.headers["Authorization"] = f"Bearer {token}"

    def response(self, path: str, *, etag: str | None = None, **query: Any) -> requests.Response:
        """Return the response to one request."""
        headers: Mapping[str, str] = {"If-None-Match": etag} if etag else {}
        return self.session.get(
            f"{self.url}{path}",
            params={key: str(value) for key, value in query.items()},
            headers=headers,
            timeout=self.timeout_seconds,
        )

    def get(self, path: str, **query: Any) -> Any:
        """Return the document at a path; fail on any status but 200."""
        answer = self.response(path, **query)
        assert answer.status_code == requests.codes.ok, answer.text
        return answer.json()

    def post(self, path: str, document: Any = None) -> requests.Response:
        """Return the response to one request that changes something."""
        return self.session.post(f"{self.url}{path}", json=document, timeout=self.timeout_seconds)

    def post_query(self, query: str, **variables: Any) -> requests.Response:
        """Return the response to a GraphQL query."""
        return self.session.post(
            self.server.graphql_url,
            json={"query": query, "variables": variables},
            timeout=self.timeout_seconds,
        )

    def query(self, query: str, **variables: Any) -> Any:
        """Return the data of a GraphQL query; fail on any error."""
        answer = self.post_query(query, **variables)
        assert answer.status_code == requests.codes.ok, answer.text
        assert "errors" not in answer.json(), answer.text
        return answer.json()["data"]

    def close(self) -> None:
        """Close the connection."""
        self.session.close()
