"""Classifying, against a scripted provider over HTTP."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from router_svc.intent import Classifier
from router_svc.routing import Question, Verdict
from runtime.model import client as model
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
            yield Classifier(client, "m", timeout_s=timeout_s, min_confidence=0.5), server


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
