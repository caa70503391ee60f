"""One object: what is JSON, where a broken one ends, and what it may cost."""

from __future__ import annotations

import json

import pytest

from formatter_svc.json_object import Block, Skipped
from formatter_svc.reader import MAX_BYTES, MAX_DEPTH
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


MENDED: list[tuple[str, str, object]] = [
    ("a missing value", '{"type":"thing","a":}', {"a": None}),
    ("a missing value before another", '{"type":"thing","a":,"b":1}', {"a": None, "b": 1}),
    ("a missing comma", '{"type":"thing" "a":1}', {"a": 1}),
    ("a missing comma between numbers", '{"type":"thing","a":1 "b":2}', {"a": 1, "b": 2}),
    ("missing commas in a list", '{"type":"thing","a":["x" "y" [2] 3]}', {"a": ["x", "y", [2], 3]}),
    ("a missing colon", '{"type":"thing","a" 1}', {"a": 1}),
    ("a missing colon after type", '{"type" "thing","a":1}', {"a": 1}),
    ("a trailing comma", '{"type":"thing","a":1,}', {"a": 1}),
    ("a trailing comma in an array", '{"type":"thing","a":[1,]}', {"a": [1]}),
    ("commas of no use", '{"type":"thing",,"a":[,1,,2]}', {"a": [1, 2]}),
    ("a semicolon for a comma", '{"type":"thing";"a":1}', {"a": 1}),
    ("a bare key", '{"type":"thing",a:1, b_2 : 2}', {"a": 1, "b_2": 2}),
    ("bare keys alone", '{type:"thing",größe:1}', {"größe": 1}),
    ("a number as key", '{"type":"thing",1:2}', {"1": 2}),
    ("Python's words", '{"type":"thing","a":[True,False,None]}', {"a": [True, False, None]}),
    ("words of others", '{"type":"thing","a":[TRUE,undefined,Null]}', {"a": [True, None, None]}),
    ("single quotes", "{'type':'thing','a':'it\"s'}", {"a": 'it"s'}),
    (
        "an apostrophe in single quotes",
        "{'type':'thing','a':'it's so','b':1}",
        {"a": "it's so", "b": 1},
    ),
    ("typographic quotes", "{“type”: “thing”, “a”: “x “y” z”}", {"a": "x “y” z"}),
    ("low and high quotes", "{„type“: „thing“, „a“: „x“}", {"a": "x"}),
    ("NaN", '{"type":"thing","a":NaN}', {"a": None}),
    ("Infinity", '{"type":"thing","a":[-Infinity,Infinity]}', {"a": [None, None]}),
    ("a number beyond all doubles", '{"type":"thing","a":1e999}', {"a": None}),
    ("a code with zeros", '{"type":"thing","a":007}', {"a": "007"}),
    (
        "a grouped number",
        '{"type":"thing","a":1,200,"b":12,345,678.5}',
        {"a": 1200, "b": 12345678.5},
    ),
    ("numbers in a list are two", '{"type":"thing","a":[1,200]}', {"a": [1, 200]}),
    ("an underscore in a number", '{"type":"thing","a":1_000}', {"a": 1000}),
    ("numbers that JSON has not", '{"type":"thing","a":[+1,.5,2.,0x10]}', {"a": [1, 0.5, 2.0, 16]}),
    ("a sum", '{"type":"thing","a":3+4,"b":(2 + 4) / 4}', {"a": 7, "b": 1.5}),
    ("a sum that has no value", '{"type":"thing","a":1/0}', {"a": "1/0"}),
    ("a day is no sum", '{"type":"thing","a":2026-12-01}', {"a": "2026-12-01"}),
    ("a bare word", '{"type":"thing","a":In progress}', {"a": "In progress"}),
    ("bare words with units", '{"type":"thing","a":45%,"b":$300}', {"a": "45%", "b": "$300"}),
    ("bare words with commas", '{"type":"thing","a":Ann, Bob,"b":1}', {"a": "Ann, Bob", "b": 1}),
    ("a lost opening quote", '{"type":"thing","a":x", "b":[y","z"]}', {"a": "x", "b": ["y", "z"]}),
    ("a comment", '{"type":"thing" /* so { } */,"a":1}', {"a": 1}),
    ("a comment to the line's end", '{"type":"thing", // "b": 2\n"a":1 // so\n}', {"a": 1}),
    ("Python's comment", '{"type":"thing", # b\n"a":1}', {"a": 1}),
    ("three dots among rows", '{"type":"thing","a":[1, ...]}', {"a": [1]}),
    ("three dots among members", '{"type":"thing","a":1, ...}', {"a": 1}),
    ("three dots for a value", '{"type":"thing","a":...,"b":…}', {"a": None, "b": None}),
    ("a bracket for a brace", '{"type":"thing","a":[1}', {"a": [1]}),
    ("a bracket and a brace swapped", '{"type":"thing","a":[{"b":[1]]}}', {"a": [{"b": [1]}]}),
    ("a list closed by a brace", '{"type":"thing","a":[1},"b":2}', {"a": [1], "b": 2}),
    ("a closer too many within", '{"type":"thing","a":[1]],"b":2}', {"a": [1], "b": 2}),
    ("rows that a brace closes", '{"type":"thing","a":[[1},[2}],"b":2}', {"a": [[1], [2]], "b": 2}),
    (
        "a list that no bracket closes",
        '{"type":"thing","a":["x","y","b":[1]}',
        {"a": ["x", "y"], "b": [1]},
    ),
    ("an unknown escape", r'{"type":"thing","a":"\x\(\pi\_"}', {"a": r"\x\(\pi\_"}),
    ("an escaped apostrophe", r'{"type":"thing","a":"it\'s"}', {"a": "it's"}),
    ("half an escape", r'{"type":"thing","a":"\u12"}', {"a": r"\u12"}),
    ("control characters", '{"type":"thing","a":"\x01\x00"}', {"a": "\x01\x00"}),
    ("quotes within a string", '{"type":"thing","a":"say "hi" twice"}', {"a": 'say "hi" twice'}),
    ("quotes in a list", '{"type":"thing","a":[["say "hi""]]}', {"a": [['say "hi"']]}),
    ("braces in a string", '{"type":"thing",,"a":"}{{\\"}"}', {"a": '}{{"}'}),
    ("words between members", '{"type":"thing", COMMENT "a":1}', {"a": 1}),
    ("an object without a key", '{"type":"thing","a":1,{"b":2}}', {"a": 1, "": {"b": 2}}),
]


@pytest.mark.parametrize(("text", "value"), [c[1:] for c in MENDED], ids=[c[0] for c in MENDED])
def test_slips_are_mended(text: str, value: dict[str, object]) -> None:
    for pieces in ([text + AFTER], list(text + AFTER)):
        assert told(pieces) == [{"type": "thing"} | value, "after"]


SKIPPED: list[tuple[str, str, Reason]] = [
    ("type twice, once escaped", '{"type":"thing","typ\\u0065":"text"}', Reason.DUPLICATE_KEY),
    ("a text without content", '{"type":"text"}', Reason.BAD_TEXT),
    ("a text whose content is null", '{"type":"text","content":null}', Reason.BAD_TEXT),
]


@pytest.mark.parametrize(("text", "reason"), [c[1:] for c in SKIPPED], ids=[c[0] for c in SKIPPED])
def test_what_says_nothing_is_skipped(text: str, reason: Reason) -> None:
    for pieces in ([text + AFTER], list(text + AFTER)):
        assert told(pieces) == [f"<{reason.value}>", "after"]


AS_WRITTEN = [
    '{"a":{"type":"text"}}',
    '{"type":null,"content":"x"}',
    '{"type":{"type":"text"},"content":"x"}',
    '{"type":"object","properties":{"content":{"type":"text"}}}',
    '{"id":1,"content":"x"}',
    '{"value":5}',
    '{"answer":"x"}',
    '{"a", "b"}',
    "{ color: red; background: blue }",
]


@pytest.mark.parametrize("text", AS_WRITTEN)
def test_an_object_that_is_no_block_is_text_as_it_is_written(text: str) -> None:
    assert told(text) == [text]
    assert told(list(f"Set {text} there.")) == [f"Set {text} there."]


CUT_OFF = [
    '{"type":"thing","a":"x',
    '{"type":"thing","a":"x\\n',
    '{"type":"thing","a":{{{',
    '{"type":"thing","a":',
    '{"type":"thing","a":["x",',
    '{"type":"thing","a":[{"b":1},',
    '{"type":"thing","a":[\n{"b":1},\n{"b":2},',
]
LINES = ["\n", "\r\n", "\n  ", "\r\t"]


@pytest.mark.parametrize("text", CUT_OFF)
@pytest.mark.parametrize("line", LINES)
def test_an_unfinished_object_ends_where_a_line_starts_with_a_block(text: str, line: str) -> None:
    for pieces in ([text + line + AFTER], list(text + line + AFTER)):
        assert told(pieces) == ["<unclosed>", "after"]
    assert told(text) == ["<unclosed>"]


LEFT_OPEN: list[tuple[str, dict[str, object]]] = [
    ('{"type":"thing","a":[{"b":1}]', {"a": [{"b": 1}]}),
    ('{"type":"thing","a":[{"b":1}', {"a": [{"b": 1}]}),
    ('{"type":"thing","a":[["x"]', {"a": [["x"]]}),
    ('{"type":"thing","a":{"b":"x"', {"a": {"b": "x"}}),
    ('{"type":"thing","a":1,', {"a": 1}),
]


@pytest.mark.parametrize(("text", "value"), LEFT_OPEN)
@pytest.mark.parametrize("line", [*LINES, "\n```\n", ""])
def test_where_nothing_but_closers_is_missing_they_are_set(
    text: str, value: dict[str, object], line: str
) -> None:
    for pieces in ([text + line + AFTER], list(text + line + AFTER)):
        assert told(pieces) == [{"type": "thing"} | value, "after"]
    assert told(text) == [{"type": "thing"} | value]


def test_a_list_that_was_only_opened_swallows_no_block() -> None:
    text = '{"type":"chart","data":[\n' + AFTER + "\n"
    assert told(text) == ["<unclosed>", "after"]
    assert told(list(text)) == ["<unclosed>", "after"]


PAINTED: list[tuple[str, str, str]] = [
    ("a quote of its own", '"He said "hi" twice"', 'He said "hi" twice'),
    ("a quote at the end", '"He said "hi""', 'He said "hi"'),
    ("a quote at the start", '""Hi" is all"', '"Hi" is all'),
    ("quotes with commas", '"Say "yes", "no", or "later"."', 'Say "yes", "no", or "later".'),
    ("a quote before a colon", '"Both "a": one and "b": two."', 'Both "a": one and "b": two.'),
    (
        "an object of its own",
        '"Send `{"name":"Ann","age":3}` there."',
        'Send `{"name":"Ann","age":3}` there.',
    ),
    ("a list of its own", '"Use ["a", "b"] here."', 'Use ["a", "b"] here.'),
    ("a template of its own", '"Write f"{name}" now."', 'Write f"{name}" now.'),
    ("an unknown escape", r'"\_so\_ and \(\pi\)"', r"\_so\_ and \(\pi\)"),
    ("a path", r'"In C:\Users\ann\notes\today."', r"In C:\Users\ann\notes\today."),
    (
        "paths on drives",
        r'"On D:\temp\notes or c:\backup\raw."',
        r"On D:\temp\notes or c:\backup\raw.",
    ),
    ("a list behind a letter", r'"Plan B:\n- go\nPlan C:\nrest"', "Plan B:\n- go\nPlan C:\nrest"),
    ("tabs behind words", r'"Due:\tnow, Q:\tWhat, 3:\tx"', "Due:\tnow, Q:\tWhat, 3:\tx"),
    ("a line break after a path", r'"In C:\\Users\nNext"', "In C:\\Users\nNext"),
    (
        "LaTeX",
        r'"\(\alpha \times \beta\) is \frac{1}{2}."',
        r"\(\alpha \times \beta\) is \frac{1}{2}.",
    ),
    (
        "LaTeX in braces",
        r'"\bar{x} \text{if} \begin{cases} x \to 0 \end{cases}"',
        r"\bar{x} \text{if} \begin{cases} x \to 0 \end{cases}",
    ),
    ("half an escape", r'"x\u00"', r"x\u00"),
    ("raw line breaks and tabs", '"a\n\n\tb"', "a\n\n\tb"),
    ("a control character", '"a\x01b"', "a\x01b"),
    ("a list", '["a","b"]', "a\n\nb"),
    ("a list of texts", '[{"type":"text","text":"a"},{"text":"b"},"c"]', "a\n\nb\n\nc"),
    ("a text", '{"type":"text","content":"a"}', "a"),
    ("a number", "42", "42"),
    ("an answer in a string", r'"{\"type\":\"text\",\"content\":\"a\"}"', "a"),
    ("an example in a string", r'"Send {\"type\":\"text\"} there"', 'Send {"type":"text"} there'),
    (
        "a block within a fence",
        '"So:\n```json\n{"type":"text","content":"x"}\n```\nand on."',
        'So:\n```json\n{"type":"text","content":"x"}\n```\nand on.',
    ),
    ("an escaped brace", r'"a \" { b"', 'a " { b'),
]


@pytest.mark.parametrize(("value", "shown"), [c[1:] for c in PAINTED], ids=[c[0] for c in PAINTED])
@pytest.mark.parametrize(
    "form", ['{{"type":"text","content":{}}}', '{{"content":{},"type":"text"}}']
)
def test_all_that_a_text_says_is_painted(form: str, value: str, shown: str) -> None:
    text = form.format(value) + "\n" + AFTER
    assert told(text) == told(list(text)) == [f"{shown}\n\nafter"]


@pytest.mark.parametrize("value", ["Hello, you.", 'Hello, you."', '"Hello, you.'])
def test_a_text_with_a_quote_too_few(value: str) -> None:
    text = f'{{"type":"text","content":{value}}}\n{AFTER}'
    assert told(text) == told(list(text)) == ["Hello, you.\n\nafter"]


def test_a_text_is_said_under_whatever_key_it_stands() -> None:
    assert told('{"type":"text","text":"one","content":"two"}') == ["one\n\ntwo"]
    assert told('{"type":"text","content":"one","content":"two"}') == ["one\n\ntwo"]
    assert told('{"content":"one","content":"two","type":"text"}') == ["one\n\ntwo"]
    assert told('{"type":"text","id":"t1","message":"one"}') == ["one"]
    assert told('{"type":"Paragraph","Value":"one"}') == ["one"]


def test_a_text_that_never_closes_loses_nothing() -> None:
    assert told('{"type":"text","content":"one\n' + AFTER) == ["one\n\nafter"]
    assert told('{"type":"text","content":"one.}\n' + AFTER) == ["one.\n\nafter"]
    assert told('{"type":"text","content":"one\\') == ["one\\"]
    said = told('{"type":"text","content":"one\n' + AFTER + '\nand two."}\n' + AFTER)
    assert said == ["one\n\nafter\n\nand two.\n\nafter"]


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


@pytest.mark.parametrize("size", [1_000, 7_777, 10**9])
def test_a_text_has_no_bound(size: int) -> None:
    said = "é and more. " * (MAX_BYTES // 4)
    for text in (f'{{"type":"text","content":"{said}"}}', f'{{"content":"{said}","type":"text"}}'):
        whole = text + AFTER
        assert told([whole[i : i + size] for i in range(0, len(whole), size)]) == [
            f"{said}\n\nafter"
        ]


def test_an_object_that_never_says_what_it_is_is_text() -> None:
    text = '{"a":[' + '"x",' * MAX_BYTES + '"x"],"type":"thing"}'
    for pieces in ([text], [text[i : i + 1_001] for i in range(0, len(text), 1_001)]):
        assert told(pieces) == [text]


def nested(depth: int) -> str:
    inner = "[" * (depth - 1) + "]" * (depth - 1)
    return f'{{"type":"thing","a":{inner}}}'


def test_depth() -> None:
    assert told(nested(MAX_DEPTH) + AFTER)[1:] == ["after"]
    assert told(nested(MAX_DEPTH + 1) + AFTER) == ["<too_deep>", "after"]
    assert told(nested(100_000) + AFTER) == ["<too_deep>", "after"]
    deep = '{"a":' * 100_000 + "1" + "}" * 100_000
    assert told(deep + AFTER) == [deep + "\n\nafter"]


def test_a_value_is_parsed_as_others_do() -> None:
    value = {"type": "thing", "a": ["\x7f", "\u2029", "\\", '"', {"é": -0.0}]}
    assert told(dumps(value)) == [value]
