"""The bytes of `/metrics`: rendered when the data changes, in the formats that are asked for.

Three parts: jobs (large, rendered only when a job changed), branches (small) and the process
itself (at each scrape). Each part is compressed on its own; a gzip stream may have several
members (RFC 1952, section 2.2), so that a scrape compresses only the last, small one.
"""

import gzip
import threading
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from prometheus_client import ProcessCollector
from prometheus_client.core import Metric
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4
from prometheus_client.exposition import generate_latest as plain_text
from prometheus_client.openmetrics.exposition import CONTENT_TYPE_LATEST as OPENMETRICS_TYPE
from prometheus_client.openmetrics.exposition import generate_latest as openmetrics_text

from exporter.domain.job import JobState
from exporter.domain.snapshot import Snapshot, Totals
from exporter.metrics.collector import branch_families, job_families, own_families

EOF = b"# EOF\n"
GZIP_LEVEL = 1
"""Twice the size of level 9 for a tenth of its time; the scraper is usually next door."""


class _Families:
    """What prometheus_client renders: anything with a `collect` method."""

    def __init__(self, families: Iterable[Metric]) -> None:
        self._families = families

    def collect(self) -> Iterable[Metric]:
        return self._families


@dataclass(frozen=True)
class Format:
    """A text format of Prometheus.

    Attributes:
        content_type: with its version, which Prometheus 3 insists on.
        render: from families to bytes.
        end: what must stand last.
    """

    content_type: str
    render: Callable[[_Families], bytes]
    end: bytes

    def bytes_of(self, families: Iterable[Metric]) -> bytes:
        """Render some families, without the format's end mark."""
        return self.render(_Families(families)).removesuffix(EOF)


PLAIN = Format(CONTENT_TYPE_PLAIN_0_0_4, plain_text, b"")
OPENMETRICS = Format(OPENMETRICS_TYPE, openmetrics_text, EOF)


def choose_format(accept: str) -> Format:
    """Choose by the media types that a client accepts; parameters do not matter."""
    types = {part.split(";")[0].strip().lower() for part in accept.split(",")}
    return OPENMETRICS if "application/openmetrics-text" in types else PLAIN


class _Part:
    """A rendered part and what it was rendered from."""

    def __init__(self, key: object, plain: bytes) -> None:
        self.key = key
        self.plain = plain
        self.zipped = gzip.compress(plain, GZIP_LEVEL, mtime=0)


class Exposition:
    """Renders the newest snapshot."""

    def __init__(
        self, snapshot: Callable[[], Snapshot], totals: Callable[[], Totals], version: str
    ) -> None:
        """Args:
        snapshot: returns the newest snapshot.
        totals: read at each scrape.
        version: for `trunkwatch_build_info`.
        """
        self._newest = snapshot
        self._totals = totals
        self._version = version
        self._lock = threading.Lock()
        self._snapshot = snapshot()
        self._parts: dict[str, dict[str, _Part]] = {}
        self._process = ProcessCollector(registry=None)

    def update(self) -> None:
        """Render the newest snapshot in every format that was asked for before."""
        with self._lock:
            self._snapshot = self._newest()
            for media_type in self._parts:
                self._render(PLAIN if media_type == PLAIN.content_type else OPENMETRICS)

    def body(self, form: Format, *, zipped: bool) -> bytes:
        """Return the exposition, as bytes of a gzip stream if asked to."""
        with self._lock:
            snapshot = self._snapshot
            parts = self._render(form) if snapshot.complete else []
        own = form.bytes_of(self._own(snapshot)) + form.end
        if zipped:
            tail = gzip.compress(own, GZIP_LEVEL, mtime=0)
            return b"".join([*(part.zipped for part in parts), tail])
        return b"".join([*(part.plain for part in parts), own])

    def _render(self, form: Format) -> list[_Part]:
        """Bring a format's parts up to date; a part whose data is the same object is kept."""
        snapshot = self._snapshot
        parts = self._parts.setdefault(form.content_type, {})
        jobs = [trunk.jobs for trunk in snapshot.trunks]
        if "jobs" not in parts or not _same(parts["jobs"].key, jobs):
            parts["jobs"] = _Part(jobs, form.bytes_of(job_families(snapshot.trunks)))
        if "branches" not in parts or parts["branches"].key is not snapshot:
            parts["branches"] = _Part(snapshot, form.bytes_of(branch_families(snapshot.trunks)))
        return [parts["jobs"], parts["branches"]]

    def _own(self, snapshot: Snapshot) -> Iterator[Metric]:
        yield from own_families(snapshot, self._totals(), self._version)
        yield from self._process.collect()


def _same(rendered: object, jobs: list[tuple[JobState, ...]]) -> bool:
    return (
        isinstance(rendered, list)
        and len(rendered) == len(jobs)
        and all(old is new for old, new in zip(rendered, jobs, strict=True))
    )
