"""What is remembered of a user, for that user to see and remove (PROTOCOL §7)."""

import logging
import re
from collections.abc import AsyncIterator
from typing import Any, Final

import grpc
import orjson
from aiohttp import web

from edge.rest.accounts import sign_in
from edge.rest.common import CALL_S, EDGE, Edge, body, identity, reply, text_of
from edge.wire.json_mapping import InvalidFrame
from runtime import enums, tracing
from switchboard.v3.accounts_pb2 import GetAccountRequest, GetAccountResponse
from switchboard.v3.entities_pb2 import EntityKind
from switchboard.v3.memory_pb2 import (
    DeleteCoreRequest,
    DeleteRequest,
    ExportRequest,
    ExportResponse,
    GetCoreRequest,
    ListRequest,
    MemoryItem,
    MemorySource,
    MemoryTier,
    PatternDecision,
    ReviewPatternRequest,
    SearchRequest,
    UpdateCoreRequest,
)

log = logging.getLogger(__name__)

routes: Final = web.RouteTableDef()

_TIERS: Final = {word: tier for tier, word in enums.words(MemoryTier.DESCRIPTOR).items() if tier}

_DECISIONS: Final = {
    "approve": PatternDecision.PATTERN_DECISION_APPROVE,
    "dismiss": PatternDecision.PATTERN_DECISION_DISMISS,
}

_ID: Final = re.compile(r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")

EXPORT_S: Final = 300.0
"""How long an export may take, in seconds."""

PART_BYTES: Final = 65_536
"""So much of an export is gathered before it is sent: it is never held as a whole."""


@routes.get("/api/v1/memory/core")
async def preferences(request: web.Request) -> web.Response:
    """The user's preferences, in order of key."""
    asked = GetCoreRequest(user_id=identity(request).user_id)
    found = await request.app[EDGE].memory.GetCore(
        asked, timeout=CALL_S, metadata=tracing.carried()
    )
    return reply({"items": [_item(item) for item in found.items]})


@routes.put("/api/v1/memory/core/{key}")
async def set_preference(request: web.Request) -> web.Response:
    """Sets a preference."""
    who = identity(request)
    asked = UpdateCoreRequest(
        user_id=who.user_id,
        key=request.match_info["key"],
        value=text_of(await body(request), "value"),
    )
    response = await request.app[EDGE].memory.UpdateCore(
        asked, timeout=CALL_S, metadata=tracing.carried()
    )
    return reply(_item(response.item))


@routes.delete("/api/v1/memory/core/{key}")
async def delete_preference(request: web.Request) -> web.Response:
    """Removes a preference, by its key or, as any item that was listed, by its id."""
    key = request.match_info["key"]
    if _ID.fullmatch(key):  # no key has a hyphen
        return await _forget(request, MemoryTier.MEMORY_TIER_CORE, key)
    asked = DeleteCoreRequest(user_id=identity(request).user_id, key=key)
    await request.app[EDGE].memory.DeleteCore(asked, timeout=CALL_S, metadata=tracing.carried())
    return web.Response(status=204)


@routes.get("/api/v1/memory")
async def remembered(request: web.Request) -> web.Response:
    """What is remembered: with `query` by meaning and words, else newest first by pages."""
    user_id, query = identity(request).user_id, request.query
    tier = _tier(query["tier"]) if query.get("tier") else MemoryTier.MEMORY_TIER_UNSPECIFIED
    limit, memory = _limit(query.get("limit", "0")), request.app[EDGE].memory
    if text := query.get("query"):
        asked = SearchRequest(user_id=user_id, query=text, tier=tier, limit=limit)
        found = await memory.Search(asked, timeout=CALL_S, metadata=tracing.carried())
        return reply(
            {"items": [_item(item) for item in found.items], "degraded": list(found.degraded)}
        )
    page = ListRequest(user_id=user_id, tier=tier, limit=limit, cursor=query.get("cursor", ""))
    listed = await memory.List(page, timeout=CALL_S, metadata=tracing.carried())
    return reply(
        {"items": [_item(item) for item in listed.items], "next_cursor": listed.next_cursor or None}
    )


@routes.get("/api/v1/memory/export")
async def export(request: web.Request) -> web.StreamResponse:
    """All of it, one JSON object a line: the account, then the items as they are listed, with a
    preference's `previous` value and what is kept of an `exchange`."""
    parts = _parts(request.app[EDGE], identity(request).user_id)
    first = await anext(parts)  # what fails until here is told as an error
    response = web.StreamResponse(
        headers={"Content-Disposition": 'attachment; filename="memory.jsonl"'}
    )
    response.content_type = "application/x-ndjson"
    await response.prepare(request)
    try:
        await response.write(first)
        async for part in parts:
            await response.write(part)
        await response.write_eof()
    except grpc.aio.AioRpcError as error:
        log.warning("an export was cut short (%s)", error.code().name)
        # Without its last chunk nobody takes it for a whole one.
        if request.transport is not None:
            request.transport.abort()
    return response


async def _parts(edge: Edge, user_id: str) -> AsyncIterator[bytes]:
    """The lines of an export, many at a time."""
    account = await edge.accounts.GetAccount(
        GetAccountRequest(user_id=user_id), timeout=CALL_S, metadata=tracing.carried()
    )
    lines = _line(_account(user_id, account))
    call = edge.memory.Export(
        ExportRequest(user_id=user_id), timeout=EXPORT_S, metadata=tracing.carried()
    )
    async for response in call:
        lines += _line(_exported(response))
        if len(lines) >= PART_BYTES:
            yield lines
            lines = b""
    if lines:
        yield lines


def _line(value: dict[str, Any]) -> bytes:
    return orjson.dumps(value) + b"\n"


def _account(user_id: str, told: GetAccountResponse) -> dict[str, Any]:
    """An account in the form of an item, with all that is kept of it."""
    verified = told.email_verified_at.ToJsonString() if told.HasField("email_verified_at") else None
    return {
        "id": user_id,
        "tier": "account",
        "text": told.email,
        "created_at": told.created_at.ToJsonString(),
        "email_verified_at": verified,
        "sign_ins": [sign_in(each) for each in told.sign_ins],
    }


@routes.delete("/api/v1/memory/{tier}/{id}")
async def forget(request: web.Request) -> web.Response:
    """Removes one item."""
    return await _forget(request, _tier(request.match_info["tier"]), request.match_info["id"])


async def _forget(request: web.Request, tier: MemoryTier.ValueType, item: str) -> web.Response:
    asked = DeleteRequest(user_id=identity(request).user_id, tier=tier, id=item)
    await request.app[EDGE].memory.Delete(asked, timeout=CALL_S, metadata=tracing.carried())
    return web.Response(status=204)


@routes.post("/api/v1/memory/proactive/{id}")
async def review(request: web.Request) -> web.Response:
    """Says of a habit that was noticed whether it holds."""
    who = identity(request)
    word = text_of(await body(request), "decision")
    if word not in _DECISIONS:
        raise InvalidFrame("decision", f"is none of {', '.join(_DECISIONS)}")
    asked = ReviewPatternRequest(
        user_id=who.user_id, id=request.match_info["id"], decision=_DECISIONS[word]
    )
    await request.app[EDGE].memory.ReviewPattern(asked, timeout=CALL_S, metadata=tracing.carried())
    return web.Response(status=204)


def _tier(word: str) -> MemoryTier.ValueType:
    number = _TIERS.get(word)
    if number is None:
        raise InvalidFrame("tier", f"is none of {', '.join(_TIERS)}")
    return MemoryTier.ValueType(number)


def _limit(text: str) -> int:
    # Python reads no number of thousands of digits, and three are enough.
    if not re.fullmatch(r"0*[0-9]{1,3}", text, re.ASCII) or int(text[-3:]) > 200:
        raise InvalidFrame("limit", "is no number up to 200")
    return int(text[-3:])


def _exported(response: ExportResponse) -> dict[str, Any]:
    found = _item(response.item)
    if response.HasField("previous"):
        found["previous"] = response.previous
    if response.HasField("exchange"):
        kept = response.exchange
        found["exchange"] = {
            "message": kept.message,
            "agent": kept.agent_name,
            "tools": list(kept.tools),
            "entities": [
                {
                    "kind": enums.word(EntityKind.DESCRIPTOR, each.kind),
                    "id": each.id,
                    "title": each.title,
                    "changed": each.changed,
                    "attributes": dict(each.attributes),
                }
                for each in kept.entities
            ],
            "timezone": kept.timezone,
        }
    return found


def _item(item: MemoryItem) -> dict[str, Any]:
    found: dict[str, Any] = {
        "id": item.id,
        "tier": enums.word(MemoryTier.DESCRIPTOR, item.tier),
        "text": item.text,
    }
    for name in ("key", "entity_type", "entity_id", "session_id", "confidence"):
        if item.HasField(name):
            found[name] = getattr(item, name)
    if item.HasField("updated_at"):
        found["updated_at"] = item.updated_at.ToJsonString()
    if item.HasField("superseded_at"):
        found["superseded_at"] = item.superseded_at.ToJsonString()
    if item.score:
        found["score"] = item.score
    if item.why:  # of what was searched for; a habit's is what its user said of it
        found["why"] = item.why
    if item.source:
        found["source"] = enums.word(MemorySource.DESCRIPTOR, item.source)
    if item.evidence_ids:
        found["evidence_ids"] = list(item.evidence_ids)
    return found
