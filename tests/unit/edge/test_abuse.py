"""What one caller may ask for, and that others notice nothing of who asks for more."""

import asyncio
import json
import time
from collections.abc import AsyncIterator
from contextlib import suppress
from uuid import uuid4

import aiohttp
import pytest
from yarl import URL

from tests.support.edge_stack import Closed, EdgeStack, edge_stack
from tests.support.scripted_router import Turn

GUESS = {"email": "sam@example.org", "password": "a guess at it"}


# Requests of a user.


async def test_a_user_s_requests_are_counted_over_all_sockets_and_rest() -> None:
    async with edge_stack(requests_per_minute=3) as stack:
        laptop, phone = await stack.device("laptop"), await stack.device("phone")
        for device in (laptop, phone):
            await device.send("home_request", message="hi")
            await device.until("stream_end", status="completed")
        assert (await stack.call("POST", "/api/v1/chat", json={"message": "hi"}))[0] == 200
        await phone.until("stream_end", status="completed")  # of the call beside it
        request_id = str(uuid4())
        await laptop.send("home_request", message="hi", request_id=request_id)
        error = await laptop.expect("error", code="rate_limited", retryable=True)
        assert error["ref"] == {"type": "home_request", "id": request_id}
        assert error["request_id"] == request_id
        assert 0 < error["retry_after_ms"] <= 20_000
        status, refused = await stack.call("POST", "/api/v1/chat", json={"message": "hi"})
        assert (status, refused["error"]["code"]) == (429, "rate_limited")
        assert 0 < refused["error"]["retry_after_ms"] <= 20_000
        # Another user is another matter; so are frames that ask for nothing.
        other = await stack.device("laptop", user_id="user-2")
        await other.send("home_request", message="hi")
        await other.until("stream_end", status="completed")
        await laptop.send("ping")
        await laptop.expect("pong")


async def test_a_new_socket_is_no_new_allowance() -> None:
    async with edge_stack(requests_per_minute=1) as stack:
        for expected in ("stream_start", "error", "error"):
            device = await stack.device()
            await device.send("home_request", message="hi")
            await device.expect(expected)
            await device.close()


# Addresses.


async def test_an_address_that_opens_too_many_sockets_gets_429() -> None:
    async with edge_stack(hellos_per_minute=2) as stack:
        first = await stack.device("a")
        await stack.device("b")
        with pytest.raises(aiohttp.WSServerHandshakeError) as caught:
            await stack.open(stack.token())
        assert caught.value.status == 429
        assert caught.value.headers is not None
        assert 0 < int(caught.value.headers["Retry-After"]) <= 30
        await first.send("ping")
        await first.expect("pong")


async def test_an_address_that_tries_to_sign_in_too_often_gets_429() -> None:
    async with edge_stack(sign_ins_per_minute=3) as stack:
        for path in ("register", "login", "login"):
            status, _ = await stack.call("POST", f"/api/v1/auth/{path}", json=GUESS, headers={})
            assert status != 429
        for path in ("register", "login"):
            async with stack.http.post(f"{stack.url}/api/v1/auth/{path}", json=GUESS) as response:
                assert response.status == 429
                error = (await response.json())["error"]
                assert error["code"] == "rate_limited"
                assert error["retryable"] is True
                assert 0 < error["retry_after_ms"] <= 20_000
                assert 0 < int(response.headers["Retry-After"]) <= 20
        assert (await stack.call("GET", "/api/v1/tools"))[0] == 200


async def test_refreshing_and_logging_out_have_an_allowance_of_their_own() -> None:
    async with edge_stack(sign_ins_per_minute=1, refreshes_per_minute=2) as stack:
        body = {"refresh_token": "made up"}
        found = []
        for path in ("login", "login", "refresh", "logout", "refresh", "logout"):
            sent = GUESS if path == "login" else body
            found.append((await stack.call("POST", f"/api/v1/auth/{path}", json=sent))[0])
        assert found == [401, 429, 401, 204, 429, 429]


async def test_all_devices_of_a_network_come_back_at_once() -> None:
    async with edge_stack() as stack:
        for _ in range(1_800):
            stack.edge.refreshes.spend("198.51.100.1", 0.0)


async def test_behind_a_trusted_proxy_each_client_has_its_own_allowance() -> None:
    async with edge_stack(sign_ins_per_minute=1, trusted_proxies="127.0.0.0/8") as stack:

        async def login(forwarded: str) -> int:
            headers = {"X-Forwarded-For": forwarded}
            return (await stack.call("POST", "/api/v1/auth/login", json=GUESS, headers=headers))[0]

        assert await login("198.51.100.1") == 401
        assert await login("198.51.100.2") == 401
        assert await login("198.51.100.1") == 429
        assert await login("1.2.3.4, 198.51.100.1") == 429  # what the client made up counts not
        assert await login("2001:db8::1") == 401
        assert await login("2001:db8::2") == 429  # the same house
        assert await login("2001:db8:0:1::1") == 401


async def test_others_than_trusted_proxies_are_not_believed() -> None:
    async with edge_stack(sign_ins_per_minute=1, trusted_proxies="10.0.0.0/8") as stack:
        found = []
        for last in range(3):
            headers = {"X-Forwarded-For": f"198.51.100.{last}", "Forwarded": f"for=10.0.0.{last}"}
            path = "/api/v1/auth/login"
            found.append((await stack.call("POST", path, json=GUESS, headers=headers))[0])
        assert found == [401, 429, 429]


# Frames of a socket.


@pytest.mark.parametrize("text", ['{"type":"ping","nonce":"n"}', '{"type":"no such"}', "{", "[]"])
async def test_a_flood_of_frames_costs_only_its_sender(text: str) -> None:
    async with edge_stack(frames_per_second=50) as stack:
        release = asyncio.Event()

        async def script(turn: Turn) -> None:
            await turn.text("before ")
            await release.wait()
            await turn.end()

        stack.behind.router.script = script
        other = await stack.device("other")
        await other.send("home_request", message="hi")
        await other.until("stream_text")
        flooding = await stack.device("flooding")

        async def flood() -> None:
            try:
                for _ in range(20_000):
                    await flooding.ws.send_str(text)
            except ConnectionError:
                pass  # it was closed

        sender = asyncio.create_task(flood())
        codes: list[str] = []
        with pytest.raises(Closed) as closed:
            while True:
                frame = await flooding.next()
                codes.append(frame["code"] if frame["type"] == "error" else frame["type"])
                if codes[-1] == "rate_limited":
                    assert frame["retry_after_ms"] > 0
                    assert frame["retryable"] is True
        assert closed.value.code == 4529
        assert 500 <= len(codes) - codes.count("rate_limited") <= 1_000
        assert 100 <= codes.count("rate_limited") <= 110
        await other.send("ping")
        await other.expect("pong")
        release.set()
        await other.expect("stream_end", status="completed")
        await sender


async def test_large_frames_count_for_more() -> None:
    async with edge_stack(frames_per_second=10) as stack:  # a burst of 100
        device = await stack.device()
        nonce = "x" * (512 * 1024)  # 33 each
        for _ in range(4):
            await device.send("ping", nonce=nonce)
        for _ in range(3):
            await device.expect("pong")
        error = await device.expect("error", code="rate_limited")
        assert error["ref"] == {"type": "ping"}
        await asyncio.sleep(error["retry_after_ms"] / 1000)
        await device.send("ping", nonce=nonce)
        await device.expect("pong")


@pytest.mark.parametrize("said_hello", [True, False])
async def test_a_flood_of_websocket_pings_is_closed(said_hello: bool) -> None:
    async with edge_stack(frames_per_second=20) as stack:
        device = await (stack.device() if said_hello else stack.open(stack.token()))
        sender = asyncio.create_task(_pings(device.ws))
        assert await device.closed() == 4529
        await sender


async def _pings(ws: aiohttp.ClientWebSocketResponse) -> None:
    try:
        for _ in range(5_000):
            await ws.ping(b"payload")
    except ConnectionError:
        pass


async def test_a_websocket_ping_before_the_hello_is_answered(stack: EdgeStack) -> None:
    async with stack.http.ws_connect(
        f"{stack.url}/api/v1/ws/device",
        headers={"Authorization": f"Bearer {stack.token()}"},
        autoping=False,
    ) as ws:
        await ws.ping(b"payload")
        pong = await ws.receive(5)
        assert (pong.type, bytes(pong.data)) == (aiohttp.WSMsgType.PONG, b"payload")
        await ws.send_json({"type": "device_hello", "device_id": "laptop"})
        assert (await ws.receive_json(timeout=5))["type"] == "device_ready"


# Who takes too long.


async def test_a_hello_that_comes_a_byte_at_a_time_closes_4408() -> None:
    async with edge_stack(hello_timeout_s=0.4) as stack:
        url = URL(stack.url)
        reader, writer = await asyncio.open_connection(url.host, url.port)
        writer.write(
            f"GET /api/v1/ws/device HTTP/1.1\r\nHost: {url.host}\r\nUpgrade: websocket\r\n"
            "Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
            "Sec-WebSocket-Key: MDEyMzQ1Njc4OWFiY2RlZg==\r\n"
            f"Authorization: Bearer {stack.token()}\r\n\r\n".encode()
        )
        assert b" 101 " in await reader.readuntil(b"\r\n\r\n")
        writer.write(b"\x81\xfe\x03\xe8\0\0\0\0")  # 1,000 bytes are to come
        began = time.monotonic()
        drip = asyncio.create_task(_drip(writer))
        head = await asyncio.wait_for(reader.readexactly(4), 5)
        assert (head[0], int.from_bytes(head[2:4], "big")) == (0x88, 4408)
        assert time.monotonic() - began < 2
        drip.cancel()
        writer.close()


async def test_headers_that_come_a_byte_at_a_time_are_cut_off() -> None:
    async with edge_stack(http_idle_s=0.4) as stack:
        url = URL(stack.url)
        reader, writer = await asyncio.open_connection(url.host, url.port)
        writer.write(b"GET /healthz HTTP/1.1\r\nX: ")
        drip = asyncio.create_task(_drip(writer))
        async with asyncio.timeout(5):
            with suppress(ConnectionError):
                assert await reader.read() == b""
        drip.cancel()
        writer.close()


async def test_a_body_that_comes_a_byte_at_a_time_is_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("edge.rest.common.BODY_S", 0.4)
    async with edge_stack() as stack:
        url = URL(stack.url)
        reader, writer = await asyncio.open_connection(url.host, url.port)
        writer.write(
            b"POST /api/v1/auth/login HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n{"
        )
        drip = asyncio.create_task(_drip(writer))
        head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 5)
        assert b" 504 " in head.splitlines()[0]
        drip.cancel()
        writer.close()


async def _drip(writer: asyncio.StreamWriter) -> None:
    for _ in range(1_000):
        writer.write(b"x")
        await asyncio.sleep(0.02)  # pacing


# Strangers.


async def test_a_hello_without_a_token_before_it_is_short() -> None:
    async with edge_stack() as stack:
        token = stack.token()
        long = {"device_id": "laptop", "token": token, "client_version": "x" * 16_384}
        stranger = await stack.open()
        await stranger.send("device_hello", **long)
        await stranger.expect("error", code="invalid_frame", ref={"type": "device_hello"})
        assert await stranger.closed() == 4400
        known = await stack.open(token)
        await known.send("device_hello", **long)
        await known.expect("device_ready")
        short = await stack.open()
        await short.send("device_hello", **{**long, "client_version": "x" * 15_000})
        await short.expect("device_ready")


@pytest.mark.parametrize("path", ["login", "register", "refresh", "logout", "password"])
@pytest.mark.parametrize("told", [True, False])  # how long it is, in Content-Length
async def test_a_body_about_an_account_is_short(path: str, told: bool) -> None:
    async with edge_stack() as stack:
        text = json.dumps({**GUESS, "refresh_token": "x" * 5_000}).encode()

        async def pieces() -> AsyncIterator[bytes]:
            yield text[:3_000]
            yield text[3_000:]

        sent = text if told else pieces()
        status, answer = await stack.call("POST", f"/api/v1/auth/{path}", data=sent)
        assert (status, answer["error"]["code"]) == (413, "invalid_frame")


@pytest.mark.parametrize("text", ["[]," * 349_000, '{"":0},' * 149_000, "0," * 500_000])
async def test_a_frame_of_a_million_values_is_refused_and_named(
    text: str, stack: EdgeStack
) -> None:
    device = await stack.device()
    frame = f'{{"type":"data_response","query_id":"q","items":[{text[:-1]}]}}'
    await device.ws.send_str(frame)
    error = await device.expect("error", code="invalid_frame")
    assert error["ref"] == {"type": "data_response", "id": "q"}
    await device.send("ping")
    await device.expect("pong")
