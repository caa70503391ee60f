"""Data to try things on: eleven tasks, some of them overdue, three projects, four notes
and four checkpoints, all around the moment at which the client is first started."""

from typing import Any

DAY_MS = 86_400_000

PROJECTS = [
    ("website", "Website relaunch", "acme", "active"),
    ("app", "Mobile app", "northwind", "active"),
    ("office", "Office move", "internal", "on_hold"),
]
# Times are days from the start, project names those of above.
TASKS = [
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
NOTES = [
    ("Kick-off with Acme", "They want it before the fair. Budget agreed.", -20, "website"),
    ("Interview notes", "Users look for the search box at the top right.", -8, "website"),
    ("Crash on start", "Only on phones with less than 3 GB of memory.", -3, "app"),
    ("Office wishlist", "Standing desks, a quiet room, plants.", -1, "office"),
]
CHECKPOINTS = [
    ("Design approved", -5, "website"),
    ("Beta to testers", 7, "app"),
    ("Launch", 21, "website"),
    ("Keys handed over", 30, "office"),
]


def entities(now: int) -> dict[str, dict[str, dict[str, Any]]]:
    """Returns the sample by kind and id; `now` in milliseconds, UTC."""
    rows = {
        "task": _tasks(now),
        "project": [
            {"id": f"project-{key}", "name": name, "clientId": client, "status": status}
            for key, name, client, status in PROJECTS
        ],
        "note": [
            {
                "id": f"note-{number}",
                "title": title,
                "content": content,
                "createdAt": now + days * DAY_MS,
                "projectId": f"project-{project}",
            }
            for number, (title, content, days, project) in enumerate(NOTES, 1)
        ],
        "checkpoint": [
            {
                "id": f"checkpoint-{number}",
                "title": title,
                "date": now + days * DAY_MS,
                "projectId": f"project-{project}",
                "isAiSuggested": False,
                "isApproved": True,
            }
            for number, (title, days, project) in enumerate(CHECKPOINTS, 1)
        ],
    }
    return {kind: {row["id"]: row for row in kept} for kind, kept in rows.items()}


def _tasks(now: int) -> list[dict[str, Any]]:
    return [
        {
            "id": f"task-{number}",
            "title": title,
            "status": status,
            "priority": priority,
            "assignee": assignee,
            "dueDate": None if days is None else now + days * DAY_MS,
            "projectId": None if project is None else f"project-{project}",
        }
        for number, (title, status, priority, assignee, days, project) in enumerate(TASKS, 1)
    ]
