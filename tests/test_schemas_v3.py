"""Acceptance: each frame of the contract goes through JSON and back unchanged, in the
form that the protocol page shows, and nothing of it is dropped."""

import json
from typing import Any

import orjson
import pytest
from google.protobuf import json_format
from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass

from edge.wire import codec
from switchboard.v3.frames_pb2 import ClientFrame, ServerFrame

JSON_VALUE = {"id": "t1", "title": "Ünïcode", "n": [1, 2.5, None, True]}
# Where the contract asks for another kind of JSON than an object.
OTHER_JSON: dict[str, Any] = {"switchboard.v3.DataResponse.items": [JSON_VALUE]}


FRAMES = [
    pytest.param(cls, field, id=f"{cls.__name__}.{field.name}")
    for cls in (ClientFrame, ServerFrame)
    for field in cls.DESCRIPTOR.fields
]


def filled(descriptor: Descriptor, choice: int) -> Message:
    """A message with every field set; of a oneof, the member that `choice` falls on."""
    message = GetMessageClass(descriptor)()
    for field in descriptor.fields:
        oneof = field.containing_oneof
        if oneof is None or oneof.fields[choice % len(oneof.fields)] == field:
            fill(message, field, choice)
    return message


def fill(message: Message, field: FieldDescriptor, choice: int) -> None:
    value = getattr(message, field.name)
    kind = field.message_type
    if kind is not None and kind.GetOptions().map_entry:
        value["key-1"] = 7
    elif kind is not None and kind.full_name == "switchboard.v3.Json":
        value.utf8 = orjson.dumps(OTHER_JSON.get(field.full_name, JSON_VALUE))
    elif field.is_repeated:
        value.extend([sample(field, choice), sample(field, choice + 1)])
    elif kind is not None:
        value.CopyFrom(filled(kind, choice))
    else:
        setattr(message, field.name, sample(field, choice))


def sample(field: FieldDescriptor, choice: int) -> Any:
    match field.type:
        case FieldDescriptor.TYPE_STRING:
            return f"{field.name} ä\n\u2028 {choice}"
        case FieldDescriptor.TYPE_BOOL:
            return True
        case FieldDescriptor.TYPE_UINT32:
            return 2**32 - 1 - choice
        case FieldDescriptor.TYPE_ENUM:
            assert field.enum_type is not None
            values = field.enum_type.values[1:]
            return values[choice % len(values)].number
        case FieldDescriptor.TYPE_MESSAGE:
            assert field.message_type is not None
            return filled(field.message_type, choice)
        case other:
            raise AssertionError(f"{field.full_name}: no sample for type {other}")


def expected(message: Message) -> dict[str, Any]:
    """ProtoJSON, with the three differences of the socket: enums, `Json` and `StringList`."""
    found: dict[str, Any] = json_format.MessageToDict(
        message, preserving_proto_field_name=True, always_print_fields_with_no_presence=True
    )
    for field in message.DESCRIPTOR.fields:
        if field.name not in found:
            continue
        value, kind = getattr(message, field.name), field.message_type
        if field.type == FieldDescriptor.TYPE_ENUM:
            enum = field.enum_type
            assert enum is not None
            prefix = enum.values[0].name.removesuffix("UNSPECIFIED")
            found[field.name] = enum.values_by_number[value].name.removeprefix(prefix).lower()
        elif kind is None or kind.GetOptions().map_entry:
            continue
        elif kind.full_name == "switchboard.v3.Json":
            found[field.name] = json.loads(value.utf8)
        elif kind.full_name == "switchboard.v3.StringList":
            found[field.name] = list(value.values)
        elif field.is_repeated:
            found[field.name] = [expected(item) for item in value]
        else:
            found[field.name] = expected(value)
    return found


@pytest.mark.parametrize(("cls", "field"), FRAMES)
@pytest.mark.parametrize("choice", range(4))
def test_each_frame_there_and_back(cls: Any, field: FieldDescriptor, choice: int) -> None:
    assert field.message_type is not None
    body = filled(field.message_type, choice)
    frame = cls(**{field.name: body})
    text = codec.encode(frame)
    assert json.loads(text) == {"type": field.name, **expected(body)}
    assert codec.decode(text, cls) == frame


@pytest.mark.parametrize(("cls", "field"), FRAMES)
def test_each_frame_with_nothing_in_it(cls: Any, field: FieldDescriptor) -> None:
    """Fields that are not optional are printed, empty or not; optional ones are left out."""
    assert field.message_type is not None
    body = GetMessageClass(field.message_type)()
    frame = cls(**{field.name: body})
    assert json.loads(codec.encode(frame)) == {"type": field.name, **expected(body)}


@pytest.mark.parametrize(("cls", "field"), FRAMES)
def test_no_field_of_a_frame_is_dropped(cls: Any, field: FieldDescriptor) -> None:
    """Whatever is set shows in the text: a field that a mapping forgets fails here."""
    assert field.message_type is not None
    for part in field.message_type.fields:
        body = GetMessageClass(field.message_type)()
        fill(body, part, 0)
        text = json.loads(codec.encode(cls(**{field.name: body})))
        assert part.name in text, f"{part.full_name} is dropped"
        assert text[part.name] == expected(body)[part.name]
        assert text[part.name] not in (0, "", False, [], {})


PAGE = [
    # The examples of the protocol page, as a client writes them.
    (ClientFrame, {"type": "device_hello", "device_id": "a", "features": []}),
    (
        ClientFrame,
        {
            "type": "device_hello",
            "device_id": "a",
            "token": "t",
            "protocol": 3,
            "features": ["activity"],
            "tools": [],
            "timezone": "Europe/Berlin",
            "resume": {"requests": {"r": 4}},
        },
    ),
    (
        ClientFrame,
        {
            "type": "popup_request",
            "message": "m",
            "scope": {"type": "task", "id": "t1"},
            "conversation_history": [
                {"role": "assistant", "content": "c", "quoted": []},
                {"role": "user", "content": "d", "quoted": [{"start": 0, "end": 1}]},
            ],
            "quoted": [{"start": 0, "end": 1}],
        },
    ),
    (ClientFrame, {"type": "tool_result", "call_id": "c", "result": None}),
    (ClientFrame, {"type": "tool_result", "call_id": "c", "rejected": {}}),
    (
        ClientFrame,
        {"type": "tool_result", "call_id": "c", "error": {"code": "x", "message": "y"}},
    ),
    (ClientFrame, {"type": "data_response", "query_id": "q", "items": [{"id": "t1"}]}),
    (
        ClientFrame,
        {"type": "mutation", "mutation_id": "m", "op": "delete", "entity": "note", "id": "n1"},
    ),
    (ServerFrame, {"type": "stream_start", "request_id": "r", "seq": 1}),
    (ServerFrame, {"type": "popup_domain", "request_id": "r", "seq": 1, "domain": "checkpoints"}),
    (ServerFrame, {"type": "stream_text", "request_id": "r", "seq": 2, "chunk": "“hi”\u2028"}),
    (
        ServerFrame,
        {
            "type": "stream_block",
            "request_id": "r",
            "seq": 3,
            "block_type": "entity_ref",
            "data": {"entity": "task", "item": {"id": "t1", "dueDate": 1700000000000}},
        },
    ),
    (
        ServerFrame,
        {
            "type": "stream_end",
            "request_id": "r",
            "seq": 4,
            "status": "failed",
            "mutations": [],
            "error": {"code": "model_truncated", "message": "m", "retryable": True},
            "memory": "off",
            "skipped": [{"block_type": "chart", "reason": "chart_values"}],
        },
    ),
]


@pytest.mark.parametrize(("cls", "value"), PAGE, ids=lambda value: str(value)[:40])
def test_the_page_s_frames(cls: Any, value: dict[str, Any]) -> None:
    frame = codec.decode(json.dumps(value), cls)
    assert json.loads(codec.encode(frame)) == value
