"""Mail to users: by SMTP, or handed to the operator's own hook. Blocking: for threads.

What goes wrong is told by its kind alone: servers quote addresses and texts.
"""

import json
import smtplib
import ssl
from collections.abc import Callable
from dataclasses import asdict, dataclass
from email.errors import MessageError
from email.headerregistry import Address
from email.message import EmailMessage
from email.utils import formatdate, make_msgid
from typing import Final
from urllib.error import HTTPError
from urllib.parse import unquote, urlsplit
from urllib.request import Request, urlopen

TIMEOUT_S: Final = 10.0

SCHEMES: Final = {"smtps": 465, "smtp": 587, "smtp+clear": 25, "https": 443, "http": 80}
"""How mail can be sent, with the port of each: TLS from the start, STARTTLS (which the server
must offer), in the clear (for closed networks), and a hook."""


@dataclass(frozen=True, slots=True)
class Mail:
    """A mail as it is sent; `kind` and `code` are for hooks that word it themselves."""

    to: str
    kind: str
    code: str
    subject: str
    text: str


class Undeliverable(Exception):
    """This mail can never be sent, however often it is tried."""


Send = Callable[[Mail], None]
"""Sends, or raises OSError (SMTPException is one) or Undeliverable."""


def sender(url: str, address: str) -> Send:
    """What sends mail by way of `url`, from `address`."""
    if urlsplit(url).scheme.startswith("http"):
        return lambda mail: _hook(url, mail)
    return lambda mail: _smtp(url, address, mail)


def _hook(url: str, mail: Mail) -> None:
    """POSTs the mail as JSON; any 2xx means that it is taken."""
    request = Request(  # noqa: S310 - the operator's own URL
        url, json.dumps(asdict(mail)).encode(), {"Content-Type": "application/json"}
    )
    try:
        with urlopen(request, timeout=TIMEOUT_S):  # noqa: S310
            pass
    except HTTPError as error:
        if 400 <= error.code < 500 and error.code not in {408, 429}:
            raise Undeliverable(f"the hook answered {error.code}") from None
        raise


def _smtp(url: str, address: str, mail: Mail) -> None:
    parts = urlsplit(url)
    message = _message(address, mail)
    with _connected(parts.scheme, parts.hostname or "", parts.port) as server:
        if parts.username:
            server.login(unquote(parts.username), unquote(parts.password or ""))
        try:
            # By name: a header that reads as several addresses must not become several mails.
            server.send_message(message, to_addrs=[mail.to])
        except smtplib.SMTPNotSupportedError:
            raise Undeliverable("the server takes no such address") from None
        except smtplib.SMTPRecipientsRefused as error:
            if all(code < 500 for code, _ in error.recipients.values()):
                raise  # for now only, such as by greylisting
            raise Undeliverable("the server refuses the address") from None


def _connected(scheme: str, host: str, port: int | None) -> smtplib.SMTP:
    context = ssl.create_default_context()
    at = port or SCHEMES[scheme]
    if scheme == "smtps":
        return smtplib.SMTP_SSL(host, at, timeout=TIMEOUT_S, context=context)
    server = smtplib.SMTP(host, at, timeout=TIMEOUT_S)
    if scheme == "smtp":
        try:
            server.starttls(context=context)  # raises where it is not offered
        except BaseException:
            server.close()
            raise
    return server


def _message(address: str, mail: Mail) -> EmailMessage:
    message = EmailMessage()
    message["From"] = address
    try:
        message["To"] = Address(addr_spec=mail.to)
    except (MessageError, ValueError, IndexError):
        raise Undeliverable("no address for mail") from None
    message["Subject"] = mail.subject
    message["Date"] = formatdate()
    message["Message-ID"] = make_msgid(domain=address.rpartition("@")[2].strip("> ") or None)
    message["Auto-Submitted"] = "auto-generated"
    message.set_content(mail.text)
    return message
