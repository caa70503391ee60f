"""What a device is told is switched on here: names of tools, agents and entities (PROTOCOL §3)."""

import asyncio
from collections.abc import Iterable
from typing import TYPE_CHECKING, Final

import grpc

from runtime import enums
from switchboard.v3.agent_pb2 import ToolSpec
from switchboard.v3.entities_pb2 import EntityKind
from switchboard.v3.frames_pb2 import Catalogue, DeviceReady
from switchboard.v3.router_pb2 import RouterServiceListToolsRequest

if TYPE_CHECKING:
    from switchboard.v3.router_pb2_grpc import RouterServiceAsyncStub

FRESH_S: Final = 60.0
"""So old the names may be: a deployment that switches tools on is not told here, in seconds."""

AGAIN_S: Final = 0.5
"""Between two tries while the services behind do not answer, in seconds."""

CALL_S: Final = 5.0

_ENTITIES: Final = [word for kind, word in enums.words(EntityKind.DESCRIPTOR).items() if kind]


async def keep_fresh(router: "RouterServiceAsyncStub", ready: DeviceReady) -> None:
    """Asks again and again, and writes the names into `ready`; nobody waits for them."""
    while True:
        try:
            listed = await router.ListTools(RouterServiceListToolsRequest(), timeout=CALL_S)
        except grpc.aio.AioRpcError:
            await asyncio.sleep(AGAIN_S)
            continue
        ready.catalogue.CopyFrom(named(listed.tools, listed.agents))
        await asyncio.sleep(FRESH_S)


def named(tools: Iterable[ToolSpec], agents: Iterable[str]) -> Catalogue:
    """The names; a tool that runs on the server is none that a device can be asked to run."""
    return Catalogue(
        tools=sorted(tool.name for tool in tools if not tool.runs_on_server),
        agents=agents,
        entities=_ENTITIES,
    )
