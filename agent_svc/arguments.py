"""What a model wrote as arguments, made into what a tool's schema asks for.

Models write `"5"` for 5, a date for milliseconds, `due_date` for `dueDate`, one value where a
list stands. What can mean one thing only is taken as that; the rest is left as it is, for the
check against the schema that follows. Two laws: what fits already is not touched, and nothing but
a check says that it fits.

The keywords that are read: type, properties, additionalProperties, required, items, enum, anyOf,
maximum and format, of which three are ours and mark a number as a time (`TIMES`).
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import orjson
from jsonschema import Draft202012Validator

from agent_svc import times
from agent_svc.nearest import folded

Schema = Mapping[str, Any]

TIMES: Final[Mapping[str, times.DateAlone]] = {
    "unix-ms": "start",
    "unix-ms-after": "after",
    "unix-ms-due": "due",
}
"""The formats that mark a number as a time, and what a date without a time means there."""

_LIMIT: Final = "limit"
"""The one number that too large a value of means its maximum: how many items may come."""

_SYNONYMS: Final[Mapping[str, str]] = {"name": "title", "title": "name"}
"""What a thing is called by is its title or its name: no tool of either wants the other."""

_TRUE: Final = frozenset({"true", "yes", "1", "1.0"})
_FALSE: Final = frozenset({"false", "no", "0", "0.0"})
_NOTHING: Final = frozenset({"", "null", "none"})


@dataclass(frozen=True, slots=True)
class _LeftOut:
    """In place of a value that says nothing."""


_LEFT_OUT: Final = _LeftOut()


def coerced(schema: Schema, value: Any, now: datetime) -> Any:
    """The value as the schema has it, so far as it can mean one thing only. Never fails.

    `now` is aware and in the user's time zone, by which dates are read.
    """
    if Draft202012Validator(schema).is_valid(value):
        return value
    for wanted in _alternatives(schema):
        changed = _as_type(wanted, value, now)
        if Draft202012Validator(wanted).is_valid(changed):
            return changed
    # None fits: an object or a list is told of best by what is wrong inside.
    first = next((one for one in _alternatives(schema) if _holds(one, value)), schema)
    return _as_type(first, value, now)


def _alternatives(schema: Schema) -> list[Schema]:
    """A schema for each type or branch that a value may have."""
    if isinstance(branches := schema.get("anyOf"), list):
        return [dict(schema, anyOf=[]) | branch for branch in branches if isinstance(branch, dict)]
    kinds = schema.get("type")
    return [dict(schema, type=kind) for kind in kinds] if isinstance(kinds, list) else [schema]


def _holds(schema: Schema, value: Any) -> bool:
    """Whether a schema and a value are both of an object, or both of a list."""
    return {"object": dict, "array": list}.get(str(schema.get("type"))) is type(value)


def _as_type(schema: Schema, value: Any, now: datetime) -> Any:
    match schema.get("type"):
        case "object":
            value = _parsed(value)
            return _object(schema, value, now) if isinstance(value, dict) else value
        case "array":
            return _array(schema, value, now)
        case kind if isinstance(value, list) and len(value) == 1 and kind is not None:
            return coerced(schema, value[0], now)
        case "string":
            return _string(schema, value)
        case "boolean":
            return _boolean(value)
        case "number" | "integer" as kind:
            return _time(schema, value, now) if _is_time(schema) else _number(kind, value)
    return value


def _object(schema: Schema, value: dict[str, Any], now: datetime) -> dict[str, Any]:
    fields: Schema = schema.get("properties", {})
    made: dict[str, Any] = {}
    value = _renamed(fields, _flat(fields, value)) if _is_closed(schema) else value
    for name, given in value.items():
        one = _limited(name, fields[name], given, now) if name in fields else given
        if not _says_nothing(one, name in fields, _is_closed(schema)):
            made[name] = one
    return made


def _flat(fields: Schema, value: dict[str, Any]) -> dict[str, Any]:
    """The same without a layer that the schema has not: `{"task": {"title": …}}`, `{"filters": …}`.

    Only where all that stands in it has its place outside and was not given there too.
    """
    layers = [name for name in value if name not in fields and isinstance(value[name], dict)]
    if len(layers) != 1:
        return value
    spellings = _spellings(fields)
    layer: dict[str, Any] = value[layers[0]]
    inner = {n: one for n, one in layer.items() if one is not None or folded(n) in spellings}
    outer = {n: one for n, one in value.items() if n != layers[0]}
    named = {spellings.get(folded(name), "") for name in inner}
    given = {spellings.get(folded(name), name) for name in outer}
    return outer | inner if "" not in named and not named & given else value


def _renamed(fields: Schema, value: dict[str, Any]) -> dict[str, Any]:
    """The same values under the schema's names, where one in another spelling was given."""
    spellings = _spellings(fields)
    names = {name: name if name in fields else spellings.get(folded(name), name) for name in value}
    taken = Counter(names.values())  # where both spellings are given it is not ours to choose
    return {new if taken[new] == 1 else old: value[old] for old, new in names.items()}


def _spellings(fields: Schema) -> dict[str, str]:
    """The fields' names by what they are folded to, and by what else means the same."""
    others = {word: name for word, name in _SYNONYMS.items() if name in fields}
    return others | {folded(name): name for name in fields}


def _is_closed(schema: Schema) -> bool:
    return schema.get("additionalProperties") is False


def _says_nothing(value: Any, known: bool, closed: bool) -> bool:
    """Whether a value is as good as left out: models write null for what they do not mean."""
    return value is _LEFT_OUT or (value is None and not known and closed)


def _limited(name: str, schema: Schema, given: Any, now: datetime) -> Any:
    if Draft202012Validator(schema).is_valid(given):
        return given
    kind = schema.get("type")
    if given is None or (
        kind in ("number", "integer", "boolean")
        and isinstance(given, str)
        and given.strip().lower() in _NOTHING
    ):
        return _LEFT_OUT
    value, most = coerced(schema, given, now), schema.get("maximum")
    numbers = isinstance(value, int | float) and isinstance(most, int | float)
    return min(value, most) if name == _LIMIT and numbers else value


def _array(schema: Schema, value: Any, now: datetime) -> Any:
    items: Schema = schema.get("items", {})
    value = _parsed(value)
    values = value if isinstance(value, list) else [value]
    if len(values) > schema.get("maxItems", len(values)):
        return values  # refused anyway, and there may be thousands
    return [coerced(items, one, now) for one in values]


def _parsed(value: Any) -> Any:
    """The list or object that a text holds: some models encode what is nested twice."""
    if not isinstance(value, str) or not value.lstrip().startswith(("{", "[")):
        return value
    try:
        return orjson.loads(value)
    except orjson.JSONDecodeError:
        return value


def _string(schema: Schema, value: Any) -> Any:
    if isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value):
        whole = isinstance(value, float) and value.is_integer()
        value = str(int(value)) if whole else str(value)
    words = schema.get("enum")
    if isinstance(value, str) and isinstance(words, list):
        fitting = [word for word in words if folded(str(word)) == folded(value)]
        return fitting[0] if len(fitting) == 1 else value
    return value


def _boolean(value: Any) -> Any:
    word = "" if isinstance(value, dict | list) else str(value).strip().lower()
    return True if word in _TRUE else False if word in _FALSE else value


def _number(kind: str, value: Any) -> Any:
    if isinstance(value, str):
        try:
            value = orjson.loads(value.strip().removeprefix("+"))
        except orjson.JSONDecodeError:
            return value
    if isinstance(value, float) and kind == "integer" and value.is_integer():
        return int(value)
    return value


def _is_time(schema: Schema) -> bool:
    return schema.get("format") in TIMES


_SHORTEST_MS: Final = 10
"""More digits than that are milliseconds; 20261201 is a date."""


def _time(schema: Schema, value: Any, now: datetime) -> Any:
    if not isinstance(value, str):
        return value
    if value.strip().lstrip("-").isdecimal() and len(value.strip()) > _SHORTEST_MS:
        return _number("number", value)
    moment = times.parse(value, now, TIMES[schema["format"]])
    return value if moment is None else moment
