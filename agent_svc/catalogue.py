"""The tool catalogue: what agents can do on the user's device, and on the server.

Names, arguments and results are part of the contract with client authors (`GET
/api/v1/tools`, docs/tools.md). Keys are camelCase as in entities; times are numbers of
milliseconds since 1970, UTC. Reading tools return {"items": […]}, writing ones {"item":
{…}} (several: {"items": […]}), deleting ones {"id": "…"}.
"""

from __future__ import annotations

from typing import Any, Final

from agent_svc.tools import Tool
from switchboard.v3.entities_pb2 import EntityKind
from switchboard.v3.frames_pb2 import MutationOp

Schema = dict[str, Any]

TASK: Final = EntityKind.ENTITY_KIND_TASK
PROJECT: Final = EntityKind.ENTITY_KIND_PROJECT
NOTE: Final = EntityKind.ENTITY_KIND_NOTE
CHECKPOINT: Final = EntityKind.ENTITY_KIND_CHECKPOINT

CREATE: Final = MutationOp.MUTATION_OP_CREATE
UPDATE: Final = MutationOp.MUTATION_OP_UPDATE
DELETE: Final = MutationOp.MUTATION_OP_DELETE

MAX_ITEMS: Final = 200


def _text(description: str) -> Schema:
    return {"type": "string", "description": description}


def _time(description: str) -> Schema:
    return {"type": "number", "description": f"{description}, in milliseconds since 1970, UTC."}


def _flag(description: str) -> Schema:
    return {"type": "boolean", "description": description}


def _object(properties: Schema, *required: str) -> Schema:
    schema: Schema = {"type": "object", "properties": properties, "additionalProperties": False}
    return schema | ({"required": list(required)} if required else {})


def _nullable(properties: Schema) -> Schema:
    """The same fields, each of which null empties."""
    return {name: field | {"type": [field["type"], "null"]} for name, field in properties.items()}


_ID: Final = _text("The id, as an earlier result gave it.") | {"minLength": 1}
_QUERY: Final = _text("Only those whose text holds these words.")
_LIMIT: Final = {
    "type": "integer",
    "minimum": 1,
    "maximum": MAX_ITEMS,
    "description": f"At most so many, {MAX_ITEMS} or fewer.",
}
_IN_PROJECT: Final = _text("Id of the project that it belongs to.")
_OF_PROJECT: Final = _text("Only those of the project with this id.")

# What the user may set, by kind; the first field is the one that each must have.
FIELDS: Final[dict[EntityKind.ValueType, Schema]] = {
    TASK: {
        "title": _text("One line."),
        "status": _text("Such as todo, in_progress or done."),
        "priority": _text("Such as low, medium or high."),
        "assignee": _text("A person's name."),
        "dueDate": _time("When it is due"),
        "projectId": _IN_PROJECT,
    },
    PROJECT: {
        "name": _text("One line."),
        "clientId": _text("Id of the client that it is done for."),
        "status": _text("Such as active, on_hold or completed."),
    },
    NOTE: {
        "title": _text("One line."),
        "content": _text("The text of the note."),
        "projectId": _IN_PROJECT,
    },
    CHECKPOINT: {
        "title": _text("One line."),
        "date": _time("The date to meet"),
        "projectId": _IN_PROJECT,
    },
}

# What lists can be narrowed by.
FILTERS: Final[dict[EntityKind.ValueType, Schema]] = {
    TASK: {
        "status": _text("Only those with this status, such as todo, in_progress or done."),
        "projectId": _OF_PROJECT,
        "assignee": _text("Only those of this person."),
        "priority": _text("Only those with this priority, such as low, medium or high."),
        "overdue": _flag("True: only those past their due date and not done."),
        "dueBefore": _time("Only those due before this time"),
        "dueAfter": _time("Only those due after this time"),
    },
    PROJECT: {
        "status": _text("Only those with this status, such as active, on_hold or completed."),
        "clientId": _text("Only those of the client with this id."),
    },
    NOTE: {
        "projectId": _OF_PROJECT,
        "createdBefore": _time("Only those written before this time"),
        "createdAfter": _time("Only those written after this time"),
    },
    CHECKPOINT: {
        "projectId": _OF_PROJECT,
        "dateBefore": _time("Only those dated before this time"),
        "dateAfter": _time("Only those dated after this time"),
        "isAiSuggested": _flag("Only those that an agent suggested, or that none did."),
        "isApproved": _flag("Only those that the user approved, or did not."),
    },
}

# What an entity of each kind is sure to hold; devices may add any key.
_ENTITY: Final[dict[EntityKind.ValueType, Schema]] = {
    kind: {
        "type": "object",
        "properties": {"id": {"type": "string"}, next(iter(fields)): {"type": "string"}},
        "required": ["id", next(iter(fields))],
    }
    for kind, fields in FIELDS.items()
}


def _items(kind: EntityKind.ValueType) -> Schema:
    items = {"type": "array", "items": _ENTITY[kind]}
    return {"type": "object", "properties": {"items": items}, "required": ["items"]}


def _item(kind: EntityKind.ValueType) -> Schema:
    return {"type": "object", "properties": {"item": _ENTITY[kind]}, "required": ["item"]}


_DELETED: Final[Schema] = {
    "type": "object",
    "properties": {"id": {"type": "string"}},
    "required": ["id"],
}


def _of_kind(kind: EntityKind.ValueType, one: str) -> list[Tool]:
    """The five tools that every kind has. `one`: its name in the singular."""
    fields = FIELDS[kind]
    first = next(iter(fields))
    given = fields | {first: fields[first] | {"minLength": 1}}
    changes = _nullable(fields) | {first: given[first]}  # its title cannot be emptied
    return [
        Tool(
            f"list_{one}s",
            f"Lists the user's {one}s, all or those that match every filter given.",
            _object(FILTERS[kind] | {"query": _QUERY, "limit": _LIMIT}),
            _items(kind),
            kind,
        ),
        Tool(
            f"get_{one}",
            f"Reads one {one} by its id; no items where there is none.",
            _object({"id": _ID}, "id"),
            _items(kind),
            kind,
        ),
        Tool(
            f"create_{one}",
            f"Makes a new {one}.",
            _object(given, first),
            _item(kind),
            kind,
            CREATE,
        ),
        Tool(
            f"update_{one}",
            f"Changes a {one}: only the fields that are given; null empties one.",
            _object({"id": _ID} | changes, "id") | {"minProperties": 2},
            _item(kind),
            kind,
            UPDATE,
        ),
        Tool(
            f"delete_{one}",
            f"Deletes a {one} for good. The user is asked first.",
            _object({"id": _ID}, "id"),
            _DELETED,
            kind,
            DELETE,
            requires_approval=True,
        ),
    ]


_SUGGESTION: Final = _object(
    FIELDS[CHECKPOINT] | {"title": FIELDS[CHECKPOINT]["title"] | {"minLength": 1}},
    "title",
    "date",
)

REMEMBER: Final = Tool(
    "remember_preference",
    "Remembers a lasting preference that the user has just stated about themselves or how they "
    "want to be answered.",
    _object(
        {
            "key": _text("What it is about, such as tone or working_hours.")
            | {"pattern": "^[a-z][a-z0-9_.]{0,63}$"},
            "value": _text("The preference, in a few words.") | {"minLength": 1, "maxLength": 2000},
        },
        "key",
        "value",
    ),
    {"type": "object"},
    runs_on_server=True,
)

SEARCH_MEMORY: Final = Tool(
    "search_memory",
    "Looks in what is remembered of the user from earlier conversations.",
    _object(
        {"query": _text("What to look for, in plain words.") | {"minLength": 1, "maxLength": 1000}},
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
        "complete_task",
        "Marks a task as done.",
        _object({"id": _ID}, "id"),
        _item(TASK),
        TASK,
        UPDATE,
    ),
    Tool(
        "search_notes",
        "Finds notes by the words in their titles and texts, best first.",
        _object(
            {
                "query": _text("The words to look for.") | {"minLength": 1},
                "projectId": _OF_PROJECT,
                "limit": _LIMIT,
            },
            "query",
        ),
        _items(NOTE),
        NOTE,
    ),
    Tool(
        "suggest_checkpoints",
        "Puts checkpoints forward that the user can then approve: they are kept as "
        "isAiSuggested and not isApproved.",
        _object(
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
        _items(CHECKPOINT),
        CHECKPOINT,
        CREATE,
    ),
    Tool(
        "approve_checkpoint",
        "Marks a suggested checkpoint as approved, where the user says so.",
        _object({"id": _ID}, "id"),
        _item(CHECKPOINT),
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
