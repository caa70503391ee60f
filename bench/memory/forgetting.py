"""200 canaries: found in a dump before and after the erasure, and in the process's memory."""

import asyncio
import gc
import subprocess
from urllib.parse import parse_qs, urlsplit
from uuid import uuid4

from bench.memory import tables
from bench.memory.hygiene import say
from bench.memory.seed import Seeder
from memory_svc.app import App
from tests.support.postgres import tool

COUNT = 200


def dump(url: str) -> str:
    parts = urlsplit(url)
    command = [
        *(str(tool("pg_dump")), "-h", parse_qs(parts.query)["host"][0], "-U", "postgres"),
        *("-d", parts.path.lstrip("/")),
    ]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def held(words: list[str]) -> int:
    """How many of the words stand in strings that this process's objects hold, ours aside."""
    gc.collect()
    own = {id(word) for word in words} | {id(words)}
    texts: set[str] = set()
    for thing in gc.get_objects():
        if id(thing) in own:
            continue
        values = thing.values() if isinstance(thing, dict) else thing
        if isinstance(thing, dict | list | tuple | set):
            texts |= {v for v in list(values) if isinstance(v, str) and id(v) not in own}
    joined = "\n".join(texts)
    return sum(word in joined for word in words)


async def measure(app: App) -> None:
    (user,) = await Seeder(app).users(1, 0)
    mark = uuid4().hex[:6]
    words = [f"canary{mark}{number:03d}x" for number in range(COUNT)]
    for start in range(0, COUNT, 5):
        said = " ".join(f"The {word} is in a box." for word in words[start : start + 5])
        await say(app, user, said, f"So {words[start]}.")
    await app.preferences.set(user, "canary", words[0])
    found, _ = await app.browse.search(user, words[3], None, 5)
    remembered = sum(word in str([item.text for item in found]) for word in words[3:4])
    del found
    before = await asyncio.to_thread(dump, app.db.url)
    await app.erasure.erase(user)
    after = await asyncio.to_thread(dump, app.db.url)
    cached = f"{held(words)} / {int(user in app.keys)}"
    rows = [
        ("before", f"{remembered} of 1", count(before, words), "", before.count(str(user))),
        ("after", "0 of 1", count(after, words), cached, after.count(str(user))),
    ]
    head = ("erasure", "recalled", "in the dump", "in the process / keys", "user's id in the dump")
    tables.show(f"Forgetting, {COUNT} canaries", head, rows)


def count(written: str, words: list[str]) -> int:
    return sum(word in written for word in words)
