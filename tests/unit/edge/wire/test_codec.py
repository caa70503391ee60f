"""The codec beside its round trips (tests/test_schemas_v3.py): what it refuses, and that
its short cuts say the same as the descriptors."""

import json
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.wire import codec
from edge.wire.codec import UnknownType
from edge.wire.json_mapping import InvalidFrame, from_json, to_json
from switchboard.v3.blocks_pb2 import BlockType
from switchboard.v3.frames_pb2 import (
    ClientFrame,
    Domain,
    HomeRequest,
    Ping,
    Pong,
    PopupDomain,
    ServerFrame,
    StreamBlock,
    StreamStart,
    StreamText,
    ToolCall,
    ToolResult,
)
from switchboard.v3.values_pb2 import Json

text = st.text(st.characters(exclude_categories=["Cs"]))
seq = st.integers(0, 2**32 - 1)
values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(allow_nan=False) | text,
    lambda inner: st.lists(inner) | st.dictionaries(text, inner),
    max_leaves=10,
).filter(lambda value: "inf" not in repr(value).lower())
json_objects = st.dictionaries(text, values, max_size=3).map(lambda v: Json(utf8=orjson.dumps(v)))


hot = st.one_of(
    st.builds(StreamText, request_id=text, seq=seq, chunk=text),
    st.builds(StreamStart, request_id=text, seq=seq),
    st.builds(PopupDomain, request_id=text, seq=seq, domain=st.sampled_from(list(Domain.values()))),
    st.builds(
        StreamBlock,
        request_id=text,
        seq=seq,
        block_type=st.sampled_from(list(BlockType.values())),
        data=json_objects | st.none(),
    ),
    st.builds(
        ToolCall,
        request_id=text,
        seq=seq,
        call_id=text,
        name=text,
        arguments=json_objects | st.none(),
        deadline_ms=seq,
        requires_approval=st.booleans(),
        untrusted=st.none() | st.booleans(),
    ),
    st.builds(Pong, nonce=text | st.none()),
)


@given(hot)
def test_what_is_written_by_hand_is_what_the_descriptor_says(body: Any) -> None:
    (name,) = (f.name for f in ServerFrame.DESCRIPTOR.fields if f.message_type is body.DESCRIPTOR)
    text = codec.encode(ServerFrame(**{name: body}))
    assert text == orjson.dumps({"type": name, **to_json(body)})


loose = st.fixed_dictionaries(
    {},
    optional={
        "call_id": text | values,
        "nonce": text | values,
        "result": values,
        "error": values | st.fixed_dictionaries({"code": text, "message": text}),
        "rejected": values | st.fixed_dictionaries({"reason": text}),
        "extra": values,
    },
)


@given(loose)
def test_what_is_read_by_hand_is_what_the_descriptor_says(value: dict[str, Any]) -> None:
    for name, cls in (("tool_result", ToolResult), ("ping", Ping)):
        try:
            expected: Any = ClientFrame(**{name: from_json(cls.DESCRIPTOR, value)})
        except InvalidFrame as error:
            expected = str(error)
        try:
            found: Any = codec.frame_of({**value, "type": name}, ClientFrame)
        except InvalidFrame as error:
            found = str(error)
        assert found == expected


@given(st.binary() | st.text().map(lambda t: t.encode("utf-8", "surrogatepass")))
def test_no_text_is_a_crash(text: bytes) -> None:
    """It is refused, or, found by chance, a frame that says the same again."""
    try:
        frame = codec.decode(text, ClientFrame)
    except (InvalidFrame, UnknownType):
        return
    assert codec.decode(codec.encode(frame), ClientFrame) == frame


types = st.sampled_from([field.name for field in ClientFrame.DESCRIPTOR.fields])
names = st.sampled_from(
    sorted(
        {
            field.name
            for frame in ClientFrame.DESCRIPTOR.fields
            for field in (frame.message_type.fields if frame.message_type else ())
        }
    )
)


@given(types, st.dictionaries(names, values))
def test_no_object_is_a_crash(type_: str, fields: dict[str, Any]) -> None:
    try:
        frame = codec.decode(orjson.dumps({**fields, "type": type_}), ClientFrame)
    except InvalidFrame as error:
        for value in fields.values():
            assert not isinstance(value, str) or len(value) < 9 or value not in str(error)
    else:
        assert codec.decode(codec.encode(frame), ClientFrame) == frame


@pytest.mark.parametrize(
    ("value", "field"),
    [
        ({"type": "home_request"}, "message"),
        ({"type": "home_request", "message": None}, "message"),
        ({"type": "home_request", "message": 1}, "message"),
        (
            {"type": "home_request", "message": "m", "conversation_history": {}},
            "conversation_history",
        ),
        (
            {"type": "home_request", "message": "m", "conversation_history": [{"role": "system"}]},
            "conversation_history[0].role",
        ),
        (
            {"type": "home_request", "message": "m", "conversation_history": [{"role": "user"}]},
            "conversation_history[0].content",
        ),
        ({"type": "popup_request", "message": "m", "scope": {}}, "scope.type"),
        ({"type": "popup_request", "message": "m", "scope": "task"}, "scope"),
        ({"type": "device_hello", "device_id": "d", "protocol": "3"}, "protocol"),
        ({"type": "device_hello", "device_id": "d", "protocol": True}, "protocol"),
        ({"type": "device_hello", "device_id": "d", "protocol": 3.5}, "protocol"),
        ({"type": "device_hello", "device_id": "d", "protocol": 2**32}, "protocol"),
        ({"type": "device_hello", "device_id": "d", "protocol": 1e300}, "protocol"),
        ({"type": "device_hello", "device_id": "d", "features": ["a", 1]}, "features[1]"),
        ({"type": "device_hello", "device_id": "d", "tools": "all"}, "tools"),
        ({"type": "device_hello", "device_id": "d", "resume": {"requests": []}}, "resume.requests"),
        (
            {"type": "device_hello", "device_id": "d", "resume": {"requests": {"r": "1"}}},
            "resume.requests.*",
        ),
        ({"type": "tool_result", "call_id": "c"}, "result|error|rejected"),
        (
            {"type": "tool_result", "call_id": "c", "result": 1, "rejected": {}},
            "result|error|rejected",
        ),
        ({"type": "data_response", "query_id": "q", "items": {}}, "items"),
        ({"type": "data_response", "query_id": "q", "items": [1]}, "items"),
        ({"type": "data_response", "query_id": "q", "items": None}, "items|error"),
        (
            {"type": "mutation", "mutation_id": "m", "op": "CREATE", "entity": "task", "id": "i"},
            "op",
        ),
        (
            {"type": "mutation", "mutation_id": "m", "op": "unspecified", "entity": "task"},
            "op",
        ),
        (
            {
                "type": "mutation",
                "mutation_id": "m",
                "op": "create",
                "entity": "task",
                "id": "i",
                "data": [],
            },
            "data",
        ),
    ],
)
def test_a_bad_field_is_named(value: dict[str, Any], field: str) -> None:
    with pytest.raises(InvalidFrame) as refused:
        codec.decode(json.dumps(value), ClientFrame)
    assert refused.value.field == field


@pytest.mark.parametrize(
    "text",
    [
        '{"type":"ping","nonce":NaN}',
        '{"type":"ping","nonce":1e999}',
        '{"type":"ping","a":{"b":1,"b":1}}',
        '{"type":"ping","a":' + "[" * 2000 + "]" * 2000 + "}",
        '{"type":"tool_result","call_id":"c","result":' + "[" * 500 + "]" * 500 + "}",
        '\ufeff{"type":"ping"}',
    ],
)
def test_odd_json_is_refused(text: str) -> None:
    for form in (text, text.encode()):
        with pytest.raises(InvalidFrame):
            codec.decode(form, ClientFrame)


def test_null_is_absent_but_for_a_result() -> None:
    null = '{"type":"ping","nonce":null}'
    assert codec.decode(null, ClientFrame) == ClientFrame(ping=Ping())
    null = '{"type":"tool_result","call_id":"c","result":null,"error":null}'
    assert codec.decode(null, ClientFrame).tool_result.result.utf8 == b"null"


def test_unknown_fields_are_left_alone() -> None:
    frame = codec.decode('{"type":"home_request","message":"m","mood":{"x":1}}', ClientFrame)
    assert frame == ClientFrame(home_request=HomeRequest(message="m"))


def test_numbers_that_are_whole_are_whole() -> None:
    frame = codec.decode('{"type":"device_hello","device_id":"d","protocol":3.0}', ClientFrame)
    assert frame.device_hello.protocol == 3


def test_what_is_spliced_in_stands_as_it_came() -> None:
    data = Json(utf8=b'{"z":1.0,"a":[1e3, "\xc3\xa4"]}')
    text = codec.encode(ServerFrame(stream_block=StreamBlock(data=data)))
    assert data.utf8 in text


def test_a_number_without_a_word_is_printed_as_it_is() -> None:
    frame = ServerFrame()
    frame.popup_domain.domain = 99  # type: ignore[assignment]
    assert json.loads(codec.encode(frame))["domain"] == 99


def test_a_frame_that_holds_nothing_is_our_fault() -> None:
    with pytest.raises(ValueError, match="nothing"):
        codec.encode(ServerFrame())


@given(st.text(st.characters()), st.booleans())
def test_half_a_pair_of_surrogates_counts_as_the_replacement_character(
    nonce: str, escaped: bool
) -> None:
    whole = nonce.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    text = json.dumps({"type": "ping", "nonce": nonce}, ensure_ascii=escaped)
    for form in (text, text.encode("utf-8", "surrogatepass")):
        assert codec.decode(form, ClientFrame).ping.nonce == whole


@pytest.mark.parametrize(
    ("written", "read"),
    [
        (r"\ud800", "\ufffd"),
        (r"\uDFFF\uD83D", "\ufffd\ufffd"),
        (r"\ud83d\ude00", "😀"),
        (r"\ud83d\ud83d\ude00", "\ufffd😀"),
        (r"\\\ud800", "\\\ufffd"),
        (r"\\ud800 \udc00", "\\ud800 \ufffd"),  # the first is a backslash and five letters
    ],
)
def test_escapes_of_half_pairs(written: str, read: str) -> None:
    assert codec.parse(f'{{"k{written}":["{written}"]}}') == {f"k{read}": [read]}


def test_bytes_that_are_no_utf_8_stay_refused_beside_a_half_pair() -> None:
    with pytest.raises(InvalidFrame):
        codec.parse(b'{"a":"\\ud800","b":"\xff"}')


RESULT = {"type": "tool_result", "call_id": "c-1", "request_id": "r-1"}


@pytest.mark.parametrize(
    "text",
    [
        '{"type":"tool_result","call_id":"c-1","result":NaN}',
        '{"type":"tool_result","call_id":"c-1","result":{"call_id":"inner","a":[1,',
        '{"type":"tool_result","result":{"call_id":"inner","x":NaN},"call_id" : "c-1"}',
        '{"type":"tool_result","call_id":"c-1","result":1e999,"x":{"call_id":"inner"}}',
        '{"type":"tool_result","result":"a \\" {[ ","x":-Infinity,"call_id":"c-1"}',
        '{"type":"tool_result","call_id":"c-1","call_id":"c-1"}',
        '{"type":"tool_result","call_id":"c-1","result":' + "[" * 3000 + "]" * 3000 + "}",
        '{"type":"tool_result","call_id":"c-1","result":"no end \\',
        '[{"type":"tool_result","call_id":"c-1"',
    ],
)
def test_whose_frame_it_was_is_read_from_what_is_no_json(text: str) -> None:
    named = {} if text.startswith("[") else {"type": "tool_result", "call_id": "c-1"}
    for form in (text, text.encode()):
        found = codec.names(form)
        assert {name: found[name] for name in ("type", "call_id") if name in found} == named


@given(values, st.integers(0, 200))
def test_whose_frame_it_was_is_read_from_a_text_without_its_end(value: Any, cut: int) -> None:
    text = json.dumps({**RESULT, "result": value})
    head = len(json.dumps(RESULT))
    assert RESULT.items() <= codec.names(text[: max(head, len(text) - cut)]).items()


LONG = "x" * 300_000


@pytest.mark.parametrize(
    ("before", "long", "after"),
    [
        ('{"type":"home_request","request_id":"r-1","message":"', LONG, '"}'),
        ('{"type":"home_request","message":"', LONG, '","request_id":"r-1"}'),
        ('{"message":"', LONG, '","n":1,"type":"home_request", "request_id" : "r-1" } '),
        ('{"type":"home_request","request_id":"r-1","message":"', LONG, ""),
        ('{"type":"home_request","a":[', r'"a\"b",' * 90_000, '1],"request_id":"r-1"}'),
    ],
)
def test_of_a_large_text_the_head_and_the_end_tell_whose_it_was(
    before: str, long: str, after: str
) -> None:
    for form in (before + long + after, (before + long + after).encode()):
        found = codec.names(form)
        assert (found["type"], found["request_id"]) == ("home_request", "r-1")


def test_what_stands_last_inside_another_object_names_no_frame() -> None:
    text = '{"type":"mutation","id":"' + LONG + '","data":{"a":1,"request_id":"inner"}}'
    assert "request_id" not in codec.names(text)


def test_a_text_of_quotes_alone_is_read_once() -> None:
    found = codec.names('{"a":"' + '\\"' * 500_000)
    assert found.keys() == {"a"}
    assert set(found["a"]) <= {"\\", '"'}


def how_many(value: Any) -> int:
    """How many values there are, itself among them."""
    inside = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return 1 + sum(map(how_many, inside))


@given(
    st.dictionaries(
        st.text('a[{,\\"'),
        st.recursive(
            st.text('[]{},\\"') | st.integers(0, 9),
            lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
        ),
    ),
    st.integers(1, 30),
)
def test_no_more_values_are_parsed_than_may_be(found: dict[str, Any], most: int) -> None:
    text = orjson.dumps(found)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(codec, "MAX_VALUES", most)
        if how_many(found) > most:
            with pytest.raises(InvalidFrame, match=f"more than {most} values"):
                codec.parse(text)
        else:
            assert codec.parse(text) == found


def test_brackets_and_commas_in_strings_are_no_values() -> None:
    text = orjson.dumps({"a": '[{,"\\' * 100_000})
    assert codec.parse(text) == {"a": '[{,"\\' * 100_000}
