"""The user's data as this device keeps it: four kinds of entity in one JSON file.

The answers to tool calls stand in the same file, so that a change and the proof
that it was made become durable in one atomic write: whatever happens to the process,
a call that comes again is answered and never run twice (PROTOCOL §4.6).
"""

import contextlib
import json
import os
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from client.terminal import sample

KINDS = ("task", "project", "note", "checkpoint")
DAY_MS = sample.DAY_MS
# Far longer than any deadline and resume window, so no repeat can miss its answer.
KEEP_ANSWERS_MS = DAY_MS

Entity = dict[str, Any]
Answer = dict[str, Any]


class StoreError(Exception):
    """The file of the store cannot be used; the message is one line for people."""


@dataclass(frozen=True, slots=True)
class Change:
    """One entity that is new, changed (`data` is all of it) or gone (`data` is None)."""

    op: Literal["create", "update", "delete"]
    kind: str
    id: str
    data: Entity | None = None


@dataclass(slots=True)
class Store:
    """Entities by kind and id, and the answers given to tool calls."""

    entities: dict[str, dict[str, Entity]]
    answers: dict[str, tuple[int, Answer]] = field(default_factory=dict)

    def all(self, kind: str) -> list[Entity]:
        """Returns every entity of a kind, oldest first."""
        return list(self.entities[kind].values())

    def get(self, kind: str, entity_id: str) -> Entity | None:
        """Returns an entity, or None."""
        return self.entities[kind].get(entity_id)

    def apply(self, changes: Iterable[Change]) -> None:
        """Makes changes; deleting what is gone already does nothing."""
        for change in changes:
            if change.data is None:
                self.entities[change.kind].pop(change.id, None)
            else:
                self.entities[change.kind][change.id] = change.data

    def answer_to(self, call_id: str) -> Answer | None:
        """Returns what a call was answered with, or None where it never was."""
        kept = self.answers.get(call_id)
        return kept[1] if kept else None

    def keep_answer(self, call_id: str, answer: Answer, now: int) -> None:
        """Keeps the answer to a call, and lets go of those too old to be asked for again."""
        self.answers = {
            key: kept for key, kept in self.answers.items() if now - kept[0] < KEEP_ANSWERS_MS
        }
        self.answers[call_id] = (now, answer)


def load(path: Path, now: int) -> Store:
    """Reads the store; where there is none yet, makes one with sample data for `now`.

    Raises StoreError where the file is not one of ours: it holds the user's data, so
    it is never silently replaced.
    """
    try:
        document = json.loads(path.read_bytes())
        entities = {kind: {item["id"]: item for item in document[kind]} for kind in KINDS}
        answers = {key: (at, answer) for key, (at, answer) in document["answers"].items()}
    except FileNotFoundError:
        return Store(sample.entities(now))
    except (OSError, ValueError, LookupError, TypeError, AttributeError) as error:
        raise StoreError(f"{path} cannot be read; move it away to start anew") from error
    return Store(entities, answers)


def save(store: Store, path: Path) -> None:
    """Writes the store: whole or not at all, readable by its owner only."""
    document = {kind: store.all(kind) for kind in KINDS} | {"answers": store.answers}
    write_private(path, json.dumps(document, indent=1))


def write_private(path: Path, text: str) -> None:
    """Replaces a file by one of mode 0600 that a crash leaves either old or new."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        Path(name).replace(path)
    except BaseException:
        with contextlib.suppress(OSError):
            Path(name).unlink()
        raise
