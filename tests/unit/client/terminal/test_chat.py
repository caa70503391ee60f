"""The conversation: what is shown, what is sent, and how answers end."""

import asyncio
import io
from typing import Any

from rich.console import Console

from client.terminal.chat import Chat, Ending
from client.terminal.device import Call, Device
from client.terminal.render import Screen
from client.terminal.sample import entities
from client.terminal.store import Store

NOW = 1_790_000_000_000
Frame = dict[str, Any]


async def say_no(call: Call) -> str | None:
    return "no"


class Rig:
    """A chat whose server is the test."""

    def __init__(self) -> None:
        self.out, self.err = io.StringIO(), io.StringIO()
        self.sent: asyncio.Queue[Frame] = asyncio.Queue()
        screen = Screen(Console(file=self.out, width=80), Console(file=self.err, width=80))
        self.closed: list[str] = []
        self.store = Store(entities(NOW))
        device = Device(self.store, lambda: None, self.sent.put, say_no, lambda: NOW)
        self.chat = Chat(screen, device, self.sent.put, self.closed.append)

    async def asked(self) -> Frame:
        async with asyncio.timeout(5):
            return await self.sent.get()

    async def say(self, frame_type: str, request_id: str, **fields: Any) -> None:
        frame = {"type": frame_type, "request_id": request_id, "seq": 1, **fields}
        await self.chat.on_frame(frame)

    async def answer(self, *chunks: str, status: str = "completed", **fields: Any) -> Frame:
        frame = await self.asked()
        for chunk in chunks:
            await self.say("stream_text", frame["request_id"], chunk=chunk)
        await self.say("stream_end", frame["request_id"], status=status, **fields)
        return frame

    async def call(self, request_id: str, name: str, **arguments: Any) -> Frame:
        frame = {"call_id": name, "name": name, "arguments": arguments, "deadline_ms": 30_000}
        await self.say("tool_call", request_id, **frame)
        return await self.asked()


async def exchange(rig: Rig, message: str, *chunks: str, **fields: Any) -> tuple[Ending, Frame]:
    ending, frame = await asyncio.gather(rig.chat.ask(message), rig.answer(*chunks, **fields))
    return ending, frame


async def test_an_answer_is_shown_and_remembered_for_the_next() -> None:
    rig = Rig()
    ending, frame = await exchange(rig, "hello", "Hel", "lo.")
    assert ending == Ending("completed") and rig.out.getvalue() == "Hello.\n"
    assert "conversation_history" not in frame
    _, frame = await exchange(rig, "and?", "Yes.")
    assert frame["conversation_history"] == [
        {"role": "user", "content": "hello"},
        {"role": "assistant", "content": "Hello."},
    ]


async def test_what_an_answer_lacks_is_told_in_a_line_beside_it() -> None:
    rig = Rig()
    skipped = [
        {"block_type": "table", "reason": "too_large"},
        {"block_type": "chart", "reason": "chart_units"},
        {"block_type": "entity_ref", "reason": "entity_not_found"},
        {"block_type": "chart", "reason": "chart_units"},
        {"block_type": "\x1b[31mgantt", "reason": "malformed"},
    ]
    ending, _ = await exchange(rig, "all of it", "Here.", skipped=skipped[:1])
    assert ending == Ending("completed") and rig.out.getvalue() == "Here.\n"
    assert rig.err.getvalue() == "1 table could not be shown (too large)\n"
    await exchange(rig, "again", "Here.", skipped=skipped)
    assert " ".join(rig.err.getvalue().split("\n", 1)[1].split()) == (
        "1 table could not be shown (too large); 2 charts could not be shown (chart units); "
        "1 card could not be shown (entity not found); 1 block could not be shown (malformed)"
    )


async def test_an_answer_ends_where_what_it_lacks_cannot_be_read() -> None:
    rig = Rig()
    async with asyncio.timeout(5):
        ending, _ = await exchange(rig, "hello", "Hi.", skipped=[{"block_type": []}])
    assert ending == Ending("completed") and "a broken stream_end" in rig.err.getvalue()


async def test_what_failed_is_told_and_is_no_history() -> None:
    rig = Rig()
    error = {"code": "model_refused", "message": "It would not."}
    ending, _ = await exchange(rig, "hello", "Well", status="failed", error=error)
    assert ending == Ending("failed", "model_refused", "It would not.")
    _, frame = await exchange(rig, "again", "Hi.")
    assert "conversation_history" not in frame


async def test_history_keeps_to_the_limits_of_the_server_in_whole_exchanges() -> None:
    rig = Rig()
    for number in range(3):
        await exchange(rig, f"question {number}", "x" * 20)
    limits = {"max_history_messages": 4, "max_history_chars": 70}
    await rig.chat.on_frame({"type": "device_ready", "limits": limits})
    _, frame = await exchange(rig, "now", "ok")
    said = [message["content"] for message in frame["conversation_history"]]
    assert said == ["question 1", "x" * 20, "question 2", "x" * 20]


async def test_frames_of_another_request_are_not_shown_but_its_tools_run() -> None:
    """`POST /api/v1/chat` runs its tools here, and shows its answer elsewhere."""
    rig = Rig()
    result = await rig.call("elsewhere", "get_task", id="task-1")
    assert result["result"]["items"][0]["id"] == "task-1"
    await rig.say("stream_text", "elsewhere", chunk="not for here")
    await rig.say("stream_end", "elsewhere", status="completed")
    assert rig.out.getvalue() == ""


async def test_a_lost_request_is_asked_again_by_itself_once() -> None:
    rig = Rig()
    asking = asyncio.create_task(rig.chat.ask("hello"))
    first = await rig.asked()
    await rig.call(first["request_id"], "list_tasks")
    rig.chat.on_drop()
    await rig.chat.on_lost(first["request_id"])
    second = await rig.asked()
    assert second["message"] == "hello" and second["request_id"] != first["request_id"]
    await rig.chat.on_lost(second["request_id"])
    assert (await asking).code == "lost" and rig.sent.empty()
    assert "asking again" in rig.err.getvalue()


async def test_but_never_when_this_device_began_to_write_for_it() -> None:
    rig = Rig()
    asking = asyncio.create_task(rig.chat.ask("finish it"))
    request_id = (await rig.asked())["request_id"]
    await rig.call(request_id, "complete_task", id="task-1")
    await rig.chat.on_lost(request_id)
    assert (await asking).code == "lost" and rig.sent.empty()


async def test_a_request_that_was_never_opened_ends_with_the_error_that_carries_its_id() -> None:
    rig = Rig()
    asking = asyncio.create_task(rig.chat.ask("x" * 40_000))
    request_id = (await rig.asked())["request_id"]
    other = {"code": "invalid_frame", "message": "Odd.", "ref": {"type": "ping"}}
    await rig.chat.on_frame({"type": "error", **other})
    assert not asking.done() and "Odd. (invalid_frame)" in rig.err.getvalue()
    await rig.say("error", request_id, code="duplicate_request", message="It runs.")
    assert not asking.done(), "the one that runs goes on"
    await rig.say("error", request_id, code="message_too_long", message="Too long.")
    assert await asking == Ending("failed", "message_too_long", "Too long.")
    assert rig.closed == [request_id], "it is not asked after when the connection drops"


async def test_it_can_be_stopped_once() -> None:
    rig = Rig()
    assert rig.chat.cancel() is False
    asking = asyncio.create_task(rig.chat.ask("hello"))
    request_id = (await rig.asked())["request_id"]
    assert rig.chat.cancel() is True and rig.chat.cancel() is False
    assert await rig.asked() == {"type": "cancel", "request_id": request_id}
    await rig.say("stream_end", request_id, status="cancelled")
    assert await asking == Ending("cancelled")


async def test_unknown_and_broken_frames_change_nothing() -> None:
    rig = Rig()
    asking = asyncio.create_task(rig.chat.ask("hello"))
    request_id = (await rig.asked())["request_id"]
    await rig.say("stream_hologram", request_id, data={})
    await rig.say("stream_text", request_id)
    await rig.say("tool_call", request_id)
    await rig.chat.on_frame({"type": "stream_end"})
    await rig.say("stream_text", request_id, chunk="Here.")
    await rig.say("stream_end", request_id, status="completed")
    assert (await asking).status == "completed" and rig.out.getvalue() == "Here.\n"
    assert "ignored a broken tool_call" in rig.err.getvalue()


async def test_a_change_of_another_device_is_taken_and_told() -> None:
    rig = Rig()
    change = {"op": "update", "entity": "task", "id": "task-1", "data": {"status": "done"}}
    await rig.chat.on_frame({"type": "mutation", "mutation_id": "m", **change})
    assert rig.store.entities["task"]["task-1"]["status"] == "done"
    assert rig.err.getvalue() == "· another device: update task task-1\n"


async def test_a_popup_names_its_scope() -> None:
    rig = Rig()
    scope = {"type": "task", "id": "task-1"}
    asking = asyncio.create_task(rig.chat.ask("finish it", scope))
    frame = await rig.answer("Done.")
    await asking
    assert (frame["type"], frame["scope"]) == ("popup_request", scope)
