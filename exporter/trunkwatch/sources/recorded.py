"""Recorded results: a file of one JSON object a line (docs/recorded.md).

It is the demo's source, the tests' source, what `trunkwatch record` writes, and the way in for a
CI that Trunkwatch does not know.
"""

import io
import json
import time
from codecs import BOM_UTF8
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from trunkwatch.annotations import annotation_lines
from trunkwatch.config.schema import RecordedSource
from trunkwatch.domain.model import (
    Commit,
    Observation,
    RawJob,
    RunId,
    Trunk,
    TrunkOrder,
    WorkflowReport,
    WorkflowState,
)
from trunkwatch.engine.facts import Cursor, Fact, SourceState
from trunkwatch.errors import RecordedFileError
from trunkwatch.sources.hashes import full_hash
from trunkwatch.sources.port import Refresh, RefreshReport, Source, SourceContext, TrunkReport
from trunkwatch.textfiles import UTF16_MARKS, without_mark
from trunkwatch.times import format_time, parse_time

ID_LIMIT = 2**63
"""Ids and numbers are kept as 64-bit integers."""

LAST_LINE_LIMIT = 1024 * 1024
"""Bytes at the end of a file in which its last line is looked for; lines are a few hundred long."""

PADDING = b"\0 \t\r\n"
"""Bytes at the ends of a line that are ignored: after a crash, a file may have a gap of zeros."""

MALFORMED = "malformed"
"""The reason for which lines are dropped."""


class _LineError(ValueError):
    """The problem of one line, without its place."""


@dataclass(slots=True)
class _Content:
    """The content of a file as far as it could be read.

    Attributes:
        rows: all attempts.
        workflows: the states of workflows, in the order of the file.
        commits: those of each trunk, by hash, oldest first.
        truncated: the trunks of which older commits are not in the file.
        first_run: the number of each trunk's first line with a run.
        problems: of each trunk, the number and the problem of each line that was left out, or in
            part; under None those of a line whose trunk is unknown.
        dropped: the lines that were left out.
    """

    rows: list[Observation] = field(default_factory=list)
    workflows: list[WorkflowReport] = field(default_factory=list)
    commits: dict[Trunk, dict[str, Commit]] = field(default_factory=dict)
    truncated: set[Trunk] = field(default_factory=set)
    first_run: dict[Trunk, int] = field(default_factory=dict)
    problems: dict[Trunk | None, list[tuple[int, str]]] = field(
        default_factory=lambda: defaultdict(list)
    )
    dropped: list[bytes] = field(default_factory=list)

    @property
    def trunks(self) -> set[Trunk]:
        """Every trunk that a line names."""
        named = {trunk for trunk in self.problems if trunk is not None}
        return {*self.commits, *self.first_run, *named}


class _Signature(NamedTuple):
    """The identity of a file's content, to detect changes; the source's cursor."""

    path: str
    inode: int
    size: int
    modified_ns: int

    def to_cursor(self) -> Cursor:
        return Cursor(json.dumps(self))


def recorded_source(config: RecordedSource, context: SourceContext) -> Source:
    """Return the source that reads the configured file."""
    needs_commits = config.order is not False
    return RecordedFile(Path(config.path), context.http.clock, needs_commits=needs_commits)


class RecordedFile:
    """Reads a file again whenever it changed."""

    def __init__(
        self, path: Path, clock: Callable[[], float] = time.time, *, needs_commits: bool = True
    ) -> None:
        """Args:
        path: the file.
        clock: seconds since the epoch.
        needs_commits: whether a run of a trunk without commit lines is an error.
        """
        self._path = path
        self._clock = clock
        self._needs_commits = needs_commits
        self._half_written: _Signature | None = None
        self._counted: set[bytes] = set()

    def refresh(self, state: SourceState) -> Refresh:
        """Return everything that the file holds, or nothing when it has not changed.

        A line that cannot be read is left out and reported, at every refresh until it is mended.
        A last line that is still being written is waited for, until the next refresh.
        """
        signature = self._signature()
        if state.cursor == signature.to_cursor().text:
            return Refresh(())
        if state.cursor is not None and self._ends_half_written(signature):
            waited_before, self._half_written = self._half_written, signature
            if waited_before != signature:
                return Refresh(())
        content = self._read(signature.size)
        report = self._report(content)
        facts: list[Fact] = [*content.rows, *content.workflows]
        for trunk, chain in content.commits.items():
            facts.append(TrunkOrder(trunk, tuple(chain.values()), trunk in content.truncated))
        if not content.problems:
            facts.append(signature.to_cursor())
        return Refresh(facts, report)

    def _signature(self) -> _Signature:
        try:
            stat = self._path.stat()
        except OSError as error:
            raise self._error(f"{error.strerror}") from None
        return _Signature(str(self._path), stat.st_ino, stat.st_size, stat.st_mtime_ns)

    def _ends_half_written(self, signature: _Signature) -> bool:
        """Whether the last line has no end and cannot be read."""
        try:
            with self._path.open("rb") as file:
                file.seek(max(0, signature.size - LAST_LINE_LIMIT))
                end = file.read(signature.size - file.tell()).rpartition(b"\n")[2]
        except OSError as error:
            raise self._error(f"{error.strerror}") from None
        if not end.strip(PADDING):
            return False
        try:
            _parse(end.strip(PADDING))
        except _LineError:
            return True
        return False

    def _read(self, size: int) -> _Content:
        content = _Content()
        interned: dict[str, str] = {}
        for number, line in self._lines(size):
            record: Mapping[str, Any] = {}
            try:
                record = _parse(line)
                problems = _add(record, number, content, interned.setdefault)
            except _LineError as error:
                problems = [f"{error}"]
                content.dropped.append(line)
            if problems:
                content.problems[_trunk_of(record)] += [(number, each) for each in problems]
        for trunk, number in content.first_run.items():
            if self._needs_commits and trunk not in content.commits:
                content.problems[trunk].append(
                    (
                        number,
                        f"a run of {trunk}, of which the file has no commit"
                        ' line; add {"kind":"commit",...} lines in trunk order, oldest first',
                    )
                )
        return content

    def _lines(self, size: int) -> Iterator[tuple[int, bytes]]:
        """Yield the lines that are not empty, with their numbers, of the first `size` bytes.

        They are decoded one by one: a text file is decoded by the block, and a broken byte would be
        reported at the line of its block's beginning.
        """
        try:
            with self._path.open("rb") as raw:
                file, left = self._as_utf8(raw, size)
                for number, line in enumerate(file, 1):
                    # Joined files have a byte order mark in the middle too.
                    stripped = line[: max(0, left)].removeprefix(BOM_UTF8).strip(PADDING)
                    if stripped:
                        yield number, stripped
                    left -= len(line)
        except OSError as error:
            raise self._error(f"{error.strerror}") from None

    def _as_utf8(self, raw: io.BufferedReader, size: int) -> tuple[io.BufferedIOBase, int]:
        """Return the file and its size, or those of its translation, if it is in UTF-16."""
        if not raw.peek(2).startswith(UTF16_MARKS):
            return raw, size
        try:
            text = without_mark(raw.read(size))
        except UnicodeDecodeError as error:
            raise self._error(f"begins as UTF-16 and is not ({error.reason})") from None
        return io.BytesIO(text), len(text)

    def _report(self, content: _Content) -> RefreshReport:
        """Return the problems of a file, each at its trunk.

        Raises:
            RecordedFileError: no line of any trunk could be read.
        """
        everywhere = content.problems.get(None, [])
        errors = {
            trunk: self._error_of(sorted([*everywhere, *content.problems.get(trunk, [])]))
            for trunk in content.trunks
        }
        new = set(content.dropped) - self._counted
        self._counted |= new
        if (error := self._error_of(everywhere)) and not errors:
            raise error
        now = self._clock()
        failed = [error for error in errors.values() if error is not None]
        return RefreshReport(
            trunks={trunk: TrunkReport(now, error) for trunk, error in errors.items()},
            error=failed[0] if failed and len(failed) == len(errors) else None,
            dropped={MALFORMED: len(new)} if new else {},
        )

    def _error_of(self, problems: list[tuple[int, str]]) -> RecordedFileError | None:
        if not problems:
            return None
        (line, problem), *others = problems
        more = f" (and {len(others)} more)" if others else ""
        return self._error(f"{problem}{more}", line)

    def _error(self, problem: str, line: int | None = None) -> RecordedFileError:
        place = f"{self._path}:{line}" if line is not None else f"{self._path}"
        return RecordedFileError(f"{place}: {problem}")


# ---------------------------------------------------------------------- one line


def _parse(line: bytes) -> dict[str, Any]:
    """Return the object of a line without white space at its ends."""
    if b"\0" in line:
        raise _LineError(
            "has bytes of value 0, as UTF-16 has; convert the file, for example by"
            " `iconv -f UTF-16LE -t UTF-8 OLD > NEW`"
        )
    try:
        record = json.loads(line.decode())
    except UnicodeDecodeError as error:
        raise _LineError(
            f"is not UTF-8 ({error.reason}); convert the file, for example by"
            " `iconv -f WINDOWS-1252 -t UTF-8 OLD > NEW`"
        ) from None
    except RecursionError:
        raise _LineError("is not a JSON object (nested too deeply)") from None
    except json.JSONDecodeError as error:
        raise _LineError(_syntax_problem(line, error)) from None
    except ValueError as error:
        raise _LineError(f"is not a JSON object ({error})") from None
    if not isinstance(record, dict):
        raise _LineError(f"is not a JSON object{_ARRAY if line.startswith(b'[') else ''}")
    if record.get("kind") not in ("commit", "run", "workflow"):
        raise _LineError(f"kind must be 'commit', 'run' or 'workflow' (got {record.get('kind')!r})")
    if b"\\u" in line:
        _check_escapes(record)
    return record


_ARRAY = " but an array; write one object per line, for example by `jq -c '.[]' OLD > NEW`"


def _syntax_problem(line: bytes, error: json.JSONDecodeError) -> str:
    """Return the problem of a line that is not JSON, with the remedy for the usual mistakes."""
    if line.startswith(b"["):
        return f"is not a JSON object{_ARRAY}"
    if error.pos >= len(error.doc):
        return (
            f"is not a JSON object (it ends at column {error.colno}); an object must be on one"
            " line, for example by `jq -c . OLD > NEW`"
        )
    return f"is not a JSON object ({error.msg}, column {error.colno})"


def _add(
    record: Mapping[str, Any], number: int, content: _Content, intern: Callable[[str, str], str]
) -> list[str]:
    """Add a line to the content; return the problems of the keys that were left out."""
    problems: list[str] = []
    if record["kind"] == "run":
        row = _observation(record, intern, problems)
        content.rows.append(row)
        content.first_run.setdefault(row.trunk, number)
    elif record["kind"] == "workflow":
        content.workflows.append(_workflow_report(record))
    else:
        trunk = _add_commit(record, content.commits, problems)
        if _flag(record, "older_unread"):
            content.truncated.add(trunk)
    return problems


def _trunk_of(record: Mapping[str, Any]) -> Trunk | None:
    """Return the trunk of a line that may be malformed; None where it is unknown."""
    try:
        return Trunk(_text(record, "repo"), _text(record, "branch"))
    except _LineError:
        return None


def _check_escapes(record: object) -> None:
    """Half a surrogate pair can be escaped in JSON, but is no text that anybody could store."""
    try:
        json.dumps(record, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        raise _LineError("has an escape such as \\ud800 that is no character") from None


def _add_commit(
    record: Mapping[str, Any],
    commits: dict[Trunk, dict[str, Commit]],
    problems: list[str],
) -> Trunk:
    trunk = Trunk(_text(record, "repo"), _text(record, "branch"))
    sha = _sha(record)
    chain = commits.setdefault(trunk, {})
    if sha in chain:
        raise _LineError(f"sha {sha} is in the order of {trunk} already")
    chain[sha] = Commit(
        sha,
        _time(record, "committed_at", problems),
        _optional_text(record, "author"),
        _optional_text(record, "title"),
    )
    return trunk


def _workflow_report(record: Mapping[str, Any]) -> WorkflowReport:
    state = record.get("state")
    if state not in tuple(WorkflowState):
        allowed = ", ".join(WorkflowState)
        raise _LineError(_must_be(record, "state", f"one of {allowed}"))
    return WorkflowReport(
        Trunk(_text(record, "repo"), _text(record, "branch")),
        _optional_text(record, "workflow_path") or _text(record, "workflow"),
        WorkflowState(state),
    )


def _observation(
    record: Mapping[str, Any], intern: Callable[[str, str], str], problems: list[str]
) -> Observation:
    def shared(text: str) -> str:
        return intern(text, text)

    repo, branch = shared(_text(record, "repo")), shared(_text(record, "branch"))
    status = shared(_text(record, "status"))
    conclusion = _optional_text(record, "conclusion") if status == "completed" else None
    path = _optional_text(record, "workflow_path")
    return Observation(
        Trunk(repo, branch),
        shared(_sha(record)),
        RawJob(
            shared(_text(record, "workflow")),
            shared(path) if path else None,
            shared(_text(record, "job_name")),
        ),
        status,
        shared(conclusion) if conclusion is not None else None,
        _id(record, "run_id"),
        _number(record, "attempt", least=1) or 1,
        _id(record, "job_id"),
        _number(record, "run_number", least=0),
        shared(_optional_text(record, "event") or "push"),
        shared(_optional_text(record, "head_branch") or branch),
        shared(_optional_text(record, "head_repo") or repo),
        _time(record, "created_at", problems),
        _time(record, "started_at", problems),
        _time(record, "completed_at", problems),
        _optional_text(record, "url"),
        _optional_text(record, "failed_step"),
        _flag(record, "infra"),
        annotation_lines(_texts(record, "annotations")),
        _flag(record, "run_completed"),
    )


def _text(record: Mapping[str, Any], key: str) -> str:
    value = record.get(key)
    if not isinstance(value, str) or not value:
        raise _LineError(_must_be(record, key, "a text that is not empty"))
    return value


def _optional_text(record: Mapping[str, Any], key: str) -> str | None:
    value = record.get(key)
    if value is not None and not isinstance(value, str):
        raise _LineError(_must_be(record, key, "a text"))
    return value


def _texts(record: Mapping[str, Any], key: str) -> list[str]:
    value = record.get(key)
    if value is None:
        return []
    if not isinstance(value, list) or not all(isinstance(text, str) for text in value):
        raise _LineError(_must_be(record, key, "a list of texts"))
    return value


def _sha(record: Mapping[str, Any]) -> str:
    sha = full_hash(record.get("sha"))
    if sha is None:
        raise _LineError(_must_be(record, "sha", "a full hash of 40 hex digits"))
    return sha


def _time(record: Mapping[str, Any], key: str, problems: list[str]) -> float | None:
    """Return a time; a text that is none is a problem, and the line counts all the same."""
    value = record.get(key)
    if value is None:
        return None
    try:
        return parse_time(value)
    except ValueError:
        problems.append(_must_be(record, key, "a time with its zone, such as 2025-12-09T16:02:11Z"))
        return None


def _id(record: Mapping[str, Any], key: str) -> RunId | None:
    value = record.get(key)
    if value is None or (isinstance(value, str) and value):
        return value
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) < ID_LIMIT:
        return value
    raise _LineError(_must_be(record, key, "a number of 64 bits or a text"))


def _number(record: Mapping[str, Any], key: str, least: int) -> int | None:
    value = record.get(key)
    if value is None:
        return None
    if not isinstance(value, int) or isinstance(value, bool) or not least <= value < ID_LIMIT:
        raise _LineError(_must_be(record, key, f"a whole number of {least} or more"))
    return value


def _flag(record: Mapping[str, Any], key: str) -> bool:
    value = record.get(key)
    if value is not None and not isinstance(value, bool):
        raise _LineError(_must_be(record, key, "true or false"))
    return bool(value)


def _must_be(record: Mapping[str, Any], key: str, what: str) -> str:
    if key not in record:
        return f"{key} is missing; it must be {what}"
    return f"{key} must be {what} (got {record[key]!r})"


# ---------------------------------------------------------------------- writing


def recorded_lines(
    order: TrunkOrder, rows: Iterable[Observation], states: Mapping[str, WorkflowState]
) -> Iterator[str]:
    """Write a trunk as lines that read back as the same commits, observations and states.

    Args:
        order: the trunk.
        rows: its observations.
        states: of its workflows, by their identity.
    """
    trunk = {"repo": order.trunk.repo, "branch": order.trunk.branch}
    for place, commit in enumerate(order.commits):
        yield _line(
            {
                "kind": "commit",
                **trunk,
                "sha": commit.sha,
                "committed_at": _time_text(commit.committed_at),
                "author": commit.author,
                "title": commit.title,
                "older_unread": (place == 0 and order.older_unread) or None,
            }
        )
    for row in rows:
        yield _line({"kind": "run", **trunk, **_run_fields(row)})
    for workflow, state in states.items():
        # The identity is the path or, without one, the name: both are read back as the same.
        yield _line({"kind": "workflow", **trunk, "workflow_path": workflow, "state": state})


def _run_fields(row: Observation) -> dict[str, object]:
    return {
        "sha": row.sha,
        "workflow": row.job.workflow_name,
        "workflow_path": row.job.workflow_path,
        "job_name": row.job.job_name,
        "run_id": row.run_id,
        "attempt": row.attempt,
        "job_id": row.job_id,
        "run_number": row.run_number,
        "status": row.status,
        "conclusion": row.conclusion,
        "event": row.event,
        "head_branch": row.head_branch,
        "head_repo": row.head_repo,
        "created_at": _time_text(row.created_at),
        "started_at": _time_text(row.started_at),
        "completed_at": _time_text(row.completed_at),
        "url": row.url,
        "failed_step": row.failed_step,
        "infra": row.infra or None,
        "annotations": row.annotations or None,
        "run_completed": row.run_completed or None,
    }


def _line(fields: Mapping[str, object]) -> str:
    known = {key: value for key, value in fields.items() if value is not None}
    return json.dumps(known, ensure_ascii=False, separators=(",", ":")) + "\n"


def _time_text(seconds: float | None) -> str | None:
    return None if seconds is None else format_time(seconds)
