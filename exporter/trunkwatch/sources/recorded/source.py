"""The source that reads a recorded file, and later only its new lines."""

import os
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import BinaryIO

from trunkwatch.config.sources import RecordedSource
from trunkwatch.domain.model import Trunk
from trunkwatch.engine.facts import Fact, SourceState
from trunkwatch.errors import RecordedFileError
from trunkwatch.sources.port import Refresh, RefreshReport, Source, SourceContext, TrunkReport
from trunkwatch.sources.recorded.content import Problem, Problems
from trunkwatch.sources.recorded.position import Position, Signature
from trunkwatch.sources.recorded.reading import Reading, as_utf8, begins_with
from trunkwatch.sources.traits import Traits
from trunkwatch.textfiles import open_regular

ORDER_SETTLE_SECONDS = 30.0
"""Seconds without a change of a file after which an order at its end counts as whole."""

MALFORMED = "malformed"
"""The reason for which lines are dropped."""


TRAITS = Traits(
    title="Recorded files",
    document="recorded.md",
    attempts="yes, if the file has them",
    failed_step="yes, if the file has it",
    may_fail="yes, as `neutral`",
    order="the lines of the file",
    webhooks=(),
    requests=0,
)


def recorded_source(config: RecordedSource, context: SourceContext) -> Source:
    """Return the source that reads the configured file."""
    return RecordedFile(
        Path(config.path),
        context.http.clock,
        needs_commits=config.order is not False,
        refreshes_once=context.refreshes_once,
    )


class RecordedFile:
    """Reads a file whenever it changed, from where it was read to, if it only grew.

    A file that begins otherwise than before is read whole, and so is one that has changed when the
    process starts; lines whose facts are stored are not stored again. That it begins as before
    takes a checksum of all of it.
    """

    def __init__(
        self,
        path: Path,
        clock: Callable[[], float] = time.time,
        *,
        needs_commits: bool = True,
        refreshes_once: bool = False,
    ) -> None:
        """Args:
        path: the file.
        clock: seconds since the epoch.
        needs_commits: whether a run of a trunk without commit lines is an error.
        refreshes_once: whether no later refresh can show that the file has not changed.
        """
        self._path = path
        self._clock = clock
        self._needs_commits = needs_commits
        self._refreshes_once = refreshes_once
        self._unsettled: tuple[Signature, float] | None = None
        self._reading: Reading | None = None
        self._position: Position | None = None
        self._counted: set[bytes] = set()

    def refresh(self, state: SourceState) -> Refresh:
        """Return the facts of the lines since the last refresh that was stored.

        A line that cannot be read is left out and reported, at every refresh until it is mended.
        A last line that is still being written is waited for, until the next refresh.
        """
        stored = Position.from_cursor(state.cursor)
        if stored != self._position:
            # The process has started, or the last refresh was not stored.
            self._forget()
        signature = self._signature()
        is_unchanged = stored is not None and stored.signature == signature
        if is_unchanged and stored and stored.valid and self._reading is None:
            return Refresh(())
        if stored is not None and self._is_unsettled(signature):
            return Refresh(())
        if self._reading is None or not is_unchanged:
            self._reading, signature = self._read(stored)
        if stored is not None and self._may_grow(self._reading, signature):
            self._forget()
            return Refresh(())
        waits = stored is not None and not is_unchanged
        return self._refresh_of(self._reading, signature, stored, waits=waits)

    def _refresh_of(
        self, reading: Reading, signature: Signature, stored: Position | None, *, waits: bool
    ) -> Refresh:
        """Return the new facts of a reading.

        Args:
            reading: of the file as it is now.
            signature: of the file.
            stored: the stored position.
            waits: whether the end of a last line may still be written.
        """
        problems = reading.content.problems(needs_commits=self._needs_commits)
        news = reading.content.take_news()
        is_valid = not problems and not reading.unended
        if reading.unended and not waits:
            problems[None].append((reading.line_after(), reading.unended_problem))
            news.dropped.append(reading.unended)
        report = self._report(reading.content.trunks(), problems, news.dropped)
        position = Position(signature, reading.offset, reading.digest, is_valid)
        self._position = position
        facts: list[Fact] = news.facts()
        if position != stored:
            facts.append(position.to_cursor())
        return Refresh(facts, report)

    # ------------------------------------------------------------------ the file

    def _may_grow(self, reading: Reading, signature: Signature) -> bool:
        """Return whether further commits of a complete order may still be written.

        A part of an order, believed as the whole, would be a force push that resolves outages.
        """
        if not reading.content.is_inside_order:
            self._unsettled = None
            return False
        now = self._clock()
        if self._refreshes_once:
            return abs(now - signature.modified_ns / 1e9) < ORDER_SETTLE_SECONDS
        if self._unsettled is None or self._unsettled[0] != signature:
            self._unsettled = signature, now
        return self._is_unsettled(signature)

    def _is_unsettled(self, signature: Signature) -> bool:
        """Return whether a file that ends in an order has been seen unchanged for a short time.

        The file's own time does not count: it is that of another clock, as on a file server, or of
        the file from which this one was copied.
        """
        if self._unsettled is None or self._unsettled[0] != signature:
            return False
        now = self._clock()
        # Without the bound, a clock that was set back might make it wait for years.
        self._unsettled = signature, min(self._unsettled[1], now)
        return now - self._unsettled[1] < ORDER_SETTLE_SECONDS

    def _forget(self) -> None:
        self._reading, self._position = None, None

    def _signature(self) -> Signature:
        try:
            return self._signature_of(self._path.stat())
        except OSError as error:
            raise self._error(f"{error.strerror}") from None

    def _signature_of(self, stat: os.stat_result) -> Signature:
        return Signature(str(self._path), stat.st_ino, stat.st_size, stat.st_mtime_ns)

    def _read(self, stored: Position | None) -> tuple[Reading, Signature]:
        """Read the new lines; return the reading and the signature of the file that was read."""
        try:
            with open_regular(self._path) as raw:
                signature = self._signature_of(os.fstat(raw.fileno()))
                file, size = as_utf8(raw, signature.size)
                reading = self._resume(file, size, stored)
                reading.read(file, size)
        except OSError as error:
            raise self._error(f"{error.strerror}") from None
        except UnicodeDecodeError as error:
            raise self._error(f"begins as UTF-16 and is not ({error.reason})") from None
        return reading, signature

    def _resume(self, file: BinaryIO, size: int, stored: Position | None) -> Reading:
        """Return the reading of all lines of a file whose facts are stored."""
        if self._reading is not None:
            return self._reading if self._reading.continues_in(file, size) else Reading()
        if stored is not None and begins_with(file, stored.offset, stored.digest):
            reading = Reading()
            reading.read(file, stored.offset)
            reading.content.forget_facts()
            if reading.offset == stored.offset and reading.ends_its_line_in(file, size):
                return reading
        return Reading()

    # ------------------------------------------------------------------ the report

    def _report(
        self, trunks: set[Trunk], problems: Problems, dropped: Iterable[bytes]
    ) -> RefreshReport:
        """Return the problems of a file, each at its trunk.

        Raises:
            RecordedFileError: no line of any trunk could be read.
        """
        everywhere = problems.get(None, [])
        errors = {
            trunk: self._error_of(sorted([*everywhere, *problems.get(trunk, [])]))
            for trunk in trunks
        }
        new = set(dropped) - self._counted
        self._counted |= new
        if (error := self._error_of(everywhere)) and not errors:
            self._forget()
            raise error
        now = self._clock()
        failed = [error for error in errors.values() if error is not None]
        return RefreshReport(
            trunks={trunk: TrunkReport(now, error) for trunk, error in errors.items()},
            error=failed[0] if failed and len(failed) == len(errors) else None,
            dropped={MALFORMED: len(new)} if new else {},
        )

    def _error_of(self, problems: list[Problem]) -> RecordedFileError | None:
        if not problems:
            return None
        (line, problem), *others = problems
        more = f" (and {len(others)} more)" if others else ""
        return self._error(f"{problem}{more}", line)

    def _error(self, problem: str, line: int | None = None) -> RecordedFileError:
        place = f"{self._path}:{line}" if line is not None else f"{self._path}"
        return RecordedFileError(f"{place}: {problem}")
