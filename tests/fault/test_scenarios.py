"""Hundreds of random interleavings, held against the promises of PROTOCOL §4.

A seed that breaks one is printed; SEED=n runs that one alone, five times.
"""

import asyncio
import json
import os
import random
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack

import aiohttp
import pytest

from runtime.errors import SwitchboardError
from switchboard.v3.errors_pb2 import ErrorCode
from switchboard.v3.frames_pb2 import EndStatus, MutationOp
from tests.support.edge_stack import EdgeStack, edge_stack
from tests.support.fleet import UNLIMITED, Fleet
from tests.support.roamer import Roamer, register
from tests.support.scenario import Scenario, Write
from tests.support.scripted_router import Turn

SEED = os.environ.get("SEED")
SEEDS = [int(SEED)] * 5 if SEED else list(range(200))
AT_ONCE = 15
STACK_SEEDS = [int(SEED)] * 5 if SEED else list(range(1000, 1024))


def script_of(seed: int) -> list[str]:
    """What a turn does, step by step."""
    rng = random.Random(seed)
    steps = rng.choices(
        ["text", "texts", "pause", "read", "write", "both", "block", "query"],
        [8, 3, 4, 2, 3, 1, 1, 1],
        k=rng.randrange(1, 12),
    )
    return [*steps, rng.choices(["end", "fail", "break", "deaf"], [16, 1, 1, 1])[0]]


def text_of(steps: list[str]) -> str:
    pieces = {"text": 1, "texts": 20}
    return "".join(f"{n} " for n in range(sum(pieces.get(step, 0) for step in steps)))


def write(rng: random.Random) -> tuple[str, str | None]:
    seed = rng.randrange(10**6)
    return json.dumps({"seed": seed}), text_of(script_of(seed))


async def play(turn: Turn) -> None:
    """Plays the turn that its message asks for; ends when it is cancelled."""
    steps = script_of(json.loads(turn.start.message)["seed"])
    playing = asyncio.create_task(_steps(turn, steps))
    cancelled = asyncio.create_task(turn.cancelled.wait())
    try:
        waiting = {playing} if steps[-1] == "deaf" else {playing, cancelled}
        await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        if playing.done():
            playing.result()
        else:
            await turn.end(EndStatus.END_STATUS_CANCELLED)
    finally:
        playing.cancel()
        cancelled.cancel()
        await asyncio.gather(playing, cancelled, return_exceptions=True)


async def _steps(turn: Turn, steps: list[str]) -> None:
    await turn.routed()
    if turn.start.HasField("scope"):
        await turn.domain()
    said = 0
    for step in steps:
        match step:
            case "text" | "texts":
                for _ in range(1 if step == "text" else 20):
                    await turn.text(f"{said} ")
                    said += 1
            case "pause":
                await asyncio.sleep(0.005)
            case "read":
                await turn.call()
            case "write":
                await turn.call("create_task", {}, MutationOp.MUTATION_OP_CREATE)
            case "both":
                write = turn.call("create_task", {}, MutationOp.MUTATION_OP_CREATE)
                await asyncio.gather(turn.call(), write)
            case "query":
                await turn.query("t1")
            case "block":
                await turn.block({"headers": ["a"], "rows": []})
            case "end" | "deaf":
                await turn.end()
            case "fail":
                why = SwitchboardError(ErrorCode.ERROR_CODE_MODEL_TRUNCATED, "It broke off.")
                await turn.end(EndStatus.END_STATUS_FAILED, why)
            case "break":
                raise SwitchboardError(ErrorCode.ERROR_CODE_SERVICE_UNAVAILABLE, "It is gone.")


@pytest.fixture
async def stack() -> AsyncIterator[EdgeStack]:
    async with edge_stack(**{name.lower(): value for name, value in UNLIMITED.items()}) as made:
        made.behind.router.script = play
        yield made


async def one(
    seed: int, http: aiohttp.ClientSession, origin: str, token: str, writing: Write
) -> list[str]:
    rng = random.Random(seed)
    async with AsyncExitStack() as stack:
        devices = [
            await stack.enter_async_context(Roamer(http, origin, token, device_id=f"device-{n}"))
            for n in range(rng.randrange(1, 4))
        ]
        scenario = Scenario(rng, devices, writing)
        try:
            for _ in range(rng.randrange(10, 40)):
                await scenario.act()
            await scenario.finish()
            broken = scenario.broken()
        except TimeoutError:
            broken = [*scenario.broken(), f"it hangs: {devices}"]
    return [f"SEED={seed}", *broken, *scenario.did] if broken else []


async def test_any_interleaving_keeps_the_promises(stack: EdgeStack) -> None:
    """Against an edge with a scripted router."""
    for start in range(0, len(SEEDS), AT_ONCE):
        found = await asyncio.gather(
            *(
                one(seed, stack.http, stack.url, stack.token(f"user-{start + n}"), write)
                for n, seed in enumerate(SEEDS[start : start + AT_ONCE])
            )
        )
        broken = [line for lines in found for line in lines]
        assert not broken, "\n".join(broken)
    for turn in stack.behind.router.turns:
        told = [result.call_id for result in turn.results]
        assert len(told) == len(set(told)), f"a call of {turn.request_id} was answered twice"
    started = [turn.request_id for turn in stack.behind.router.turns]
    assert len(started) == len(set(started)), "a request ran twice"


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory, module_database: str) -> Iterator[Fleet]:
    with Fleet(tmp_path_factory.mktemp("fleet"), module_database) as running:
        yield running


def converse(rng: random.Random) -> tuple[str, str | None]:
    """A message to the offline model."""
    count = rng.randrange(5, 40)
    said = " ".join(f"word{number}" for number in range(1, count + 1))
    return rng.choice(
        [
            (f"rehearse a slow answer of {count} words", said),
            (f"rehearse a long answer of {count} words", said),
            ("rehearse a cut", None),
            ("list my tasks", None),
            (f'create a task called "Number {count}"', None),
        ]
    )


async def test_any_interleaving_keeps_the_promises_on_the_whole_stack(fleet: Fleet) -> None:
    """The same devices, against real services and the offline model."""
    async with aiohttp.ClientSession() as http:
        for start in range(0, len(STACK_SEEDS), 6):
            tokens = [await register(http, fleet.origin()) for _ in range(6)]
            found = await asyncio.gather(
                *(
                    one(seed, http, fleet.origin(), token, converse)
                    for seed, token in zip(STACK_SEEDS[start : start + 6], tokens, strict=False)
                )
            )
            broken = [line for lines in found for line in lines]
            assert not broken, "\n".join(broken)
