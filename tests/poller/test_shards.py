"""Several exporters share the repositories of a configuration."""

from collections import Counter
from pathlib import Path

import pytest
from trunkwatch.app.sharding import Sharding
from trunkwatch.domain.model import Trunk
from trunkwatch.engine.facts import Cursor, TrunkRemoved
from trunkwatch.errors import NotFoundError, UsageError
from trunkwatch.shards import Shard, owner_of, parse_shard
from trunkwatch.sources import RefreshReport, TrunkReport
from trunkwatch.store import MEMORY, SqliteStore

from tests.poller.harness import TWO, Harness, ScriptedSource, config_of
from tests.support.rows import TRUNK, history

ONE, TWO_OF_TWO = Shard(1, 2), Shard(2, 2)
OTHER = Trunk("group/b", "main")
BROKEN = history("P P F F F")
BROKEN_OTHER = history("P F F F", trunk=OTHER)

OWNERS = {
    # label: its owner of 1, 2, 3 and 8
    "o/r": (1, 1, 3, 4),
    "group/b": (1, 2, 3, 4),
    "group/sub/project": (1, 1, 1, 6),
}
"""Changing these would move every repository of every installation."""


@pytest.mark.parametrize("repo", OWNERS)
def test_the_owner_of_a_repository_never_changes(repo: str) -> None:
    """The owner depends on the label alone, whatever the case of its letters."""
    assert tuple(owner_of(repo, count) for count in (1, 2, 3, 8)) == OWNERS[repo]
    assert owner_of(repo.upper(), 8) == OWNERS[repo][-1]


def test_one_more_shard_takes_its_share_and_no_other_repository_moves() -> None:
    """Of 8 shards each has about an eighth; the ninth takes a ninth of them."""
    repos = [f"acme/r{number}" for number in range(2000)]
    before = {repo: owner_of(repo, 8) for repo in repos}
    assert all(190 < number < 310 for number in Counter(before.values()).values())
    moved = [owner_of(repo, 9) for repo in repos if owner_of(repo, 9) != before[repo]]
    assert set(moved) == {9}
    assert 170 < len(moved) < 280


@pytest.mark.parametrize(
    "text", ["", "3", "0/8", "9/8", "3/0", "-1/8", "3/8/9", "1/1001", "٣/٨", "a/b"]
)
def test_a_shard_that_is_none_is_refused(text: str) -> None:
    """The error names the flag, the value and a valid one."""
    assert parse_shard("--shard", "3/8") == Shard(3, 8)
    with pytest.raises(UsageError, match=r"--shard .*such as 3/8"):
        parse_shard("--shard", text)


@pytest.mark.parametrize(
    ("shard", "peers", "problem"),
    [
        (None, "http://t-{shard}:1", "needs --shard"),
        ("1/2", "http://t:1", r"must contain \{shard\}"),
        ("1/2", "http://t-{shard}:1/path", "without a path"),
        ("1/2", "http://u:p@t-{shard}:1", "without a password"),
    ],
)
def test_peers_that_cannot_be_found_are_refused(
    shard: str | None, peers: str, problem: str
) -> None:
    """The pattern is an address of a server, with the place of the number."""
    with pytest.raises(UsageError, match=problem):
        Sharding.parse(shard, peers)


def sharded(shard: Shard | None, path: str = MEMORY, sources: str = TWO) -> Harness:
    """Return an exporter of one shard."""
    store = SqliteStore(path)
    return Harness(config_of(sources), store, keeps_state=True, shard=shard)


def names(harness: Harness) -> list[str]:
    """Return the repositories that are exported."""
    return [state.trunk.repo for state in harness.engine.snapshot.trunks]


def test_two_shards_store_what_one_exporter_stores() -> None:
    """Each trunk is on one shard, with the results and errors of all of its sources."""
    failed = TrunkReport(None, NotFoundError("gone"))
    problems = RefreshReport(trunks={TRUNK: TrunkReport(1.0), OTHER: failed})
    shards = [sharded(ONE), sharded(TWO_OF_TWO), sharded(None)]
    for harness in shards:
        harness.ingest(*BROKEN, *BROKEN_OTHER, TrunkRemoved(Trunk("gone/" * 3, "main")))
        harness.ingest(*BROKEN_OTHER[1:], problems, source="other")
    first, second, whole = (harness.engine.snapshot.trunks for harness in shards)
    assert [state.trunk for state in first] == [TRUNK]
    assert [state.trunk for state in second] == [OTHER]
    assert [state.jobs for state in (*second, *first)] == [state.jobs for state in whole]
    assert [each.problem for state in first for each in state.sources] == [None, None]
    assert second[0].sources == whole[0].sources
    for harness, trunk in zip(shards, (OTHER, TRUNK), strict=False):
        assert not list(harness.store.observations(trunk))
        assert trunk not in harness.store.load().orders


def test_a_trunk_that_moves_has_not_ended(tmp_path: Path) -> None:
    """The old shard forgets its alert without an end, and its rows are there when it returns."""
    path = str(tmp_path / "results.db")
    before = sharded(None, path)
    before.ingest(*BROKEN, *BROKEN_OTHER)
    before.store.close()

    after = sharded(ONE, path)
    assert names(after) == ["o/r"]
    assert after.engine.snapshot.ended == ()
    after.ingest(*BROKEN)
    assert after.engine.snapshot.ended == ()
    assert [each.key.job.repo for each in after.store.load().alerts] == ["o/r"]
    after.store.close()

    again = sharded(None, path)
    assert names(again) == ["group/b", "o/r"]
    assert [job.consecutive_failures for s in again.engine.snapshot.trunks for job in s.jobs] == [
        3,
        3,
    ]
    again.store.close()


def test_another_shard_reads_from_the_beginning(tmp_path: Path) -> None:
    """A cursor of another shard is behind results that this shard has left out."""
    path = str(tmp_path / "results.db")
    cursor = Cursor("read to the end")
    seen = []
    for shard in (ONE, ONE, TWO_OF_TWO, TWO_OF_TWO, None, None):
        harness = sharded(shard, path)
        source = ScriptedSource([*BROKEN, *BROKEN_OTHER, cursor])
        assert harness.refresh(source)
        seen += source.cursors
        harness.store.close()
    assert seen == [None, "read to the end"] * 3
