"""Those who hold: histories and answers on as many devices as one account can name."""

from __future__ import annotations

import asyncio
import contextlib
from contextlib import AsyncExitStack
from functools import partial
from typing import Any, Final
from uuid import uuid4

from bench.siege.attack import Attack, Hand, told
from bench.siege.wire import device, said

TOO_MUCH: Final = told("too_many_requests", "overloaded", "rate_limited")

_EACH: Final = 8
"""Requests of a device, as many as a socket may have."""

_HISTORY: Final = [
    {"role": role, "content": "🐘" * 25_000} for _ in range(4) for role in ("user", "assistant")
]
"""As long as a history may be: 200,000 characters, 0.8 MB."""

_TASKS: Final = [
    {"id": f"t{n}", "title": f"{n} " + "x" * 4_900, "status": "todo", "priority": "high"}
    for n in range(200)
]
"""1 MB of tasks."""

_STAY_S: Final = 4.0
"""So long its devices stay: what they asked for runs on without them."""


def _ask(message: str, **more: object) -> bytes:
    return said(type="home_request", request_id=str(uuid4()), message=message, **more)


async def histories(hand: Hand, devices: int, at_once: int = 25) -> None:
    """So many devices, one group after the other, each with eight requests that hold the longest
    history and are answered slowly. The first devices leave, and their requests run on."""
    for start in range(0, devices, at_once):
        names = [f"holder-{hand.strikes}-{n}" for n in range(start, min(devices, start + at_once))]
        async with AsyncExitStack() as stack:
            for name in names:
                line = await stack.enter_async_context(device(hand, name))
                if line is None:
                    return
                for _ in range(_EACH):
                    ask = _ask(
                        "rehearse a slow answer of 1500 words", conversation_history=_HISTORY
                    )
                    with contextlib.suppress(ConnectionError):
                        await line.send(ask)
            await asyncio.sleep(_STAY_S)


async def journals(hand: Hand) -> None:
    """A new device asks for answers that just fit into what is kept for who is away, and leaves
    at once; then another does. The model writes them as fast as it goes, which no provider does:
    hence the pause."""
    async with device(hand, f"leaver-{uuid4()}") as line:
        if line is not None:
            for _ in range(_EACH):
                await line.send(_ask("rehearse a long answer of 70000 words"))
            await asyncio.sleep(1)


def _much(call: dict[str, Any]) -> bytes:
    """As much as a frame holds, of whatever is asked for."""
    return said(type="tool_result", call_id=call["call_id"], result={"items": _TASKS})


async def swollen(hand: Hand) -> None:
    """A new device's own data makes its answers large, and it leaves them behind."""
    async with device(hand, f"hoarder-{uuid4()}", _much) as line:
        if line is not None:
            for _ in range(_EACH):
                await line.send(_ask("show my tasks as a table"))
            await asyncio.sleep(_STAY_S)


async def endless(hand: Hand) -> None:
    """The same with answers that never end, on the devices of one name each."""
    async with device(hand, f"waiter-{uuid4()}") as line:
        if line is not None:
            for _ in range(_EACH):
                await line.send(_ask("rehearse a long answer of 1000000 words"))
            await asyncio.sleep(1)


ATTACKS: Final = (
    Attack(
        "75 devices of one account, 8 histories of 0.8 MB each",
        partial(histories, devices=75),
        TOO_MUCH,
        signed_in=True,
        pause_s=5,
    ),
    Attack(
        "8 accounts, 4 devices each, 8 histories of 0.8 MB each",
        partial(histories, devices=4),
        TOO_MUCH,
        loops=8,
        signed_in=True,
        pause_s=10,
    ),
    Attack("answers left behind, whole", journals, TOO_MUCH, signed_in=True, pause_s=8),
    Attack(
        "answers swollen by a device's own data, left behind",
        swollen,
        TOO_MUCH | told("invalid_frame"),
        loops=4,
        signed_in=True,
        pause_s=4,
        takes_s=120,
    ),
    Attack("answers left behind, endless", endless, TOO_MUCH, signed_in=True, pause_s=8),
)
