"""PURE: what the model is told of an answer of which nothing could be shown."""

from __future__ import annotations

from switchboard.v3.agent_pb2 import NothingShown

_TOLD = 20


def unshown(what: NothingShown) -> str:
    """A note in the conversation; it comes from the app, and says so."""
    skipped = "\n".join(
        f"- {each.block_type or 'block'}: {each.reason}" for each in what.skipped[:_TOLD]
    )
    why = f"These blocks were left out:\n{skipped}" if skipped else "There was nothing in it."
    return (
        "(A note from the app, not from the user.) The user saw nothing of your last answer. "
        f"{why}\nAnswer the user once more, mended. Where a block cannot be mended, say it as text."
    )
