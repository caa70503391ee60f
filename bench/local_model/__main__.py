"""`make try-local-model`: the whole stack with a real, very small model on this machine.

Converses, stops an answer in its middle, and says in words what that model cannot do. Ends
with status 0 where the conversation ran and the stop reached the model.
"""

from __future__ import annotations

import asyncio
import re
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, Final

import aiohttp
import httpx2

from bench.local_model import llama
from client.conformance.device import Device, Unkept, holds
from client.conformance.server import Server
from tests.support.stack import Running

# Some tokens a second where others use the machine too: the prompt alone takes minutes then.
_PATIENCE_S: Final = 900.0
_STOPS_S: Final = 10.0
_SAID: Final = re.compile(r"^(\w+) +\| \S+ (?:warning|error) +(.*?)(?: \w+_id=.*)?$", re.MULTILINE)


def main() -> None:
    """Runs it, and exits."""
    try:
        server, model = llama.prepare(llama.folder())
        with tempfile.TemporaryDirectory(prefix="switchboard-local-model-") as name:
            Path(name).chmod(0o755)  # Postgres runs as another user
            with llama.running(server, model, Path(name) / "llama-server.log") as url:
                _try(url, Path(name) / "state")
    except (llama.NotHere, Unkept) as error:
        sys.exit(f"try-local-model: {error}")


def _try(url: str, state: Path) -> None:
    began = time.monotonic()
    with Running(
        state,
        OPENAI_BASE_URL=f"{url}/v1",
        AGENT_MODEL=llama.MODEL,
        ROUTER_MODEL=llama.MODEL,
        MODEL_IDLE_S=str(_PATIENCE_S),
        AGENT_SECONDS=str(_PATIENCE_S),
    ) as stack:
        print(f"the stack is ready after {time.monotonic() - began:.0f} s")
        asyncio.run(_converse(url, stack.origin))
        print("\nWhat this model cannot do:")
        for line in cannot(httpx2.get(f"{url}/props", timeout=10).json(), stack.log()):
            print(f"- {line}")


async def _converse(url: str, origin: str) -> None:
    async with aiohttp.ClientSession() as http:
        server = Server(http, origin)
        async with server.device(await server.register()) as device:
            await _ask(device, "Hello! Say in one sentence who you are.")
            await _stop(device, url)
            await _ask(device, "Tell me one nice thing about cats.")


async def _ask(device: Device, message: str) -> None:
    print(f"\nyou: {message}")
    began = time.monotonic()
    request = await device.ask(message)
    end = await device.end(request, within=_PATIENCE_S)
    print(f"it:  {device.text(request).strip()}")
    print(
        f"     ({end['status']} after {time.monotonic() - began:.0f} s, usage {end.get('usage')})"
    )
    holds(end["status"] in {"completed", "failed"}, f"it ended {end['status']}")
    holds(device.text(request).strip(), f"it said nothing: {end.get('error')}")


async def _stop(device: Device, url: str) -> None:
    message = "Write a long story about a ship, of many pages."
    print(f"\nyou: {message}")
    request = await device.ask(message)
    await device.expect("stream_text", within=_PATIENCE_S, request_id=request)
    await device.send("cancel", request_id=request)
    began = time.monotonic()
    end = await device.end(request, within=_STOPS_S)
    print(f"it:  {device.text(request).strip()} …")
    holds(end["status"] == "cancelled", f"it ended {end['status']}")
    while await _works(url):
        holds(time.monotonic() - began < _STOPS_S, "the model goes on after the stop")
        await asyncio.sleep(0.05)
    print(f"     (cancelled; the model stopped {time.monotonic() - began:.1f} s after)")


async def _works(url: str) -> bool:
    async with httpx2.AsyncClient() as client:
        slots = (await client.get(f"{url}/slots", timeout=10)).json()
    return any(slot["is_processing"] for slot in slots)


def cannot(props: dict[str, Any], log: str) -> list[str]:
    """In words, from what the server tells of the model's template and what the stack logged."""
    able = props.get("chat_template_caps", {})
    told = []
    if not able.get("supports_tools"):
        told.append("It knows no tools (its template has none): it cannot see or change your data.")
    if not able.get("supports_parallel_tool_calls"):
        told.append("It cannot call several tools at once.")
    if not able.get("supports_system_role", True):
        told.append("It knows no system role: the prompt goes before your words.")
    return told + list(dict.fromkeys(f"{process}: {line}" for process, line in _SAID.findall(log)))


if __name__ == "__main__":
    main()
