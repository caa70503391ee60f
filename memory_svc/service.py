"""MemoryService: protobuf ⇄ memory. No decisions."""

# ruff: noqa: N802, D102 - the methods are named, and told about, by the contract

from collections.abc import AsyncIterator
from time import perf_counter
from typing import Final

from memory_svc import metrics
from memory_svc.accounts.attempts import Attempts
from memory_svc.accounts.service import user_id
from memory_svc.domain.episode_detail import Detail
from memory_svc.domain.extract import Entity
from memory_svc.domain.provenance import source
from memory_svc.domain.tiers import Item, Tier
from memory_svc.erasure.items import Forgetting
from memory_svc.recall.browse import Browse
from memory_svc.recall.enrich import Context
from memory_svc.write.episodes import Exchange, Remember
from memory_svc.write.preferences import Preferences
from runtime import enums
from runtime.errors import SwitchboardError
from runtime.server import Context as Call
from switchboard.v3 import memory_pb2 as pb
from switchboard.v3.entities_pb2 import EntityKind
from switchboard.v3.errors_pb2 import ErrorCode
from switchboard.v3.memory_pb2_grpc import MemoryServiceServicer

EXPORT_COST: Final = 20
"""So many searches is an export: it reads and decrypts all that there is."""


class MemoryServicer(MemoryServiceServicer):
    """Serves memory."""

    def __init__(
        self,
        context: Context,
        remember: Remember,
        preferences: Preferences,
        browse: Browse,
        forgetting: Forgetting,
        *,
        lookups: Attempts,
    ) -> None:
        self._lookups = lookups
        self._context = context
        self._forgetting = forgetting
        self._remember = remember
        self._preferences = preferences
        self._browse = browse

    async def EnrichContext(
        self, request: pb.EnrichContextRequest, context: Call
    ) -> pb.EnrichContextResponse:
        started = perf_counter()
        items, degraded = await self._context.enrich(
            user_id(request.user_id), request.message, request.token_budget, request.timezone
        )
        metrics.recalled(items, degraded, perf_counter() - started)
        return pb.EnrichContextResponse(items=map(_item, items), degraded=degraded)

    async def StoreEpisode(
        self, request: pb.StoreEpisodeRequest, context: Call
    ) -> pb.StoreEpisodeResponse:
        exchange = Exchange(
            session_id=request.session_id,
            request_id=request.request_id,
            message=request.message,
            response=request.response,
            agent=request.agent_name,
            entities=[_entity(each) for each in request.entities],
            tools=tuple(request.tools),
            recalled=tuple(request.recalled_ids),
            timezone=request.timezone,
            quoted=request.quoted,
        )
        episode, created = await self._remember.store(user_id(request.user_id), exchange)
        metrics.EPISODES.labels("stored" if created else "known").inc()
        return pb.StoreEpisodeResponse(episode_id=str(episode), created=created)

    async def UpdateCore(
        self, request: pb.UpdateCoreRequest, context: Call
    ) -> pb.UpdateCoreResponse:
        user = user_id(request.user_id)
        if request.HasField("value"):
            item = await self._preferences.set(user, request.key, request.value)
        else:
            item = await self._preferences.undo(user, request.key)
        return pb.UpdateCoreResponse(item=_item(item))

    async def GetCore(self, request: pb.GetCoreRequest, context: Call) -> pb.GetCoreResponse:
        key = request.key if request.HasField("key") else None
        items = await self._preferences.get(user_id(request.user_id), key)
        return pb.GetCoreResponse(items=map(_item, items))

    async def DeleteCore(
        self, request: pb.DeleteCoreRequest, context: Call
    ) -> pb.DeleteCoreResponse:
        await self._forgetting.delete_preference(user_id(request.user_id), request.key)
        return pb.DeleteCoreResponse()

    async def List(self, request: pb.ListRequest, context: Call) -> pb.ListResponse:
        items, cursor = await self._browse.page(
            user_id(request.user_id), _tier(request.tier), request.limit or 50, request.cursor
        )
        return pb.ListResponse(items=map(_item, items), next_cursor=cursor)

    async def Search(self, request: pb.SearchRequest, context: Call) -> pb.SearchResponse:
        await self._lookups.spend(str(user_id(request.user_id)))
        items, degraded = await self._browse.search(
            user_id(request.user_id), request.query, _tier(request.tier), request.limit or 10
        )
        return pb.SearchResponse(items=map(_item, items), degraded=degraded)

    async def Delete(self, request: pb.DeleteRequest, context: Call) -> pb.DeleteResponse:
        tier = _tier(request.tier)
        if tier is None:
            raise _invalid("An item is removed from one tier.")
        await self._forgetting.delete(user_id(request.user_id), tier, request.id)
        return pb.DeleteResponse()

    async def Export(
        self, request: pb.ExportRequest, context: Call
    ) -> AsyncIterator[pb.ExportResponse]:
        await self._lookups.spend(str(user_id(request.user_id)), EXPORT_COST)
        async for each in self._browse.export(user_id(request.user_id)):
            exchange = _exchange(each.detail) if each.detail else None
            yield pb.ExportResponse(
                item=_item(each.item), previous=each.previous, exchange=exchange
            )

    async def ReviewPattern(
        self, request: pb.ReviewPatternRequest, context: Call
    ) -> pb.ReviewPatternResponse:
        if request.decision not in _DECISIONS:
            raise _invalid("A habit is approved or dismissed.")
        approved = request.decision == pb.PATTERN_DECISION_APPROVE
        await self._browse.review(user_id(request.user_id), request.id, approved)
        return pb.ReviewPatternResponse()


_WORDS: Final = enums.words(EntityKind.DESCRIPTOR)
_KINDS: Final = {_WORDS[kind]: kind for kind in EntityKind.values()}
_DECISIONS: Final = (pb.PATTERN_DECISION_APPROVE, pb.PATTERN_DECISION_DISMISS)


def _tier(tier: pb.MemoryTier.ValueType) -> Tier | None:
    try:
        return Tier(tier) if tier else None
    except ValueError:
        raise _invalid("There is no such tier.") from None


def _exchange(detail: Detail) -> pb.ExportedExchange:
    return pb.ExportedExchange(
        message=detail.message,
        agent_name=detail.agent,
        tools=detail.tools,
        entities=[
            pb.EpisodeEntity(
                kind=_KINDS.get(each.kind, EntityKind.ENTITY_KIND_UNSPECIFIED),
                id=each.id,
                title=each.title,
                changed=each.changed,
                attributes=each.attributes,
            )
            for each in detail.entities
        ],
        timezone=detail.timezone,
    )


def _entity(entity: pb.EpisodeEntity) -> Entity:
    return Entity(
        kind=_WORDS.get(entity.kind, ""),
        id=entity.id,
        title=entity.title,
        changed=entity.changed,
        attributes=dict(entity.attributes),
    )


def _invalid(message: str) -> SwitchboardError:
    return SwitchboardError(ErrorCode.ERROR_CODE_INVALID_FRAME, message)


def _item(item: Item) -> pb.MemoryItem:
    made = pb.MemoryItem(
        id=item.id,
        tier=pb.MemoryTier.ValueType(item.tier),
        text=item.text,
        score=item.score,
        why=item.why,
        key=item.key,
        entity_type=item.entity_type,
        entity_id=item.entity_id,
        session_id=item.session_id,
        confidence=item.confidence,
        evidence_ids=item.evidence_ids,
        source=source(item),
    )
    made.updated_at.FromDatetime(item.updated_at)
    if item.superseded_at:
        made.superseded_at.FromDatetime(item.superseded_at)
    return made
