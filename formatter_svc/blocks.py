"""Checks blocks against PROTOCOL §6 and writes them as JSON for the client.

Optional keys with null are absent; keys that the rules do not name are left out. Pure.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, tzinfo
from typing import Final, Literal

import orjson

from formatter_svc import charts, tables, timelines
from formatter_svc.reasons import Invalid, Reason

# What is repaired may grow; a frame holds 1 MiB.
MAX_BYTES: Final = 768 * 1024

Object = dict[str, object]
EntityWord = Literal["task", "project", "note", "checkpoint"]

_ENTITY_NAMES: Final = ("entity", "entityType", "entity_type", "kind", "entityKind", "entity_kind")
_ENTITY_WORDS: Final[dict[str, EntityWord]] = {
    **dict.fromkeys(("task", "tasks", "todo", "todos"), "task"),
    **dict.fromkeys(("project", "projects"), "project"),
    **dict.fromkeys(("note", "notes"), "note"),
    **dict.fromkeys(("checkpoint", "checkpoints", "milestone", "milestones"), "checkpoint"),
}


@dataclass(frozen=True, slots=True)
class EntityRef:
    """Which entities to show; `ids` None: those of the latest result of their kind."""

    entity: EntityWord
    ids: tuple[str, ...] | None


def table(value: Object, zone: tzinfo = UTC) -> bytes:
    """A table's JSON. Raises Invalid."""
    return _written(tables.check(value))


def timeline(value: Object, zone: tzinfo = UTC) -> bytes:
    """A timeline's JSON; dates that are written without a zone are of `zone`. Raises Invalid."""
    return _written(timelines.check(value, zone))


def chart(value: Object, zone: tzinfo = UTC) -> bytes:
    """A chart's JSON. Raises Invalid."""
    return _written(charts.check(value))


def _written(block: dict[str, object]) -> bytes:
    data = orjson.dumps(block)
    if len(data) > MAX_BYTES:
        raise Invalid(Reason.TOO_LARGE)
    return data


def entity_ref(value: Object) -> EntityRef:
    """What an entity_ref asks for; each id once, in order. Raises Invalid."""
    entity = _entity(value)
    given = [
        _several(name, value[name]) for name in _id_names(entity) if value.get(name) is not None
    ]
    if not given:
        return EntityRef(entity, None)
    ids = dict.fromkeys(each for one in given for each in _ids(one))
    if not ids:
        raise Invalid(Reason.BAD_ENTITY_REF)
    return EntityRef(entity, tuple(ids))


def _entity(value: Object) -> EntityWord:
    given = next((word for name in _ENTITY_NAMES if isinstance(word := value.get(name), str)), "")
    word = _ENTITY_WORDS.get(given.strip().lower().replace("-", "").replace("_", ""))
    if word is None:
        raise Invalid(Reason.BAD_ENTITY_REF)
    return word


def _id_names(entity: EntityWord) -> tuple[str, ...]:
    own = (f"{entity}Id", f"{entity}Ids", f"{entity}_id", f"{entity}_ids")
    return ("id", "ids", "entityId", "entityIds", "entity_id", "entity_ids", *own, "item", "items")


def _several(name: str, given: object) -> object:
    """Under a name for several ids one text may list them."""
    if isinstance(given, str) and name.lower().endswith("ids") and "," in given:
        return [each.strip() for each in given.split(",")]
    return given


def _ids(given: object) -> Iterator[str]:
    """The ids that are one: text, or a number as text; an object's own."""
    match given:
        case bool():
            return
        case str() if given:
            yield given
        case int():
            yield str(given)
        case {"id": str() | int() as inner}:
            yield from _ids(inner)
        case list():
            for each in given:
                if not isinstance(each, list):
                    yield from _ids(each)


Writer = Callable[[Object, tzinfo], bytes]

# The blocks that stand by themselves, by their type.
WRITERS: Final[dict[str, Writer]] = {
    "chart": chart,
    "table": table,
    "timeline": timeline,
}
