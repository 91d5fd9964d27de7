"""Every statement on vouchers, of merchants and of buyers alike."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import msgspec
from sqlalchemy import insert
from sqlalchemy.exc import IntegrityError

from incentives.grants.model import Holder, Voucher
from incentives.grants.tables import voucher_code
from incentives.rules.parts import Role
from marketplace.core.db import Tx
from marketplace.core.errors import Conflict
from marketplace.core.tables import metadata


def _columns(role: Role) -> str:
    names = Voucher.__struct_fields__
    return ", ".join(f"{role}_id AS party_id" if name == "party_id" else name for name in names)


async def issue(tx: Tx, role: Role, new: Sequence[Voucher]) -> None:
    """Raises Conflict for a code that is taken."""
    rows = [msgspec.to_builtins(each, builtin_types=(datetime,)) | {"changed_at": tx.now} for each in new]
    codes = [{"role": role, **{name: row[name] for name in ("code", "party_id", "voucher_id")}} for row in rows]
    try:
        await tx.execute(insert(voucher_code), codes)
    except IntegrityError as fault:
        raise Conflict("code: is taken") from fault
    table = metadata.tables[f"incentives.{role}_voucher"]
    await tx.execute(insert(table), [{f"{role}_id": row.pop("party_id"), **row} for row in rows])


async def holder_of(tx: Tx, code: str) -> Holder | None:
    """Whose voucher a code is, None for one there is not."""
    row = await tx.row("SELECT role, party_id, voucher_id FROM incentives.voucher_code WHERE code = :code", code=code)
    return None if row is None else msgspec.convert(dict(row._mapping), Holder)


async def vouchers_of(tx: Tx, role: Role, party_id: int, *, limit: int, before: int | None = None) -> list[Voucher]:
    """A party's vouchers, the newest first, below the voucher `before`."""
    rows = await tx.rows(
        f"""
        SELECT {_columns(role)} FROM incentives.{role}_voucher
        WHERE {role}_id = :party AND voucher_id < coalesce(CAST(:before AS bigint), 9223372036854775807)
        ORDER BY voucher_id DESC LIMIT :limit
        """,
        party=party_id,
        before=before,
        limit=limit,
    )
    return [msgspec.convert(dict(row._mapping), Voucher) for row in rows]


async def valid(tx: Tx, role: Role, party_id: int, voucher_id: int) -> Voucher:
    """A voucher that may be used now. Raises Conflict for one that is used, void or expired."""
    row = await tx.row(
        f"""
        SELECT {_columns(role)} FROM incentives.{role}_voucher
        WHERE {role}_id = :party AND voucher_id = :voucher AND state = 'issued' AND expires_at > :now
        """,
        party=party_id,
        voucher=voucher_id,
        now=tx.now,
    )
    return _found(row)


def _found(row: Any) -> Voucher:
    if row is None:
        raise Conflict("voucher: it has been used, or is not valid any more")
    return msgspec.convert(dict(row._mapping), Voucher)


async def use(
    tx: Tx, role: Role, party_id: int, voucher_id: int, used_for: str, *, at: datetime | None = None
) -> Voucher:
    """Use a voucher for an order of that instant, by default now, once. Raises Conflict for one that is used, void or
    expired by then."""
    row = await tx.row(
        f"""
        UPDATE incentives.{role}_voucher SET state = 'used', used_for = :used_for, changed_at = :now
        WHERE {role}_id = :party AND voucher_id = :voucher AND state = 'issued' AND expires_at > :at
        RETURNING {_columns(role)}
        """,
        used_for=used_for,
        now=tx.now,
        at=at or tx.now,
        party=party_id,
        voucher=voucher_id,
    )
    return _found(row)


async def give_back(tx: Tx, role: Role, party_id: int, voucher_id: int, used_for: str) -> bool:
    """Take back that a voucher was used for an order which came to nothing; it expires when it would have."""
    done = await tx.execute(
        f"""
        UPDATE incentives.{role}_voucher SET state = 'issued', used_for = NULL, changed_at = :now
        WHERE {role}_id = :party AND voucher_id = :voucher AND state = 'used' AND used_for = :used_for
        """,
        {"now": tx.now, "party": party_id, "voucher": voucher_id, "used_for": used_for},
    )
    return done.rowcount == 1


async def expired(tx: Tx, role: Role, now: datetime, limit: int) -> list[Voucher]:
    """Vouchers that nobody has used in time and that are to be expired, those first that were due first."""
    rows = await tx.rows(
        f"""
        SELECT {_columns(role)} FROM incentives.{role}_voucher
        WHERE state = 'issued' AND expires_at <= :now ORDER BY expires_at, voucher_id LIMIT :limit
        """,
        now=now,
        limit=limit,
    )
    return [msgspec.convert(dict(row._mapping), Voucher) for row in rows]


async def end(tx: Tx, role: Role, party_id: int, voucher_id: int, then: str) -> bool:
    """Let a voucher that is not used expire, or make it void; returns whether it was still there to be used."""
    done = await tx.execute(
        f"""
        UPDATE incentives.{role}_voucher SET state = :then, changed_at = :now
        WHERE {role}_id = :party AND voucher_id = :voucher AND state = 'issued'
        """,
        {"then": then, "now": tx.now, "party": party_id, "voucher": voucher_id},
    )
    return done.rowcount == 1
