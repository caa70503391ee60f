"""MemoryService: protobuf ⇄ memory. No decisions."""

# ruff: noqa: N802, D102 - the methods are named, and told about, by the contract

from collections.abc import AsyncIterator

from memory_svc.account_service import user_id
from memory_svc.preferences import Preferences
from memory_svc.tiers import Item
from runtime.server import Context
from switchboard.v3 import memory_pb2 as pb
from switchboard.v3.memory_pb2_grpc import MemoryServiceServicer


class MemoryServicer(MemoryServiceServicer):
    """Serves memory."""

    def __init__(self, preferences: Preferences) -> None:
        self._preferences = preferences

    async def EnrichContext(
        self, request: pb.EnrichContextRequest, context: Context
    ) -> pb.EnrichContextResponse:
        items = await self._preferences.get(user_id(request.user_id))
        return pb.EnrichContextResponse(items=map(_item, items))

    async def StoreEpisode(
        self, request: pb.StoreEpisodeRequest, context: Context
    ) -> pb.StoreEpisodeResponse:
        return pb.StoreEpisodeResponse()

    async def UpdateCore(
        self, request: pb.UpdateCoreRequest, context: Context
    ) -> pb.UpdateCoreResponse:
        user = user_id(request.user_id)
        if request.HasField("value"):
            item = await self._preferences.set(user, request.key, request.value)
        else:
            item = await self._preferences.undo(user, request.key)
        return pb.UpdateCoreResponse(item=_item(item))

    async def GetCore(self, request: pb.GetCoreRequest, context: Context) -> pb.GetCoreResponse:
        key = request.key if request.HasField("key") else None
        items = await self._preferences.get(user_id(request.user_id), key)
        return pb.GetCoreResponse(items=map(_item, items))

    async def DeleteCore(
        self, request: pb.DeleteCoreRequest, context: Context
    ) -> pb.DeleteCoreResponse:
        await self._preferences.delete(user_id(request.user_id), request.key)
        return pb.DeleteCoreResponse()

    async def List(self, request: pb.ListRequest, context: Context) -> pb.ListResponse:
        items = await self._preferences.get(user_id(request.user_id))
        return pb.ListResponse(items=map(_item, items))

    async def Search(self, request: pb.SearchRequest, context: Context) -> pb.SearchResponse:
        return pb.SearchResponse()

    async def Delete(self, request: pb.DeleteRequest, context: Context) -> pb.DeleteResponse:
        return pb.DeleteResponse()

    async def Export(
        self, request: pb.ExportRequest, context: Context
    ) -> AsyncIterator[pb.ExportResponse]:
        for item in await self._preferences.get(user_id(request.user_id)):
            yield pb.ExportResponse(item=_item(item))

    async def ReviewPattern(
        self, request: pb.ReviewPatternRequest, context: Context
    ) -> pb.ReviewPatternResponse:
        return pb.ReviewPatternResponse()


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
    )
    made.updated_at.FromDatetime(item.updated_at)
    if item.superseded_at:
        made.superseded_at.FromDatetime(item.superseded_at)
    return made
