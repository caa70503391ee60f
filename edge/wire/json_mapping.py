"""Messages ⇄ JSON objects, by their descriptors: what ProtoJSON would do, with the
few differences that the socket's contract asks for.

- Keys are the proto's own names, snake_case.
- An enum is a lower-case word without its prefix; `unspecified` is never taken.
- `Json` stands as the value that it holds, `StringList` as a list.
- null is absent, but for the `result` of a tool, where it is a value.
- A field that is neither `optional` nor repeated nor in a oneof must be there, and
  of a oneof exactly one; fields that nobody knows are left alone.

Each message is compiled once into a plan, so the descriptors cost nothing later.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any, Final, TypeVar

import orjson
from google.protobuf.descriptor import Descriptor, EnumDescriptor, FieldDescriptor, OneofDescriptor
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass

from runtime import enums
from switchboard.v3.values_pb2 import Json

ToJson = Callable[[Any], Any]
FromJson = Callable[[Any], Any]

_ABSENT: Final = object()
_UINT32: Final = 2**32
_NULL: Final = b"null"


class InvalidFrame(ValueError):
    """JSON that is not of the form the contract asks for.

    `field` says where (a path such as `scope.type`; empty: the whole), `why` what is
    wrong. Neither holds anything of the value itself.
    """

    def __init__(self, field: str, why: str) -> None:
        super().__init__(f"{field}: {why}" if field else why)
        self.field = field
        self.why = why

    def under(self, name: str) -> "InvalidFrame":
        """The same, seen from the object that holds it under `name`."""
        joint = "" if not self.field or self.field.startswith("[") else "."
        return InvalidFrame(name + joint + self.field, self.why)


@dataclass(frozen=True, slots=True)
class _Field:
    name: str
    required: bool
    optional: bool  # printed only when it is set
    nullable: bool  # null is a value of it
    to_json: ToJson
    from_json: FromJson


@dataclass(frozen=True, slots=True)
class _Plan:
    make: type[Message]
    fields: tuple[_Field, ...]
    oneofs: tuple[tuple[str, ...], ...]


def to_json(message: Message) -> dict[str, Any]:
    """The message as an object that orjson can print. `Json` values become fragments."""
    found = {}
    for field in _plan(message.DESCRIPTOR).fields:
        if not field.optional or message.HasField(field.name):
            found[field.name] = field.to_json(getattr(message, field.name))
    return found


def from_json(descriptor: Descriptor | None, value: Any) -> Any:
    """The message that a parsed JSON value stands for. Raises InvalidFrame."""
    if not isinstance(value, dict):
        raise InvalidFrame("", "is no object")
    plan = _plan(_given(descriptor))
    found = {}
    for field in plan.fields:
        part = value.get(field.name, _ABSENT)
        if part is _ABSENT or (part is None and not field.nullable):
            if field.required:
                raise InvalidFrame(field.name, "is missing")
            continue
        try:
            found[field.name] = field.from_json(part)
        except InvalidFrame as error:
            raise error.under(field.name) from None
    for names in plan.oneofs:
        if sum(name in found for name in names) != 1:
            raise InvalidFrame("|".join(names), "exactly one of these must be there")
    return plan.make(**found)


@cache
def _plan(descriptor: Descriptor) -> _Plan:
    return _Plan(
        GetMessageClass(descriptor),
        tuple(map(_field, descriptor.fields)),
        tuple(
            tuple(field.name for field in oneof.fields)
            for oneof in descriptor.oneofs
            if not _synthetic(oneof)
        ),
    )


def _synthetic(oneof: OneofDescriptor) -> bool:
    """Whether the compiler made it for one `optional` field."""
    return len(oneof.fields) == 1 and oneof.name == f"_{oneof.fields[0].name}"


def _field(field: FieldDescriptor) -> _Field:
    write, read = _kind(field)
    plain = not field.is_repeated
    oneof = field.containing_oneof
    return _Field(
        name=field.name,
        required=plain and oneof is None,
        optional=plain and field.has_presence,
        nullable=field.full_name == "switchboard.v3.ToolResult.result",
        to_json=write,
        from_json=read,
    )


def _kind(field: FieldDescriptor) -> tuple[ToJson, FromJson]:
    if field.message_type is not None and field.message_type.GetOptions().map_entry:
        return _map(field)
    write, read = _single(field)
    if field.is_repeated:
        return (lambda items: [write(item) for item in items]), _list_of(read)
    return write, read


def _single(field: FieldDescriptor) -> tuple[ToJson, FromJson]:
    match field.type:
        case FieldDescriptor.TYPE_STRING:
            return _same, _string
        case FieldDescriptor.TYPE_BOOL:
            return _same, _bool
        case FieldDescriptor.TYPE_UINT32:
            return _same, _uint32
        case FieldDescriptor.TYPE_ENUM:
            return _enum(_given(field.enum_type))
        case FieldDescriptor.TYPE_MESSAGE if _is(field, "Json"):
            return raw, json_value
        case FieldDescriptor.TYPE_MESSAGE if _is(field, "StringList"):
            strings = _list_of(_string)
            return (lambda m: list(m.values)), (lambda v: {"values": strings(v)})
        case FieldDescriptor.TYPE_MESSAGE:
            descriptor = field.message_type
            return to_json, lambda value: from_json(descriptor, value)
        case other:
            raise TypeError(f"{field.full_name}: the socket has no form for type {other}")


def _is(field: FieldDescriptor, name: str) -> bool:
    return field.message_type is not None and (
        field.message_type.full_name == f"switchboard.v3.{name}"
    )


def _map(field: FieldDescriptor) -> tuple[ToJson, FromJson]:
    write, read = _single(_given(field.message_type).fields_by_name["value"])

    def from_object(value: Any) -> dict[str, Any]:
        if not isinstance(value, dict):
            raise InvalidFrame("", "is no object")
        try:
            return {key: read(item) for key, item in value.items()}
        except InvalidFrame as error:
            # The key is the client's own text: it is not repeated.
            raise error.under("*") from None

    return (lambda items: {key: write(item) for key, item in items.items()}), from_object


def _list_of(read: FromJson) -> FromJson:
    def from_list(value: Any) -> list[Any]:
        if not isinstance(value, list):
            raise InvalidFrame("", "is no list")
        found = []
        for index, item in enumerate(value):
            try:
                found.append(read(item))
            except InvalidFrame as error:
                raise error.under(f"[{index}]") from None
        return found

    return from_list


def _enum(enum: EnumDescriptor) -> tuple[ToJson, FromJson]:
    words = enums.words(enum)
    numbers = {word: number for number, word in words.items() if number}

    def from_word(value: Any) -> int:
        number = numbers.get(value) if isinstance(value, str) else None
        if number is None:
            raise InvalidFrame("", f"is none of {', '.join(numbers)}")
        return number

    # A number that this version has no word for is printed as ProtoJSON does: as it is.
    return (lambda number: words.get(number, number)), from_word


D = TypeVar("D")


def _given(descriptor: D | None) -> D:
    """The stubs call optional what a field of that type always has."""
    if descriptor is None:
        raise TypeError("a field without the descriptor of its type")
    return descriptor


def _same(value: Any) -> Any:
    return value


def _string(value: Any) -> str:
    if not isinstance(value, str):
        raise InvalidFrame("", "is no string")
    return value


def _bool(value: Any) -> bool:
    if not isinstance(value, bool):
        raise InvalidFrame("", "is neither true nor false")
    return value


def _uint32(value: Any) -> int:
    # 3.0 is the number 3 in JSON; true, in Python a number too, is none.
    whole = isinstance(value, int | float) and not isinstance(value, bool) and value == int(value)
    if not whole or not 0 <= value < _UINT32:
        raise InvalidFrame("", "is no whole number of 0 to 4294967295")
    return int(value)


def raw(value: Json) -> orjson.Fragment:
    """The text of a `Json`, to be spliced in as it is."""
    return orjson.Fragment(value.utf8 or _NULL)


def json_value(value: Any) -> Json:
    """A parsed value as a `Json`. Raises InvalidFrame where it is nested too deeply."""
    try:
        return Json(utf8=orjson.dumps(value))
    except TypeError:
        raise InvalidFrame("", "is nested too deeply") from None
