"""EnrichContext and StoreEpisode, embedding excluded, at concurrency 1 and 16."""

import asyncio
import random
import time
from collections.abc import Awaitable, Callable
from uuid import UUID, uuid4

from bench.memory import tables
from bench.memory.seed import Seeder, sentence
from memory_svc.app import App
from memory_svc.write.episodes import Exchange

Call = Callable[[], Awaitable[object]]


async def timed(call: Call, count: int, at_once: int) -> list[float]:
    left = iter(range(count))
    taken: list[float] = []

    async def caller() -> None:
        for _ in left:
            start = time.perf_counter()
            await call()
            taken.append(time.perf_counter() - start)

    await asyncio.gather(*(caller() for _ in range(at_once)))
    return taken


async def measure(app: App, user: UUID, count: int) -> list[str]:
    chance = random.Random(11)

    async def enrich() -> None:
        items, degraded = await app.context.enrich(user, sentence(chance, 8))
        assert items
        assert not degraded

    async def store() -> None:
        message = f"The {sentence(chance, 7)}. Our {sentence(chance, 8)}."
        await app.remember.store(user, Exchange("s", str(uuid4()), message, sentence(chance, 40)))

    cells: list[str] = []
    for call in (enrich, store):
        for at_once in (1, 16):
            await timed(call, 20, at_once)
            taken = await timed(call, count, at_once)
            cells.append(f"{tables.ms(taken, 50)} / {tables.ms(taken, 95)}")
    return cells


HEAD = ("enrich ×1", "enrich ×16", "store ×1", "store ×16")


async def settle_down(app: App) -> None:
    async with app.db.connection() as db:
        for table in ("users", "memory_associative", "memory_episodic", "memory_terms"):
            await db.execute(f"VACUUM (ANALYZE) {table}", timeout=600)


async def sizes(app: App, others: int, count: int) -> None:
    seeder = Seeder(app)
    await seeder.users(others, 20)
    wanted = (600, 5_000, 20_000)
    users = [(await seeder.users(1, rows))[0] for rows in wanted]
    await settle_down(app)
    rows = [
        (f"{size:,}", *await measure(app, user, count))
        for size, user in zip(wanted, users, strict=True)
    ]
    title = f"Latency in ms, p50 / p95, one user among {others:,}; ×: calls at once"
    tables.show(title, ("rows", *HEAD), rows)


async def crowds(app: App, steps: tuple[int, ...], count: int) -> None:
    seeder = Seeder(app)
    (user,) = await seeder.users(1, 600)
    there, rows = 1, []
    for step in steps:
        await seeder.users(step - there, 5)
        there = step
        await settle_down(app)
        rows.append((f"{step:,}", *await measure(app, user, count)))
    tables.show("The same for a user of 600 rows as users come", ("users", *HEAD), rows)
