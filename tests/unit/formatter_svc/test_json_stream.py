"""Prose, glue and objects, however the answer is cut."""

from __future__ import annotations

import sys
from types import FrameType
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from formatter_svc.json_object import Block, Skipped
from formatter_svc.json_stream import JsonStream
from formatter_svc.prose import MAX_HELD
from formatter_svc.texts import Text
from tests.support.answers import answers, characters, cut_answers, dumps, events, told

A = '{"type":"text","content":"A"}'
B = '{"type":"text","content":"B"}'
CHART = '{"type":"chart","n":1}'
SHOWN = {"type": "chart", "n": 1}

CASES: list[tuple[str, str, list[object]]] = [
    ("nothing", "", []),
    ("plain prose", "Hello, world.\n", ["Hello, world.\n"]),
    ("a lone brace", "sets { x } and {{ y }} and {", ["sets { x } and {{ y }} and {"]),
    ("brackets", "see [1], [ 2 ] and [", ["see [1], [ 2 ] and ["]),
    ("backticks", "`x` and ``y`` and ``` z", ["`x` and ``y`` and ``` z"]),
    ("blanks at both ends of prose", " \n hi \n ", [" \n hi \n "]),
    ("one after another", CHART + CHART, [SHOWN, SHOWN]),
    ("on lines", f"{CHART}\n\n{CHART}\n", [SHOWN, SHOWN]),
    ("separated by commas", f"{CHART} , {CHART},", [SHOWN, SHOWN]),
    ("in an array", f"[{CHART},{CHART}]", [SHOWN, SHOWN]),
    ("in an array on lines", f" [\n  {CHART},\n  {CHART}\n]\n", [SHOWN, SHOWN]),
    ("an array that ends with a comma", f"[{CHART},]", [SHOWN]),
    ("in arrays of arrays", f"[[{CHART}],[{CHART}]]", [SHOWN, SHOWN]),
    ("in a fence", f"```json\n[{CHART}]\n```", [SHOWN]),
    ("in a bare fence", f"```\n{CHART}\n{CHART}\n```\n", [SHOWN, SHOWN]),
    ("in a fence on one line", f"```json {CHART}```", [SHOWN]),
    ("in a fence that never ends", f"```json\n{CHART}\n", [SHOWN]),
    ("in a fence within prose", f"So: ```json\n{CHART}\n```\nBye", ["So:", SHOWN, "Bye"]),
    ("prose around", f"Look:\n{CHART}\nNice.", ["Look:", SHOWN, "Nice."]),
    ("prose around an array", f"Look: [{CHART}] Nice.", ["Look:", SHOWN, "Nice."]),
    ("a bracket of prose after an object", f"[a {CHART}]", ["[a", SHOWN, "]"]),
    ("a comma of prose after an object", f"{CHART}, see?", [SHOWN, ", see?"]),
    ("fenced code", "```python\nx = [1]\n```\nBye", ["```python\nx = [1]\n```\nBye"]),
    (
        "fenced code, then an object",
        f"```\nx\n```\n{CHART}\n```\ny\n```",
        ["```\nx\n```", SHOWN, "```\ny\n```"],
    ),
    ("white space in the opening", '{ \n "type": "chart" }', [{"type": "chart"}]),
    ("a byte order mark", f"\ufeff{CHART}", [SHOWN]),
    ("a byte order mark in prose", "a\ufeffb", ["a\ufeffb"]),
    ("control characters in prose", "a\x00b\x7f", ["a\x00b\x7f"]),
    ("a lone surrogate in prose", "a\ud800b", ["a\ufffdb"]),
    ("two texts", A + B, ["A\n\nB"]),
    ("two texts in an array", f"[{A},\n{B}]", ["A\n\nB"]),
    ("a text, an object, a text", A + CHART + B, ["A", SHOWN, "B"]),
    ("prose and texts", f"So: {A} and {B}", ["So:\n\nA\n\nand\n\nB"]),
    ("a text that ends with a line break", A.replace("A", "A\\n") + B, ["A\n\nB"]),
    ("a text that ends with a paragraph break", A.replace("A", "A\\n\\n") + B, ["A\n\nB"]),
    ("a text that begins with breaks", A + B.replace("B", "\\n\\nB"), ["A\n\nB"]),
    ("a text of nothing but breaks", A + B.replace("B", "\\n"), ["A"]),
    ("an empty text between", A + '{"type":"text","content":""}' + B, ["A\n\nB"]),
    ("an object cut out of a line", 'x = {"a":1} y', ['x = {"a":1} y']),
    ("a set of strings", 'the set {"a", "b"} is', ['the set {"a", "b"} is']),
    ("a broken one between", f'{A}{{"type":"chart",]}}{B}', ["A", {"type": "chart"}, "B"]),
    ("an answer that breaks off", '[{"type":"text","content":"Hel', ["Hel"]),
    ("an answer that breaks off in a chart", f'{A},{{"type":"chart', ["A", "<unclosed>"]),
    ("an answer that is an escape short", A[:-3] + "x\\u00", ["x\\u00"]),
]


@pytest.mark.parametrize(("text", "expected"), [c[1:] for c in CASES], ids=[c[0] for c in CASES])
def test_the_same_whole_and_one_character_at_a_time(text: str, expected: list[object]) -> None:
    assert told(text) == expected
    assert told(list(text)) == expected
    assert events(text) == events(list(text))


@pytest.mark.parametrize("text", [c[1] for c in CASES], ids=[c[0] for c in CASES])
def test_the_same_for_every_cut_in_two(text: str) -> None:
    whole = events(text)
    for at in range(len(text)):
        assert events([text[:at], text[at:]]) == whole


@given(cut_answers())
@settings(max_examples=200, deadline=None)
@example(
    (
        '{"type":"text","content":"\\ud83d\\ude00"}',
        ['{"type":"text","content":"\\ud83d\\u', 'de00"}'],
    )
)
def test_the_same_for_any_cut(cut: tuple[str, list[str]]) -> None:
    text, pieces = cut
    assert events(pieces) == events(text)


@given(answers)
@settings(max_examples=200, deadline=None)
def test_whatever_comes_out_is_utf8_and_never_empty(text: str) -> None:
    for event in events(list(text)):
        match event:
            case Text(chunk, gap):
                assert chunk
                assert (gap + chunk).encode()
            case Block(value=value):
                assert dumps(value)
            case Skipped():
                pass


@given(st.text(st.characters(codec="utf-8", exclude_characters="{`")))
def test_prose_without_braces_and_backticks_comes_through_as_it_is(text: str) -> None:
    assert told(list(text)) == ([text.removeprefix("\ufeff")] if text.strip("\ufeff") else [])


json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(characters),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.text(characters, max_size=5), inner, max_size=4)
    ),
    max_leaves=12,
)
objects = st.dictionaries(
    st.text(characters, max_size=8).filter(lambda key: key not in ("type", "content")),
    json_values,
    max_size=4,
).map(lambda rest: rest | {"type": "thing"})


@given(
    st.lists(objects, max_size=5),
    st.sampled_from(["", "\n", ",", " ,\n", "\r\n\r\n"]),
    st.booleans(),
)
@settings(deadline=None)
def test_every_whole_object_comes_through_as_it_was_meant(
    values: list[dict[str, Any]], between: str, in_array: bool
) -> None:
    text = between.join(map(dumps, values))
    if in_array and values:
        text = f"[{text}]"
    assert told(list(text)) == values


@given(st.text(characters), st.booleans())
def test_a_text_is_what_its_string_says(content: str, type_last: bool) -> None:
    value = {"type": "text", "content": content}
    text = dumps(dict(reversed(value.items())) if type_last else value)
    assert told(list(text)) == ([content] if content else [])


def test_text_streams_as_it_comes() -> None:
    stream = JsonStream()
    assert stream.feed('[{"type":"text","con') == []
    assert stream.feed('tent":"Hel') == [Text("Hel")]
    assert stream.feed("lo \\ud8") == [Text("lo ")]
    assert stream.feed("3d\\ude00 you") == [Text("😀 you")]
    assert stream.feed('"}]') == []


def test_prose_streams_as_it_comes() -> None:
    stream = JsonStream()
    assert stream.feed("Hello ") == [Text("Hello")]
    assert stream.feed("you {") == [Text(" you")]
    assert stream.feed("!") == [Text(" {!")]


def test_a_text_whose_type_comes_last_is_painted_once_it_is_known() -> None:
    stream = JsonStream()
    assert stream.feed('{"content":"Hello","type":') == []
    assert stream.feed('"text"') == [Text("Hello")]
    assert stream.feed("}") == []


@pytest.mark.parametrize(("before", "glue"), [("x", " "), ("x", "["), ("", "\n"), (CHART, ",")])
def test_what_waits_for_an_object_is_bounded(before: str, glue: str) -> None:
    stream = JsonStream()
    stream.feed(before)
    assert stream.feed(glue * MAX_HELD) == []
    assert stream.feed(glue) == [Text(glue * (MAX_HELD + 1))]


def work(text: str, size: int) -> int:
    """How many lines and built-in calls a text costs: a measure that no clock disturbs."""
    stream, count = JsonStream(), 0

    def trace(_frame: FrameType, _event: str, _argument: Any) -> Any:
        nonlocal count
        count += 1
        return trace

    pieces = [text[i : i + size] for i in range(0, len(text), size)]
    before = sys.gettrace()
    sys.settrace(trace)
    try:
        for piece in pieces:
            stream.feed(piece)
        stream.close()
    finally:
        sys.settrace(before)
    return count


HARD = {
    "texts": '{"type":"text","content":"Hello, \\u00e9 world\\n"}\n',
    "prose": "Hello {you} [there] `x` ```y\n",
    "braces": "{",
    "openings": '{"',
    "rows": '\n{"type":[',
    "lines in a string": '{"type":"text","content":"\n { "t\n',
    "blanks": "{" + " " * 90,
    "fences": "```json\n",
    "backticks": "`",
    "tildes": "~",
    "backticks in code": "\n```\n" + "`" * 1995,
    "charts": '{"type":"chart","data":[{"month":"Jan","sales":12.5},{"month":"Feb"}]},',
}


@pytest.mark.parametrize("unit", HARD.values(), ids=HARD)
@pytest.mark.parametrize("size", [1, 10_000])
def test_the_work_grows_with_the_text_and_no_faster(unit: str, size: int) -> None:
    text = (unit * 2000)[:2000]  # past what may be held as glue
    assert work(text * 4, size) <= 4.4 * work(text, size) + 200
