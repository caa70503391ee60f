"""§4.10: several devices of one user."""

from client.conformance.device import Device, holds
from client.conformance.server import Account, Server
from client.conformance.story import answer_tools, promise


@promise("4.10", "a tool's change stands in stream_end and goes to the other devices, once")
async def _fan_out(server: Server, account: Account) -> None:
    async with server.device(account) as other, server.device(account) as device:
        request_id = await device.ask("add a task called Buy milk")
        call = await device.expect("tool_call", request_id=request_id, name="create_task")
        item = {"id": "t-7", "title": "Buy milk", "status": "todo"}
        await device.send("tool_result", call_id=call["call_id"], result={"item": item})
        end = await answer_tools(device, request_id)
        (mutation,) = end["mutations"]
        holds(mutation["op"] == "create" and mutation["entity"] == "task", f"it is {mutation}")
        holds(mutation["id"] == "t-7" and mutation["data"] == item, f"it is {mutation}")
        seen = await other.expect("mutation")
        holds(seen["mutation_id"] == mutation["mutation_id"], "the other device got another id")
        origin = {"device_id": device.device_id, "request_id": request_id}
        holds(seen["origin"] == origin, f"origin is {seen['origin']}")
        await other.barrier()
        await device.barrier()
        holds(_mutations(other) == 1, f"the other device got it {_mutations(other)} times")
        holds(_mutations(device) == 0, "the device that made it got it back")


def _mutations(device: Device) -> int:
    return sum(frame["type"] == "mutation" for frame in device.received)


@promise("4.10", "a user's own change goes to the user's other devices, and to no one else")
async def _own_change(server: Server, account: Account) -> None:
    stranger = await server.register()
    async with (
        server.device(account) as device,
        server.device(account) as other,
        server.device(stranger) as outsider,
    ):
        change = {"op": "update", "entity": "note", "id": "n-1", "data": {"title": "New"}}
        await device.send("mutation", mutation_id="m-1", **change)
        seen = await other.expect("mutation")
        holds({name: seen[name] for name in change} == change, f"it is {seen}")
        holds(seen["origin"] == {"device_id": device.device_id}, f"origin is {seen['origin']}")
        await device.barrier()
        await outsider.barrier()
        holds(_mutations(device) == 0, "the device that made it got it back")
        holds(_mutations(outsider) == 0, "another user got it")


@promise("4.10", "the same device connecting again supersedes its older socket (4409)")
async def _supersede(server: Server, account: Account) -> None:
    first = server.device(account)
    await first.open()
    await first.hello()
    async with server.device(account, first.device_id) as second:
        code = await first.closed()
        holds(code == 4409, f"closed {code}")
        await second.barrier()
