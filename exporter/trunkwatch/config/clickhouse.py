"""The parts of a ClickHouse source: names of tables and columns, and the words of its results."""

import difflib
import re
from collections.abc import Mapping
from typing import Annotated

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from trunkwatch.config.fields import Pattern
from trunkwatch.config.section import Section
from trunkwatch.domain.evidence import COMPLETED, UNFINISHED
from trunkwatch.quoting import quoted, quoted_key

_TABLE = re.compile(r"\w[\w-]*")
_COLUMN = re.compile(r"\w[\w-]*(\.\w[\w-]*)*")

RESULTS = frozenset({*COMPLETED, *UNFINISHED})
"""The words that a result can be mapped to."""


def _table(value: str) -> str:
    if not _TABLE.fullmatch(value):
        raise ValueError(f"must be one name of letters, digits, _ and - (got {quoted(value)})")
    return value


def _column(value: str) -> str:
    if not _COLUMN.fullmatch(value):
        raise ValueError(
            "must be a column such as head_sha or job.state, of letters, digits, _, - and dots"
            f" (got {quoted(value)}); make a view for more"
        )
    return value


def _result(value: str) -> str:
    if value not in RESULTS:
        raise ValueError(f"must be one of {', '.join(sorted(RESULTS))} (got {quoted(value)})")
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


COLUMN_KEYS = (
    "repo", "branch", "sha", "workflow", "workflow_path", "job_name", "status", "conclusion",
    "run_id", "attempt", "job_id", "run_number", "event", "head_repo", "created_at", "started_at",
    "completed_at", "url", "failed_step", "infra", "allow_failure",
)  # fmt: skip
"""The keys of `columns`: those of a run in docs/recorded.md, and `allow_failure`."""

NEEDED = ("repo", "branch", "sha", "job_name")
"""The keys of `columns` without which a row is no result."""


def problem_of(columns: Mapping[str, Expression], *, is_preset: bool) -> str | None:
    """Return the problem of the keys of `columns`, if any.

    Args:
        columns: by their keys.
        is_preset: whether a preset has the others.
    """
    for key in columns.keys() - set(COLUMN_KEYS):
        close = difflib.get_close_matches(key, COLUMN_KEYS, n=1)
        hint = f"did you mean {close[0]!r}?" if close else "docs/clickhouse.md lists all keys"
        return f"columns.{quoted_key(key)}: unknown key; {hint}"
    missing = [key for key in NEEDED if key not in columns]
    if not {"status", "conclusion"} & columns.keys():
        missing.append("conclusion")
    if missing and not is_preset:
        return f"without a preset, columns needs {', '.join(missing)}"
    return None
