"""What this server refuses, as OpenAI's refuses it. Pure.

A request that it would answer and a real provider would not teaches nothing: what is sent is
held against the API's parameters, and calls against their results.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any, Final

Json = Mapping[str, Any]

CHAT: Final = frozenset(
    {
        *("audio", "frequency_penalty", "function_call", "functions", "logit_bias", "logprobs"),
        *("max_completion_tokens", "max_tokens", "messages", "metadata", "modalities", "model"),
        *("n", "parallel_tool_calls", "prediction", "presence_penalty", "prompt_cache_key"),
        *("reasoning_effort", "response_format", "safety_identifier", "seed", "service_tier"),
        *("stop", "store", "stream", "stream_options", "temperature", "tool_choice", "tools"),
        *("top_logprobs", "top_p", "user", "verbosity", "web_search_options"),
    }
)
RESPONSES: Final = frozenset(
    {
        *("background", "conversation", "include", "input", "instructions", "max_output_tokens"),
        *("max_tool_calls", "metadata", "model", "parallel_tool_calls", "previous_response_id"),
        *("prompt", "prompt_cache_key", "reasoning", "safety_identifier", "service_tier", "store"),
        *("stream", "stream_options", "temperature", "text", "tool_choice", "tools"),
        *("top_logprobs", "top_p", "truncation", "user"),
    }
)
_LEAST_OUTPUT: Final = 16
_REQUIRED: Final[Mapping[str, Sequence[str]]] = {
    "message": ("role", "content"),
    "function_call": ("call_id", "name", "arguments"),
    "function_call_output": ("call_id", "output"),
    "reasoning": ("summary",),
}
_MAY_BE_NULL: Final = frozenset({"encrypted_content", "content", "phase"})
_GIVEN: Final = ("input_text", "input_image", "input_file")
_PARTS: Final[Mapping[str, Sequence[str]]] = {
    "assistant": ("output_text", "refusal"),
    **dict.fromkeys(("user", "system", "developer"), _GIVEN),
}


class Refused(Exception):
    """A request that is refused: why, for which parameter, by which code and status."""

    def __init__(
        self, message: str, param: str | None = None, *, code: str | None = None, status: int = 400
    ) -> None:
        super().__init__(message)
        self.message = message
        self.param = param
        self.code = code
        self.status = status

    def body(self) -> Json:
        """The error as OpenAI's server words it."""
        error = {
            "message": self.message,
            "type": "invalid_request_error",
            "param": self.param,
            "code": self.code,
        }
        return {"error": error}


def check_chat(body: Json) -> None:
    """Raises Refused for what is no request for a chat completion."""
    _check_known(body, CHAT)
    messages = body.get("messages")
    if not isinstance(messages, list) or not messages:
        raise Refused("'messages' must be a list that is not empty.", "messages")
    for name in ("max_tokens", "max_completion_tokens"):
        _check_number(body, name, 1)
    _check_common(body, "function.name")
    if body.get("stream_options") is not None and not body.get("stream"):
        raise Refused("'stream_options' goes with 'stream' alone.", "stream_options")
    _check_answered(messages)


def check_responses(body: Json) -> None:
    """Raises Refused for what is no request for a response; its input is checked on its own."""
    _check_known(body, RESPONSES)
    given = body.get("input")
    if not given or not isinstance(given, str | list):
        raise Refused("'input' must be a text or a list that is not empty.", "input")
    if body.get("previous_response_id") is not None:
        raise Refused(
            "Previous response not found.",
            "previous_response_id",
            code="previous_response_not_found",
        )
    _check_number(body, "max_output_tokens", _LEAST_OUTPUT)
    _check_common(body, "name")


def check_items(items: Sequence[Any]) -> None:
    """Raises Refused for what is no item of an input, or lacks what its type requires."""
    for place, item in enumerate(items):
        param = f"input[{place}]"
        told = item if isinstance(item, dict) else {}
        kind = str(told.get("type", "message" if "role" in told else None))
        if kind not in _REQUIRED:
            raise _invalid_value(f"{param}.type", kind, _REQUIRED)
        for name in _REQUIRED[kind]:
            if told.get(name) is None:
                raise _missing(f"{param}.{name}")
        for name, value in told.items():
            if value is None and name not in _MAY_BE_NULL:
                raise Refused(
                    f"Invalid type for '{param}.{name}': got null instead.",
                    f"{param}.{name}",
                    code="invalid_type",
                )
        if kind == "message":
            _check_parts(told, f"{param}.content")


def _check_parts(message: Json, param: str) -> None:
    """What a message may consist of depends on who says it."""
    allowed = _PARTS.get(str(message["role"]))
    if allowed is None:
        raise _invalid_value(param.replace("content", "role"), message["role"], _PARTS)
    parts = message["content"] if isinstance(message["content"], list) else []
    for place, part in enumerate(parts):
        kind = part.get("type") if isinstance(part, dict) else None
        if kind not in allowed:
            raise _invalid_value(f"{param}[{place}].type", kind, allowed)


def check_outputs(items: Sequence[Json]) -> None:
    """Raises Refused where a call has no output, or an output no call before it."""
    open_calls: set[object] = set()
    called: set[object] = set()
    for item in items:
        match item.get("type"):
            case "function_call":
                open_calls.add(item.get("call_id"))
                called.add(item.get("call_id"))
            case "function_call_output" if item.get("call_id") not in called:
                raise Refused(
                    "No tool call found for function call output with call_id "
                    f"{item.get('call_id')}.",
                    "input",
                )
            case "function_call_output":
                open_calls.discard(item.get("call_id"))
    for call_id in open_calls:
        raise Refused(f"No tool output found for function call {call_id}.", "input")


def _missing(param: str) -> Refused:
    return Refused(
        f"Missing required parameter: '{param}'.", param, code="missing_required_parameter"
    )


def _invalid_value(param: str, value: object, allowed: Iterable[str]) -> Refused:
    told = ", ".join(f"'{each}'" for each in allowed)
    return Refused(
        f"Invalid value: '{value}'. Supported values are: {told}.", param, code="invalid_value"
    )


def _check_known(body: Json, known: Collection[str]) -> None:
    for name in body:
        if name not in known:
            raise Refused(f"Unknown parameter: '{name}'.", name, code="unknown_parameter")


def _check_number(body: Json, name: str, least: int) -> None:
    number = body.get(name)
    if number is not None and (not isinstance(number, int) or number < least):
        raise Refused(
            f"Invalid '{name}': expected a whole number >= {least}.",
            name,
            code="integer_below_min_value",
        )


def _check_common(body: Json, name: str) -> None:
    for flag in ("stream", "store", "parallel_tool_calls"):
        if not isinstance(body.get(flag), bool | None):
            raise Refused(
                f"Invalid type for '{flag}': expected a boolean.", flag, code="invalid_type"
            )
    warmth = body.get("temperature")
    if warmth is not None and not (isinstance(warmth, int | float) and 0 <= warmth <= 2):
        raise Refused("Invalid 'temperature': expected a number from 0 to 2.", "temperature")
    if body.get("tools") == []:
        raise Refused("[] is too short - 'tools'", "tools")
    for place, tool in enumerate(body.get("tools") or ()):
        _check_tool(tool, f"tools[{place}]", name)


def _check_tool(tool: Any, param: str, name: str) -> None:
    value = tool
    for step in name.split("."):
        value = value.get(step) if isinstance(value, dict) else None
    if not isinstance(value, str) or not value:
        raise _missing(f"{param}.{name}")


def _check_said(message: Json, calls: object, place: int) -> None:
    """A message says something, or calls tools."""
    if calls == [] or not isinstance(calls, list | tuple):
        raise Refused(f"{calls} is too short", f"messages.[{place}].tool_calls")
    if message.get("content") is None and not calls:
        raise Refused(
            "Invalid value for 'content': expected a string, got null.",
            f"messages.[{place}].content",
        )


def _check_answered(messages: Sequence[Any]) -> None:
    """Calls are answered right after they are made."""
    open_calls: set[object] = set()
    for place, message in enumerate(messages):
        told = message if isinstance(message, dict) else {}
        answered = told.get("tool_call_id")
        if told.get("role") != "tool":
            if open_calls:
                break
            calls = told.get("tool_calls", ())
            _check_said(told, calls, place)
            open_calls = {call.get("id") for call in calls if isinstance(call, dict)}
        elif answered not in open_calls:
            raise Refused(
                "Messages with role 'tool' must be a response to a preceding message with "
                "'tool_calls'.",
                f"messages.[{place}].role",
            )
        else:
            open_calls.discard(answered)
    if open_calls:
        raise Refused(
            "An assistant message with 'tool_calls' must be followed by tool messages responding "
            "to each 'tool_call_id'.",
            "messages",
        )
