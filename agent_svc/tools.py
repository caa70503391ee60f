"""What a tool is: how it is offered, and the checks around a call of it."""

from __future__ import annotations

import logging
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

import orjson
from jsonschema import Draft202012Validator

from agent_svc.arguments import TIMES, coerced
from agent_svc.cutting import was_cut
from agent_svc.misfits import problems
from agent_svc.nearest import MOST_CHARS, hint
from switchboard.v3.agent_pb2 import ToolSpec
from switchboard.v3.entities_pb2 import EntityKind
from switchboard.v3.frames_pb2 import MutationOp
from switchboard.v3.values_pb2 import Json

log = logging.getLogger(__name__)

DEADLINE_MS: Final = 30_000
APPROVAL_DEADLINE_MS: Final = 300_000

MAX_ARGUMENT_CHARS: Final = 256 * 1024
"""Some notes are long; more than this is a model that does not come to an end."""

IN_MILLISECONDS: Final = ", in milliseconds since 1970, UTC."
"""How the description of every time ends; for a model, which writes dates, it ends otherwise."""

_IN_WORDS: Final = {
    "start": ": a local date or time such as 2026-12-01 or 2026-12-01T09:30.",
    "after": ": a local date or time; a date alone counts from that day on.",
    "due": ": a local date or time; a date alone is the end of that day.",
}


class BadArguments(Exception):
    """The model's arguments do not fit the tool; the text tells the model how to mend them."""


@dataclass(frozen=True, slots=True)
class Tool:
    """A tool of the catalogue. `effect` None: it only reads.

    `named_only`: devices that do not say what they have are older than it, and lack it.
    `own_words`: arguments that must stand, word for word, in what the user said without quoting.
    """

    name: str
    description: str
    arguments: dict[str, Any]
    result: dict[str, Any]
    kind: EntityKind.ValueType = EntityKind.ENTITY_KIND_UNSPECIFIED
    effect: MutationOp.ValueType | None = None
    requires_approval: bool = False
    runs_on_server: bool = False
    named_only: bool = False
    own_words: tuple[str, ...] = ()
    # Made once: to compile a schema costs far more than to check with it.
    _arguments: Draft202012Validator = field(init=False, repr=False, compare=False)
    _result: Draft202012Validator = field(init=False, repr=False, compare=False)
    _offered: dict[str, Any] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_arguments", Draft202012Validator(self.arguments))
        object.__setattr__(self, "_result", Draft202012Validator(self.result))
        object.__setattr__(self, "_offered", _in_local_time(self.arguments))

    @property
    def deadline_ms(self) -> int:
        """The full time that a device has to answer (PROTOCOL §4.6)."""
        return APPROVAL_DEADLINE_MS if self.requires_approval else DEADLINE_MS

    @property
    def page_size(self) -> int | None:
        """How many items come where no limit is given; None for a tool that gives no pages."""
        fields = self.arguments["properties"]
        return fields["limit"].get("default") if "cursor" in fields else None

    def checked(self, text: str, now: datetime) -> dict[str, Any]:
        """The arguments that the model wrote, as they go to the tool. Raises BadArguments.

        `now` is aware and in the user's time zone: dates are read by it.
        """
        try:
            return self._checked(_read(text), now)
        except RecursionError:
            raise BadArguments("The arguments are nested too deeply.") from None

    def _checked(self, written: dict[str, Any], now: datetime) -> dict[str, Any]:
        arguments: dict[str, Any] = coerced(self.arguments, written, now)
        if self.effect is not None and was_cut(arguments):
            raise BadArguments(
                "A text was cut when you read it: writing it back would lose the rest."
            )
        if told := problems(self._arguments.iter_errors(arguments)):
            raise BadArguments(told)
        return arguments

    def fits(self, result: object) -> bool:
        """Whether a result has the shape that the catalogue tells."""
        return bool(self._result.is_valid(result))

    def for_model(self) -> dict[str, Any]:
        """The tool as a chat completion offers it: the same, but that times are dates."""
        function = {
            "name": self.name,
            "description": self.description,
            "parameters": self._offered,
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


def unknown_tool(name: str, offered: Collection[str]) -> str:
    """What the model is told where it called a tool that it was not offered."""
    return f"There is no tool {name[:MOST_CHARS]} here.{hint(name, offered)}"


def _read(text: str) -> dict[str, Any]:
    if len(text) > MAX_ARGUMENT_CHARS:
        raise BadArguments(f"The arguments are longer than {MAX_ARGUMENT_CHARS} characters.")
    try:
        value = orjson.loads(text) if text.strip() else {}
        value = orjson.loads(value) if isinstance(value, str) else value  # encoded twice
    except orjson.JSONDecodeError as error:
        raise BadArguments(f"The arguments are no valid JSON: {error}.") from error
    if not isinstance(value, dict):
        raise BadArguments("The arguments must be a JSON object.")
    return value


def _in_local_time(schema: Any) -> Any:
    """A schema with its times as texts: models are good at dates and bad at milliseconds."""
    if isinstance(schema, list):
        return [_in_local_time(one) for one in schema]
    if not isinstance(schema, Mapping):
        return schema
    made = {name: _in_local_time(value) for name, value in schema.items()}
    if (alone := TIMES.get(str(made.get("format")))) is None:
        return made
    del made["format"]
    kinds = made["type"]
    made["type"] = "string" if kinds == "number" else ["string", *kinds[1:]]
    made["description"] = made["description"].removesuffix(IN_MILLISECONDS) + _IN_WORDS[alone]
    return made
