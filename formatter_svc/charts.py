"""What a chart must be so that shadcn/ui's wrappers of Recharts neither crash on it, nor draw it
blank, nor let it into a style tag (PROTOCOL §6, "Charts"). Pure.

`check` answers the chart as the client takes it. What a model wrote in another way is understood
first (`chart_types`, `chart_shapes`, `chart_config`, `numbers`); then its x and its series are
chosen, here and in `chart_shares`, and nothing else is passed on.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from formatter_svc import chart_shares, chart_types, numbers
from formatter_svc.chart_columns import Column
from formatter_svc.chart_config import Entry, bounded
from formatter_svc.chart_names import Names, made_config
from formatter_svc.chart_plan import Plan, plan, spread
from formatter_svc.chart_rows import Drawn, paint, shared_unit, values_of
from formatter_svc.chart_shapes import Cell, Row, text
from formatter_svc.chart_types import Form
from formatter_svc.reasons import Invalid, Reason

MAX_TITLE: Final = 200
_TITLES: Final = ("title", "name", "heading", "caption")
# Two points of a radar are a line, and filled they are nothing.
MIN_RADAR: Final = 3


def check(value: dict[str, object]) -> dict[str, object]:
    """The chart as `Chart` of blocks.proto. Raises Invalid with the rule that it breaks."""
    value = _inner(value)
    form = chart_types.form(value)
    shares = form.kind in chart_types.SHARES
    wanted = plan(value, shares=shares)
    rows, config, unit = chart_shares.draw(wanted) if shares else _draw(wanted, form)
    kind = "bar" if form.kind == "radar" and len(rows) < MIN_RADAR else form.kind
    made = {"chartType": kind, "title": _title(value), "data": rows, "config": config}
    options = {
        "stacked": form.stacked or None,
        "horizontal": form.horizontal or None,
        "unit": unit or _given_unit(value) or None,
    }
    return made | {name: option for name, option in options.items() if option is not None}


def _inner(value: dict[str, object]) -> dict[str, object]:
    """The chart, where it stands inside of the block: its own keys win."""
    for name in ("chart", "spec", "data", "content", "payload"):
        inner = value.get(name)
        if isinstance(inner, dict) and isinstance(inner.get("data"), dict | list):
            rest = {key: each for key, each in value.items() if key != name and each is not None}
            return _inner({**inner, **rest}) if "data" not in rest else value
    return value


def _title(value: dict[str, object]) -> str:
    options = value.get("options")
    plugins = options.get("plugins") if isinstance(options, dict) else None
    titled = [value, *(each for each in (options, plugins) if isinstance(each, dict))]
    titles = (each.get(name) for each in titled for name in _TITLES)
    for given in titles:
        words = text(given.get("text") if isinstance(given, dict) else given)
        if words and not isinstance(given, bool):
            return bounded(words, MAX_TITLE)
    return ""


def _given_unit(value: dict[str, object]) -> str:
    given = value.get("unit")
    return given if isinstance(given, str) and len(given) <= numbers.MAX_UNIT else ""


# Area, bar, line, radar.


def _draw(wanted: Plan, form: Form) -> Drawn:
    x = wanted.axis()
    if x is None:
        raise Invalid(_without_axis(wanted))
    series = wanted.numbers(x)
    if len(series) == 1 and (tidy := spread(wanted, x, series[0])) is not None:
        return _draw(tidy, form)
    places = [place for place in range(len(wanted.rows)) if x.cells.get(place) is not None]
    if not places:
        raise Invalid(Reason.CHART_X_KEY)
    if form.by_x and all(numbers.is_number(x.cells[place]) for place in places):
        places.sort(key=lambda place: float(x.cells[place] or 0))
    kept = set(places)
    series = [each for each in series if not kept.isdisjoint(each.quantities)]
    if not series:
        raise Invalid(Reason.CHART_VALUES)  # would be blank
    return _drawn(wanted, x, series, places)


def _without_axis(wanted: Plan) -> Reason:
    if any(column.is_numeric for column in wanted.drawable):
        return Reason.CHART_X_KEY
    return Reason.CHART_VALUES if wanted.named else Reason.CHART_SERIES


def _drawn(wanted: Plan, x: Column, series: Sequence[Column], places: Sequence[int]) -> Drawn:
    names, unit = Names({*wanted.columns, *wanted.called}), shared_unit(series)
    x_key = names.axis(x.key)
    called = {column: name for name, column in wanted.called.items()}
    keys = {each.key: names.series(each.key, called.get(each.key, "")) for each in series}
    key_of = {name: keys[column] for name, column in wanted.called.items() if column in keys}
    entries = {keys[each.key]: _entry(wanted, each, n, unit) for n, each in enumerate(series)}
    config = made_config(entries, keys | key_of)
    rows: list[Row] = [{x_key: _axis_cell(x.cells[place])} for place in places]
    for each in series:
        values = values_of(each, unit)
        for row, place in zip(rows, places, strict=True):
            if place in each.cells:
                row[keys[each.key]] = values.get(place)
    fills = _by_category(wanted, x) if wanted.fill is None else wanted.fill.cells
    for row, place in zip(rows, places, strict=True):
        if fill := paint(fills.get(place), config, keys | key_of):
            row["fill"] = fill
    return rows, config, unit


def _by_category(wanted: Plan, x: Column) -> dict[int, Cell]:
    """Colours of rows, where config names them by their x."""
    colors = {word: wanted.loose[name].get("color") for name, word in wanted.by_category(x).items()}
    fills = {place: colors.get(text(cell)) for place, cell in x.cells.items()}
    return {place: fill for place, fill in fills.items() if isinstance(fill, str)}


def _entry(wanted: Plan, column: Column, n: int, unit: str) -> tuple[str, Entry]:
    """A series' words, and what config says of it."""
    entry = dict(wanted.named.get(column.key, {}))
    if not entry.keys() & {"color", "theme"} and (given := wanted.nth_color(n)):
        entry["color"] = given
    if column.unit and not unit:  # each series counts something else
        entry["label"] = f"{entry.get('label', column.key)} ({column.unit})"
    return column.key, entry


def _axis_cell(cell: Cell) -> Cell:
    return text(cell) if isinstance(cell, bool) else cell
