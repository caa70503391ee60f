"""§7: REST beside the socket."""

import asyncio
import uuid
from typing import Any

from client.conformance.device import holds
from client.conformance.server import Account, Server
from client.conformance.story import LIST, TASK, promise


@promise("7", "an address is registered once")
async def _taken(server: Server, _: Account) -> None:
    account = await server.register()
    again = {"email": account.email, "password": account.password}
    status, body = await server.rest("POST", "/auth/register", again)
    holds((status, body["error"]["code"]) == (409, "conflict"), f"registered twice: {status}")


@promise("7", "login, refresh and logout")
async def _accounts(server: Server, known: Account) -> None:
    account = await server.login(known.email, known.password)  # the others go on with theirs
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
async def _chat(server: Server, account: Account) -> None:
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


@promise(
    "7", "POST /chat has the id that its caller gives, and a second of that id is no other run"
)
async def _chat_id(server: Server, account: Account) -> None:
    async with server.device(account) as device:
        body = {"message": LIST, "request_id": str(uuid.uuid4())}
        chat = asyncio.create_task(server.rest("POST", "/chat", body, account.access_token))
        call = await device.expect("tool_call", request_id=body["request_id"])
        status, again = await server.rest("POST", "/chat", body, account.access_token)
        code = again["error"]["code"]
        holds((status, code) == (409, "duplicate_request"), f"asked twice: {status} {code}")
        await device.send("tool_result", call_id=call["call_id"], result={"items": [TASK]})
        status, answer = await chat
        holds(status == 200, f"it answered {status}")
        holds(answer["request_id"] == body["request_id"], f"its id is {answer['request_id']}")


@promise("7", "a POST /chat that is held by a device that dies moves to another one, or ends")
async def _chat_moves(server: Server, account: Account) -> None:
    async with server.device(account) as device, server.device(account) as other:
        asked = server.rest("POST", "/chat", {"message": LIST}, account.access_token)
        chat = asyncio.create_task(asked)
        calls = {asyncio.create_task(each.expect("tool_call")): each for each in (device, other)}
        done, waiting = await asyncio.wait(calls, return_when=asyncio.FIRST_COMPLETED)
        (held,) = done
        await calls[held].drop()
        (moved,) = waiting
        either: list[asyncio.Task[Any]] = [moved, chat]
        await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED, timeout=10)
        if moved.done() and not moved.exception():
            call = moved.result()
            await calls[moved].send("tool_result", call_id=call["call_id"], result={"items": []})
        moved.cancel()
        await asyncio.gather(moved, return_exceptions=True)
        await asyncio.wait({chat}, timeout=10)
        holds(chat.done(), "nothing was answered within 10 s")


@promise("7", "a number of 5,000 digits is a bad number, and what is private is stored nowhere")
async def _odd(server: Server, account: Account) -> None:
    headers = {"Authorization": f"Bearer {account.access_token}"}
    for limit, wanted in (("9" * 5000, 400), ("5", 200)):
        url = f"{server.base}/api/v1/memory?limit={limit}"
        async with server.http.get(url, headers=headers) as response:
            holds(response.status == wanted, f"a limit of {limit[:9]} answered {response.status}")
            stored = response.headers.get("Cache-Control")
            holds(stored == "no-store", f"Cache-Control is {stored}")


@promise("7", "tokens are stored nowhere, and a page may read how long it has to wait")
async def _headers(server: Server, account: Account) -> None:
    url = f"{server.base}/api/v1/auth/login"
    body = {"email": account.email, "password": account.password}
    async with server.http.post(url, json=body, headers={"Origin": "null"}) as response:
        holds(response.status == 200, f"login answered {response.status}")
        stored = response.headers.get("Cache-Control")
        holds(stored == "no-store", f"Cache-Control is {stored}")
        exposed = response.headers.get("Access-Control-Expose-Headers", "")
        names = {name.strip().lower() for name in exposed.split(",")}
        holds("retry-after" in names, f"exposed are {exposed or 'no headers'}")


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
