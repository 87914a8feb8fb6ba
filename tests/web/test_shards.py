"""Requests for a trunk that another exporter reads."""

from pathlib import Path

import pytest
import requests
from trunkwatch.app.sharding import Sharding
from trunkwatch.errors import ReadingError, UnknownTrunkError
from trunkwatch.shards import Shard
from trunkwatch.tickets.status_client import HttpStatusClient

from tests.cli.program import serving as serving_program
from tests.support.fakehttp import as_json, serving
from tests.support.rows import TRUNK, history
from tests.tickets.builders import job, trunk
from tests.web.conftest import MakeSite

GITHUB = (
    "{name: gh, type: github, repos: [o/r, group/b], branches: [main, 'release/*'], token_env: T}"
)
FIRST = Shard(1, 2)
JSON, PAGE = "/api/v1/trunk/group/b/release%2F1", "/trunk/group/b/release%2F1"
PATHS = (
    JSON,
    PAGE,
    f"{PAGE}/job/ci/a%20b?x=1&y=%2F",
    "/trunk/group/b/release/1",
    f"{JSON}?cells=3",
    f"{JSON}/job/ci/a%20b?sha={'1' * 40}",
)


def test_a_trunk_of_another_shard_names_it(make_site: MakeSite) -> None:
    """Without addresses of the others, pages and JSON name the shard that reads a trunk."""
    site = make_site(GITHUB, sharding=Sharding(FIRST))
    site.ingest(*history("P F F F"), source="gh")
    for path in PATHS:
        answer = site.ask(path)
        assert answer.status_code == 404
        assert "group/b release/1 is read by shard 2 of 2; this is shard 1" in answer.text
    assert site.ask("/trunk/o/r/main").status_code == 200
    for path in ("/api/v1/trunk/no/body/main", "/trunk/no/body/main", "/trunk/o/r/gone"):
        answer = site.ask(path)
        assert answer.status_code == 404
        assert "shard" not in answer.text


def test_a_trunk_of_another_shard_is_redirected_to_it(make_site: MakeSite) -> None:
    """With the addresses of the others, path and query lead to the same page there."""
    site = make_site(GITHUB, sharding=Sharding(FIRST, "http://t-{shard}.example:1"))
    for path in PATHS:
        url = f"http://127.0.0.1:{site.port}{path}"
        answer = requests.get(url, allow_redirects=False, timeout=30)
        assert answer.status_code == 307
        assert answer.headers["Location"] == f"http://t-2.example:1{path}"


@pytest.mark.live
def test_the_flags_choose_the_shard(tmp_path: Path) -> None:
    """`serve --shard` reads its part alone, and `--shard.peers` has the addresses of the others."""
    source = GITHUB.replace("token_env: T", "api_url: 'http://127.0.0.1:1'")
    (tmp_path / "trunkwatch.yml").write_text(f"sources: [{source}]")
    flags = ("--shard=1/2", "--shard.peers=http://t-{shard}.example:1")
    with serving_program(tmp_path, *flags) as served:
        url = f"http://127.0.0.1:{served.port}{PAGE}"
        answer = requests.get(url, allow_redirects=False, timeout=30)
        assert answer.headers["Location"] == f"http://t-2.example:1{PAGE}"
        assert served.samples("trunkwatch_shard_info") == {'{shard="1",shards="2"}': 1.0}


def test_tickets_follow_to_the_shard_of_a_trunk(make_site: MakeSite) -> None:
    """One address is enough; a password in it is not sent on, and another error is no repair."""
    with serving(lambda _: as_json(trunk(job("build")))) as first:
        peers = first.url.replace("127.0.0.1", "127.0.0.{shard}")
        site = make_site(GITHUB, sharding=Sharding(Shard(2, 2), peers))
        address = f"http://user:secret@127.0.0.1:{site.port}"
        client = HttpStatusClient([address], "http://127.0.0.1:1")
        assert len(client.trunk(*TRUNK).jobs) == 1
        (request,) = first.requests
        assert request.path == "/api/v1/trunk/o/r/main"
        assert "authorization" not in map(str.lower, request.headers)
        first.handler = lambda _: as_json({"error": "read by shard 3 of 3"}, 404)
        with pytest.raises(UnknownTrunkError):
            client.trunk(*TRUNK)
    with pytest.raises(ReadingError, match="refused"):
        client.trunk(*TRUNK)
