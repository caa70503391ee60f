"""§3–§5: how an answer runs, ends, fails and is stopped."""

import asyncio
import uuid

from client.conformance.device import check_numbers, holds
from client.conformance.server import Account, Server, narrow
from client.conformance.story import LIST, TASK, answer_tools, promise

TOO_SLOW_S = 20.0
"""A client that has read nothing for so long is too slow for any server."""


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


@promise(
    "4.8",
    "who reads too slowly is closed 4508; the user's other sockets notice nothing",
    rehearsed=True,
)
async def _slow(server: Server, account: Account) -> None:
    async with narrow() as http, server.device(account) as other:
        slow = server.device(account, http=http)
        await slow.open()
        await slow.hello()
        slow.read_on(reading=False)
        for _ in range(8):
            await slow.ask("rehearse a long answer of 400000 words")
        until = asyncio.get_running_loop().time() + TOO_SLOW_S
        while asyncio.get_running_loop().time() < until:
            request_id = await other.ask(LIST)
            end = await answer_tools(other, request_id)
            holds(end["status"] == "completed", f"the other socket's answer ended {end['status']}")
        slow.read_on(reading=True)
        code = await slow.closed(within=30)
        # Who does not read may miss the close frame behind all that it has not read.
        holds(code in (4508, 1006), f"closed {code}")
        ends = [frame for frame in slow.received if frame["type"] == "stream_end"]
        holds(not ends, "all of it was kept for a client that did not read")
        await slow.drop()
