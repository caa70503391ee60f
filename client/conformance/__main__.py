"""`python -m client.conformance --url ws://127.0.0.1:8080`: one line per promise."""

import argparse
import asyncio
import os
import sys
import traceback

import aiohttp

from client.conformance.device import Unkept
from client.conformance.server import Account, Server
from client.conformance.stories import all_promises
from client.conformance.story import Promise

STORY_S = 90.0
"""No story takes longer than this unless something hangs."""


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="conformance", description=__doc__)
    parser.add_argument("--url", required=True, help="the server, ws:// or http://")
    parser.add_argument("--email", default=os.environ.get("SWITCHBOARD_EMAIL"))
    parser.add_argument("--section", help="only promises whose number starts with this")
    return parser.parse_args()


async def _rehearses(server: Server, account: Account) -> bool:
    """Whether the model behind is the offline one, which misbehaves on request."""
    async with server.device(account) as device:
        end = await device.end(await device.ask("rehearse a refusal"), within=60)
        return bool((end.get("error") or {}).get("code") == "model_refused")


async def _try(promise: Promise, server: Server, account: Account) -> str | None:
    """Why the promise was not kept; None when it was."""
    try:
        async with asyncio.timeout(STORY_S):
            await promise.story(server, account)
    except Unkept as unkept:
        return str(unkept)
    except TimeoutError:
        return f"nothing more happened within {STORY_S:g} s"
    except Exception as error:  # noqa: BLE001 - a server may answer anything
        place = traceback.extract_tb(error.__traceback__)[-1]
        return f"the story broke off: {type(error).__name__} at {place.name}:{place.lineno}"
    return None


async def run(url: str, email: str | None, password: str | None, section: str) -> int:
    """Tries every promise and prints a line for each; returns how many were not kept."""
    failed = skipped = 0
    async with aiohttp.ClientSession() as http:
        server = Server(http, url, None)
        if email and password:
            server = Server(http, url, await server.login(email, password))
        account = await server.register()
        rehearses = await _rehearses(server, account)
        promises = [p for p in all_promises() if p.section.startswith(section)]
        for promise in promises:
            if promise.rehearsed and not rehearses:
                skipped += 1
                print(f"§{promise.section:<5} left out  {promise.says} (needs the offline model)")
                continue
            why = await _try(promise, server, account)
            failed += why is not None
            verdict = "pass" if why is None else "FAIL"
            print(f"§{promise.section:<5} {verdict}  {promise.says}{f': {why}' if why else ''}")
    kept = len(promises) - failed - skipped
    print(f"{kept} kept, {failed} not kept, {skipped} left out")
    return failed


def main() -> None:
    """The entry point; exit status 1 when a promise was not kept."""
    arguments = _arguments()
    password = os.environ.get("SWITCHBOARD_PASSWORD")
    try:
        failed = asyncio.run(run(arguments.url, arguments.email, password, arguments.section or ""))
    except aiohttp.ClientConnectorError:
        sys.exit(f"conformance: nothing answers at {arguments.url}")
    except Unkept as unkept:
        sys.exit(f"conformance: {unkept}")
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
