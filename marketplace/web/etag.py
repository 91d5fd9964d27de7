"""Edits that cannot overwrite what somebody else has changed meanwhile: a version as ETag, asked back in If-Match.

(RFC 9110, sections 8.8.3 and 13.1.1; RFC 6585, section 3.) A read answers with `ETag: "3"`; an edit sends
`If-Match: "3"` and is refused with 412 when the thing has moved on, and with 428 when it does not say.
"""

from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any, Protocol, TypeVar

from litestar import Response

from marketplace.core.db import WORKER, Database, Tx
from marketplace.core.errors import AppError
from marketplace.web.auth import ActorRequest

HEADER = "If-Match"
_VERSION_DIGITS_MAX = 9

T = TypeVar("T")
Held = TypeVar("Held", bound="Versioned")
Changed = TypeVar("Changed", bound="Versioned")


class Stale(AppError):
    code = "stale"
    status = 412
    title = "It has been changed meanwhile"


class IfMatchMissing(AppError):
    code = "if-match-missing"
    status = 428
    title = "This request needs If-Match"


def tagged(body: T, version: int, *, status_code: int = 200) -> Response[T]:
    """An answer with the version of what it shows."""
    return Response(body, status_code=status_code, headers={"ETag": f'"{version}"'})


def expected_version(request: ActorRequest) -> int:
    """The version that the caller has seen. Raises IfMatchMissing, and Stale for what no ETag of ours can be."""
    given = request.headers.get(HEADER)
    if given is None:
        raise IfMatchMissing(f'{HEADER}: send the ETag of what you have read, such as "3"')
    digits = given.strip().removeprefix('"').removesuffix('"')
    if (
        given.strip() != f'"{digits}"'
        or not (digits.isascii() and digits.isdigit())
        or len(digits) > _VERSION_DIGITS_MAX
    ):
        raise Stale(f"{HEADER}: {given[:40]!r} is not the present ETag; read it again")
    return int(digits)


def check_version(expected: int, present: int) -> None:
    """Raise Stale unless the thing is still as the caller has seen it."""
    if expected != present:
        raise Stale(f'{HEADER}: the present version is "{present}"; read it again', version=present)


class Versioned(Protocol):
    """What is edited with If-Match."""

    @property
    def version(self) -> int: ...


async def edited(
    request: ActorRequest,
    db: Database,
    hold: Callable[[Tx], Awaitable[Held]],
    change: Callable[[Tx, Held], Awaitable[Changed]],
) -> Response[Changed]:
    """The answer to an edit: what `change` makes of what `hold` locks, if that is still as the caller has seen it.

    Raises IfMatchMissing and Stale.
    """
    expected = expected_version(request)

    async def work(tx: Tx) -> Changed:
        held = await hold(tx)
        check_version(expected, held.version)
        return await change(tx, held)

    changed = await db.write(WORKER, request.user.login, work)
    return tagged(changed, changed.version)


def seen_version(request: ActorRequest) -> Callable[[int], None] | None:
    """For moves, where If-Match may be sent: a check of the present version, None when the caller does not say.

    Raises Stale for what no ETag of ours can be.
    """
    return partial(check_version, expected_version(request)) if HEADER in request.headers else None


def versioned(options: dict[str, Any] | None = None) -> dict[str, Any]:
    """`opt` of a handler that needs If-Match, beside its other options."""
    return {**(options or {}), "if_match": True}
