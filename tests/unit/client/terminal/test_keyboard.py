"""What the user types, on a real terminal: the client asks before it deletes."""

import asyncio
import contextlib
import os
import pty
import signal
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.support.ws_server import Peer, Script, WsServer, serve


class Terminal:
    """A client on a terminal of its own."""

    def __init__(self, process: asyncio.subprocess.Process, handle: int) -> None:
        self._process = process
        self._handle = handle
        self._seen = b""
        self._changed = asyncio.Event()
        asyncio.get_running_loop().add_reader(handle, self._read)

    def _read(self) -> None:
        try:
            self._seen += os.read(self._handle, 65_536)
        except OSError:  # the other end is closed
            asyncio.get_running_loop().remove_reader(self._handle)
        self._changed.set()

    async def shows(self, text: str) -> str:
        """Waits for a text, and returns what was seen up to it; the rest is for the next."""
        async with asyncio.timeout(20):
            while text.encode() not in self._seen:
                self._changed.clear()
                await self._changed.wait()
        seen, _, self._seen = self._seen.partition(text.encode())
        return seen.decode()

    def type(self, text: str) -> None:
        os.write(self._handle, text.encode())

    async def exit_status(self) -> int:
        async with asyncio.timeout(20):
            return await self._process.wait()


@contextlib.asynccontextmanager
async def terminal(server: WsServer, state: Path, *arguments: str) -> AsyncIterator[Terminal]:
    ours, theirs = pty.openpty()
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "client.terminal", "--url", server.url, *arguments),
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        env={"PATH": os.environ["PATH"], "STATE_DIR": str(state), "PYTHONUTF8": "1"},
        start_new_session=True,
        preexec_fn=lambda: os.close(os.open(os.ttyname(0), os.O_RDWR)),
    )
    os.close(theirs)
    try:
        yield Terminal(process, ours)
    finally:
        asyncio.get_running_loop().remove_reader(ours)
        with contextlib.suppress(ProcessLookupError):
            process.send_signal(signal.SIGKILL)
        await process.wait()
        os.close(ours)


def deleting(results: list[object], **more: object) -> Script:
    """A server that has task-1 deleted and says what came of it; `more`: of its call."""

    async def script(peer: Peer) -> None:
        await peer.ready()
        rid = (await peer.receive("home_request"))["request_id"]
        await peer.send(
            "tool_call",
            request_id=rid,
            seq=1,
            call_id="c",
            name="delete_task",
            arguments={"id": "task-1"},
            deadline_ms=30_000,
            requires_approval=True,
            **more,
        )
        result = await peer.receive("tool_result")
        results.append({k: v for k, v in result.items() if k in ("result", "rejected", "error")})
        await peer.send("stream_text", request_id=rid, seq=2, chunk="So be it.")
        await peer.send("stream_end", request_id=rid, seq=3, status="completed")
        await peer.closed()

    return script


@pytest.mark.parametrize(
    "typed, told",
    [
        ("y", {"result": {"id": "task-1"}}),
        ("", {"rejected": {"reason": "the user said no"}}),
        ("not before Friday", {"rejected": {"reason": "not before Friday"}}),
    ],
)
async def test_a_delete_is_asked_about(tmp_path: Path, typed: str, told: object) -> None:
    results: list[object] = []
    async with serve(deleting(results)) as server, terminal(server, tmp_path) as screen:
        await screen.shows(">")
        screen.type("delete it\n")
        await screen.shows("Delete task “Fix the login redirect”? [y/N, or why not]")
        screen.type(f"{typed}\n")
        await screen.shows("So be it.")
        await screen.shows(">")
        screen.type("/quit\n")
        assert await screen.exit_status() == 0
    assert results == [told]


async def test_who_is_asked_learns_that_others_may_have_had_a_say(tmp_path: Path) -> None:
    for more, told in (({"untrusted": True}, True), ({}, False)):
        async with (
            serve(deleting([], **more)) as server,
            terminal(server, tmp_path / str(told)) as screen,
        ):
            await screen.shows(">")
            screen.type("delete it\n")
            before = await screen.shows("Delete task “Fix the login redirect”?")
            assert ("text that others may have written" in before) is told
            screen.type("n\n")
            await screen.shows("So be it.")


async def test_a_yes_that_was_typed_before_the_question_does_not_count(tmp_path: Path) -> None:
    results: list[object] = []
    async with serve(deleting(results)) as server, terminal(server, tmp_path) as screen:
        await screen.shows(">")
        screen.type("delete it\ny\n")
        await screen.shows("[y/N, or why not]")
        screen.type("no\n")
        await screen.shows("So be it.")
    assert results == [{"rejected": {"reason": "the user said no"}}]


async def test_ctrl_c_stops_the_answer_and_the_next_leaves(tmp_path: Path) -> None:
    async def script(peer: Peer) -> None:
        await peer.ready()
        rid = (await peer.receive("home_request"))["request_id"]
        await peer.send("stream_text", request_id=rid, seq=1, chunk="Once upon a time")
        await peer.receive("cancel")
        await peer.send("stream_end", request_id=rid, seq=2, status="cancelled")
        await peer.closed()

    async with serve(script) as server, terminal(server, tmp_path) as screen:
        await screen.shows(">")
        screen.type("tell me a story\n")
        await screen.shows("Once upon a time")
        screen.type("\x03")
        await screen.shows("cancelled")
        await screen.shows(">")
        screen.type("\x03")
        assert await screen.exit_status() == 0
