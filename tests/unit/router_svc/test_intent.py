"""Classifying, against a scripted provider over HTTP."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import orjson
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from router_svc.intent import Classifier
from router_svc.routing import Question, Verdict
from runtime.model import client as model
from runtime.model.breaker import STRIKES
from runtime.model.client import ModelSettings
from switchboard.v3.agent_pb2 import Surface
from switchboard.v3.frames_pb2 import Scope, Usage
from tests.support.model_server import ModelServer, Reply, answers, fails, says

POPUP = Question(Surface.SURFACE_POPUP, "How long?", scope=Scope(type="project"))
GOOD = {"agent": "note_agent", "confidence": 0.9, "reason": "they said: How long?"}


@asynccontextmanager
async def classifier(
    *replies: Reply, timeout_s: float = 2
) -> AsyncIterator[tuple[Classifier, ModelServer]]:
    async with ModelServer(list(replies)) as server:
        settings = ModelSettings(openai_base_url=server.url)
        async with model.client(settings) as client:
            asks = Classifier(
                client, "m", settings.profiles(), timeout_s=timeout_s, min_confidence=0.5
            )
            yield asks, server
            await asks.close()


async def verdict_on(*replies: Reply, timeout_s: float = 2) -> Verdict:
    async with classifier(*replies, timeout_s=timeout_s) as (asks, _):
        return await asks.classify_intent(POPUP)


async def test_one_strict_completion_decides() -> None:
    async with classifier(answers(GOOD, usage=(40, 9))) as (asks, server):
        verdict = await asks.classify_intent(POPUP)
        assert verdict == Verdict(
            "note_agent", 0.9, "model", Usage(input_tokens=40, output_tokens=9, model_calls=1)
        )
        (request,) = server.requests
        assert request.body["model"] == "m"
        assert request.body["response_format"]["type"] == "json_schema"
        assert not request.body.get("stream")


@pytest.mark.parametrize(
    ("reply", "why"),
    [
        (answers(GOOD | {"confidence": 0.3}), "model unsure"),
        (answers(GOOD | {"agent": "general_agent"}), "model answer invalid"),
        (answers("note_agent"), "model answer invalid"),
        (says("I would rather not."), "model answer invalid"),
        (
            says(*['{"agent":"note_agent","confidence":0.9}'], finish="length"),
            "model answer invalid",
        ),
        (fails(429, headers={"retry-after": "1"}), "model status 429"),
        (fails(500), "model status 500"),
        (fails(401), "model status 401"),
    ],
)
async def test_an_answer_that_cannot_be_followed_falls_back(reply: Reply, why: str) -> None:
    verdict = await verdict_on(reply)
    assert (verdict.agent, verdict.confidence) == ("project_agent", 0)
    assert verdict.reason == f"scope: project - {why}"
    assert verdict.usage.model_calls == 1


async def test_a_provider_that_reports_no_usage_is_estimated() -> None:
    verdict = await verdict_on(answers(GOOD, usage=None))
    assert verdict.agent == "note_agent"
    assert verdict.usage.estimated
    assert verdict.usage.input_tokens > 50
    assert verdict.usage.output_tokens > 5


async def test_a_slow_model_is_given_up_and_its_call_closed() -> None:
    gate = asyncio.Event()
    async with classifier(Reply([gate]), timeout_s=0.2) as (asks, server):
        verdict = await asks.classify_intent(POPUP)
        assert verdict.reason == "scope: project - model slow"
        assert verdict.usage.estimated
        async with asyncio.timeout(5):
            await (await server.request(0)).closed.wait()


async def test_a_model_that_is_not_there_falls_back() -> None:
    async with classifier() as (asks, server):
        await server.stop()
        verdict = await asks.classify_intent(POPUP)
        assert verdict.reason == "scope: project - model not reached"


async def test_a_page_in_place_of_an_answer_tells_the_operator_where_to_look(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def page(_: web.Request) -> web.Response:
        return web.Response(text="<html>Sign in</html>", content_type="text/html")

    app = web.Application()
    app.router.add_post("/chat/completions", page)
    async with TestServer(app) as server:
        settings = ModelSettings(openai_base_url=str(server.make_url("/")))
        async with model.client(settings) as client:
            asks = Classifier(client, "m", settings.profiles(), timeout_s=5, min_confidence=0.5)
            verdict = await asks.classify_intent(POPUP)
            await asks.close()
    assert verdict.reason.endswith("model answer unreadable")
    assert "is OPENAI_BASE_URL (or ROUTER_BASE_URL) right" in caplog.text
    assert "AttributeError" not in caplog.text


async def test_a_cancel_is_not_swallowed() -> None:
    gate = asyncio.Event()
    async with classifier(Reply([gate]), timeout_s=10) as (asks, server):
        task = asyncio.create_task(asks.classify_intent(POPUP))
        request = await server.request(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        async with asyncio.timeout(5):
            await request.closed.wait()


@pytest.mark.parametrize(
    "reply",
    [
        says("Sure:\n```json\n", '{"agent": "note", "confidence": "90%",}', "\n```"),
        says('<think>{"agent":"task_agent","confidence":1}?</think>', orjson.dumps(GOOD).decode()),
    ],
)
async def test_an_answer_in_another_dress_decides_too(reply: Reply) -> None:
    verdict = await verdict_on(reply)
    assert (verdict.agent, verdict.confidence, verdict.reason) == ("note_agent", 0.9, "model")


async def test_a_model_without_schemas_is_told_the_form_in_its_prompt_from_then_on() -> None:
    no_schema = fails(400, error="response_format of type 'json_schema' is not supported")
    no_json = fails(400, error="This response_format type is unavailable now")
    async with classifier(no_schema, no_json, answers(GOOD), answers(GOOD)) as (asks, server):
        for _ in range(2):
            verdict = await asks.classify_intent(POPUP)
            assert (verdict.reason, verdict.usage.model_calls) == ("model", 1)
        forms = [each.body.get("response_format", {}).get("type") for each in server.requests]
        assert forms == ["json_schema", "json_object", None, None]
        prompts = [each.body["messages"][0]["content"] for each in server.requests]
        assert ["JSON object" in each for each in prompts] == [False, True, True, True]


async def test_a_model_that_keeps_missing_its_time_is_left_alone_and_probed() -> None:
    gate = asyncio.Event()
    slow = [Reply([gate])] * STRIKES
    async with classifier(*slow, answers(GOOD), answers(GOOD), timeout_s=0.1) as (asks, server):
        for _ in range(STRIKES):
            assert (await asks.classify_intent(POPUP)).reason.endswith("model slow")
        verdict = await asks.classify_intent(POPUP)
        assert verdict == Verdict("project_agent", 0, "scope: project - model resting", Usage())
        assert len(server.requests) == STRIKES
        asks._breaker._until = 0  # the rest is over
        assert (await asks.classify_intent(POPUP)).reason.endswith("model resting")
        async with asyncio.timeout(5):
            while (await asks.classify_intent(POPUP)).reason != "model":
                await asyncio.sleep(0.01)


async def test_a_wrong_key_is_told_once_and_not_asked_for_every_message(
    caplog: pytest.LogCaptureFixture,
) -> None:
    wrong = fails(401, error="bad key", code="invalid_api_key")
    async with classifier(wrong) as (asks, server):
        reasons = [(await asks.classify_intent(POPUP)).reason for _ in range(5)]
        assert (
            reasons
            == ["scope: project - model status 401"] + ["scope: project - model resting"] * 4
        )
        assert len(server.requests) == 1
    assert [each.getMessage() for each in caplog.records if each.levelname == "ERROR"] == [
        "model call failed (classify): model_misconfigured: status 401, code invalid_api_key,"
        " bad key - is the API key right (OPENAI_API_KEY or ROUTER_API_KEY), and may it use"
        " this model?"
    ]
