"""What an address may do is counted by each edge for itself, as docs/settings.md says: two let
through twice as much, and one that turns an address away says nothing of it to the other."""

import asyncio
from collections.abc import Awaitable, Callable

import aiohttp
import pytest

from tests.support.edge_stack import EdgeStack
from tests.support.edges import pair

Try = Callable[[EdgeStack], Awaitable[int]]


async def sign_in(edge: EdgeStack) -> int:
    sent = {"email": "ada@example.org", "password": "wrong horse battery"}
    return (await edge.call("POST", "/api/v1/auth/login", json=sent, headers={}))[0]


async def refresh(edge: EdgeStack) -> int:
    sent = {"refresh_token": "nobody's"}
    return (await edge.call("POST", "/api/v1/auth/refresh", json=sent, headers={}))[0]


async def open_socket(edge: EdgeStack) -> int:
    try:
        await edge.open(edge.token())
    except aiohttp.WSServerHandshakeError as refused:
        return refused.status
    return 101


@pytest.mark.parametrize(
    ("setting", "attempt", "let_through"),
    [
        ("sign_ins_per_minute", sign_in, 401),
        ("refreshes_per_minute", refresh, 401),
        ("hellos_per_minute", open_socket, 101),
    ],
)
async def test_an_address_has_its_allowance_at_each_edge(
    setting: str, attempt: Try, let_through: int
) -> None:
    async with pair(**{setting: 3}) as two:
        for edge in (two.a, two.b):
            found = await asyncio.gather(*(attempt(edge) for _ in range(5)))
            assert sorted(found) == sorted([let_through] * 3 + [429] * 2)
