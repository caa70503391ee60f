"""What stands in the database opens with its user's key, in its place, and nowhere else."""

import asyncio
import logging
import os
import sys
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import UUID

import numpy as np
import pytest
from cryptography.fernet import Fernet

from memory_svc.app import App
from memory_svc.crypto.embedding_rotation import Vector
from memory_svc.crypto.envelope import MasterKeys
from memory_svc.keys.master import Rewrapped
from switchboard.v3 import memory_pb2 as pb
from tests.support.embeddings import EmbeddingServer, meaning
from tests.support.memory import Running, memory_service, settings


@pytest.fixture
async def memory(database_url: str, tmp_path: Path) -> AsyncIterator[Running]:
    async with (
        EmbeddingServer() as provider,
        memory_service(database_url, tmp_path, openai_base_url=provider.url) as running,
    ):
        yield running


async def prefer(memory: Running, user: UUID, key: str, value: str) -> None:
    await memory.stub.UpdateCore(pb.UpdateCoreRequest(user_id=str(user), key=key, value=value))


async def preferences(memory: Running, user: UUID) -> dict[str, str]:
    found = await memory.stub.GetCore(pb.GetCoreRequest(user_id=str(user)))
    return {item.key: item.text for item in found.items}


async def run(memory: Running, statement: str, *values: object) -> None:
    async with memory.app.db.connection() as db:
        await db.execute(statement, *values)


TEXT_COLUMNS = [
    ("memory_core", "value_encrypted"),
    ("memory_core", "previous_encrypted"),
    ("memory_associative", "content_encrypted"),
    ("memory_episodic", "summary_encrypted"),
    ("memory_episodic", "detail_encrypted"),
]


async def test_rows_are_ciphertext_that_the_users_key_opens(memory: Running) -> None:
    user = await memory.user()
    await prefer(memory, user, "drink", "zanzibar coffee")
    await prefer(memory, user, "drink", "zanzibar tea")
    await memory.say(user, "My zanzibar trip was long.")
    await memory.settled()
    row = (await memory.fetch("SELECT encryption_key FROM users"))[0]
    fernet = Fernet(memory.app.masters.unwrap(user, row["encryption_key"]))
    for table, column in TEXT_COLUMNS:
        (stored,) = await memory.fetch(f"SELECT * FROM {table}")
        assert "zanzibar" not in str(dict(stored)).lower()
        plain = fernet.decrypt(stored[column]).decode()
        assert plain.startswith(
            f"switchboard-1|{user}|{table}|{stored['id']}|{column}|{stored['revision']}\n"
        )
        assert "zanzibar" in plain


async def test_a_ciphertext_in_another_row_is_left_out_and_said_so(
    memory: Running, caplog: pytest.LogCaptureFixture
) -> None:
    user = await memory.user()
    for key in ("a", "b", "c"):
        await prefer(memory, user, key, f"value of {key}")
    await run(
        memory,
        """UPDATE memory_core SET value_encrypted =
            (SELECT value_encrypted FROM memory_core ORDER BY updated_at LIMIT 1)
        WHERE id = (SELECT id FROM memory_core ORDER BY updated_at LIMIT 1 OFFSET 1)""",
    )
    with caplog.at_level(logging.ERROR):
        assert await preferences(memory, user) == {"a": "value of a", "c": "value of c"}
    assert "value_encrypted of row" in caplog.text
    assert "stands where it does not belong" in caplog.text
    assert "value of a" not in caplog.text
    found = await memory.enrich(user, "hello")
    assert [item.key for item in found.items] == ["a", "c"]


async def test_a_ciphertext_in_another_column_does_not_open(memory: Running) -> None:
    user = await memory.user()
    await prefer(memory, user, "a", "old")
    await prefer(memory, user, "a", "new")
    await run(memory, "UPDATE memory_core SET value_encrypted = previous_encrypted")
    assert await preferences(memory, user) == {}


async def test_a_ciphertext_under_another_revision_does_not_open(memory: Running) -> None:
    user = await memory.user()
    await prefer(memory, user, "a", "old")
    old = (await memory.fetch("SELECT value_encrypted FROM memory_core"))[0][0]
    await prefer(memory, user, "a", "new")
    await run(memory, "UPDATE memory_core SET value_encrypted = $1", old)
    assert await preferences(memory, user) == {}


async def test_a_ciphertext_of_another_user_does_not_open(memory: Running) -> None:
    ann, bob = await memory.user(), await memory.user()
    await memory.say(ann, "Ann's cat is grey.")
    await memory.say(bob, "Bob's cat is white.")
    await run(
        memory,
        """UPDATE memory_associative SET content_encrypted =
            (SELECT content_encrypted FROM memory_associative WHERE user_id = $1)
        WHERE user_id = $2""",
        *(ann, bob),
    )
    assert await memory.facts(bob) == []
    assert await memory.facts(ann) == ["Ann's cat is grey."]
    found = await memory.enrich(bob, "the cat")
    assert [item.tier for item in found.items] == [pb.MEMORY_TIER_EPISODIC]


async def test_a_wrapped_key_of_another_user_does_not_open(memory: Running) -> None:
    ann, bob = await memory.user(), await memory.user()
    await run(
        memory,
        """UPDATE users SET encryption_key =
            (SELECT encryption_key FROM users WHERE id = $1) WHERE id = $2""",
        *(ann, bob),
    )
    with pytest.raises(Exception, match="cannot be opened"):
        await memory.enrich(bob, "hi")
    await memory.enrich(ann, "hi")


async def test_keys_are_rewrapped_under_load_without_a_failed_read(
    database_url: str, tmp_path: Path
) -> None:
    old, new = Fernet.generate_key().decode(), Fernet.generate_key().decode()
    async with memory_service(database_url, tmp_path, master_keys=f"{new},{old}") as memory:
        memory.app.masters = memory.app.masters.__class__([old, new])
        memory.app.accounts._masters = memory.app.masters
        users = [await memory.user() for _ in range(6)]
        for user in users:
            await prefer(memory, user, "name", str(user))
        done = asyncio.Event()

        async def read(user: UUID) -> int:
            reads = 0
            while not done.is_set():
                memory.app.keys.forget(user)
                assert await preferences(memory, user) == {"name": str(user)}
                reads += 1
            return reads

        readers = [asyncio.create_task(read(user)) for user in users]
        rotating = App(settings(database_url, tmp_path, master_keys=f"{new},{old}"))
        await rotating.open()
        assert await rotating.rewrap_all() == Rewrapped(6, 0)
        assert await rotating.rewrap_all() == Rewrapped(0, 0)
        await rotating.close()
        done.set()
        assert min(await asyncio.gather(*readers)) > 0
    async with memory_service(database_url, tmp_path, master_keys=new) as memory:
        for user in users:
            assert await preferences(memory, user) == {"name": str(user)}


async def test_a_key_that_is_damaged_fails_the_rotation_loudly_and_stops_nothing_else(
    database_url: str, tmp_path: Path
) -> None:
    old, new = Fernet.generate_key().decode(), Fernet.generate_key().decode()
    async with memory_service(database_url, tmp_path, master_keys=old) as memory:
        users = [await memory.user() for _ in range(3)]
        await run(memory, "UPDATE users SET encryption_key = 'x' WHERE id = $1", min(users))
    environment = os.environ | {
        "DATABASE_URL": database_url,
        "MASTER_KEYS": f"{new},{old}",
        "ERASURE_LEDGER": str(tmp_path / "ledger"),
    }
    rotated = await command("rotate-keys", environment)
    assert rotated.status == 1
    assert rotated.said.splitlines()[-1].startswith("memory_svc: 1 keys do not open")
    listed = await command("master-keys", environment)
    names = [MasterKeys([key]).current_id for key in (old, new)]
    assert sorted(listed.out.splitlines()) == sorted([f"{names[0]} 1", f"{names[1]} 2"])
    async with memory_service(database_url, tmp_path, master_keys=f"{new},{old}") as memory:
        for user in sorted(users)[1:]:
            assert await preferences(memory, user) == {}


@dataclass(frozen=True, slots=True)
class Done:
    """How a command ended, and what it printed."""

    status: int
    out: str
    said: str


async def command(name: str, environment: Mapping[str, str]) -> Done:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "memory_svc", name),
        env=environment,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, said = await asyncio.wait_for(process.communicate(), 60)
    assert process.returncode is not None
    return Done(process.returncode, out.decode(), said.decode())


async def test_a_wrong_master_key_stops_the_service_at_start(
    database_url: str, tmp_path: Path
) -> None:
    async with memory_service(database_url, tmp_path) as memory:
        await memory.user()
        key = Fernet.generate_key().decode()
        environment = os.environ | {
            "DATABASE_URL": database_url,
            "MASTER_KEYS": key,
            "ERASURE_LEDGER": str(tmp_path / "ledger"),
            "LISTEN_ADDR": "127.0.0.1:0",
            "LOG_LEVEL": "error",
        }
        for name in ("serve", "rotate-keys"):
            done = await command(name, environment)
            assert done.status == 2
            assert done.said.count("\n") == 1
            assert "MASTER_KEYS: 1 keys" in done.said


async def test_a_guessed_text_is_not_found_in_the_stored_vectors(memory: Running) -> None:
    """Whoever has the database and the embedding model, but no key, confirms nothing."""
    user = await memory.user()
    secret = "My diagnosis is gout."
    for message in (secret, "The roof leaks badly.", "Cheese is in the cellar.", "Tim sings loud."):
        await memory.say(user, message)
    await memory.settled()
    rows = await memory.fetch("SELECT embedding FROM memory_associative ORDER BY created_at")
    stored = [np.asarray(row[0]) for row in rows]
    guess = np.asarray(meaning(secret), np.float32)
    assert max(abs(float(vector @ guess)) for vector in stored) < 0.15
    magnitudes = np.sort(np.abs(guess))
    for vector in stored:  # a signed permutation would keep these
        assert float(np.abs(np.sort(np.abs(vector)) - magnitudes).max()) > 1e-3
    keys = await memory.app.keys.get(user)
    assert float(stored[0] @ keys.rotate(guess)) > 0.999


class _Bare:
    """The memory of a user without any encryption: what hybrid recall is held against."""

    def __init__(self, user_id: UUID) -> None:
        self.user_id = user_id

    def seal(self, text: str, place: Any) -> str:
        return text

    def open(self, token: str, place: Any) -> str:
        return token

    def term(self, word: str) -> int:
        return int.from_bytes(word.encode()[:8].ljust(8, b"\0"), signed=True)

    def digest(self, text: str) -> bytes:
        return text.encode()

    def rotate(self, vector: Vector) -> Vector:
        return vector


async def test_recall_finds_the_same_with_and_without_encryption(memory: Running) -> None:
    sealed, bare = await memory.user(), await memory.user()
    memory.app.keys._keep(bare, _Bare(bare))
    nouns = ("puppy", "car", "harbour", "violin", "meadow", "ladder", "hound", "vehicle")
    said = [
        f"The {nouns[n % 8]} near the {nouns[(3 * n + 1) % 8]} has mark {chr(97 + n % 26)}{n}."
        for n in range(60)
    ]
    for user in (sealed, bare):
        for message in said:
            await memory.say(user, message)
        await memory.settled()
    assert len(await memory.facts(sealed)) == len(said)
    for query in ("hound", "the old vehicle near a ladder", "mark a26", "violins", "meadow b27"):
        found = {}
        for user in (sealed, bare):
            items, degraded = await memory.app.browse.search(user, query, None, 10)
            assert degraded == ()
            found[user] = [(item.text, round(item.score, 4)) for item in items]
        assert found[sealed] == found[bare]
        assert found[sealed]
    kept = await memory.fetch("SELECT content_encrypted FROM memory_associative")
    assert sum("mark" in row[0] for row in kept) == len(said)  # only the bare ones can be read
