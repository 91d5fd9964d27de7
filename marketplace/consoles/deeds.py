"""What people do on pages: a form is posted, the work is done as that person, and a page says what came of it.

Post, redirect, get, so it works without any script: what succeeded leads on to a page with `?done=`, the name of a
sentence. What is refused shows the page it came from again, with the reason and all that was typed; nothing is stored.
Every form carries a key of its own, so one that is sent twice takes effect once, as with the API's Idempotency-Key.
"""

import hashlib
from collections.abc import Awaitable, Callable, Mapping
from datetime import date, datetime
from enum import StrEnum
from typing import Any, TypeVar
from zoneinfo import ZoneInfo

import msgspec
from litestar import Response
from litestar.response import Redirect

from marketplace.core.db import Database, Tx
from marketplace.core.errors import AppError, Invalid
from marketplace.core.idempotency import Ticket
from marketplace.core.money import minor_from_typed, text_from_minor
from marketplace.web.auth import ActorRequest
from marketplace.web.once import answer_once

Choice = TypeVar("Choice", bound=StrEnum)

KEY = "form_key"
"""The hidden field that makes a form the same as one that was sent before."""

_KEY_LENGTH = range(8, 65)
_SECRETS = frozenset({"password", "new_password", "code"})
"""Fields that are never shown again."""


class Refused(msgspec.Struct, frozen=True):
    """Why a form was not taken. fields: reasons by the name of the field; typed: what was sent, to be shown again."""

    code: str
    detail: str
    fields: Mapping[str, str] = {}
    typed: Mapping[str, str] = {}


Again = Callable[[Refused], Awaitable[Response[str]]]
"""Shows the page that a form came from, with what is wrong with it."""


async def carry_out(
    request: ActorRequest,
    db: Database,
    work: Callable[[Tx, Mapping[str, str]], Awaitable[str]],
    *,
    again: Again,
    by_steps: bool = False,
) -> Response[Any]:
    """Do `work(tx, typed)` once for this form and go on to the address that it returns.

    by_steps: it commits by itself and leaves `tx` alone, see `web.once.once_through`.
    """
    form = await request.form()
    typed = {name: value for name, value in form.items() if isinstance(value, str)}
    try:
        ticket = _ticket(request, typed)

        async def answer(tx: Tx) -> bytes:
            return (await work(tx, typed)).encode()

        answered = await answer_once(db, ticket, answer, by_steps=by_steps)
        return Redirect(answered.body.decode(), status_code=303)
    except AppError as refusal:
        page = await again(_refused(refusal, typed))
        page.status_code = refusal.status
        return page


async def take(
    request: ActorRequest, work: Callable[[Mapping[str, str]], Awaitable[Response[Any]]], *, again: Again
) -> Response[Any]:
    """Do `work(typed)` for a form with a password or a code in it, or an answer that shows a secret: nothing of either
    is stored, so no key makes it one with an earlier sending. What it does must bear being asked for twice.
    """
    form = await request.form()
    typed = {name: value for name, value in form.items() if isinstance(value, str)}
    try:
        return await work(typed)
    except AppError as refusal:
        refused = _refused(refusal, typed)
        plain = {name: value for name, value in typed.items() if name not in _SECRETS}
        page = await again(msgspec.structs.replace(refused, typed=plain))
        page.status_code = refusal.status
        return page


def _ticket(request: ActorRequest, typed: Mapping[str, str]) -> Ticket:
    """What makes this form the same as another. Raises Invalid."""
    key = typed.get(KEY, "")
    if len(key) not in _KEY_LENGTH or not key.isascii():
        raise Invalid("the form is incomplete; load the page again and send it from there")
    sent = msgspec.json.encode([request.url.path, sorted(typed.items())])
    return Ticket(request.user.login, f"form:{key}", hashlib.sha256(sent).digest(), 303)


def _refused(refusal: AppError, typed: Mapping[str, str]) -> Refused:
    """A refusal that names a field is shown there; its detail says the field's name again, which the page has. One
    that names several shows them all."""
    if "errors" in refusal.extra:
        named = {each["pointer"].lstrip("/"): each["detail"] for each in refusal.extra["errors"]}
        return Refused(refusal.code, refusal.detail, named, typed)
    pointer = str(refusal.extra.get("pointer", refusal.extra.get("field", "")))
    name = pointer.lstrip("/").partition("/")[0]
    fields = {name: refusal.detail.removeprefix(f"{name}: ")} if name in typed else {}
    return Refused(refusal.code, refusal.detail, fields, typed)


def text(typed: Mapping[str, str], name: str, *, most: int, least: int = 0) -> str:
    """What was typed into a field, without the space around it. Raises Invalid for fewer or more characters."""
    value = typed.get(name, "").strip()
    if "\0" in value:
        raise Invalid(f"{name}: holds a NUL character, which cannot be stored", pointer=f"/{name}")
    if not least <= len(value) <= most:
        wanted = f"at most {most}" if not value or len(value) > most else f"at least {least}"
        raise Invalid(f"{name}: must have {wanted} characters" if value else f"{name}: is missing", pointer=f"/{name}")
    return value


def number(typed: Mapping[str, str], name: str, *, least: int = 0, most: int = 2**63 - 1) -> int:
    """A whole number. Raises Invalid for what is none, or not within the bounds."""
    value = text(typed, name, most=20, least=1)
    if not (value.isascii() and value.isdecimal() and least <= int(value) <= most):
        raise Invalid(f"{name}: must be a whole number from {least} to {most}", pointer=f"/{name}")
    return int(value)


def day(typed: Mapping[str, str], name: str) -> date | None:
    """A day, None when nothing was typed. Raises Invalid for what is none."""
    value = text(typed, name, most=10)
    try:
        return date.fromisoformat(value) if value else None
    except ValueError as fault:
        raise Invalid(f"{name}: must be a day, as 2026-01-31", pointer=f"/{name}") from fault


def day_needed(typed: Mapping[str, str], name: str) -> date:
    """A day that has to be there. Raises Invalid."""
    found = day(typed, name)
    if found is None:
        raise Invalid(f"{name}: is missing", pointer=f"/{name}")
    return found


def instant(typed: Mapping[str, str], name: str, zone: str) -> datetime:
    """A day and a time as a browser sends them, in a zone. Raises Invalid."""
    value = text(typed, name, most=30, least=1)
    try:
        return datetime.fromisoformat(value).replace(tzinfo=ZoneInfo(zone))
    except ValueError as fault:
        raise Invalid(f"{name}: must be a day and a time, as 2026-01-31T09:30", pointer=f"/{name}") from fault


def chosen(typed: Mapping[str, str], name: str, of: type[Choice]) -> Choice:
    """One of a list. Raises Invalid."""
    value = text(typed, name, most=100, least=1)
    if value not in {str(one.value) for one in of}:
        raise Invalid(f"{name}: must be one of {', '.join(str(one.value) for one in of)}", pointer=f"/{name}")
    return of(value)


def amount(typed: Mapping[str, str], name: str, currency: str, *, least: int = 0) -> int:
    """An amount of money in minor units, typed as people of any country write one. Raises Invalid."""
    said = text(typed, name, most=30, least=1)
    try:
        minor = minor_from_typed(said, currency)
    except ValueError as fault:
        raise Invalid(f"{name}: {fault}", pointer=f"/{name}") from fault
    if minor < least:
        raise Invalid(f"{name}: must be at least {text_from_minor(least, currency)}", pointer=f"/{name}")
    return minor


def done(address: str, name: str) -> str:
    """The address with the sentence `done.<name>` to be shown on its page."""
    path, hash_, anchor = address.partition("#")
    return f"{path}{'&' if '?' in path else '?'}done={name}{hash_}{anchor}"
