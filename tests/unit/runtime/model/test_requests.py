"""The same request, as models of different habits are asked."""

from typing import Any

import pytest
from jsonschema import Draft202012Validator

from runtime.model.profiles import Profile
from runtime.model.requests import chat_body

MESSAGES: list[dict[str, Any]] = [
    {"role": "system", "content": "Be brief."},
    {"role": "user", "content": "Hello"},
    {"role": "assistant", "content": "Hi"},
    {"role": "user", "content": "Who are you?"},
]
SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {
        "id": {"type": "string", "minLength": 1},
        "due": {"type": ["number", "null"], "description": "When"},
        "tags": {"type": "array", "items": {"type": ["string", "null"]}},
    },
    "required": ["id"],
    "additionalProperties": False,
}
TOOL: dict[str, Any] = {
    "type": "function",
    "function": {"name": "change", "description": "Changes.", "parameters": SCHEMA},
}
FORM: dict[str, Any] = {"type": "json_schema", "json_schema": {"name": "x", "schema": SCHEMA}}


def body(profile: Profile, **rest: Any) -> dict[str, Any]:
    return chat_body(profile, "m", MESSAGES, **rest)


def parameters(profile: Profile) -> Any:
    return body(profile, tools=[TOOL])["tools"][0]["function"]["parameters"]


def test_nothing_is_sent_that_nobody_asked_for() -> None:
    assert body(Profile()) == {"model": "m", "messages": MESSAGES}


def test_every_field_of_a_profile_has_its_place() -> None:
    profile = Profile(
        max_output_tokens=100,
        max_tokens_field="max_tokens",
        temperature=0.5,
        reasoning_effort="low",
        tools_reasoning_effort="none",
        parallel_tool_calls=True,
        extra_body={"top_k": 20},
    )
    assert body(profile, tools=[TOOL], stream=True) == {
        "model": "m",
        "messages": MESSAGES,
        "max_tokens": 100,
        "temperature": 0.5,
        "reasoning_effort": "none",
        "tools": [TOOL],
        "parallel_tool_calls": True,
        "stream": True,
        "stream_options": {"include_usage": True},
        "extra_body": {"top_k": 20},
    }


def test_what_belongs_to_tools_goes_with_tools_alone() -> None:
    profile = Profile(
        reasoning_effort="low", tools_reasoning_effort="none", parallel_tool_calls=False
    )
    told = body(profile)
    assert told["reasoning_effort"] == "low" and "parallel_tool_calls" not in told
    assert "tools" not in body(Profile(tools=False, parallel_tool_calls=False), tools=[TOOL])


def test_a_word_at_once_is_asked_with_little_thought() -> None:
    profile = Profile(reasoning_effort="high", quick_reasoning_effort="minimal")
    assert body(profile, quick=True)["reasoning_effort"] == "minimal"
    assert body(profile)["reasoning_effort"] == "high"


def test_a_model_that_does_not_stream_is_asked_for_the_whole() -> None:
    assert "stream" not in body(Profile(stream=False), stream=True)
    assert "stream_options" not in body(Profile(stream_options=False), stream=True)


def test_the_prompt_may_be_the_developers_or_stand_before_the_users_words() -> None:
    assert body(Profile(system_role="developer"))["messages"][0]["role"] == "developer"
    assert body(Profile(system_role="user"))["messages"] == [
        {"role": "user", "content": "Be brief.\n\nHello"},
        *MESSAGES[2:],
    ]


def test_a_prompt_without_the_users_words_is_the_users() -> None:
    told = chat_body(Profile(system_role="user"), "m", MESSAGES[:1])
    assert told["messages"] == [{"role": "user", "content": "Be brief."}]
    parts = [{"role": "user", "content": [{"type": "text", "text": "Hello"}]}]
    told = chat_body(Profile(system_role="user"), "m", [*MESSAGES[:1], *parts])
    assert told["messages"][0]["content"][0] == {"type": "text", "text": "Be brief."}


@pytest.mark.parametrize("form", ["json_object", "none"])
def test_the_form_of_an_answer_moves_into_the_prompt_where_it_cannot_be_asked_for(
    form: Any,
) -> None:
    told = body(Profile(response_format=form), response_format=FORM)
    prompt = told["messages"][0]["content"]
    assert prompt.startswith("Be brief.") and '"minLength":1' in prompt and "JSON" in prompt
    assert told.get("response_format") == ({"type": form} if form == "json_object" else None)
    assert body(Profile(), response_format=FORM)["response_format"] == FORM


def test_a_union_of_types_is_written_as_the_model_takes_it() -> None:
    either = parameters(Profile(type_arrays="any_of"))["properties"]
    assert either["due"] == {
        "description": "When",
        "anyOf": [{"type": "number"}, {"type": "null"}],
    }
    assert either["tags"]["items"] == {"anyOf": [{"type": "string"}, {"type": "null"}]}
    plain = parameters(Profile(type_arrays="drop"))["properties"]
    assert plain["due"] == {"type": "number", "description": "When"}
    assert plain["tags"]["items"] == {"type": "string"}


def test_keywords_that_a_model_refuses_are_left_out_but_no_property_of_that_name() -> None:
    schema = {"type": "object", "properties": {"format": {"type": "string", "format": "date"}}}
    tool = {"type": "function", "function": {"name": "x", "parameters": schema}}
    told = chat_body(Profile(schema_without=("format",)), "m", MESSAGES, tools=[tool])
    shaped = told["tools"][0]["function"]["parameters"]
    assert shaped == {"type": "object", "properties": {"format": {"type": "string"}}}


def test_a_strict_schema_requires_everything_and_takes_null_for_what_is_left_out() -> None:
    told = body(Profile(strict_tools=True), tools=[TOOL])["tools"][0]["function"]
    assert told["strict"] is True
    assert told["parameters"]["required"] == ["id", "due", "tags"]
    assert told["parameters"]["properties"]["id"]["type"] == "string"
    valid = Draft202012Validator(told["parameters"]).is_valid
    assert valid({"id": "a", "due": None, "tags": None})
    assert not valid({"id": "a"}) and not valid({"id": None, "due": 1, "tags": []})


@pytest.mark.parametrize("arrays", ["keep", "any_of", "drop"])
@pytest.mark.parametrize("strict", [False, True])
def test_what_a_shaped_schema_takes_the_tool_takes_too(arrays: Any, strict: bool) -> None:
    valid = Draft202012Validator(parameters(Profile(type_arrays=arrays, strict_tools=strict)))
    whole = {"id": "a", "due": 1.5, "tags": ["x"]}
    assert valid.is_valid(whole) and Draft202012Validator(SCHEMA).is_valid(whole)
    assert not valid.is_valid({"id": 1, "due": 1, "tags": []})


def test_schemas_are_shaped_once_and_never_changed() -> None:
    before = repr(SCHEMA)
    profile = Profile(type_arrays="any_of", strict_tools=True)
    assert parameters(profile) is parameters(profile)
    assert parameters(Profile()) is SCHEMA and repr(SCHEMA) == before
