"""What users cost: bytes and rows for each exchange, fact and sign-in, and the time to keep them.

Users talk for a month, through the service's own ways in: exchanges of usual length, a third of
which state something; jobs settle them; the device renews its token. Then the tables are weighed.
"""

import random
import time
from uuid import UUID, uuid4

from bench.memory import tables
from bench.memory.seed import Seeder, sentence
from memory_svc.app import App
from memory_svc.write.episodes import Exchange

_TABLES = {
    "exchanges": ("memory_episodic", "request"),
    "facts with embeddings": ("memory_associative", "fact"),
    "words": ("memory_terms", "request"),
    "habits": ("memory_proactive", "user"),
    "writes": ("memory_writes", "user"),
    "sign-ins": ("refresh_families", "sign-in"),
    "refresh tokens": ("refresh_tokens", "refresh"),
    "users": ("users", "user"),
}


def message(chance: random.Random, number: int) -> str:
    if number % 3:
        return (
            f"Please show me the {sentence(chance, 9)} and what is due for {sentence(chance, 5)}?"
        )
    first, second, third = (sentence(chance, length) for length in (1, 2, 6))
    return f"Our {first} from {second} is {third}. What about {sentence(chance, 8)}?"


async def measure(app: App, users: int, requests: int, refreshes: int) -> None:
    """So many users, with so many requests and refreshes each."""
    chance = random.Random(5)
    people = await Seeder(app).users(users, 0)
    started, worked = time.perf_counter(), time.process_time()
    for number in range(requests):
        for user in people:
            exchange = Exchange("s", str(uuid4()), message(chance, number), sentence(chance, 60))
            await app.remember.store(user, exchange)
        if number % 10 == 9:
            await _settle(app)
    await _settle(app)
    kept, cpu = time.perf_counter() - started, time.process_time() - worked
    for user in people:
        await _renew(app, user, refreshes)
    await _show(app, users, requests, refreshes)
    count = users * requests
    print(
        f"{1000 * kept / count:.1f} ms for each exchange with its jobs, one after another;"
        f" {1000 * cpu / count:.1f} ms of CPU in memory_svc, embedding excluded"
    )


async def _settle(app: App) -> None:
    async with app.db.connection() as db:
        await db.execute("UPDATE memory_jobs SET run_at = now() WHERE kind = 'settle'")
    while await app.worker.step():
        pass


async def _renew(app: App, user: UUID, refreshes: int) -> None:
    async with app.db.transaction() as db:
        session = await app.sign_ins.open(db, user, None, "")
    token = session.refresh_token
    for _ in range(refreshes):
        token = (await app.sign_ins.refresh(token)).refresh_token


async def _show(app: App, users: int, requests: int, refreshes: int) -> None:
    rows = []
    async with app.db.connection() as db:
        facts = await db.fetchval("SELECT count(*) FROM memory_associative")
        per = {
            "user": users,
            "request": users * requests,
            "fact": facts,
            "sign-in": users,
            "refresh": users * refreshes,
        }
        for name, (table, of) in _TABLES.items():
            await db.execute(f"VACUUM (FULL, ANALYZE) {table}", timeout=600)
            count, heap, indexes = await db.fetchrow(
                f"""SELECT (SELECT count(*) FROM {table}), pg_table_size('{table}'),
                pg_indexes_size('{table}')"""
            )
            each = (heap + indexes) / max(per[of], 1)
            rows.append((name, count, f"{heap:,}", f"{indexes:,}", f"{each:,.0f} a {of}"))
    title = f"{users} users, {requests} requests and {refreshes} refreshes each: bytes, packed"
    tables.show(title, ("what", "rows", "table", "indexes", "bytes"), rows)
