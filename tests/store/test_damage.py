"""A storage file that is damaged, replaced or taken gives the same answer or a clean error."""

import os
import random
import socket
import stat
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from trunkwatch.errors import StoreError
from trunkwatch.poller import TrunkEngine
from trunkwatch.poller.totals import Counters
from trunkwatch.store import ServerLock, SqliteStore, damage_of
from trunkwatch.store.file_guard import file_size
from trunkwatch.tickets.store import TicketStore

from tests.poller.harness import Harness, config_of
from tests.support.clock import Clock
from tests.support.rows import NOW, history, named

PAGE_BYTES = 4096
COPIES = 75
JOBS = 40

Damage = Callable[[random.Random, bytearray], None]


def overwrite_pages(chance: random.Random, content: bytearray) -> None:
    for _ in range(chance.randint(1, 4)):
        start = chance.randrange(len(content) // PAGE_BYTES) * PAGE_BYTES
        content[start : start + PAGE_BYTES] = chance.randbytes(PAGE_BYTES)


def empty_pages(chance: random.Random, content: bytearray) -> None:
    start = chance.randrange(len(content) // PAGE_BYTES) * PAGE_BYTES
    content[start : start + PAGE_BYTES] = bytes(PAGE_BYTES)


def truncate(chance: random.Random, content: bytearray) -> None:
    del content[chance.randrange(1, len(content)) :]


def damage_header(chance: random.Random, content: bytearray) -> None:
    for _ in range(4):
        content[chance.randrange(100)] = chance.randrange(256)


KINDS: tuple[Damage, ...] = (overwrite_pages, empty_pages, truncate, damage_header)


def answer(path: Path) -> object:
    """Return the broken jobs after a start, with the refresh of a source that has nothing new."""
    store = SqliteStore(str(path))
    try:
        store.apply("ci", [], NOW)
        engine = TrunkEngine(config_of(), store, Counters(), Clock(), keeps_state=True)
        return [
            (state.trunk, [(job.key, job.consecutive_failures, job.broken) for job in state.jobs])
            for state in engine.snapshot.trunks
        ]
    finally:
        store.close()


@pytest.mark.slow
@pytest.mark.parametrize("has_state", [True, False])
def test_a_damaged_copy_gives_the_same_answer_or_a_clean_error(
    tmp_path: Path, has_state: bool
) -> None:
    """Overwritten and emptied pages, truncations and headers: never a traceback, never another
    answer.
    """
    path, copy = tmp_path / "results.db", tmp_path / "copy.db"
    harness = Harness(store=SqliteStore(str(path)), keeps_state=has_state)
    for number in range(JOBS):
        letters = "P P F F F" if number % 2 else "P F P F P"
        harness.ingest(*history(letters, named(f"job {number}")))
    harness.store.close()
    whole, good = path.read_bytes(), None
    counts = {"same": 0, "error": 0}
    for number in range(-1, COPIES):
        chance, content = random.Random(number), bytearray(whole)
        if number >= 0:
            KINDS[number % len(KINDS)](chance, content)
        copy.write_bytes(content)
        for suffix in ("-wal", "-shm"):
            copy.with_name(copy.name + suffix).unlink(missing_ok=True)
        try:
            found = answer(copy)
        except StoreError:
            counts["error"] += 1
            continue
        good = good or found  # The first copy is whole.
        assert found == good, f"copy {number}"
        counts["same"] += 1
    print(counts)
    assert min(counts.values()) > COPIES / 20


def linked(folder: Path) -> Path:
    """Return a symbolic link in another folder to the file `results.db`, which need not exist."""
    (folder / "links").mkdir()
    link = folder / "links" / "link.db"
    link.symlink_to(Path("..") / "results.db")
    return link


@pytest.mark.parametrize("is_link", [True, False])
@pytest.mark.parametrize("suffix", ["", "-wal"])
@pytest.mark.parametrize("replaced", [True, False])
def test_a_file_that_is_gone_takes_nothing_more(
    tmp_path: Path, suffix: str, replaced: bool, is_link: bool
) -> None:
    """Results that would be lost with a deleted or replaced file are refused, not acknowledged."""
    path = tmp_path / "results.db"
    with closing(SqliteStore(str(linked(tmp_path) if is_link else path))) as store:
        store.apply("ci", history("P F"), NOW)
        file = path.with_name(path.name + suffix)
        file.rename(tmp_path / "moved")
        if replaced:
            file.write_bytes((tmp_path / "moved").read_bytes())
        with pytest.raises(StoreError, match="deleted or replaced"):
            store.apply("ci", history("P F F"), NOW)


def test_a_link_that_leads_elsewhere_takes_nothing_more(tmp_path: Path) -> None:
    """Results are refused that a restart, which follows the changed link, would not read."""
    link = linked(tmp_path)
    with closing(SqliteStore(str(link))) as store:
        store.apply("ci", history("P F"), NOW)
        assert store.size() == file_size(str(tmp_path / "results.db")) > 0
        SqliteStore(str(tmp_path / "other.db")).close()
        link.unlink()
        link.symlink_to(tmp_path / "other.db")
        with pytest.raises(StoreError, match=f"^storage {link}: the file was deleted or replaced"):
            store.apply("ci", history("P F F"), NOW)


def test_a_ticket_file_that_is_gone_takes_nothing_more(tmp_path: Path) -> None:
    """The same holds for `tickets`, and a text that is damaged is an error of the file."""
    path = tmp_path / "tickets.db"
    with closing(TicketStore(str(path))) as store:
        path.unlink()
        with pytest.raises(StoreError, match="deleted or replaced"):
            store.add_firing([], NOW)


def test_one_server_per_file(tmp_path: Path) -> None:
    """A second server is refused until the first has ended; readers are not."""
    path = str(tmp_path / "results.db")
    with closing(ServerLock(path)):
        with pytest.raises(
            StoreError, match=r"another process uses it \(trunkwatch serve, process"
        ):
            ServerLock(path)
        with pytest.raises(StoreError, match=r"^storage \S+/link\.db: another process uses it"):
            ServerLock(str(linked(tmp_path)))
        SqliteStore(path).close()
    ServerLock(path).close()
    with closing(ServerLock(str(tmp_path / "links" / "link.db"))), pytest.raises(StoreError):
        ServerLock(path)


def test_what_is_no_file_is_refused(tmp_path: Path) -> None:
    """A FIFO, a socket and a device are refused by name, and not waited for."""
    fifo, unix = tmp_path / "fifo", tmp_path / "s"
    os.mkfifo(fifo)
    with closing(socket.socket(socket.AF_UNIX)) as listener:
        listener.bind(str(unix))
        for path in (fifo, unix, Path("/dev/null")):
            assert not stat.S_ISREG(path.stat().st_mode)
            for use in (SqliteStore, ServerLock, TicketStore):
                with pytest.raises(StoreError, match=f"^storage {path}: is not a regular file"):
                    use(str(path))


def test_the_structure_is_checked(tmp_path: Path) -> None:
    """The background check finds a page that no command has read yet."""
    path = tmp_path / "results.db"
    with closing(SqliteStore(str(path))) as store:
        store.apply("ci", history("P F"), NOW)
    assert damage_of(str(path)) is None
    whole = path.read_bytes()
    path.write_bytes(whole[:-PAGE_BYTES] + b"\xff" * PAGE_BYTES)
    assert damage_of(str(path))
