"""What becomes of answers that nobody could use: over a device's socket, through every service."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, TypeAlias
from uuid import uuid4

from tests.support.edge_stack import DeviceSocket, Frame
from tests.support.model_server import Call, ModelServer, Reply, Request, answers, calls, says
from tests.support.whole import whole

CHOICE = answers({"agent": "task_agent", "confidence": 0.95, "reason": "It is about tasks."})
BROKEN = says('{"type":"chart","chartType":"bar","data":[]}')
Asking: TypeAlias = tuple[DeviceSocket, ModelServer]


@asynccontextmanager
async def asking(database_url: str, folder: Path, *replies: Reply) -> AsyncIterator[Asking]:
    """A device whose agent's model answers so, in turn."""
    left = list(replies)

    def script(request: Request) -> Reply:
        return CHOICE if "response_format" in request.body else left.pop(0)

    async with whole(database_url, folder, script) as there:
        yield await there.device(), there.model


async def ask(device: DeviceSocket, result: Callable[[Frame], Any] = lambda _: {}) -> list[Frame]:
    """The frames of one answer; tool calls are answered with what `result` gives."""
    await device.send("home_request", message="How do my tasks stand?", request_id=str(uuid4()))
    frames: list[Frame] = []
    while not frames or frames[-1]["type"] != "stream_end":
        frames.append(frame := await device.next())
        if frame["type"] == "tool_call":
            given = {"call_id": frame["call_id"], "result": result(frame)}
            await device.send("tool_result", **given)
    return frames


def text(frames: list[Frame]) -> str:
    return "".join(frame["chunk"] for frame in frames if frame["type"] == "stream_text")


async def test_an_answer_that_could_not_be_shown_is_mended(
    database_url: str, tmp_path: Path
) -> None:
    mended = says('{"type":"text","content":"Two are open."}')
    async with asking(database_url, tmp_path, BROKEN, mended) as (device, model):
        frames = await ask(device)
        assert text(frames) == "Two are open."
        assert frames[-1]["status"] == "completed"
        assert len(model.chats) == 2
        assert "chart" in model.chats[-1].messages[-1]["content"]


async def test_one_that_cannot_be_mended_is_empty(database_url: str, tmp_path: Path) -> None:
    async with asking(database_url, tmp_path, BROKEN, BROKEN) as (device, _):
        frames = await ask(device)
        assert text(frames) == ""
        assert frames[-1]["error"]["code"] == "model_empty"
        assert frames[-1]["error"]["retryable"]
        assert [block["block_type"] for block in frames[-1]["skipped"]] == ["chart", "chart"]


async def test_silence_is_asked_about_once(database_url: str, tmp_path: Path) -> None:
    async with asking(database_url, tmp_path, says(), says("Two."), says(), says()) as (device, _):
        assert text(await ask(device)) == "Two."
        assert (await ask(device))[-1]["error"]["code"] == "model_empty"


async def test_silence_after_a_change_is_an_answer(database_url: str, tmp_path: Path) -> None:
    create = Call("create_task", {"title": "Pay the rent"})
    async with asking(database_url, tmp_path, calls(create), says()) as (device, _):
        item = {"id": "t1", "title": "Pay the rent", "status": "todo"}
        end = (await ask(device, lambda _: {"item": item}))[-1]
        assert end["status"] == "completed"
        assert [mutation["id"] for mutation in end["mutations"]] == ["t1"]


async def test_thinking_reaches_nobody(database_url: str, tmp_path: Path) -> None:
    thought = "<think>a secret plan</think>"
    script = [
        calls(Call("list_tasks"), text=[thought, '{"type":"text","content":"Wait. "}']),
        says("<thi", "nk>a secret plan</think>", '{"type":"text","content":"Done."}'),
    ]
    async with asking(database_url, tmp_path, *script) as (device, model):
        frames = await ask(device, lambda _: {"items": []})
        assert text(frames).split() == ["Wait.", "Done."]
        assert "secret" not in str(frames)
        # The model reads its own thinking in the next round, as it wrote it.
        assert thought in model.chats[-1].messages[-2]["content"]
