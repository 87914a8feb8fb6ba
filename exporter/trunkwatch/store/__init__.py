"""Storage of results. `STORES` lists every kind of store."""

from collections.abc import Callable, Mapping
from types import MappingProxyType

from trunkwatch.store.evaluations import Basis, EvaluationUpdate, StoredEvaluation
from trunkwatch.store.file_guard import ServerLock, damage_of
from trunkwatch.store.memory import MemoryStore
from trunkwatch.store.opening import MEMORY, real_path
from trunkwatch.store.port import Applied, Labels, Store, Stored, StoredSource
from trunkwatch.store.rows import StoredRows
from trunkwatch.store.sqlite import SqliteStore

__all__ = [
    "MEMORY", "STORES", "Applied", "Basis", "EvaluationUpdate", "Labels", "MemoryStore",
    "ServerLock", "SqliteStore", "Store", "Stored", "StoredEvaluation", "StoredRows",
    "StoredSource", "damage_of", "real_path",
]  # fmt: skip

STORES: Mapping[str, Callable[[str], Store]] = MappingProxyType(
    {"sqlite": SqliteStore, "memory": lambda _path: MemoryStore()}
)
"""Every kind of store by name; each is opened with its path, where it has a file."""
