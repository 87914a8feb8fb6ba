"""Reads one line key by key, and names each problem with its remedy."""

import json
from collections.abc import Mapping
from typing import Any

from trunkwatch.domain.model import RunId, Trunk, WorkflowState
from trunkwatch.sources.hashes import full_hash
from trunkwatch.sources.recorded.fields import (
    ID_LIMIT,
    CommitFields,
    Fields,
    FilesFields,
    OrderFields,
    RunFields,
    WorkflowFields,
)
from trunkwatch.times import parse_time

COMPLETED = "completed"
"""The status of an attempt that has ended."""

KINDS = ("commit", "run", "workflow", "order", "files")

_KIND_WORDS = "'commit', 'run', 'workflow', 'order' or 'files'"


class LineError(ValueError):
    """The problem of one line, without its place.

    Attributes:
        trunk: the trunk of the line; None where it is unknown.
    """

    trunk: Trunk | None = None


def examine(line: bytes) -> tuple[Fields, list[str]]:
    """Return the keys of a line, and the problems of the times that were left out.

    Args:
        line: without white space at its ends.

    Raises:
        LineError: the line cannot be used.
    """
    record = _parse(line)
    problems: list[str] = []
    try:
        return _fields(record, problems), problems
    except LineError as error:
        error.trunk = _trunk_of(record)
        raise


def _fields(record: Mapping[str, Any], problems: list[str]) -> Fields:
    kind = record["kind"]
    if kind == "run":
        return _run(record, problems)
    trunk = {"repo": _text(record, "repo"), "branch": _text(record, "branch")}
    if kind == "commit":
        return CommitFields(
            **trunk,
            sha=_sha(record),
            committed_at=_time(record, "committed_at", problems),
            author=_optional_text(record, "author"),
            title=_optional_text(record, "title"),
            older_unread=_flag(record, "older_unread"),
        )
    if kind == "order":
        if record.get("complete") is not True:
            raise LineError(_must_be(record, "complete", "true"))
        return OrderFields(**trunk, complete=True)
    if kind == "files":
        if record.get("files") is None:
            raise LineError(_must_be(record, "files", "a list of texts"))
        return FilesFields(
            **trunk,
            sha=_sha(record),
            files=_texts(record, "files"),
            since=None if record.get("since") is None else _sha(record, "since"),
            more_files=_flag(record, "more_files"),
        )
    path = _optional_text(record, "workflow_path")
    return WorkflowFields(
        **trunk,
        state=_state(record),
        workflow_path=path,
        workflow=None if path else _text(record, "workflow"),
    )


def _run(record: Mapping[str, Any], problems: list[str]) -> RunFields:
    repo, branch, status = (_text(record, key) for key in ("repo", "branch", "status"))
    return RunFields(
        repo=repo,
        branch=branch,
        status=status,
        # The conclusion of an attempt that has not ended does not count, whatever it is.
        conclusion=_optional_text(record, "conclusion") if status == COMPLETED else None,
        workflow_path=_optional_text(record, "workflow_path"),
        sha=_sha(record),
        workflow=_text(record, "workflow"),
        job_name=_text(record, "job_name"),
        run_id=_id(record, "run_id"),
        attempt=_number(record, "attempt", least=1),
        job_id=_id(record, "job_id"),
        run_number=_number(record, "run_number", least=0),
        event=_optional_text(record, "event"),
        head_branch=_optional_text(record, "head_branch"),
        head_repo=_optional_text(record, "head_repo"),
        created_at=_time(record, "created_at", problems),
        started_at=_time(record, "started_at", problems),
        completed_at=_time(record, "completed_at", problems),
        url=_optional_text(record, "url"),
        failed_step=_optional_text(record, "failed_step"),
        infra=_flag(record, "infra"),
        run_completed=_flag(record, "run_completed"),
        annotations=_texts(record, "annotations"),
    )


def _state(record: Mapping[str, Any]) -> WorkflowState:
    state = record.get("state")
    if state not in tuple(WorkflowState):
        allowed = ", ".join(WorkflowState)
        raise LineError(_must_be(record, "state", f"one of {allowed}"))
    return WorkflowState(state)


def _parse(line: bytes) -> dict[str, Any]:
    """Return the object of a line without white space at its ends."""
    if b"\0" in line:
        raise LineError(
            "has bytes of value 0, as UTF-16 has; convert the file, for example by"
            " `iconv -f UTF-16LE -t UTF-8 OLD > NEW`"
        )
    try:
        record = json.loads(line.decode())
    except UnicodeDecodeError as error:
        raise LineError(
            f"is not UTF-8 ({error.reason}); convert the file, for example by"
            " `iconv -f WINDOWS-1252 -t UTF-8 OLD > NEW`"
        ) from None
    except RecursionError:
        raise LineError("is not a JSON object (nested too deeply)") from None
    except json.JSONDecodeError as error:
        raise LineError(_syntax_problem(line, error)) from None
    except ValueError as error:
        raise LineError(f"is not a JSON object ({error})") from None
    if not isinstance(record, dict):
        raise LineError(f"is not a JSON object{_ARRAY if line.startswith(b'[') else ''}")
    if record.get("kind") not in KINDS:
        raise LineError(f"kind must be {_KIND_WORDS} (got {record.get('kind')!r})")
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


def _trunk_of(record: Mapping[str, Any]) -> Trunk | None:
    """Return the trunk of a line that may be malformed; None where it is unknown."""
    try:
        return Trunk(_text(record, "repo"), _text(record, "branch"))
    except LineError:
        return None


def _check_escapes(record: object) -> None:
    """Half a surrogate pair can be escaped in JSON, but is no text that anybody could store."""
    try:
        json.dumps(record, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        raise LineError("has an escape such as \\ud800 that is no character") from None


def _text(record: Mapping[str, Any], key: str) -> str:
    value = record.get(key)
    if not isinstance(value, str) or not value:
        raise LineError(_must_be(record, key, "a text that is not empty"))
    return value


def _optional_text(record: Mapping[str, Any], key: str) -> str | None:
    value = record.get(key)
    if value is not None and not isinstance(value, str):
        raise LineError(_must_be(record, key, "a text"))
    return value


def _texts(record: Mapping[str, Any], key: str) -> list[str]:
    value = record.get(key)
    if value is None:
        return []
    if not isinstance(value, list) or not all(isinstance(text, str) for text in value):
        raise LineError(_must_be(record, key, "a list of texts"))
    return value


def _sha(record: Mapping[str, Any], key: str = "sha") -> str:
    sha = full_hash(record.get(key))
    if sha is None:
        raise LineError(_must_be(record, key, "a full hash of 40 hex digits"))
    return sha


def _time(record: Mapping[str, Any], key: str, problems: list[str]) -> str | None:
    """Return a time; a text that is none is a problem, and the line counts all the same."""
    value = record.get(key)
    if value is None:
        return None
    try:
        parse_time(value)
    except ValueError:
        problems.append(_must_be(record, key, "a time with its zone, such as 2025-12-09T16:02:11Z"))
        return None
    return str(value)


def _id(record: Mapping[str, Any], key: str) -> RunId | None:
    value = record.get(key)
    if value is None or (isinstance(value, str) and value):
        return value
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) < ID_LIMIT:
        return value
    raise LineError(_must_be(record, key, "a number of 64 bits or a text"))


def _number(record: Mapping[str, Any], key: str, least: int) -> int | None:
    value = record.get(key)
    if value is None:
        return None
    if not isinstance(value, int) or isinstance(value, bool) or not least <= value < ID_LIMIT:
        raise LineError(_must_be(record, key, f"a whole number of {least} or more"))
    return value


def _flag(record: Mapping[str, Any], key: str) -> bool:
    value = record.get(key)
    if value is not None and not isinstance(value, bool):
        raise LineError(_must_be(record, key, "true or false"))
    return bool(value)


def _must_be(record: Mapping[str, Any], key: str, what: str) -> str:
    if key not in record:
        return f"{key} is missing; it must be {what}"
    return f"{key} must be {what} (got {record[key]!r})"
