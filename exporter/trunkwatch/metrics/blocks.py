"""The job families as text: what a change costs follows what changed, not what exists.

Jobs stand in blocks of some dozens. A block keeps the lines of each of its jobs, as
prometheus_client wrote them, and a gzip member for each family. An update looks through all jobs
for those that are another object than before (some nanoseconds each), has these rendered, and
compresses the members in which a line changed.
"""

import gzip
import operator
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

from prometheus_client.core import Metric

from trunkwatch.domain.job import JobState
from trunkwatch.domain.model import JobKey
from trunkwatch.metrics.collector import add_job, empty_job_families

GZIP_LEVEL = 1
"""Twice the size of level 9 for a tenth of its time; the scraper is usually next door."""

BLOCK_JOBS = 128
"""Jobs in a block, as a mean: one changed job compresses so many jobs' lines anew. Blocks of half
the size make the whole stream a quarter larger."""

Lines = tuple[bytes, ...]
"""One job's lines of each family, in the catalogue's order; empty where it has none."""

Render = Callable[[Iterable[Metric]], bytes]
"""From families to text, without a format's end mark."""


def compress(text: bytes) -> bytes:
    """Return a gzip member; a gzip stream may have several (RFC 1952, section 2.2)."""
    return gzip.compress(text, GZIP_LEVEL, mtime=0)


class _Block:
    """Some jobs that stand together; never changed once it is made."""

    def __init__(
        self, jobs: Sequence[JobState], lines: Sequence[Lines], before: "_Block | None"
    ) -> None:
        """Args:
        jobs: at least one.
        lines: of each job.
        before: the block in whose place it comes; what is as it was there is not compressed anew.
        """
        self.jobs = jobs
        self.lines = lines
        self.members = tuple(self._compressed(before))

    def holds(self, jobs: Sequence[JobState]) -> bool:
        """Whether it is made of these very objects."""
        return len(self.jobs) == len(jobs) and all(map(operator.is_, self.jobs, jobs))

    def _texts(self) -> Iterator[bytes]:
        return (b"".join(family) for family in zip(*self.lines, strict=True))

    def _compressed(self, before: "_Block | None") -> Iterator[bytes]:
        if before is None:
            yield from (compress(text) if text else b"" for text in self._texts())
            return
        known = zip(before._texts(), before.members, strict=True)
        for text, (old, member) in zip(self._texts(), known, strict=True):
            yield member if text == old else compress(text) if text else b""


@dataclass(frozen=True, slots=True)
class JobText:
    """The job families in one format, at one moment.

    Attributes:
        heads: what stands before each family's samples.
        zipped_heads: the same, compressed.
        blocks: all jobs, in the order of the exposition.
    """

    heads: tuple[bytes, ...]
    zipped_heads: tuple[bytes, ...]
    blocks: tuple[_Block, ...] = ()

    def plain(self) -> Iterator[bytes]:
        """Yield the text, in pieces."""
        for position, head in enumerate(self.heads):
            yield head
            for block in self.blocks:
                for lines in block.lines:
                    yield lines[position]

    def zipped(self) -> Iterator[bytes]:
        """Yield the same as members of a gzip stream."""
        for position, head in enumerate(self.zipped_heads):
            yield head
            for block in self.blocks:
                yield block.members[position]


class JobWriter:
    """Writes the job families in one format."""

    def __init__(self, render: Render) -> None:
        """Args:
        render: prometheus_client's way to write families.
        """
        self._render = render
        self._heads = tuple(render([family]) for family in empty_job_families())
        self.nothing = JobText(self._heads, tuple(compress(head) for head in self._heads))

    def write(self, jobs: Sequence[JobState], before: JobText) -> JobText:
        """Write jobs, in the order of the exposition; what is as it was before is taken over."""
        return replace(before, blocks=tuple(self._blocks(jobs, before.blocks)))

    def _blocks(self, jobs: Sequence[JobState], before: Sequence[_Block]) -> Iterator[_Block]:
        by_first = {block.jobs[0].key: block for block in before}
        cut = [(part, by_first.get(part[0].key)) for part in _cut(jobs)]
        kept = {old for part, old in cut if old is not None and old.holds(part)}
        known = {
            job.key: (job, lines)
            for block in before
            if block not in kept
            for job, lines in zip(block.jobs, block.lines, strict=True)
        }
        for part, old in cut:
            if old is not None and old in kept:
                yield old
            else:
                yield _Block(part, self._lines_of(part, known), old)

    def _lines_of(
        self, jobs: Sequence[JobState], known: Mapping[JobKey, tuple[JobState, Lines]]
    ) -> list[Lines]:
        """Return each job's lines, rendering those of jobs that are not as they were."""
        lines: dict[JobKey, Lines] = {}
        changed: list[JobState] = []
        for job in jobs:
            before = known.get(job.key)
            if before is not None and (before[0] is job or before[0] == job):
                lines[job.key] = before[1]
            else:
                changed.append(job)
        if changed:
            lines.update(zip([job.key for job in changed], self._rendered(changed), strict=True))
        return [lines[job.key] for job in jobs]

    def _rendered(self, jobs: Sequence[JobState]) -> Iterator[Lines]:
        """Have jobs rendered together, and tell their lines apart by how many each of them has."""
        families = empty_job_families()
        ends: list[list[int]] = [[0] * len(families)]
        for job in jobs:
            add_job(families, job)
            ends.append([len(family.samples) for family in families])
        written = [
            # A line end within a value is escaped; b"\r" is not, and ends no line.
            self._render([family]).removeprefix(head).split(b"\n")
            for family, head in zip(families, self._heads, strict=True)
        ]
        for begin, end in pairwise(ends):
            yield tuple(
                b"".join(line + b"\n" for line in lines[first:last])
                for lines, first, last in zip(written, begin, end, strict=True)
            )


def _cut(jobs: Sequence[JobState]) -> Iterator[Sequence[JobState]]:
    """Cut jobs into blocks by what they are, so that a new one does not move all the others.

    Where a block ends depends on its last job's key alone. Hashes of texts differ from process to
    process; nothing depends on them but where gzip members end.
    """
    begin = 0
    for position, job in enumerate(jobs, 1):
        if hash(job.key) % BLOCK_JOBS == 0:
            yield jobs[begin:position]
            begin = position
    if begin < len(jobs):
        yield jobs[begin:]
