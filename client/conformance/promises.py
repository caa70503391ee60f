"""The promises, each a small story with one server. PROTOCOL's numbers stand beside them.

Stories that need the model to misbehave use the offline model's rehearsals (a
message that begins with "rehearse"); they are left out for any other model.
"""

import asyncio
import json
import uuid
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Final

import aiohttp

from client.conformance.device import Device, Frame, check_numbers, holds
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


# §1 Transport


@promise("1", "a hello with a token is answered by device_ready with the limits")
async def _hello(server: Server, account: Account) -> None:
    device = server.device(account)
    await device.open()
    ready = await device.hello()
    holds(ready["protocol"] == 3, f"protocol {ready['protocol']}")
    holds(ready["session_id"], "no session_id")
    holds(ready["resumed"] == [] and ready["lost"] == [], "resumed and lost are not empty")
    limits = ready["limits"]
    for name in (
        "max_frame_bytes",
        "max_message_chars",
        "max_history_messages",
        "max_history_chars",
        "max_concurrent_requests",
        "resume_window_s",
    ):
        holds(isinstance(limits.get(name), int), f"limits.{name} is no number")
    await device.drop()


@promise("1", "the token may come in the Authorization header; a bad one is 401 on the upgrade")
async def _header(server: Server, account: Account) -> None:
    device = server.device(account)
    await device.open(Authorization=f"Bearer {account.access_token}")
    await device.hello(token=None)
    await device.drop()
    try:
        await device.open(Authorization="Bearer nonsense")
    except aiohttp.WSServerHandshakeError as error:
        holds(error.status == 401, f"a bad token was answered with {error.status}")
    else:
        await device.drop()
        holds(False, "a bad token in the header was taken")


@promise("1", "a bad token in the hello closes 4401")
async def _bad_token(server: Server, account: Account) -> None:
    device = server.device(account)
    await device.open()
    await device.say_hello(token="nonsense")  # noqa: S106 - not a secret
    code = await device.closed()
    holds(code == 4401, f"closed {code}")


@promise("1", "a first frame that is no device_hello closes 4400")
async def _first_frame(server: Server, account: Account) -> None:
    device = server.device(account)
    await device.open()
    await device.ask(LIST)
    code = await device.closed()
    holds(code == 4400, f"closed {code}")


@promise("1", "no hello within 10 s closes 4408")
async def _no_hello(server: Server, account: Account) -> None:
    device = server.device(account)
    await device.open()
    code = await device.closed(within=15)
    holds(code == 4408, f"closed {code}")


@promise("1", "a message over the limit closes 1009 and disturbs no other socket")
async def _oversized(server: Server, account: Account) -> None:
    async with server.device(account) as other, server.device(account) as device:
        running = await other.ask(LIST)
        call = await other.expect("tool_call", request_id=running)
        await device.send("home_request", message="x" * (2 << 20))
        code = await device.closed()
        holds(code == 1009, f"closed {code}")
        await other.send("tool_result", call_id=call["call_id"], result={"items": []})
        end = await other.end(running)
        holds(end["status"] == "completed", f"the other socket's answer ended {end['status']}")


@promise("1", "an Origin that is not on the list is refused")
async def _origin(server: Server, account: Account) -> None:
    device = server.device(account)
    try:
        await device.open(Origin="https://evil.example")
    except aiohttp.WSServerHandshakeError as error:
        holds(error.status == 403, f"answered with {error.status}")
        return
    code = await device.closed()
    holds(code == 4403, f"closed {code}")


@promise("1", "frames sent between the hello and device_ready are kept")
async def _early(server: Server, account: Account) -> None:
    device = server.device(account)
    await device.open()
    await device.say_hello()
    await device.send("ping", nonce="early")
    await device.expect("pong", nonce="early")
    kinds = [frame["type"] for frame in device.received]
    holds(kinds == ["device_ready", "pong"], f"frames came as {kinds}")
    await device.drop()


@promise("1", "broken, binary and unknown frames get one error each and end nothing")
async def _garbage(server: Server, account: Account) -> None:
    async with server.device(account) as device:
        running = await device.ask(LIST)
        call = await device.expect("tool_call", request_id=running)
        for text in ("{", "[]", "3", '"x"', "null", "\ufeff{}", '{"type":7}', "{}"):
            await refused(device, "invalid_frame", device.send_text(text))
        await refused(device, "invalid_frame", device.send_bytes(b'{"type":"ping"}'))
        await refused(device, "invalid_frame", device.send("home_request"))
        await refused(device, "invalid_frame", device.send("popup_request", message="x"))
        error = await refused(device, "unknown_type", device.send("teleport", request_id="t-1"))
        holds(error["ref"]["type"] == "teleport", f"ref is {error.get('ref')}")
        await device.send("tool_result", call_id=call["call_id"], result={"items": [TASK]})
        end = await device.end(running)
        holds(end["status"] == "completed", f"the running answer ended {end['status']}")
        check_numbers(device.frames(running))


# §2 Frames from the client


@promise("2", "unknown fields are ignored, and null is absent")
async def _lenient(server: Server, account: Account) -> None:
    async with server.device(account) as device:
        fields: dict[str, Any] = {"session_id": None, "conversation_history": None, "mood": "good"}
        request_id = await device.ask(LIST, **fields)
        end = await answer_tools(device, request_id)
        holds(end["status"] == "completed", f"ended {end['status']}")


@promise("2", "ping is answered by pong with its nonce, or without one")
async def _ping(server: Server, account: Account) -> None:
    async with server.device(account) as device:
        await device.send("ping", nonce="n")
        await device.expect("pong", nonce="n")
        await device.send("ping")
        holds("nonce" not in await device.expect("pong"), "a nonce came that was never sent")


# §3 Frames from the server


@promise("3", "a Home answer is stream_start, then text, blocks and calls, then stream_end")
async def _home(server: Server, account: Account) -> None:
    async with server.device(account) as device:
        request_id = await device.ask(LIST)
        end = await answer_tools(device, request_id)
        frames = device.frames(request_id)
        check_numbers(frames)
        holds(frames[0]["type"] == "stream_start", f"it opens with {frames[0]['type']}")
        allowed = {"stream_text", "stream_block", "tool_call", "data_request"}
        between = {frame["type"] for frame in frames[1:-1]}
        holds(between <= allowed, f"it holds {between - allowed}")
        holds(end["status"] == "completed", f"it ended {end['status']}")
        holds(end.get("agent"), "stream_end names no agent")
        usage = end.get("usage") or {}
        holds(usage.get("model_calls", 0) >= 1, f"usage is {usage}")
        holds(device.text(request_id).strip(), "there is no text")


@promise("3", "a Popup answer opens with popup_domain and holds no block")
async def _popup(server: Server, account: Account) -> None:
    async with server.device(account) as device:
        request_id = str(uuid.uuid4())
        await device.send(
            "popup_request", message=LIST, scope={"type": "task"}, request_id=request_id
        )
        await answer_tools(device, request_id)
        frames = device.frames(request_id)
        check_numbers(frames)
        holds(frames[0]["type"] == "popup_domain", f"it opens with {frames[0]['type']}")
        holds(frames[0]["domain"] == "tasks", f"the domain is {frames[0]['domain']}")
        kinds = {frame["type"] for frame in frames}
        holds("stream_block" not in kinds, "there is a block")
        holds("stream_text" in kinds, "there is no text")


@promise("3", "activity frames come with the feature, and only with it")
async def _activity(server: Server, account: Account) -> None:
    device = server.device(account)
    await device.open()
    ready = await device.hello(features=["activity", "telepathy"])
    holds(ready["features"] == ["activity"], f"features are {ready['features']}")
    request_id = await device.ask(LIST)
    await answer_tools(device, request_id)
    states = [f["state"] for f in device.frames(request_id) if f["type"] == "activity"]
    holds("calling_tool" in states, f"the states are {states}")
    check_numbers(device.frames(request_id))
    await device.drop()


# §4 Promises


@promise("4.1", "each request gets exactly one stream_end, and nothing after it")
async def _one_end(server: Server, account: Account) -> None:
    async with server.device(account) as device:
        requests = [await device.ask(LIST) for _ in range(4)]
        await asyncio.gather(*(answer_tools(device, request) for request in requests))
        await device.send("cancel", request_id=requests[0])
        await device.barrier()
        for request in requests:
            check_numbers(device.frames(request))


@promise("4.2", "a model that breaks off ends the request failed, model_truncated", rehearsed=True)
async def _truncated(server: Server, account: Account) -> None:
    async with server.device(account) as device:
        for how in ("a cut", "a length stop"):
            request_id = await device.ask(f"rehearse {how}")
            end = await device.end(request_id)
            code = (end.get("error") or {}).get("code")
            holds(end["status"] == "failed", f"{how}: it ended {end['status']}")
            holds(code == "model_truncated", f"{how}: the code is {code}")
            holds(device.text(request_id), f"{how}: the text that did arrive is missing")
        request_id = await device.ask(LIST)
        end = await answer_tools(device, request_id)
        holds(end["status"] == "completed", f"the next request ended {end['status']}")


@promise("4.2", "a refusal and an outage have codes of their own", rehearsed=True)
async def _refusal(server: Server, account: Account) -> None:
    async with server.device(account) as device:
        for how, code, retryable in (
            ("a refusal", "model_refused", False),
            ("an outage", "model_unavailable", True),
        ):
            end = await device.end(await device.ask(f"rehearse {how}"), within=30)
            error = end.get("error") or {}
            holds(error.get("code") == code, f"{how}: the code is {error.get('code')}")
            holds(error.get("retryable") is retryable, f"{how}: retryable is wrong")


@promise("4.3", "eight requests run side by side; the ninth is refused; none disturbs another")
async def _eight(server: Server, account: Account) -> None:
    async with server.device(account) as device:
        requests = [await device.ask(LIST) for _ in range(8)]
        calls = [await device.expect("tool_call", request_id=request) for request in requests]
        ninth = await device.ask(LIST)
        end = await device.end(ninth)
        error = end.get("error") or {}
        holds(end["status"] == "failed", f"the ninth ended {end['status']}")
        holds(error.get("code") == "too_many_requests", f"its code is {error.get('code')}")
        holds(error.get("retryable") is True, "it is not retryable")
        for call in reversed(calls):
            await device.send("tool_result", call_id=call["call_id"], result={"items": [TASK]})
        for request in requests:
            end = await answer_tools(device, request)
            holds(end["status"] == "completed", f"one of the eight ended {end['status']}")
            check_numbers(device.frames(request))


@promise("4.4", "cancel ends the request within 1 s and says what was spent")
async def _cancel(server: Server, account: Account) -> None:
    async with server.device(account) as device:
        request_id = await device.ask(LIST)
        await device.expect("tool_call", request_id=request_id)
        await device.send("cancel", request_id=request_id)
        end = await device.end(request_id, within=1.5)
        holds(end["status"] == "cancelled", f"it ended {end['status']}")
        holds("usage" in end, "stream_end does not say what was spent")
        await device.send("cancel", request_id=request_id)
        await device.send("cancel", request_id=str(uuid.uuid4()))
        await device.barrier()
        errors = [frame for frame in device.received if frame["type"] == "error"]
        holds(not errors, "a cancel of a request that is over was answered by an error")
        check_numbers(device.frames(request_id))


@promise("4.4", "cancel stops a model in mid-answer", rehearsed=True)
async def _cancel_writing(server: Server, account: Account) -> None:
    async with server.device(account) as device:
        request_id = await device.ask("rehearse a slow answer of 400 words")
        await device.expect("stream_text", request_id=request_id)
        await device.send("cancel", request_id=request_id)
        end = await device.end(request_id, within=1.5)
        holds(end["status"] == "cancelled", f"it ended {end['status']}")
        usage = end.get("usage") or {}
        holds(usage.get("output_tokens", 0) > 0, f"usage is {usage}")
        holds(usage.get("estimated") is True, "tokens counted here are not marked as estimated")
        check_numbers(device.frames(request_id))


@promise("4.5", "a dropped socket resumes without gap or double, pending calls among it")
async def _resume(server: Server, account: Account) -> None:
    device = server.device(account)
    await device.open()
    await device.hello()
    request_id = await device.ask(LIST)
    call = await device.expect("tool_call", request_id=request_id)
    seen = max(frame["seq"] for frame in device.frames(request_id))
    await device.drop()
    again = server.device(account, device.device_id)
    await again.open()
    ready = await again.hello(resume={"requests": {request_id: seen - 1}})
    holds(request_id in ready["resumed"], f"resumed {ready['resumed']}, lost {ready['lost']}")
    repeated = await again.expect("tool_call", request_id=request_id)
    holds(repeated["call_id"] == call["call_id"], "the call came again under another call_id")
    holds(repeated["seq"] == call["seq"], "the call came again under another seq")
    await again.send("tool_result", call_id=call["call_id"], result={"items": [TASK]})
    end = await answer_tools(again, request_id)
    holds(end["status"] == "completed", f"it ended {end['status']}")
    whole = [f for f in device.frames(request_id) if f["seq"] < seen] + again.frames(request_id)
    check_numbers(whole)
    await again.drop()


@promise("4.5", "an answer that ended while the device was away is replayed")
async def _replayed(server: Server, account: Account) -> None:
    device = server.device(account)
    await device.open()
    await device.hello()
    request_id = await device.ask(LIST)
    await answer_tools(device, request_id)
    before = device.frames(request_id)
    await device.drop()
    again = server.device(account, device.device_id)
    await again.open()
    ready = await again.hello(resume={"requests": {request_id: 1}})
    holds(request_id in ready["resumed"], f"resumed {ready['resumed']}, lost {ready['lost']}")
    await again.end(request_id)
    after = again.frames(request_id)
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


@promise("4.7", "a request_id that is running or kept is not started again")
async def _duplicate(server: Server, account: Account) -> None:
    async with server.device(account) as device:
        request_id = await device.ask(LIST)
        again = device.send("home_request", message=LIST, request_id=request_id)
        error = await refused(device, "duplicate_request", again)
        holds(error["ref"].get("id") == request_id, f"ref is {error['ref']}")
        await answer_tools(device, request_id)
        check_numbers(device.frames(request_id))
        again = device.send("home_request", message=LIST, request_id=request_id)
        await refused(device, "duplicate_request", again)


@promise(
    "4.8",
    "who reads too slowly is closed 4508; the user's other sockets notice nothing",
    rehearsed=True,
)
async def _slow(server: Server, account: Account) -> None:
    slow = server.device(account)
    await slow.open()
    await slow.hello()
    async with server.device(account) as other:
        await slow.pause()
        for _ in range(8):
            await slow.ask("rehearse a long answer of 400000 words")
        for _ in range(3):
            request_id = await other.ask(LIST)
            end = await answer_tools(other, request_id)
            holds(end["status"] == "completed", f"the other socket's answer ended {end['status']}")
    await slow.drop()


@promise("4.9", "an entity card holds what the device returned, unknown keys too")
async def _cards(server: Server, account: Account) -> None:
    async with server.device(account) as device:
        request_id = await device.ask(LIST)
        await answer_tools(device, request_id)
        blocks = [f for f in device.frames(request_id) if f["type"] == "stream_block"]
        cards = [block["data"] for block in blocks if block["block_type"] == "entity_ref"]
        holds(all(card["item"] == TASK for card in cards), "a card is not as the device gave it")


@promise("4.10", "a tool's change stands in stream_end and goes to the other devices, once")
async def _fan_out(server: Server, account: Account) -> None:
    async with server.device(account) as other, server.device(account) as device:
        request_id = await device.ask("add a task called Buy milk")
        call = await device.expect("tool_call", request_id=request_id, name="create_task")
        item = {"id": "t-7", "title": "Buy milk", "status": "todo"}
        await device.send("tool_result", call_id=call["call_id"], result={"item": item})
        end = await answer_tools(device, request_id)
        (mutation,) = end["mutations"]
        holds(mutation["op"] == "create" and mutation["entity"] == "task", f"it is {mutation}")
        holds(mutation["id"] == "t-7" and mutation["data"] == item, f"it is {mutation}")
        seen = await other.expect("mutation")
        holds(seen["mutation_id"] == mutation["mutation_id"], "the other device got another id")
        origin = {"device_id": device.device_id, "request_id": request_id}
        holds(seen["origin"] == origin, f"origin is {seen['origin']}")
        await other.barrier()
        await device.barrier()
        holds(_mutations(other) == 1, f"the other device got it {_mutations(other)} times")
        holds(_mutations(device) == 0, "the device that made it got it back")


def _mutations(device: Device) -> int:
    return sum(frame["type"] == "mutation" for frame in device.received)


@promise("4.10", "a user's own change goes to the user's other devices, and to no one else")
async def _own_change(server: Server, account: Account) -> None:
    stranger = await server.register()
    async with (
        server.device(account) as device,
        server.device(account) as other,
        server.device(stranger) as outsider,
    ):
        change = {"op": "update", "entity": "note", "id": "n-1", "data": {"title": "New"}}
        await device.send("mutation", mutation_id="m-1", **change)
        seen = await other.expect("mutation")
        holds({name: seen[name] for name in change} == change, f"it is {seen}")
        holds(seen["origin"] == {"device_id": device.device_id}, f"origin is {seen['origin']}")
        await device.barrier()
        await outsider.barrier()
        holds(_mutations(device) == 0, "the device that made it got it back")
        holds(_mutations(outsider) == 0, "another user got it")


@promise("4.10", "the same device connecting again supersedes its older socket (4409)")
async def _supersede(server: Server, account: Account) -> None:
    first = server.device(account)
    await first.open()
    await first.hello()
    async with server.device(account, first.device_id) as second:
        code = await first.closed()
        holds(code == 4409, f"closed {code}")
        await second.barrier()


# §5 Errors


@promise("5", "what is too long is refused as such, and one less is taken")
async def _too_long(server: Server, account: Account) -> None:
    device = server.device(account)
    await device.open()
    limits = (await device.hello())["limits"]
    chars, messages = limits["max_message_chars"], limits["max_history_messages"]
    await refused(
        device, "message_too_long", device.send("home_request", message="x" * (chars + 1))
    )
    history = [{"role": "user", "content": "x"}] * (messages + 1)
    long = device.send("home_request", message=LIST, conversation_history=history)
    await refused(device, "history_too_long", long)
    request_id = await device.ask(LIST, conversation_history=history[:-1])
    end = await answer_tools(device, request_id)
    holds(end["status"] == "completed", f"a history of {messages} ended {end['status']}")
    await device.drop()


# §7 REST


@promise("7", "register, login, refresh and logout; an address is taken once")
async def _accounts(server: Server, _: Account) -> None:
    account = await server.register()
    again = {"email": account.email, "password": account.password}
    status, body = await server.rest("POST", "/auth/register", again)
    holds((status, body["error"]["code"]) == (409, "conflict"), f"registered twice: {status}")
    wrong = {"email": account.email, "password": "wrong " + account.password}
    status, body = await server.rest("POST", "/auth/login", wrong)
    holds((status, body["error"]["code"]) == (401, "unauthenticated"), f"wrong password: {status}")
    old = {"refresh_token": account.refresh_token}
    status, fresh = await server.rest("POST", "/auth/refresh", old)
    holds(status == 200, f"refresh answered {status}")
    holds(fresh["refresh_token"] != account.refresh_token, "the refresh token stayed the same")
    device = server.device(account)
    await device.open()
    await device.hello()
    body = {"refresh_token": fresh["refresh_token"]}
    status, _body = await server.rest("POST", "/auth/logout", body)
    holds(status in (200, 204), f"logout answered {status}")
    code = await device.closed()
    holds(code == 4401, f"the socket of the family closed {code}")
    status, _body = await server.rest("POST", "/auth/refresh", body)
    holds(status == 401, f"refresh after logout answered {status}")


@promise("7", "POST /chat is the same turn, whole, with tools on the user's device")
async def _chat(server: Server, _: Account) -> None:
    account = await server.register()
    async with server.device(account) as device:
        chat = asyncio.create_task(
            server.rest("POST", "/chat", {"message": LIST}, account.access_token)
        )
        call = await device.expect("tool_call")
        await device.send("tool_result", call_id=call["call_id"], result={"items": [TASK]})
        status, body = await chat
        holds(status == 200, f"it answered {status}")
        for name in ("request_id", "agent", "response", "blocks", "mutations", "usage"):
            holds(name in body, f"{name} is missing")
        holds(body["response"].strip(), "the response is empty")
        await device.end(body["request_id"])
        kinds = {frame["type"] for frame in device.frames(body["request_id"])}
        allowed = {"tool_call", "data_request", "stream_end"}
        holds(kinds <= allowed, f"the device saw {kinds - allowed}")


@promise("7", "nothing is answered without a token, and errors are JSON")
async def _closed_door(server: Server, account: Account) -> None:
    for method, path in (("POST", "/chat"), ("GET", "/memory/core"), ("GET", "/memory/export")):
        status, body = await server.rest(
            method, path, {"message": "x"} if method == "POST" else None
        )
        holds(status == 401, f"{method} {path} without a token answered {status}")
        holds(body["error"]["code"] == "unauthenticated", f"{path}: {body}")
    status, body = await server.rest("GET", "/nowhere", token=account.access_token)
    holds((status, body["error"]["code"]) == (404, "not_found"), f"unknown path: {status}")
    status, body = await server.rest("POST", "/chat", {}, account.access_token)
    holds((status, body["error"]["code"]) == (400, "invalid_frame"), f"no message: {status}")


@promise("7", "GET /tools lists the catalogue with schemas")
async def _tools(server: Server, account: Account) -> None:
    status, body = await server.rest("GET", "/tools", token=account.access_token)
    holds(status == 200, f"it answered {status}")
    tools = {tool["name"]: tool for tool in body["tools"]}
    holds("list_tasks" in tools and "delete_note" in tools, f"it lists {sorted(tools)}")
    holds(tools["delete_note"]["requires_approval"] is True, "deletes ask for no approval")
    holds(tools["list_tasks"]["requires_approval"] is False, "reading asks for approval")
