"""What refused requests teach, in the words of the providers that write them."""

from dataclasses import replace
from typing import Any

import openai
import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.model import refusals
from runtime.model.lessons import lesson, window
from runtime.model.profiles import Changes, Lesson, Profile
from tests.unit.runtime.model.errors import refused, saying

EVERYTHING = Profile(
    max_output_tokens=1000,
    max_tokens_field="max_tokens",
    temperature=0.2,
    reasoning_effort="low",
    extra_body={"top_k": 20, "min_p": 0.1},
    parallel_tool_calls=True,
    strict_tools=True,
    dimensions=True,
)


def taught(error: openai.APIStatusError, profile: Profile = EVERYTHING) -> Lesson | None:
    return lesson(refusals.of_error(error), profile)


def forbidden(*place: str) -> openai.APIStatusError:
    """FastAPI's words for a field that it does not know, as vLLM and Mistral send them."""
    fault = {
        "type": "extra_forbidden",
        "loc": ["body", *place],
        "msg": "Extra inputs are not permitted",
        "input": {"tools": "are not supported"},
    }
    return refused(422, {"detail": [fault]})


TAUGHT: list[tuple[openai.APIStatusError, Changes]] = [
    (
        saying(
            400,
            "Unsupported parameter: 'max_tokens' is not supported with this model. Use"
            " 'max_completion_tokens' instead.",
            param="max_tokens",
            code="unsupported_parameter",
        ),
        {"max_tokens_field": "max_completion_tokens"},
    ),
    (
        saying(400, "max_tokens is unknown here: use max_completion_tokens"),
        {"max_tokens_field": "max_completion_tokens"},
    ),
    (
        saying(400, "max_tokens is too large: 1000. This model supports at most 512", code=None),
        {"max_output_tokens": None},
    ),
    (
        saying(
            400,
            "Unsupported value: 'temperature' does not support 0.2 with this model. Only the"
            " default (1) value is supported.",
            param="temperature",
            code="unsupported_value",
        ),
        {"temperature": None},
    ),
    (saying(400, "`temperature` is deprecated for this model."), {"temperature": None}),
    (
        saying(
            400, "Unknown parameter: 'stream_options'.", param="stream_options", code="unknown"
        ),
        {"stream_options": False},
    ),
    (forbidden("stream_options"), {"stream_options": False}),
    (forbidden("stream_options", "include_usage"), {"stream_options": False}),
    (
        refused(400, {"object": "error", "message": "Unrecognized request argument supplied:"
         " stream_options", "type": "invalid_request_error"}),
        {"stream_options": False},
    ),
    (forbidden("parallel_tool_calls"), {"parallel_tool_calls": None}),
    (
        refused(422, {"object": "error", "message": {"detail": [{"type": "extra_forbidden", "loc":
         ["body", "stream_options", "include_usage"], "msg": "Extra inputs are not permitted"}]}}),
        {"stream_options": False},
    ),
    (
        saying(400, "Unsupported parameter: 'parallel_tool_calls' is not supported with this"
         " model.", param="parallel_tool_calls"),
        {"parallel_tool_calls": None},
    ),
    (
        saying(
            400,
            "Function tools with reasoning_effort are not supported for gpt-5.4 in"
            " /v1/chat/completions. Please use /v1/responses or set reasoning_effort to 'none'.",
            param="reasoning_effort",
        ),
        {"tools_reasoning_effort": "none"},
    ),
    (
        saying(400, "Unrecognized request argument supplied: reasoning_effort"),
        {
            "reasoning_effort": None,
            "tools_reasoning_effort": None,
            "quick_reasoning_effort": None,
        },
    ),
    (
        saying(
            404,
            "This model is only supported in v1/responses and not in v1/chat/completions.",
            param="model",
        ),
        {"api": "responses"},
    ),
    (
        saying(
            400,
            "Your organization must be verified to stream this model. Please go to settings.",
            param="stream",
            code="unsupported_value",
        ),
        {"stream": False},
    ),
    (saying(400, '"auto" tool choice requires --enable-auto-tool-choice'), {"tools": False}),
    (
        saying(400, "registry.ollama.ai/library/gemma:2b does not support tools"),
        {"tools": False},
    ),
    (saying(404, "No endpoints found that support tool use. Try disabling"), {"tools": False}),
    (saying(500, "tools param requires --jinja flag"), {"tools": False}),
    (saying(400, "This model does not support function calling"), {"tools": False}),
    (saying(400, "`tool calling` is not supported with this model"), {"tools": False}),
    (saying(400, "Unknown parameter: 'tools'", param="tools"), {"tools": False}),
    (
        saying(
            400,
            "messages[0].role does not support 'system' with this model",
            param="messages[0].role",
            code="unsupported_value",
        ),
        {"system_role": "user"},
    ),
    (saying(500, "System role not supported"), {"system_role": "user"}),
    (
        saying(400, "Invalid parameter: 'response_format' of type 'json_schema' is not supported"
         " with this model.", param="response_format"),
        {"response_format": "json_object"},
    ),
    (
        saying(400, "This response_format type is unavailable now"),
        {"response_format": "json_object"},
    ),
    (
        saying(400, "This model does not support response format `json_schema`."),
        {"response_format": "json_object"},
    ),
    (
        saying(400, "Invalid tools: 'strict' is not supported", param="tools[0].function.strict"),
        {"strict_tools": False},
    ),
    (
        refused(
            400,
            [
                {
                    "error": {
                        "code": 400,
                        "message": "Invalid JSON payload received. Unknown name \"type\" at"
                        " 'tools[0].function_declarations[0].parameters.properties[1].value':"
                        " Proto field is not repeating, cannot start list.",
                        "status": "INVALID_ARGUMENT",
                    }
                }
            ],
        ),
        {"type_arrays": "any_of"},
    ),
    (
        saying(400, "Invalid type for 'tools[0].function.parameters.properties.x.type': expected"
         " a string, but got an array instead."),
        {"type_arrays": "any_of"},
    ),
    (
        saying(400, 'Invalid JSON payload received. Unknown name "additionalProperties" at'
         " 'tools[0].function_declarations[0].parameters': Cannot find field."),
        {"schema_without": ("additionalProperties",)},
    ),
    (
        saying(
            400,
            "Function tools with reasoning_effort are not supported for gpt-5.5 in"
            " /v1/chat/completions. Please use /v1/responses instead.",
            param="reasoning_effort",
        ),
        {"tools_reasoning_effort": "none"},
    ),
    (
        saying(400, "parameter.enable_thinking must be set to false for non-streaming calls"),
        {"extra_body": {"top_k": 20, "min_p": 0.1, "enable_thinking": False}},
    ),
    (
        refused(422, {"object": "error", "message": [{"type": "extra_forbidden", "loc": ["body",
         "max_tokens"], "msg": "Extra inputs are not permitted", "input": 5}]}),
        {"max_tokens_field": "max_completion_tokens"},
    ),
    (
        saying(422, '{"detail":[{"type":"extra_forbidden","loc":["body","parallel_tool_calls"],'
         '"msg":"Extra inputs are not permitted","input":true}]}'),
        {"parallel_tool_calls": None},
    ),
    (
        saying(400, "[{'type': 'extra_forbidden', 'loc': ('body', 'stream_options'), 'msg': 'Extra"
         " inputs are not permitted', 'input': {'tools': 'tools are not supported'}}]"),
        {"stream_options": False},
    ),
    (forbidden("min_p"), {"extra_body": {"top_k": 20}}),
    (saying(400, "Unrecognized request argument supplied: top_k"), {"extra_body": {"min_p": 0.1}}),
    (
        saying(400, "This model does not support specifying dimensions.", param="dimensions"),
        {"dimensions": False},
    ),
    (
        saying(400, 'Model "x" does not support matryoshka representation, changing output'
         " dimensions will lead to poor results."),
        {"dimensions": False},
    ),
]  # fmt: skip


@pytest.mark.parametrize(("error", "changes"), TAUGHT)
def test_a_refusal_that_names_what_it_refuses_teaches(
    error: openai.APIStatusError, changes: Changes
) -> None:
    drawn = taught(error)
    assert drawn is not None and drawn.changes == changes


@pytest.mark.parametrize(
    "error",
    [
        saying(400, "Bad request"),
        saying(500, "boom"),
        saying(401, "Incorrect API key: stream_options not supported"),
        saying(429, "tools are not supported while you are too fast"),
        saying(413, "Request too large"),
        saying(400, "The prompt is too long", code="context_length_exceeded"),
        saying(400, "Invalid schema for function 'a': object expected", param="tools[0].function"),
        saying(404, "The model `gpt-9` does not exist", code="model_not_found", param="model"),
        refused(400, ""),
        refused(400, "<html>stream</html>"),
        refused(422, {"detail": "nothing of use"}),
    ],
)
def test_what_names_no_parameter_teaches_nothing(error: openai.APIStatusError) -> None:
    assert taught(error) is None


@pytest.mark.parametrize(("error", "changes"), TAUGHT)
def test_a_lesson_is_drawn_once_and_never_from_what_was_not_sent(
    error: openai.APIStatusError, changes: Changes
) -> None:
    drawn = taught(error)
    assert drawn is not None
    again = taught(error, drawn.applied(EVERYTHING))
    assert again is None or again.changes != changes


@pytest.mark.parametrize(
    "error",
    [
        saying(400, "Encrypted content is not supported with this model.", param="include"),
        saying(400, "Unknown parameter: 'include'.", param="include", code="unknown_parameter"),
        saying(400, "The encrypted content gAAA...ng== could not be verified."),
        saying(400, "Upstream request failed", code="invalid_encrypted_content"),
        saying(400, "reasoning `encrypted_content` was not issued to this caller"),
        saying(
            404, "Item with id 'rs_1' not found. Items are not persisted when `store` is false."
        ),
        saying(
            400,
            "Item 'fc_1' of type 'function_call' was provided without its required 'reasoning'"
            " item: 'rs_1'.",
        ),
    ],
)
def test_reasoning_that_cannot_go_back_is_asked_for_no_more(error: openai.APIStatusError) -> None:
    asked = Profile(api="responses")
    drawn = taught(error, asked)
    assert drawn is not None
    assert drawn.changes == {"encrypted_reasoning": False}
    assert taught(error, Profile()) != drawn
    assert taught(error, drawn.applied(asked)) != drawn


def test_the_form_of_an_answer_goes_down_step_by_step() -> None:
    error = saying(400, "'response_format.type' must be 'text'")
    profile, seen = Profile(), []
    while (drawn := taught(error, profile)) is not None:
        profile = drawn.applied(profile)
        seen.append(profile.response_format)
    assert seen == ["json_object", "none"]


def test_side_by_side_calls_refused_are_not_tools_refused() -> None:
    told = "Unsupported parameter: 'parallel_tool_calls' is not supported with this model."
    for error in (saying(400, told, param="parallel_tool_calls"), saying(400, told)):
        assert taught(error, Profile()) is None


def test_a_model_that_refuses_tools_with_any_effort_is_asked_by_the_other_api() -> None:
    error = saying(400, "Function tools with reasoning_effort are not supported for gpt-5.4")
    drawn = taught(error, Profile(tools_reasoning_effort="none"))
    assert drawn is not None and drawn.changes == {"api": "responses"}


@pytest.mark.parametrize(
    ("message", "tokens"),
    [
        ("This model's maximum context length is 8192 tokens. However, you requested 9000", 8192),
        ("prompt is too long: 208310 tokens > 200000 maximum", 200_000),
        ("Requested tokens (2100) exceed context window of 2048", 2048),
        ("too large for model with 32768 maximum context length", 32_768),
        ("exceeds the maximum number of tokens allowed (1,048,576).", 1_048_576),
        ("too long", None),
    ],
)
def test_the_window_is_read_where_it_is_told(message: str, tokens: int | None) -> None:
    assert window(refusals.of_error(saying(400, message))) == tokens


def test_unions_in_schemas_that_are_refused_too_are_left_out() -> None:
    error = saying(400, "Unsupported keyword anyOf in tools[0].function.parameters")
    drawn = taught(error, replace(EVERYTHING, type_arrays="any_of", strict_tools=False))
    assert drawn is not None and drawn.changes == {"type_arrays": "drop"}


def test_a_developer_role_that_is_unknown_becomes_system() -> None:
    error = saying(400, "Unexpected role 'developer': not one of system, user, assistant")
    drawn = taught(error, Profile(system_role="developer"))
    assert drawn is not None and drawn.changes == {"system_role": "system"}


def test_a_server_without_the_responses_api_is_asked_by_chat() -> None:
    drawn = taught(refused(404, {"detail": "Not Found"}), Profile(api="responses"))
    assert drawn is not None and drawn.changes == {"api": "chat"}
    unknown = saying(404, "The model `x` does not exist", code="model_not_found")
    assert taught(unknown, Profile(api="responses")) is None


json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: (
        st.lists(inner)
        | st.dictionaries(
            st.sampled_from(["error", "detail", "message", "param", "code", "type", "loc", "msg"]),
            inner,
        )
    ),
)


@given(st.sampled_from([400, 404, 422, 500]), json)
def test_whatever_a_provider_answers_can_be_read(status: int, body: Any) -> None:
    refusal = refusals.of_body(body, status)
    drawn = lesson(refusal, EVERYTHING)
    assert drawn is None or drawn.applied(EVERYTHING) != EVERYTHING
    assert refusal.status == status and len(refusal.message) <= refusals.LONGEST
