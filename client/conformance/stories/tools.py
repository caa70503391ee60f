"""§4.6 and §4.9: tools on the device, and what is shown of their results."""

import json
import uuid

from client.conformance.device import Frame, holds
from client.conformance.server import Account, Server
from client.conformance.story import LIST, TASK, answer_tools, promise, refused


@promise("4.6", "the first result wins, a second is ignored, an unknown one is told so")
async def _results(server: Server, account: Account) -> None:
    async with server.device(account) as device:
        request_id = await device.ask(LIST)
        call = await device.expect("tool_call", request_id=request_id)
        holds(call["deadline_ms"] <= 30_000, f"the deadline is {call['deadline_ms']} ms")
        first = {"items": [TASK]}
        await device.send("tool_result", call_id=call["call_id"], result=first)
        await device.send(
            "tool_result", call_id=call["call_id"], error={"code": "x", "message": "y"}
        )
        unknown = device.send("tool_result", call_id=str(uuid.uuid4()), result=None)
        await refused(device, "tool_call_unknown", unknown)
        end = await answer_tools(device, request_id)
        holds(end["status"] == "completed", f"it ended {end['status']}")
        holds(TASK["title"] in json.dumps(device.frames(request_id)), "the first did not win")


@promise("4.6", "an error or a rejection is told to the agent, which goes on")
async def _rejected(server: Server, account: Account) -> None:
    async with server.device(account) as device:
        outcomes: tuple[Frame, ...] = (
            {"error": {"code": "disk_full", "message": "no room"}},
            {"rejected": {"reason": "not now"}},
            {"rejected": {}},
        )
        for outcome in outcomes:
            request_id = await device.ask(LIST)
            call = await device.expect("tool_call", request_id=request_id)
            await device.send("tool_result", call_id=call["call_id"], **outcome)
            end = await answer_tools(device, request_id)
            holds(end["status"] == "completed", f"after {list(outcome)} it ended {end['status']}")


@promise("4.6", "of a result that cannot be read the agent hears at once, and goes on")
async def _spoiled(server: Server, account: Account) -> None:
    async with server.device(account) as device:
        for spoiled in (
            '{"type":"tool_result","call_id":"%s"}',
            '{"type":"tool_result","call_id":"%s","result":{"n":NaN}}',
            '{"type":"tool_result","result":{"a":1,"a":2},"call_id":"%s"}',
            '{"type":"tool_result","call_id":"%s","result":{"items":[',
        ):
            request_id = await device.ask(LIST)
            call = await device.expect("tool_call", request_id=request_id)
            sent = device.send_text(spoiled % call["call_id"])
            error = await refused(device, "invalid_frame", sent)
            wanted = {"type": "tool_result", "id": call["call_id"]}
            holds(error.get("ref") == wanted, f"ref is {error.get('ref')}")
            holds("request_id" not in error, "an error about a result carries a request_id")
            end = await device.end(request_id)
            holds(end["status"] == "completed", f"it ended {end['status']}")


@promise("4.6", "a result after the end is expired, but its change reaches the other devices")
async def _late(server: Server, account: Account) -> None:
    async with server.device(account) as other, server.device(account) as device:
        request_id = await device.ask("add a task called Buy bread")
        call = await device.expect("tool_call", request_id=request_id, name="create_task")
        await device.send("cancel", request_id=request_id)
        await device.end(request_id)
        result = {"item": {"id": "t-9", "title": "Buy bread"}}
        late = device.send("tool_result", call_id=call["call_id"], result=result)
        await refused(device, "tool_call_expired", late)
        mutation = await other.expect("mutation")
        holds(mutation["id"] == "t-9", f"the change is of {mutation['id']}")
        holds(mutation["data"] == result["item"], "the change does not hold the entity")


@promise("4.9", "an entity card holds what the device returned, unknown keys too")
async def _cards(server: Server, account: Account) -> None:
    async with server.device(account) as device:
        request_id = await device.ask(LIST)
        await answer_tools(device, request_id)
        blocks = [f for f in device.frames(request_id) if f["type"] == "stream_block"]
        cards = [block["data"] for block in blocks if block["block_type"] == "entity_ref"]
        holds(all(card["item"] == TASK for card in cards), "a card is not as the device gave it")
