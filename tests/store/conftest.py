"""Fixtures of every kind of store, as a file and in memory."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from trunkwatch.store import MEMORY, STORES, Store

OpenStore = Callable[[], Store]


KINDS = [*(f"{kind}-memory" for kind in STORES), "sqlite-file"]


@pytest.fixture(params=KINDS)
def open_store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[OpenStore]:
    """Return a function that opens a fresh, empty store of one kind."""
    kind, _, place = str(request.param).partition("-")
    opened: list[Store] = []

    def fresh() -> Store:
        path = MEMORY if place == "memory" else str(tmp_path / f"{len(opened)}.db")
        opened.append(STORES[kind](path))
        return opened[-1]

    yield fresh
    for store in opened:
        store.close()


@pytest.fixture
def store(open_store: OpenStore) -> Store:
    """Return an empty store."""
    return open_store()
