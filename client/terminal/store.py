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

KINDS = ("task", "project", "note", "checkpoint")
DAY_MS = 86_400_000
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
    """Reads the store; where there is none yet, makes one with sample data.

    Raises StoreError where the file is not one of ours: it holds the user's data, so
    it is never silently replaced.
    """
    try:
        document = json.loads(path.read_bytes())
        entities = {kind: {item["id"]: item for item in document[kind]} for kind in KINDS}
        answers = {key: (at, answer) for key, (at, answer) in document["answers"].items()}
    except FileNotFoundError:
        return sample(now)
    except (OSError, ValueError, LookupError, TypeError, AttributeError) as error:
        raise StoreError(f"{path} cannot be read; move it away to start anew") from error
    return Store(entities, answers)


def save(store: Store, path: Path) -> None:
    """Writes the store: whole or not at all, readable by its owner only."""
    document = {kind: store.all(kind) for kind in KINDS} | {"answers": store.answers}
    write_private(path, json.dumps(document, ensure_ascii=False, indent=1))


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


def sample(now: int) -> Store:
    """Makes a store to try things on: some tasks are overdue at `now` (ms, UTC)."""

    def day(days: float) -> int:
        return now + int(days * DAY_MS)

    projects = [
        {"id": "project-website", "name": "Website relaunch", "clientId": "acme"},
        {"id": "project-app", "name": "Mobile app", "clientId": "northwind"},
        {"id": "project-office", "name": "Office move", "clientId": "internal"},
    ]
    states = ("active", "active", "on_hold")
    rows = [
        ("Fix the login redirect", "todo", "high", "Sam", -6, "website"),
        ("Send Acme the revised quote", "in_progress", "high", "Alex", -2, "website"),
        ("Renew the TLS certificate", "todo", "medium", "Sam", -1, "website"),
        ("Return the old router", "todo", "low", "Robin", -12, "office"),
        ("Write the release notes", "todo", "medium", "Alex", 1, "app"),
        ("Test the app on small screens", "in_progress", "medium", "Robin", 3, "app"),
        ("Choose a colour palette", "done", "low", "Alex", -9, "website"),
        ("Set up crash reports", "done", "high", "Sam", -4, "app"),
        ("Book the movers", "todo", "medium", "Robin", 10, "office"),
        ("Plan the retrospective", "todo", "low", "Sam", 14, "app"),
        ("Collect ideas for the summer party", "todo", "low", "Robin", None, None),
    ]
    tasks = [
        {
            "id": f"task-{number}",
            "title": title,
            "status": status,
            "priority": priority,
            "assignee": assignee,
            "dueDate": None if due is None else day(due),
            "projectId": None if project is None else f"project-{project}",
        }
        for number, (title, status, priority, assignee, due, project) in enumerate(rows, 1)
    ]
    notes = [
        ("Kick-off with Acme", "They want the new look before the fair. Budget agreed.", -20),
        ("Interview notes", "Users look for the search box at the top right.", -8),
        ("Crash on start", "Only on phones with less than 3 GB of memory.", -3),
        ("Office wishlist", "Standing desks, a quiet room, plants.", -1),
    ]
    of = ("website", "website", "app", "office")
    checkpoints = [
        ("Design approved", -5, "website"),
        ("Beta to testers", 7, "app"),
        ("Launch", 21, "website"),
        ("Keys handed over", 30, "office"),
    ]
    rows_by_kind: dict[str, list[Entity]] = {
        "task": list(tasks),
        "project": [
            {**project, "status": state} for project, state in zip(projects, states, strict=True)
        ],
        "note": [
            {
                "id": f"note-{number}",
                "title": title,
                "content": content,
                "createdAt": day(age),
                "projectId": f"project-{project}",
            }
            for number, ((title, content, age), project) in enumerate(
                zip(notes, of, strict=True), 1
            )
        ],
        "checkpoint": [
            {
                "id": f"checkpoint-{number}",
                "title": title,
                "date": day(days),
                "projectId": f"project-{project}",
                "isAiSuggested": False,
                "isApproved": True,
            }
            for number, (title, days, project) in enumerate(checkpoints, 1)
        ],
    }
    return Store({kind: {row["id"]: row for row in rows_by_kind[kind]} for kind in KINDS})
