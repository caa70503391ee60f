"""What the offline model refuses: what OpenAI's servers would."""

from typing import Any

import pytest
from openai.types.chat import completion_create_params as chat
from openai.types.responses import response_create_params as responses

from devstack.offline_model.refusals import (
    CHAT,
    RESPONSES,
    Refused,
    check_chat,
    check_items,
    check_responses,
)

HELLO = {"role": "user", "content": "hello"}
TOOL = {"type": "function", "function": {"name": "f"}}


def called(*ids: str) -> dict[str, Any]:
    calls = [{"id": each, "type": "function", "function": {"name": "f"}} for each in ids]
    return {"role": "assistant", "content": None, "tool_calls": calls}


def result(call_id: str) -> dict[str, Any]:
    return {"role": "tool", "tool_call_id": call_id, "content": "{}"}


def test_only_parameters_of_the_api_are_known() -> None:
    assert chat.CompletionCreateParamsBase.__annotations__.keys() | {"stream"} >= CHAT
    assert responses.ResponseCreateParamsBase.__annotations__.keys() | {"stream"} >= RESPONSES


@pytest.mark.parametrize(
    ("fields", "param", "code"),
    [
        ({"top_k": 5}, "top_k", "unknown_parameter"),
        ({"reasoning": {}}, "reasoning", "unknown_parameter"),
        ({"messages": []}, "messages", None),
        ({"messages": "hello"}, "messages", None),
        ({"temperature": 3}, "temperature", None),
        ({"stream": "yes"}, "stream", "invalid_type"),
        ({"max_tokens": 0}, "max_tokens", "integer_below_min_value"),
        ({"max_completion_tokens": "9"}, "max_completion_tokens", "integer_below_min_value"),
        ({"stream_options": {"include_usage": True}}, "stream_options", None),
        (
            {"tools": [TOOL, {"type": "function", "name": "f"}]},
            "tools[1].function.name",
            "missing_required_parameter",
        ),
        ({"tools": []}, "tools", None),
        ({"messages": [HELLO, called()]}, "messages.[1].tool_calls", None),
        (
            {"messages": [HELLO, {"role": "assistant", "content": None}]},
            "messages.[1].content",
            None,
        ),
        ({"messages": [HELLO, called("a")]}, "messages", None),
        ({"messages": [HELLO, called("a", "b"), result("a"), HELLO]}, "messages", None),
        ({"messages": [HELLO, result("a")]}, "messages.[1].role", None),
    ],
)
def test_no_request_for_a_completion(fields: dict[str, Any], param: str, code: str | None) -> None:
    with pytest.raises(Refused) as caught:
        check_chat({"model": "m", "messages": [HELLO]} | fields)
    assert (caught.value.param, caught.value.code, caught.value.status) == (param, code, 400)


def test_a_request_for_a_completion() -> None:
    rounds = [HELLO, called("a", "b"), result("b"), result("a"), called("a"), result("a"), HELLO]
    check_chat({"model": "m", "messages": rounds, "tools": [TOOL], "temperature": 0})


@pytest.mark.parametrize(
    ("fields", "param", "code"),
    [
        ({"messages": [HELLO]}, "messages", "unknown_parameter"),
        ({"input": ""}, "input", None),
        ({"max_output_tokens": 15}, "max_output_tokens", "integer_below_min_value"),
        ({"tools": [TOOL]}, "tools[0].name", "missing_required_parameter"),
        ({"previous_response_id": "r"}, "previous_response_id", "previous_response_not_found"),
    ],
)
def test_no_request_for_a_response(fields: dict[str, Any], param: str, code: str | None) -> None:
    with pytest.raises(Refused) as caught:
        check_responses({"model": "m", "input": "hello"} | fields)
    assert (caught.value.param, caught.value.code) == (param, code)


def said(role: str, kind: str) -> dict[str, Any]:
    return {"type": "message", "role": role, "content": [{"type": kind, "text": "Hm."}]}


@pytest.mark.parametrize(
    ("item", "param", "code"),
    [
        ({}, "input[1].type", "invalid_value"),
        ({"type": "tool", "content": "x"}, "input[1].type", "invalid_value"),
        ("hello", "input[1].type", "invalid_value"),
        (HELLO | {"role": "tool"}, "input[1].role", "invalid_value"),
        (said("assistant", "input_text"), "input[1].content[0].type", "invalid_value"),
        (said("user", "output_text"), "input[1].content[0].type", "invalid_value"),
        (said("user", "input_text") | {"status": None}, "input[1].status", "invalid_type"),
        ({"type": "function_call", "name": "f"}, "input[1].call_id", "missing_required_parameter"),
        ({"type": "function_call_output", "call_id": "a"}, "input[1].output",
         "missing_required_parameter"),
        ({"type": "reasoning", "id": "r"}, "input[1].summary", "missing_required_parameter"),
    ],
)  # fmt: skip
def test_no_item_of_an_input(item: Any, param: str, code: str) -> None:
    with pytest.raises(Refused) as caught:
        check_items([HELLO, item])
    assert (caught.value.param, caught.value.code) == (param, code)


def test_items_of_an_input() -> None:
    call = {"type": "function_call", "call_id": "a", "name": "f", "arguments": "{}"}
    thought = {"type": "reasoning", "id": "r", "summary": [], "encrypted_content": "x"}
    output = {"type": "function_call_output", "call_id": "a", "output": "{}"}
    check_items([HELLO, said("assistant", "output_text"), thought, call, output])
