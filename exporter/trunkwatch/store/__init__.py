"""Where results are kept. `STORES` lists every kind there is."""

from collections.abc import Callable, Mapping
from types import MappingProxyType

from trunkwatch.store.opening import MEMORY
from trunkwatch.store.port import Applied, SourceMemory, Store, Stored
from trunkwatch.store.records import StoredRecords
from trunkwatch.store.sqlite import SqliteStore

__all__ = [
    "MEMORY",
    "STORES",
    "Applied",
    "SourceMemory",
    "SqliteStore",
    "Store",
    "Stored",
    "StoredRecords",
]

STORES: Mapping[str, Callable[[str], Store]] = MappingProxyType({"sqlite": SqliteStore})
"""Every store by name; each is opened with its path."""
