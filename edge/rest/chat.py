"""A whole turn as one call, and the tools that there are (PROTOCOL §7)."""

import asyncio
from dataclasses import dataclass, field
from typing import Any, Final
from uuid import uuid4

import orjson
from aiohttp import web

from edge.rest.common import CALL_S, EDGE, body, identity, refusal, reply
from edge.session.limits import check_request
from edge.wire import codec
from edge.wire.json_mapping import to_json
from runtime import tracing
from runtime.errors import SwitchboardError
from switchboard.v3.frames_pb2 import ClientFrame, EndStatus, ServerFrame, StreamEnd
from switchboard.v3.router_pb2 import RouterServiceListToolsRequest

routes: Final = web.RouteTableDef()


@dataclass(slots=True)
class _Turn:
    """What a turn said, and its end. Texts that a block parts stay paragraphs of their own."""

    end: asyncio.Future[StreamEnd]
    parted: bool = False
    texts: list[str] = field(default_factory=list)
    blocks: list[dict[str, Any]] = field(default_factory=list)

    def collect(self, frame: ServerFrame) -> None:
        match frame.WhichOneof("frame"):
            case "stream_text":
                if self.parted and self.texts:
                    self.texts.append("\n\n")
                self.parted = False
                self.texts.append(frame.stream_text.chunk)
            case "stream_block":
                self.parted = True
                block = to_json(frame.stream_block)
                self.blocks.append({name: block[name] for name in ("block_type", "data")})
            case "stream_end" if not self.end.done():
                self.end.set_result(frame.stream_end)

    def told(self, request_id: str, end: StreamEnd) -> dict[str, Any]:
        """All of it; what a socket would have been told in frames."""
        ended = to_json(end)
        told = {
            "request_id": request_id,
            "agent": ended.get("agent"),
            "response": "".join(self.texts),
            "blocks": self.blocks,
            "mutations": ended["mutations"],
            "usage": ended.get("usage"),
        }
        return told | ({"skipped": ended["skipped"]} if ended["skipped"] else {})


@routes.post("/api/v1/chat")
async def chat(request: web.Request) -> web.Response:
    """The same turn as a Home request's; its tools run on the most recently active device."""
    edge, who = request.app[EDGE], identity(request)
    edge.devices.admit()
    sent = {**await body(request), "type": "home_request"}
    if sent.get("request_id") is None:
        sent["request_id"] = str(uuid4())
    asked = codec.frame_of(sent, ClientFrame).home_request
    check_request(asked, edge.settings.limits)
    edge.devices.spend(who.user_id)
    turn = _Turn(asyncio.get_running_loop().create_future())
    await edge.devices.chat(who.user_id, asked, turn.collect)
    end = await turn.end
    told = turn.told(asked.request_id, end)
    if end.status == EndStatus.END_STATUS_COMPLETED:
        return reply(told)
    retry = end.error.retry_after_ms if end.error.HasField("retry_after_ms") else None
    # What was changed before it failed is changed.
    return refusal(SwitchboardError(end.error.code, end.error.message, retry), beside=told)


@routes.get("/api/v1/tools")
async def tools(request: web.Request) -> web.Response:
    """The catalogue of tools."""
    edge = request.app[EDGE]
    identity(request)
    found = await edge.router.ListTools(
        RouterServiceListToolsRequest(), timeout=CALL_S, metadata=tracing.carried()
    )
    return reply(
        {
            "tools": [
                {
                    "name": tool.name,
                    "description": tool.description,
                    "arguments": _schema(tool.arguments_schema.utf8),
                    "result": _schema(tool.result_schema.utf8),
                    "requires_approval": tool.requires_approval,
                    "runs_on_server": tool.runs_on_server,
                }
                for tool in found.tools
            ]
        }
    )


def _schema(utf8: bytes) -> orjson.Fragment:
    return orjson.Fragment(utf8 or b"{}")
