"""§7: REST beside the socket."""

import asyncio

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
