"""`python -m client.conformance --url ws://127.0.0.1:8080`: one line per promise."""

import argparse
import asyncio
import os
import sys
import traceback

import aiohttp

from client.conformance.device import Unkept
from client.conformance.server import Account, NoAccount, Server
from client.conformance.stories import all_promises
from client.conformance.story import Promise

STORY_S = 90.0
"""No story takes longer than this unless something hangs."""


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="conformance", description=__doc__)
    parser.add_argument("--url", required=True, help="the server, ws:// or http://")
    parser.add_argument(
        "--email",
        default=os.environ.get("SWITCHBOARD_EMAIL"),
        help="an account to use, its password in SWITCHBOARD_PASSWORD; left out: a new one",
    )
    parser.add_argument("--section", help="only promises whose number starts with this")
    return parser.parse_args()


class _LeftOut(Exception):
    """A promise cannot be tried here; the text says what it needs."""


async def _rehearses(server: Server, account: Account) -> bool:
    """Whether the model behind is the offline one, which misbehaves on request."""
    async with server.device(account) as device:
        end = await device.end(await device.ask("rehearse a refusal"), within=60)
        return bool((end.get("error") or {}).get("code") == "model_refused")


async def _try(promise: Promise, server: Server, account: Account) -> str | None:
    """Why the promise was not kept; None when it was. Raises NoAccount where it cannot be tried."""
    try:
        async with asyncio.timeout(STORY_S):
            await promise.story(server, account)
    except NoAccount:
        raise
    except Unkept as unkept:
        return str(unkept)
    except TimeoutError:
        return f"nothing more happened within {STORY_S:g} s"
    except Exception as error:  # noqa: BLE001 - a server may answer anything
        place = traceback.extract_tb(error.__traceback__)[-1]
        return f"the story broke off: {type(error).__name__} at {place.name}:{place.lineno}"
    return None


async def _account(server: Server, email: str | None, password: str | None) -> Account:
    """Who the stories are about. Raises Unkept where nobody can sign in."""
    if email and password:
        return await server.login(email, password)
    try:
        return await server.register()
    except NoAccount as closed:
        raise Unkept(f"{closed}: give an account by --email and SWITCHBOARD_PASSWORD") from None


async def run(url: str, email: str | None, password: str | None, section: str) -> int:
    """Tries every promise and prints a line for each; returns how many were not kept."""
    failed = skipped = 0
    async with aiohttp.ClientSession() as http:
        server = Server(http, url)
        account = await _account(server, email, password)
        rehearses = await _rehearses(server, account)
        promises = [p for p in all_promises() if p.section.startswith(section)]
        for promise in promises:
            try:
                if promise.rehearsed and not rehearses:
                    raise _LeftOut("needs the offline model")
                why = await _try(promise, server, account)
            except (NoAccount, _LeftOut) as reason:
                skipped += 1
                lacks = "needs a second account" if isinstance(reason, NoAccount) else reason
                print(f"§{promise.section:<5} left out  {promise.says} ({lacks})")
                continue
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
