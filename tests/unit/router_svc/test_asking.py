"""Asking for the agent by the Responses API, against a scripted provider over HTTP."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any, Literal

import orjson
import pytest

from router_svc.intent import Classifier
from router_svc.routing import Question
from runtime.model import client as model
from runtime.model.client import TextModelSettings
from runtime.model.profiles import Changes
from switchboard.v3.agent_pb2 import Surface
from switchboard.v3.frames_pb2 import ChatMessage, Role, Usage
from tests.support.model_server import Reply, answers, fails, says
from tests.support.responses_server import Refusal, ResponsesServer, Thought, responds

QUESTION = Question(
    Surface.SURFACE_HOME,
    "And what is late?",
    history=[
        ChatMessage(role=Role.ROLE_USER, content="What is due?"),
        ChatMessage(role=Role.ROLE_ASSISTANT, content="Two tasks."),
    ],
)
GOOD = {"agent": "task_agent", "confidence": 0.9, "reason": "late"}
TEXT = orjson.dumps(GOOD).decode()


@asynccontextmanager
async def classifier(
    *replies: Reply,
    api: Literal["chat", "responses"] = "responses",
    profile: Sequence[tuple[str, Changes]] = (),
) -> AsyncIterator[tuple[Classifier, ResponsesServer]]:
    async with ResponsesServer(list(replies)) as server:
        settings = TextModelSettings(openai_base_url=server.url, openai_api=api)
        async with model.client(settings) as client:
            profiles = settings.profiles(*profile)
            asks = Classifier(client, "m", profiles, timeout_s=5, min_confidence=0.5)
            yield asks, server
            await asks.close()


def forms(server: ResponsesServer) -> list[Any]:
    """The form that each request for a response asked for."""
    return [each.body.get("text", {}).get("format", {}).get("type") for each in server.requests]


async def test_one_response_decides() -> None:
    async with classifier(answers(GOOD, usage=(40, 9))) as (asks, server):
        verdict = await asks.classify_intent(QUESTION)
        assert (verdict.agent, verdict.confidence, verdict.reason) == ("task_agent", 0.9, "model")
        assert verdict.usage == Usage(input_tokens=40, output_tokens=9, model_calls=1)
        (request,) = server.requests
        said = [(each["role"], each["content"]) for each in request.body["input"]]
        assert said[0][0] == "system"
        assert said[1:] == [
            ("user", "What is due?"),
            ("assistant", "Two tasks."),
            ("user", "And what is late?"),
        ]
        wanted = request.body["text"]["format"]
        assert (wanted["type"], wanted["name"], wanted["strict"]) == ("json_schema", "route", True)
        assert "task_agent" in wanted["schema"]["properties"]["agent"]["enum"]
        assert request.body["store"] is False
        assert not request.body.keys() & {"messages", "response_format", "stream"}


async def test_what_the_profile_tells_has_its_name_there() -> None:
    told = {"quick_reasoning_effort": "low", "max_output_tokens": 300, "extra_body": {"top_k": 1}}
    async with classifier(answers(GOOD), profile=[("m", told)]) as (asks, server):
        assert (await asks.classify_intent(QUESTION)).reason == "model"
        (request,) = server.requests
        assert request.body["reasoning"] == {"effort": "low"}
        assert request.body["max_output_tokens"] == 300
        assert request.body["top_k"] == 1
        assert not request.body.keys() & {"reasoning_effort", "max_completion_tokens"}


async def test_a_model_without_schemas_is_told_the_form_in_words_from_then_on() -> None:
    refused = [
        fails(
            400,
            body={"error": {"message": f"Unsupported value: '{form}'.", "param": "text.format"}},
        )
        for form in ("json_schema", "json_object")
    ]
    async with classifier(*refused, answers(GOOD), answers(GOOD)) as (asks, server):
        for _ in range(2):
            assert (await asks.classify_intent(QUESTION)).reason == "model"
        assert forms(server) == ["json_schema", "json_object", None, None]
        prompts = [each.body["input"][0]["content"] for each in server.requests]
        assert ["JSON object" in each for each in prompts] == [False, True, True, True]


async def test_a_model_that_only_has_responses_is_asked_by_them_from_then_on() -> None:
    only = fails(
        404,
        error="This model is only supported in v1/responses and not in v1/chat/completions.",
    )
    replies = (only, answers(GOOD), answers(GOOD))
    async with classifier(*replies, api="chat") as (asks, server):
        for _ in range(2):
            assert (await asks.classify_intent(QUESTION)).reason == "model"
        assert ["input" in each.body for each in server.requests] == [False, True, True]


async def test_a_server_without_responses_is_asked_by_completions_from_then_on() -> None:
    missing = fails(404, body={"detail": "Not Found"})
    async with classifier(missing, answers(GOOD), answers(GOOD)) as (asks, server):
        for _ in range(2):
            assert (await asks.classify_intent(QUESTION)).reason == "model"
        assert ["input" in each.body for each in server.requests] == [True, False, False]


@pytest.mark.parametrize(
    "reply",
    [
        responds(Thought("Tasks, I think."), TEXT),
        says(TEXT[:9], TEXT[9:]),
        says(f"Tasks?</think>```json\n{TEXT}\n```"),
        Reply([TEXT], usage=None),
    ],
)
async def test_an_answer_in_another_dress_decides_too(reply: Reply) -> None:
    async with classifier(reply) as (asks, _):
        verdict = await asks.classify_intent(QUESTION)
        assert (verdict.agent, verdict.reason) == ("task_agent", "model")


@pytest.mark.parametrize(
    ("reply", "why"),
    [
        (responds(Refusal("I cannot.")), "model answer invalid"),
        (says(TEXT, finish="length"), "model answer invalid"),
        (says(TEXT, finish="server_error"), "model answer invalid"),
        (responds(Thought("Hm.")), "model answer invalid"),
        (fails(401), "model status 401"),
    ],
)
async def test_an_answer_that_cannot_be_followed_falls_back(reply: Reply, why: str) -> None:
    async with classifier(reply) as (asks, _):
        assert (await asks.classify_intent(QUESTION)).reason.endswith(f" - {why}")


@pytest.mark.parametrize("output", [None, [], [None], "x", [{"type": "message"}], [{"content": 1}]])
async def test_a_response_of_any_shape_does_no_harm(output: object) -> None:
    response = {"object": "response", "status": "completed", "output": output}
    async with classifier(fails(201, body=response)) as (asks, _):
        verdict = await asks.classify_intent(QUESTION)
        assert verdict.agent in QUESTION.offered
        assert " - model answer " in verdict.reason
