"""The shapes of stored entries: one that is damaged is dropped, and its content read again."""

import json
from dataclasses import MISSING, fields
from typing import Any, NotRequired, TypedDict, TypeVar, get_type_hints

import msgspec

from trunkwatch.sources.github.jobs.job import Job
from trunkwatch.sources.github.runs.run import OPTIONAL, Run

Value = TypeVar("Value")

Commits = list[tuple[str, float | None, str | None, str | None]]


class ChainEntry(TypedDict):
    """The commits of a trunk."""

    etag: str | None
    token: str
    window: int
    root: bool
    commits: Commits


class RunListEntry(TypedDict):
    """How far the list of runs has been read."""

    page: int
    covered: float
    etag: NotRequired[str | None]
    token: NotRequired[str]
    seen: NotRequired[list[int]]
    forgotten: NotRequired[float]
    recheck: NotRequired[int]
    checked: NotRequired[float]


class CommitEntry(TypedDict, total=False):
    """When the suites and the jobs of a commit were read."""

    rows: int | None
    alone: list[int]
    at: float
    listed: float
    failing: float
    doubtful: list[str]
    again: bool
    others: list[int]
    missing: dict[str, float]


class TimedOutEntry(TypedDict):
    """A cancelled job, or its conclusion."""

    run: int
    job: NotRequired[Job]
    conclusion: NotRequired[str]


class NodeEntry(TypedDict):
    """The GraphQL id of a check run."""

    run: int
    node: str


class OfRun(TypedDict):
    """A job of which something was read."""

    run: int


class PendingEntry(TypedDict):
    """Jobs whose run has not been read."""

    at: float
    jobs: dict[str, Job]


class ExternalEntry(TypedDict):
    """When the results of other CI systems were read."""

    at: float
    done: bool


class WorkflowsReadEntry(TypedDict):
    """When the states of workflows were read."""

    at: float
    tip: str


RUN_ENTRY = msgspec.defstruct(
    "RunEntry",
    [
        (field.name, hints[field.name], None)
        if field.name in OPTIONAL or field.default is not MISSING
        else (field.name, hints[field.name])
        for hints in [get_type_hints(Run)]
        for field in fields(Run)
    ],
    kw_only=True,
    forbid_unknown_fields=True,
)
"""A run without its fields that are None (`Run.to_json`)."""

SHAPES: dict[str, Any] = {
    "chain": ChainEntry,
    "read_down_to": str,
    "run_list": RunListEntry,
    "run_2": RUN_ENTRY,
    "commit": CommitEntry,
    "typical_checks": int,
    "timed_out": TimedOutEntry,
    "node": NodeEntry,
    "step": OfRun,
    "annotated": OfRun,
    "pending": PendingEntry,
    "external": ExternalEntry,
    "workflow": str,
    "workflows_read": WorkflowsReadEntry,
}
"""The shape of each kind of entry (`state.Kind`)."""

BY_NUMBER = frozenset({"run_2", "timed_out", "node", "step", "annotated", "pending"})
"""Kinds whose entries are named by the number of a run or of a job."""


def _constant(name: str) -> float:
    """Return an infinity; NaN, which is neither before nor after any moment, is damage."""
    if name == "NaN":
        raise ValueError(name)
    return float(name)


_JSON = json.JSONDecoder(parse_constant=_constant)
"""Made once: with an argument, `json.loads` makes one for each of thousands of entries."""


def checked_entry(kind: str, text: str) -> Any:
    """Return the JSON of an entry; None if it is damaged."""
    try:
        value = _JSON.decode(text)
        msgspec.convert(value, SHAPES.get(kind, Any))
    except (ValueError, RecursionError):
        return None
    return value


def stored_value(text: str | None, kind: type[Value]) -> Value | None:
    """Return a stored value; None if there is none, or it is damaged."""
    if text is None:
        return None
    try:
        return msgspec.convert(_JSON.decode(text), kind, str_keys=True)
    except (ValueError, RecursionError):
        return None
