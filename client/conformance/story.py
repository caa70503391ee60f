"""What a story is made of: the list of promises, and the moves that many stories share."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final

from client.conformance.device import Device, Frame, holds
from client.conformance.server import Account, Server

Story = Callable[[Server, Account], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Promise:
    """One promise and the story that tries it."""

    section: str
    says: str
    story: Story
    rehearsed: bool


PROMISES: Final[list[Promise]] = []

TASK: Final[Frame] = {"id": "task-1", "title": "Water the plants", "status": "todo", "x-own": 1}
LIST: Final = "list my tasks"
"""A message that makes any model read the tasks."""


def promise(section: str, says: str, *, rehearsed: bool = False) -> Callable[[Story], Story]:
    """Enters a story into the list."""

    def enter(story: Story) -> Story:
        PROMISES.append(Promise(section, says, story, rehearsed))
        return story

    return enter


async def answer_tools(device: Device, request_id: str, items: list[Frame] | None = None) -> Frame:
    """Answers every read of a request with the same items until it ends."""
    end = asyncio.create_task(device.end(request_id, within=60))
    call: asyncio.Task[Frame] | None = None
    try:
        while True:
            call = call or asyncio.create_task(
                device.expect("tool_call", within=60, request_id=request_id)
            )
            await asyncio.wait({end, call}, return_when=asyncio.FIRST_COMPLETED)
            if end.done():
                return end.result()
            result = {"items": [TASK] if items is None else items}
            await device.send("tool_result", call_id=call.result()["call_id"], result=result)
            call = None
    finally:
        for task in (end, call):
            if task is not None:
                task.cancel()


async def refused(device: Device, code: str, send: Awaitable[None]) -> Frame:
    """Sends something that must be answered by an `error` of this code and nothing else."""
    await send
    error = await device.expect("error")
    holds(error["code"] == code, f"error {error['code']} instead of {code}")
    holds(isinstance(error.get("message"), str), "the error has no message")
    holds(isinstance(error.get("retryable"), bool), "the error does not say if it is retryable")
    return error
