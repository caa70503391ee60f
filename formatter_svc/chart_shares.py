"""Pie and radial charts: one column of categories, one of numbers that are parts of a whole. Pure.

A category whose config the client's style tag can hold keeps it; that of another (`In progress`)
goes into its row: the label in place of the word, the colour as `fill`.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

from formatter_svc.chart_colors import color, nth_color, series_of
from formatter_svc.chart_columns import Column
from formatter_svc.chart_config import Entry
from formatter_svc.chart_names import Names, is_key, made_config
from formatter_svc.chart_plan import Plan
from formatter_svc.chart_rows import Drawn, paint, shared_unit, values_of
from formatter_svc.chart_shapes import Row, text
from formatter_svc.numbers import Number
from formatter_svc.reasons import Invalid, Reason


@dataclass(slots=True)
class _Share:
    """A category: the place of its first row, and the sum of its values."""

    place: int
    value: Number
    entry: Entry = field(default_factory=dict)


def draw(wanted: Plan) -> Drawn:
    """The chart's rows, config and unit. Raises Invalid."""
    category = wanted.axis()
    if category is None:
        raise Invalid(Reason.CHART_CATEGORIES)
    value = wanted.numbers(category)[0]
    unit = shared_unit([value])
    shares = _summed(category, value, unit)
    return _drawn(wanted, (category, value), shares, _describe(shares, wanted, category))


def _summed(category: Column, value: Column, unit: str) -> dict[str, _Share]:
    """The shares by category; rows without one, or without a value, are no part of the whole."""
    shares: dict[str, _Share] = {}
    for place, number in values_of(value, unit).items():
        cell = category.cells.get(place)
        if cell is None:
            continue
        if number < 0:
            raise Invalid(Reason.CHART_VALUES)
        share = shares.setdefault(text(cell), _Share(place, 0))
        share.value += number
    if not any(share.value for share in shares.values()):
        raise Invalid(Reason.CHART_VALUES)  # would be blank
    return shares


def _describe(shares: dict[str, _Share], wanted: Plan, category: Column) -> dict[str, str]:
    """Gives shares the entries of config that name them. Returns the category of each name."""
    called = wanted.by_category(category)
    for name, word in called.items():
        if word in shares and not shares[word].entry:
            shares[word].entry = {"label": name} | wanted.loose[name]
    return called


def _drawn(
    wanted: Plan, columns: tuple[Column, Column], shares: dict[str, _Share], key_of: dict[str, str]
) -> Drawn:
    category, value = columns
    names = Names({*wanted.columns, *wanted.called})
    x_key = names.axis(category.key)
    called = {column: name for name, column in wanted.called.items()}
    key = names.series(value.key, called.get(value.key, ""))
    key_of |= {value.key: key}
    key_of |= {name: key for name, column in wanted.called.items() if column == value.key}
    entries = {word: (word, share.entry) for word, share in shares.items() if _has_key(word, share)}
    if value.key in wanted.named or key != value.key or not entries:
        entries = {key: (value.key, _of_values(wanted, value))} | entries
    config = made_config(entries, key_of)
    paints = _Paints(wanted.fill, wanted.palette, config.keys(), key_of)
    rows: list[Row] = []
    for n, (word, shown) in enumerate(_shown(shares).items()):
        row: Row = {x_key: shown, key: shares[word].value}
        if fill := _fill(word, shares[word], n, paints):
            row["fill"] = fill
        rows.append(row)
    return rows, config, value.unit


def _has_key(word: str, share: _Share) -> bool:
    return bool(share.entry) and is_key(word)


def _of_values(wanted: Plan, value: Column) -> Entry:
    entry = wanted.named.get(value.key, {})
    return entry if wanted.has_config else {"color": nth_color(0)} | entry


def _shown(shares: dict[str, _Share]) -> dict[str, str]:
    """What stands for each category in its row: itself, or the label that config cannot hold."""
    used = set(shares)
    shown: dict[str, str] = {}
    for word, share in shares.items():
        label = share.entry.get("label")
        fits = isinstance(label, str) and label and label not in used and not is_key(word)
        shown[word] = str(label) if fits else word
        used.add(shown[word])
    return shown


@dataclass(frozen=True, slots=True)
class _Paints:
    """Where colours of rows come from: a column, a palette, and the keys that config defines."""

    column: Column | None
    palette: Sequence[str]
    config: Collection[str]
    key_of: Mapping[str, str]

    def of_row(self, place: int, n: int) -> str | None:
        """The colour of a row's own; a variable that is not defined becomes the theme's nth."""
        cell = None if self.column is None else self.column.cells.get(place)
        found = paint(cell, self.config, self.key_of)
        return nth_color(n) if found is None and color(cell) is not None else found


def _fill(word: str, share: _Share, n: int, paints: _Paints) -> str | None:
    if own := paints.of_row(share.place, n):
        return own
    given = share.entry.get("color")
    if is_key(word) and (given is not None or not paints.palette):
        return None
    if isinstance(given, str) and series_of(given) is None:
        return given
    return paints.palette[n % len(paints.palette)] if paints.palette else nth_color(n)
