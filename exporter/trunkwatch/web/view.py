"""What the pages are made from."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from trunkwatch.domain.columns import Column
from trunkwatch.domain.model import JobKey, Trunk
from trunkwatch.engine.snapshot import Snapshot
from trunkwatch.engine.triage import NO_TRIAGE, Triage
from trunkwatch.report.document import CompareUrls


def _no_columns(key: JobKey, shas: Sequence[str]) -> Sequence[Column]:
    del key, shas
    return ()


@dataclass(frozen=True, slots=True)
class OtherShard:
    """Another exporter, which reads a trunk.

    Attributes:
        text: who it is.
        address: without a path; None without `--shard.peers`.
    """

    text: str
    address: str | None


@dataclass(frozen=True)
class View:
    """The data behind the pages; replaced as a whole when the configuration is reloaded.

    Attributes:
        snapshot: returns the newest snapshot.
        compare_urls: per trunk, the address that compares two commits.
        columns: returns a job's columns at some commits from the store.
        external_url: address of the pages as a browser reaches it; None where unknown.
        triage: who is on it.
        other_shard: returns who reads a trunk that this exporter leaves to another.
    """

    snapshot: Callable[[], Snapshot]
    compare_urls: CompareUrls = field(default_factory=dict)
    columns: Callable[[JobKey, Sequence[str]], Sequence[Column]] = _no_columns
    external_url: str | None = None
    triage: Triage = NO_TRIAGE
    other_shard: Callable[[Trunk], OtherShard | None] = lambda _trunk: None
