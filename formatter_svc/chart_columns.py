"""The columns of a chart: which are numbers, in what unit, and which may be an axis. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final

from formatter_svc import numbers
from formatter_svc.chart_colors import color
from formatter_svc.chart_config import plain
from formatter_svc.chart_shapes import Cell, Row
from formatter_svc.numbers import Number, Quantity, quantity

# What stands for nothing in a column of numbers.
_EMPTY: Final = frozenset({"", "-", "–", "—", "n/a", "na", "null", "none", "nan", "?", "…", "..."})
_TIMES: Final = frozenset(
    {"year", "date", "month", "day", "week", "quarter", "time", "timestamp", "jahr", "datum"}
)
_IDS: Final = frozenset({"id", "uuid", "index", "key", "nr", "no"})
_FILLS: Final = frozenset({"fill", "color", "colour", "hex", "backgroundcolor"})


@dataclass(slots=True)
class Column:
    """One key of the rows; cells and quantities by the row's place, where the row has the key."""

    key: str
    cells: dict[int, Cell] = field(default_factory=dict)
    quantities: dict[int, Quantity] = field(default_factory=dict)
    filled: int = 0
    unit: str = ""
    mixed: bool = False

    @property
    def is_numeric(self) -> bool:
        """Whether it can be plotted: what is no number in it is the exception."""
        return 0 < self.filled <= 2 * len(self.quantities) and not self.mixed

    @property
    def is_text(self) -> bool:
        """Whether it says something that is no number."""
        return self.filled > 0 and not self.is_numeric

    @property
    def has_texts(self) -> bool:
        """Whether any cell is a string, numeric or not."""
        return any(isinstance(cell, str) for cell in self.cells.values())

    @property
    def is_flags(self) -> bool:
        """Whether all that it says is true or false."""
        said = [cell for cell in self.cells.values() if cell is not None]
        return bool(said) and all(isinstance(cell, bool) for cell in said)

    @property
    def is_time(self) -> bool:
        """Whether its numbers are years or moments, or its name says so."""
        return plain(self.key) in _TIMES or (
            self.is_numeric and not self.unit and all(map(_is_moment, self.quantities.values()))
        )

    @property
    def is_id(self) -> bool:
        """Whether its name says that it only tells rows apart."""
        return plain(self.key) in _IDS

    @property
    def is_fill(self) -> bool:
        """Whether it holds the rows' colours."""
        said = [cell for cell in self.cells.values() if cell is not None]
        if plain(self.key) not in _FILLS or not said:
            return False
        return self.key == "fill" or all(color(cell) for cell in said)

    def values(self, unit: str) -> dict[int, Number]:
        """Its numbers by place, in a unit of its family (else in its own)."""
        return {
            place: numbers.in_unit(each, unit or self.unit)
            for place, each in self.quantities.items()
        }


def columns_of(rows: Sequence[Row]) -> dict[str, Column]:
    """The columns in the order in which rows name them."""
    found: dict[str, Column] = {}
    for place, row in enumerate(rows):
        for key, cell in row.items():
            if key not in found:
                found[key] = Column(key)
            found[key].cells[place] = cell
    texts = (cell for row in rows for cell in row.values() if isinstance(cell, str))
    comma = numbers.decimal_comma(texts)
    for column in found.values():
        _weigh(column, comma=comma)
    return found


def _weigh(column: Column, *, comma: bool) -> None:
    for place, cell in column.cells.items():
        if cell is None or (isinstance(cell, str) and cell.strip().lower() in _EMPTY):
            continue
        column.filled += 1
        if (found := _quantity(cell, comma=comma)) is not None:
            column.quantities[place] = found
    units = list(dict.fromkeys(each.unit for each in column.quantities.values() if each.unit))
    # The plural of `1 task` and `3 tasks`; of `2 h` and `90 min` the first.
    column.unit = next((unit for unit in units if unit.endswith("s")), next(iter(units), ""))
    column.mixed = len(set(map(numbers.family, units))) > 1


def _quantity(cell: Cell, *, comma: bool) -> Quantity | None:
    if isinstance(cell, str):
        return quantity(cell, comma=comma)
    return None if cell is None else Quantity(int(cell) if isinstance(cell, bool) else cell)


def _is_moment(given: Quantity) -> bool:
    """A year, or milliseconds since 1970 of 1986 and later."""
    return (given.value == int(given.value) and 1900 <= given.value <= 2100) or (
        5e11 <= given.value <= 5e12
    )


Rule = Callable[[Column], bool]


def first(columns: Iterable[Column], *rules: Rule) -> Column | None:
    """The first column that keeps the first rule, else the first that keeps the second …"""
    listed = list(columns)
    kept = (column for rule in rules for column in listed if rule(column))
    return next(kept, None)


def best_axis(columns: Iterable[Column]) -> Column | None:
    """The column that a reader would take for the axis where nothing names one."""
    return first(
        columns,
        lambda column: column.is_text and not column.is_id,
        lambda column: column.is_text,
        lambda column: column.is_time,
        lambda column: column.has_texts and not column.unit,
        lambda column: column.has_texts,
        lambda column: column.filled > 0,
    )


def best_values(columns: Iterable[Column]) -> list[Column]:
    """The columns that a reader would draw where nothing names them."""
    numeric = [column for column in columns if column.is_numeric]
    counted = [each for each in numeric if not (each.is_flags or each.is_id or each.is_time)]
    return counted or [each for each in numeric if not each.is_id] or numeric
