"""The rows of a chart, in whichever of the usual shapes a model writes them. Pure.

Rows as objects (Recharts, Vega), arrays with a header, `labels` and `datasets` (Chart.js), lists of
series (Highcharts, Apex), columns or traces (Plotly, pandas), and a plain map of words to numbers
all become one list of flat rows. Linear in the number of cells.
"""

from __future__ import annotations

import math
from collections.abc import Container, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from types import UnionType
from typing import Final

import orjson

from formatter_svc import numbers
from formatter_svc.reasons import Invalid, Reason

Cell = str | int | float | None
Row = dict[str, Cell]
Object = Mapping[str, object]

MAX_ROWS: Final = 1000
# As own keys they would replace a row's prototype.
FORBIDDEN: Final = frozenset({"__proto__", "constructor", "prototype"})
# Names that are made up where the model gave none.
CATEGORY: Final = "category"
VALUE: Final = "value"

_ROWS: Final = (
    *("data", "rows", "values", "items", "records", "points", "dataset", "source", "chartData"),
    *("chart_data", "dataPoints", "data_points"),
)
_SERIES: Final = ("datasets", "series", "traces")
_LABELS: Final = (
    *("labels", "categories", "xLabels", "x_labels", "xAxis", "xaxis", "x_axis", "xValues", "x"),
)
_COLUMNS: Final = ("columns", "headers", "header", "fields", "dimensions")
_NUMBERS: Final = ("data", "values", "y", "points")
_NAMES: Final = ("label", "name", "key", "id", "dataKey", "title")
_COLORS: Final = ("backgroundColor", "color", "colors", "borderColor", "fill", "stroke")
_POINT_X: Final = ("x", "name", "label", "key", "date", "category", "t")
_POINT_Y: Final = ("y", "value", "count")
_DEPTH: Final = 4


@dataclass(slots=True)
class Sheet:
    """Flat rows; what the shape itself says: the x column, entries of config by column, and
    whether the names of the columns are made up."""

    rows: list[Row]
    x: str | None = None
    entries: dict[str, object] = field(default_factory=dict)
    unnamed: bool = False


def sheet(value: Object) -> Sheet:
    """The rows of a chart. Raises Invalid where there are none, or too many."""
    data = _first(value, (*_ROWS, *_SERIES, "y"), list | dict | str)
    if isinstance(data, str):
        data = _spelled_out(data)
    made = _read(data, [value, *_nested(value)], _DEPTH)
    made.rows = [row for row in made.rows if row]
    if not made.rows:
        raise Invalid(Reason.CHART_DATA)
    if len(made.rows) > MAX_ROWS:
        raise Invalid(Reason.CHART_TOO_MANY_ROWS)
    if any(not FORBIDDEN.isdisjoint(row) for row in made.rows):
        raise Invalid(Reason.CHART_DATA)
    return made


def _nested(value: Object) -> list[Object]:
    return [each for name in ("options", "config") if isinstance(each := value.get(name), dict)]


def _read(data: object, around: Sequence[Object], depth: int) -> Sheet:
    """`around`: the objects, nearest first, that may hold labels and names of columns."""
    match data:
        case dict() if depth:
            return _of_object(data, around, depth)
        case [*rows] if any(isinstance(row, dict) for row in rows):
            objects = [row for row in rows if isinstance(row, dict)]
            if any(_numbers_of(each) is not None for each in objects):
                return _of_series(objects, _labels(around))
            flat = [_flat(row) for row in objects]
            return Sheet(flat if _any_number(flat) else [_flat(row, inner=True) for row in objects])
        case [*rows] if rows and all(isinstance(row, list) for row in rows):
            arrays = [row for row in rows if isinstance(row, list)]
            labels = _labels(around)
            if labels and all(_is_numbers(row) and len(row) == len(labels) for row in arrays):
                return _of_series([{"data": row} for row in arrays], labels)
            return _of_arrays(arrays, around)
        case [*cells] if cells and (labels := _labels(around)):
            return _of_series([{"data": cells}], labels)
    raise Invalid(Reason.CHART_DATA)


def _of_object(data: Object, around: Sequence[Object], depth: int) -> Sheet:
    around = [data, *around]
    if isinstance(series := _first(data, _SERIES, list), list):
        return _read(series, around, depth - 1)
    if isinstance(columns := _first(data, _COLUMNS, list), list):
        rows = _first(data, _ROWS, list)
        if columns and isinstance(rows, list) and rows:
            return _read(rows, around, depth - 1)
    rows = _first(data, _ROWS, list)
    if isinstance(rows, list) and any(isinstance(row, dict | list) for row in rows):
        return _read(rows, around, depth - 1)
    kinds = [cells for cells in data.values() if cells is not None]
    if kinds and all(isinstance(cells, list) for cells in kinds):
        return _of_columns(data)
    if kinds and all(isinstance(cells, dict) for cells in kinds):
        objects = {key: row for key, row in data.items() if isinstance(row, dict)}
        named = {key for each in around if isinstance(c := each.get("config"), dict) for key in c}
        return _of_objects(_sides_changed(objects) if named & data.keys() else objects)
    return _of_map(data)


def _of_map(data: Object) -> Sheet:
    """`{"todo": 3, "done": 5}`."""
    cells = {key: cell(each) for key, each in data.items() if not isinstance(each, dict | list)}
    rows: list[Row] = [{CATEGORY: key, VALUE: each} for key, each in cells.items()]
    return Sheet(rows, CATEGORY, unnamed=True)


def _of_objects(data: Mapping[str, Object]) -> Sheet:
    """`{"Jan": {"sales": 3}, "Feb": {"sales": 5}}`."""
    flat = {key: _flat(row) for key, row in data.items()}
    name = _free(CATEGORY, {key for row in flat.values() for key in row})
    rows: list[Row] = [{name: key, **row} for key, row in flat.items()]
    return Sheet(rows, name)


def _sides_changed(data: Mapping[str, Object]) -> dict[str, dict[str, object]]:
    """`{"sales": {"Jan": 3, "Feb": 5}}`, as pandas writes it: the columns outside."""
    made: dict[str, dict[str, object]] = {}
    for column, cells in data.items():
        for key, each in cells.items():
            made.setdefault(key, {})[column] = each
    return made


def _of_columns(data: Object) -> Sheet:
    """`{"month": ["Jan", "Feb"], "sales": [3, 5]}`."""
    rows: list[Row] = []
    for key, cells in data.items():
        for place, each in enumerate(cells if isinstance(cells, list) else []):
            _row_at(rows, place)[key] = cell(each)
    return Sheet(rows)


def _row_at(rows: list[Row], place: int) -> Row:
    if place == MAX_ROWS:
        raise Invalid(Reason.CHART_TOO_MANY_ROWS)
    if place == len(rows):
        rows.append({})
    return rows[place]


def _of_arrays(rows: list[list[object]], around: Sequence[Object]) -> Sheet:
    """Rows as arrays: named by their first, by `columns` or by nothing."""
    if any(isinstance(each, dict | list) for row in rows for each in row):
        raise Invalid(Reason.CHART_DATA)
    names = _column_names(around)
    named = bool(names)
    if not names and len(rows) > 1 and _is_header(rows[0], rows[1]):
        names, rows, named = [str(each) for each in rows[0]], rows[1:], True
    width = max(map(len, rows))
    if not names:
        names = [CATEGORY, VALUE] if width == 2 else [CATEGORY]
    names += [f"s{n}" for n in range(len(names), width)]
    if len(set(names)) < len(names) or len(names) < 2:
        raise Invalid(Reason.CHART_DATA)
    made = [dict(zip(names, map(cell, row), strict=False)) for row in rows]
    return Sheet(made, None if named else CATEGORY, unnamed=not named)


def _is_header(row: list[object], below: list[object]) -> bool:
    """Words over words or numbers, or any texts over numbers: `2024` is a heading then."""
    if not all(isinstance(each, str) and each for each in row):
        return False
    return any(map(numbers.is_number, below)) or not any(
        numbers.quantity(str(each)) for each in row
    )


def _column_names(around: Sequence[Object]) -> list[str]:
    for each in around:
        columns = _first(each, _COLUMNS, list)
        if isinstance(columns, list) and columns:
            return [text(_name(column)) for column in columns]
    return []


def _of_series(series: Sequence[Object], labels: list[Cell]) -> Sheet:
    """Series with their numbers in a list beside the labels, or in points of x and y."""
    by_place: list[Row] = []
    by_x: dict[Cell, Row] = {}
    entries: dict[str, object] = {}
    for n, each in enumerate(series, 1):
        name = text(_name(each)) or (VALUE if len(series) == 1 else f"s{n}")
        if name in entries or name == CATEGORY:
            name = _free(f"{name} {n}", entries)
        entries[name], fills = _painted(each)
        own = _labels([each])
        for place, one in enumerate(_numbers_of(each) or []):
            x, y = _point(one)
            if own or x is not None:
                x = own[place] if place < len(own) else x
                row = by_x.setdefault(x, {CATEGORY: x})
            else:
                row = _row_at(by_place, place)
                row[CATEGORY] = labels[place] if place < len(labels) else None
            row[name] = y
            if place < len(fills) and len(series) == 1:
                row["fill"] = fills[place]
    rows = [*by_place, *by_x.values()]
    return Sheet(rows, CATEGORY, entries, unnamed=not any(map(_name, series)))


def _point(one: object) -> tuple[Cell, Cell]:
    """A number with its x, which may be null: then its place says it."""
    match one:
        case [x, y]:
            return cell(x), cell(y)
        case dict():
            x = next((one[name] for name in _POINT_X if name in one), None)
            return cell(x), cell(next((one[name] for name in _POINT_Y if name in one), None))
    return None, cell(one)


def _painted(series: Object) -> tuple[dict[str, object], list[Cell]]:
    """A series' entry in config, and its colours by place."""
    entry: dict[str, object] = {}
    fills: list[Cell] = []
    if isinstance(label := _name(series), str | int | float):
        entry["label"] = label
    for name in _COLORS:
        match series.get(name):
            case str(word):
                entry.setdefault("color", word)
            case [*words]:
                fills = fills or [cell(word) for word in words]
    return entry, fills


def _numbers_of(series: Object) -> list[object] | None:
    found = _first(series, _NUMBERS, list)
    return found if isinstance(found, list) else None


def _labels(around: Sequence[Object]) -> list[Cell]:
    for each in around:
        for name in _LABELS:
            found = each.get(name)
            if isinstance(found, dict):
                found = _first(found, ("data", "categories", "labels", "values"), list)
            if isinstance(found, list) and found:
                return [None if isinstance(one, dict | list) else cell(one) for one in found]
    return []


def _name(of: object) -> Cell:
    if isinstance(of, dict):
        return next((cell(of[name]) for name in _NAMES if name in of), None)
    return cell(of)


def _free(name: str, taken: Container[str]) -> str:
    """The name, or one like it that is not taken."""
    while name in taken:
        name += "_"
    return name


def _first(value: Object, names: Sequence[str], kind: type | UnionType) -> object:
    found = (value.get(name) for name in names)
    return next((each for each in found if isinstance(each, kind) and each), None)


def _spelled_out(data: str) -> object:
    """Data that is a text: JSON once more, or lines with commas, semicolons or tabs between."""
    with suppress(orjson.JSONDecodeError):
        return orjson.loads(data)
    lines = [line.strip() for line in data.splitlines() if line.strip()]
    mark = next((mark for mark in "\t;|," if lines and mark in lines[0]), None)
    return [[each.strip() for each in line.split(mark)] for line in lines] if mark else None


def _any_number(rows: list[Row]) -> bool:
    cells = (each for row in rows for each in row.values())
    return any(
        numbers.quantity(each) is not None if isinstance(each, str) else each is not None
        for each in cells
    )


def _is_numbers(row: list[object]) -> bool:
    return all(each is None or numbers.is_number(each) for each in row)


def _flat(row: Object, *, inner: bool = False) -> Row:
    """A row's cells. What is nested is none, but an object with a `value`; `inner`: but the cells
    of an object.
    """
    flat: Row = {}
    for key, each in row.items():
        if inner and isinstance(each, dict) and "value" not in each:
            flat |= {name: cell(one) for name, one in each.items() if name not in row}
            continue
        flat[key] = cell(each.get("value") if isinstance(each, dict) else each)
    return flat


def cell(value: object) -> Cell:
    """A value as a cell: what is no finite number, text or boolean is null."""
    if isinstance(value, bool | str):
        return value
    if isinstance(value, int | float):
        number = numbers.exact(value)
        return number if math.isfinite(number) else None
    return None


def text(value: object) -> str:
    """A cell as people read it; null and what is no cell as nothing."""
    match value:
        case str():
            return value
        case bool():
            return "true" if value else "false"
        case float() if value.is_integer() and abs(value) < numbers.MAX_EXACT:
            return str(int(value))
        case int() | float():
            return str(value)
    return ""
