"""Tables in whichever of the usual shapes a model writes them: headers as wide as every row, cells
that are text, number, boolean or null (PROTOCOL §6). Pure, linear in what it reads and writes.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Final

from formatter_svc import numbers
from formatter_svc.chart_config import plain
from formatter_svc.reasons import Invalid, Reason

MAX_COLUMNS: Final = 50
# As many as a block of 256 KiB may hold; with the padding of short rows it might say far more.
MAX_CELLS: Final = 128 * 1024

Cell = str | int | float | None
Object = Mapping[str, object]

_HEADERS: Final = (
    *("headers", "header", "columns", "cols", "head", "thead", "fields", "columnNames"),
    *("column_names", "columnHeaders", "headings"),
)
_ROWS: Final = ("rows", "data", "values", "body", "tbody", "records", "items", "cells", "entries")
_TITLES: Final = ("title", "header", "label", "headerName", "name", "text", "key", "field", "id")
_KEYS: Final = ("key", "field", "accessor", "accessorKey", "dataKey", "dataIndex", "id", "name")
_WORDS: Final = ("title", "name", "label", "text", "value", "displayName")
_NESTED: Final = ("table", "data", "content", "rows")


def check(value: Object) -> dict[str, object]:
    """The table as `Table` of blocks.proto. Raises Invalid."""
    value = _inner(value)
    given, rows = _first(value, _HEADERS), _first(value, _ROWS)
    if isinstance(given, list) and (columns := _columns_with_cells(given)) and rows is None:
        given = [column for column, _ in columns]
        rows = [*_turned([cells for _, cells in columns])]
    headers, made = _Headers(given), _rows(rows, given)
    if not headers.known and len(made) > 1 and _is_header(made[0], made[1]):
        headers, made = _Headers(made[0]), made[1:]
    cells = [headers.row(row) for row in made]
    return _table(headers.texts, cells)


def _inner(value: Object) -> Object:
    """The object that holds the table: this one, or one inside it."""
    if _first(value, _HEADERS) is None:
        for name in _NESTED:
            inner = value.get(name)
            if isinstance(inner, dict) and _first(inner, _HEADERS) is not None:
                return inner
    return value


def _table(headers: list[str], rows: list[list[Cell]]) -> dict[str, object]:
    width = max(map(len, rows), default=0)
    headers = headers + [""] * (width - len(headers))
    if not headers:
        raise Invalid(Reason.BAD_TABLE)
    if len(headers) > MAX_COLUMNS:
        raise Invalid(Reason.TABLE_TOO_WIDE)
    if len(headers) * len(rows) > MAX_CELLS:
        raise Invalid(Reason.TOO_LARGE)
    padded = [row + [None] * (len(headers) - len(row)) for row in rows]
    return {"headers": headers, "rows": padded}


def _rows(rows: object, headers: object) -> list[object]:
    """The rows, each an array, an object or one cell."""
    match rows:
        case None:
            return []
        case list():
            return rows
        case dict() if rows and all(isinstance(cells, list) for cells in rows.values()):
            lists = [cells for cells in rows.values() if isinstance(cells, list)]
            return [dict(zip(rows, row, strict=True)) for row in _turned(lists)]
        case dict() if _are_objects(rows):
            return [{"": key, **row} for key, row in rows.items() if isinstance(row, dict)]
        case dict() if isinstance(headers, list) and {plain(text(each)) for each in headers} & set(
            map(plain, rows)
        ):
            return [rows]
        case dict():
            return [list(pair) for pair in rows.items()]
    raise Invalid(Reason.BAD_TABLE)


def _are_objects(rows: Object) -> bool:
    return bool(rows) and all(isinstance(row, dict) for row in rows.values())


def _turned(columns: Sequence[list[object]]) -> list[list[object]]:
    """Rows out of columns."""
    height = max(map(len, columns), default=0)
    if height * len(columns) > MAX_CELLS:
        raise Invalid(Reason.TOO_LARGE)
    return [[cells[n] if n < len(cells) else None for cells in columns] for n in range(height)]


def _columns_with_cells(given: list[object]) -> list[tuple[object, list[object]]]:
    """Columns that bring their cells: `[{"header": "Task", "values": ["Ship"]}]`."""
    found = []
    for column in given:
        cells = (
            _first(column, ("values", "data", "cells", "rows")) if isinstance(column, dict) else 0
        )
        if not isinstance(cells, list):
            return []
        found.append((column, cells))
    return found


def _any_number(row: object) -> bool:
    return isinstance(row, list) and any(map(numbers.is_number, row))


def _is_header(row: object, below: object) -> bool:
    return (
        isinstance(row, list)
        and bool(row)
        and all(isinstance(each, str) and each for each in row)
        and len(set(map(str, row))) == len(row)
        and (_any_number(below) or not any(numbers.quantity(str(each)) for each in row))
    )


class _Headers:
    """The headings, and where an object's keys belong; keys that are new widen it."""

    def __init__(self, given: object) -> None:
        columns = _listed(given)
        if len(columns) > MAX_COLUMNS:
            raise Invalid(Reason.TABLE_TOO_WIDE)
        self.texts = [_title(column) for column in columns]
        self.known = bool(columns)
        self._places: dict[str, int] = {}
        for place, column in enumerate(columns):
            for name in (_key(column), self.texts[place]):
                self._places.setdefault(plain(name) or name, place)

    def row(self, row: object) -> list[Cell]:
        """The row's cells, each in its column."""
        match row:
            case list():
                return [cell(each) for each in row]
            case dict():
                return self._of_object(row)
        if isinstance(row, str) and len(self.texts) > 1 and _bars(row) == len(self.texts) - 1:
            return [each.strip() for each in row.strip().strip("|").split("|")]
        return [cell(row)]

    def _of_object(self, row: Object) -> list[Cell]:
        inner = _first(row, ("cells", "values"))
        if isinstance(inner, list) and row.keys() <= {"cells", "values", "id", "key"}:
            return [cell(each) for each in inner]
        self._place(row)
        made: list[Cell] = [None] * len(self.texts)
        for key, each in row.items():
            made[self._places[plain(key) or key]] = cell(each)
        return made

    def _place(self, row: Object) -> None:
        """Gives each key of a row its column. Keys that are none, where as many columns were not
        named by the row, are those in their order: `Due date` is `due`.
        """
        new = [name for key in row if (name := plain(key) or key) not in self._places]
        if not new:
            return
        used = {self._places.get(plain(key) or key) for key in row}
        left = [place for place in range(len(self.texts)) if place not in used]
        fits = len(left) == len(set(new)) and self.known
        for key in row:
            name = plain(key) or key
            if name in self._places:
                continue
            if fits:
                self._places[name] = left.pop(0)
            else:
                self._places[name] = len(self.texts)
                self.texts.append(key)
                if len(self.texts) > MAX_COLUMNS:
                    raise Invalid(Reason.TABLE_TOO_WIDE)


def _bars(row: str) -> int:
    """The bars between the cells of a row in Markdown's way."""
    return row.strip().strip("|").count("|")


def _listed(given: object) -> list[object]:
    match given:
        case list():
            return given
        case dict():
            return [{"key": key, "title": text(each) or key} for key, each in given.items()]
    return []


def _title(column: object) -> str:
    if isinstance(column, dict):
        return next((words for name in _TITLES if (words := text(column.get(name)))), "")
    return text(column)


def _key(column: object) -> str:
    if isinstance(column, dict):
        return next((words for name in _KEYS if (words := text(column.get(name)))), "")
    return text(column)


def _first(value: Object, names: Sequence[str]) -> object:
    return next((value[name] for name in names if value.get(name) is not None), None)


def cell(value: object) -> Cell:
    """A value as a cell. Lists are joined, objects told by their name or key by key."""
    match value:
        case None | bool() | str():
            return value
        case int() if -(2**63) <= value < 2**64:
            return value
        case float():
            return value if math.isfinite(value) else None
    return text(value)


def text(value: object) -> str:
    """A value in words, as people read it."""
    match value:
        case str():
            return value
        case bool():
            return "true" if value else "false"
        case float() if not math.isfinite(value):
            return ""
        case int() | float():
            return str(value)
        case list():
            return ", ".join(words for each in value if (words := text(each)))
        case dict():
            return _told(value)
    return ""


def _told(value: Object) -> str:
    for name in _WORDS:
        if words := value.get(name):
            return text(words)
    return ", ".join(f"{key}: {words}" for key, each in value.items() if (words := text(each)))
