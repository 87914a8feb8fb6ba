"""The bytes of `/metrics`, rendered when the data changes, in the formats that clients request.

Three parts: jobs (large; only changed jobs are rendered, see blocks.py), branches (small, at each
update) and the process itself (at each scrape). Each part is compressed separately, since a gzip
stream may have several members (RFC 1952, section 2.2): a scrape compresses only the last,
small one.
"""

import operator
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from prometheus_client import ProcessCollector
from prometheus_client.core import Metric
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4
from prometheus_client.exposition import generate_latest as plain_text
from prometheus_client.openmetrics.exposition import CONTENT_TYPE_LATEST as OPENMETRICS_TYPE
from prometheus_client.openmetrics.exposition import generate_latest as openmetrics_text

from trunkwatch.domain.job import JobState
from trunkwatch.engine.snapshot import Snapshot, Totals
from trunkwatch.metrics.blocks import JobText, JobWriter, compress
from trunkwatch.metrics.collector import branch_families, own_families

EOF = b"# EOF\n"


class _Families:
    """A collector of given families, in the form that prometheus_client renders."""

    def __init__(self, families: Iterable[Metric]) -> None:
        self._families = families

    def collect(self) -> Iterable[Metric]:
        return self._families


@dataclass(frozen=True)
class Format:
    """A text format of Prometheus.

    Attributes:
        content_type: with its version, which Prometheus 3 requires.
        render: turns families into bytes.
        end: the last bytes of an exposition.
    """

    content_type: str
    render: Callable[[_Families], bytes]
    end: bytes

    def bytes_of(self, families: Iterable[Metric]) -> bytes:
        """Render families, without the end of the exposition."""
        return self.render(_Families(families)).removesuffix(EOF)


PLAIN = Format(CONTENT_TYPE_PLAIN_0_0_4, plain_text, b"")
OPENMETRICS = Format(OPENMETRICS_TYPE, openmetrics_text, EOF)


def choose_format(accept: str) -> Format:
    """Return the format for an Accept header; its parameters are ignored."""
    types = {part.split(";")[0].strip().lower() for part in accept.split(",")}
    return OPENMETRICS if "application/openmetrics-text" in types else PLAIN


@dataclass(frozen=True, slots=True)
class _Rendered:
    """The CI families of a snapshot in one format.

    Attributes:
        rendered_jobs: the jobs of each trunk, to detect changes.
        jobs: the job families.
        branches: the branch families.
        zipped: both, as members of a gzip stream.
    """

    rendered_jobs: tuple[tuple[JobState, ...], ...]
    jobs: JobText
    branches: bytes
    zipped: bytes

    def plain(self) -> Iterator[bytes]:
        yield from self.jobs.plain()
        yield self.branches


@dataclass(frozen=True, slots=True)
class _Shown:
    """The served state, from one update to the next.

    Attributes:
        snapshot: the state.
        formats: its rendering in each format that was requested before.
    """

    snapshot: Snapshot
    formats: Mapping[Format, _Rendered]


class Exposition:
    """The exposition of the newest snapshot.

    A rendering is never changed, only replaced: a scrape serves the current one without waiting for
    an update.
    """

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
        self._rendering = threading.Lock()
        self._shown = _Shown(snapshot(), {})
        self._writers = {form: JobWriter(form.bytes_of) for form in (PLAIN, OPENMETRICS)}
        self._process = ProcessCollector(registry=None)

    def update(self) -> None:
        """Render the newest snapshot in every format that was requested before."""
        with self._rendering:
            before, snapshot = self._shown.formats, self._newest()
            after = {form: self._render(form, snapshot, before[form]) for form in before}
            self._shown = _Shown(snapshot, after)

    def body(self, form: Format, *, zipped: bool) -> bytes:
        """Return the exposition, compressed if `zipped`."""
        shown = self._shown_in(form)
        rendered = shown.formats[form] if shown.snapshot.complete else None
        own = form.bytes_of(self._own(shown.snapshot)) + form.end
        if zipped:
            return (rendered.zipped if rendered else b"") + compress(own)
        return b"".join([*(rendered.plain() if rendered else ()), own])

    def _shown_in(self, form: Format) -> _Shown:
        """Return the served state; the first request for a format waits for its rendering."""
        shown = self._shown
        if form in shown.formats or not shown.snapshot.complete:
            return shown
        with self._rendering:
            if form not in self._shown.formats:
                snapshot, others = self._shown.snapshot, self._shown.formats
                first = self._render(form, snapshot, None)
                self._shown = _Shown(snapshot, {**others, form: first})
            return self._shown

    def _render(self, form: Format, snapshot: Snapshot, before: _Rendered | None) -> _Rendered:
        """Render a snapshot; unchanged jobs are taken from the rendering before."""
        writer = self._writers[form]
        rendered_jobs = tuple(trunk.jobs for trunk in snapshot.trunks)
        if before is None or not _same(before.rendered_jobs, rendered_jobs):
            text = before.jobs if before is not None else writer.nothing
            jobs = writer.write([job for trunk in rendered_jobs for job in trunk], text)
        else:
            jobs = before.jobs
        branches = form.bytes_of(branch_families(snapshot.trunks))
        zipped = b"".join([*jobs.zipped(), compress(branches)])
        return _Rendered(rendered_jobs, jobs, branches, zipped)

    def _own(self, snapshot: Snapshot) -> Iterator[Metric]:
        yield from own_families(snapshot, self._totals(), self._version)
        yield from self._process.collect()


def _same(one: Sequence[Sequence[JobState]], other: Sequence[Sequence[JobState]]) -> bool:
    return len(one) == len(other) and all(map(operator.is_, one, other))
