"""What is remembered of a user, over REST and the real memory_svc: to see, change and remove."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.model_server import Reply, Request, says
from tests.support.whole import PASSWORD, Whole, whole

MEMORY = "/api/v1/memory"
GENERAL = {"agent": "general_agent", "confidence": 0.9, "reason": "talk"}


@pytest.fixture
async def stack(database_url: str, tmp_path: Path) -> AsyncIterator[Whole]:
    async with whole(database_url, tmp_path, lambda _: says("Of course."), json=GENERAL) as found:
        yield found


async def remembered(stack: Whole, name: str, tier: str) -> list[dict[str, Any]]:
    status, found = await stack.rest(name, "GET", f"{MEMORY}?tier={tier}")
    assert status == 200
    items: list[dict[str, Any]] = found["items"]
    return items


async def chat(stack: Whole, name: str, message: str) -> None:
    status, _ = await stack.rest(name, "POST", "/api/v1/chat", json={"message": message})
    assert status == 200


async def test_preferences_are_set_read_and_removed(stack: Whole) -> None:
    put = await stack.rest("ada", "PUT", f"{MEMORY}/core/tone", json={"value": "brief"})
    assert (put[0], put[1]["key"], put[1]["text"]) == (200, "tone", "brief")
    _, found = await stack.rest("ada", "GET", f"{MEMORY}/core")
    assert [(item["key"], item["text"]) for item in found["items"]] == [("tone", "brief")]
    _, of_other = await stack.rest("grace", "GET", f"{MEMORY}/core")
    assert of_other["items"] == []
    assert (await stack.rest("grace", "DELETE", f"{MEMORY}/core/tone"))[0] == 404
    assert (await stack.rest("ada", "DELETE", f"{MEMORY}/core/tone"))[0] == 204
    assert (await stack.rest("ada", "DELETE", f"{MEMORY}/core/tone"))[0] == 404


async def test_a_preference_is_removed_by_the_id_that_it_is_listed_with(stack: Whole) -> None:
    await stack.rest("ada", "PUT", f"{MEMORY}/core/tone", json={"value": "brief"})
    (item,) = await remembered(stack, "ada", "core")
    assert (await stack.rest("grace", "DELETE", f"{MEMORY}/core/{item['id']}"))[0] == 404
    assert (await stack.rest("ada", "DELETE", f"{MEMORY}/core/{item['id']}"))[0] == 204
    assert await remembered(stack, "ada", "core") == []
    assert (await stack.rest("ada", "DELETE", f"{MEMORY}/core/%00"))[0] == 400


async def test_what_was_said_is_listed_searched_exported_and_removed(stack: Whole) -> None:
    await chat(stack, "ada", "Our supplier of oak is Holzmann")
    await chat(stack, "ada", "The meeting with Bruno is on Friday")
    episodes = await remembered(stack, "ada", "episodic")
    assert len(episodes) == 2
    assert "Bruno" in episodes[0]["text"]  # newest first
    assert await remembered(stack, "grace", "episodic") == []

    _, page = await stack.rest("ada", "GET", f"{MEMORY}?tier=episodic&limit=1")
    assert [item["id"] for item in page["items"]] == [episodes[0]["id"]]
    query = f"{MEMORY}?tier=episodic&limit=1&cursor={page['next_cursor']}"
    _, rest = await stack.rest("ada", "GET", query)
    assert [item["id"] for item in rest["items"]] == [episodes[1]["id"]]

    _, found = await stack.rest("ada", "GET", f"{MEMORY}?query=oak")
    assert "Holzmann" in found["items"][0]["text"]
    assert found["items"][0]["score"] > 0

    token = (await stack.user("ada"))["access_token"]
    async with stack.http.get(
        f"{stack.url}{MEMORY}/export", headers={"Authorization": f"Bearer {token}"}
    ) as response:
        assert response.status == 200
        exported = await response.text()
    assert "Holzmann" in exported
    assert "Bruno" in exported
    account, *lines = [json.loads(line) for line in exported.splitlines()]
    assert account["text"].startswith("ada")
    assert account["email_verified_at"] is None
    assert [each["device_name"][:6] for each in account["sign_ins"]] == ["Python"]
    assert account["created_at"] <= account["sign_ins"][0]["created_at"]
    assert [line["id"] for line in lines if "exchange" in line] == [each["id"] for each in episodes]
    (oak,) = [line["exchange"] for line in lines if "Holzmann" in str(line.get("exchange"))]
    assert oak["message"] == "Our supplier of oak is Holzmann"

    path = f"{MEMORY}/episodic/{episodes[1]['id']}"
    assert (await stack.rest("grace", "DELETE", path))[0] == 404
    assert (await stack.rest("ada", "DELETE", path))[0] == 204
    assert (await stack.rest("ada", "DELETE", path))[0] == 404
    assert [item["id"] for item in await remembered(stack, "ada", "episodic")] == [
        episodes[0]["id"]
    ]


@pytest.mark.parametrize("id_", ["nonsense", "5f0c1b5e-8f4b-4f0e-9d58-3c1f0a6c7d21"])
async def test_what_is_not_there_is_404(stack: Whole, id_: str) -> None:
    for tier in ("associative", "episodic", "proactive"):
        assert (await stack.rest("ada", "DELETE", f"{MEMORY}/{tier}/{id_}"))[0] == 404
    body = {"decision": "approve"}
    assert (await stack.rest("ada", "POST", f"{MEMORY}/proactive/{id_}", json=body))[0] == 404
    assert (await stack.rest("ada", "DELETE", f"{MEMORY}/gossip/{id_}"))[0] == 400


async def habit_of(stack: Whole, name: str) -> str:
    """Asks the same thing on four Mondays, and has the habit noticed."""
    for _ in range(4):
        await chat(stack, name, "What is due this week?")
    async with stack.memory.db.connection() as db:
        await db.execute(
            "UPDATE memory_episodic e SET created_at ="
            " date_trunc('week', now()) + interval '8 hours' - make_interval(weeks => o.n::int)"
            " FROM (SELECT id, row_number() OVER () AS n FROM memory_episodic) o"
            " WHERE e.id = o.id"
        )
        await db.execute("UPDATE memory_jobs SET run_at = now()")
        await db.execute(
            "INSERT INTO memory_jobs (user_id, kind) SELECT id, 'mine' FROM users"
            " WHERE NOT EXISTS (SELECT 1 FROM memory_jobs WHERE kind = 'mine')"
        )
    while await stack.memory.worker.step():
        pass
    [habit] = await remembered(stack, name, "proactive")
    found: str = habit["id"]
    return found


@pytest.mark.parametrize(("decision", "said"), [("approve", "approved"), ("dismiss", "dismissed")])
async def test_a_habit_is_approved_or_dismissed_by_its_user_only(
    stack: Whole, decision: str, said: str
) -> None:
    path = f"{MEMORY}/proactive/{await habit_of(stack, 'ada')}"
    body = {"decision": decision}
    status, error = await stack.rest("grace", "POST", path, json=body)
    assert (status, error["error"]["code"]) == (404, "not_found")
    for bad in ({"decision": "perhaps"}, {}, {"decision": 1}):
        assert (await stack.rest("ada", "POST", path, json=bad))[0] == 400
    assert (await stack.rest("ada", "POST", path, json=body))[0] == 204
    [habit] = await remembered(stack, "ada", "proactive")
    assert habit["why"] == said


async def test_a_deleted_account_ends_first_and_is_forgotten_whole(stack: Whole) -> None:
    device = await stack.device("laptop", "ada")
    await chat(stack, "ada", "Our supplier of oak is Holzmann")
    await device.until("stream_end")
    wrong = {"password": "not the one"}
    assert (await stack.rest("ada", "DELETE", "/api/v1/account", json=wrong))[0] == 401
    await device.send("ping")
    await device.expect("pong")
    right = {"password": PASSWORD}
    assert (await stack.rest("ada", "DELETE", "/api/v1/account", json=right))[0] == 204
    assert await device.closed() == 4401
    async with stack.memory.db.connection() as db:
        for table in ("users", "memory_core", "memory_associative", "memory_episodic"):
            assert await db.fetchval(f"SELECT count(*) FROM {table}") == 0


async def test_nothing_of_an_answer_that_ran_into_the_deletion_is_kept(
    database_url: str, tmp_path: Path
) -> None:
    running = asyncio.Event()

    def script(_: Request) -> Reply:
        return Reply(["Of course. ", running, "More."])

    async with whole(database_url, tmp_path, script, json=GENERAL) as stack:
        device = await stack.device("laptop", "ada")
        await device.send("home_request", message="Our supplier of oak is Holzmann")
        await device.until("stream_text")
        right = {"password": PASSWORD}
        assert (await stack.rest("ada", "DELETE", "/api/v1/account", json=right))[0] == 204
        end = (await device.until("stream_end"))[-1]
        assert end["status"] == "failed"
        assert await device.closed() == 4401
        await asyncio.wait_for(stack.model.chats[0].closed.wait(), 10)  # nobody pays for it
        running.set()
        # Another's answer goes the same way, and is there when this would be.
        await chat(stack, "grace", "Hello")
        async with stack.memory.db.connection() as db:
            [owner] = await db.fetch("SELECT user_id FROM memory_episodic")
        assert str(owner["user_id"]) == (await stack.user("grace"))["user_id"]
