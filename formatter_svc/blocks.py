"""Checks blocks against PROTOCOL §6 and writes them as JSON for the client.

Optional keys with null are absent; keys that the rules do not name are left out. Pure.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Literal, cast, get_args

import orjson

from formatter_svc import charts
from formatter_svc.reasons import Invalid, Reason

MAX_COLUMNS: Final = 50

EntityWord = Literal["task", "project", "note", "checkpoint"]


@dataclass(frozen=True, slots=True)
class EntityRef:
    """Which entities to show; `ids` None: those of the latest result of their kind."""

    entity: EntityWord
    ids: tuple[str, ...] | None


def table(value: dict[str, object]) -> bytes:
    """A table's JSON. Raises Invalid."""
    headers, rows = value.get("headers"), value.get("rows")
    if (
        not isinstance(headers, list)
        or not 1 <= len(headers) <= MAX_COLUMNS
        or not all(isinstance(header, str) for header in headers)
        or not isinstance(rows, list)
        or not all(_is_row(row, len(headers)) for row in rows)
    ):
        raise Invalid(Reason.BAD_TABLE)
    return orjson.dumps({"headers": headers, "rows": rows})


def _is_row(row: object, width: int) -> bool:
    return (
        isinstance(row, list)
        and len(row) == width
        and all(cell is None or isinstance(cell, str | int | float) for cell in row)
    )


def timeline(value: dict[str, object]) -> bytes:
    """A timeline's JSON. Raises Invalid."""
    checkpoints = value.get("checkpoints")
    if not isinstance(checkpoints, list) or not checkpoints:
        raise Invalid(Reason.BAD_TIMELINE)
    return orjson.dumps({"checkpoints": [_checkpoint(item) for item in checkpoints]})


def _checkpoint(item: object) -> dict[str, object]:
    match item:
        case {"id": str(id_), "title": str(title), "date": int() | float() as date} if (
            not isinstance(date, bool)
        ):
            return {"id": id_, "title": title, "date": date}
    raise Invalid(Reason.BAD_TIMELINE)


def chart(value: dict[str, object]) -> bytes:
    """A chart's JSON. Raises Invalid."""
    return orjson.dumps(charts.check(value))


def entity_ref(value: dict[str, object]) -> EntityRef:
    """What an entity_ref asks for; each id once, in order. Raises Invalid."""
    entity, one, many = value.get("entity"), value.get("id"), value.get("ids")
    if entity not in get_args(EntityWord):
        raise Invalid(Reason.BAD_ENTITY_REF)
    if one is None and many is None:
        return EntityRef(cast("EntityWord", entity), None)
    ids = ([] if one is None else [one]) + _items(many)
    if not ids or not all(isinstance(each, str) and each for each in ids):
        raise Invalid(Reason.BAD_ENTITY_REF)
    return EntityRef(cast("EntityWord", entity), tuple(dict.fromkeys(cast("list[str]", ids))))


def _items(many: object) -> list[object]:
    if many is None:
        return []
    if not isinstance(many, list):
        raise Invalid(Reason.BAD_ENTITY_REF)
    return many


# The blocks that stand by themselves, by their type.
WRITERS: Final[dict[str, Callable[[dict[str, object]], bytes]]] = {
    "chart": chart,
    "table": table,
    "timeline": timeline,
}
