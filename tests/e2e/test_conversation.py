"""Conversations with the offline model over the real socket, service by service."""

import asyncio
import itertools

import pytest

from tests.support.device import Answer, Device
from tests.support.stack import Running


def cards(answer: Answer) -> list[str]:
    return [card["item"]["id"] for card in answer.blocks["entity_ref"]]


async def test_overdue_tasks_as_a_chart(device: Device) -> None:
    answer = await device.ask("show my overdue tasks as a chart")
    assert answer.frames[0]["type"] == "stream_start"
    assert answer.text.startswith("You have 2 overdue tasks.")
    assert len(answer.of("stream_text")) > 3
    (chart,) = answer.blocks["chart"]
    assert chart["chartType"] == "bar"
    assert [row["task"] for row in chart["data"]] == ["Send the invoice", "Write the report"]
    assert list(chart["config"]) == ["days"]
    assert [card["item"] for card in answer.blocks["entity_ref"]] == [
        device.store.items["task"]["t1"],
        device.store.items["task"]["t2"],
    ]
    assert answer.end["status"] == "completed"
    assert answer.end["agent"] == "task_agent"
    assert answer.end["memory"] in ("stored", "deferred")
    assert answer.end["usage"]["output_tokens"] > 0


@pytest.mark.parametrize(
    ("kind", "ids"),
    [
        ("task", ["t1", "t2", "t3", "t4"]),
        ("project", ["p1", "p2"]),
        ("note", ["n1", "n2"]),
        ("checkpoint", ["c1", "c2"]),
    ],
)
async def test_each_kind_is_read_made_changed_and_deleted(
    device: Device, kind: str, ids: list[str]
) -> None:
    listed = await device.ask(f"list my {kind}s")
    assert cards(listed) == ids
    assert listed.end["agent"] == f"{kind}_agent"

    created = await device.ask(f'create a {kind} called "Orion"')
    (made,) = [item for item in device.store.of(kind) if item["id"] not in ids]
    assert [(m["op"], m["id"]) for m in created.end["mutations"]] == [("create", made["id"])]
    assert cards(created) == [made["id"]]

    renamed = await device.ask(f'rename the {kind} "Orion" to "Hydra"')
    assert made["name" if kind == "project" else "title"] == "Hydra"
    assert [m["op"] for m in renamed.end["mutations"]] == ["update"]
    assert renamed.blocks["entity_ref"][0]["item"] == made

    deleted = await device.ask(f"delete the {kind} Hydra")
    assert made["id"] not in device.store.items[kind]
    (call,) = [frame for frame in deleted.of("tool_call") if frame["name"] == f"delete_{kind}"]
    assert call["requires_approval"] is True
    assert [(m["op"], m["id"]) for m in deleted.end["mutations"]] == [("delete", made["id"])]


async def test_counting_searching_completing_and_suggesting(device: Device) -> None:
    counted = await device.ask("how many tasks do I have by status?")
    assert counted.blocks["table"][0]["rows"] == [["todo", 2], ["in progress", 1], ["done", 1]]
    assert counted.blocks["chart"][0]["chartType"] == "bar"

    found = await device.ask("find notes about milk")
    assert cards(found) == ["n1"]

    completed = await device.ask("complete the report")
    assert completed.tools == ["list_tasks", "complete_task"]
    assert device.store.items["task"]["t2"]["status"] == "done"

    suggested = await device.ask("suggest checkpoints for Apollo")
    assert len(suggested.blocks["timeline"][0]["checkpoints"]) == 3
    assert [m["op"] for m in suggested.end["mutations"]] == ["create"] * 3
    await device.ask("approve all checkpoints")
    assert all(c["isApproved"] for c in device.store.of("checkpoint") if c.get("isAiSuggested"))


async def test_an_overview_holds_every_kind_of_block(device: Device) -> None:
    answer = await device.ask("give me an overview")
    assert set(answer.blocks) == {"chart", "table", "timeline", "entity_ref"}
    assert sorted(answer.tools) == ["list_checkpoints", "list_projects", "list_tasks"]


async def test_a_popup_opens_with_its_domain_and_holds_text_only(device: Device) -> None:
    answer = await (await device.popup("what is overdue?")).ended()
    assert answer.frames[0]["type"] == "popup_domain"
    assert answer.frames[0]["domain"] == "tasks"
    assert answer.text.startswith("You have 2 overdue tasks.\n- Send the invoice (")
    assert not answer.of("stream_block")

    this = await (await device.popup("mark this as done", {"type": "task", "id": "t3"})).ended()
    assert this.tools == ["complete_task"]
    assert device.store.items["task"]["t3"]["status"] == "done"


async def test_a_preference_is_remembered(device: Device) -> None:
    first = await device.ask("call me Sam")
    assert first.text == "I will call you Sam."
    assert (await device.ask("what is overdue?")).text.startswith("Sam, you have 2 overdue")


async def test_eight_at_once_each_end_once_and_in_order(device: Device) -> None:
    answers = [await device.home("what is overdue?") for _ in range(8)]
    for answer in await asyncio.gather(*(answer.ended(40) for answer in answers)):
        assert answer.end["status"] == "completed"
        assert answer.text.startswith("You have 2 overdue tasks.")
        assert cards(answer) == ["t1", "t2"]


async def test_a_ninth_is_sent_away_and_disturbs_none(device: Device) -> None:
    device.hold_tools = True
    held = [await device.home("what is overdue?") for _ in range(8)]
    ninth = await (await device.home("what is overdue?")).ended()
    assert ninth.end["status"] == "failed"
    assert ninth.end["error"]["code"] == "too_many_requests"
    assert ninth.end["error"]["retryable"] is True
    for answer in held:
        await answer.until(lambda answer: bool(answer.of("tool_call")))
        await device.send(device.result(answer.of("tool_call")[0]))
    for answer in held:
        assert (await answer.ended()).end["status"] == "completed"


async def test_cancel_ends_an_answer_within_a_second(device: Device) -> None:
    answer = await device.home("rehearse a slow answer of 400 words")
    await answer.until(lambda answer: len(answer.of("stream_text")) > 3)
    loop = asyncio.get_running_loop()
    began = loop.time()
    await device.send({"type": "cancel", "request_id": answer.request_id})
    await answer.ended()
    assert loop.time() - began < 1.5  # a second, and a busy machine
    assert answer.end["status"] == "cancelled"
    assert answer.end["usage"]["output_tokens"] > 0


async def test_garbage_beside_a_running_answer_disturbs_nothing(device: Device) -> None:
    running = await device.home("rehearse a slow answer of 40 words")
    await running.until(lambda answer: len(answer.of("stream_text")) > 3)
    for garbage in ("{", "[1]", '"x"', '{"type":"home_request"}', '{"message":"no type"}', "\x00"):
        await device.socket.send_str(garbage)
    await device.socket.send_bytes(b"\x00\xff")
    await device.send({"type": "no_such_frame"})
    await device.send({"type": "tool_result", "call_id": "nobody's", "result": {}})
    codes = [(await asyncio.wait_for(device.errors.get(), 10))["code"] for _ in range(9)]
    assert codes == ["invalid_frame"] * 7 + ["unknown_type", "tool_call_unknown"]
    await running.ended()
    assert running.end["status"] == "completed"
    assert running.text.split() == [f"word{number}" for number in range(1, 41)]


async def test_what_others_do_wrong_leaves_a_running_answer_alone(
    device: Device, stack: Running
) -> None:
    running = await device.home("rehearse a slow answer of 60 words")
    await running.until(lambda answer: len(answer.of("stream_text")) > 3)
    async with await Device.open(stack.origin) as other:
        await other.socket.send_str('{"type":"ping","nonce":"%s"}' % ("x" * 2 * 1024 * 1024))
        await asyncio.wait_for(other.reading(), 10)
        # 1009; where the server's reset overtakes its close frame the client sees 1006.
        assert other.socket.close_code in (1009, 1006)
    stranger = Device(stack.origin, device.store)
    stranger.token = device.token[:-3] + "abc"
    assert await stranger.refused() == 401
    await running.ended()
    assert running.text.split() == [f"word{number}" for number in range(1, 61)]


async def test_a_model_that_breaks_off_is_no_success(device: Device) -> None:
    for message, code in itertools.product(
        ("rehearse a cut", "rehearse a length stop"), ("model_truncated",)
    ):
        broken = await device.ask(message)
        assert broken.end["status"] == "failed"
        assert broken.end["error"]["code"] == code
        assert broken.text.startswith("word1 ")
    assert (await device.ask("what is overdue?")).end["status"] == "completed"


async def test_what_a_user_prefers_is_known_in_the_next_session(
    device: Device, stack: Running
) -> None:
    before = await device.ask("what is overdue?")
    assert "The oldest is" in before.text
    said = await device.ask("I prefer short answers, call me Sam")
    assert said.end["status"] == "completed"
    async with Device(stack.origin, device.store) as fresh:
        fresh.token = device.token
        await fresh.connect()
        assert fresh.ready["session_id"] != device.ready["session_id"]
        after = await fresh.ask("what is overdue?")
    assert after.text.startswith("Sam, ")
    assert "The oldest is" not in after.text
    assert after.blocks == before.blocks
