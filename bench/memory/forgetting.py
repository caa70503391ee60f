"""200 canaries: found in a dump before and after the erasure, and in the process's memory."""

import asyncio
import gc
import subprocess
from collections import deque
from dataclasses import dataclass
from urllib.parse import parse_qs, urlsplit
from uuid import UUID, uuid4

from bench.memory import tables
from bench.memory.hygiene import say
from bench.memory.seed import Seeder
from memory_svc.app import App
from runtime.errors import SwitchboardError
from switchboard.v3.errors_pb2 import ErrorCode
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
    """How many of the words stand in what this process's objects hold, ours aside.

    Objects without a `__dict__` and bytes are seen too: the collector knows what it looks at,
    and each of these tells what it refers to.
    """
    gc.collect()
    own = {id(word) for word in words} | {id(words)}
    texts: set[str] = set()
    for thing in gc.get_objects():
        if id(thing) in own:
            continue
        for value in gc.get_referents(thing):
            if id(value) not in own and isinstance(value, str | bytes | bytearray):
                texts.add(value if isinstance(value, str) else value.decode("latin-1"))
    joined = "\n".join(texts)
    return sum(word in joined for word in words)


@dataclass(frozen=True, slots=True)
class _Planted:
    text: object


def proved() -> str:
    """Whether `held` finds what was planted where caches might keep it."""
    words = [f"planted{uuid4().hex[:8]}x{number}" for number in range(4)]
    kept = [  # other strings of the same letters
        _Planted("is " + words[0]),
        _Planted(("is " + words[1]).encode()),
        deque(["is " + words[2]]),
        {"key": ["is " + words[3]]},
    ]
    return f"{held(words)} of {len(kept)}"


async def recalled(app: App, user: UUID, word: str) -> str:
    """What the user's memory says when it is asked for a word."""
    try:
        found, _ = await app.browse.search(user, word, None, 5)
    except SwitchboardError as error:
        if error.code != ErrorCode.ERROR_CODE_NOT_FOUND:
            raise
        return "no such user"
    return f"{int(any(word in item.text for item in found))} of 1"


async def tell(app: App, user: UUID, words: list[str]) -> None:
    for start in range(0, COUNT, 5):
        said = " ".join(f"The {word} is in a box." for word in words[start : start + 5])
        await say(app, user, said, f"So {words[start]}.")


async def measure(app: App) -> None:
    (user,) = await Seeder(app).users(1, 0)
    mark = uuid4().hex[:6]
    words = [f"canary{mark}{number:03d}x" for number in range(COUNT)]
    await tell(app, user, words)
    await app.preferences.set(user, "canary", words[0])
    before_it = await recalled(app, user, words[3])
    before = await asyncio.to_thread(dump, app.db.url)
    await app.erasure.erase(user)
    after = await asyncio.to_thread(dump, app.db.url)
    # The offline model, which a deployment has elsewhere, holds the last word that it stemmed.
    await app.embedder.embed(["nothing"], 10)
    cached = f"{held(words)} of {COUNT} / {int(user in app.keys)}"
    rows: list[tuple[object, ...]] = [
        ("before", before_it, count(before, words), "", before.count(str(user))),
        (
            "after",
            await recalled(app, user, words[3]),
            count(after, words),
            cached,
            after.count(str(user)),
        ),
    ]
    head = ("erasure", "recalled", "in the dump", "in the process / keys", "user's id in the dump")
    rows.append(("planted, to prove the look", "", "", proved(), ""))
    tables.show(f"Forgetting, {COUNT} canaries", head, rows)


def count(written: str, words: list[str]) -> int:
    return sum(word in written for word in words)
