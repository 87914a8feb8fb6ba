"""The attempts behind one cell, in the CI's own words."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from os.path import commonprefix

from trunkwatch.addresses import is_web
from trunkwatch.domain.columns import Column
from trunkwatch.domain.model import Commit, Evidence, Observation, TrunkOrder, newest_first
from trunkwatch.domain.verdict import distinct_attempts
from trunkwatch.engine.cells import MEANINGS, PENDING, columns_by_sha, letter_of_columns
from trunkwatch.report.words import duration, result

ATTEMPTS_SHOWN = 12
"""Attempts of one job at one commit that a page lists; a folded job may have dozens of shards."""

IN_PROGRESS = "in_progress"
"""The status of an attempt that runs; the others of an unfinished one wait for a runner."""

_SHARD_OF = re.compile(r"^(\d+)(?:, |/)(\d+)\b")
"""A shard's number and how many there are, as most matrices write them."""


@dataclass(frozen=True, slots=True)
class Attempt:
    """One attempt.

    Attributes:
        words: the CI's result.
        more: shard, attempt, step and duration.
        url: of its log.
        annotations: the CI's messages about the failure.
    """

    words: str
    more: str
    url: str | None
    annotations: Sequence[str]


@dataclass(frozen=True, slots=True)
class Detail:
    """One cell.

    Attributes:
        commit: its commit.
        letter: of its verdict.
        words: what the letter means.
        attempts: the decisive ones first.
        left_out: number of further attempts.
        url: of the run to open, None where none has the address of a web page.
    """

    commit: Commit
    letter: str
    words: str
    attempts: Sequence[Attempt]
    left_out: int
    url: str | None


def details(columns: Iterable[Column], order: TrunkOrder) -> list[Detail]:
    """Return the details of a job's cells, newest commit first.

    Args:
        columns: of one job.
        order: the trunk.
    """
    by_sha = columns_by_sha(columns)
    indexes = sorted((order.index[sha] for sha in by_sha if sha in order.index), reverse=True)
    commits = [order.commits[at] for at in indexes]
    return [_detail(by_sha[commit.sha], commit) for commit in commits]


def _detail(columns: Sequence[Column], commit: Commit) -> Detail:
    letter = letter_of_columns(columns)
    rows = _rows(columns, Evidence.FAIL) + _rows(columns, *(set(Evidence) - {Evidence.FAIL}))
    names = {row.job.job_name for row in rows}
    common = commonprefix(sorted(names))  # noqa: RUF071 — of texts, not of paths
    prefix = len(common.rpartition(" ")[0]) if len(names) > 1 else None
    shown = [_attempt(row, prefix) for row in rows[:ATTEMPTS_SHOWN]]
    url = next((row.url for row in rows if is_web(row.url)), None)
    left_out = max(0, len(rows) - ATTEMPTS_SHOWN)
    return Detail(commit, letter, _words(letter, rows), shown, left_out, url)


def _words(letter: str, rows: Iterable[Observation]) -> str:
    """Return the meaning of a letter; of an unfinished run, whether it has begun."""
    if letter != PENDING:
        return MEANINGS[letter]
    return "running" if any(row.status == IN_PROGRESS for row in rows) else "queued"


def _rows(columns: Sequence[Column], *kinds: Evidence) -> list[Observation]:
    rows = [row for column in columns for row in column.rows(*kinds)]
    return newest_first(distinct_attempts(rows))


def _attempt(row: Observation, prefix: int | None) -> Attempt:
    """Return an attempt.

    Args:
        row: its row.
        prefix: length of the part that the names of all shards begin with; None without shards.
    """
    more = [_shard(row.job.job_name[prefix:])] if prefix is not None else []
    if row.attempt > 1:
        more.append(f"attempt {row.attempt}")
    if row.failed_step:
        more.append(f"at the step {row.failed_step}")
    if row.started_at is not None and row.completed_at is not None:
        more.append(f"after {duration(row.completed_at - row.started_at)}")
    if row.infra:
        more.append("infrastructure")
    return Attempt(result(row), ", ".join(more), row.url, row.annotations)


def _shard(ending: str) -> str:
    """Return the end of a shard's name in words, such as "shard 1 of 2"."""
    return "shard " + _SHARD_OF.sub(r"\1 of \2", ending.strip(" ()[]"))
