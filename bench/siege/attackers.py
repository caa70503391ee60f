"""`python -m bench.siege.attackers`: one process of attackers. Its part comes on standard input,
what it was told goes to standard output.

In:   {"host", "port", "seconds", "hands": [{"attack", "source", "account"?, "tokens"?}]}
Out:  {attack: {code: count}}

SIGTERM ends it before its time.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any, Final

import aiohttp
import orjson

from bench.siege.attack import Account, Attack, Hand
from bench.siege.catalogue import BY_NAME

LOWEST: Final = 19
"""Its niceness: the stack has the processor when it wants it."""

_AGAIN_S: Final = 0.5
"""After a connection that was cut."""


def main() -> None:
    os.nice(LOWEST)
    plan = orjson.loads(sys.stdin.buffer.read())
    told = asyncio.run(_attack(plan))
    sys.stdout.buffer.write(orjson.dumps(told))


async def _attack(plan: Mapping[str, Any]) -> dict[str, Counter[str]]:
    hands = [(BY_NAME[each["attack"]], _hand(plan, each)) for each in plan["hands"]]
    running = asyncio.ensure_future(_all(hands, plan["seconds"]))
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, running.cancel)
    with suppress(asyncio.CancelledError):
        await running
    told: dict[str, Counter[str]] = defaultdict(Counter)
    for attack, hand in hands:
        told[attack.name].update(hand.tally)
    return told


def _hand(plan: Mapping[str, Any], each: Mapping[str, Any]) -> Hand:
    account = Account(**each["account"]) if each.get("account") else None
    return Hand(plan["host"], plan["port"], each["source"], account, each.get("tokens", ()))


async def _all(hands: Sequence[tuple[Attack, Hand]], seconds: float) -> None:
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds), asyncio.TaskGroup() as tasks:
            for attack, hand in hands:
                tasks.create_task(_loop(attack, hand, seconds))


async def _loop(attack: Attack, hand: Hand, seconds: float) -> None:
    await asyncio.sleep(attack.begins * seconds)
    while True:
        try:
            await attack.strike(hand)
        except TimeoutError:
            hand.told("no answer")
        except (OSError, EOFError, aiohttp.ClientError):
            hand.told("cut")
            await asyncio.sleep(_AGAIN_S)
        hand.strikes += 1
        await asyncio.sleep(attack.pause_s)


if __name__ == "__main__":
    main()
