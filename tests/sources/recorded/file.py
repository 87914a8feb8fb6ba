"""A recorded file and its reader."""

import json
from collections.abc import Mapping
from pathlib import Path

from trunkwatch.config import RecordedSource
from trunkwatch.errors import RecordedFileError
from trunkwatch.sources.recorded.source import ORDER_SETTLE_SECONDS

from tests.sources.reading import REPO, Reader, sha
from tests.support.clock import Clock

A, B = sha(1), sha(2)

COMMIT: Mapping[str, object] = {"kind": "commit", "repo": REPO, "branch": "main", "sha": A}
RUN: Mapping[str, object] = {
    "kind": "run",
    "repo": REPO,
    "branch": "main",
    "sha": A,
    "workflow": "ci",
    "job_name": "test",
    "status": "completed",
    "conclusion": "success",
}
MISSING = object()


class File:
    """A recorded file and its reader.

    Attributes:
        path: the file.
        clock: of the reader.
        reader: reads it into a store.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.clock = Clock()
        self.reader = Reader(config(path), self.clock)

    def write(self, *lines: Mapping[str, object] | str | bytes) -> None:
        """Write the whole file anew, one object or text a line."""
        self.path.write_bytes(b"".join(_line(line) for line in lines))

    def append(self, content: bytes) -> None:
        """Append without ending a line."""
        with self.path.open("ab") as file:
            file.write(content)

    def settle(self) -> None:
        """Let the reader see that the file does not change."""
        self.reader.refresh()
        self.clock.now += ORDER_SETTLE_SECONDS

    def error(self) -> str:
        """Refresh, which must report an error; return its only line without the source's name."""
        try:
            self.reader.refresh()
            report = self.reader.report
            error = report.error or next(t.error for t in report.trunks.values() if t.error)
        except RecordedFileError as raised:
            error = raised
        text = str(error)
        assert text.startswith(str(self.path))
        assert len(text.splitlines()) == 1
        return text


def config(path: Path, **more: object) -> RecordedSource:
    fields = {"name": "recorded", "type": "recorded", "path": str(path)}
    return RecordedSource.model_validate({**fields, **more})


def _line(line: Mapping[str, object] | str | bytes) -> bytes:
    if isinstance(line, bytes):
        return line + b"\n"
    return (line if isinstance(line, str) else json.dumps(line)).encode() + b"\n"


def changed(record: Mapping[str, object], key: str, value: object) -> dict[str, object]:
    """Return a record with another value, or without the key for MISSING."""
    rest = {k: v for k, v in record.items() if k != key}
    return rest if value is MISSING else {**rest, key: value}
