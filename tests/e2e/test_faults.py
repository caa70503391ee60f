"""Processes of the stack die: what the user sees, and that it comes back."""

import asyncio
import os
import signal

import aiohttp
import pytest

from tests.support.device import Device
from tests.support.stack import Running


async def mended(stack: Running, module: str, dead: int) -> None:
    """Waits until another process has taken the place of a dead one, and the stack is ready."""
    async with asyncio.timeout(40), aiohttp.ClientSession() as session:
        while stack.pid_of(module) in (0, dead):
            await asyncio.sleep(0.05)
        while True:
            async with session.get(f"{stack.origin}/readyz") as response:
                if response.status == 200:
                    return
            await asyncio.sleep(0.1)


async def answered(device: Device, message: str) -> str:
    """Asks, again while it is said that asking again may help."""
    async with asyncio.timeout(40):
        while True:
            answer = await device.ask(message)
            if answer.end["status"] == "completed":
                return answer.text
            assert answer.end["error"]["retryable"], answer.end
            await asyncio.sleep(0.2)


async def test_the_model_server_is_killed_mid_answer(stack: Running, device: Device) -> None:
    answer = await device.home("rehearse a slow answer of 400 words")
    await answer.until(lambda answer: len(answer.of("stream_text")) > 3)
    os.kill(stack.pid_of("devstack.offline_model"), signal.SIGKILL)
    await answer.ended()
    assert answer.end["status"] == "failed"
    assert answer.end["error"]["code"] == "model_truncated"
    assert answer.text.startswith("word1 word2 ")
    assert (await answered(device, "what is overdue?")).startswith("You have 2 overdue tasks.")
    assert "model died (killed by SIGKILL); starting it again in 0.25 s" in stack.log()


@pytest.mark.parametrize("module", ["agent_svc", "formatter_svc", "router_svc", "memory_svc"])
async def test_a_service_that_dies_is_started_again(
    stack: Running, device: Device, module: str
) -> None:
    running = None
    if module != "memory_svc":  # an answer under way needs it no more
        running = await device.home("rehearse a slow answer of 400 words")
        await running.until(lambda answer: len(answer.of("stream_text")) > 3)
    dead = stack.pid_of(module)
    os.kill(dead, signal.SIGKILL)
    if running is not None:
        await running.ended()
        assert running.end["status"] == "failed"
        assert running.end["error"]["code"] == "service_unavailable"
        assert running.end["error"]["retryable"] is True
    await mended(stack, module, dead)
    assert (await answered(device, "what is overdue?")).startswith("You have 2 overdue tasks.")
    name = module.removesuffix("_svc")
    assert f"{name} died (killed by SIGKILL); starting it again in" in stack.log()


async def test_the_edge_dies_and_takes_sockets_again(stack: Running) -> None:
    dead = stack.pid_of("edge")
    os.kill(dead, signal.SIGKILL)
    async with asyncio.timeout(40):
        while stack.pid_of("edge") in (0, dead):
            await asyncio.sleep(0.05)
        while True:
            try:
                opened = await Device.open(stack.origin)
            except aiohttp.ClientConnectionError:
                await asyncio.sleep(0.1)
                continue
            break
    async with opened as device:
        assert (await answered(device, "hello")).startswith("Hello!")
