"""Issue codes that work once, for a promotion whose terms ask for one."""

import secrets
from collections.abc import Iterator
from datetime import datetime
from typing import Any

import msgspec

from incentives.discounts.codes import store
from incentives.discounts.codes.store import Code
from incentives.lifecycle import AGREED
from incentives.promotions import store as promotions
from incentives.rules.check import Problem
from incentives.rules.model import Terms
from incentives.rules.qualifying import required
from marketplace.core import audit
from marketplace.core.db import Tx
from marketplace.core.errors import Conflict, Invalid, NotFound

CODES_MAX = 1_000
"""Issued at once."""
ONCE = "once:"
"""How the word begins that terms ask for in place of codes that work once. Nobody can type it in: it has a colon."""
_ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_LENGTH = 12  # 60 random bits: not to be guessed


class IssueCodes(msgspec.Struct, frozen=True, kw_only=True):
    """So many codes, until an instant. buyer_id: for this buyer only."""

    promotion_id: int
    count: int
    expires_at: datetime
    buyer_id: int | None = None


class Issued(msgspec.Struct, frozen=True, kw_only=True):
    codes: list[Code]


async def issue_codes(tx: Tx, cmd: IssueCodes) -> Issued:
    """New codes. Raises NotFound, Conflict for a promotion that is not approved or asks for none, Invalid."""
    promotion = await promotions.get_promotion(tx, cmd.promotion_id)
    if promotion.state not in AGREED:
        raise Conflict(f"state: the promotion is {promotion.state}; one that was approved has codes")
    version = await promotions.get_version(tx, cmd.promotion_id)
    words = sorted(str(word) for word in required(version.terms.qualify.event).get("order.code", ()))
    words = [word for word in words if word.startswith(ONCE)]
    if len(words) != 1:
        raise Conflict(f"promotion_id: its terms ask for no order.code that begins with {ONCE!r}, or for several")
    if cmd.expires_at <= tx.now:
        raise Invalid("expires_at: lies in the past", pointer="/expires_at")
    if cmd.buyer_id is not None:
        found = await tx.scalar("SELECT 1 FROM demand.buyer WHERE buyer_id = :buyer", buyer=cmd.buyer_id)
        if found is None:
            raise NotFound(f"there is no buyer {cmd.buyer_id}")
    new = [
        Code(
            code="".join(secrets.choice(_ALPHABET) for _ in range(_LENGTH)),
            promotion_id=cmd.promotion_id,
            unlocks=words[0],
            buyer_id=cmd.buyer_id,
            expires_at=cmd.expires_at,
            made_at=tx.now,
            made_by=tx.actor,
        )
        for _ in range(cmd.count)
    ]
    await store.issue(tx, new)
    await audit.record(
        tx,
        "codes issued",
        f"promotion:{cmd.promotion_id}",
        count=cmd.count,
        expires_at=cmd.expires_at,
        buyer_id=cmd.buyer_id,
    )
    return Issued(codes=new)


async def words_of_others(tx: Tx, promotion_id: int, terms: Terms) -> list[Problem]:
    """Words for codes that another promotion has: its codes would unlock this one, too. Held until the commit."""
    words = sorted({word for word in _strings(msgspec.to_builtins(terms.qualify)) if word.startswith(ONCE)})
    if words:
        await tx.execute("SELECT pg_advisory_xact_lock(hashtext('words of codes'))")
    found = {word: await promotions.names_that_say(tx, word, AGREED, but=promotion_id) for word in words}
    return [
        ("/terms/qualify/event", f"{word!r} is the word of {names[0]!r}, whose codes would unlock this, too")
        for word, names in found.items()
        if names
    ]


def _strings(value: Any) -> Iterator[str]:
    match value:
        case str():
            yield value
        case dict():
            for each in value.values():
                yield from _strings(each)
        case list() | tuple():
            for each in value:
                yield from _strings(each)


async def void_code(tx: Tx, promotion_id: int, code: str) -> Code:
    """Let a code work no more; again: nothing. Raises NotFound, Conflict for one that is used."""
    done = await store.void(tx, promotion_id, code)
    await audit.record(tx, "code voided", f"promotion:{promotion_id}", code=code)
    return done
