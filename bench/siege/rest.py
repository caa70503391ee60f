"""Those who call over REST, again and again."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial
from typing import Any, Final
from uuid import uuid4

import aiohttp

from bench.siege.attack import Attack, Hand, told

_AT_ONCE: Final = 16
"""Calls of a loop side by side."""
_CALLS: Final = 50
"""Calls of a strike, one after the other."""

Call = tuple[str, str, dict[str, Any] | None]
"""Method, path and body."""


@asynccontextmanager
async def _session(hand: Hand) -> AsyncIterator[aiohttp.ClientSession]:
    headers = {"Authorization": f"Bearer {hand.account.token}"} if hand.account else {}
    connector = aiohttp.TCPConnector(local_addr=(hand.source, 0))
    async with aiohttp.ClientSession(
        hand.origin, connector=connector, headers=headers, timeout=aiohttp.ClientTimeout(60)
    ) as http:
        yield http


async def _call(hand: Hand, http: aiohttp.ClientSession, call: Call) -> None:
    method, path, body = call
    hand.sent()
    async with http.request(method, f"/api/v1{path}", json=body) as answer:
        if answer.status < 400:
            hand.served()
            await answer.read()
        elif answer.content_type == "application/json":
            hand.told((await answer.json())["error"]["code"])
        else:
            hand.told(str(answer.status))


async def again(hand: Hand, call: Callable[[Hand], Call], at_once: int = _AT_ONCE) -> None:
    """The same call, over and over, a few at a time."""

    async def loop(http: aiohttp.ClientSession) -> None:
        for _ in range(_CALLS):
            await _call(hand, http, call(hand))

    async with _session(hand) as http:
        await asyncio.gather(*(loop(http) for _ in range(at_once)))


def guess(hand: Hand) -> Call:
    """A wrong password for an account that there is."""
    assert hand.account is not None
    word = {"email": hand.account.email, "password": f"guess {uuid4()}"}
    return "POST", "/auth/login", word


def stranger(_: Hand) -> Call:
    """A password for an account that there is not."""
    return "POST", "/auth/login", {"email": f"{uuid4().hex}@example.com", "password": "guess it"}


def sign_up(_: Hand) -> Call:
    account = {"email": f"{uuid4().hex}@example.com", "password": "correct horse battery"}
    return "POST", "/auth/register", account


def refresh(_: Hand) -> Call:
    return "POST", "/auth/refresh", {"refresh_token": uuid4().hex}


def logout(_: Hand) -> Call:
    return "POST", "/auth/logout", {"refresh_token": uuid4().hex}


def search(_: Hand) -> Call:
    return "GET", f"/memory?query=what+of+{uuid4().hex}&limit=50", None


def export(_: Hand) -> Call:
    return "GET", "/memory/export", None


def chat(_: Hand) -> Call:
    return "POST", "/chat", {"message": "rehearse a slow answer of 100 words"}


_RATED: Final = told("rate_limited")

# One address makes all of these calls. What is not refused: signing out with tokens that nobody
# holds, which costs less than to refuse it; and what is read of one's own memory as fast as it
# comes, where that is less than a user may ask.
ATTACKS: Final = (
    Attack(
        "wrong passwords", partial(again, call=guess), _RATED, loops=2, signed_in=True, takes_s=60
    ),
    Attack("accounts that are not there", partial(again, call=stranger), _RATED, takes_s=60),
    Attack("accounts by the hundred", partial(again, call=sign_up), _RATED, takes_s=60),
    Attack("refreshes in a loop", partial(again, call=refresh), _RATED | told("unauthenticated")),
    Attack("logouts in a loop", partial(again, call=logout), told()),
    Attack("memory searches", partial(again, call=search), told(), loops=2, signed_in=True),
    Attack("memory exports", partial(again, call=export), told(), loops=2, signed_in=True),
    Attack(
        "chat over REST",
        partial(again, call=chat, at_once=32),
        _RATED | told("too_many_requests"),
        loops=2,
        signed_in=True,
    ),
)
