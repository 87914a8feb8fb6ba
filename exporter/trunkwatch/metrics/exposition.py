"""The bytes of `/metrics`, rendered when the data changes, in the formats that clients request.

Three parts: jobs and branches (rendered and compressed in blocks, where they changed) and the
process itself (at each scrape; a family whose samples are as before is not compressed again). The
samples are the same lines in both formats. A compressed answer is one gzip member.
"""

import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain

from prometheus_client import ProcessCollector
from prometheus_client.core import Metric
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4
from prometheus_client.exposition import generate_latest as plain_text
from prometheus_client.openmetrics.exposition import CONTENT_TYPE_LATEST as OPENMETRICS_TYPE
from prometheus_client.openmetrics.exposition import generate_latest as openmetrics_text

from trunkwatch.blocks import Block, Blocks, Member, Parts, Piece, deflate
from trunkwatch.domain.job import JobState
from trunkwatch.engine.snapshot import Snapshot, Totals, TrunkState
from trunkwatch.engine.triage import Triage
from trunkwatch.metrics.catalogue import Scope, of_scope
from trunkwatch.metrics.collector import (
    Sample,
    empty_family,
    ended_samples,
    own_samples,
    triage_samples,
)
from trunkwatch.metrics.lines import Labels, branch_texts, family_text, job_texts

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

    def heads(self, scope: Scope) -> list[bytes]:
        """Return the HELP and TYPE lines of each family of a scope."""
        return [self.bytes_of([empty_family(family)]) for family in of_scope(scope)]


PLAIN = Format(CONTENT_TYPE_PLAIN_0_0_4, plain_text, b"")
OPENMETRICS = Format(OPENMETRICS_TYPE, openmetrics_text, EOF)


def choose_format(accept: str) -> Format:
    """Return the format for an Accept header; its parameters are ignored."""
    types = {part.split(";")[0].strip().lower() for part in accept.split(",")}
    return OPENMETRICS if "application/openmetrics-text" in types else PLAIN


class _Heads:
    """The HELP and TYPE lines of each family in one format, as text and compressed."""

    def __init__(self, form: Format) -> None:
        self.text = {scope: form.heads(scope) for scope in Scope}
        self.zipped = {scope: list(map(deflate, heads)) for scope, heads in self.text.items()}
        self.size = sum(map(len, chain(self.text[Scope.JOB], self.text[Scope.BRANCH])))


@dataclass(frozen=True, slots=True)
class _Rendered:
    """The CI families of a snapshot.

    Attributes:
        jobs: the job families.
        branches: the branch families.
        pieces: both, compressed, without their heads.
    """

    jobs: Sequence[Block[JobState]]
    branches: Sequence[Block[TrunkState]]
    pieces: Mapping[Scope, Sequence[Piece]]
    _zipped: dict[Format, Member] = field(default_factory=dict)

    def forms(self) -> list[Format]:
        """Return the formats in which both were requested, compressed."""
        return list(self._zipped)

    def zipped(self, form: Format, heads: _Heads) -> Member:
        """Return both in one format, with their heads; they are joined at the first call."""
        member = self._zipped.get(form)
        if member is None:
            parts = (
                zip(heads.zipped[scope], columns, strict=True)
                for scope, columns in self.pieces.items()
            )
            pieces = chain.from_iterable(chain.from_iterable(parts))
            member = self._zipped[form] = Member().plus(pieces)
        return member

    def plain(self, heads: _Heads) -> Parts:
        texts = ((Scope.JOB, self.jobs), (Scope.BRANCH, self.branches))
        sizes = sum(block.size for block in self.jobs) + sum(block.size for block in self.branches)

        def parts() -> Iterator[bytes]:
            for scope, blocks in texts:
                for column, head in enumerate(heads.text[scope]):
                    yield head
                    yield from (block.text(column) for block in blocks)

        return Parts(heads.size + sizes, parts())


@dataclass(frozen=True, slots=True)
class _Shown:
    """The served state, from one update to the next.

    Attributes:
        snapshot: the state.
        rendered: its CI families, if they were requested before.
    """

    snapshot: Snapshot
    rendered: _Rendered | None = None


class Exposition:
    """The exposition of the newest snapshot.

    A rendering is never changed, only replaced: a scrape serves the current one without waiting for
    an update.
    """

    def __init__(
        self,
        snapshot: Callable[[], Snapshot],
        totals: Callable[[], Totals],
        version: str,
        labels: Labels | None = None,
        triage: Callable[[], Triage] = Triage,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """Args:
        snapshot: returns the newest snapshot.
        totals: read at each scrape.
        version: for `trunkwatch_build_info`.
        labels: writes the values of labels.
        triage: returns who is on it, read at each scrape.
        clock: seconds since the epoch.
        """
        self._newest = snapshot
        self._rendering = threading.Lock()
        self._shown = _Shown(snapshot())
        self._heads = {form: _Heads(form) for form in (PLAIN, OPENMETRICS)}
        self._own = _OwnFamilies(totals, version, lambda: (triage(), clock()))
        self._use(labels or Labels())

    def use(self, labels: Labels) -> None:
        """Write the values of labels in another way from the next update on."""
        with self._rendering:
            self._use(labels)

    def _use(self, labels: Labels) -> None:
        self._jobs = Blocks[JobState](
            len(of_scope(Scope.JOB)), lambda job: job.key, lambda job: job_texts(job, labels)
        )
        self._branches = Blocks[TrunkState](
            len(of_scope(Scope.BRANCH)),
            lambda state: state.trunk,
            lambda state: branch_texts(state, labels),
        )
        self._own.labels = labels

    def update(self) -> None:
        """Render the newest snapshot, if any was requested before."""
        with self._rendering:
            snapshot, before = self._newest(), self._shown.rendered
            rendered = None
            if before is not None:
                rendered = self._render(snapshot)
                for form in before.forms():
                    rendered.zipped(form, self._heads[form])
            self._shown = _Shown(snapshot, rendered)

    def answer(self, form: Format, *, zipped: bool) -> Parts:
        """Return the exposition, compressed if `zipped`."""
        shown = self._shown_now()
        rendered = shown.rendered if shown.snapshot.complete else None
        heads, own = self._heads[form], self._own.columns(shown.snapshot)
        process = self._own.process(form) + form.end
        if zipped:
            member = rendered.zipped(form, heads) if rendered else Member()
            pieces = zip(heads.zipped[Scope.OWN], (column.piece() for column in own), strict=True)
            return member.plus([*chain.from_iterable(pieces), deflate(process)]).complete()
        texts = zip(heads.text[Scope.OWN], (column.text for column in own), strict=True)
        rest = [*chain.from_iterable(texts), process]
        ci = rendered.plain(heads) if rendered else Parts(0, ())
        return Parts(ci.size + sum(map(len, rest)), chain(ci.parts, rest))

    def body(self, form: Format, *, zipped: bool) -> bytes:
        """Return `answer` in one piece."""
        return b"".join(self.answer(form, zipped=zipped).parts)

    def _shown_now(self) -> _Shown:
        """Return the served state; the first request waits for its rendering."""
        shown = self._shown
        if shown.rendered is None and shown.snapshot.complete:
            with self._rendering:
                if self._shown.rendered is None:
                    snapshot = self._shown.snapshot
                    self._shown = _Shown(snapshot, self._render(snapshot))
                return self._shown
        return shown

    def _render(self, snapshot: Snapshot) -> _Rendered:
        self._jobs.update([trunk.jobs for trunk in snapshot.trunks])
        self._branches.update([snapshot.trunks])
        pieces = {Scope.JOB: self._jobs.pieces(), Scope.BRANCH: self._branches.pieces()}
        return _Rendered(self._jobs.blocks, self._branches.blocks, pieces)


class _OwnColumn:
    """The samples of one of the exporter's own families, as text and compressed.

    Attributes:
        basis: the samples, and the writer of their labels, which a reload may replace.
        text: rendered from them.
    """

    __slots__ = ("_piece", "basis", "text")

    def __init__(self, basis: tuple[object, Labels], text: bytes) -> None:
        self.basis = basis
        self.text = text
        self._piece: Piece | None = None

    def piece(self) -> Piece:
        if self._piece is None:
            self._piece = deflate(self.text)
        return self._piece


class _OwnFamilies:
    """The families about Trunkwatch itself; any thread may read them."""

    def __init__(
        self,
        totals: Callable[[], Totals],
        version: str,
        triage: Callable[[], tuple[Triage, float]],
    ) -> None:
        self._totals = totals
        self._triage = triage
        self._version = version
        self.labels = Labels()
        self._process = ProcessCollector(registry=None)
        self._columns: dict[str, _OwnColumn] = {}
        self._ended: tuple[object, list[Sample]] = (None, [])

    def columns(self, snapshot: Snapshot) -> list[_OwnColumn]:
        """Return each family at this moment; those that have not changed are rendered already."""
        samples: dict[str, list[tuple[tuple[str, ...], float]]]
        samples = {family.name: [] for family in of_scope(Scope.OWN)}
        writer = self.labels
        own = own_samples(snapshot, self._totals(), self._version, writer.external_url)
        noted = triage_samples(snapshot, *self._triage())
        for name, labels, value in chain(self._ended_samples(snapshot), own, noted):
            samples[name].append((labels, value))
        columns = {}
        for family in of_scope(Scope.OWN):
            found = samples[family.name]
            column = self._columns.get(family.name)
            if column is None or column.basis != (found, writer):
                text = family_text(family, found, writer).encode()
                column = _OwnColumn((found, writer), text)
            columns[family.name] = column
        self._columns = columns
        return list(columns.values())

    def _ended_samples(self, snapshot: Snapshot) -> list[Sample]:
        """Return the samples of ended alerts: their texts are costly, and stay for 45 minutes."""
        url = self.labels.external_url
        source = snapshot.complete, snapshot.ended, url
        before, samples = self._ended
        if source != before:
            samples = list(ended_samples(snapshot, url))
            self._ended = source, samples
        return samples

    def process(self, form: Format) -> bytes:
        """Return the families of prometheus_client about the process."""
        return form.bytes_of(self._process.collect())
