"""HTTP below and around the calls: what is no request, headers of answers, odd queries."""

import asyncio
import json
import logging
import socket
import struct

import pytest

from tests.support.edge_stack import EdgeStack, edge_stack

ORIGIN = "http://localhost:5173"


async def raw(stack: EdgeStack, sent: bytes) -> tuple[int, bytes]:
    """What these bytes are answered with: status, and all that came."""
    reader, writer = await asyncio.open_connection("127.0.0.1", int(stack.url.rpartition(":")[2]))
    try:
        writer.write(sent)
        async with asyncio.timeout(10):
            found = await reader.read()
    finally:
        writer.close()
    return int(found.split(b" ", 2)[1]), found


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (b"GET /healthz HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\n\r\n", 431),
        (b"GET /healthz HTTP/1.1\r\nHost: x\r\n%s: 1\r\n\r\n", 431),
        (b"GET /healthz?%s HTTP/1.1\r\nHost: x\r\n\r\n", 414),
        (b"\x16\x03\x01 %s\r\n\r\n", 400),
        (b"GET /healthz HTTP/1.1\r\nHost: x\r\nbad header %s\r\n\r\n", 400),
    ],
)
async def test_what_is_too_large_or_no_http_is_refused_as_json_without_an_echo(
    stack: EdgeStack, caplog: pytest.LogCaptureFixture, sent: bytes, status: int
) -> None:
    caplog.set_level(logging.DEBUG)
    found, answer = await raw(stack, sent % (b"secret" * 1500))
    assert found == status
    head, _, body = answer.partition(b"\r\n\r\n")
    assert b"application/json" in head
    error = json.loads(body)["error"]
    assert (error["code"], error["retryable"]) == ("invalid_frame", False)
    assert b"secret" not in answer
    assert "secret" not in caplog.text


async def test_too_many_headers_are_too_large_too(stack: EdgeStack) -> None:
    many = b"".join(b"X-%d: 1\r\n" % number for number in range(200))
    status, answer = await raw(stack, b"GET /healthz HTTP/1.1\r\nHost: x\r\n" + many + b"\r\n")
    assert (status, b"invalid_frame" in answer) == (431, True)


async def test_headers_of_8_kib_are_taken(stack: EdgeStack) -> None:
    header = b"x" * (8 * 1024 - 100)
    sent = b"GET /healthz HTTP/1.1\r\nConnection: close\r\nHost: x\r\nX-A: %s\r\n\r\n" % header
    assert (await raw(stack, sent))[0] == 200


@pytest.mark.parametrize(
    "limit", ["9" * 5000, "201", "-1", "1e2", "٣", "1.0", " 1", "0" * 5000 + "9999"]
)
async def test_a_limit_that_is_none_is_refused(stack: EdgeStack, limit: str) -> None:
    status, answer = await stack.call("GET", "/api/v1/memory", params={"limit": limit})
    assert (status, answer["error"]["code"]) == (400, "invalid_frame")
    assert limit not in answer["error"]["message"]


@pytest.mark.parametrize(("limit", "taken"), [("200", 200), ("0200", 200), ("", 0), ("0", 0)])
async def test_a_limit_that_is_one_is_taken(stack: EdgeStack, limit: str, taken: int) -> None:
    query = {"limit": limit} if limit else {}
    assert (await stack.call("GET", "/api/v1/memory", params=query))[0] == 200
    assert stack.behind.memory.asked[-1].limit == taken


async def test_tokens_and_memory_are_stored_by_no_cache(stack: EdgeStack) -> None:
    sam = {"email": "sam@example.org", "password": "correct horse"}
    for method, path, body in (
        ("POST", "/api/v1/auth/register", sam),
        ("POST", "/api/v1/auth/login", {**sam, "password": "wrong"}),
        ("GET", "/api/v1/memory", None),
        ("GET", "/api/v1/memory/core", None),
        ("GET", "/api/v1/memory/export", None),
        ("GET", "/api/v1/nowhere", None),
        ("POST", "/api/v1/chat", {"message": "hi"}),
    ):
        async with stack.http.request(
            method, stack.url + path, json=body, headers=stack.headers()
        ) as response:
            assert response.headers["Cache-Control"] == "no-store", path


async def test_a_script_of_another_origin_can_read_how_long_to_wait() -> None:
    async with edge_stack(sign_ins_per_minute=1) as stack:
        for status in (401, 429):
            async with stack.http.post(
                f"{stack.url}/api/v1/auth/login",
                json={"email": "a@example.org", "password": "x" * 12},
                headers={"Origin": ORIGIN},
            ) as response:
                assert response.status == status
                assert response.headers["Access-Control-Allow-Origin"] == ORIGIN
                assert response.headers["Access-Control-Expose-Headers"] == "Retry-After"
        assert int(response.headers["Retry-After"]) > 0


@pytest.mark.parametrize(
    "sent",
    [
        b"GET /api/v1/tools HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET /api/v1/ws/device HTTP/1.1\r\nHost: x\r\n"
        b"Connection: Upgrade\r\nUpgrade: websocket\r\n"
        b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
        b"POST /api/v1/auth/login HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{",
    ],
)
async def test_who_resets_the_connection_leaves_no_line(
    stack: EdgeStack, caplog: pytest.LogCaptureFixture, sent: bytes
) -> None:
    port = int(stack.url.rpartition(":")[2])
    for pause in (None, 0, 0.005, 0.02) * 10:
        gone = await asyncio.to_thread(socket.create_connection, ("127.0.0.1", port))
        # No FIN but a RST, as from a process that was killed.
        gone.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        gone.sendall(sent)
        if pause is not None:
            await asyncio.sleep(pause)
        gone.close()
    status, _ = await raw(stack, b"GET /healthz HTTP/1.1\r\nConnection: close\r\nHost: x\r\n\r\n")
    assert status == 200
    assert [each for each in caplog.records if each.levelno >= logging.WARNING] == []
