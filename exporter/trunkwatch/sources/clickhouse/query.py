"""The query for rows of results: columns are quoted, every value is a bound parameter."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Annotated, Any, NamedTuple

import msgspec

from trunkwatch.config.clickhouse import Expression
from trunkwatch.config.sources import ClickhouseSource
from trunkwatch.sources.clickhouse.presets import PRESETS

TIMES = frozenset({"created_at", "started_at", "completed_at"})
"""The keys of `columns` that are times."""

_IDENTITY = ("repo", "sha", "workflow", "job_name", "run_id", "attempt", "job_id", "status")

OWN = (
    "sha", "run_id", "attempt", "job_id", "run_number", "created_at", "started_at", "completed_at",
)  # fmt: skip
"""The keys of `columns` that differ from row to row of a job; the others do so where it fails."""

JOB_ID, RUN_ID = "\x01", "\x02"
"""What the ids are replaced by in an address, so that rows of one job share it."""

_MICROSECONDS = "toUnixTimestamp64Micro(accurateCastOrNull({}, 'DateTime64(6, \\'UTC\\')'))"
"""A time of any type as a number; NULL for none."""

_ESCAPES = str.maketrans({"\\": r"\\", "\t": r"\t", "\n": r"\n", "\r": r"\r", "\0": r"\0"})
_ARRAY_ESCAPES = str.maketrans({"\\": r"\\", "'": r"\'"})

NO_TIME_MICROSECONDS = 86_400_000_000
"""The first day of 1970, which stands for no time."""

WHOLE = (
    "SETTINGS read_overflow_mode = 'throw', result_overflow_mode = 'throw',"
    " sort_overflow_mode = 'throw', group_by_overflow_mode = 'throw',"
    " timeout_overflow_mode = 'throw', skip_unavailable_shards = 0"
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


class Bundle(NamedTuple):
    """Rows of one page that differ in the keys of `OWN` only.

    Attributes:
        shared: values of all of them, by the key of `columns`; none is empty.
        own: the values of each, by the key of `columns`: texts, and microseconds since the epoch.
        numbers: the number of each in the page, from 1 in the order of places.
        end: the place of the last one.
    """

    shared: Mapping[str, str]
    own: Mapping[str, Sequence[Any]]
    numbers: Sequence[int]
    end: Place


_Int64 = Annotated[int, msgspec.Meta(ge=-(2**63), le=2**63 - 1)]


class RowQuery:
    """The query of one source.

    Attributes:
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
        self._expressions = expressions
        self._shared = [key for key in expressions if key not in OWN]
        self._own = [key for key in expressions if key in OWN]
        lists = [list[_Int64] if key in TIMES else list[str] for key in self._own]
        types = (*(str for _ in self._shared), *lists, list[_Int64], _Int64, str)
        self._answer: Any = list[tuple[types]]  # type: ignore[valid-type]
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
            conditions.append("(`written:`, `key:`) > ({written:Int64}, {key:UInt64})")
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
        rows = (
            f"SELECT {', '.join(self._values())}"  # noqa: S608 — as below
            f" FROM {self._from} WHERE {' AND '.join(conditions)}"
            f" ORDER BY `written:`, `key:` LIMIT {limit} WITH TIES"
        )
        return [("query", self._bundled(rows)), ("wait_end_of_query", "1"), *parameters]

    def _bundled(self, rows: str) -> str:
        """Return the query for the bundles of the rows of another query."""
        shared = ", ".join(f"`{key}:`" for key in self._shared)
        own = "".join(f", groupArray(`{key}:`)" for key in self._own)
        return (
            f"SELECT {shared}{own}, groupArray(`number:`), max(`written:`),"  # noqa: S608 — names are checked and quoted, values are parameters
            " toString(argMax(`key:`, `number:`))"
            f" FROM (SELECT *, row_number() OVER (ORDER BY `written:`, `key:`) AS `number:`"
            f" FROM ({rows})) GROUP BY {shared} {WHOLE} FORMAT JSONCompact"
        )

    def bundles(self, rows: object) -> list[Bundle]:
        """Return the bundles of an answer.

        Args:
            rows: of the answer; numbers may be texts, by a setting of the server.

        Raises:
            ValueError: they are not those of the query.
        """
        bundles = list(map(self._bundle, msgspec.convert(rows, self._answer, strict=False)))
        numbers = sorted(number for bundle in bundles for number in bundle.numbers)
        if numbers != list(range(1, len(numbers) + 1)):
            raise ValueError("rows are missing, or double")
        return bundles

    def _bundle(self, values: Sequence[Any]) -> Bundle:
        *columns, numbers, written, key = values
        shared = zip(self._shared, columns, strict=False)
        own = dict(zip(self._own, columns[len(self._shared) :], strict=True))
        place = Place(written, key)
        if {len(each) for each in own.values()} != {len(numbers)} or not numbers:
            raise ValueError("lists of different lengths")
        if not (key and place.is_sound):
            raise ValueError("no place")
        return Bundle({name: text for name, text in shared if text}, own, numbers, place)

    def _values(self) -> Iterator[str]:
        """Yield the values of a row; their names are not those of any column."""
        for key, sql in self._expressions.items():
            yield f"{self._value(key, sql)} AS `{key}:`"
        yield f"{_MICROSECONDS.format(self._written)} AS `written:`"
        identity = ", ".join(
            self._expressions[key] for key in _IDENTITY if key in self._expressions
        )
        yield f"cityHash64(toString(tuple({identity}))) AS `key:`"

    def _value(self, key: str, sql: str) -> str:
        """Return the expression of a value that is never NULL: lists leave NULL out."""
        if key in TIMES:
            return f"ifNull({_MICROSECONDS.format(sql)}, 0)"
        text = _text(sql)
        if key == "url":
            text = rf"translate({text}, '\x01\x02', '  ')"
            for id_key, sign in (("job_id", r"\x01"), ("run_id", r"\x02")):
                if id_key in self._expressions:
                    text = f"replaceOne({text}, `{id_key}:`, '{sign}')"
        return text


def _text(sql: str) -> str:
    """Return the expression of a text; a byte that is no UTF-8 would spoil the whole answer."""
    return f"ifNull(toValidUTF8(toString({sql})), '')"


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
