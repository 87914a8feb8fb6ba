"""One small world, served, for the tests of the stand-in itself."""

from collections.abc import Iterator

import pytest

from tests.github.client import Client
from tests.github.server import StandIn, serving_github
from tests.github.world import World


@pytest.fixture
def world() -> World:
    """Return a world without anything in it."""
    return World()


@pytest.fixture
def server(world: World) -> Iterator[StandIn]:
    """Serve the world."""
    with serving_github(world) as stand_in:
        yield stand_in


@pytest.fixture
def client(server: StandIn) -> Iterator[Client]:
    """Return a client with a token."""
    made = Client(server)
    yield made
    made.close()
