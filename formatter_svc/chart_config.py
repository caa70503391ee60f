"""What a model wishes of a chart: which columns, by what names, in which colours. Pure.

shadcn/ui's own form is `{column: {label, color}}`. Models as well write a list, a word, entries
that are a colour or a label, and the names of axes (`xKey`, `yKeys`, `series`), on the chart itself
or nested in `options`. Whatever has no meaning is left out.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Final

import orjson

from formatter_svc.chart_colors import color, series_of
from formatter_svc.chart_shapes import text

MAX_LABEL: Final = 100

Entry = dict[str, object]

_X: Final = frozenset(
    """
x xkey xaxis xaxiskey xfield xdatakey category categorykey categoryfield namekey labelkey
labelfield indexby dimension groupby colorfield
""".split()  # noqa: SIM905
)
_Y: Final = frozenset(
    """
y ys ykey ykeys yaxis yfield yfields ydatakey datakey datakeys valuekey valuekeys valuefield
series serieskeys metric metrics measures lines bars areas keys value values anglefield theta
datasets
""".split()  # noqa: SIM905
)
_NESTED: Final = frozenset({"options", "config", "chartconfig", "encoding", "mapping"})
# What names the column of an entry, in a list or on an axis.
_KEYS: Final = ("key", "dataKey", "datakey", "data_key", "field", "column", "id", "name", "value")
_LABELS: Final = ("label", "name", "title", "legend", "displayName")
_COLORS: Final = ("color", "colour", "fill", "stroke", "backgroundColor", "borderColor")
_OF_ENTRY: Final = frozenset({*_LABELS, *_COLORS, "theme", "icon"})
_DEPTH: Final = 4


@dataclass(slots=True)
class Wishes:
    """`entries` by the name that the model gave, in its order; `lone`: one that names no column;
    `has_config`: whether config itself said any of it; `palette`: colours for whatever has none.
    """

    x: str | None = None
    entries: dict[str, Entry] = field(default_factory=dict)
    lone: Entry | None = None
    has_config: bool = False
    palette: list[str] = field(default_factory=list)


def wishes(value: Mapping[str, object], known: Collection[str]) -> Wishes:
    """What a chart wishes of its columns. `known`: their names, and the words in them: a category
    may be called `y`.
    """
    columns = {plain(column) for column in known}
    found = Wishes()
    _read(found, _spelled_out(value.get("config")), columns, _DEPTH)
    # Beside the chart's own keys only axes count.
    axes = {key: each for key, each in value.items() if _is_beside(key, each)}
    beside = Wishes()
    _read(beside, axes, (), _DEPTH)
    found.has_config = bool(found.entries) or found.lone is not None
    if not found.has_config:
        found.entries = beside.entries
    found.x = found.x or beside.x
    found.palette = _palette(value) or _palette(value.get("config"))
    return found


_BESIDE: Final = frozenset({"options", "chartConfig", "encoding", "mapping"})
_AXES: Final = (_X | _Y) - {"x", "y", "values", "value", "category", "datasets", "dimension"} | {
    "xaxis",
    "yaxis",
}


def _spelled_out(config: object) -> object:
    """A config that is a text of JSON once more, as what it says."""
    if isinstance(config, str):
        with suppress(orjson.JSONDecodeError):
            return orjson.loads(config)
    return config


def _is_beside(key: str, each: object) -> bool:
    if key == "series" and isinstance(each, dict):  # it may be the data
        return all(isinstance(one, dict) for one in each.values())
    return key in _BESIDE or plain(key) in _AXES


def _palette(given: object) -> list[str]:
    listed = [given.get(name) for name in ("colors", "palette")] if isinstance(given, dict) else []
    colors = [color(each) for each in next((one for one in listed if isinstance(one, list)), [])]
    return [each for each in colors if each is not None and series_of(each) is None]


def plain(key: str) -> str:
    """A key without case, spaces and signs."""
    return "".join(char for char in key.casefold() if char.isalnum())


def entry(written: object) -> Entry:
    """A column's label and colour: `label`, and `color` or `theme`, where they were given."""
    match written:
        case dict():
            return _of_object(written)
        case bool():
            return {}
        case str() | int() | float():
            if given := color(written):
                return {"color": given}
            return {"label": bounded(text(written), MAX_LABEL)}
    return {}


def bounded(words: str, most: int) -> str:
    """The words, cut where they are longer than `most` characters."""
    return words if len(words) <= most else words[: most - 1] + "…"


def _read(found: Wishes, config: object, columns: Collection[str], depth: int) -> None:
    match config:
        case str() if config:
            found.entries.setdefault(config, {})
        case list():
            for each in config:
                _item(found, each)
        case dict() if (
            depth
            and config
            and config.keys() <= _OF_ENTRY
            and not any(plain(key) in columns for key in config)
        ):
            found.lone = entry(config)
        case dict() if depth:
            for key, each in config.items():
                _member(found, key, each, columns, depth)


def _item(found: Wishes, each: object) -> None:
    """One of a list: a column's name, or an object that holds it."""
    match each:
        case str() if each:
            found.entries.setdefault(each, {})
        case dict():
            if key := _key(each):
                given = {name: one for name, one in each.items() if one != key or name == "label"}
                found.entries.setdefault(key, entry(given))
            else:
                for name, one in each.items():
                    if isinstance(one, dict):
                        found.entries.setdefault(name, entry(one))


def _member(found: Wishes, key: str, each: object, columns: Collection[str], depth: int) -> None:
    """One of an object: a column's entry, an axis, or more of the same inside."""
    is_column = plain(key) in columns and not (isinstance(each, str) and plain(each) in columns)
    role = "" if is_column else plain(key)
    if role in _X and (named := _axis(each)):
        found.x = found.x or named
    elif role in _Y and not isinstance(each, list) and (named := _axis(each)):
        given = each.items() if isinstance(each, dict) else ()
        found.entries.setdefault(named, entry({k: one for k, one in given if one != named}))
    elif role in _Y | _NESTED and isinstance(each, dict | list):
        _read(found, each, columns, depth - 1)
    elif each is not None and (is_column or entry(each)):
        found.entries.setdefault(key, entry(each))


def _axis(each: object) -> str | None:
    """The column that an axis names."""
    match each:
        case str() | [str()]:
            return (each if isinstance(each, str) else each[0]) or None
        case dict():
            named = (each.get(name) for name in _KEYS if name not in ("name", "value", "id"))
            return next((one for one in named if isinstance(one, str) and one), None)
    return None


def _key(each: Mapping[str, object]) -> str | None:
    named = (each.get(name) for name in (*_KEYS, "label"))
    return next((one for one in named if isinstance(one, str) and one), None)


def _of_object(written: Mapping[str, object]) -> Entry:
    made: Entry = {}
    label = next((written[name] for name in _LABELS if _is_words(written.get(name))), None)
    if label is not None:
        made["label"] = bounded(text(label), MAX_LABEL)
    if given := next((known for name in _COLORS if (known := color(written.get(name)))), None):
        return made | {"color": given}
    theme = written.get("theme")
    if isinstance(theme, dict):
        light, dark = color(theme.get("light")), color(theme.get("dark"))
        if light and dark and not (series_of(light) or series_of(dark)):
            made["theme"] = {"light": light, "dark": dark}
    return made


def _is_words(value: object) -> bool:
    return isinstance(value, str | int | float) and not isinstance(value, bool)
