"""RouterService: protobuf ⇄ core."""

from collections.abc import AsyncIterator
from typing import Any

import grpc

from router_svc.conductor import Conductor, Limits, Services
from router_svc.routing import AGENTS, Question
from runtime import budget, errors, held, logs, tracing
from runtime.errors import SwitchboardError
from switchboard.v3.agent_pb2 import ListToolsRequest, Surface
from switchboard.v3.errors_pb2 import ErrorCode
from switchboard.v3.router_pb2 import (
    ConverseInput,
    ConverseRequest,
    ConverseResponse,
    ConverseStart,
    RouteRequest,
    RouteResponse,
    RouterServiceListToolsRequest,
    RouterServiceListToolsResponse,
)
from switchboard.v3.router_pb2_grpc import RouterServiceServicer

_LIST_TOOLS_S = 5.0

Context = grpc.aio.ServicerContext[Any, Any]


class Router(RouterServiceServicer):
    """The servicer."""

    def __init__(self, services: Services, limits: Limits) -> None:
        self._services = services
        self._limits = limits

    async def Route(  # noqa: N802 - named by the contract
        self, request: RouteRequest, context: Context
    ) -> RouteResponse:
        """Names the agent for a message, and why."""
        _check_surface(request.surface)
        question = Question(
            request.surface,
            request.message,
            tuple(request.conversation_history),
            request.scope if request.HasField("scope") else None,
        )
        verdict = await self._services.classifier.classify_intent(question)
        return RouteResponse(
            agent_name=verdict.agent, confidence=verdict.confidence, reason=verdict.reason
        )

    async def Converse(  # noqa: N802 - named by the contract
        self, request_iterator: AsyncIterator[ConverseRequest], context: Context
    ) -> AsyncIterator[ConverseResponse]:
        """Conducts one request; see router.proto."""
        request_id, start, rest = _opening(await anext(request_iterator, None))
        with logs.bind(request_id=request_id, user_id=start.user_id, device_id=start.device_id):
            conductor = Conductor(request_id, start, self._services, self._limits)
            # A call that breaks while nothing is awaited here is told of in no other way.
            context.add_done_callback(lambda _: conductor.lose_client())  # type: ignore[arg-type] # stub
            try:
                conductor.begin()
                conductor.receive(rest)
                conductor.listen(request_iterator)
                while outputs := await conductor.outputs.take():
                    response = ConverseResponse(request_id=request_id, outputs=outputs)
                    held.keep(response.ByteSize())  # its text is kept, to be remembered
                    yield response
            finally:
                await conductor.close()

    async def ListTools(  # noqa: N802 - named by the contract
        self, request: RouterServiceListToolsRequest, context: Context
    ) -> RouterServiceListToolsResponse:
        """The catalogue, as the agent service has it."""
        try:
            listed = await self._services.agent.ListTools(
                ListToolsRequest(),
                timeout=budget.within(_LIST_TOOLS_S),
                metadata=tracing.carried(),
            )
        except grpc.aio.AioRpcError as error:
            raise errors.from_rpc(error) from error
        return RouterServiceListToolsResponse(tools=listed.tools, agents=sorted(AGENTS))


def _opening(
    first: ConverseRequest | None,
) -> tuple[str, ConverseStart, list[ConverseInput]]:
    """The request id, the start, and what came with it. Raises invalid_frame for a bad start."""
    if first is None or not first.inputs or not first.inputs[0].HasField("start"):
        raise _invalid("A conversation begins with its start.")
    start = first.inputs[0].start
    if not first.request_id or not start.user_id:
        raise _invalid("A start names its request and its user.")
    _check_surface(start.surface)
    return first.request_id, start, list(first.inputs[1:])


def _check_surface(surface: Surface.ValueType) -> None:
    if surface not in (Surface.SURFACE_HOME, Surface.SURFACE_POPUP):
        raise _invalid("The surface is neither Home nor Popup.")


def _invalid(why: str) -> SwitchboardError:
    return SwitchboardError(ErrorCode.ERROR_CODE_INVALID_FRAME, why)
