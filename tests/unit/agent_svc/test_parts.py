"""Streams of many providers, whole, cut into any pieces, and cut short."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent_svc import sse
from agent_svc.events import (
    Event,
    Finish,
    ProviderError,
    Refused,
    Text,
    ToolCallReady,
    Truncated,
    Usage,
)
from agent_svc.parts import ChatAnswer


def chunk(delta: dict[str, Any] | None = None, finish: str | None = None, **top: Any) -> bytes:
    """One chunk as a provider sends it."""
    body = {"choices": [{"index": 0, "delta": delta or {}, "finish_reason": finish}]} | top
    return b"data: " + json.dumps(body).encode() + b"\n\n"


def text(content: object, **more: Any) -> bytes:
    return chunk({"content": content} | more)


def call(**fields: Any) -> bytes:
    """A chunk with one delta of a tool call; name and arguments go where they belong."""
    function = {key: fields.pop(key) for key in ("name", "arguments") if key in fields}
    return chunk({"tool_calls": [fields | {"function": function}]})


def read(pieces: Sequence[bytes]) -> list[Event]:
    """All events of a stream, neighbouring texts joined."""
    answer, events = ChatAnswer(), list[Event]()
    for piece in pieces:
        events += answer.feed(piece)
    return joined(events + answer.close())


def joined(events: list[Event]) -> list[Event]:
    result: list[Event] = []
    for event in events:
        if isinstance(event, Text) and result and isinstance(result[-1], Text):
            result[-1] = Text(result[-1].text + event.text)
        else:
            result.append(event)
    return result


DONE = b"data: [DONE]\n\n"
STOP = chunk(finish="stop")
TOOLS = chunk(finish="tool_calls")
USAGE = chunk(choices=[], usage={"prompt_tokens": 3, "completion_tokens": 5})


@dataclass(frozen=True, slots=True)
class Quirk:
    """A stream of a real provider's habits, and what it means."""

    name: str
    body: bytes
    events: list[Event]


def one_call(name: str, arguments: str, provider_id: str = "", index: int = 0) -> ToolCallReady:
    return ToolCallReady(index, provider_id, name, arguments)


QUIRKS = [
    Quirk(
        "plain",
        text("Hel") + text("lo") + STOP + USAGE + DONE,
        [Text("Hello"), Usage(3, 5), Finish("stop")],
    ),
    Quirk(
        "choices empty in the first, a middle and the last chunk",
        chunk(choices=[]) + text("a") + chunk(choices=[]) + text("b") + STOP + USAGE + DONE,
        [Text("ab"), Usage(3, 5), Finish("stop")],
    ),
    Quirk("choices null", chunk(choices=None) + text("a") + STOP, [Text("a"), Finish("stop")]),
    Quirk(
        "usage in every chunk: the last one holds",
        text("a") + chunk(usage={"prompt_tokens": 3, "completion_tokens": 1}) + STOP + USAGE,
        [Text("a"), Usage(3, 1), Usage(3, 5), Finish("stop")],
    ),
    Quirk("usage null", chunk({"content": "a"}, usage=None) + STOP, [Text("a"), Finish("stop")]),
    Quirk("no [DONE]", text("a") + STOP, [Text("a"), Finish("stop")]),
    Quirk("no finish_reason", text("a") + DONE, [Text("a"), Finish("")]),
    Quirk("finish sent twice", text("a") + STOP + STOP + DONE, [Text("a"), Finish("stop")]),
    Quirk(
        "text in the finishing chunk", chunk({"content": "a"}, "stop"), [Text("a"), Finish("stop")]
    ),
    Quirk("content null", text(None) + text("a") + STOP, [Text("a"), Finish("stop")]),
    Quirk(
        "content a list of parts",
        text([{"type": "text", "text": "a"}, {"type": "thinking", "thinking": []}, "?"]) + STOP,
        [Text("a?"), Finish("stop")],
    ),
    Quirk(
        "delta null", chunk(choices=[{"delta": None, "finish_reason": "stop"}]), [Finish("stop")]
    ),
    Quirk(
        "a second choice that nobody asked for",
        chunk(choices=[{"index": 1, "delta": {"content": "x"}}]) + text("a") + STOP,
        [Text("a"), Finish("stop")],
    ),
    Quirk(
        "reasoning beside the content",
        text("", reasoning_content="hm") + text("a", reasoning="hm") + STOP,
        [Text("a"), Finish("stop")],
    ),
    Quirk(
        "comments, event and id lines, CRLF, no space after the colon",
        b": hello\r\n\r\nevent: message\r\nid: 1\r\n"
        + text("a").replace(b"\n", b"\r\n")
        + STOP.replace(b"data: ", b"data:"),
        [Text("a"), Finish("stop")],
    ),
    Quirk("CR alone", (text("a") + STOP).replace(b"\n", b"\r"), [Text("a"), Finish("stop")]),
    Quirk("a byte order mark", b"\xef\xbb\xbf" + text("a") + STOP, [Text("a"), Finish("stop")]),
    Quirk(
        "data of several lines",
        b'data: {"choices": [{"delta":\ndata: {"content": "a"}}]}\n\n' + STOP,
        [Text("a"), Finish("stop")],
    ),
    Quirk(
        "letters of several bytes",
        'data: {"choices":[{"delta":{"content":"日本語 🦊"}}]}\n\n'.encode() + STOP,
        [Text("日本語 🦊"), Finish("stop")],
    ),
    Quirk(
        "a character cut into two surrogates",
        b'data: {"choices":[{"delta":{"content":"a\\ud83e"}}]}\n\n'
        b'data: {"choices":[{"delta":{"content":"\\udd8ab"}}]}\n\n' + STOP,
        [Text("a🦊b"), Finish("stop")],
    ),
    Quirk(
        "a surrogate whose half never comes",
        b'data: {"choices":[{"delta":{"content":"a\\ud83e"}}]}\n\n' + text("b") + STOP,
        [Text("a\ufffdb"), Finish("stop")],
    ),
    # Tool calls
    Quirk(
        "a call in many pieces",
        call(index=0, id="c1", name="f", arguments="")
        + call(index=0, arguments='{"a"')
        + call(index=0, arguments=": 1}")
        + TOOLS
        + DONE,
        [one_call("f", '{"a": 1}', "c1"), Finish("tool_calls")],
    ),
    Quirk(
        "a call in one piece, its finish 'stop'",
        text("Let me see.") + call(index=0, id="c1", name="f", arguments='{"a": 1}') + STOP,
        [Text("Let me see."), one_call("f", '{"a": 1}', "c1"), Finish("stop")],
    ),
    Quirk(
        "a call and its finish in one chunk",
        chunk({"tool_calls": [{"index": 0, "id": "c", "function": {"name": "f"}}]}, "tool_calls"),
        [one_call("f", "", "c"), Finish("tool_calls")],
    ),
    Quirk(
        "id and name repeated in each delta",
        call(index=0, id="c1", name="f", arguments='{"a"')
        + call(index=0, id="c1", name="f", arguments=": 1}")
        + call(index=0, id="c1", name="f", arguments="")
        + TOOLS,
        [one_call("f", '{"a": 1}', "c1"), Finish("tool_calls")],
    ),
    Quirk(
        "a new id for each delta of one call",
        call(index=0, id="x1", name="f", arguments='{"a"')
        + call(index=0, id="x2", arguments=": 1}")
        + TOOLS,
        [one_call("f", '{"a": 1}', "x1"), Finish("tool_calls")],
    ),
    Quirk(
        "id and name blank later, arguments null or absent",
        call(index=0, id="c1", name="f", arguments=None)
        + call(index=0, id="", name="", arguments='{"a": 1}')
        + call(index=0, id=None, name=None)
        + chunk({"tool_calls": [{"index": 0, "function": None}]})
        + TOOLS,
        [one_call("f", '{"a": 1}', "c1"), Finish("tool_calls")],
    ),
    Quirk(
        "arguments an object",
        call(index=0, id="c1", name="f", arguments={"a": 1}) + TOOLS,
        [one_call("f", '{"a":1}', "c1"), Finish("tool_calls")],
    ),
    Quirk(
        "an index that starts at 1",
        call(index=1, id="c1", name="f", arguments="{}")
        + call(index=2, id="c2", name="g", arguments="{}")
        + TOOLS,
        [one_call("f", "{}", "c1"), one_call("g", "{}", "c2", 1), Finish("tool_calls")],
    ),
    Quirk(
        "pieces of two calls in turn",
        call(index=0, id="c1", name="f", arguments='{"a"')
        + call(index=1, id="c2", name="f", arguments='{"b"')
        + call(index=0, arguments=": 1}")
        + call(index=1, arguments=": 2}")
        + TOOLS,
        [
            one_call("f", '{"a": 1}', "c1"),
            one_call("f", '{"b": 2}', "c2", 1),
            Finish("tool_calls"),
        ],
    ),
    Quirk(
        "no index",
        call(id="c1", name="f", arguments='{"a"')
        + call(arguments=": 1}")
        + call(id="c2", name="f", arguments='{"b": 2}')
        + TOOLS,
        [
            one_call("f", '{"a": 1}', "c1"),
            one_call("f", '{"b": 2}', "c2", 1),
            Finish("tool_calls"),
        ],
    ),
    Quirk(
        "the index 0 for every parallel call",
        call(index=0, id="c1", name="f", arguments='{"a": 1}')
        + call(index=0, id="c2", name="g", arguments="")
        + call(index=0, id="c3", name="h", arguments="{}")
        + TOOLS,
        [
            one_call("f", '{"a": 1}', "c1"),
            one_call("g", "", "c2", 1),
            one_call("h", "{}", "c3", 2),
            Finish("tool_calls"),
        ],
    ),
    Quirk(
        "the index 0 and no id, or the same, for every parallel call",
        call(index=0, id="", name="f", arguments='{"a": 1}')
        + call(index=0, id="", name="f", arguments='{"a": 2}')
        + call(index=0, id="", name="g", arguments='{"a"')
        + call(index=0, id="", arguments=": 3}")
        + TOOLS,
        [
            one_call("f", '{"a": 1}'),
            one_call("f", '{"a": 2}', "", 1),
            one_call("g", '{"a": 3}', "", 2),
            Finish("tool_calls"),
        ],
    ),
    Quirk(
        "an id that is a number",
        call(index=0, id=7, name="f", arguments="{}") + TOOLS,
        [one_call("f", "{}", "7"), Finish("tool_calls")],
    ),
    Quirk(
        "id and name new in each delta of one call",
        call(index=0, id="a1", name="f", arguments="")
        + call(index=0, id="a2", name="f", arguments='{"a"')
        + call(index=0, id="a3", name="f", arguments=": 1}")
        + call(index=0, id="a4", name="f", arguments="")
        + TOOLS,
        [one_call("f", '{"a": 1}', "a1"), Finish("tool_calls")],
    ),
    Quirk(
        "a name in pieces, and once more in whole",
        call(index=0, id="c1", name="list_", arguments="")
        + call(index=0, name="tasks")
        + call(index=0, name="list_tasks", arguments="{}")
        + TOOLS,
        [one_call("list_tasks", "{}", "c1"), Finish("tool_calls")],
    ),
    Quirk(
        "two calls in one chunk, with the same place and no id",
        chunk({"tool_calls": [{"index": 0, "function": {"name": each}} for each in "fg"]}) + TOOLS,
        [one_call("f", ""), one_call("g", "", "", 1), Finish("tool_calls")],
    ),
    Quirk(
        "names with a space of their own",
        call(index=0, id="c1", name="functions.f", arguments="{}")
        + call(index=1, id="c2", name="g:3", arguments="{}")
        + call(index=2, id="c3", name="default_api.h<|channel|>commentary", arguments="{}")
        + TOOLS,
        [
            one_call("f", "{}", "c1"),
            one_call("g", "{}", "c2", 1),
            one_call("h", "{}", "c3", 2),
            Finish("tool_calls"),
        ],
    ),
    Quirk(
        "arguments encoded twice, and with a comma to spare",
        call(index=0, id="c1", name="f", arguments='"{\\"a\\": 1}"')
        + call(index=1, id="c2", name="g", arguments='{"a":1,}')
        + TOOLS,
        [one_call("f", '{"a":1}', "c1"), one_call("g", '{"a":1}', "c2", 1), Finish("tool_calls")],
    ),
    Quirk(
        "an empty object before the arguments",
        call(index=0, id="c1", name="f", arguments={})
        + call(index=0, arguments='{"a"')
        + call(index=0, arguments=":1}")
        + TOOLS,
        [one_call("f", '{"a":1}', "c1"), Finish("tool_calls")],
    ),
    Quirk(
        "arguments that each delta repeats in whole",
        call(index=0, id="c1", name="f", arguments='{"a"')
        + call(index=0, id="c1", name="f", arguments='{"a":1')
        + call(index=0, id="c1", name="f", arguments='{"a":1}') * 2
        + TOOLS,
        [one_call("f", '{"a":1}', "c1"), Finish("tool_calls")],
    ),
    Quirk(
        "arguments whose pieces only look as if they were repeated",
        call(index=0, id="c1", name="f", arguments="1")
        + call(index=0, arguments="12")
        + call(index=0, arguments="")
        + TOOLS,
        [one_call("f", "112", "c1"), Finish("tool_calls")],
    ),
    Quirk(
        "a call as it was written while there was but one",
        chunk({"content": None, "function_call": {"name": "f", "arguments": ""}})
        + chunk({"function_call": {"arguments": "{}"}})
        + chunk(finish="function_call"),
        [one_call("f", "{}"), Finish("function_call")],
    ),
    Quirk(
        "a call told twice, and one whose name comes last",
        call(index=0, id="c1", name="f", arguments='{"a":1}') * 2
        + call(index=1, id="c2", arguments="{}")
        + call(index=1, name="g")
        + TOOLS,
        [one_call("f", '{"a":1}', "c1"), one_call("g", "{}", "c2", 1), Finish("tool_calls")],
    ),
    Quirk(
        "calls without a function, one of them alone",
        chunk({"tool_calls": {"index": 0, "id": "c1", "name": "f", "arguments": {"a": 1}}}) + TOOLS,
        [one_call("f", '{"a":1}', "c1"), Finish("tool_calls")],
    ),
    Quirk(
        "arguments of another type are no empty ones",
        call(index=0, id="c1", name="f", arguments=[1]) + TOOLS,
        [one_call("f", "[1]", "c1"), Finish("tool_calls")],
    ),
    Quirk(
        "a finish in the delta, or beside the choices",
        chunk({"content": "a", "finish_reason": "stop"}) + chunk(finish_reason="stop"),
        [Text("a"), Finish("stop")],
    ),
    # What is no stream, or hardly one
    Quirk(
        "Ollama's own form",
        b'{"message":{"content":"ha"},"done":false}\n{"message":{"content":"ha"},"done":false}\n'
        b'{"message":{"content":""},"done":true,"done_reason":"stop"}\n',
        [Text("haha"), Finish("stop")],
    ),
    Quirk(
        "messages in place of deltas",
        chunk(choices=[{"message": {"content": "ha"}}]) * 2 + STOP,
        [Text("haha"), Finish("stop")],
    ),
    Quirk(
        "data of data",
        (text("a") + STOP).replace(b"data:", b"data: data:"),
        [Text("a"), Finish("stop")],
    ),
    Quirk(
        "a message of failure alone",
        text("a") + b'data: {"message": "Internal server error"}\n\n' + DONE,
        [Text("a"), ProviderError("unknown")],
    ),
    Quirk(
        "a whole completion",
        json.dumps(
            {
                "object": "chat.completion",
                "choices": [{"message": {"content": "a", "refusal": None}, "finish_reason": None}],
                "usage": {"prompt_tokens": 3, "completion_tokens": 5},
            },
            indent=1,
        ).encode(),
        [Text("a"), Usage(3, 5), Finish("")],
    ),
    Quirk(
        "a whole completion with a call",
        json.dumps(
            {
                "choices": [
                    {
                        "message": {
                            "content": None,
                            "tool_calls": [
                                {"id": "c1", "function": {"name": "f", "arguments": "{}"}}
                            ],
                        },
                        "finish_reason": "tool_calls",
                    }
                ]
            }
        ).encode(),
        [one_call("f", "{}", "c1"), Finish("tool_calls")],
    ),
    Quirk(
        "JSON lines",
        (text("a") + STOP).replace(b"data: ", b"").replace(b"\n\n", b"\n"),
        [Text("a"), Finish("stop")],
    ),
    Quirk(
        "the message so far beside each delta, and at the end alone",
        chunk(choices=[{"delta": {"content": "a"}, "message": {"content": "a"}}])
        + chunk(choices=[{"delta": {"content": "b"}, "message": {"content": "ab"}}])
        + chunk(choices=[{"message": {"content": "abc"}, "finish_reason": "stop"}]),
        [Text("abc"), Finish("stop")],
    ),
    Quirk(
        "signs of life",
        b"data: ping\n\ndata: {}\n\ndata: null\n\n" + text("a") + STOP + b'data: "[DONE]"\n\n',
        [Text("a"), Finish("stop")],
    ),
    Quirk(
        "a list of chunks",
        b"data: [" + text("a")[6:-2] + b"," + STOP[6:-2] + b"]\n\n",
        [Text("a"), Finish("stop")],
    ),
    Quirk(
        "usage by a vendor's own name",
        text("a")
        + chunk(finish="stop", x_groq={"usage": {"prompt_tokens": 3, "completion_tokens": 5}}),
        [Text("a"), Usage(3, 5), Finish("stop")],
    ),
    Quirk(
        "usage in the choice",
        text("a")
        + chunk(
            choices=[
                {
                    "finish_reason": "stop",
                    "usage": {"prompt_tokens": 3, "completion_tokens": 5, "total_tokens": 8},
                }
            ]
        ),
        [Text("a"), Usage(3, 5), Finish("stop")],
    ),
    Quirk(
        "content an object", text({"type": "text", "text": "a"}) + STOP, [Text("a"), Finish("stop")]
    ),
    Quirk(
        "content of thinking parts",
        text([{"type": "thinking", "thinking": [{"type": "text", "text": "hm"}]}])
        + text([{"type": "reasoning", "text": "hm"}])
        + text("a")
        + STOP,
        [Text("a"), Finish("stop")],
    ),
    Quirk(
        "a reason that says that there is more to come",
        chunk({"content": "a"}, "null") + chunk({"content": "b"}, "") + STOP,
        [Text("ab"), Finish("stop")],
    ),
    # Ends that are no success
    Quirk(
        "a reason that nobody knows",
        text("a") + chunk(finish="whim"),
        [Text("a"), Truncated("whim")],
    ),
    Quirk(
        "a stream that calls itself whole, and is cut",
        chunk({"content": "a"}, object="chat.completion"),
        [Text("a"), Truncated("no finish_reason")],
    ),
    Quirk("HTML", b"<html>\n\n<p>502</p>", [ProviderError("no_answer")]),
    Quirk("comments alone", b": PROCESSING\n\n" * 3, [ProviderError("no_answer")]),
    Quirk(
        "an event that is an error",
        text("a") + b'event: error\ndata: {"message": "m", "code": 500}\n\n' + STOP,
        [Text("a"), ProviderError("500")],
    ),
    Quirk(
        "a detail in place of a chunk",
        text("a") + b'data: {"detail": "no"}\n\n' + STOP + DONE,
        [Text("a"), ProviderError("unknown")],
    ),
    Quirk(
        "an error in a choice",
        text("a") + chunk(choices=[{"delta": {}, "error": {"code": 502}}]) + STOP,
        [Text("a"), ProviderError("502")],
    ),
    Quirk(
        "an error in place of a stream",
        b'{\n"error": {"message": "m", "code": 429}\n}\n',
        [ProviderError("429")],
    ),
    Quirk("safety", text("a") + chunk(finish="SAFETY") + DONE, [Text("a"), Refused()]),
    Quirk(
        "the token limit",
        text("a") + chunk(finish="length") + DONE,
        [Text("a"), Truncated("length")],
    ),
    Quirk(
        "the token limit, and then a finish",
        text("a") + chunk(finish="length") + STOP + DONE,
        [Text("a"), Truncated("length")],
    ),
    Quirk(
        "the token limit within a call",
        call(index=0, id="c1", name="f", arguments='{"a"') + chunk(finish="length") + DONE,
        [Truncated("length")],
    ),
    Quirk("nothing", b"", [ProviderError("no_answer")]),
    Quirk("no stream at all", b'{"choices": []}', [Truncated("no finish_reason")]),
    Quirk("cut in a chunk", text("a") + STOP[:-20], [Text("a"), Truncated("no finish_reason")]),
    Quirk("a content filter", text("a") + chunk(finish="content_filter"), [Text("a"), Refused()]),
    Quirk("a refusal", chunk({"refusal": "I "}) + chunk({"refusal": "won't"}) + STOP, [Refused()]),
    Quirk(
        "an error mid-stream",
        text("a") + b'data: {"error": {"message": "my key", "code": 502}}\n\n' + text("b") + STOP,
        [Text("a"), ProviderError("502")],
    ),
    Quirk(
        "an error in place of a chunk",
        b'data: {"object": "error", "message": "no", "code": 500}\n\n' + DONE,
        [ProviderError("500")],
    ),
    Quirk("an error that is a text", b'data: {"error": "my key"}\n\n', [ProviderError("unknown")]),
    Quirk(
        "no JSON",
        text("a") + b"data: <html>\n\n" + STOP,
        [Text("a"), ProviderError("invalid_chunk")],
    ),
    Quirk(
        "a finish for an error", text("a") + chunk(finish="error"), [Text("a"), Truncated("error")]
    ),
]
ANYTHING: list[Any] = [None, {}, [], [None], [[]], [{}], "x", 7]
ODD_CHUNKS = [
    *(
        b"data: " + odd + b"\n\n"
        for odd in (b"null", b"[]", b"{}", b"[null]", b"7", b'"x"', b"ping")
    ),
    *(chunk(choices=odd) for odd in ANYTHING),
    *(chunk(choices=[{"index": 0, "delta": odd}]) for odd in ANYTHING),
    chunk({"content": 7}),
    chunk({"content": {}}),
    chunk({"content": [None, 7, []]}),
    chunk({"tool_calls": {}}),
    chunk({"tool_calls": [None, []]}),
    chunk({"function_call": []}),
    chunk(usage=[]),
    chunk(usage={"prompt_tokens": None}),
    chunk(error=None),
    chunk(error={}),
    chunk(detail=None),
    b'data: {"choices":[{"index":0,"delta":{},"logprobs":NaN}],"n":Infinity}\n\n',
    b": hello\n\n",
    b'data: {"type":"ping","message":"still here"}\n\n',
    b'data: {"status":"processing","message":"still here"}\n\n',
    b"event: message\nid: 7\nretry: 9\n\n",
    b"\n",
]
WHOLE = [quirk for quirk in QUIRKS if isinstance(quirk.events[-1], Finish)]


@pytest.mark.parametrize("quirk", QUIRKS, ids=lambda quirk: quirk.name)
def test_whole(quirk: Quirk) -> None:
    assert read([quirk.body]) == quirk.events


@pytest.mark.parametrize("quirk", QUIRKS, ids=lambda quirk: quirk.name)
def test_byte_by_byte(quirk: Quirk) -> None:
    assert read([quirk.body[i : i + 1] for i in range(len(quirk.body))]) == quirk.events


@pytest.mark.parametrize("quirk", QUIRKS, ids=lambda quirk: quirk.name)
def test_split_anywhere(quirk: Quirk) -> None:
    for cut in range(len(quirk.body)):
        assert read([quirk.body[:cut], quirk.body[cut:]]) == quirk.events


@pytest.mark.parametrize("quirk", WHOLE, ids=lambda quirk: quirk.name)
def test_cut_short_anywhere(quirk: Quirk) -> None:
    """Before a finish has come, a cut is never a success; and no part of a call gets out."""
    words = (
        b'"done":true',
        b'"finish_reason": "stop',
        b'"finish_reason": "tool',
        b'function_call"}',
        b"[DONE]",
    )
    ends = [at for word in words if (at := quirk.body.find(word)) >= 0]
    finished = min(ends, default=len(quirk.body) - 1)
    for cut in range(len(quirk.body)):
        *_, ending = events = read([quirk.body[:cut]])
        if cut <= finished:
            assert ending in (Truncated("no finish_reason"), ProviderError("no_answer"))
        if not isinstance(ending, Finish):
            assert not [event for event in events if isinstance(event, ToolCallReady)]


@given(data=st.data())
def test_the_same_events_however_it_is_cut(data: st.DataObject) -> None:
    quirk = data.draw(st.sampled_from(QUIRKS))
    cuts = data.draw(st.lists(st.integers(0, len(quirk.body)), max_size=8).map(sorted))
    pieces = [quirk.body[a:b] for a, b in zip([0, *cuts], [*cuts, len(quirk.body)], strict=True)]
    assert read(pieces) == quirk.events


@given(st.lists(st.binary(max_size=60), max_size=10))
def test_any_bytes_give_one_ending_and_no_success(pieces: list[bytes]) -> None:
    *before, ending = read(pieces)
    closed = b"DONE" in b"".join(pieces).upper()  # the one word that ends a stream by itself
    assert isinstance(ending, Truncated | ProviderError) or closed
    assert not [event for event in before if isinstance(event, Finish | ToolCallReady)]


@given(st.recursive(st.none() | st.booleans() | st.integers() | st.text(max_size=5), st.lists))
def test_chunks_of_any_json_do_no_harm(value: object) -> None:
    body = b"data: " + json.dumps({"choices": value, "usage": value}).encode() + b"\n\n"
    *_, ending = read([body])
    assert not isinstance(ending, Finish)


@given(st.text(), st.integers(1, 7))
def test_text_comes_out_as_it_went_in(words: str, size: int) -> None:
    body = text(words) + STOP
    pieces = [body[i : i + size] for i in range(0, len(body), size)]
    assert "".join(event.text for event in read(pieces) if isinstance(event, Text)) == words


@given(st.sampled_from(QUIRKS), st.sampled_from(ODD_CHUNKS), st.data())
def test_odd_chunks_fail_no_answer_that_holds_a_whole_text(
    quirk: Quirk, odd: bytes, data: st.DataObject
) -> None:
    """Wherever they stand between the others, the same is said."""
    if not quirk.body.startswith(b"data: ") or b"\r" in quirk.body:
        return
    ends = [at + 2 for at in range(len(quirk.body)) if quirk.body.startswith(b"\n\n", at)]
    at = data.draw(st.sampled_from([0, *ends]))
    assert read([quirk.body[:at], odd, quirk.body[at:]]) == quirk.events


@given(
    st.dictionaries(st.text(max_size=4), st.integers() | st.text(max_size=6), max_size=3),
    st.lists(st.integers(0, 60), max_size=6),
    st.booleans(),
)
def test_arguments_are_the_same_in_pieces_and_told_again_in_each(
    meant: dict[str, Any], cuts: list[int], named: bool
) -> None:
    whole = json.dumps(meant)
    ends = sorted({min(cut, len(whole)) for cut in cuts} - {0} | {len(whole)})
    every: dict[str, Any] = {"id": "c1", "name": "f"} if named else {}
    for begins in ([0, *ends[:-1]], [0] * len(ends)):
        told = zip(begins, ends, strict=True)
        deltas = b"".join(call(index=0, arguments=whole[a:b], **every) for a, b in told)
        *_, ready, _ = read([call(index=0, id="c1", name="f", arguments=""), deltas, TOOLS])
        assert isinstance(ready, ToolCallReady)
        assert json.loads(ready.arguments) == meant


def test_what_is_the_providers_is_kept_of_the_message_and_of_its_calls() -> None:
    answer = ChatAnswer()
    answer.feed(
        chunk({"role": "assistant", "content": None, "reasoning_content": "I "})
        + chunk({"reasoning_content": "think", "reasoning_details": [{"index": 0, "text": "x"}]})
        + call(index=0, id="c1", name="f", arguments="{}", extra_content={"google": {"s": "ab"}})
        + TOOLS
    )
    [ready, _] = answer.close()
    assert answer.kept == {
        "reasoning_content": "I think",
        "reasoning_details": [{"index": 0, "text": "x"}],
    }
    assert isinstance(ready, ToolCallReady)
    assert ready.kept == {"extra_content": {"google": {"s": "ab"}}}


@pytest.mark.parametrize(
    ("deltas", "content"),
    [
        ([{"content": None}], None),
        ([{"content": ""}, {"content": None}], ""),
        ([{"content": "a"}, {"content": "b"}], "ab"),
        ([{"content": [{"type": "text", "text": "a"}]}, {"content": "b"}], "ab"),
        (
            [{"content": "a"}, {"content": [{"type": "thinking", "thinking": "hm"}]}],
            [{"type": "text", "text": "a"}, {"type": "thinking", "thinking": "hm"}],
        ),
    ],
)
def test_content_is_kept_as_it_was(deltas: list[dict[str, Any]], content: object) -> None:
    answer = ChatAnswer()
    answer.feed(b"".join(map(chunk, deltas)) + STOP)
    answer.close()
    assert answer.kept.get("content") == content


def test_a_finish_is_known_before_the_end_of_the_stream() -> None:
    answer = ChatAnswer()
    answer.feed(text("a"))
    assert not answer.finished
    answer.feed(STOP)
    assert answer.finished
    assert not answer.over


def test_the_closing_word_counts_in_an_event_alone() -> None:
    assert read([b"[DONE]"]) == [ProviderError("no_answer")]
    assert read([text("a"), b"\n[DONE]\n"]) == [Text("a"), Truncated("no finish_reason")]
    assert read([text("a"), b"data: [DONE]"]) == [Text("a"), Finish("")]


def test_nothing_counts_after_done() -> None:
    answer = ChatAnswer()
    answer.feed(text("a") + STOP + DONE)
    assert answer.over
    assert answer.feed(text("b")) == []
    assert answer.close() == [Finish("stop")]


def test_what_was_written_is_counted_without_a_report() -> None:
    answer = ChatAnswer()
    answer.feed(text("abcd", reasoning_content="ef") + call(index=0, name="gh", arguments="{}"))
    assert answer.characters == 10


def test_a_line_without_end_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sse, "MAX_LINE_BYTES", 1000)
    answer = ChatAnswer()
    answer.feed(b"data: " + b"x" * 990)
    assert not answer.over
    answer.feed(b"x" * 990)
    assert answer.over
    assert answer.close() == [ProviderError("line_too_long")]


@pytest.mark.parametrize("count", [-1, 2**32, 10**400, 1e999, "inf", "nan", "many"])
def test_a_count_of_tokens_that_cannot_be_is_not_reported(count: object) -> None:
    report = {"prompt_tokens": count, "completion_tokens": 5}
    pieces = [text("Hi."), chunk(finish="stop", usage=report)]
    assert read(pieces) == [Text("Hi."), Finish("stop")]


def test_the_largest_count_that_can_be() -> None:
    report = {"prompt_tokens": 2**32 - 1, "completion_tokens": 0}
    assert Usage(2**32 - 1, 0) in read([chunk(finish="stop", usage=report)])


def test_half_a_character_in_a_calls_id_and_name_is_mended() -> None:
    whole = [call(index=0, id="c\ud83d", name="f\ude00", arguments="{}"), chunk(finish="stop")]
    assert read(whole) == [ToolCallReady(0, "c\ufffd", "f\ufffd", "{}"), Finish("stop")]


ODD: list[tuple[str, list[bytes], list[Event]]] = [
    (
        "counts that are strings",
        [text("Hi."), chunk(finish="stop", usage={"prompt_tokens": "3", "completion_tokens": "4"})],
        [Text("Hi."), Usage(3, 4), Finish("stop")],
    ),
    (
        "a usage that is none",
        [text("Hi."), chunk(finish="stop", usage=[])],
        [Text("Hi."), Finish("stop")],
    ),
    (
        "a refusal that is false",
        [text("Hi.", refusal=False), chunk(finish="stop")],
        [Text("Hi."), Finish("stop")],
    ),
    (
        "tool calls that are an object",
        [text("Hi.", tool_calls={}), chunk(finish="stop")],
        [Text("Hi."), Finish("stop")],
    ),
    (
        "a call that is null",
        [text("Hi.", tool_calls=[None]), chunk(finish="stop")],
        [Text("Hi."), Finish("stop")],
    ),
    (
        "a reason that is false",
        [chunk({"content": "Hi."}, False), chunk(finish="stop")],  # type: ignore[arg-type]
        [Text("Hi."), Finish("stop")],
    ),
    (
        "places that are fractions",
        [
            call(index=0.0, id=1, name="f", arguments="{"),
            call(index=0.0, arguments="}"),
            chunk(finish="stop", choices=[{"index": 0.0, "finish_reason": "stop"}]),
        ],
        [ToolCallReady(0, "1", "f", "{}"), Finish("stop")],
    ),
    (
        "an object that is no word",
        [chunk({"content": "Hi."}, "stop", object=1)],
        [Text("Hi."), Finish("stop")],
    ),
]


@pytest.mark.parametrize(("pieces", "events"), [c[1:] for c in ODD], ids=[c[0] for c in ODD])
def test_a_field_of_an_odd_type_does_not_end_the_answer(
    pieces: list[bytes], events: list[Event]
) -> None:
    assert read(pieces) == events
