"""Tables about the contract, read from its descriptors: names, types and comments."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from google.protobuf.descriptor_pb2 import (
    DescriptorProto,
    EnumDescriptorProto,
    EnumValueDescriptorProto,
    FieldDescriptorProto,
    FileDescriptorProto,
    FileDescriptorSet,
    ServiceDescriptorProto,
)

from switchboard.v3 import errors_pb2

PACKAGE = ".switchboard.v3."
Field = FieldDescriptorProto

_SCALARS = {
    Field.TYPE_STRING: "string",
    Field.TYPE_BOOL: "boolean",
    Field.TYPE_DOUBLE: "number",
    Field.TYPE_UINT32: "integer",
}
# Messages that stand in JSON as the value that they hold.
_BARE = {
    ".switchboard.v3.Json": "any JSON",
    ".switchboard.v3.StringList": "[string]",
    ".google.protobuf.Struct": "object",
    ".google.protobuf.ListValue": "[string, number, boolean or null]",
    ".google.protobuf.Timestamp": "time",
}


@dataclass(frozen=True, slots=True)
class Message:
    """A message with its comments; those of its fields are in their order."""

    proto: DescriptorProto
    comment: str
    fields: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Enum:
    """An enum with the comments of its values, in their order."""

    proto: EnumDescriptorProto
    comment: str
    values: tuple[str, ...]

    def words(self) -> Iterator[tuple[str, EnumValueDescriptorProto, str]]:
        """Yields wire word, value and comment of each value that is ever sent."""
        zero, *values = self.proto.value
        prefix = zero.name.removesuffix("UNSPECIFIED")
        for value, comment in zip(values, self.values[1:], strict=True):
            yield value.name.removeprefix(prefix).lower(), value, comment


@dataclass(frozen=True, slots=True)
class Service:
    """A service with the comments of its calls, in their order."""

    proto: ServiceDescriptorProto
    comment: str
    calls: tuple[str, ...]


class Contract:
    """Everything of one descriptor set by name, with its source's comments."""

    def __init__(self, file: Path) -> None:
        self.messages: dict[str, Message] = {}
        self.enums: dict[str, Enum] = {}
        self.services: dict[str, Service] = {}
        self._home: dict[str, str] = {}
        for proto in FileDescriptorSet.FromString(file.read_bytes()).file:
            self._read(proto)

    def _read(self, proto: FileDescriptorProto) -> None:
        said = {
            tuple(place.path): " ".join(place.leading_comments.split())
            for place in proto.source_code_info.location
        }

        def each(path: tuple[int, ...], count: int) -> tuple[str, ...]:
            return tuple(said.get((*path, number), "") for number in range(count))

        for n, message in enumerate(proto.message_type):
            fields = each((4, n, 2), len(message.field))
            self.messages[message.name] = Message(message, said.get((4, n), ""), fields)
            self._home[message.name] = Path(proto.name).name
        for n, enum in enumerate(proto.enum_type):
            values = each((5, n, 2), len(enum.value))
            self.enums[enum.name] = Enum(enum, said.get((5, n), ""), values)
        for n, service in enumerate(proto.service):
            calls = each((6, n, 2), len(service.method))
            self.services[service.name] = Service(service, said.get((6, n), ""), calls)

    # Frames and the values inside them

    def frames(self, direction: str) -> str:
        """Every frame of one direction: what it is for, and its fields."""
        envelope = self.messages[direction]
        parts = []
        for field in envelope.proto.field:
            message = self.messages[_short(field.type_name)]
            parts.append(f"#### `{field.name}`\n\n{message.comment}\n\n{self._fields(message)}")
        return "\n\n".join(parts)

    def values(self) -> str:
        """The objects that stand inside frames."""
        frames = self._inside(self.messages["ClientFrame"], self.messages["ServerFrame"])
        seen: dict[str, None] = {}
        waiting = list(frames)
        while waiting:
            for name in self._inside(self.messages[waiting.pop(0)]):
                if name not in seen and name not in frames:
                    seen[name] = None
                    waiting.append(name)
        return self.objects(seen)

    def objects(self, names: Iterable[str], *, camel: bool = False) -> str:
        """Messages by name, each with its fields."""
        return "\n\n".join(
            f"#### {name}\n\n{self.messages[name].comment}\n\n"
            f"{self._fields(self.messages[name], camel=camel)}"
            for name in names
        )

    def file_objects(self, file: str) -> str:
        """Every message of one proto file, with camelCase keys."""
        return self.objects((n for n, home in self._home.items() if home == file), camel=True)

    def _inside(self, *messages: Message) -> dict[str, None]:
        return {
            _short(field.type_name): None
            for message in messages
            for field in message.proto.field
            if field.type == Field.TYPE_MESSAGE
            and field.type_name not in _BARE
            and _short(field.type_name) in self.messages
        }

    def _fields(self, message: Message, *, camel: bool = False) -> str:
        if not message.proto.field:
            return "No fields."
        rows = [
            (
                f"`{field.json_name if camel else field.name}`{_mark(field, lists_stay=camel)}",
                self._type(field),
                comment,
            )
            for field, comment in zip(message.proto.field, message.fields, strict=True)
        ]
        return table(("field", "type", "meaning"), rows)

    def _type(self, field: Field) -> str:
        if (entry := self._entry(field)) is not None:
            return f"{{string: {self._type(entry.field[1])}}}"
        one = self._single(field)
        return f"[{one}]" if field.label == Field.LABEL_REPEATED else one

    def _single(self, field: Field) -> str:
        if field.type == Field.TYPE_ENUM:
            if field.type_name == f"{PACKAGE}ErrorCode":
                return "[error code](#error-codes)"
            return " \\| ".join(
                f"`{word}`" for word, *_ in self.enums[_short(field.type_name)].words()
            )
        if field.type == Field.TYPE_MESSAGE:
            name = _short(field.type_name)
            return _BARE.get(field.type_name) or f"[{name}](#{name.lower()})"
        return _SCALARS[field.type]

    def _entry(self, field: Field) -> DescriptorProto | None:
        """The key and value of a map field."""
        owner, _, name = field.type_name.rpartition(".")
        outer = self.messages.get(_short(owner)) if owner else None
        nested = outer.proto.nested_type if outer else ()
        return next((n for n in nested if n.name == name and n.options.map_entry), None)

    # Codes, services

    def error_codes(self) -> str:
        """Every error code, with what a client may do about it."""
        rows = []
        for word, value, comment in self.enums["ErrorCode"].words():
            spec = value.options.Extensions[errors_pb2.error]
            retryable = "yes" if spec.retryable else "no"
            rows.append((f"`{word}`", comment, spec.where, retryable, str(spec.http_status or "–")))
        return table(("code", "meaning", "where", "retryable", "HTTP"), rows)

    def close_codes(self) -> str:
        """Every close code of the socket."""
        rows = [
            (str(value.number), comment, "no" if value.number < 4500 else "with back-off, resuming")
            for _, value, comment in self.enums["CloseCode"].words()
        ]
        return table(("close", "meaning", "connect again"), rows)

    def rpcs(self) -> str:
        """Every service with its calls."""
        parts = []
        for name, service in self.services.items():
            rows = [
                (f"`{call.name}`", _kind(call.client_streaming, call.server_streaming), comment)
                for call, comment in zip(service.proto.method, service.calls, strict=True)
            ]
            calls = table(("call", "kind", "what it does"), rows)
            parts.append(f"#### {name}\n\n{service.comment}\n\n{calls}")
        return "\n\n".join(parts)


def table(headers: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    """A Markdown table."""
    headers = list(headers)
    lines = [headers, ["---"] * len(headers), *rows]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in lines)


def _mark(field: Field, *, lists_stay: bool) -> str:
    """`?` may be left out; `|` is one of several, of which one is there."""
    if field.proto3_optional or (field.label == Field.LABEL_REPEATED and not lists_stay):
        return "?"
    return r" \|" if field.HasField("oneof_index") else ""


def _kind(client: bool, server: bool) -> str:
    match client, server:
        case True, True:
            return "both ways"
        case False, True:
            return "server streams"
        case True, False:
            return "client streams"
    return "unary"


def _short(type_name: str) -> str:
    return type_name.removeprefix(PACKAGE)
