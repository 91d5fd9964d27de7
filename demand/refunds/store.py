"""Every statement on refund policies, refunds and disputes."""

from collections.abc import Iterable, Sequence
from datetime import date, datetime
from typing import Any

import msgspec
from sqlalchemy import insert
from sqlalchemy.dialects.postgresql import insert as upsert

from demand.changes.store import note_change
from demand.refund_policy import DEFAULT, LineLeft, Policy, Rule
from demand.refunds.tables import dispute, refund_line, refund_policy
from demand.store import OF_ORDERS, by_order, order_keys
from demand.tables import refund
from marketplace.core.db import Tx
from marketplace.core.errors import NotFound
from marketplace.core.ids import time_ordered_id


class PolicyVersion(msgspec.Struct, frozen=True, kw_only=True):
    """A version of the refund policy: orders sold from valid_from on are refunded under it."""

    policy_id: int
    name: str
    rules: list[Rule]
    valid_from: date
    created_by: str
    created_at: datetime


class Dispute(msgspec.Struct, frozen=True, kw_only=True):
    """An order's share of a disputed payment, in minor units.

    fee_minor: what the processor charges for it. excess_minor: what was taken although it was refunded already.
    recourse: a lost one is the merchant's to bear. due_on: the last day for evidence.
    """

    merchant_id: int
    dispute_id: int
    dispute_ref: str
    order_id: int
    payment_id: int
    currency: str
    amount_minor: int
    fee_minor: int
    excess_minor: int
    state: str
    recourse: bool
    opened_at: datetime
    due_on: date
    closed_at: datetime | None
    evidence: str


_VERSION_COLUMNS = ", ".join(PolicyVersion.__struct_fields__)
_DISPUTE_COLUMNS = ", ".join(Dispute.__struct_fields__)


async def ensure_default_policy(tx: Tx) -> None:
    """Version 1, unless it is there."""
    row = {"policy_id": DEFAULT.policy_id, "name": DEFAULT.name, "rules": msgspec.to_builtins(DEFAULT.rules)}
    row |= {"valid_from": date(1970, 1, 1), "created_by": tx.actor, "created_at": tx.now}
    if (
        await tx.scalar("SELECT 1 FROM demand.refund_policy WHERE policy_id = :policy", policy=DEFAULT.policy_id)
        is None
    ):
        await tx.execute(upsert(refund_policy).on_conflict_do_nothing(), row)


async def get_policy(tx: Tx, policy_id: int) -> Policy:
    """Raises NotFound."""
    row = await tx.row(
        "SELECT policy_id, name, rules FROM demand.refund_policy WHERE policy_id = :policy", policy=policy_id
    )
    if row is None:
        raise NotFound(f"there is no refund policy {policy_id}")
    return msgspec.convert(dict(row._mapping), Policy)


async def policy_for(tx: Tx, sold_on: date) -> int:
    """The id of the version under which an order of that local day is sold."""
    policy_id: int = await tx.scalar(
        "SELECT policy_id FROM demand.refund_policy WHERE valid_from <= :day"
        " ORDER BY valid_from DESC, policy_id DESC LIMIT 1",
        day=sold_on,
    )
    return policy_id


async def add_policy(tx: Tx, name: str, rules: Sequence[Rule], valid_from: date) -> PolicyVersion:
    """A new version; orders that were sold keep theirs."""
    row = {"policy_id": time_ordered_id(tx.now), "name": name, "rules": msgspec.to_builtins(rules)}
    row |= {"valid_from": valid_from, "created_by": tx.actor, "created_at": tx.now}
    await tx.execute(insert(refund_policy), row)
    return msgspec.convert(row, PolicyVersion)


async def list_policies(tx: Tx, *, limit: int, after: int) -> Sequence[PolicyVersion]:
    """Versions by id, those behind `after`."""
    rows = await tx.rows(
        f"SELECT {_VERSION_COLUMNS} FROM demand.refund_policy WHERE policy_id > :after ORDER BY policy_id LIMIT :limit",
        after=after,
        limit=limit,
    )
    return [msgspec.convert(dict(row._mapping), PolicyVersion) for row in rows]


async def add_refund(tx: Tx, row: dict[str, Any], given: Iterable[LineLeft], borne: dict[int, tuple[int, int]]) -> None:
    """Store a refund and its lines. borne: goods and freight that the merchant bears, by line: its lines shrink."""
    await tx.execute(insert(refund), row)
    await note_change(tx, row["merchant_id"], row["order_id"])
    key = {"merchant_id": row["merchant_id"], "refund_id": row["refund_id"], "order_id": row["order_id"]}
    rows = [
        {
            **key,
            "line_no": line.line_no,
            "goods_minor": line.goods_minor,
            "freight_minor": line.freight_minor,
            "merchant_goods_minor": borne[line.line_no][0],
            "merchant_freight_minor": borne[line.line_no][1],
        }
        for line in given
    ]
    await tx.execute(insert(refund_line), rows)
    await _reduce_lines(tx, row["merchant_id"], row["refund_id"], 1)


async def take_refund_back(tx: Tx, merchant_id: int, refund_id: int) -> None:
    """Mark a refund cancelled and give the order's lines back what it took from them."""
    order_id = await tx.scalar(
        """
        UPDATE demand.refund SET state = 'cancelled' WHERE merchant_id = :merchant AND refund_id = :refund
        RETURNING order_id
        """,
        merchant=merchant_id,
        refund=refund_id,
    )
    await note_change(tx, merchant_id, order_id)
    await _reduce_lines(tx, merchant_id, refund_id, -1)


async def _reduce_lines(tx: Tx, merchant_id: int, refund_id: int, sign: int) -> None:
    await tx.execute(
        """
        UPDATE demand.order_line AS l
        SET refunded_goods_minor = l.refunded_goods_minor + :sign * r.merchant_goods_minor,
            refunded_freight_minor = l.refunded_freight_minor + :sign * r.merchant_freight_minor
        FROM demand.refund_line r
        WHERE r.merchant_id = :merchant AND r.refund_id = :refund AND l.merchant_id = r.merchant_id
          AND l.order_id = r.order_id AND l.line_no = r.line_no AND l.merchant_id = :merchant
        """,
        {"merchant": merchant_id, "refund": refund_id, "sign": sign},
    )


async def set_fee(tx: Tx, merchant_id: int, refund_id: int, fee_minor: int) -> None:
    """What a refund costs its merchant of the processor's fee, by what is known of it now."""
    await tx.execute(
        "UPDATE demand.refund SET fee_minor = :fee WHERE merchant_id = :merchant AND refund_id = :refund",
        {"merchant": merchant_id, "refund": refund_id, "fee": fee_minor},
    )


async def add_dispute(tx: Tx, row: dict[str, Any]) -> Dispute:
    """Store a new dispute and return it."""
    await tx.execute(insert(dispute), row)
    return await get_dispute(tx, row["merchant_id"], row["dispute_id"])


async def get_dispute(tx: Tx, merchant_id: int, dispute_id: int, *, locked: bool = False) -> Dispute:
    """One dispute; locked: held until the transaction ends. Raises NotFound."""
    row = await tx.row(
        f"SELECT {_DISPUTE_COLUMNS} FROM demand.dispute WHERE merchant_id = :merchant AND dispute_id = :dispute"
        + (" FOR UPDATE" if locked else ""),
        merchant=merchant_id,
        dispute=dispute_id,
    )
    if row is None:
        raise NotFound(f"merchant {merchant_id} has no dispute {dispute_id}")
    return Dispute(**row._mapping)


async def disputes_named(tx: Tx, merchant_ids: Sequence[int], dispute_ref: str) -> list[Dispute]:
    """The shares of a dispute, by merchant and order."""
    rows = await tx.rows(
        f"SELECT {_DISPUTE_COLUMNS} FROM demand.dispute WHERE merchant_id = ANY(CAST(:merchants AS bigint[]))"
        " AND dispute_ref = :ref ORDER BY merchant_id, order_id",
        merchants=list(merchant_ids),
        ref=dispute_ref,
    )
    return [Dispute(**row._mapping) for row in rows]


async def list_disputes(
    tx: Tx,
    *,
    merchant_id: int | None = None,
    order_id: int | None = None,
    state: str | None = None,
    limit: int,
    after: tuple[datetime, int, int] | None = None,
) -> Sequence[Dispute]:
    """Disputes, the newest first, those behind (opened_at, merchant_id, dispute_id): of merchant, order, or all."""
    wanted = ["true"]
    bound: dict[str, Any] = {"limit": limit, "merchant": merchant_id, "order": order_id, "state": state}
    if merchant_id is not None:
        wanted.append("merchant_id = :merchant")
    if order_id is not None:
        wanted.append("order_id = :order")
    if state is not None:
        wanted.append("state = :state")
    if after is not None:
        wanted.append("(opened_at, merchant_id, dispute_id) < (:at, :after_merchant, :after_id)")
        bound |= dict(zip(("at", "after_merchant", "after_id"), after, strict=True))
    used = {name: value for name, value in bound.items() if value is not None}
    rows = await tx.rows(
        f"SELECT {_DISPUTE_COLUMNS} FROM demand.dispute WHERE {' AND '.join(wanted)}"
        " ORDER BY opened_at DESC, merchant_id DESC, dispute_id DESC LIMIT :limit",
        **used,
    )
    return [Dispute(**row._mapping) for row in rows]


async def disputes_of(tx: Tx, orders: Sequence[tuple[int, int]]) -> dict[tuple[int, int], list[Dispute]]:
    """Disputes of orders (merchant_id and order_id), the oldest first; orders that have none are not in it."""
    rows = await tx.rows(
        f"SELECT {_DISPUTE_COLUMNS} FROM demand.dispute WHERE {OF_ORDERS} ORDER BY opened_at, dispute_id",
        **order_keys(orders),
    )
    return {key: [Dispute(**row._mapping) for row in found] for key, found in by_order(rows).items()}


async def close_dispute(
    tx: Tx, merchant_id: int, dispute_id: int, state: str, at: datetime, *, excess_minor: int
) -> None:
    """Won or lost."""
    await tx.execute(
        """
        UPDATE demand.dispute SET state = :state, closed_at = :at, excess_minor = :excess
        WHERE merchant_id = :merchant AND dispute_id = :dispute
        """,
        {"merchant": merchant_id, "dispute": dispute_id, "state": state, "at": at, "excess": excess_minor},
    )


async def add_evidence(tx: Tx, merchant_id: int, dispute_id: int, evidence: str) -> Dispute:
    """What the merchant says to a dispute; it replaces what it said before."""
    await tx.execute(
        """
        UPDATE demand.dispute SET evidence = :evidence, evidence_at = :at
        WHERE merchant_id = :merchant AND dispute_id = :dispute
        """,
        {"merchant": merchant_id, "dispute": dispute_id, "evidence": evidence, "at": tx.now},
    )
    return await get_dispute(tx, merchant_id, dispute_id)
