"""The tools that run on the server: the user's memory."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, Final

import grpc

from agent_svc import metrics
from agent_svc.catalogue import REMEMBER, SEARCH_MEMORY
from agent_svc.cutting import dumped
from agent_svc.loop import ServerTool
from agent_svc.prompt import remembered
from agent_svc.results import failed
from runtime import budget, tracing
from runtime.errors import SwitchboardError, from_rpc, word
from switchboard.v3 import memory_pb2
from switchboard.v3.errors_pb2 import ErrorCode

if TYPE_CHECKING:  # the stubs' name for it, which is not there at run time
    from switchboard.v3.memory_pb2_grpc import MemoryServiceAsyncStub

log = logging.getLogger(__name__)

TIMEOUT_S: Final = 5.0

_ASKED_WRONG: Final = (
    ErrorCode.ERROR_CODE_INVALID_FRAME,
    ErrorCode.ERROR_CODE_MESSAGE_TOO_LONG,
    ErrorCode.ERROR_CODE_NOT_FOUND,
)


class MemoryTools:
    """`remember_preference` and `search_memory`, for one user."""

    def __init__(self, stub: MemoryServiceAsyncStub, user_id: str) -> None:
        self._stub = stub
        self._user_id = user_id

    def by_name(self) -> dict[str, ServerTool]:
        """The tools, as the loop calls them."""
        return {
            REMEMBER.name: _guarded(REMEMBER.name, self.remember_preference),
            SEARCH_MEMORY.name: _guarded(SEARCH_MEMORY.name, self.search_memory),
        }

    async def remember_preference(self, arguments: dict[str, Any]) -> dict[str, Any]:
        """Sets a preference."""
        await self._stub.UpdateCore(
            memory_pb2.UpdateCoreRequest(user_id=self._user_id, **arguments),
            timeout=budget.within(TIMEOUT_S),
            metadata=tracing.carried(),
        )
        return {"remembered": True}

    async def search_memory(self, arguments: dict[str, Any]) -> dict[str, Any]:
        """Finds what is remembered, best first."""
        found = await self._stub.Search(
            memory_pb2.SearchRequest(user_id=self._user_id, **arguments),
            timeout=budget.within(TIMEOUT_S),
            metadata=tracing.carried(),
        )
        return {"items": [remembered(item) for item in found.items]}


def _guarded(name: str, tool: Callable[[dict[str, Any]], Awaitable[dict[str, Any]]]) -> ServerTool:
    """An answer can do without memory: a failure is told to the model, and the run goes on."""

    async def run(arguments: dict[str, Any]) -> str:
        with metrics.tool(name) as called:
            try:
                return dumped(await tool(arguments))
            except grpc.aio.AioRpcError as error:
                called.outcome = "error"
                log.warning("memory did not do it: %s", error.code().name)
                return _told(from_rpc(error))

    return run


def _told(error: SwitchboardError) -> str:
    """Why memory did not do it: the model can mend what it asked, or tell the user."""
    if error.code in _ASKED_WRONG:
        return failed(word(error.code), error.message)
    return failed("memory_unavailable", "Memory does not answer right now.")
