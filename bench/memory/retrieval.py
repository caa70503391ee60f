"""Recall@10 of hybrid search against vectors only and words only.

The set is LoCoMo's format: a list of samples, each with `conversation` (lists of turns
under `session_N`, a turn with `dia_id`, `speaker` and `text`) and `qa` (a question with
the `dia_id`s of its `evidence`). Each sample is one user.
"""

import json
import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

from bench.memory import tables
from bench.memory.seed import Seeder
from memory_svc.app import App
from memory_svc.crypto.envelope import Keys
from memory_svc.domain import rank
from memory_svc.store import search
from memory_svc.store.tiers import episodes, facts

K = 10
_EVIDENCE = re.compile(r"D\d+:\d+")


def turns(sample: dict[str, Any]) -> dict[str, str]:
    conversation = sample["conversation"]
    return {
        turn["dia_id"]: f"{turn.get('speaker', '')}: {turn['text']}"
        for name, session in conversation.items()
        if re.fullmatch(r"session_\d+", name)
        for turn in session
    }


def questions(sample: dict[str, Any], known: dict[str, str]) -> list[tuple[str, set[str]]]:
    found = []
    for qa in sample["qa"]:
        evidence = {one for text in qa.get("evidence", ()) for one in _EVIDENCE.findall(text)}
        if evidence & known.keys():
            found.append((qa["question"], evidence & known.keys()))
    return found


def load(path: Path) -> list[dict[str, Any]]:
    samples: list[dict[str, Any]] = json.loads(path.read_text("utf-8"))
    return samples


async def write(app: App, user: UUID, documents: dict[str, str]) -> dict[UUID, str]:
    """Writes each document as a fact of its own; returns fact → document."""
    keys = await app.keys.get(user)
    ids: dict[UUID, str] = {}
    batch = list(documents.items())
    for start in range(0, len(batch), 64):
        part = batch[start : start + 64]
        vectors = await app.embedder.embed([text for _, text in part], 60)
        for (document, text), vector in zip(part, vectors, strict=True):
            ids[await _fact(app, keys, text, keys.rotate(vector))] = document
    return ids


async def _fact(app: App, keys: Keys, text: str, vector: Any) -> UUID:
    fact = episodes.NewFact(
        id=(row := uuid4()),
        content=keys.seal(text, facts.place(row, 1)),
        digest=keys.digest(text),
        slot=None,
        entity_type=None,
        entity_id=None,
        terms=rank.hashed(keys, text),
    )
    episode_id = uuid4()
    episode = episodes.NewEpisode(
        id=episode_id,
        summary="-",
        detail="-",
        session_id="s",
        request_id=str(episode_id),
        created_at=datetime.now(UTC),
        terms={},
    )
    async with app.db.connection() as db:
        await episodes.keep(db, keys.user_id, episode, [fact], {})
        await facts.set_embedding(db, keys.user_id, row, vector, app.embedder.model)
    return row


async def measure(app: App, name: str, samples: list[dict[str, Any]]) -> None:
    scores: dict[str, list[float]] = {"hybrid": [], "vector only": [], "words only": []}
    documents = asked = 0
    for sample in samples:
        known = turns(sample)
        (user,) = await Seeder(app).users(1, 0)
        ids = await write(app, user, known)
        documents += len(known)
        for question, evidence in questions(sample, known):
            asked += 1
            for kind, query in (await _queries(app, user, question)).items():
                async with app.db.connection() as db:
                    found = await search.facts(db, user, query, K)
                hits = {ids[each.id] for each in found} & evidence
                scores[kind].append(len(hits) / len(evidence))
    title = (
        f"Recall@{K} over {asked} questions, {documents} documents ({name}), "
        f"embeddings: {app.embedder.model}; mean [95 % bootstrap]"
    )
    rows = [(kind, tables.interval(values)) for kind, values in scores.items()]
    tables.show(title, ("search", "recall@10"), rows)
    gain = [a - b for a, b in zip(scores["hybrid"], scores["vector only"], strict=True)]
    print(f"hybrid over vector only: {tables.interval(gain)}")


async def _queries(app: App, user: UUID, question: str) -> dict[str, search.Query]:
    keys = await app.keys.get(user)
    (plain,) = await app.embedder.embed([question], 60)
    terms, vector = list(rank.hashed(keys, question)), keys.rotate(plain)
    model = app.embedder.model
    return {
        "hybrid": search.Query(terms, vector, model),
        "vector only": search.Query([], vector, model),
        "words only": search.Query(terms),
    }
