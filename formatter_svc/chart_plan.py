"""What a chart holds and what is wished of it, brought together: config's names matched with the
columns that they mean. Pure.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from formatter_svc import chart_config, chart_shapes
from formatter_svc.chart_colors import nth_color
from formatter_svc.chart_columns import Column, best_axis, best_values, columns_of, first
from formatter_svc.chart_config import Entry, Wishes, plain
from formatter_svc.chart_shapes import CATEGORY, VALUE, Cell, Object, Row, Sheet, text
from formatter_svc.reasons import Invalid, Reason

# More lines than these nobody tells apart.
MAX_GROUPS: Final = 12


@dataclass(slots=True)
class Plan:
    """`named`: the entries of config by column, in config's order; `loose`: those that name no
    column, as the categories of a pie; `called`: the column behind each name in config.
    """

    rows: list[Row]
    columns: dict[str, Column]
    x: Column | None = None
    fill: Column | None = None
    named: dict[str, Entry] = field(default_factory=dict)
    loose: dict[str, Entry] = field(default_factory=dict)
    called: dict[str, str] = field(default_factory=dict)
    lone: Entry | None = None
    unnamed: bool = False
    has_config: bool = False
    palette: list[str] = field(default_factory=list)

    def nth_color(self, n: int) -> str | None:
        """The nth colour of the model's own, else the theme's where no config says any."""
        if self.palette:
            return self.palette[n % len(self.palette)]
        return None if self.has_config else nth_color(n)

    @property
    def drawable(self) -> list[Column]:
        """The columns that may be an axis or a series."""
        return [each for each in self.columns.values() if each.filled and each is not self.fill]

    def axis(self) -> Column | None:
        """The x, or category, column: the one that is named so, else the first that config does
        not name, else the one that reads like an axis.
        """
        columns = self.drawable
        if self.x is not None and self.x.filled:
            return self.x
        if len(columns) < 2:
            return None
        named = [column for column in columns if column.key in self.named]
        if not any(column.is_numeric for column in named):
            return best_axis(columns)
        if any(column.is_text for column in named):
            return first(columns, lambda column: column.is_text)
        enough = len(self.rows) / 2
        others = [column for column in columns if column.key not in self.named]
        return first(
            others,
            lambda column: column.filled >= enough and not column.is_id,
            lambda column: column.filled >= enough,
            lambda column: column.filled > 0,
        ) or best_axis(columns)

    def numbers(self, axis: Column) -> list[Column]:
        """The columns to draw beside the axis: those that config names, else those that read like
        numbers. Raises Invalid where there are none.
        """
        others = [column for column in self.drawable if column is not axis]
        if not any(column.key in self.named for column in others):
            self._attach(axis, best_values(others))
        named = [self.columns[key] for key in self.named if key != axis.key]
        if any(column.mixed for column in named or others):
            raise Invalid(Reason.CHART_UNITS)
        found = [column for column in named if column.is_numeric] or best_values(others)
        if not found:
            raise Invalid(Reason.CHART_VALUES if named else Reason.CHART_SERIES)
        return found

    def by_category(self, axis: Column) -> dict[str, str]:
        """The names in config that are words of the axis, each with the word."""
        words = {text(cell): None for cell in axis.cells.values() if cell is not None}
        find = {plain(word): word for word in reversed(words) if plain(word)}
        found = {name: name if name in words else find.get(plain(name)) for name in self.loose}
        return {name: word for name, word in found.items() if word is not None}

    def _attach(self, axis: Column, columns: list[Column]) -> None:
        """Gives entries that name nothing to the columns that have none, if they are as many."""
        if self.lone is not None and len(columns) == 1:
            self.named.setdefault(columns[0].key, self.lone)
        words = self.by_category(axis)
        loose = {name: entry for name, entry in self.loose.items() if name not in words}
        if self.named.keys() - {axis.key} or len(loose) != len(columns):
            return
        for column, (name, entry) in zip(columns, loose.items(), strict=True):
            label: Entry = {"label": name} if self.unnamed else {}
            self.named[column.key] = label | entry
            self.called[name] = column.key


def plan(value: Object, *, shares: bool) -> Plan:
    """The plan of a chart; `shares`: for a pie. Raises Invalid where there are no rows."""
    sheet = chart_shapes.sheet(value)
    made = _plan(sheet, chart_config.wishes(value, _known(sheet.rows)))
    return _turned(made, shares=shares) if _is_turned(made, shares=shares) else made


def _known(rows: Sequence[Row]) -> set[str]:
    """The names of the columns, and the words in their cells."""
    words = {cell for row in rows for cell in row.values() if isinstance(cell, str)}
    return words.union(*rows)


def _plan(sheet: Sheet, wishes: Wishes) -> Plan:
    columns = columns_of(sheet.rows)
    made = Plan(sheet.rows, columns, lone=wishes.lone, unnamed=sheet.unnamed)
    made.has_config, made.palette = wishes.has_config, wishes.palette
    find = {plain(key): key for key in reversed(columns) if plain(key)}
    find |= {key: key for key in columns}
    for key in (wishes.x, sheet.x):
        if made.x is None and key is not None:
            made.x = columns.get(find.get(key, find.get(plain(key), "")))
    for name, entry in wishes.entries.items():
        words = plain(str(entry.get("label", "")))
        key = find.get(name) or find.get(plain(name)) or find.get(words)
        if key is None or key in made.named:
            made.loose[name] = entry
        else:
            made.named[key] = entry
            made.called[name] = key
    for key, given in sheet.entries.items():
        if key in columns:
            made.named[key] = chart_config.entry(given) | made.named.get(key, {})
    made.fill = _fill(made)
    return made


def _fill(made: Plan) -> Column | None:
    """The column of colours; not one that is named, or needed to draw anything."""
    candidates = [
        column
        for column in made.columns.values()
        if column.is_fill and column.key not in made.named and column is not made.x
    ]
    if sum(column.filled > 0 for column in made.columns.values()) < 3:
        return None
    return next((each for each in candidates if each.key == "fill"), next(iter(candidates), None))


def _is_turned(made: Plan, *, shares: bool) -> bool:
    """Whether the one row is a map of words to numbers: `[{"todo": 3, "done": 5}]`."""
    if len(made.rows) != 1 or made.x is not None:
        return False
    numeric = [column for column in made.drawable if column.is_numeric]
    if len(numeric) < 2 or any(column.is_time or column.is_id for column in numeric):
        return False
    named = sum(column.key in made.named for column in numeric)
    if shares:
        return named != 1 and not (named == 0 and made.loose)
    return len(numeric) == len(made.drawable) and named in (0, len(numeric))


def spread(made: Plan, x: Column, value: Column) -> Plan | None:
    """The plan of tidy rows, `{"month", "team", "hours"}`, with a column for each team; None where
    no x stands twice, or where no other column tells its rows apart in a few words.
    """
    words = [
        column
        for column in made.drawable
        if column.is_text and column is not x and not column.is_id
    ]
    if len(words) != 1 or len(set(x.cells.values())) == len(x.cells):
        return None
    [group] = words
    if len(set(group.cells.values())) > min(MAX_GROUPS, len(made.rows) - 1):
        return None
    rows: dict[Cell, Row] = {}
    for row in made.rows:
        at, word = row.get(x.key), text(row.get(group.key))
        spread_row = rows.setdefault(at, {x.key: at})
        if not word or word in spread_row:
            return None
        spread_row[word] = row.get(value.key)
    wishes = Wishes(x.key, made.loose, has_config=bool(made.loose), palette=made.palette)
    return _plan(Sheet([*rows.values()]), wishes)


def _turned(made: Plan, *, shares: bool) -> Plan:
    """The plan with a row for each column of numbers."""
    [row] = made.rows
    keys = [key for key, column in made.columns.items() if column.is_numeric]
    rows: list[Row] = []
    for key in keys:
        entry = made.named.get(key, {})
        words, paint = entry.get("label", key), entry.get("color")
        turned: Row = {CATEGORY: key if shares else str(words), VALUE: row[key]}
        rows.append(turned if shares or paint is None else turned | {"fill": str(paint)})
    loose = {key: entry for key, entry in made.named.items() if key in keys} if shares else {}
    plan_ = _plan(Sheet(rows, CATEGORY), Wishes())
    plan_.loose, plan_.has_config, plan_.palette = loose, bool(loose), made.palette
    return plan_
