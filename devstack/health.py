"""Whether a process of the stack does its work, asked over the wire."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Final

import aiohttp
import grpc
from grpc_health.v1 import health_pb2

from runtime.channels import dial
from runtime.settings import Settings

_ASK_S: Final = 2.0
_PAUSE_S: Final = 0.05

Check = Callable[[], Awaitable[bool]]


def of_grpc(address: str, settings: Settings) -> Check:
    """Asks a gRPC service's health."""

    async def check() -> bool:
        async with dial(address, settings) as channel:
            ask = channel.unary_unary(
                "/grpc.health.v1.Health/Check",
                request_serializer=health_pb2.HealthCheckRequest.SerializeToString,
                response_deserializer=health_pb2.HealthCheckResponse.FromString,
            )
            with suppress(grpc.aio.AioRpcError):
                answer = await ask(health_pb2.HealthCheckRequest(), timeout=_ASK_S)
                return bool(answer.status == health_pb2.HealthCheckResponse.SERVING)
        return False

    return check


def of_http(url: str) -> Check:
    """Asks whether a page answers 200."""

    async def check() -> bool:
        timeout = aiohttp.ClientTimeout(total=_ASK_S)
        with suppress(aiohttp.ClientError, TimeoutError):
            async with aiohttp.ClientSession(timeout=timeout) as session, session.get(url) as got:
                return got.status == 200
        return False

    return check


async def until(check: Check) -> None:
    """Waits until a check says yes."""
    while not await check():  # noqa: ASYNC110 - another process sets no event of ours
        await asyncio.sleep(_PAUSE_S)
