"""What an honest device was told wrong is noticed."""

import asyncio
import random
from typing import Any

import pytest

from bench.siege.honest import Honest, Told, data_of, question
from tests.support.device import Store
from tests.support.roamer import Asked

KNOWN: dict[str, Told] = {"list my tasks": ("You have 2 tasks.", [("tasks", {"items": [1, 2]})])}


def honest() -> Honest:
    return Honest("http://127.0.0.1:1", "127.0.0.9", random.Random(1), Store.sample(), KNOWN)


def asked(*frames: dict[str, Any]) -> Asked:
    found = Asked("r1", "home", message="list my tasks")
    found.frames = list(frames)
    found.news()
    return found


TEXT = {"type": "stream_text", "chunk": "You have 2 tasks."}
BLOCK = {"type": "stream_block", "block_type": "tasks", "data": {"items": [1, 2]}}
END = {"type": "stream_end", "status": "completed"}


def test_an_answer_as_it_was_known_is_whole() -> None:
    device = honest()
    device.hold(asked(TEXT, BLOCK, END), KNOWN["list my tasks"])
    assert device.notes.answers == 1 and device.notes.wrong == []


@pytest.mark.parametrize(
    "frames",
    [
        [BLOCK, END],
        [TEXT, END],
        [{**TEXT, "chunk": "You have 2"}, BLOCK, END],
        [TEXT, {**BLOCK, "data": {"items": [1]}}, END],
        [TEXT, BLOCK, {"type": "stream_end", "status": "failed", "error": {"code": "internal"}}],
        [TEXT, BLOCK, {"type": "stream_end", "status": "cancelled"}],
    ],
)
def test_an_answer_that_is_less_or_another_is_wrong(frames: list[dict[str, Any]]) -> None:
    device = honest()
    device.hold(asked(*frames), KNOWN["list my tasks"])
    assert device.notes.answers == 0 and len(device.notes.wrong) == 1


@pytest.mark.parametrize("code", ["too_many_requests", "overloaded", "rate_limited"])
def test_a_refusal_is_counted_as_one(code: str) -> None:
    device = honest()
    end = {"type": "stream_end", "status": "failed", "error": {"code": code}}
    device.hold(asked(end), KNOWN["list my tasks"])
    assert device.notes.refused == {code: 1}


def test_some_questions_are_answered_from_the_model_alone_and_some_by_a_change() -> None:
    rng = random.Random(7)
    known: dict[str, Told] = {}
    asked = dict(question(rng, known) for _ in range(100))
    assert {message.split(" ")[0] for message, told in asked.items() if told} == {
        "rehearse",
        "create",
    }


def test_what_one_of_them_makes_is_not_seen_by_the_others() -> None:
    store = Store.sample()
    before = store.run("list_tasks", {})
    made = data_of(store)({"name": "create_task", "call_id": "c1", "arguments": {"title": "A"}})
    assert made["result"]["item"]["title"] == "A"
    assert data_of(store)({"name": "list_tasks", "call_id": "c2", "arguments": {}}) == {
        "result": before
    }


async def test_who_cannot_connect_says_so_and_goes_on_until_it_is_over() -> None:
    device, over = honest(), asyncio.Event()
    living = asyncio.create_task(device.live(over))
    while not device.notes.wrong:
        await asyncio.sleep(0)
    over.set()
    living.cancel()
    assert "could not sign up or connect" in device.notes.wrong[0]
