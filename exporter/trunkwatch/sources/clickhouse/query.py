"""The query for rows of results: columns are quoted, every value is a bound parameter."""

from collections.abc import Collection, Iterable, Sequence
from typing import NamedTuple

from trunkwatch.config.clickhouse import Expression
from trunkwatch.config.schema import ClickhouseSource
from trunkwatch.sources.clickhouse.presets import PRESETS

TIMES = frozenset({"created_at", "started_at", "completed_at"})
"""The keys of `columns` that are times."""

_IDENTITY = ("repo", "sha", "workflow", "job_name", "run_id", "attempt", "job_id", "status")

_MICROSECONDS = "toUnixTimestamp64Micro(accurateCastOrNull({}, 'DateTime64(6, \\'UTC\\')'))"
"""A time of any type as a number; NULL for none."""

_ESCAPES = str.maketrans({"\\": r"\\", "\t": r"\t", "\n": r"\n", "\r": r"\r", "\0": r"\0"})
_ARRAY_ESCAPES = str.maketrans({"\\": r"\\", "'": r"\'"})

NO_TIME_MICROSECONDS = 86_400_000_000
"""The first day of 1970, which stands for no time."""

WHOLE = (
    "SETTINGS read_overflow_mode = 'throw', result_overflow_mode = 'throw',"
    " sort_overflow_mode = 'throw', timeout_overflow_mode = 'throw', skip_unavailable_shards = 0"
)
"""The defaults, which a profile may change so that an answer without some rows is no error. A user
with `readonly = 1` may set a value that does not change anything."""

KEY_DIGITS = 20
"""Digits of the greatest hash of 64 bits."""


class Place(NamedTuple):
    """A place in the rows, which are ordered by the time of their insertion, then by a hash.

    Attributes:
        written: microseconds since the epoch.
        key: the hash of the row's identity, as a decimal number; "" before all rows of that time.
    """

    written: int
    key: str = ""

    @property
    def is_sound(self) -> bool:
        """Whether ClickHouse can read it; another one was stored damaged."""
        is_key = self.key.isascii() and self.key.isdecimal() and len(self.key) <= KEY_DIGITS
        return 0 <= self.written < 2**62 and (is_key or not self.key)


class RowQuery:
    """The query of one source.

    Attributes:
        fields: the keys of `columns` that a row has, in the order of its values; the place of the
            row follows them.
        table: the table as ClickHouse writes it.
        columns: the columns of the configuration by their keys, for errors.
    """

    def __init__(self, config: ClickhouseSource) -> None:
        """Args:
        config: the source's section of the configuration.
        """
        self._config = config
        self._preset = preset = PRESETS[config.preset]
        self._constants: list[tuple[str, str]] = []
        expressions = dict(preset.columns)
        self.columns = {f"columns.{key}": sql for key, sql in preset.columns.items()}
        for key, expression in config.columns.items():
            expressions[key] = self._sql(key, expression)
            self.columns[f"columns.{key}"] = expression.column or ""
        self.fields: Sequence[str] = tuple(expressions)
        self._expressions = expressions
        self._written = quoted(config.cursor) if config.cursor else preset.cursor
        self.columns["cursor"] = config.cursor or preset.cursor
        self.columns["pruned_by"] = config.pruned_by or preset.pruned_by
        database, table = config.database or preset.database, config.table or preset.table
        self.table = f"{database}.{table}"
        self._from = f"`{database}`.`{table}`"
        self._constants += [
            ("param_repos", array(config.repos)),
            ("param_branches", array(config.branches)),
        ]

    def _sql(self, key: str, expression: Expression) -> str:
        """Return the SQL of an expression of the configuration; its texts become parameters."""
        if expression.column is None:
            self._constants.append((f"param_{key}", escaped(expression.value or "")))
            return f"{{{key}:String}}"
        column = quoted(expression.column)
        if expression.extract is None:
            return column
        self._constants.append((f"param_{key}", escaped(expression.extract.text)))
        return f"extract(toString({column}), {{{key}:String}})"

    def page(
        self, after: Place, until: int | None, oldest: float, limit: int
    ) -> list[tuple[str, str]]:
        """Return the parameters of the request for the rows after a place.

        Rows of one place are never divided between two pages: the limit has ties.

        Args:
            after: the place; without a key the rows of that time are included.
            until: microseconds since the epoch, before which the rows were written; None for all.
            oldest: by `pruned_by`, seconds since the epoch.
            limit: rows, without those of the last one's place.
        """
        written = _MICROSECONDS.format(self._written)
        key = f"cityHash64(toString(tuple({', '.join(self._identity())})))"
        conditions = [
            f"toString({self._expressions['repo']}) IN {{repos:Array(String)}}",
            f"toString({self._expressions['branch']}) IN {{branches:Array(String)}}",
            # Beside the exact condition below, one that an index can use.
            f"{self._written} >= fromUnixTimestamp64Micro({{written:Int64}}, 'UTC')",
        ]
        parameters = [*self._constants, ("param_written", str(after.written))]
        if until is not None:
            conditions.append(f"{self._written} < fromUnixTimestamp64Micro({{until:Int64}}, 'UTC')")
            parameters.append(("param_until", str(until)))
        if after.key:
            conditions.append(f"({written}, {key}) > ({{written:Int64}}, {{key:UInt64}})")
            parameters.append(("param_key", after.key))
        pruned = (
            quoted(self._config.pruned_by) if self._config.pruned_by else self._preset.pruned_by
        )
        if pruned:
            at = "fromUnixTimestamp64Micro({{{}:Int64}}, 'UTC')"
            conditions.append(
                f"({pruned} >= {at.format('oldest')} OR {pruned} < {at.format('day')}"
                f" OR isNull({pruned}))"
            )
            parameters += [("param_oldest", str(int(oldest * 1e6)))]
            parameters += [("param_day", str(NO_TIME_MICROSECONDS))]
        if self._preset.condition:
            conditions.append(self._preset.condition)
        values = ", ".join([*self._values(), f"toString({written})", f"toString({key})"])
        sql = (
            f"SELECT {values}"  # noqa: S608 — names are checked and quoted, values are parameters
            f" FROM {self._from} WHERE {' AND '.join(conditions)}"
            f" ORDER BY {written}, {key} LIMIT {limit} WITH TIES {WHOLE} FORMAT JSONCompact"
        )
        return [("query", sql), ("wait_end_of_query", "1"), *parameters]

    def place(self, row: Sequence[object]) -> Place:
        """Return the place of a row.

        Raises:
            TypeError, ValueError: it has other values than those of the query.
        """
        *values, written, key = row
        place = Place(int(str(written)), str(key))
        if len(values) != len(self.fields) or not (place.key and place.is_sound):
            raise ValueError("no row of the query")
        return place

    def _values(self) -> Iterable[str]:
        for key, sql in self._expressions.items():
            # A byte that is no UTF-8 in one row would make the whole answer unreadable.
            yield f"toString({_MICROSECONDS.format(sql)})" if key in TIMES else _text(sql)

    def _identity(self) -> Iterable[str]:
        return (self._expressions[key] for key in _IDENTITY if key in self._expressions)


def _text(sql: str) -> str:
    return f"toValidUTF8(toString({sql}))"


def quoted(name: str) -> str:
    """Return a checked name as an identifier; the parts of a path are quoted one by one."""
    return ".".join(f"`{part}`" for part in name.split("."))


def escaped(text: str) -> str:
    """Return a text as the value of a String parameter, which ClickHouse reads with escapes."""
    return text.translate(_ESCAPES)


def array(texts: Collection[str]) -> str:
    """Return texts as the value of an Array(String) parameter."""
    quotes = (f"'{text.translate(_ARRAY_ESCAPES)}'" for text in texts)
    return f"[{','.join(quotes)}]"
