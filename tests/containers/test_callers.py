"""Who may call whom: the architecture's arrows and no others."""

from __future__ import annotations

import ast
from typing import Final

import pytest

from tests.containers.compose import Compose

METHODS: Final = {
    "edge:50055": "EdgeService/Chat",
    "router_svc:50051": "RouterService/Route",
    "agent_svc:50052": "AgentService/ListAgents",
    "memory_svc:50053": "MemoryService/GetCore",
    "formatter_svc:50054": "FormatterService/Format",
}
ALLOWED: Final = {
    "edge": {"edge:50055", "router_svc:50051", "memory_svc:50053"},
    "router_svc": {"agent_svc:50052", "memory_svc:50053", "formatter_svc:50054"},
    "agent_svc": {"memory_svc:50053"},
    "memory_svc": set[str](),
    "formatter_svc": set[str](),
}
# An empty request: whoever may call is answered, or told what is wrong with it.
CALL = """
import asyncio
from pathlib import Path
from runtime.channels import dial
from runtime.settings import Settings
import grpc

async def call(settings, address, method):
    async with dial(f"dns:///{address}", settings) as channel:
        try:
            if method.endswith("Format"):
                rpc = channel.stream_stream(f"/switchboard.v3.{method}")(iter([]), timeout=5)
                async for _ in rpc: pass
            else:
                await channel.unary_unary(f"/switchboard.v3.{method}")(b"", timeout=5)
        except grpc.aio.AioRpcError as error:
            # An error with details is an answer of the service's own.
            details = [key for key, _ in error.trailing_metadata() or ()]
            return "ANSWERED" if "grpc-status-details-bin" in details else error.code().name
    return "ANSWERED"

async def main(settings, methods):
    print({address: await call(settings, address, methods[address]) for address in methods})

settings = Settings(**(dict(tls_cert_file="/run/tls/cert.pem", tls_key_file="/run/tls/key.pem",
                            tls_ca_file="/run/tls/ca.pem") if %(certificate)r else {}))
asyncio.run(main(settings, %(methods)r))
"""


def answers(stack: Compose, service: str, *, certificate: bool = True) -> dict[str, str]:
    """What each service answers when called from a container of `service`."""
    said = stack.python(service, CALL % {"certificate": certificate, "methods": METHODS})
    found: dict[str, str] = ast.literal_eval(said.strip().splitlines()[-1])
    return found


@pytest.mark.parametrize("caller", ALLOWED)
def test_a_service_takes_calls_from_those_that_the_architecture_names(
    stack: Compose, caller: str
) -> None:
    found = answers(stack, caller)
    expected = {
        address: "ANSWERED" if address in ALLOWED[caller] else "PERMISSION_DENIED"
        for address in METHODS
    }
    assert found == expected


def test_a_caller_without_a_certificate_is_not_let_in(stack: Compose) -> None:
    found = answers(stack, "formatter_svc", certificate=False)
    assert set(found.values()) == {"UNAVAILABLE"}, found
