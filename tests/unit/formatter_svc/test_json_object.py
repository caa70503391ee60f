"""One object: what is JSON, where a broken one ends, and what it may cost."""

from __future__ import annotations

import json

import pytest

from formatter_svc.json_object import MAX_BYTES, MAX_DEPTH, Block, Skipped
from formatter_svc.reasons import Reason
from tests.support.answers import dumps, events, told

AFTER = '{"type":"text","content":"after"}'

WHOLE: list[tuple[str, str, object]] = [
    ("an escaped key", '{"\\u0074ype":"thing"}', {"type": "thing"}),
    ("a type within the data", '{"type":"thing","a":{"type":"text"}}', None),
    ("rows that start lines", '{"type":"thing","rows":[\n{"type":1},\n{"type":"text"}]}', None),
    ("rows that start with type", '{"type":"thing","a":[\n{"type":1},\n{"type":"text"}]}', None),
    ("a line that starts like a block", '{"type":"thing","a":[{"b":1},\n{"type":"bug"}]}', None),
    ("one that nearly does", '{"type":"thing","a":[{"b":1},\n{"type":"text_"}]}', None),
    ("a block within a string", '{"type":"thing","a":"{\\"type\\":\\"text\\"}"}', None),
    ("every escape", r'{"type":"thing","a":"\"\\\/\b\f\n\r\t\u00e9\ud83d\ude00"}', None),
    ("every scalar", '{"type":"thing","a":[0,-0,1.5,-2e-3,1E+2,true,false,null]}', None),
    ("empty containers", '{"type":"thing","a":{},"b":[],"c":[[],{}]}', None),
    ("white space everywhere", '{ "type"\t:\n"thing" ,\r\n"a" : [ 1 , { } ] }', None),
    (
        "a raw line break",
        '{"type":"thing","a":"x\ny\r\nz\tw"}',
        {"type": "thing", "a": "x\ny\r\nz\tw"},
    ),
    ("half a pair", '{"type":"thing","a":"x\\ud83dy"}', {"type": "thing", "a": "x\ufffdy"}),
    (
        "the other half",
        '{"type":"thing","a":"\\ude00\\ud83d"}',
        {"type": "thing", "a": "\ufffd\ufffd"},
    ),
    ("a key twice in the data", '{"type":"thing","a":1,"a":2}', {"type": "thing", "a": 2}),
    ("an integer beyond 64 bits", '{"type":"thing","a":1e2,"b":36893488147419103232}', None),
    ("a line separator", '{"type":"thing","a":"\u2028"}', None),
    (
        "a type that is no string before one that is nested",
        '{"type":"thing","type2":{"type":1}}',
        None,
    ),
]


@pytest.mark.parametrize(("text", "value"), [c[1:] for c in WHOLE], ids=[c[0] for c in WHOLE])
def test_whole_objects(text: str, value: object) -> None:
    expected = json.loads(text) if value is None else value
    assert told(text + AFTER) == [expected, "after"]
    assert told(list(text + AFTER)) == [expected, "after"]


BROKEN: list[tuple[str, str, Reason]] = [
    ("a missing value", '{"type":"thing","a":}', Reason.MALFORMED),
    ("a missing comma", '{"type":"thing" "a":1}', Reason.MALFORMED),
    ("a missing colon", '{"type" "thing"}', Reason.MALFORMED),
    ("a trailing comma", '{"type":"thing",}', Reason.MALFORMED),
    ("a trailing comma in an array", '{"type":"thing","a":[1,]}', Reason.MALFORMED),
    ("a bare key", '{"type":"thing",a:1}', Reason.MALFORMED),
    ("a bare word", '{"type":"thing","a":None}', Reason.MALFORMED),
    ("single quotes", "{\"type\":'thing'}", Reason.MALFORMED),
    ("NaN", '{"type":"thing","a":NaN}', Reason.MALFORMED),
    ("Infinity", '{"type":"thing","a":-Infinity}', Reason.MALFORMED),
    ("a number beyond all doubles", '{"type":"thing","a":1e999}', Reason.MALFORMED),
    ("a leading zero", '{"type":"thing","a":01}', Reason.MALFORMED),
    ("a comment", '{"type":"thing" /* so */}', Reason.MALFORMED),
    ("the wrong bracket", '{"type":"thing","a":[1}', Reason.MALFORMED),
    ("an unknown escape", '{"type":"thing","a":"\\x"}', Reason.MALFORMED),
    ("a control character", '{"type":"thing","a":"\x01"}', Reason.MALFORMED),
    ("NUL", '{"type":"thing","a":"\x00"}', Reason.MALFORMED),
    ("quotes within a string", '{"type":"thing","a":"say "hi" twice"}', Reason.MALFORMED),
    ("braces in a string after the break", '{"type":"thing",,"a":"}{{\\"}"}', Reason.MALFORMED),
    ("objects after the break", '{"type":"thing",,"a":{"b":{}}}', Reason.MALFORMED),
    ("type twice", '{"type":"thing","type":"thing"}', Reason.DUPLICATE_KEY),
    ("type twice, once escaped", '{"type":"thing","typ\\u0065":"text"}', Reason.DUPLICATE_KEY),
    ("no type", '{"a":{"type":"text"}}', Reason.NO_TYPE),
    ("a type that is null", '{"type":null,"content":"x"}', Reason.NO_TYPE),
    ("a type that is an object", '{"type":{"type":"text"},"content":"x"}', Reason.NO_TYPE),
    ("a text without content", '{"type":"text"}', Reason.BAD_TEXT),
    ("a text whose content is null", '{"type":"text","content":null}', Reason.BAD_TEXT),
    ("a text whose content is a list", '{"type":"text","content":["x"]}', Reason.BAD_TEXT),
]


@pytest.mark.parametrize(("text", "reason"), [c[1:] for c in BROKEN], ids=[c[0] for c in BROKEN])
def test_a_broken_object_is_skipped_up_to_its_brace(text: str, reason: Reason) -> None:
    for pieces in ([text + AFTER], list(text + AFTER)):
        assert told(pieces) == [f"<{reason.value}>", "after"]


UNCLOSED = [
    '{"type":"thing","a":[{"b":1}]',
    '{"type":"thing","a":[1,2',
    '{"type":"thing","a":"x',
    '{"type":"thing","a":"x\\n',
    '{"type":"thing","a":tru',
    '{"type":"thing","a":{{{',
    '{"type":"thing","a" "b',
    '{"type":"thing","a":"odd " quote"}',
    '{"type":"thing",',
    '{"type":"thing","a":',
    '{"type":"thing","a":["x",',
    '{"type":"thing","a":[{"b":1},',
    '{"type":"thing","a":[\n{"b":1},\n{"b":2},',
]


@pytest.mark.parametrize("text", UNCLOSED)
@pytest.mark.parametrize("line", ["\n", "\r\n", "\n  ", "\r\t"])
def test_an_unclosed_object_ends_where_a_line_starts_with_a_type(text: str, line: str) -> None:
    for pieces in ([text + line + AFTER], list(text + line + AFTER)):
        first, *rest = told(pieces)
        assert str(first).startswith("<")
        assert rest == ["after"]


def test_a_list_that_was_only_opened_swallows_no_block() -> None:
    text = '{"type":"chart","data":[\n' + AFTER + "\n"
    assert told(text) == ["<unclosed>", "after"]
    assert told(list(text)) == ["<unclosed>", "after"]


def test_only_the_start_of_a_line_ends_it() -> None:
    assert told('{"type":"thing",,"a":[ ' + AFTER) == ["<malformed>"]
    assert told('{"type":"thing",,\n{"kind":1}}' + AFTER) == ["<malformed>", "after"]


def test_painted_text_stands_and_is_said_once() -> None:
    text = '{"type":"text","content":"He said "hi" twice"}' + AFTER
    assert told(text) == ["He said ", "<malformed>", "after"]
    text = '{"type":"text","content":"one","content":"two"}' + AFTER
    assert told(text) == ["one", "<duplicate_key>", "after"]
    text = '{"content":"one","content":"two","type":"text"}' + AFTER
    assert told(text) == ["<duplicate_key>", "after"]
    assert told('{"type":"text","content":"one\n' + AFTER) == ["one\n", "<unclosed>", "after"]


def test_what_came_before_an_unknown_type_is_not_painted() -> None:
    assert told('{"content":"secret","type":"thing"}') == [{"content": "secret", "type": "thing"}]


def sized(size: int, letter: str = "x") -> str:
    frame = '{"type":"thing","a":""}'
    room = size - len(frame)
    return frame.replace('""', f'"{letter * (room // len(letter.encode()))}"')


def test_the_largest_object() -> None:
    [found] = events(sized(MAX_BYTES))
    assert isinstance(found, Block)
    assert found.size == MAX_BYTES


@pytest.mark.parametrize("size", [1, 1000, 10**9])
def test_one_byte_more_is_too_large(size: int) -> None:
    text = sized(MAX_BYTES + 1) + AFTER
    pieces = [text[i : i + size] for i in range(0, len(text), size)]
    skipped, after = events(pieces)
    assert skipped == Skipped(Reason.TOO_LARGE, "thing", MAX_BYTES + 1)
    assert told(AFTER) == ["after"]
    assert getattr(after, "chunk", None) == "after"


def test_size_is_in_bytes_and_a_text_is_painted_up_to_it() -> None:
    before = '{"type":"text","content":"'
    text = before + "é" * MAX_BYTES + '"}'
    for size in (1_000, 7_777, 10**9):
        painted, reason = told([text[i : i + size] for i in range(0, len(text), size)])
        assert reason == "<too_large>"
        assert painted == "é" * ((MAX_BYTES - len(before)) // 2)


def nested(depth: int) -> str:
    inner = "[" * (depth - 1) + "]" * (depth - 1)
    return f'{{"type":"thing","a":{inner}}}'


def test_depth() -> None:
    assert told(nested(MAX_DEPTH) + AFTER)[1:] == ["after"]
    assert told(nested(MAX_DEPTH + 1) + AFTER) == ["<too_deep>", "after"]
    assert told(nested(100_000) + AFTER) == ["<too_deep>", "after"]
    assert told('{"a":' * 100_000 + "1" + "}" * 100_000 + AFTER) == ["<too_deep>", "after"]


def test_a_value_is_parsed_as_others_do() -> None:
    value = {"type": "thing", "a": ["\x7f", "\u2029", "\\", '"', {"é": -0.0}]}
    assert told(dumps(value)) == [value]
