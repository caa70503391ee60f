"""Random interleavings on the devices of one user, and what must hold whatever happens.

    scenario = Scenario(random.Random(seed), devices, write)
    for _ in range(30):
        await scenario.act()
    await scenario.finish()
    assert scenario.broken() == []

`write` makes a message, and tells the text that a completed answer to it must have
(None: any). The devices themselves hold every frame to the promises (tests.support.roamer);
here stands what shows only at the end, and over several devices. What is random comes from
the seed alone; when the network lets things happen does not, so a seed may need a few runs.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import time
import uuid
from collections.abc import Awaitable, Callable, Iterator, Sequence
from typing import Any, Final

import aiohttp

from tests.support.roamer import Asked, Frame, Roamer, nothing_found

Write = Callable[[random.Random], tuple[str, str | None]]

STEP_S: Final = 0.02


class Scenario:
    """One user's devices and what they do. `spread_s`: how long several edges may need to know
    who is where."""

    def __init__(
        self,
        rng: random.Random,
        devices: Sequence[Roamer],
        write: Write,
        *,
        spread_s: float = 0,
    ) -> None:
        self.devices = devices
        self.did: list[str] = []
        self._rng = rng
        self._write = write
        self._spread_s = spread_s
        self._texts: dict[str, str | None] = {}
        self._own: dict[str, tuple[Roamer, Frame, float]] = {}
        self._twice: set[str] = set()
        """The devices' own changes: who made each, what it is, and when it was first sent."""
        self._acts: dict[Callable[[Roamer], Awaitable[None]], int] = {
            self._ask: 6,
            self._drop: 2,
            self._connect: 4,
            self._take_over: 1,
            self._cancel: 2,
            self._answer: 6,
            self._answer_again: 1,
            self._change: 1,
            self._ask_twice: 1,
        }
        for device in devices:
            device.tool = None  # the scenario answers

    async def act(self) -> None:
        """One thing that a device or its network does, and perhaps a moment."""
        acts, weights = list(self._acts), list(self._acts.values())
        await self._rng.choices(acts, weights)[0](self._rng.choice(self.devices))
        if self._rng.random() < 0.5:
            await asyncio.sleep(self._rng.random() * STEP_S)

    async def finish(self, within: float = 60) -> None:
        """All come back, answer what is open, and hear everything to its end."""
        async with asyncio.timeout(within):
            for device in self.devices:
                device.tool = nothing_found
            while not all(self._settled(device) for device in self.devices):
                for device in self.devices:
                    await self._reconnect(device)
                    for call in self._open_calls(device):
                        await device.answer(call)
                await asyncio.sleep(STEP_S)
            for device in self.devices:
                await self._barrier(device)
        # Where edges are several, what one tells another comes a moment later.
        end = time.monotonic() + self._spread_s
        while time.monotonic() < end and any(self._not_fanned_out()):
            await asyncio.sleep(STEP_S)

    async def _barrier(self, device: Roamer) -> None:
        while True:
            await self._reconnect(device)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(5):
                    return await device.barrier()

    def _settled(self, device: Roamer) -> bool:
        return device.connected and not device.running

    async def _reconnect(self, device: Roamer, **how: Any) -> None:
        if not device.connected:
            with contextlib.suppress(aiohttp.ClientError, ConnectionError, TimeoutError):
                await device.connect(**how)

    # What may happen.

    async def _ask(self, device: Roamer) -> None:
        if not device.connected or len(device.running) > 8:
            return
        message, text = self._write(self._rng)
        asked = await device.ask(message, page=self._rng.choice(["home", "home", "popup"]))
        self._texts[asked.request_id] = text
        self._did(device, f"asks {asked.request_id[:8]}")

    async def _drop(self, device: Roamer) -> None:
        self._did(device, "drops")
        device.drop()

    async def _connect(self, device: Roamer) -> None:
        if not device.connected:
            self._did(device, "connects")
            share = self._rng.choice([1.0, 1.0, 0.5, 0.0])
            await self._reconnect(device, forget=lambda seq: int(seq * share))

    async def _take_over(self, device: Roamer) -> None:
        if device.connected:
            self._did(device, "takes over from itself")
            with contextlib.suppress(aiohttp.ClientError, ConnectionError, TimeoutError):
                await device.connect()

    async def _cancel(self, device: Roamer) -> None:
        if device.running:
            asked = self._rng.choice(device.running)
            self._did(device, f"cancels {asked.request_id[:8]}")
            await device.cancel(asked)

    async def _answer(self, device: Roamer) -> None:
        waiting = [call for id_, call in device.calls.items() if id_ not in device.answered]
        if waiting and device.connected:
            call = self._rng.choice(waiting)
            self._did(device, f"answers {call['call_id'][:8]}")
            if self._rng.random() < 0.15:
                await device.answer(call, error={"code": "failed", "message": "It did not work."})
            else:
                await device.answer(call)

    async def _answer_again(self, device: Roamer) -> None:
        if device.answered and device.connected:
            call_id = self._rng.choice(list(device.answered))
            self._did(device, f"answers {call_id[:8]} again")
            await device.answer(device.calls[call_id])

    async def _change(self, device: Roamer) -> None:
        if device.connected:
            mutation = {"op": "update", "entity": "task", "id": "t1", "data": {"id": "t1"}}
            mutation_id = str(uuid.uuid4())
            self._own[mutation_id] = device, mutation, time.monotonic()
            for _ in range(self._rng.choice([1, 1, 2])):  # once, though it may be sent twice
                await device.send("mutation", mutation_id=mutation_id, **mutation)
            await device.send("ping", nonce=mutation_id)  # its pong: the change has arrived

    async def _ask_twice(self, device: Roamer) -> None:
        if device.running and device.connected:
            asked = self._rng.choice(device.running)
            if asked.frames:  # it surely arrived
                self._did(device, f"asks {asked.request_id[:8]} twice")
                self._twice.add(asked.request_id)
                await device.send("home_request", message="twice", request_id=asked.request_id)

    def _open_calls(self, device: Roamer) -> list[Frame]:
        running = {asked.request_id for asked in device.running}
        return [call for call in device.calls.values() if call["request_id"] in running]

    def _did(self, device: Roamer, what: str) -> None:
        self.did.append(f"{device.device_id} {what}")

    # What must hold.

    def broken(self) -> list[str]:
        """The promises that were not kept, in words."""
        found = [line for device in self.devices for line in device.broken]
        for device in self.devices:
            found += [line for asked in device.asked.values() for line in self._wrong(asked)]
            found += [
                f"{device.device_id}: an unexpected {error}"
                for error in device.errors
                if not self._expected(device, error)
            ]
        return found + list(self._not_fanned_out())

    def _expected(self, device: Roamer, error: Frame) -> bool:
        match error["code"]:
            case "tool_call_expired":
                return True
            case "duplicate_request":
                return error["ref"]["id"] in self._twice
            case "tool_call_unknown" | "service_unavailable":
                # An edge that was started again never made the calls of its former life.
                return device.may_lose
        return False

    def _wrong(self, asked: Asked) -> Iterator[str]:
        where = f"{asked.request_id[:8]} ({asked.status})"
        text = self._texts.get(asked.request_id)
        if asked.status == "running":
            yield f"{where} never ended"
        if asked.status == "cancelled" and not asked.cancelled:
            yield f"{where} was not cancelled"
        if text is None:
            return
        if asked.status == "completed" and asked.text.split() != text.split():
            yield f"{where} has the text {asked.text!r} instead of {text!r}"
        if not text.startswith(asked.text.rstrip()):
            yield f"{where} has a text that the model never said: {asked.text!r}"

    def _not_fanned_out(self) -> Iterator[str]:
        """Changes that a connected device was not told of, or was told of wrongly."""
        for device in self.devices:
            for asked in device.asked.values():
                for change in (asked.end or {}).get("mutations", []):
                    if (answered := device.answered.get(change["mutation_id"])) is not None:
                        yield from self._untold(device, change, answered)
        for mutation_id, (device, made, sent) in self._own.items():
            change = {"mutation_id": mutation_id, **made}
            yield from self._mistold(device, change)
            if mutation_id in device.pongs:
                yield from self._untold(device, change, sent)

    def _untold(self, origin: Roamer, change: Frame, made: float) -> Iterator[str]:
        for device in self.devices:
            # One that came later than the change is not told of it.
            if device is origin or device.since + self._spread_s > made:
                continue
            if device.may_lose or origin.may_lose:  # an edge died, and its notes with it
                continue
            if not _told(device, change):
                yield f"{device.device_id} was not told of {change}"

    def _mistold(self, origin: Roamer, change: Frame) -> Iterator[str]:
        """A device's own change goes to the others only, once each, as it was sent."""
        expected = {"type": "mutation", **change, "origin": {"device_id": origin.device_id}}
        for device in self.devices:
            told = _told(device, change)
            if len(told) > (device is not origin):
                yield f"{device.device_id} was told {len(told)} times of {change}"
            yield from (f"{change} was told as {one}" for one in told if one != expected)


def _told(device: Roamer, change: Frame) -> list[Frame]:
    return [one for one in device.mutations if one["mutation_id"] == change["mutation_id"]]
