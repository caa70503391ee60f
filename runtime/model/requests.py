"""PURE: the body of a chat completion, in the form that its model takes."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, TypeAlias

import orjson

from runtime.model.profiles import Profile

Message: TypeAlias = Mapping[str, Any]
Schema: TypeAlias = dict[str, Any]

_MOST_SHAPES: Final = 512


def chat_body(
    profile: Profile,
    model: str,
    messages: Sequence[Message],
    *,
    tools: Sequence[Mapping[str, Any]] = (),
    stream: bool = False,
    response_format: Mapping[str, Any] | None = None,
    quick: bool = False,
) -> dict[str, Any]:
    """The keyword arguments of `client.chat.completions.create`.

    `tools` as OpenAI takes them, with schemas that nobody changes: shaped ones are kept by
    identity. `response_format` is the one of type json_schema; a model that takes less is told
    the schema in its prompt. `quick`: a word is wanted at once, without long thought.
    """
    if response_format is not None and profile.response_format != "json_schema":
        messages = _with_schema(messages, response_format)
    tools = tools if profile.tools else ()
    body: dict[str, Any] = {"model": model, "messages": in_roles(profile, messages)}
    body |= _sampling(profile, tools=bool(tools), quick=quick)
    if tools:
        body["tools"] = [_shaped_tool(profile, tool) for tool in tools]
        if profile.parallel_tool_calls is not None:
            body["parallel_tool_calls"] = profile.parallel_tool_calls
    if response_format is not None and profile.response_format != "none":
        whole = profile.response_format == "json_schema"
        body["response_format"] = dict(response_format) if whole else {"type": "json_object"}
    if stream and profile.stream:
        body["stream"] = True
        if profile.stream_options:
            body["stream_options"] = {"include_usage": True}
    if profile.extra_body:
        body["extra_body"] = dict(profile.extra_body)
    return body


def effort(profile: Profile, *, tools: bool, quick: bool = False) -> str | None:
    """How much the model shall think; None: as it likes."""
    if tools and profile.tools_reasoning_effort is not None:
        return profile.tools_reasoning_effort
    if quick and profile.quick_reasoning_effort is not None:
        return profile.quick_reasoning_effort
    return profile.reasoning_effort


def _sampling(profile: Profile, *, tools: bool, quick: bool) -> dict[str, Any]:
    told = {
        profile.max_tokens_field: profile.max_output_tokens,
        "temperature": profile.temperature,
        "reasoning_effort": effort(profile, tools=tools, quick=quick),
    }
    return {name: value for name, value in told.items() if value is not None}


def in_roles(profile: Profile, messages: Sequence[Message]) -> list[Message]:
    """The messages, their prompt in the role that the model knows."""
    if profile.system_role == "system":
        return list(messages)
    if profile.system_role == "developer":
        return [
            {**message, "role": "developer"} if message["role"] == "system" else message
            for message in messages
        ]
    return _in_front(messages)


def _in_front(messages: Sequence[Message]) -> list[Message]:
    """The prompt in front of the first that the user says: some templates know no other role,
    and refuse two turns of the user in a row."""
    prompts = [str(each["content"]) for each in messages if each["role"] == "system"]
    rest = [each for each in messages if each["role"] != "system"]
    if not prompts:
        return rest
    prompt = "\n\n".join(prompts)
    for at, message in enumerate(rest):
        if message["role"] == "user":
            return [*rest[:at], {**message, "content": _joined(prompt, message)}, *rest[at + 1 :]]
    return [{"role": "user", "content": prompt}, *rest]


def _joined(prompt: str, message: Message) -> Any:
    content = message.get("content")
    if isinstance(content, list):
        return [{"type": "text", "text": prompt}, *content]
    return f"{prompt}\n\n{content}"


def _with_schema(messages: Sequence[Message], wanted: Mapping[str, Any]) -> list[Message]:
    schema = orjson.dumps(wanted["json_schema"]["schema"]).decode()
    words = f"Answer with one JSON object, and nothing around it, that fits this schema: {schema}"
    first, *rest = messages
    if first["role"] != "system":
        return [{"role": "system", "content": words}, *messages]
    return [{**first, "content": f"{first['content']}\n\n{words}"}, *rest]


_Shape: TypeAlias = tuple[bool, str, tuple[str, ...]]
# By a schema's identity, which holds as long as the schema is held here.
_shapes: OrderedDict[tuple[int, _Shape], tuple[Schema, Schema]] = OrderedDict()


def _shaped_tool(profile: Profile, tool: Mapping[str, Any]) -> Mapping[str, Any]:
    shape = (profile.strict_tools, profile.type_arrays, profile.schema_without)
    if shape == (False, "keep", ()):
        return tool
    function = tool["function"]
    shaped = {**function, "parameters": tool_schema(profile, function["parameters"])}
    return {**tool, "function": shaped | ({"strict": True} if profile.strict_tools else {})}


def tool_schema(profile: Profile, schema: Schema) -> Schema:
    """The schema of a tool's arguments in the form that the model takes; made once for each."""
    shape = (profile.strict_tools, profile.type_arrays, profile.schema_without)
    held = _shapes.get((id(schema), shape))
    if held is None:
        held = schema, _shaped(profile, schema)
        _shapes[id(schema), shape] = held
        if len(_shapes) > _MOST_SHAPES:
            _shapes.popitem(last=False)
    return held[1]


def _shaped(profile: Profile, schema: Schema) -> Schema:
    if profile.strict_tools:
        schema = _strict(schema)
    if profile.schema_without:
        spare = frozenset(profile.schema_without)
        schema = _everywhere(
            schema, lambda each: {name: value for name, value in each.items() if name not in spare}
        )
    if profile.type_arrays != "keep":
        schema = _everywhere(schema, _any_of if profile.type_arrays == "any_of" else _one_type)
    return schema


def _everywhere(schema: Schema, change: Callable[[Schema], Schema]) -> Schema:
    """A schema with a change made to it and to all that it holds."""
    changed = dict(change(schema))
    if isinstance(properties := changed.get("properties"), dict):
        changed["properties"] = {
            name: _everywhere(each, change) for name, each in properties.items()
        }
    if isinstance(items := changed.get("items"), dict):
        changed["items"] = _everywhere(items, change)
    for several in ("anyOf", "oneOf", "allOf"):
        if isinstance(each := changed.get(several), list):
            changed[several] = [_everywhere(one, change) for one in each]
    return changed


def _any_of(schema: Schema) -> Schema:
    types = schema.get("type")
    if not isinstance(types, list):
        return schema
    shared = {name: value for name, value in schema.items() if name in {"description", "title"}}
    own = {name: value for name, value in schema.items() if name not in {"type", *shared}}
    each = [{"type": one} if one == "null" else {"type": one, **own} for one in types]
    return {**shared, "anyOf": each}


def _one_type(schema: Schema) -> Schema:
    schema = _without_unions(schema)
    types = schema.get("type")
    if not isinstance(types, list):
        return schema
    return schema | {"type": next((one for one in types if one != "null"), "string")}


def _without_unions(schema: Schema) -> Schema:
    union = schema.get("anyOf")
    if not isinstance(union, list):
        return schema
    first: Schema = next((one for one in union if one.get("type") != "null"), {})
    return {name: value for name, value in schema.items() if name != "anyOf"} | first


def _strict(schema: Schema) -> Schema:
    """Every property required, those that were not with null besides."""
    return _everywhere(schema, _strict_object)


def _strict_object(schema: Schema) -> Schema:
    properties = schema.get("properties")
    if not isinstance(properties, dict):
        return schema
    required = frozenset(schema.get("required", ()))
    strict = {
        name: each if name in required else _with_null(each) for name, each in properties.items()
    }
    return schema | {
        "properties": strict,
        "required": list(properties),
        "additionalProperties": False,
    }


def _with_null(schema: Schema) -> Schema:
    match schema.get("type"):
        case str() as one:
            nullable = schema | {"type": [one, "null"]}
        case list() as several if "null" not in several:
            nullable = schema | {"type": [*several, "null"]}
        case _:
            return schema
    if "enum" in schema and None not in schema["enum"]:
        nullable["enum"] = [*schema["enum"], None]
    return nullable
