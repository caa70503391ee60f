"""What a tool is, and the checks around one: arguments before, results after."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from typing import Any, Final

import orjson
from jsonschema import Draft202012Validator
from jsonschema.exceptions import best_match

from switchboard.v3.agent_pb2 import ToolSpec
from switchboard.v3.entities_pb2 import EntityKind
from switchboard.v3.frames_pb2 import MutationOp, ToolResult
from switchboard.v3.values_pb2 import Json

log = logging.getLogger(__name__)

DEADLINE_MS: Final = 30_000
APPROVAL_DEADLINE_MS: Final = 300_000

# What the model reads of one result. A device may send a frame of 1 MiB, which no model takes.
MAX_RESULT_CHARS: Final = 60_000


class BadArguments(Exception):
    """The model's arguments do not fit the tool; the text tells the model how to mend them."""


@dataclass(frozen=True, slots=True)
class Tool:
    """A tool of the catalogue. `effect` None: it only reads."""

    name: str
    description: str
    arguments: dict[str, Any]
    result: dict[str, Any]
    kind: EntityKind.ValueType = EntityKind.ENTITY_KIND_UNSPECIFIED
    effect: MutationOp.ValueType | None = None
    requires_approval: bool = False
    runs_on_server: bool = False
    # Made once: to compile a schema costs far more than to check with it.
    _arguments: Draft202012Validator = field(init=False, repr=False, compare=False)
    _result: Draft202012Validator = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_arguments", Draft202012Validator(self.arguments))
        object.__setattr__(self, "_result", Draft202012Validator(self.result))

    @property
    def deadline_ms(self) -> int:
        """The full time that a device has to answer (PROTOCOL §4.6)."""
        return APPROVAL_DEADLINE_MS if self.requires_approval else DEADLINE_MS

    def checked(self, text: str) -> dict[str, Any]:
        """The arguments that the model wrote, as they go to the tool. Raises BadArguments."""
        try:
            arguments = orjson.loads(text) if text.strip() else {}
        except orjson.JSONDecodeError as error:
            raise BadArguments(f"The arguments are no valid JSON: {error}.") from error
        if not isinstance(arguments, dict):
            raise BadArguments("The arguments must be a JSON object.")
        arguments = self._without_nulls(arguments)
        if (misfit := best_match(self._arguments.iter_errors(arguments))) is not None:
            where = ".".join(str(step) for step in misfit.absolute_path)
            raise BadArguments(f"{where}: {misfit.message}" if where else misfit.message)
        return arguments

    def fits(self, result: object) -> bool:
        """Whether a result has the shape that the catalogue tells."""
        return bool(self._result.is_valid(result))

    def _without_nulls(self, arguments: dict[str, Any]) -> dict[str, Any]:
        """Models write null for what they leave out; it stands only where it means to empty."""
        properties = self.arguments["properties"]
        return {
            name: value
            for name, value in arguments.items()
            if value is not None or "null" in properties.get(name, {"type": "null"})["type"]
        }

    def for_model(self) -> dict[str, Any]:
        """The tool as a chat completion offers it."""
        function = {
            "name": self.name,
            "description": self.description,
            "parameters": self.arguments,
        }
        return {"type": "function", "function": function}

    def to_proto(self) -> ToolSpec:
        """The tool as `ListTools` tells it."""
        return ToolSpec(
            name=self.name,
            description=self.description,
            arguments_schema=Json(utf8=orjson.dumps(self.arguments)),
            result_schema=Json(utf8=orjson.dumps(self.result)),
            requires_approval=self.requires_approval,
            entity=self.kind,
            effect=self.effect,
            runs_on_server=self.runs_on_server,
        )


def told(tool: Tool, result: ToolResult) -> str:
    """What the model is told of a result: JSON text.

    A result goes on as it is, whatever its shape. A very long one is shortened, and says so.
    """
    match result.WhichOneof("outcome"):
        case "result":
            return _shown(tool, result.result.utf8)
        case "rejected":
            rejection: dict[str, Any] = {"rejected": True}
            if result.rejected.HasField("reason"):
                rejection["reason"] = result.rejected.reason
            return orjson.dumps(rejection).decode()
        case _:
            return failed(result.error.code, result.error.message)


def failed(code: str, message: str) -> str:
    """What the model is told of a call that failed."""
    return orjson.dumps({"error": {"code": code, "message": message}}).decode()


def _shown(tool: Tool, utf8: bytes) -> str:
    text = utf8.decode("utf-8", "replace")
    try:
        value = orjson.loads(utf8)
    except orjson.JSONDecodeError:  # a number past 64 bits, say: the model may still read it
        value = None
    if not tool.fits(value):
        log.warning("the device's result of %s has another shape than the catalogue's", tool.name)
    if len(text) <= MAX_RESULT_CHARS:
        return text
    if isinstance(value, dict) and isinstance(value.get("items"), list):
        return _fewer(value["items"])
    return orjson.dumps({"shortened": True, "text": text[:MAX_RESULT_CHARS]}).decode()


def _fewer(items: list[Any]) -> str:
    kept, size = [], 0
    for item in items:
        size += len(orjson.dumps(item))
        if size > MAX_RESULT_CHARS:
            break
        kept.append(item)
    return orjson.dumps({"items": kept, "omitted": len(items) - len(kept)}).decode()
