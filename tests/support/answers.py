"""A model's answers for the formatter's tests: fed whole, cut, and told in a normal form."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import Any

import orjson
from google.protobuf import json_format
from google.protobuf.message import Message
from hypothesis import strategies as st

from formatter_svc.json_object import Block, Skipped
from formatter_svc.json_stream import JsonStream
from formatter_svc.lookahead import DATA_TYPES
from formatter_svc.texts import Event, Text
from switchboard.v3.blocks_pb2 import BlockType
from switchboard.v3.frames_pb2 import ServerFrame

# The pieces that answers, good and bad, are made of.
PIECES = [
    *'{}[],:"\\\n\r \t`',
    "```json\n",
    "\n```\n",
    '{"type":"text","content":"',
    '{"type"',
    '"}',
    '"text"',
    '"content":',
    '{"content":"late","type":"text"}',
    '\n{"type":"text","content":"A"}',
    '\n  { "type": "text", "content": "B\\nC"}',
    '{"type":"table","headers":["a"],"rows":[["1"],[2]]}',
    '{"type":"chart","data":[\n{"type":1},\n{"type":"x"}]}',
    '{"\\u0074ype":"text","content":""}',
    "\\n",
    '\\"',
    "\\u00",
    "\\ud83d",
    "\\ude00",
    "d83d",
    "é😀",
    "\x00",
    "\ufeff",
    "\u2028",
    "\ud800",
    "null",
    "NaN",
    "1e999",
    "Hello, world. ",
]

# All that UTF-8 can carry.
characters = st.characters(codec="utf-8")

answers = st.lists(st.sampled_from(PIECES), max_size=30).map("".join)


@st.composite
def cut_answers(draw: st.DrawFn) -> tuple[str, list[str]]:
    """An answer, whole and in pieces (some of them empty)."""
    text = draw(answers)
    cuts = sorted(draw(st.lists(st.integers(0, len(text)), max_size=20)))
    bounds = [0, *cuts, len(text)]
    return text, [text[a:b] for a, b in pairwise(bounds)]


def events(pieces: str | Iterable[str]) -> list[Event]:
    """What a stream makes of an answer; a string is fed whole. A `thing` is a block."""
    stream = JsonStream((*DATA_TYPES, "thing"))
    found: list[Event] = []
    for piece in [pieces] if isinstance(pieces, str) else pieces:
        found += stream.feed(piece)
    return joined(found + stream.close())


def joined(found: Sequence[Event]) -> list[Event]:
    """The events without regard to where texts were cut."""
    normal: list[Event] = []
    for event in found:
        last = normal[-1] if normal else None
        if isinstance(event, Text) and isinstance(last, Text):
            normal[-1] = Text(last.chunk + event.gap + event.chunk, last.gap)
        else:
            normal.append(event)
    return normal


def told(pieces: str | Iterable[str]) -> list[object]:
    """The events in short: a text, a block's value, or the word of a reason."""
    short: list[object] = []
    for event in events(pieces):
        match event:
            case Text(chunk):
                short.append(chunk)
            case Block(value=value):
                short.append(value)
            case Skipped(reason):
                short.append(f"<{reason.value}>")
    return short


def dumps(value: Any) -> str:
    """JSON text."""
    return orjson.dumps(value).decode()


def as_contract(data: bytes, message: Message) -> None:
    """Fails unless a block's data is the message of blocks.proto: ProtoJSON, but for its enums,
    which are words on the wire."""
    value = orjson.loads(data)
    if "chartType" in value:
        value["chartType"] = f"CHART_TYPE_{value['chartType'].upper()}"
    json_format.ParseDict(value, message)


def pieces_of(text: str, size: int) -> list[str]:
    """The text in pieces of so many characters."""
    return [text[at : at + size] for at in range(0, len(text), size)]


def seen(frames: Iterable[ServerFrame]) -> str:
    """What a person sees of frames: texts, and `#table` where a table is painted."""
    shown = ""
    for frame in frames:
        if frame.HasField("stream_block"):
            word = BlockType.Name(frame.stream_block.block_type)
            shown += "#" + word.removeprefix("BLOCK_TYPE_").lower()
        else:
            shown += frame.stream_text.chunk
    return shown
