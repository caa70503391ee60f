"""Runs the formatter: `python -m formatter_svc`."""

import asyncio

from formatter_svc.service import FORMATTER, FormatterServicer
from formatter_svc.settings import FormatterSettings
from runtime import observe
from runtime.server import Server
from runtime.settings import load
from switchboard.v3.formatter_pb2_grpc import add_FormatterServiceServicer_to_server


async def main(settings: FormatterSettings) -> None:
    """Serves until told to stop."""
    server = Server(settings, "formatter_svc", [FORMATTER])
    add_FormatterServiceServicer_to_server(FormatterServicer(), server.grpc)
    await server.start()
    await server.set_health(FORMATTER, True)
    await server.run()


if __name__ == "__main__":
    chosen = load(FormatterSettings, "formatter_svc")
    observe.start(chosen, "formatter_svc")
    asyncio.run(main(chosen))
