"""PURE: a chat completion's request, said in the form of the Responses API.

The chat form is the one that the loop and the profiles speak; this rewrites a body that is
ready to be sent. What has no other name in the Responses API goes through as it is.

    system, first          instructions
    system, developer      a message of that role
    user                   a message with input_text
    assistant              what the provider itself had said (`responses_output`), item by item;
                           else its text and a function_call for each tool call
    tool                   function_call_output

Nothing is stored at the provider's: reasoning goes back and forth encrypted instead.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

KEPT: Final = "responses_output"
"""The field of an assistant message that holds the provider's own output items."""

_PROMPTS: Final = frozenset({"system", "developer"})
_TOKENS: Final = ("max_tokens", "max_completion_tokens")
_CHAT_ONLY: Final = frozenset({*_TOKENS, "messages", "tools", "stream_options", "reasoning_effort"})
_REASONING: Final = "reasoning"

Json = Mapping[str, Any]


def responses_body(chat: Json, *, encrypted: bool = True) -> dict[str, Any]:
    """The body for /responses that asks what this body asks of /chat/completions.

    `encrypted`: the model's reasoning is asked for and said back; models that do not reason
    refuse the first, and gateways with several accounts now and then the second.
    """
    instructions, messages = _parted(chat["messages"])
    body: dict[str, Any] = {
        "model": chat["model"],
        **({"instructions": instructions} if instructions else {}),
        "input": list(input_items(messages, encrypted=encrypted)),
        "store": False,
    }
    if encrypted:
        body["include"] = ["reasoning.encrypted_content"]
    if tools := chat.get("tools"):
        body["tools"] = [_flat(tool["function"]) for tool in tools]
    for name in _TOKENS:
        if name in chat:
            body["max_output_tokens"] = chat[name]
    if effort := chat.get("reasoning_effort"):
        body["reasoning"] = {"effort": effort}
    return body | {name: value for name, value in chat.items() if name not in _CHAT_ONLY}


def input_items(messages: Sequence[Json], *, encrypted: bool = True) -> Iterator[dict[str, Any]]:
    """The messages of a conversation as input items; what is blank is left out."""
    for message in messages:
        match message["role"]:
            case "assistant":
                yield from _said(message, encrypted=encrypted)
            case "tool":
                yield {
                    "type": "function_call_output",
                    "call_id": message["tool_call_id"],
                    "output": message["content"],
                }
            case role:
                yield from _message(role, "input_text", message.get("content"))


def _parted(messages: Sequence[Json]) -> tuple[str, Sequence[Json]]:
    """The prompt, which stands first, and the messages after it."""
    if messages and messages[0]["role"] in _PROMPTS and isinstance(messages[0]["content"], str):
        return messages[0]["content"], messages[1:]
    return "", messages


def _message(role: str, kind: str, content: object) -> Iterator[dict[str, Any]]:
    if isinstance(content, str) and content.strip():
        parts = [{"type": kind, "text": content}]
        yield {"type": "message", "role": role, "content": parts}


def _said(message: Json, *, encrypted: bool) -> Iterator[dict[str, Any]]:
    """An assistant's message: as the provider gave it, where that is known."""
    calls = [_call(call) for call in message.get("tool_calls") or ()]
    kept = [item if encrypted else _unsealed(item) for item in message.get(KEPT) or ()]
    if calls and not any(item.get("type") == "function_call" for item in kept):
        # The calls were read from the text, which stands without them in the message.
        kept = [item for item in kept if item.get("type") != "message"]
    if not any(item.get("type") == "message" for item in kept):
        yield from _message("assistant", "output_text", message.get("content"))
    yield from _as_given(kept, calls)


def _as_given(items: Sequence[Json], calls: Sequence[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """The provider's items, each call by the id and the arguments that the results answer to.

    Reasoning of which only the id is left would be looked for in a store that has nothing, and
    so would the items that it belongs to; and none may stand without what it led to.
    """
    whole = [item for item in items if _may_return(item)]
    orphaned = len(whole) < len(items)
    named = iter(calls)
    returned: list[dict[str, Any]] = []
    for item in whole:
        said = {name: value for name, value in item.items() if value is not None}
        if orphaned:
            said.pop("id", None)
        if item.get("type") == "function_call":
            said |= next(named, {})
        returned.append(said)
    returned += named
    while returned and returned[-1].get("type") == _REASONING:
        returned.pop()
    yield from returned


def _unsealed(item: Json) -> Json:
    """An item without what only the provider reads, and without what it may look for."""
    return {name: item[name] for name in item if name not in {"encrypted_content", "id"}}


def _may_return(item: Json) -> bool:
    if item.get("type") != _REASONING:
        return True
    return bool(item.get("encrypted_content") or item.get("content"))


def _call(call: Json) -> dict[str, Any]:
    function = call["function"]
    return {
        "type": "function_call",
        "call_id": call["id"],
        "name": function["name"],
        "arguments": function["arguments"],
    }


def _flat(function: Json) -> dict[str, Any]:
    """A tool as it is offered here, where strict is what is not said otherwise."""
    return {"type": "function", "strict": False, **function}
