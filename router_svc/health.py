"""Whether the services behind the router can be reached, told as its own health."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Final

import grpc
from grpc_health.v1 import health_pb2

log = logging.getLogger(__name__)

_FIRST_PAUSE_S: Final = 0.1
_LONGEST_PAUSE_S: Final = 2.0

Report = Callable[[str, bool], Awaitable[None]]


async def watch(service: str, channel: grpc.aio.Channel, report: Report) -> None:
    """Reports the health of the process behind `channel` under `service`'s name, until cancelled.

    Says so at each change only; a broken watch is opened again after 0.1 to 2 s.
    """
    known: bool | None = None
    pause = _FIRST_PAUSE_S
    watching = channel.unary_stream(
        "/grpc.health.v1.Health/Watch",
        request_serializer=health_pb2.HealthCheckRequest.SerializeToString,
        response_deserializer=health_pb2.HealthCheckResponse.FromString,
    )
    while True:
        try:
            async for response in watching(health_pb2.HealthCheckRequest(service="")):
                serving = response.status == health_pb2.HealthCheckResponse.SERVING
                pause = _FIRST_PAUSE_S
                known = await _tell(service, serving, known, report)
        except grpc.aio.AioRpcError:
            pass  # whatever it was: it cannot be reached, and is asked again
        known = await _tell(service, False, known, report)
        await asyncio.sleep(pause)
        pause = min(2 * pause, _LONGEST_PAUSE_S)


async def _tell(service: str, serving: bool, known: bool | None, report: Report) -> bool:
    if serving != known:
        log.info("%s is %s", service, "reached" if serving else "not reached")
        await report(service, serving)
    return serving
