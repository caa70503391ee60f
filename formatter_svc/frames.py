"""From what the model says to the frames that the client renders, for Home and for popups.

A formatter is fed inputs and answers with frames (`seq` 0: the edge gives it). It is done once it
was closed and nothing waits for the device any more; `skipped` then tells what was left out.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Sequence
from datetime import UTC, tzinfo
from typing import Final, Protocol, assert_never
from uuid import uuid4

from formatter_svc import blocks
from formatter_svc.blocks import EntityRef, EntityWord
from formatter_svc.entities import Entities, items_of
from formatter_svc.json_object import Block, Skipped
from formatter_svc.json_stream import JsonStream
from formatter_svc.reasons import Invalid, Reason
from formatter_svc.texts import Event, Text
from formatter_svc.timelines import zone_of
from formatter_svc.waiting import Line, Query, Shown
from runtime.thinking import Thinking
from switchboard.v3.agent_pb2 import Surface
from switchboard.v3.blocks_pb2 import BlockType
from switchboard.v3.entities_pb2 import EntityKind
from switchboard.v3.formatter_pb2 import FormatStart, FormatToolResult
from switchboard.v3.frames_pb2 import (
    DataRequest,
    DataResponse,
    Domain,
    PopupDomain,
    ServerFrame,
    SkippedBlock,
    StreamBlock,
    StreamText,
)
from switchboard.v3.values_pb2 import Json, StringList

log = logging.getLogger(__name__)

# What the device has to answer a query (PROTOCOL §4.6); the edge keeps the clock.
QUERY_DEADLINE_MS: Final = 30_000
MAX_QUERIES: Final = 32
# Of the blocks that were left out, so many are told by name, with so much of their name.
MAX_TOLD: Final = 20
MAX_TOLD_TYPE: Final = 64

_DOMAINS: Final = {
    "task_agent": Domain.DOMAIN_TASKS,
    "checkpoint_agent": Domain.DOMAIN_CHECKPOINTS,
    "note_agent": Domain.DOMAIN_NOTES,
    "project_agent": Domain.DOMAIN_PROJECTS,
}
_KINDS: Final[dict[EntityWord, EntityKind.ValueType]] = {
    "task": EntityKind.ENTITY_KIND_TASK,
    "project": EntityKind.ENTITY_KIND_PROJECT,
    "note": EntityKind.ENTITY_KIND_NOTE,
    "checkpoint": EntityKind.ENTITY_KIND_CHECKPOINT,
}
_WORDS: Final = {kind: word for word, kind in _KINDS.items()}
_BLOCK_TYPES: Final = {
    "chart": BlockType.BLOCK_TYPE_CHART,
    "table": BlockType.BLOCK_TYPE_TABLE,
    "timeline": BlockType.BLOCK_TYPE_TIMELINE,
    "entity_ref": BlockType.BLOCK_TYPE_ENTITY_REF,
}


class Formatter(Protocol):
    """What both formatters are."""

    skipped: Counter[Reason]
    told: list[SkippedBlock]

    @property
    def closed(self) -> bool:
        """Whether the model's answer has ended."""

    @property
    def waits(self) -> bool:
        """Whether anything waits for the device."""

    @property
    def done(self) -> bool:
        """Whether all of the answer is formatted."""

    def open(self) -> list[ServerFrame]:
        """What goes out before any token."""

    def text(self, pieces: Sequence[str]) -> list[ServerFrame]:
        """Takes pieces of the model's answer that came together."""

    def tool_result(self, result: FormatToolResult) -> list[ServerFrame]:
        """Takes what a device's tool returned."""

    def data_response(self, response: DataResponse) -> list[ServerFrame]:
        """Takes the device's answer to a `data_request`."""

    def flush(self) -> list[ServerFrame]:
        """Takes that the model has stopped for now; its answer may go on."""

    def close(self) -> list[ServerFrame]:
        """Takes the end of the model's answer."""

    def give_up(self) -> list[ServerFrame]:
        """Takes that the device will not answer any more."""


def formatter(request_id: str, start: FormatStart) -> Formatter:
    """The formatter for a surface."""
    if start.surface == Surface.SURFACE_POPUP:
        return PopupFormatter(request_id, start.agent_name)
    zone = zone_of(start.timezone)
    return HomeFormatter(request_id, device_connected=start.device_connected, zone=zone)


class PopupFormatter:
    """The domain at once, then every token as it is."""

    def __init__(self, request_id: str, agent_name: str) -> None:
        self.skipped: Counter[Reason] = Counter()
        self.told: list[SkippedBlock] = []
        self.closed = False
        self._request_id = request_id
        # general_agent is not offered to popups; an agent that is not known looks after tasks.
        self._domain = _DOMAINS.get(agent_name, Domain.DOMAIN_TASKS)

    @property
    def waits(self) -> bool:
        """Nothing does."""
        return False

    @property
    def done(self) -> bool:
        """Closed."""
        return self.closed

    def open(self) -> list[ServerFrame]:
        """The domain."""
        domain = PopupDomain(request_id=self._request_id, domain=self._domain)
        return [ServerFrame(popup_domain=domain)]

    def text(self, pieces: Sequence[str]) -> list[ServerFrame]:
        """The tokens."""
        return [] if self.closed else [_text(self._request_id, each) for each in pieces if each]

    def tool_result(self, result: FormatToolResult) -> list[ServerFrame]:
        """Nothing: a popup shows no entities."""
        return []

    def data_response(self, response: DataResponse) -> list[ServerFrame]:
        """Nothing: a popup asks for no entities."""
        return []

    def flush(self) -> list[ServerFrame]:
        """Nothing is left."""
        return []

    def close(self) -> list[ServerFrame]:
        """Nothing is left."""
        self.closed = True
        return []

    def give_up(self) -> list[ServerFrame]:
        """Nothing waits."""
        return []


class HomeFormatter:
    """Text as it comes, blocks when they are whole and valid."""

    def __init__(
        self,
        request_id: str,
        *,
        device_connected: bool,
        zone: tzinfo = UTC,
        new_id: Callable[[], str] = lambda: str(uuid4()),
    ) -> None:
        self.skipped: Counter[Reason] = Counter()
        self.told: list[SkippedBlock] = []
        self.closed = False
        self._request_id = request_id
        self._device_connected = device_connected
        self._zone = zone
        self._new_id = new_id
        self._thinking = Thinking(opens=False)
        self._stream = JsonStream()
        self._entities = Entities()
        self._line = Line()
        self._queries: dict[str, Query] = {}
        self._asked = 0
        self._frames: list[ServerFrame] = []
        self._after_text = False

    @property
    def waits(self) -> bool:
        """Whether a query, or what came after one, waits."""
        return not self._line.empty

    @property
    def done(self) -> bool:
        """Closed, and nothing waits for the device."""
        return self.closed and not self.waits

    def open(self) -> list[ServerFrame]:
        """Nothing: the edge has opened the answer."""
        return []

    def text(self, pieces: Sequence[str]) -> list[ServerFrame]:
        """What the pieces brought."""
        if self.closed:
            return []
        return self._show(self._stream.feed(self._thinking.feed("".join(pieces))))

    def tool_result(self, result: FormatToolResult) -> list[ServerFrame]:
        """Nothing by itself."""
        if kind := _WORDS.get(result.entity):
            self._entities.learn(kind, result.result.utf8)
        return []

    def data_response(self, response: DataResponse) -> list[ServerFrame]:
        """What waited for it. An answer to no query of ours is ignored."""
        query = self._queries.pop(response.query_id, None)
        if query is not None and not query.answered:
            items = items_of(response.items.utf8) if response.HasField("items") else {}
            asked = {each: items[each] for each in query.ids if each in items}
            self._entities.add(query.kind, asked)
            query.found = asked | query.found
            query.answered = True
        return self._drained()

    def flush(self) -> list[ServerFrame]:
        """What waited for the next token."""
        if self.closed:
            return []
        rest = self._stream.feed(self._thinking.close())
        self._thinking = Thinking(opens=False)
        return self._show(rest + self._stream.close())

    def close(self) -> list[ServerFrame]:
        """What waited for the end."""
        frames = self.flush()
        self.closed = True
        return frames

    def give_up(self) -> list[ServerFrame]:
        """What waited for a device that will not answer any more."""
        self._line.give_up(Reason.ENTITY_NOT_FOUND)
        return self._drained()

    def _show(self, events: list[Event]) -> list[ServerFrame]:
        for event in events:
            match event:
                case Text() | Skipped():
                    self._line.put(event)
                case Block():
                    self._block(event)
                case _:
                    assert_never(event)
        return self._drained()

    def _block(self, block: Block) -> None:
        try:
            if block.type == "entity_ref":
                self._refer(blocks.entity_ref(block.value))
            else:
                write = blocks.WRITERS[block.type]
                self._line.put(Shown(block.type, write(block.value, self._zone)))
        except Invalid as invalid:
            self._line.put(Skipped(invalid.reason, block.word or block.type, block.size))

    def _refer(self, ref: EntityRef) -> None:
        """Shows what is known as the reference stands, and asks the device for the rest."""
        kind = ref.entity
        ids = self._entities.latest(kind) if ref.ids is None else ref.ids
        if not ids:
            raise Invalid(Reason.ENTITY_NOT_FOUND)
        found = {each: item for each in ids if (item := self._entities.find(kind, each))}
        query = Query(kind, tuple(ids), found)
        if missing := [each for each in ids if each not in found]:
            self._ask(query, missing)
        else:
            query.answered = True
        self._line.put(query)

    def _ask(self, query: Query, missing: list[str]) -> None:
        if not self._device_connected or self._asked == MAX_QUERIES:
            query.answered = True
            query.reason = Reason.TOO_MANY_QUERIES if self._device_connected else Reason.NO_DEVICE
            return
        self._asked += 1
        self._drain()  # what was said before goes out before
        query_id = self._new_id()
        self._queries[query_id] = query
        request = DataRequest(
            request_id=self._request_id,
            query_id=query_id,
            entity=_KINDS[query.kind],
            ids=StringList(values=missing),
            deadline_ms=QUERY_DEADLINE_MS,
        )
        self._frames.append(ServerFrame(data_request=request))

    def _drained(self) -> list[ServerFrame]:
        self._drain()
        frames, self._frames = self._frames, []
        return frames

    def _drain(self) -> None:
        for thing in self._line.ready():
            match thing:
                case Text(chunk, gap):
                    whole = gap + chunk if self._after_text else chunk
                    self._frames.append(_text(self._request_id, whole))
                    self._after_text = True
                case Shown(kind, data):
                    self._frames.append(_block(self._request_id, kind, data))
                    self._after_text = False
                case Skipped(reason, word, size):
                    self._skip(reason, word, size)
                case _:
                    assert_never(thing)

    def _skip(self, reason: Reason, kind: str | None, size: int) -> None:
        """Logged without a word of the model's: what it calls a type may be any text."""
        known = kind if kind == "text" or kind in _BLOCK_TYPES else "other"
        log.warning("block skipped: %s, type %s, %d bytes", reason.value, known, size)
        self.skipped[reason] += 1
        if len(self.told) < MAX_TOLD:
            block_type = (kind or "")[:MAX_TOLD_TYPE]
            self.told.append(SkippedBlock(block_type=block_type, reason=reason.value))


def _text(request_id: str, chunk: str) -> ServerFrame:
    return ServerFrame(stream_text=StreamText(request_id=request_id, chunk=chunk))


def _block(request_id: str, kind: str, data: bytes) -> ServerFrame:
    block = StreamBlock(request_id=request_id, block_type=_BLOCK_TYPES[kind], data=Json(utf8=data))
    return ServerFrame(stream_block=block)
