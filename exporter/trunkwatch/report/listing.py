"""A table where the terminal is wide enough, else a block per row; no name is ever cut."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from rich.console import Console
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text

UNLIMITED_WIDTH = 100_000
"""Columns in which every table fits."""

INDENT = "  "
SEPARATOR = " · "


@dataclass(frozen=True, slots=True)
class Heading:
    """The heading of a column.

    Attributes:
        title: above the column, and before each value in a block; a column without one is a mark.
        justify: of the values.
    """

    title: str
    justify: Literal["left", "right"] = "left"


@dataclass(frozen=True, slots=True)
class Listing:
    """Rows with one value per heading.

    Attributes:
        headings: of the columns.
        name: the position of the column that names a row.
    """

    headings: Sequence[Heading]
    name: int = 0

    def print(self, rows: Sequence[Sequence[Text]], console: Console) -> None:
        """Print the rows as a table, or as blocks where it does not fit.

        Args:
            rows: the values, in the order of the headings.
            console: where to print.
        """
        table = self._table(rows)
        options = console.options.update_width(UNLIMITED_WIDTH)
        if Measurement.get(console, options, table).maximum <= console.width:
            console.print(table)
            return
        for row in rows:
            # The terminal wraps a long name, so that it can still be copied as a whole.
            console.print(self._headline(row), soft_wrap=True)
            for line in self._lines(row, console.width):
                console.print(line, soft_wrap=True)

    def _table(self, rows: Sequence[Sequence[Text]]) -> Table:
        table = Table(box=None, pad_edge=False, header_style="bold")
        for heading in self.headings:
            table.add_column(heading.title, justify=heading.justify, no_wrap=True)
        for row in rows:
            table.add_row(*row)
        return table

    def _headline(self, row: Sequence[Text]) -> Text:
        marks = [
            value
            for heading, value in zip(self.headings, row, strict=True)
            if not heading.title and value.plain
        ]
        return Text(" ").join([*marks, row[self.name]])

    def _lines(self, row: Sequence[Text], width: int) -> Iterator[Text]:
        """Yield the other values with their titles, as many per line as fit."""
        line = Text()
        for position, (heading, value) in enumerate(zip(self.headings, row, strict=True)):
            if position == self.name or not heading.title or not value.plain:
                continue
            item = Text(f"{heading.title.lower()} ").append_text(value)
            if line.plain and len(INDENT) + len(line) + len(SEPARATOR) + len(item) > width:
                yield Text(INDENT).append_text(line)
                line = Text()
            line = line.append(SEPARATOR if line.plain else "").append_text(item)
        if line.plain:
            yield Text(INDENT).append_text(line)
