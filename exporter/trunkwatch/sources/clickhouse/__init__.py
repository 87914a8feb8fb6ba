"""A table of results in ClickHouse, through its HTTP interface.

https://clickhouse.com/docs/interfaces/http. A job of the CI is a row, or several versions of one: a
table that replaces rows shows both until it merges them. The rows are read in the order in which
they were written, and what counts is decided here, without FINAL.
"""

from trunkwatch.sources.clickhouse.source import TRAITS, Clickhouse

__all__ = ["TRAITS", "Clickhouse"]
