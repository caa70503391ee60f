"""`make chat`: talk to Switchboard from a terminal, as a real device.

With `--message` it asks once, prints the answer and exits: 0 where it is whole, 130
where it was cancelled, 1 where it failed, with the reason on stderr.
"""

import argparse
import asyncio
import contextlib
import os
import signal
import sys
import time
from collections.abc import Coroutine
from pathlib import Path
from typing import Any, NoReturn

import aiohttp
from rich.console import Console

from client.terminal import account, store, tools
from client.terminal.chat import Chat, Ending
from client.terminal.device import Device
from client.terminal.keyboard import Lines, asker
from client.terminal.protocol import Frame, Link, Refused, Unreachable
from client.terminal.render import Screen
from runtime import __version__

HELP = """Ask anything about your tasks, projects, notes and checkpoints.
  /popup KIND [ID]   ask from a popup about task, project, note or checkpoint; /home goes back
  /help  /quit       Ctrl-C stops an answer, and quits where there is none"""
WELCOME = 'Type a message, such as "what is overdue?"; /help says more.'
EXIT = {"completed": 0, "cancelled": 130}


def main() -> None:
    """Runs the client until it is done; exits with its status."""
    arguments = _arguments()
    for stream in (sys.stdout, sys.stderr):
        # A terminal that cannot show a sign gets a question mark, not a crash.
        stream.reconfigure(errors="replace")  # type: ignore[union-attr] # always TextIOWrapper here
    screen = Screen(Console(highlight=False), Console(stderr=True, highlight=False))
    try:
        status = asyncio.run(_run(arguments, screen))
    except (Refused, Unreachable, store.StoreError) as error:
        screen.note(str(error), "bold red")
        status = 1
    sys.exit(status)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="client.terminal", description=__doc__)
    port = os.environ.get("EDGE_PORT") or "8080"
    parser.add_argument("--message", help="ask this, print the answer and exit")
    parser.add_argument("--url", default=f"http://127.0.0.1:{port}", help="default: %(default)s")
    parser.add_argument("--popup", metavar="KIND", help="ask from a popup about this kind")
    parser.add_argument("--item", metavar="ID", help="the item that the popup stands on")
    return parser.parse_args()


async def _run(arguments: argparse.Namespace, screen: Screen) -> int:
    url = arguments.url.rstrip("/")
    folder = account.account_folder(os.environ, url)
    with account.alone(folder):
        identity = account.load_identity(folder, os.environ)
        file = folder / "store.json"
        kept = store.load(file, _now())
        store.save(kept, file)
        async with aiohttp.ClientSession(trust_env=False) as http:
            tokens = account.Account(http, url, identity, folder)
            link = Link(http, url, tokens, _hello(identity.device_id))
            lines = Lines()
            asking = asker(screen, lines, kept, interactive=sys.stdin.isatty())
            device = Device(kept, lambda: store.save(kept, file), link.send, asking)
            chat = Chat(screen, device, link.send, link.close_request)
            scope = _scope(arguments.popup, arguments.item)
            if arguments.message is None:
                talking = _talk(chat, screen, lines, scope)
            else:
                talking = _ask_once(chat, screen, arguments.message, scope)
            status = await _first(chat, talking, link.run(chat))
            if arguments.message is None and status == EXIT["cancelled"]:
                screen.note("")  # Ctrl-C at the prompt is how people leave
                return 0
            return status


def _hello(device_id: str) -> Frame:
    hello: Frame = {
        "device_id": device_id,
        "device_name": "Terminal",
        "client_version": __version__,
        "tools": sorted(tools.TOOLS),
    }
    zone = _time_zone()
    return hello | ({"timezone": zone} if zone else {})


def _time_zone() -> str | None:
    """The machine's IANA zone, where it says it by name."""
    if zone := os.environ.get("TZ"):
        return zone.lstrip(":") if "/" in zone or zone == "UTC" else None
    with contextlib.suppress(OSError):
        _, found, zone = str(Path("/etc/localtime").readlink()).partition("zoneinfo/")
        return zone if found else None
    return None


def _scope(kind: str | None, item: str | None) -> Frame | None:
    if kind is None:
        return None
    return {"type": kind} | ({"id": item} if item else {})


def _now() -> int:
    return int(time.time() * 1000)


async def _first(
    chat: Chat, talking: Coroutine[Any, Any, int], link: Coroutine[Any, Any, NoReturn]
) -> int:
    """Runs the conversation beside its connection, until it ends or the connection does.

    Ctrl-C stops the answer under way; the second one, or one beside no answer, quits.
    """
    talk, keep_up = asyncio.create_task(talking), asyncio.create_task(link)
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGINT, lambda: chat.cancel() or talk.cancel())
    try:
        await asyncio.wait({talk, keep_up}, return_when=asyncio.FIRST_COMPLETED)
        if keep_up.done():
            keep_up.result()
        return EXIT["cancelled"] if talk.cancelled() else talk.result()
    finally:
        loop.remove_signal_handler(signal.SIGINT)
        for task in (talk, keep_up):
            task.cancel()
        await asyncio.gather(talk, keep_up, return_exceptions=True)


async def _ask_once(chat: Chat, screen: Screen, message: str, scope: Frame | None) -> int:
    ending = await chat.ask(message, scope)
    _tell(screen, ending)
    return EXIT.get(ending.status, 1)


async def _talk(chat: Chat, screen: Screen, lines: Lines, scope: Frame | None) -> int:
    screen.note(WELCOME)
    while True:
        screen.question(f"{scope['type']} >" if scope else ">")
        line = await lines.get()
        match line if line is None else line.split():
            case None | ["/quit" | "/exit"]:
                return 0
            case []:
                pass
            case ["/home"]:
                scope = None
            case ["/popup", kind, *item]:
                scope = _scope(kind, item[0] if item else None)
            case [word, *_] if word.startswith("/"):
                screen.note(HELP)
            case _:
                _tell(screen, await chat.ask(str(line), scope))


def _tell(screen: Screen, ending: Ending) -> None:
    if ending.status == "failed":
        screen.note(f"failed: {ending.message} ({ending.code})", "bold red")
    elif ending.status == "cancelled":
        screen.note("cancelled")


if __name__ == "__main__":
    main()
