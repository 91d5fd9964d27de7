"""What carries a mail away: one interface, and two that have it. SMTP, and a folder of files for trials."""

import asyncio
import smtplib
import ssl
from collections.abc import Awaitable, Callable
from email.message import EmailMessage
from email.utils import make_msgid
from pathlib import Path
from urllib.parse import unquote, urlsplit

import msgspec

from marketplace.core.errors import Invalid

TIMEOUT_S = 20.0
_PORTS = {"smtp": 587, "smtps": 465, "smtp+plain": 25}


class Message(msgspec.Struct, frozen=True):
    """A mail ready to be sent: plain text. key: the same for every attempt, so that a receiver may know it again."""

    key: str
    recipient: str
    subject: str
    text: str


Sender = Callable[[Message], Awaitable[None]]
"""Sends one message, or raises OSError (of which smtplib's errors are) when it could not."""


def sender_of(url: str | None, mail_from: str, home: Path) -> Sender:
    """The sender that the settings name; without an address mails become files. Raises Invalid for a bad address."""
    if url is None:
        return to_folder(home / "mail", mail_from)
    return by_smtp(url, mail_from)


def to_folder(folder: Path, mail_from: str) -> Sender:
    """Write each mail to `<key>.eml`, readable by nobody else: for trials, and for tests."""

    def write(message: Message) -> None:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        file = folder / f"{message.key}.eml"
        file.touch(mode=0o600)
        file.write_bytes(_letter(message, mail_from).as_bytes())

    async def send(message: Message) -> None:
        await asyncio.to_thread(write, message)

    return send


def by_smtp(url: str, mail_from: str) -> Sender:
    """By the standard library's client, in a thread: `smtp://` with STARTTLS, `smtps://` within TLS, `smtp+plain://`."""
    parts = urlsplit(url)
    if parts.scheme not in _PORTS or not parts.hostname:
        raise Invalid(f"MARKETPLACE_MAIL_URL: must be {', '.join(f'{scheme}://host' for scheme in _PORTS)}")
    host, port = parts.hostname, parts.port or _PORTS[parts.scheme]

    def deliver(message: Message) -> None:
        context = ssl.create_default_context()
        if parts.scheme == "smtps":
            server: smtplib.SMTP = smtplib.SMTP_SSL(host, port, timeout=TIMEOUT_S, context=context)
        else:
            server = smtplib.SMTP(host, port, timeout=TIMEOUT_S)
        with server:
            if parts.scheme == "smtp":
                server.starttls(context=context)
            if parts.username:
                server.login(unquote(parts.username), unquote(parts.password or ""))
            server.send_message(_letter(message, mail_from))

    async def send(message: Message) -> None:
        await asyncio.to_thread(deliver, message)

    return send


def _letter(message: Message, mail_from: str) -> EmailMessage:
    letter = EmailMessage()
    letter["From"], letter["To"], letter["Subject"] = mail_from, message.recipient, message.subject
    letter["Message-ID"] = make_msgid(message.key, "marketplace.invalid")
    letter["Auto-Submitted"] = "auto-generated"
    letter.set_content(message.text)
    return letter
