"""`docker compose up` is ready to chat, over the published port."""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path

from tests.containers.compose import Compose
from tests.support.device import Device, remembered


async def test_the_terminal_client_registers_and_converses(stack: Compose, tmp_path: Path) -> None:
    asked = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", "client.terminal", "--url", stack.origin, "--message", "what is overdue?"),
        env=os.environ | {"STATE_DIR": str(tmp_path)},
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, err = await asyncio.wait_for(asked.communicate(), 60)
    assert asked.returncode == 0, err.decode()
    assert "overdue" in out.decode()
    assert "task:" in out.decode()


async def test_a_device_gets_text_a_chart_and_its_own_tasks(stack: Compose) -> None:
    async with await Device.open(stack.origin) as device:
        answer = await device.ask("show my overdue tasks as a chart", 60)
    assert answer.end["status"] == "completed"
    assert answer.text
    assert [task["item"]["id"] for task in answer.blocks["entity_ref"]] == ["t1", "t2"]
    assert answer.blocks["chart"]


async def test_what_is_said_is_remembered_by_the_database(stack: Compose) -> None:
    async with await Device.open(stack.origin) as device:
        await asyncio.wait_for(remembered(device), 60)
