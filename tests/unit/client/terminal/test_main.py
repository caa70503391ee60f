"""The client as a process, against a scripted server: what its user sees."""

import asyncio
import os
import re
import signal
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.support.ws_server import Peer, WsServer, serve

CHART = {
    "chartType": "bar",
    "title": "Overdue",
    "data": [{"who": "Sam", "tasks": 2}, {"who": "Alex", "tasks": 1}],
    "config": {"tasks": {"label": "Tasks", "color": "var(--chart-1)"}},
}


@dataclass
class Ran:
    status: int | None
    out: str
    err: str


async def start(server: WsServer | str, state: Path, *arguments: str) -> asyncio.subprocess.Process:
    url = server if isinstance(server, str) else server.url
    keep = {key: os.environ[key] for key in ("PATH", "HOME") if key in os.environ}
    return await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "client.terminal", "--url", url, *arguments),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env={**keep, "STATE_DIR": str(state), "TZ": "Europe/Vienna", "PYTHONUTF8": "1"},
    )


async def run(server: WsServer | str, state: Path, *arguments: str, typed: str = "") -> Ran:
    process = await start(server, state, *arguments)
    async with asyncio.timeout(30):
        out, err = await process.communicate(typed.encode())
    return Ran(process.returncode, out.decode(), err.decode())


async def call(peer: Peer, request_id: str, seq: int, name: str, **arguments: Any) -> Any:
    await peer.send(
        "tool_call",
        request_id=request_id,
        seq=seq,
        call_id=f"call-{seq}",
        name=name,
        arguments=arguments,
        deadline_ms=30_000,
        requires_approval=name.startswith("delete_"),
    )
    return await peer.receive("tool_result")


async def test_asks_once_runs_tools_prints_text_and_blocks_and_exits_0(tmp_path: Path) -> None:
    seen: dict[str, Any] = {}

    async def script(peer: Peer) -> None:
        seen["hello"] = await peer.ready()
        seen["authorization"] = peer.authorization
        asked = await peer.receive("home_request")
        seen["asked"] = asked
        rid = asked["request_id"]
        await peer.send("stream_start", request_id=rid, seq=1)
        listed = await call(peer, rid, 2, "list_tasks", overdue=True)
        items = listed["result"]["items"]
        seen["titles"] = [item["title"] for item in items]
        await peer.send("stream_text", request_id=rid, seq=3, chunk="You have over")
        await peer.send("stream_text", request_id=rid, seq=4, chunk="due tasks.")
        await peer.send("stream_block", request_id=rid, seq=5, block_type="chart", data=CHART)
        data = {"entity": "task", "item": items[0]}
        await peer.send("stream_block", request_id=rid, seq=6, block_type="entity_ref", data=data)
        await peer.send("stream_end", request_id=rid, seq=7, status="completed")
        await peer.closed()

    async with serve(script) as server:
        ran = await run(server, tmp_path, "--message", "what is overdue?")
    assert ran.status == 0, ran.err
    assert "You have overdue tasks.\n" in ran.out
    assert "Overdue" in ran.out and "█" in ran.out
    assert "task: Return the old router" in ran.out
    assert ran.err == "· list_tasks\n"
    assert seen["titles"][0] == "Return the old router" and len(seen["titles"]) == 4
    assert seen["asked"]["message"] == "what is overdue?"
    assert seen["authorization"] == "Bearer access-2"
    assert seen["hello"]["protocol"] == 3 and seen["hello"]["timezone"] == "Europe/Vienna"
    assert "list_tasks" in seen["hello"]["tools"]


async def test_a_failed_answer_says_why_and_exits_1(tmp_path: Path) -> None:
    async def script(peer: Peer) -> None:
        await peer.ready()
        rid = (await peer.receive())["request_id"]
        await peer.send("stream_start", request_id=rid, seq=1)
        await peer.send("stream_text", request_id=rid, seq=2, chunk="Half an ans")
        error = {"code": "model_truncated", "message": "It broke off.", "retryable": True}
        await peer.send("stream_end", request_id=rid, seq=3, status="failed", error=error)

    async with serve(script) as server:
        ran = await run(server, tmp_path, "--message", "hello")
    assert (ran.status, ran.out) == (1, "Half an ans\n")
    assert ran.err == "failed: It broke off. (model_truncated)\n"


async def test_a_server_that_is_not_there_is_one_clear_line(tmp_path: Path) -> None:
    ran = await run("http://127.0.0.1:9", tmp_path, "--message", "hello")
    assert (ran.status, ran.out) == (1, "")
    assert ran.err == "cannot reach the server at http://127.0.0.1:9: is it running?\n"


async def test_ctrl_c_cancels_the_answer(tmp_path: Path) -> None:
    begun = asyncio.Event()

    async def script(peer: Peer) -> None:
        await peer.ready()
        rid = (await peer.receive("home_request"))["request_id"]
        await peer.send("stream_start", request_id=rid, seq=1)
        await call(peer, rid, 2, "list_tasks")
        begun.set()
        assert (await peer.receive("cancel"))["request_id"] == rid
        await peer.send("stream_end", request_id=rid, seq=3, status="cancelled")

    async with serve(script) as server, asyncio.timeout(30):
        process = await start(server, tmp_path, "--message", "tell me a long story")
        await begun.wait()
        process.send_signal(signal.SIGINT)
        _, err = await process.communicate()
    assert process.returncode == 130
    assert err.decode().endswith("cancelled\n")


async def test_a_second_ctrl_c_quits_although_the_server_says_nothing(tmp_path: Path) -> None:
    begun, cancelled = asyncio.Event(), asyncio.Event()

    async def script(peer: Peer) -> None:
        await peer.ready()
        await peer.receive("home_request")
        begun.set()
        await peer.receive("cancel")
        cancelled.set()
        await peer.closed()

    async with serve(script) as server, asyncio.timeout(30):
        process = await start(server, tmp_path, "--message", "tell me a long story")
        await begun.wait()
        process.send_signal(signal.SIGINT)
        await cancelled.wait()
        process.send_signal(signal.SIGINT)
        await process.communicate()
    assert process.returncode == 130


async def test_a_conversation_over_lines_carries_its_history_and_its_data(tmp_path: Path) -> None:
    asked: list[dict[str, Any]] = []

    async def script(peer: Peer) -> None:
        await peer.ready()
        for text in ("Hello you.", "Done."):
            frame = await peer.receive()
            asked.append(frame)
            rid = frame["request_id"]
            if frame["type"] == "popup_request":
                await peer.send("popup_domain", request_id=rid, seq=1, domain="tasks")
                await call(peer, rid, 2, "complete_task", id="task-1")
                refused = await call(peer, rid, 3, "delete_task", id="task-2")
                assert refused["rejected"] == {"reason": "nobody is there to be asked"}
            await peer.send("stream_text", request_id=rid, seq=9, chunk=text)
            await peer.send("stream_end", request_id=rid, seq=10, status="completed")
        await peer.closed()

    async with serve(script) as server:
        typed = "hello\n/popup task task-1\nfinish it\n"
        ran = await run(server, tmp_path, typed=typed)
    assert ran.status == 0, ran.err
    assert ran.out == "Hello you.\nDone.\n"
    assert asked[1]["scope"] == {"type": "task", "id": "task-1"}
    assert asked[1]["conversation_history"] == [
        {"role": "user", "content": "hello"},
        {"role": "assistant", "content": "Hello you."},
    ]
    (store,) = tmp_path.rglob("store.json")
    assert re.search(r'"id": "task-1",[^}]*"status": "done"', store.read_text())
    assert '"task-2"' in store.read_text()


@pytest.mark.parametrize("code, reason", [(4409, "superseded"), (4400, "bad hello")])
async def test_a_close_that_is_final_is_told_and_not_tried_again(
    tmp_path: Path, code: int, reason: str
) -> None:
    async def script(peer: Peer) -> None:
        await peer.ready()
        await peer.receive("home_request")
        await peer.socket.close(code=code, message=reason.encode())

    async with serve(script) as server:
        ran = await run(server, tmp_path, "--message", "hello")
    assert ran.status == 1
    assert ran.err == f"the server closed the connection: {reason} ({code})\n"


async def test_what_the_server_says_cannot_drive_the_terminal(tmp_path: Path) -> None:
    async def script(peer: Peer) -> None:
        await peer.ready()
        rid = (await peer.receive())["request_id"]
        await peer.send("stream_text", request_id=rid, seq=1, chunk="a\x1b]0;owned\x07\x9b2J\rb")
        error = {"code": "internal", "message": "\x1b[31mred\x1b[0m", "retryable": False}
        await peer.send("stream_end", request_id=rid, seq=2, status="failed", error=error)

    async with serve(script) as server:
        ran = await run(server, tmp_path, "--message", "hello")
    assert ran.out == "a␛]0;owned␇\ufffd2Jb\n"
    assert "\x1b" not in ran.out + ran.err and "␛[31mred" in ran.err


async def test_two_clients_do_not_share_one_store(tmp_path: Path) -> None:
    begun = asyncio.Event()

    async def script(peer: Peer) -> None:
        await peer.ready()
        await peer.receive("home_request")
        begun.set()
        await peer.closed()

    async with serve(script) as server, asyncio.timeout(30):
        first = await start(server, tmp_path, "--message", "one")
        await begun.wait()
        second = await run(server, tmp_path, "--message", "two")
        first.kill()
        await first.communicate()
    assert second.status == 1
    assert second.err == "another terminal client is using this account; leave it first\n"
