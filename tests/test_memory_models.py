"""Acceptance: four tiers in the database, sealed with the user's key, opened by enrichment."""

from collections.abc import AsyncIterator
from pathlib import Path
from uuid import uuid4

import pytest
from cryptography.fernet import Fernet

from memory_svc.crypto.envelope import IntegrityError, Place
from switchboard.v3 import memory_pb2 as pb
from tests.support.embeddings import EmbeddingServer
from tests.support.memory import Running, memory_service

COLUMNS = {
    "memory_core": {"id", "user_id", "key", "value_encrypted", "updated_at"},
    "memory_associative": {
        *("id", "user_id", "content_encrypted", "embedding", "entity_type", "entity_id"),
        "updated_at",
    },
    "memory_episodic": {"id", "user_id", "summary_encrypted", "session_id", "created_at"},
    "memory_proactive": {
        *("id", "user_id", "pattern_encrypted", "confidence", "source", "created_at"),
    },
}


@pytest.fixture
async def memory(database_url: str, tmp_path: Path) -> AsyncIterator[Running]:
    async with (
        EmbeddingServer() as provider,
        memory_service(database_url, tmp_path, openai_base_url=provider.url) as running,
    ):
        yield running


@pytest.mark.parametrize("table", COLUMNS)
async def test_the_tables_have_the_columns_of_the_plan(memory: Running, table: str) -> None:
    rows = await memory.fetch(
        "SELECT column_name FROM information_schema.columns WHERE table_name = $1", table
    )
    assert {row[0] for row in rows} >= COLUMNS[table]


async def test_embeddings_are_vectors_of_1536_beside_their_row(memory: Running) -> None:
    (row,) = await memory.fetch(
        """SELECT format_type(atttypid, atttypmod), attstorage FROM pg_attribute
        WHERE attrelid = 'memory_associative'::regclass AND attname = 'embedding'"""
    )
    assert (row[0], row[1]) == ("vector(1536)", b"p")


async def test_every_user_has_a_key_that_only_the_master_key_opens(memory: Running) -> None:
    user = await memory.user()
    (row,) = await memory.fetch("SELECT encryption_key FROM users")
    key = memory.app.masters.unwrap(user, row[0])
    Fernet(key)
    assert key.decode() not in row[0]
    with pytest.raises(IntegrityError):
        memory.app.masters.unwrap(uuid4(), row[0])


async def test_enrichment_returns_what_the_tiers_hold(memory: Running) -> None:
    user = await memory.user()
    await memory.stub.UpdateCore(
        pb.UpdateCoreRequest(user_id=str(user), key="answers", value="short ones")
    )
    stored = await memory.say(user, "My sister Anna lives in Oslo.", session_id="yesterday")
    await memory.settled()
    found = await memory.enrich(user, "Where does my sister live?")
    tiers = {item.tier: item for item in found.items}
    assert tiers[pb.MEMORY_TIER_CORE].text == "short ones"
    assert tiers[pb.MEMORY_TIER_ASSOCIATIVE].text == "My sister Anna lives in Oslo."
    assert tiers[pb.MEMORY_TIER_ASSOCIATIVE].why == "words+meaning"
    assert tiers[pb.MEMORY_TIER_EPISODIC].id == stored.episode_id
    assert tiers[pb.MEMORY_TIER_EPISODIC].session_id == "yesterday"
    assert all(item.id and item.why and 0 < item.score <= 1 for item in found.items)


async def test_stored_rows_are_ciphertext_and_open_with_the_users_key(memory: Running) -> None:
    ann, bob = await memory.user(), await memory.user()
    await memory.say(ann, "My sister Anna lives in Oslo.")
    (row,) = await memory.fetch("SELECT id, content_encrypted, revision FROM memory_associative")
    assert "Oslo" not in row["content_encrypted"]
    place = Place("memory_associative", row["id"], "content_encrypted", row["revision"])
    keys = await memory.app.keys.get(ann)
    assert keys.open(row["content_encrypted"], place) == "My sister Anna lives in Oslo."
    with pytest.raises(IntegrityError):
        (await memory.app.keys.get(bob)).open(row["content_encrypted"], place)
