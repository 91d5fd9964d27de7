"""Every statement on discounts of orders, but for the one that places them."""

from collections.abc import Sequence
from typing import Any

import msgspec
from sqlalchemy import insert

from incentives.discounts.model import Back, Discount
from incentives.discounts.tables import discount_back
from marketplace.core.db import Tx

_COLUMNS = ", ".join(Discount.__struct_fields__)


async def discounts_of(tx: Tx, merchant_id: int, order_id: int, *, state: str | None = None) -> list[Discount]:
    """What promotions take off an order, by promotion; of a state, if one is named."""
    rows = await tx.rows(
        f"""
        SELECT {_COLUMNS} FROM incentives.order_discount
        WHERE merchant_id = :merchant AND order_id = :order
          AND (CAST(:state AS text) IS NULL OR state = :state) ORDER BY promotion_id, grant_id
        """,
        merchant=merchant_id,
        order=order_id,
        state=state,
    )
    return [msgspec.convert(dict(row._mapping), Discount) for row in rows]


async def discounts_of_orders(tx: Tx, keys: Sequence[tuple[int, int]]) -> dict[tuple[int, int], list[Discount]]:
    """What promotions take off orders, by merchant_id and order_id."""
    rows = await tx.rows(
        f"""
        SELECT {", ".join(f"d.{name}" for name in Discount.__struct_fields__)} FROM incentives.order_discount d
        JOIN unnest(CAST(:merchants AS bigint[]), CAST(:orders AS bigint[])) AS k (merchant_id, order_id)
          ON k.merchant_id = d.merchant_id AND k.order_id = d.order_id
        ORDER BY d.promotion_id, d.grant_id
        """,
        merchants=[merchant_id for merchant_id, _ in keys],
        orders=[order_id for _, order_id in keys],
    )
    found: dict[tuple[int, int], list[Discount]] = {}
    for row in rows:
        found.setdefault((row.merchant_id, row.order_id), []).append(msgspec.convert(dict(row._mapping), Discount))
    return found


async def set_state(tx: Tx, merchant_id: int, order_id: int, then: str) -> list[Discount]:
    """Take what is reserved on: committed or released; returns it. The order is held."""
    rows = await tx.rows(
        f"""
        UPDATE incentives.order_discount SET state = :then
        WHERE merchant_id = :merchant AND order_id = :order AND state = 'reserved' RETURNING {_COLUMNS}
        """,
        merchant=merchant_id,
        order=order_id,
        then=then,
    )
    found = [msgspec.convert(dict(row._mapping), Discount) for row in rows]
    return sorted(found, key=lambda each: (each.promotion_id, each.grant_id))


async def save_backs(tx: Tx, of: Discount) -> None:
    """Bring what was taken back of a discount level with the value. The order is held."""
    await tx.execute(
        """
        UPDATE incentives.order_discount
        SET funder_back_minor = :funders, borne_back_minor = :borne, own_back_minor = :own
        WHERE merchant_id = :merchant AND order_id = :order AND grant_id = :grant
        """,
        {
            "funders": list(of.funder_back_minor),
            "borne": list(of.borne_back_minor),
            "own": list(of.own_back_minor),
            "merchant": of.merchant_id,
            "order": of.order_id,
            "grant": of.grant_id,
        },
    )


async def add_back(tx: Tx, refund_id: int, back: Back, *, undone: bool = False) -> None:
    """Record what a refund took back, or gave back again."""
    of = back.discount
    numbers = sorted({*back.borne, *back.own})
    row: dict[str, Any] = {
        "merchant_id": of.merchant_id,
        "refund_id": refund_id,
        "grant_id": of.grant_id,
        "undone": undone,
        "order_id": of.order_id,
        "line_nos": numbers,
        "borne_minor": [back.borne.get(no, 0) for no in numbers],
        "own_minor": [back.own.get(no, 0) for no in numbers],
        "funder_minor": list(back.funder_minor),
    }
    await tx.execute(insert(discount_back), row)


async def backs_of(tx: Tx, merchant_id: int, refund_id: int) -> Sequence[Any]:
    """What a refund took back, as it was recorded."""
    return await tx.rows(
        """
        SELECT grant_id, line_nos, borne_minor, own_minor, funder_minor FROM incentives.discount_back
        WHERE merchant_id = :merchant AND refund_id = :refund AND NOT undone ORDER BY grant_id
        """,
        merchant=merchant_id,
        refund=refund_id,
    )
