"""The keys of each kind of line with their types, and a decoder of lines that have no other keys.

The decoder rejects everything that `careful` rejects, and some lines that `careful` accepts: those
with unknown keys, and those with a wrong value that does not count. Whoever uses it asks `careful`
about each line that it rejects.
"""

from typing import Annotated

import msgspec

from trunkwatch.domain.model import WorkflowState

ID_LIMIT = 2**63
"""Ids and numbers are kept as 64-bit integers."""

Text = Annotated[str, msgspec.Meta(min_length=1)]
Id = Annotated[int, msgspec.Meta(gt=-ID_LIMIT, le=ID_LIMIT - 1)] | Text
Number = Annotated[int, msgspec.Meta(ge=0, le=ID_LIMIT - 1)]
Attempt = Annotated[int, msgspec.Meta(ge=1, le=ID_LIMIT - 1)]


class _Fields(msgspec.Struct, tag_field="kind", forbid_unknown_fields=True, kw_only=True, gc=False):
    """The keys that every kind of line has."""

    repo: Text
    branch: Text


class RunFields(_Fields, tag="run", kw_only=True):
    """The keys of a `run` line; None for one that is missing."""

    sha: Text
    workflow: Text
    job_name: Text
    status: Text
    conclusion: str | None = None
    run_id: Id | None = None
    attempt: Attempt | None = None
    job_id: Id | None = None
    run_number: Number | None = None
    workflow_path: str | None = None
    event: str | None = None
    head_branch: str | None = None
    head_repo: str | None = None
    created_at: str | None = None
    started_at: str | None = None
    completed_at: str | None = None
    url: str | None = None
    failed_step: str | None = None
    infra: bool | None = None
    run_completed: bool | None = None
    annotations: list[str] | None = None


class CommitFields(_Fields, tag="commit", kw_only=True):
    """The keys of a `commit` line; None for one that is missing."""

    sha: Text
    committed_at: str | None = None
    author: str | None = None
    title: str | None = None
    older_unread: bool | None = None


class WorkflowFields(_Fields, tag="workflow", kw_only=True):
    """The keys of a `workflow` line; None for one that is missing."""

    state: WorkflowState
    workflow: str | None = None
    workflow_path: str | None = None


class OrderFields(_Fields, tag="order", kw_only=True):
    """The keys of an `order` line."""

    complete: bool


class FilesFields(_Fields, tag="files", kw_only=True):
    """The keys of a `files` line; None for one that is missing."""

    sha: Text
    files: list[str]
    since: Text | None = None
    more_files: bool | None = None


Fields = RunFields | CommitFields | WorkflowFields | OrderFields | FilesFields

_DECODER = msgspec.json.Decoder(Fields)


def decode(line: bytes) -> Fields | None:
    """Return the keys of a line, or None for a line that `careful` has to look at."""
    try:
        fields: Fields = _DECODER.decode(line)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None
    return fields
