"""An empty fake GitHub and a client, for the tests of the fake GitHub itself."""

from collections.abc import Iterator

import pytest

from tests.github.client import Client
from tests.github.fake import FakeGitHub
from tests.github.server import GitHubServer, serving_github


@pytest.fixture
def fake() -> FakeGitHub:
    """Return an empty fake GitHub."""
    return FakeGitHub()


@pytest.fixture
def server(fake: FakeGitHub) -> Iterator[GitHubServer]:
    """Serve the fake GitHub."""
    with serving_github(fake) as server:
        yield server


@pytest.fixture
def client(server: GitHubServer) -> Iterator[Client]:
    """Return a client with a token."""
    made = Client(server)
    yield made
    made.close()
