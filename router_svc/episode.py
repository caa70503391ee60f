"""PURE: what an exchange leaves for memory: the answer's text and the entities its tools touched.

Bounded in every direction: a device may return all that it has, and memory wants only
what is certain and short.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Any, Final

import orjson

from switchboard.v3.agent_pb2 import DeviceToolCall
from switchboard.v3.entities_pb2 import EntityKind
from switchboard.v3.frames_pb2 import MutationOp, ToolResult
from switchboard.v3.memory_pb2 import EpisodeEntity

RESPONSE_CHARS: Final = 32_000
"""The longest text that is kept of an answer."""

MAX_ENTITIES: Final = 50
"""The most entities of one exchange; those that changed come first."""

_MAX_ATTRIBUTES: Final = 16
_MAX_VALUE_CHARS: Final = 200
_NAMES: Final = frozenset({"id", "title", "name"})


class Transcript:
    """Gathers an exchange as it goes."""

    def __init__(self) -> None:
        self._chunks: list[str] = []
        self._room = RESPONSE_CHARS
        self._entities: dict[tuple[int, str], EpisodeEntity] = {}
        self._tools: dict[str, None] = {}

    def say(self, chunk: str) -> None:
        """A piece of the answer, as people read it."""
        if self._room > 0:
            self._chunks.append(chunk[: self._room])
            self._room -= len(chunk)

    def record(self, call: DeviceToolCall, result: ToolResult) -> None:
        """What a device's tool returned. A failed or refused call touched nothing."""
        self._tools[call.call.name] = None
        if result.WhichOneof("outcome") != "result":
            return
        changed = call.HasField("effect")
        deleted = call.effect == MutationOp.MUTATION_OP_DELETE
        for found in islice(_objects(result.result.utf8), MAX_ENTITIES):
            self._touch(_entity(call.entity, found, changed=changed, deleted=deleted))

    def _touch(self, entity: EpisodeEntity) -> None:
        key = (entity.kind, entity.id)
        before = self._entities.pop(key, None)
        if before is not None:
            # The latest state counts; that it was changed, and what it was called, stays true.
            entity.changed |= before.changed
            entity.title = entity.title or before.title
        elif len(self._entities) >= MAX_ENTITIES and not self._make_room(entity):
            return
        self._entities[key] = entity

    def _make_room(self, entity: EpisodeEntity) -> bool:
        if not entity.changed:
            return False
        unchanged = (key for key, kept in self._entities.items() if not kept.changed)
        oldest = next(unchanged, None)
        if oldest is None:
            return False
        del self._entities[oldest]
        return True

    @property
    def response(self) -> str:
        """The answer's text, up to its bound."""
        return "".join(self._chunks)

    @property
    def entities(self) -> list[EpisodeEntity]:
        """What was touched, changes first, else in the order it came."""
        return sorted(self._entities.values(), key=lambda entity: not entity.changed)

    @property
    def tools(self) -> list[str]:
        """The device tools that answered, by name, once each."""
        return list(self._tools)


@dataclass(frozen=True, slots=True)
class _Found:
    """An entity of a result: its id, and its fields where the result holds them."""

    id: str
    fields: dict[str, Any]


def _objects(utf8: bytes) -> Iterator[_Found]:
    """The entities in a result: {"items": […]}, {"item": {…}} or {"id": "…"}; none in another."""
    try:
        result = orjson.loads(utf8)
    except orjson.JSONDecodeError:
        return
    match result:
        case {"items": list() as items}:
            candidates = items
        case {"item": dict() as item}:
            candidates = [item]
        case {"id": str()}:
            candidates = [result]
        case _:
            return
    for candidate in candidates:
        match candidate:
            case {"id": str() as id_} if id_:
                yield _Found(id_, candidate)
            case _:
                continue


def _entity(
    kind: EntityKind.ValueType, found: _Found, *, changed: bool, deleted: bool
) -> EpisodeEntity:
    title = found.fields.get("title") or found.fields.get("name") or ""
    attributes = {"deleted": "true"} if deleted else dict(_attributes(found.fields))
    return EpisodeEntity(
        kind=kind,
        id=found.id,
        title=title[:_MAX_VALUE_CHARS] if isinstance(title, str) else "",
        changed=changed,
        attributes=attributes,
    )


def _attributes(fields: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """Short scalar fields, such as status → done; ids of other things among them."""
    count = 0
    for name, value in fields.items():
        text = _text(value)
        if name in _NAMES or text is None or count == _MAX_ATTRIBUTES:
            continue
        if len(name) <= 64 and len(text) <= _MAX_VALUE_CHARS:
            count += 1
            yield name, text


def _text(value: object) -> str | None:
    match value:
        case bool():
            return "true" if value else "false"
        case int() | str():
            return str(value)
        case float():
            # Times are whole milliseconds, whichever way JSON wrote them.
            return str(int(value)) if value.is_integer() else repr(value)
        case _:
            return None
