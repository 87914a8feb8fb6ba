"""Several exporters behind one client: shards, and two of one shard."""

from collections.abc import Callable, Iterator, Sequence
from itertools import permutations, product

import pytest
from trunkwatch.errors import ReadingError, UnknownTrunkError
from trunkwatch.tickets.status_client import HttpStatusClient

from tests.support.fakehttp import Answer, Handler, HangUp, HttpServer, Request, as_json, serving
from tests.tickets.builders import job, trunk


def hang_up(_: Request) -> Answer:
    """Close the connection."""
    raise HangUp


HAS_IT: Handler = lambda _: as_json(trunk(job("build")))  # noqa: E731 — a row of a table
LACKS_IT: Handler = lambda _: as_json({"error": "unknown"}, 404)  # noqa: E731 — as above
FAULTS: Sequence[Handler] = (
    hang_up,
    lambda _: Answer(503, b""),
    lambda _: Answer(200, b"<html>"),
    lambda _: as_json({"another": "server"}),
    lambda _: as_json({}, 401),
)
"""Answers that neither have a trunk nor lack it."""

Ask = Callable[..., HttpStatusClient]


@pytest.fixture
def servers() -> Iterator[list[HttpServer]]:
    """Return two exporters."""
    with serving(LACKS_IT) as first, serving(LACKS_IT) as second:
        yield [first, second]


@pytest.fixture
def ask(servers: list[HttpServer]) -> Ask:
    """Return a function that makes a client of the two exporters with these handlers."""

    def client_of(*handlers: Handler) -> HttpStatusClient:
        for server, handler in zip(servers, handlers, strict=True):
            server.handler = handler
            server.requests.clear()
        return HttpStatusClient([server.url for server in servers], "http://127.0.0.1:1")

    return client_of


@pytest.mark.parametrize("other", [LACKS_IT, *FAULTS])
def test_the_exporter_that_has_a_trunk_counts(ask: Ask, other: Handler) -> None:
    """Whatever the other one answers, in either order, the trunk is read."""
    for handlers in permutations((HAS_IT, other)):
        client = ask(*handlers)
        assert [len(client.trunk("o/r", "main").jobs) for _ in range(3)] == [1, 1, 1]


def test_each_shard_answers_for_its_own_trunks(ask: Ask) -> None:
    """Two shards without addresses of each other are read as one exporter."""

    def shard(repo: str) -> Handler:
        return lambda request: (HAS_IT if repo in request.path else LACKS_IT)(request)

    client = ask(shard("o/first"), shard("o/second"))
    for repo in ("o/first", "o/second"):
        assert len(client.trunk(repo, "main").jobs) == 1
    with pytest.raises(UnknownTrunkError):
        client.trunk("o/third", "main")


@pytest.mark.parametrize("fault", FAULTS)
def test_a_trunk_is_unknown_only_if_all_exporters_lack_it(ask: Ask, fault: Handler) -> None:
    """One that does not answer may be the one that has the trunk: that is an error of reading."""
    for handlers in product((LACKS_IT, fault), repeat=2):
        with pytest.raises(ReadingError) as caught:
            ask(*handlers).trunk("o/r", "main")
        is_unknown = isinstance(caught.value, UnknownTrunkError)
        assert is_unknown == (fault not in handlers)


def test_a_redirect_to_a_shard_that_is_down_asks_the_next_one(
    ask: Ask, servers: list[HttpServer]
) -> None:
    """The second exporter of a shard stands in for the one that the redirect names."""
    down = {"Location": "http://127.0.0.1:1/api/v1/trunk/o/r/main"}
    assert ask(lambda _: Answer(307, b"", headers=down), HAS_IT).trunk("o/r", "main").jobs
    to_second = {"Location": f"{servers[1].url}/api/v1/trunk/o/r/main"}
    assert ask(lambda _: Answer(307, b"", headers=to_second), HAS_IT).trunk("o/r", "main").jobs
    with pytest.raises(UnknownTrunkError):
        ask(lambda _: Answer(307, b"", headers=to_second), LACKS_IT).trunk("o/r", "main")


def test_one_that_failed_is_asked_last(ask: Ask, servers: list[HttpServer]) -> None:
    """An exporter that hangs costs its timeout once, not for each trunk."""
    client = ask(hang_up, HAS_IT)
    for _ in range(3):
        client.trunk("o/r", "main")
    assert [len(server.requests) for server in servers] == [1, 3]
    servers[0].handler, servers[1].handler = HAS_IT, hang_up
    client.trunk("o/r", "main")
    client.trunk("o/r", "main")
    assert [len(server.requests) for server in servers] == [3, 4]


@pytest.mark.parametrize("fault", FAULTS[:3])
def test_the_exporters_fail_as_a_peer_only_together(ask: Ask, fault: Handler) -> None:
    """While one answers, the process can work, and stays ready; the error names all."""
    for handlers in permutations((HAS_IT, fault)):
        ask(*handlers).check_exporter()
    with pytest.raises(ReadingError, match=r"http://.*; GET http://"):
        ask(fault, fault).check_exporter()
