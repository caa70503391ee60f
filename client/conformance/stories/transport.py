"""§1 and §2: the socket, the hello, and frames that are not as they should be."""

import contextlib
import uuid
from typing import Any, Final

import aiohttp

from client.conformance.device import Frame, check_numbers, holds
from client.conformance.server import Account, Server
from client.conformance.story import LIST, TASK, answer_tools, promise, refused

PINGS: Final = 3000
"""A socket may send 1,000 frames at once, and 100 more are answered by an error each."""


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


@promise("1", "a second hello renews the token of a socket, and nothing that runs notices")
async def _renewed(server: Server, account: Account) -> None:
    async with server.device(account) as device:
        request_id = await device.ask(LIST)
        call = await device.expect("tool_call", request_id=request_id)
        ready = await device.hello()
        holds(ready["resumed"] == [] and ready["lost"] == [], "it resumed, or lost, something")
        another = device.say_hello(device_id=f"{device.device_id}-2")
        await refused(device, "invalid_frame", another)
        await device.send("tool_result", call_id=call["call_id"], result={"items": [TASK]})
        end = await answer_tools(device, request_id)
        holds(end["status"] == "completed", f"it ended {end['status']}")
        check_numbers(device.frames(request_id))
        await device.say_hello(token="nobody's")  # noqa: S106 - none
        code = await device.closed()
        holds(code == 4401, f"a bad token in it closed {code}")


@promise("1", "headers past 8 KiB are answered by 431 in JSON, which repeats nothing of them")
async def _long_headers(server: Server, account: Account) -> None:
    headers = {"X-Long": "echo" * 5000}
    async with server.http.get(f"{server.base}/api/v1/tools", headers=headers) as response:
        holds(response.status == 431, f"answered with {response.status}")
        text = await response.text()
        holds("echo" not in text, "it repeats the header")
        holds(response.content_type == "application/json", f"it is {response.content_type}")


@promise("5", "frames that come too fast are told when to come again; who goes on is closed 4529")
async def _too_fast(server: Server, account: Account) -> None:
    async with server.device(account) as other, server.device(account) as device:
        running = await other.ask(LIST)
        call = await other.expect("tool_call", request_id=running)
        with contextlib.suppress(ConnectionError):
            for _ in range(PINGS):
                await device.send("ping")
        error = await device.expect("error", code="rate_limited")
        holds(error.get("retry_after_ms", 0) > 0, "it does not say when to come again")
        holds(error["retryable"] is True, "it is not retryable")
        code = await device.closed()
        holds(code == 4529, f"closed {code}")
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


@promise("2", "unknown fields are ignored, and null is absent")
async def _lenient(server: Server, account: Account) -> None:
    async with server.device(account) as device:
        fields: dict[str, Any] = {"session_id": None, "conversation_history": None, "mood": "good"}
        request_id = await device.ask(LIST, **fields)
        end = await answer_tools(device, request_id)
        holds(end["status"] == "completed", f"ended {end['status']}")


@promise("2", "half a pair of surrogates counts as U+FFFD, and is no reason to refuse a frame")
async def _halves(server: Server, account: Account) -> None:
    async with server.device(account) as device:
        await device.send_text(r'{"type":"ping","nonce":"a\ud800b\udc00\ud83d\ude00"}')
        await device.expect("pong", nonce="a\ufffdb\ufffd😀")
        request_id = await device.ask(LIST + " \ud83d")
        end = await answer_tools(device, request_id)
        holds(end["status"] == "completed", f"the request ended {end['status']}")


@promise("2", "quotations count in UTF-16, and one past its message is refused by name")
async def _quotations(server: Server, account: Account) -> None:
    message = f"{LIST} \U0001f600"
    end_of_it = len(message) + 1  # the face counts twice
    async with server.device(account) as device:
        for spans, field in (
            ([{"start": 0, "end": end_of_it + 1}], "quoted[0].end"),
            ([{"start": 0, "end": 1}, {"start": 3, "end": 2}], "quoted[1].start"),
            ([{"start": -1, "end": 2}], "quoted[0].start"),
            ([{"start": 0.5, "end": 2}], "quoted[0].start"),
        ):
            asked = {"message": message, "request_id": str(uuid.uuid4()), "quoted": spans}
            error = await refused(device, "invalid_frame", device.send("home_request", **asked))
            holds(field in error["message"], f"{error['message']!r} does not name {field}")
        spans = [{"start": end_of_it - 2, "end": end_of_it}]
        request_id = await device.ask(message, quoted=spans)
        end = await answer_tools(device, request_id)
        holds(end["status"] == "completed", f"the request ended {end['status']}")


@promise("3", "an error that refuses a request carries its id, and the request never began")
async def _refused(server: Server, account: Account) -> None:
    async with server.device(account) as device:
        refusals: tuple[tuple[Frame, str], ...] = (
            ({"message": "x" * 32_001}, "message_too_long"),
            ({"message": 5}, "invalid_frame"),
            ({"message": LIST, "session_id": ""}, "invalid_frame"),
            ({"message": LIST, "request_id": "no UUID"}, "invalid_frame"),
        )
        for fields, code in refusals:
            asked = {"request_id": str(uuid.uuid4()), **fields}
            error = await refused(device, code, device.send("home_request", **asked))
            told = error.get("request_id")
            holds(told == asked["request_id"], f"{code} carries request_id {told}")
        request_id = str(uuid.uuid4())
        await refused(device, "invalid_frame", device.send("home_request", request_id=request_id))
        await device.ask(LIST, request_id=request_id)
        end = await answer_tools(device, request_id)
        holds(end["status"] == "completed", f"asked again it ended {end['status']}")


@promise("3", "device_ready tells what is switched on, and which names of tools nobody knows")
async def _catalogue(server: Server, account: Account) -> None:
    async with server.device(account) as device:
        ready = await device.hello(tools=["list_tasks", "list_taks"])
        catalogue = ready.get("catalogue") or {}
        holds("list_tasks" in catalogue.get("tools", []), f"the tools are {catalogue}")
        holds(catalogue.get("agents") and catalogue.get("entities"), f"it tells {catalogue}")
        holds(catalogue.get("unknown") == ["list_taks"], f"unknown is {catalogue.get('unknown')}")


@promise("2", "ping is answered by pong with its nonce, or without one")
async def _ping(server: Server, account: Account) -> None:
    async with server.device(account) as device:
        await device.send("ping", nonce="n")
        await device.expect("pong", nonce="n")
        await device.send("ping")
        holds("nonce" not in await device.expect("pong"), "a nonce came that was never sent")
