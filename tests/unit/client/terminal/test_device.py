"""What a device owes: each call once, in time, with its user's leave."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from client.terminal.device import Ask, Call, Device
from client.terminal.keyboard import describe
from client.terminal.sample import DAY_MS, entities
from client.terminal.store import Store, load, save

NOW = 1_790_000_000_000
Frame = dict[str, Any]


async def never_asked(call: Call) -> str | None:
    raise AssertionError(call)


class Rig:
    """A device whose frames are kept, with a store on disk."""

    def __init__(self, file: Path, ask: Ask = never_asked) -> None:
        self.file = file
        self.store = load(file, NOW)
        self.sent: list[Frame] = []
        self.device = Device(self.store, self.save, self.send, ask, lambda: NOW)

    def save(self) -> None:
        save(self.store, self.file)

    async def send(self, frame: Frame) -> None:
        assert load(self.file, NOW) == self.store, "told before it was durable"
        self.sent.append(frame)


def call(name: str, arguments: Frame, **more: Any) -> Frame:
    frame = {
        "type": "tool_call",
        "request_id": "r",
        "seq": 2,
        "call_id": "c",
        "name": name,
        "arguments": arguments,
        "deadline_ms": 30_000,
        "requires_approval": name.startswith("delete_"),
    }
    return frame | more


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "store.json"
    save(Store(entities(NOW)), path)
    return path


async def settled(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(5):
        while not condition():
            await asyncio.sleep(0)


# Once


async def test_a_repeated_call_gets_the_kept_answer_and_is_not_run_again(file: Path) -> None:
    rig = Rig(file)
    frame = call("create_task", {"title": "Once"})
    assert await rig.device.on_tool_call(frame) is not None
    assert await rig.device.on_tool_call(frame) is None
    assert rig.sent[0] == rig.sent[1] and rig.sent[0]["result"]["item"]["title"] == "Once"
    assert len(rig.store.all("task")) == 12


async def test_not_even_after_the_process_was_started_anew(file: Path) -> None:
    first = Rig(file)
    await first.device.on_tool_call(call("create_task", {"title": "Once"}))
    again = Rig(file)
    await again.device.on_tool_call(call("create_task", {"title": "Once"}))
    assert again.sent == first.sent and len(again.store.all("task")) == 12


async def test_after_a_drop_answers_for_what_goes_on_are_sent_again_by_itself(file: Path) -> None:
    rig = Rig(file)
    for request_id, call_id in (("r", "c1"), ("r", "c2"), ("lost", "c3"), ("over", "c4")):
        frame = call("create_task", {"title": "Once"}, request_id=request_id, call_id=call_id)
        await rig.device.on_tool_call(frame)
    rig.device.end("over")
    told, rig.sent = rig.sent, []
    await rig.device.again(["r", "over", "unknown"])
    assert rig.sent == told[:2]
    assert len(rig.store.all("task")) == 11 + 4


async def test_a_call_that_cannot_be_done_is_answered_with_why(file: Path) -> None:
    rig = Rig(file)
    await rig.device.on_tool_call(call("get_moon", {}))
    await rig.device.on_tool_call(call("update_task", {"id": "x", "title": "y"}, call_id="d"))
    assert [frame["error"]["code"] for frame in rig.sent] == ["unknown_tool", "not_found"]


# In time


async def test_nothing_is_begun_after_its_deadline_or_its_request(file: Path) -> None:
    rig = Rig(file)
    await rig.device.on_tool_call(call("create_task", {"title": "Late"}, deadline_ms=0))
    rig.device.end("r")
    assert await rig.device.on_tool_call(call("create_task", {"title": "Later"})) is None
    assert rig.sent == [] and len(rig.store.all("task")) == 11


# With leave


async def test_a_delete_waits_for_its_user_and_holds_up_nothing(file: Path) -> None:
    said: asyncio.Future[str | None] = asyncio.get_running_loop().create_future()
    asked: list[Call] = []

    async def ask(one: Call) -> str | None:
        asked.append(one)
        return await said

    rig = Rig(file, ask)
    await rig.device.on_tool_call(call("delete_task", {"id": "task-1"}))
    await rig.device.on_tool_call(call("get_task", {"id": "task-1"}, call_id="read"))
    await rig.device.on_tool_call(call("delete_task", {"id": "task-1"}))  # as after a drop
    assert [frame["call_id"] for frame in rig.sent] == ["read"]
    said.set_result(None)
    await settled(lambda: len(rig.sent) == 2)
    assert rig.sent[1] == {"type": "tool_result", "call_id": "c", "result": {"id": "task-1"}}
    assert len(asked) == 1 and rig.store.get("task", "task-1") is None
    assert describe(asked[0], Rig(file).store) == "Delete task “task-1”"


async def test_a_no_is_told_with_its_reason_and_kept(file: Path) -> None:
    async def ask(_: Call) -> str | None:
        return "I still need it"

    rig = Rig(file, ask)
    await rig.device.on_tool_call(call("delete_note", {"id": "note-1"}))
    await settled(lambda: bool(rig.sent))
    await rig.device.on_tool_call(call("delete_note", {"id": "note-1"}))
    assert rig.sent[0]["rejected"] == {"reason": "I still need it"} and rig.sent[1] == rig.sent[0]
    assert rig.store.get("note", "note-1") is not None


async def test_a_question_ends_with_its_deadline_or_its_request(file: Path) -> None:
    ended: list[str] = []

    async def ask(one: Call) -> str | None:
        try:
            await asyncio.Event().wait()
        finally:
            ended.append(one.call_id)
        return None

    rig = Rig(file, ask)
    await rig.device.on_tool_call(call("delete_task", {"id": "task-1"}, deadline_ms=20))
    await settled(lambda: ended == ["c"])
    await rig.device.on_tool_call(call("delete_task", {"id": "task-2"}, call_id="d"))
    await asyncio.sleep(0)
    rig.device.end("r")
    await settled(lambda: ended == ["c", "d"])
    assert rig.sent == [] and len(rig.store.all("task")) == 11


# What else the server asks and tells


@pytest.mark.parametrize(
    "asked, ids",
    [
        ({"ids": ["task-2", "nope"]}, ["task-2"]),
        ({"ids": []}, []),
        ({"limit": 2}, ["task-1", "task-2"]),
    ],
)
async def test_a_data_request_is_answered_from_the_store(
    file: Path, asked: Frame, ids: list[str]
) -> None:
    rig = Rig(file)
    await rig.device.on_data_request({"query_id": "q", "entity": "task", **asked})
    (answer,) = rig.sent
    assert answer["query_id"] == "q" and [item["id"] for item in answer["items"]] == ids


async def test_a_question_for_another_kind_is_answered_with_an_error(file: Path) -> None:
    rig = Rig(file)
    await rig.device.on_data_request({"query_id": "q", "entity": "galaxy"})
    assert rig.sent[0]["error"]["code"] == "unknown_entity"


async def test_changes_of_other_devices_are_taken_and_kept(file: Path) -> None:
    rig = Rig(file)

    def tell(op: str, entity: str, entity_id: str, **data: Any) -> object:
        frame = {"op": op, "entity": entity, "id": entity_id}
        return rig.device.on_mutation(frame | ({"data": data} if data else {}))

    tell("update", "task", "task-1", status="done", id="other")
    tell("create", "note", "n", title="New", createdAt=NOW - DAY_MS)
    tell("delete", "project", "project-app")
    assert tell("delete", "galaxy", "x") is None and tell("update", "task", "task-2") is None
    kept = load(file, NOW)
    task = kept.get("task", "task-1")
    assert task and (task["status"], task["assignee"], task["id"]) == ("done", "Sam", "task-1")
    note = {"id": "n", "title": "New", "createdAt": NOW - DAY_MS}
    assert kept.get("note", "n") == note and kept.get("project", "project-app") is None


def test_what_is_asked_names_the_thing() -> None:
    one = Call("r", "c", "delete_project", {"id": "project-app"}, 0, True)
    assert describe(one, Store(entities(NOW))) == "Delete project “Mobile app”"
