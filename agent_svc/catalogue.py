"""The tool catalogue: what agents can do on the user's device, and on the server.

Names, arguments and results are part of the contract with client authors (`GET
/api/v1/tools`, docs/tools.md). Lists and searches return a page, {"items": […], "total": …,
"next_cursor": …}, other reading tools {"items": […]}, writing ones {"item": {…}} (several:
{"items": […]}), deleting ones {"id": "…"}.
"""

from __future__ import annotations

from typing import Final

from agent_svc.schemas import (
    CHECKPOINT,
    COUNTED_BY,
    COUNTS,
    DELETED,
    FIELDS,
    FILTERS,
    ID,
    NOTE,
    OF_PROJECT,
    PAGE,
    PROJECT,
    QUERY,
    TASK,
    item,
    items,
    nullable,
    objects,
    page,
    text,
)
from agent_svc.tools import Tool
from switchboard.v3.entities_pb2 import EntityKind
from switchboard.v3.frames_pb2 import MutationOp

CREATE: Final = MutationOp.MUTATION_OP_CREATE
UPDATE: Final = MutationOp.MUTATION_OP_UPDATE
DELETE: Final = MutationOp.MUTATION_OP_DELETE


def _of_kind(kind: EntityKind.ValueType, one: str) -> list[Tool]:
    """The five tools that every kind has. `one`: its name in the singular."""
    fields = FIELDS[kind]
    first = next(iter(fields))
    given = fields | {first: fields[first] | {"minLength": 1}}
    changes = nullable(fields) | {first: given[first]}  # its title cannot be emptied
    return [
        Tool(
            f"list_{one}s",
            f"Lists the user's {one}s, all or those that match every filter given.",
            objects(FILTERS[kind] | {"query": QUERY} | PAGE),
            page(kind),
            kind,
        ),
        Tool(
            f"get_{one}",
            f"Reads one {one} by its id; no items where there is none.",
            objects({"id": ID}, "id"),
            items(kind),
            kind,
        ),
        Tool(
            f"create_{one}",
            f"Makes a new {one}.",
            objects(given, first),
            item(kind),
            kind,
            CREATE,
        ),
        Tool(
            f"update_{one}",
            f"Changes a {one}: only the fields that are given; null empties one.",
            objects({"id": ID} | changes, "id") | {"minProperties": 2},
            item(kind),
            kind,
            UPDATE,
        ),
        Tool(
            f"delete_{one}",
            f"Deletes a {one} for good. The user is asked first.",
            objects({"id": ID}, "id"),
            DELETED,
            kind,
            DELETE,
            requires_approval=True,
        ),
    ]


_SUGGESTION: Final = objects(
    FIELDS[CHECKPOINT] | {"title": FIELDS[CHECKPOINT]["title"] | {"minLength": 1}},
    "title",
    "date",
)

REMEMBER: Final = Tool(
    "remember_preference",
    "Remembers a lasting preference that the user has just stated about themselves or how they "
    "want to be answered.",
    objects(
        {
            "key": text("What it is about, such as tone or working_hours.")
            | {"pattern": "^[a-z][a-z0-9_.]{0,63}$"},
            "value": text("The preference, in the user's own words: copied from their message.")
            | {"minLength": 1, "maxLength": 2000},
        },
        "key",
        "value",
    ),
    {"type": "object"},
    runs_on_server=True,
    own_words=("value",),
)

SEARCH_MEMORY: Final = Tool(
    "search_memory",
    "Looks in what is remembered of the user from earlier conversations.",
    objects(
        {"query": text("What to look for, in plain words.") | {"minLength": 1, "maxLength": 1000}},
        "query",
    ),
    {"type": "object"},
    runs_on_server=True,
)

_TOOLS: Final = [
    *_of_kind(TASK, "task"),
    *_of_kind(PROJECT, "project"),
    *_of_kind(NOTE, "note"),
    *_of_kind(CHECKPOINT, "checkpoint"),
    Tool(
        "count_tasks",
        "Counts the user's tasks, all or those that match every filter given; with `by`, also "
        "those of each group.",
        objects(
            {
                "by": text("What to group by.") | {"enum": list(COUNTED_BY)},
                **FILTERS[TASK],
                "query": QUERY,
            }
        ),
        COUNTS,
        TASK,
        named_only=True,
    ),
    Tool(
        "complete_task",
        "Marks a task as done.",
        objects({"id": ID}, "id"),
        item(TASK),
        TASK,
        UPDATE,
    ),
    Tool(
        "search_notes",
        "Finds notes by the words in their titles and texts, best first.",
        objects(
            {
                "query": text("The words to look for.") | {"minLength": 1},
                "projectId": OF_PROJECT,
            }
            | PAGE,
            "query",
        ),
        page(NOTE),
        NOTE,
    ),
    Tool(
        "suggest_checkpoints",
        "Puts checkpoints forward that the user can then approve: they are kept as "
        "isAiSuggested and not isApproved.",
        objects(
            {
                "checkpoints": {
                    "type": "array",
                    "minItems": 1,
                    "maxItems": 20,
                    "items": _SUGGESTION,
                    "description": "The checkpoints to suggest.",
                }
            },
            "checkpoints",
        ),
        items(CHECKPOINT),
        CHECKPOINT,
        CREATE,
    ),
    Tool(
        "approve_checkpoint",
        "Marks a suggested checkpoint as approved, where the user says so.",
        objects({"id": ID}, "id"),
        item(CHECKPOINT),
        CHECKPOINT,
        UPDATE,
    ),
    REMEMBER,
    SEARCH_MEMORY,
]

CATALOGUE: Final[dict[str, Tool]] = {
    tool.name: tool for tool in sorted(_TOOLS, key=lambda t: t.name)
}
"""Every tool by its name, in order of name."""

SERVER_TOOLS: Final = tuple(name for name, tool in CATALOGUE.items() if tool.runs_on_server)


def reading(*kinds: EntityKind.ValueType) -> tuple[str, ...]:
    """The names of the tools that only read these kinds."""
    return tuple(
        name for name, tool in CATALOGUE.items() if tool.kind in kinds and tool.effect is None
    )


def of(*kinds: EntityKind.ValueType) -> tuple[str, ...]:
    """The names of all tools for these kinds."""
    return tuple(name for name, tool in CATALOGUE.items() if tool.kind in kinds)
