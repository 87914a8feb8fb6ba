"""The job families as text; the cost of an update depends on the changed jobs, not on all jobs.

Jobs are grouped in blocks. A block keeps the lines of each of its jobs, as prometheus_client wrote
them, and a gzip member per family. An update finds the jobs whose object was replaced (some
nanoseconds per job), renders these, and compresses the members in which a line changed.
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
"""Twice the size of level 9 in a tenth of its time; the scraper is usually close by."""

BLOCK_JOBS = 128
"""Mean number of jobs in a block: one changed job compresses the lines of so many jobs again.
Blocks of half the size make the whole stream a quarter larger."""

Lines = tuple[bytes, ...]
"""One job's lines of each family, in the catalogue's order; empty where it has none."""

Render = Callable[[Iterable[Metric]], bytes]
"""Turns families into text, without the end of the exposition."""


def compress(text: bytes) -> bytes:
    """Return a gzip member; a gzip stream may have several (RFC 1952, section 2.2)."""
    return gzip.compress(text, GZIP_LEVEL, mtime=0)


class _Block:
    """Consecutive jobs; immutable."""

    def __init__(
        self, jobs: Sequence[JobState], lines: Sequence[Lines], before: "_Block | None"
    ) -> None:
        """Args:
        jobs: at least one.
        lines: of each job.
        before: the block that it replaces; unchanged members are taken from it.
        """
        self.jobs = jobs
        self.lines = lines
        self.members = tuple(self._compressed(before))

    def holds(self, jobs: Sequence[JobState]) -> bool:
        """Return whether it consists of these objects."""
        return len(self.jobs) == len(jobs) and all(map(operator.is_, self.jobs, jobs))

    def _texts(self) -> Iterator[bytes]:
        return (b"".join(family) for family in zip(*self.lines, strict=True))

    def _compressed(self, before: "_Block | None") -> Iterator[bytes]:
        if before is None:
            yield from (compress(text) if text else b"" for text in self._texts())
            return
        previous = zip(before._texts(), before.members, strict=True)
        for text, (old, member) in zip(self._texts(), previous, strict=True):
            yield member if text == old else compress(text) if text else b""


@dataclass(frozen=True, slots=True)
class JobText:
    """The job families in one format, at one moment.

    Attributes:
        heads: the HELP and TYPE lines of each family.
        zipped_heads: the same, compressed.
        blocks: all jobs, in the order of the exposition.
    """

    heads: tuple[bytes, ...]
    zipped_heads: tuple[bytes, ...]
    blocks: tuple[_Block, ...] = ()

    def plain(self) -> Iterator[bytes]:
        """Yield the text in pieces."""
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
        render: prometheus_client's function for the format.
        """
        self._render = render
        self._heads = tuple(render([family]) for family in empty_job_families())
        self.nothing = JobText(self._heads, tuple(compress(head) for head in self._heads))

    def write(self, jobs: Sequence[JobState], before: JobText) -> JobText:
        """Return the text of jobs, in the given order; unchanged blocks are taken from `before`."""
        return replace(before, blocks=tuple(self._blocks(jobs, before.blocks)))

    def _blocks(self, jobs: Sequence[JobState], before: Sequence[_Block]) -> Iterator[_Block]:
        by_first = {block.jobs[0].key: block for block in before}
        cut = [(part, by_first.get(part[0].key)) for part in _cut(jobs)]
        kept = {old for part, old in cut if old is not None and old.holds(part)}
        rendered = {
            job.key: (job, lines)
            for block in before
            if block not in kept
            for job, lines in zip(block.jobs, block.lines, strict=True)
        }
        for part, old in cut:
            if old is not None and old in kept:
                yield old
            else:
                yield _Block(part, self._lines_of(part, rendered), old)

    def _lines_of(
        self, jobs: Sequence[JobState], rendered: Mapping[JobKey, tuple[JobState, Lines]]
    ) -> list[Lines]:
        """Return the lines of each job; only changed jobs are rendered."""
        lines: dict[JobKey, Lines] = {}
        changed: list[JobState] = []
        for job in jobs:
            before = rendered.get(job.key)
            if before is not None and (before[0] is job or before[0] == job):
                lines[job.key] = before[1]
            else:
                changed.append(job)
        if changed:
            lines.update(zip([job.key for job in changed], self._rendered(changed), strict=True))
        return [lines[job.key] for job in jobs]

    def _rendered(self, jobs: Sequence[JobState]) -> Iterator[Lines]:
        """Render jobs together, and split the lines by the number of samples of each job."""
        families = empty_job_families()
        ends: list[list[int]] = [[0] * len(families)]
        for job in jobs:
            add_job(families, job)
            ends.append([len(family.samples) for family in families])
        written = [
            # A newline within a value is escaped; b"\r" is not, but ends no line.
            self._render([family]).removeprefix(head).split(b"\n")
            for family, head in zip(families, self._heads, strict=True)
        ]
        for begin, end in pairwise(ends):
            yield tuple(
                b"".join(line + b"\n" for line in lines[first:last])
                for lines, first, last in zip(written, begin, end, strict=True)
            )


def _cut(jobs: Sequence[JobState]) -> Iterator[Sequence[JobState]]:
    """Cut jobs into blocks so that a new job does not move the bounds of the other blocks.

    A block ends at a job whose key has a certain hash. Hashes differ between processes; only the
    bounds of gzip members depend on them.
    """
    begin = 0
    for position, job in enumerate(jobs, 1):
        if hash(job.key) % BLOCK_JOBS == 0:
            yield jobs[begin:position]
            begin = position
    if begin < len(jobs):
        yield jobs[begin:]
