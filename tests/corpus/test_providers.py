"""Bodies and errors with the departures of providers, through the agent service over HTTP."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import orjson
import pytest

from switchboard.v3.agent_pb2 import RunEnd, RunOutput
from switchboard.v3.errors_pb2 import ErrorCode
from switchboard.v3.frames_pb2 import EndStatus
from tests.support.agents import Agents, agents
from tests.support.model_server import Reply, Request, fails, raw, says

FOLDER = Path(os.environ.get("CORPUS", ".")) / "providers"

# The file has it as truncated; but an answer of thinking alone is asked for once more, and then
# it is an empty one.
OTHERWISE = {"fin_only_reasoning": "MODEL_EMPTY"}


def lines(name: str) -> list[dict[str, Any]]:
    path = FOLDER / name
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()]


@pytest.mark.parametrize(
    "case", lines("streams.jsonl") if FOLDER.exists() else [], ids=lambda case: case["name"]
)
@pytest.mark.parametrize("size", [None, 1], ids=["whole", "byte by byte"])
async def test_streams(case: dict[str, Any], size: int | None) -> None:
    """What is shown, which calls reach the device, and how the run ends are as the file says."""
    body = case["body"].encode()
    pieces = [body] if size is None else [body[at : at + 1] for at in range(len(body))]

    def script(request: Request) -> Reply:
        told = any(message["role"] == "tool" for message in request.messages)
        return says("|end") if told else raw(*pieces)

    async with agents(script) as there:
        said, calls, end = await run(there)
    wanted = OTHERWISE.get(case["name"], case["end"])
    if wanted is not None:
        assert outcome(end) == wanted
    if case["text"] is not None:
        assert said.partition("|end")[0].rstrip() == case["text"]
    if case["calls"] is not None:
        assert calls == [(name, json.loads(arguments)) for name, arguments in case["calls"]]


async def run(there: Agents) -> tuple[str, list[tuple[str, Any]], RunEnd]:
    """What one run says, which tools it calls, and how it ends; each tool returns nothing."""
    said, calls = "", []
    async with there.run(agent_name="general_agent") as run:
        while True:
            output: RunOutput = await run.next()
            said += output.text.text
            if output.HasField("tool_call"):
                call = output.tool_call.call
                calls.append((call.name, orjson.loads(call.arguments.utf8)))
                await run.answer(output.tool_call, result={"items": []})
            if output.HasField("end"):
                return said, calls, output.end


def outcome(end: RunEnd) -> str:
    if end.status == EndStatus.END_STATUS_COMPLETED:
        return "COMPLETED"
    return ErrorCode.Name(end.error.code).removeprefix("ERROR_CODE_")


WANTED: dict[str, Callable[[RunEnd, int], bool]] = {
    "not retryable": lambda end, asked: not end.error.retryable,
    "says too long": lambda end, asked: outcome(end) == "CONTEXT_TOO_LONG",
    "refused": lambda end, asked: outcome(end) == "MODEL_REFUSED" and asked == 1,
    "rate limited at once, 60 s told": lambda end, asked: (
        outcome(end) == "MODEL_RATE_LIMITED" and end.error.retry_after_ms == 60_000 and asked == 1
    ),
    "rate limited": lambda end, asked: (
        outcome(end) == "MODEL_RATE_LIMITED" and end.error.HasField("retry_after_ms") and asked == 1
    ),
    "retried": lambda end, asked: end.error.retryable and asked == 3,
}


@pytest.mark.parametrize(
    "case", lines("errors.jsonl") if FOLDER.exists() else [], ids=lambda case: case["name"]
)
async def test_errors(case: dict[str, Any]) -> None:
    """A provider that keeps refusing, and one that does so once."""

    def refusal() -> Reply:
        return fails(case["status"], headers=case["headers"], body=case["body"])

    async with agents(lambda _: refusal()) as there:
        _, _, end = await run(there)
        asked = len(there.model.chats)
    assert end.status == EndStatus.END_STATUS_FAILED
    assert case["body"]["error"]["message"] not in end.error.message
    if case["want"] == "answers without it":

        def picky(request: Request) -> Reply:
            refused = case["body"]["error"]["param"] in request.body
            return refusal() if refused else says("Hi.")

        async with agents(picky) as there:
            for calls in (2, 3):  # the second run knows
                said, _, end = await run(there)
                assert (said, outcome(end), len(there.model.chats)) == ("Hi.", "COMPLETED", calls)
    else:
        assert WANTED[case["want"]](end, asked)
    if case["want"] == "retried":
        async with agents([refusal(), says("Hi.")]) as there:
            said, _, end = await run(there)
        assert (said, outcome(end)) == ("Hi.", "COMPLETED")
