"""The types of a fact's values, checked where every fact of every source passes.

A parser that lets a list through as a text, or a number that SQLite cannot hold, would otherwise
end the whole refresh, or a page much later.
"""

from collections.abc import Callable, Iterable
from dataclasses import replace
from math import isfinite
from typing import Any

from trunkwatch.domain.model import Commit, Observation, TrunkOrder, WorkflowReport
from trunkwatch.engine.facts import AddedCommits, Fact, FilesReport

UNREADABLE = "unreadable"
"""The status of an attempt whose own status or conclusion cannot be read."""

INT_LIMIT = 2**63
"""SQLite stores integers of 64 bits."""


def storable_part(fact: Fact) -> Fact | None:
    """Return a fact without the values that have another type, or cannot be stored and sent.

    An attempt without a readable result has none yet, so that it neither passed nor failed. None
    where the identity of an attempt, or the hash of a commit, cannot be read: an order without one
    of its commits would make its neighbours adjacent.
    """
    if is_storable(fact):
        return fact
    if isinstance(fact, Observation):
        fact = _without_unstorable(fact)
    elif isinstance(fact, TrunkOrder):
        fact = _order_part(fact)
    elif isinstance(fact, AddedCommits):
        fact = AddedCommits(_order_part(fact.order))
    return fact if is_storable(fact) else None


def _without_unstorable(row: Observation) -> Observation:
    lines = row.annotations if isinstance(row.annotations, tuple) else ()
    row = row.changed(
        url=_if(_is_text, row.url),
        failed_step=_if(_is_text, row.failed_step),
        created_at=_if(_is_time, row.created_at),
        started_at=_if(_is_time, row.started_at),
        completed_at=_if(_is_time, row.completed_at),
        run_number=_if(_is_int, row.run_number),
        annotations=tuple(filter(_is_text, lines)),
        infra=row.infra is True,
        run_completed=row.run_completed is True,
    )
    if _is_text(row.status) and (row.conclusion is None or _is_text(row.conclusion)):
        return row
    return row.changed(status=UNREADABLE, conclusion=None)


def _order_part(order: TrunkOrder) -> TrunkOrder:
    commits = (each if _is_commit(each) else _commit_part(each) for each in order.commits)
    return replace(order, commits=tuple(commits))


def _commit_part(commit: Commit) -> Commit:
    return Commit(
        commit.sha,
        _if(_is_time, commit.committed_at),
        _if(_is_text, commit.author),
        _if(_is_text, commit.title),
    )


def _if(is_good: Callable[[object], bool], value: Any) -> Any:
    return value if is_good(value) else None


def is_storable(fact: Fact) -> bool:
    """Return whether the values of a fact have their types, and can be stored and sent."""
    if isinstance(fact, Observation):
        return _is_attempt(fact)
    if isinstance(fact, TrunkOrder):
        return all(map(_is_commit, fact.commits))
    if isinstance(fact, AddedCommits):
        return all(map(_is_commit, fact.order.commits))
    if isinstance(fact, WorkflowReport):
        return _are_texts((*fact.trunk, fact.workflow_key))
    if isinstance(fact, FilesReport):
        span, paths = fact.span, fact.files.paths
        return _are_texts((*fact.trunk, span.until, span.since or "", *paths))
    return True


def _is_attempt(row: Observation) -> bool:
    trunk, job = row.trunk, row.job
    return (
        # One call for all of them: this is a tenth of the cost of a recorded result.
        _are_texts(
            (
                trunk.repo, trunk.branch, row.sha, row.status, row.event, row.head_branch,
                row.head_repo, job.workflow_name, job.job_name, *row.annotations,
                _if_any(row.conclusion), _if_any(row.url), _if_any(row.failed_step),
                _if_any(job.workflow_path),
            )
        )
        and _is_int(row.attempt)
        and (row.run_number is None or _is_int(row.run_number))
        and _is_run_id(row.run_id)
        and _is_run_id(row.job_id)
        and _is_time(row.created_at)
        and _is_time(row.started_at)
        and _is_time(row.completed_at)
        and type(row.infra) is bool
        and type(row.run_completed) is bool
    )  # fmt: skip


def _if_any(text: str | None) -> str:
    return "" if text is None else text


def _is_commit(commit: Commit) -> bool:
    texts = [text for text in (commit.author, commit.title) if text is not None]
    return _are_texts((commit.sha, *texts)) and _is_time(commit.committed_at)


def _is_time(value: object) -> bool:
    return value is None or (type(value) is float and isfinite(value)) or _is_int(value)


def _is_run_id(value: object) -> bool:
    return value is None or _is_int(value) or _are_texts((value,))


def _is_int(value: object) -> bool:
    return type(value) is int and -INT_LIMIT <= value < INT_LIMIT


def _is_text(value: object) -> bool:
    return _are_texts((value,))


def _are_texts(values: Iterable[Any]) -> bool:
    try:
        joined = "".join(values)
        return joined.isascii() or bool(joined.encode())
    except (TypeError, UnicodeEncodeError):
        return False
