"""§4.5 and §4.7: lost connections and repeated requests."""

import uuid

from client.conformance.device import Device, Frame, check_numbers, holds
from client.conformance.server import Account, Server
from client.conformance.story import LIST, TASK, answer_tools, promise, refused


@promise("4.5", "a dropped socket resumes without gap or double, pending calls among it")
async def _resume(server: Server, account: Account) -> None:
    device = server.device(account)
    await device.open()
    await device.hello()
    request_id = await device.ask(LIST)
    call = await device.expect("tool_call", request_id=request_id)
    await device.drop()
    again = await _resumed(server, account, device, request_id, [call])
    await again.send("tool_result", call_id=call["call_id"], result={"items": [TASK]})
    end = await answer_tools(again, request_id)
    holds(end["status"] == "completed", f"it ended {end['status']}")
    check_numbers(device.frames(request_id) + again.frames(request_id)[1:])
    await again.drop()


async def _resumed(
    server: Server, account: Account, device: Device, request_id: str, pending: list[Frame]
) -> Device:
    """The device again, after a drop: it names all that it saw, and is asked again what waits."""
    seen = max(frame["seq"] for frame in device.frames(request_id))
    again = server.device(account, device.device_id)
    await again.open()
    ready = await again.hello(resume={"requests": {request_id: seen}})
    holds(request_id in ready["resumed"], f"resumed {ready['resumed']}, lost {ready['lost']}")
    for call in pending:
        repeated = await again.expect("tool_call", request_id=request_id)
        holds(repeated["call_id"] == call["call_id"], "the call came again under another call_id")
        holds(repeated["seq"] == call["seq"], "the call came again under another seq")
        holds(0 < repeated["deadline_ms"] <= call["deadline_ms"], "its deadline is another one")
    others = [f for f in again.frames(request_id)[: len(pending)] if f["type"] != "tool_call"]
    holds(not others, f"{others} came before what waits")
    return again


@promise("4.5", "over two drops an approval is asked for again, as long as it has no answer")
async def _approval(server: Server, account: Account) -> None:
    device = server.device(account)
    await device.open()
    await device.hello()
    request_id = await device.ask(f"delete the task {TASK['title']}")
    read = await device.expect("tool_call", request_id=request_id)
    await device.send("tool_result", call_id=read["call_id"], result={"items": [TASK]})
    call = await device.expect("tool_call", request_id=request_id)
    holds(call["requires_approval"] is True, f"{call['name']} needs no approval")
    await device.drop()
    once = await _resumed(server, account, device, request_id, [call])
    await once.drop()
    twice = await _resumed(server, account, once, request_id, [call])
    await twice.send("tool_result", call_id=call["call_id"], rejected={"reason": "not now"})
    end = await answer_tools(twice, request_id)
    holds(end["status"] == "completed", f"it ended {end['status']}")
    repeats = [f for f in twice.frames(request_id) if f["seq"] <= call["seq"]]
    holds(len(repeats) == 1, f"{len(repeats)} frames came again")
    check_numbers(device.frames(request_id) + twice.frames(request_id)[1:])
    await twice.drop()


@promise("4.5", "an answer that ended while the device was away is replayed")
async def _replayed(server: Server, account: Account) -> None:
    device = server.device(account)
    await device.open()
    await device.hello()
    request_id = await device.ask(LIST)
    await answer_tools(device, request_id)
    before = [_lasting(frame) for frame in device.frames(request_id)]
    await device.drop()
    again = server.device(account, device.device_id)
    await again.open()
    ready = await again.hello(resume={"requests": {request_id: 1}})
    holds(request_id in ready["resumed"], f"resumed {ready['resumed']}, lost {ready['lost']}")
    await again.end(request_id)
    after = [_lasting(frame) for frame in again.frames(request_id)]
    holds(after == before[1:], "the frames that came again are not the same")
    await again.drop()


@promise("4.5", "what is unknown, or another device's or user's, is lost")
async def _lost(server: Server, account: Account) -> None:
    stranger = await server.register()
    async with server.device(account) as device:
        request_id = await device.ask(LIST)
        call = await device.expect("tool_call", request_id=request_id)
        resume = {"requests": {request_id: 0, str(uuid.uuid4()): 3}}
        for owner, device_id in ((stranger, device.device_id), (account, None)):
            other = server.device(owner, device_id)
            await other.open()
            ready = await other.hello(resume=resume)
            holds(not ready["resumed"], f"resumed {ready['resumed']}")
            holds(set(ready["lost"]) == set(resume["requests"]), f"lost {ready['lost']}")
            await other.drop()
        await device.send("tool_result", call_id=call["call_id"], result={"items": []})
        end = await device.end(request_id)
        holds(end["status"] == "completed", f"its own device's answer ended {end['status']}")


@promise("4.7", "a request_id that is running or kept is not started again")
async def _duplicate(server: Server, account: Account) -> None:
    async with server.device(account) as device:
        request_id = await device.ask(LIST)
        again = device.send("home_request", message=LIST, request_id=request_id)
        error = await refused(device, "duplicate_request", again)
        holds(error["ref"].get("id") == request_id, f"ref is {error['ref']}")
        holds(error.get("request_id") == request_id, f"request_id is {error.get('request_id')}")
        await answer_tools(device, request_id)
        check_numbers(device.frames(request_id))
        again = device.send("home_request", message=LIST, request_id=request_id)
        await refused(device, "duplicate_request", again)


def _lasting(frame: Frame) -> Frame:
    """All of a frame but the time that remained as it was sent."""
    return {name: value for name, value in frame.items() if name != "deadline_ms"}
