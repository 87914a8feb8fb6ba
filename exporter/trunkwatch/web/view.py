"""What the pages are made from."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from trunkwatch.domain.columns import Column
from trunkwatch.domain.model import JobKey
from trunkwatch.engine.snapshot import Snapshot
from trunkwatch.engine.triage import NO_TRIAGE, Triage
from trunkwatch.report.document import CompareUrls


def _no_columns(key: JobKey, shas: Sequence[str]) -> Sequence[Column]:
    del key, shas
    return ()


@dataclass(frozen=True)
class View:
    """The data behind the pages; replaced as a whole when the configuration is reloaded.

    Attributes:
        snapshot: returns the newest snapshot.
        compare_urls: per trunk, the address that compares two commits.
        columns: returns a job's columns at some commits from the store.
        external_url: address of the pages as a browser reaches it; None where unknown.
        triage: who is on it.
    """

    snapshot: Callable[[], Snapshot]
    compare_urls: CompareUrls = field(default_factory=dict)
    columns: Callable[[JobKey, Sequence[str]], Sequence[Column]] = _no_columns
    external_url: str | None = None
    triage: Triage = NO_TRIAGE
