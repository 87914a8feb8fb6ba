"""The JSON object of trunks as text, rendered at a request and only where it changed."""

import hashlib
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any, NamedTuple

from trunkwatch.blocks import Block, Blocks, Member, Parts, Piece, deflate
from trunkwatch.domain.job import JobState
from trunkwatch.domain.model import Trunk, TrunkOrder
from trunkwatch.engine.co_failures import CoFailures
from trunkwatch.engine.snapshot import Data, Snapshot, TrunkState, data_of
from trunkwatch.report.document import (
    NO_SURROUNDINGS,
    CompareUrls,
    Surroundings,
    around_object,
    job_object,
    trunks_object,
)
from trunkwatch.report.indented import indented
from trunkwatch.report.order import by_urgency, urgency

ETAG_BYTES = 16
"""Enough that two texts never have one tag by chance."""


class _Row(NamedTuple):
    """One job with all that its text depends on, except what `_Basis.keeps_jobs` compares."""

    job: JobState
    also_broken: tuple[str, ...]
    trunk_index: int
    is_first: bool

    @property
    def key(self) -> tuple[Any, ...]:
        return self.trunk_index, *urgency(self.job)


@dataclass(frozen=True, slots=True)
class TrunkText:
    """A JSON object as text.

    Attributes:
        etag: a weak entity tag (RFC 9110, section 8.8.3): equal texts have equal tags.
    """

    etag: str
    _begin: bytes
    _jobs: Sequence[Block[_Row]]
    _zipped_jobs: Piece
    _end: bytes

    def plain(self) -> Parts:
        """Return the text."""
        size = len(self._begin) + self._zipped_jobs.size + len(self._end)
        jobs = (block.text(0) for block in self._jobs)
        return Parts(size, chain([self._begin], jobs, [self._end]))

    def zipped(self) -> Parts:
        """Return the text, compressed with gzip."""
        pieces = (deflate(self._begin), self._zipped_jobs, deflate(self._end))
        return Member().plus(pieces).complete()


class TrunkTexts:
    """Texts by trunk, as of their last request; any thread may use them."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._texts: dict[tuple[tuple[Trunk, ...], int], _Text] = {}

    def text(
        self,
        snapshot: Snapshot,
        trunks: Sequence[TrunkState],
        compare_urls: CompareUrls,
        now: float,
        cells: int = 0,
        around: Surroundings = NO_SURROUNDINGS,
    ) -> TrunkText:
        """Return the text of `document_of_trunks`.

        Args:
            snapshot: the state.
            trunks: some of it, at least one.
            compare_urls: per trunk.
            now: for the age of the data (seconds since the epoch).
            cells: number of commits to list, see there.
            around: facts beside the state.
        """
        names = tuple(trunk.trunk for trunk in trunks)
        with self._lock:
            if (names, cells) not in self._texts:
                shown = {trunk.trunk for trunk in snapshot.trunks}
                # A client may ask for any number of cells: the latest two of a trunk are kept.
                kept = [key for key in self._texts if shown.issuperset(key[0])]
                same = [key for key in kept if key[0] == names and key[1]]
                self._texts = {key: self._texts[key] for key in kept if key not in same[:-1]}
                self._texts[names, cells] = _Text(cells)
            text = self._texts[names, cells]
        urls = [compare_urls.get(name) for name in names]
        return text.updated(snapshot, trunks, urls, now, around)


@dataclass(frozen=True, slots=True)
class _Basis:
    """The values that a text was rendered from."""

    snapshot: Snapshot
    data: list[Data]
    trunks: Sequence[TrunkState]
    urls: list[str | None]
    cells: int
    around: dict[str, Any]

    def is_same(self, other: "_Basis") -> bool:
        is_same_state = self.snapshot is other.snapshot
        return is_same_state and (self.data, self.urls, self.around) == (
            other.data,
            other.urls,
            other.around,
        )

    def keeps_jobs(self, before: "_Basis") -> bool:
        """Return whether a job that has not changed has the same text as before."""
        return self.urls == before.urls and all(
            mine.files is theirs.files
            and (mine.order is theirs.order or self._extends(mine.order, theirs.order))
            for mine, theirs in zip(self.trunks, before.trunks, strict=True)
        )

    def _extends(self, order: TrunkOrder, before: TrunkOrder) -> bool:
        return not self.cells and order.extends(before)


class _Text:
    """The text of some trunks, and the values from which the next one is rendered."""

    def __init__(self, cells: int) -> None:
        self._cells = cells
        self._lock = threading.Lock()
        self._basis: _Basis | None = None
        self._text: TrunkText | None = None
        self._jobs = self._no_jobs()

    def updated(
        self,
        snapshot: Snapshot,
        trunks: Sequence[TrunkState],
        urls: list[str | None],
        now: float,
        around: Surroundings,
    ) -> TrunkText:
        """Return the text as of a snapshot; others wait while one thread renders it."""
        data = [data_of(trunk, now) for trunk in trunks]
        beside = around_object(around, trunks, now)
        basis = _Basis(snapshot, data, trunks, urls, self._cells, beside)
        with self._lock:
            before = self._basis
            if self._text is None or before is None or not basis.is_same(before):
                self._basis = basis
                self._update_jobs(basis, before)
                self._text = _text(basis, self._jobs, now)
            return self._text

    def _no_jobs(self) -> Blocks[_Row]:
        return Blocks[_Row](1, lambda row: row.key, self._render)

    def _update_jobs(self, basis: _Basis, before: _Basis | None) -> None:
        if before is not None and not basis.keeps_jobs(before):
            before, self._jobs = None, self._no_jobs()
        if before is None or any(
            mine.jobs is not theirs.jobs
            for mine, theirs in zip(basis.trunks, before.trunks, strict=True)
        ):
            self._jobs.update([tuple(_rows(basis))])

    def _render(self, row: _Row) -> list[str]:
        assert self._basis is not None
        trunk = self._basis.trunks[row.trunk_index]
        url = self._basis.urls[row.trunk_index]
        job = job_object(row.job, url, row.also_broken, trunk.order, self._cells, trunk.files)
        text = _in_list(job)
        return [f"{'' if row.is_first else ','}\n    {text}"]


def _rows(basis: _Basis) -> Iterator[_Row]:
    is_first = True
    for index, trunk in enumerate(basis.trunks):
        together = CoFailures(trunk.jobs)
        for job in by_urgency(trunk.jobs):
            yield _Row(job, together.with_job(job), index, is_first)
            is_first = False


def _text(basis: _Basis, jobs: Blocks[_Row], now: float) -> TrunkText:
    head = trunks_object(basis.snapshot, basis.trunks, now, basis.cells) | basis.around
    begin = indented(head).removesuffix("\n}") + ',\n  "jobs": ['
    end = "\n  ]\n}\n" if jobs.blocks else "]\n}\n"
    (zipped,) = jobs.pieces()
    digest = hashlib.blake2b(begin.encode(), digest_size=ETAG_BYTES)
    digest.update(zipped.deflated)
    etag = f'W/"{digest.hexdigest()}"'
    return TrunkText(etag, begin.encode(), jobs.blocks, zipped, end.encode())


def _in_list(job: dict[str, Any]) -> str:
    """Return the text of one job as in a list below a key."""
    return indented(job).replace("\n", "\n    ")
