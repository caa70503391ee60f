"""The JSON Schemas that the catalogue is made of: fields, filters, pages, results.

Keys are camelCase as in entities; times are numbers of milliseconds since 1970, UTC, and their
`format` says what a date alone means there (`agent_svc.arguments`).
"""

from __future__ import annotations

from typing import Any, Final

from agent_svc.tools import IN_MILLISECONDS
from switchboard.v3.entities_pb2 import EntityKind

Schema = dict[str, Any]

TASK: Final = EntityKind.ENTITY_KIND_TASK
PROJECT: Final = EntityKind.ENTITY_KIND_PROJECT
NOTE: Final = EntityKind.ENTITY_KIND_NOTE
CHECKPOINT: Final = EntityKind.ENTITY_KIND_CHECKPOINT

PAGE_ITEMS: Final = 50
MAX_ITEMS: Final = 200


def text(description: str) -> Schema:
    """A text."""
    return {"type": "string", "description": description}


def _time(description: str, date_alone: str) -> Schema:
    return {
        "type": "number",
        "format": date_alone,
        "description": description + IN_MILLISECONDS,
    }


def _before(description: str) -> Schema:
    return _time(description, "unix-ms")


def _after(description: str) -> Schema:
    return _time(description, "unix-ms-after")


def _due(description: str) -> Schema:
    return _time(description, "unix-ms-due")


def _flag(description: str) -> Schema:
    return {"type": "boolean", "description": description}


def objects(properties: Schema, *required: str) -> Schema:
    """An object of these properties and no others."""
    schema: Schema = {"type": "object", "properties": properties, "additionalProperties": False}
    return schema | ({"required": list(required)} if required else {})


def nullable(properties: Schema) -> Schema:
    """The same fields, each of which null empties."""
    return {name: field | {"type": [field["type"], "null"]} for name, field in properties.items()}


ID: Final = text("The id, as an earlier result gave it.") | {"minLength": 1}
QUERY: Final = text("Only those whose text holds these words.")
PAGE: Final[Schema] = {
    "limit": {
        "type": "integer",
        "minimum": 1,
        "maximum": MAX_ITEMS,
        "default": PAGE_ITEMS,
        "description": f"At most so many, up to {MAX_ITEMS}; {PAGE_ITEMS} where it is left out.",
    },
    "cursor": text("The next_cursor of the page before, for the next one, all else the same."),
}
_IN_PROJECT: Final = text("Id of the project that it belongs to.")
OF_PROJECT: Final = text("Only those of the project with this id.")

# What the user may set, by kind; the first field is the one that each must have.
FIELDS: Final[dict[EntityKind.ValueType, Schema]] = {
    TASK: {
        "title": text("One line."),
        "status": text("Such as todo, in_progress or done."),
        "priority": text("Such as low, medium or high."),
        "assignee": text("A person's name."),
        "dueDate": _due("When it is due"),
        "projectId": _IN_PROJECT,
    },
    PROJECT: {
        "name": text("One line."),
        "clientId": text("Id of the client that it is done for."),
        "status": text("Such as active, on_hold or completed."),
    },
    NOTE: {
        "title": text("One line."),
        "content": text("The text of the note."),
        "projectId": _IN_PROJECT,
    },
    CHECKPOINT: {
        "title": text("One line."),
        "date": _due("The date to meet"),
        "projectId": _IN_PROJECT,
    },
}

# What lists can be narrowed by.
FILTERS: Final[dict[EntityKind.ValueType, Schema]] = {
    TASK: {
        "status": text("Only those with this status, such as todo, in_progress or done."),
        "projectId": OF_PROJECT,
        "assignee": text("Only those of this person."),
        "priority": text("Only those with this priority, such as low, medium or high."),
        "overdue": _flag("True: only those past their due date and not done."),
        "dueBefore": _before("Only those due before this time"),
        "dueAfter": _after("Only those due after this time"),
    },
    PROJECT: {
        "status": text("Only those with this status, such as active, on_hold or completed."),
        "clientId": text("Only those of the client with this id."),
    },
    NOTE: {
        "projectId": OF_PROJECT,
        "createdBefore": _before("Only those written before this time"),
        "createdAfter": _after("Only those written after this time"),
    },
    CHECKPOINT: {
        "projectId": OF_PROJECT,
        "dateBefore": _before("Only those dated before this time"),
        "dateAfter": _after("Only those dated after this time"),
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


def items(kind: EntityKind.ValueType) -> Schema:
    """What reading by an id returns, and writing several."""
    listed = {"type": "array", "items": _ENTITY[kind]}
    return {"type": "object", "properties": {"items": listed}, "required": ["items"]}


def page(kind: EntityKind.ValueType) -> Schema:
    """What a list or a search returns."""
    schema = items(kind)
    return schema | {"properties": schema["properties"] | _OF_PAGE | _KNOWN}


def item(kind: EntityKind.ValueType) -> Schema:
    """What writing one returns."""
    return {"type": "object", "properties": {"item": _ENTITY[kind]}, "required": ["item"]}


_OF_PAGE: Final[Schema] = {
    "total": {
        "type": "integer",
        "minimum": 0,
        "description": "How many match in all, on every page.",
    },
    "next_cursor": {
        "type": "string",
        "description": "Where there are more: what gives the next page as cursor.",
    },
}
_KNOWN: Final[Schema] = {
    "known": {
        "type": "object",
        "additionalProperties": {"type": "array", "items": {"type": "string"}},
        "description": "For each filter whose word no item has: the words that items have.",
    }
}

DELETED: Final[Schema] = {
    "type": "object",
    "properties": {"id": {"type": "string"}},
    "required": ["id"],
}

COUNTED_BY: Final = ("status", "project", "assignee", "priority", "week")
COUNTS: Final[Schema] = {
    "type": "object",
    "properties": {
        "total": _OF_PAGE["total"] | {"description": "How many match in all."},
        "counts": {
            "type": "array",
            "items": {
                "type": "object",
                "properties": {
                    "value": {
                        "type": ["string", "null"],
                        "description": "The status, project id, assignee, priority, or the date "
                        "of the week's Monday; null: those that have none.",
                    },
                    "label": {"type": "string", "description": "A project's name."},
                    "count": {"type": "integer", "minimum": 1},
                },
                "required": ["value", "count"],
            },
            "description": "With `by`: each group that is not empty; weeks in their order, other "
            "groups the largest first.",
        },
        **_KNOWN,
    },
    "required": ["total"],
}
