"""Families of providers, of whose names nothing is known: what they refuse is learned."""

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from runtime.model.asking import learning
from runtime.model.lessons import MOST
from runtime.model.profiles import Changes, Profile, Profiles
from runtime.model.requests import chat_body
from tests.unit.runtime.model.errors import refused, saying

Body = dict[str, Any]
Check = Callable[[Body], Exception | None]

SCHEMA = {
    "type": "object",
    "properties": {
        "id": {"type": "string", "minLength": 1},
        "due": {"type": ["string", "null"]},
        "limit": {"type": "integer", "minimum": 1, "maximum": 200},
    },
    "required": ["id"],
    "additionalProperties": False,
}
TOOL = {"type": "function", "function": {"name": "change", "parameters": SCHEMA}}
FORM = {"type": "json_schema", "json_schema": {"name": "x", "schema": SCHEMA}}
MESSAGES = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hello"}]
# What an operator may have asked for, so that there is more to refuse.
ASKED: Changes = {
    "max_output_tokens": 1000,
    "temperature": 0.2,
    "reasoning_effort": "medium",
    "parallel_tool_calls": True,
    "extra_body": {"top_k": 20},
}


def parameters(body: Body) -> str:
    return str([tool["function"]["parameters"] for tool in body.get("tools", ())])


def openai_unknown(field: str) -> Check:
    def check(body: Body) -> Exception | None:
        told = f"Unsupported parameter: '{field}' is not supported with this model."
        return saying(400, told, param=field) if field in body else None

    return check


def fastapi_unknown(field: str) -> Check:
    def check(body: Body) -> Exception | None:
        sent = body | body.get("extra_body", {})
        fault = {"type": "extra_forbidden", "loc": ["body", field], "msg": "Extra inputs are not"}
        return refused(422, {"message": {"detail": [fault]}}) if field in sent else None

    return check


def effort_with_tools(body: Body) -> Exception | None:
    if "tools" not in body or body.get("reasoning_effort") == "none":
        return None
    told = (
        "Function tools with reasoning_effort are not supported for gpt-5.6 in"
        " /v1/chat/completions. To use function tools, use /v1/responses or set"
        " reasoning_effort to 'none'."
    )
    return saying(400, told, param="reasoning_effort")


def one_type(body: Body) -> Exception | None:
    told = (
        'Invalid JSON payload received. Unknown name "type" at \'tools[0].function_declarations[0]'
        ".parameters.properties[1].value': Proto field is not repeating, cannot start list."
    )
    return refused(400, [{"error": {"message": told}}]) if "['string'" in parameters(body) else None


def no_unions(body: Body) -> Exception | None:
    told = "tools.0.function.parameters: anyOf is not supported"
    return saying(400, told) if "anyOf" in parameters(body) else None


def no_keyword(keyword: str) -> Check:
    def check(body: Body) -> Exception | None:
        told = f"Unknown name \"{keyword}\" at 'tools[0].parameters': Cannot find field."
        return saying(400, told) if keyword in parameters(body) else None

    return check


def no_tools(words: str, status: int = 400) -> Check:
    return lambda body: saying(status, words) if "tools" in body else None


def no_system(body: Body) -> Exception | None:
    told = "messages[0].role does not support 'system' with this model"
    if any(message["role"] == "system" for message in body["messages"]):
        return saying(400, told, param="messages[0].role", code="unsupported_value")
    return None


def no_form(*forms: str) -> Check:
    def check(body: Body) -> Exception | None:
        form = body.get("response_format", {}).get("type")
        return saying(400, f"This model does not support `{form}`") if form in forms else None

    return check


FAMILIES: dict[str, list[Check]] = {
    "OpenAI, thinking": [openai_unknown("temperature"), openai_unknown("max_tokens")],
    "OpenAI, tools without thought": [openai_unknown("temperature"), effort_with_tools],
    "OpenAI, o1": [
        *map(openai_unknown, ("temperature", "parallel_tool_calls", "reasoning_effort")),
        no_system,
        no_tools("Unsupported parameter: 'tools' is not supported with this model."),
    ],
    "DeepSeek": [no_form("json_schema")],
    "Mistral": [
        *map(fastapi_unknown, ("stream_options", "max_completion_tokens", "reasoning_effort")),
        fastapi_unknown("top_k"),
    ],
    "Gemini": [one_type, no_unions, *map(no_keyword, ("additionalProperties", "minLength"))],
    "vLLM": [no_tools('"auto" tool choice requires --enable-auto-tool-choice')],
    "llama.cpp, older": [no_tools("tools param requires --jinja flag", 500)],
    "Ollama": [no_tools("registry.ollama.ai/library/gemma:2b does not support tools")],
    "OpenRouter": [no_tools("No endpoints found that support tool use.", 404)],
    "a server that bounds no answers": [
        *map(openai_unknown, ("max_tokens", "max_completion_tokens")),
    ],
    "a server of old": [
        *map(fastapi_unknown, ("stream_options", "parallel_tool_calls", "reasoning_effort")),
        no_form("json_schema", "json_object"),
    ],
}


class Provider:
    def __init__(self, checks: list[Check]) -> None:
        self.checks, self.asked, self.refused = checks, 0, 0

    async def ask(self, profile: Profile) -> Body:
        body = chat_body(profile, "m", MESSAGES, tools=[TOOL], stream=True, response_format=FORM)
        self.asked += 1
        for check in self.checks:
            if (error := check(body)) is not None:
                self.refused += 1
                raise error
        return body


@pytest.mark.parametrize("family", FAMILIES)
async def test_a_family_answers_the_first_request_and_refuses_nothing_of_the_second(
    family: str,
) -> None:
    known = Profiles([("*", ASKED)], clock=lambda: 0)
    provider = Provider(FAMILIES[family])
    await learning(known, "m", provider.ask)
    assert 0 < provider.refused <= MOST
    before = provider.refused
    body = await learning(known, "m", provider.ask)
    assert provider.refused == before
    assert "Hello" in str(body["messages"]) and "Be brief." in str(body["messages"])


# Where no effort may be named, none can be named for tools.
TOGETHER = [each for every in FAMILIES.values() for each in every if each is not effort_with_tools]


@settings(deadline=None)
@given(st.lists(st.sampled_from(TOGETHER), max_size=4))
async def test_any_few_refusals_together_are_learned_too(checks: list[Check]) -> None:
    known = Profiles([("*", ASKED)], clock=lambda: 0)
    provider = Provider(checks)
    await learning(known, "m", provider.ask)
    before = provider.refused
    await learning(known, "m", provider.ask)
    assert provider.refused == before


async def test_tools_are_sent_as_long_as_the_model_takes_them() -> None:
    known = Profiles([("*", ASKED)], clock=lambda: 0)
    body = await learning(known, "m", Provider(FAMILIES["Gemini"]).ask)
    assert body["tools"][0]["function"]["parameters"]["properties"]["due"] == {"type": "string"}
