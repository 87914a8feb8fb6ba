"""The parts of a ClickHouse source: names of tables and columns, and the words of its results."""

import re
from typing import Annotated

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from trunkwatch.config.fields import Pattern
from trunkwatch.config.section import Section
from trunkwatch.domain.evidence import COMPLETED, UNFINISHED

_TABLE = re.compile(r"\w[\w-]*")
_COLUMN = re.compile(r"\w[\w-]*(\.\w[\w-]*)*")

RESULTS = frozenset({*COMPLETED, *UNFINISHED})
"""The words that a result can be mapped to."""


def _table(value: str) -> str:
    if not _TABLE.fullmatch(value):
        raise ValueError(f"must be one name of letters, digits, _ and - (got {value!r})")
    return value


def _column(value: str) -> str:
    if not _COLUMN.fullmatch(value):
        raise ValueError(
            "must be a column such as head_sha or job.state, of letters, digits, _, - and dots"
            f" (got {value!r}); make a view for more"
        )
    return value


def _result(value: str) -> str:
    if value not in RESULTS:
        raise ValueError(f"must be one of {', '.join(sorted(RESULTS))} (got {value!r})")
    return value


TableName = Annotated[str, AfterValidator(_table)]
"""The name of a database or a table, without quotes."""

ColumnName = Annotated[str, AfterValidator(_column)]
"""A column, or an element of a tuple or a JSON column by its path."""

Result = Annotated[str, AfterValidator(_result)]
"""A status or a conclusion of the evidence table (docs/policy.md, 3.2)."""


class Expression(Section):
    """A value that is no plain column.

    Attributes:
        column: the column to read.
        extract: the part of its text to use: what the first group of the pattern matches.
        value: a constant for all rows, instead of a column.
    """

    column: ColumnName | None = None
    extract: Pattern | None = None
    value: Annotated[str, Field(min_length=1)] | None = None

    @model_validator(mode="after")
    def _is_one_of_both(self) -> "Expression":
        if (self.column is None) == (self.value is None):
            raise ValueError("needs column: or value:, and not both")
        if self.value is not None and self.extract is not None:
            raise ValueError("extract needs column:")
        return self


def _expression(value: object) -> object:
    return {"column": value} if isinstance(value, str) else value


Column = Annotated[Expression, BeforeValidator(_expression)]
"""A column, written as its name, or an expression."""


class Columns(Section):
    """Where the table has what a result consists of; the keys are those of docs/recorded.md.

    Attributes:
        repo: the repository.
        branch: the branch that the run is of.
        sha: the full hash of the commit.
        workflow: the workflow; without it, the name of the source.
        workflow_path: identifies the workflow, where the CI has paths.
        job_name: the full name of the job.
        status: `completed`, or how far the job is.
        conclusion: the result; empty until the job has ended.
        run_id: of the run.
        attempt: within the run; 1 without it.
        job_id: of this job in this attempt.
        run_number: orders the runs of one commit.
        event: that started the run; `push` without it.
        head_repo: the repository of the branch; that of the result without it.
        created_at: when the job was created.
        started_at: when it started.
        completed_at: when it ended.
        url: of the log.
        failed_step: the first step that failed.
        infra: whether the CI system failed, not the job.
        allow_failure: whether the job is allowed to fail.
    """

    repo: Column | None = None
    branch: Column | None = None
    sha: Column | None = None
    workflow: Column | None = None
    workflow_path: Column | None = None
    job_name: Column | None = None
    status: Column | None = None
    conclusion: Column | None = None
    run_id: Column | None = None
    attempt: Column | None = None
    job_id: Column | None = None
    run_number: Column | None = None
    event: Column | None = None
    head_repo: Column | None = None
    created_at: Column | None = None
    started_at: Column | None = None
    completed_at: Column | None = None
    url: Column | None = None
    failed_step: Column | None = None
    infra: Column | None = None
    allow_failure: Column | None = None

    def missing(self) -> list[str]:
        """Return the keys that a table without a preset needs and that are not set."""
        named = [key for key in ("repo", "branch", "sha", "job_name") if not getattr(self, key)]
        return named if self.status or self.conclusion else [*named, "conclusion"]
