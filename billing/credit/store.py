"""Every statement on buyers' credit. The house's account 2410 says the same; whoever changes one posts the other."""

from collections.abc import Sequence
from datetime import datetime

import msgspec
from sqlalchemy import insert

from billing.payments.tables import credit_movement
from marketplace.core.db import Tx
from marketplace.core.errors import Conflict
from marketplace.core.ids import time_ordered_id


class Credit(msgspec.Struct, frozen=True):
    """A buyer's credit in a currency; reserved_minor is set aside for payments not captured yet."""

    currency: str
    balance_minor: int
    reserved_minor: int


class Movement(msgspec.Struct, frozen=True):
    """A change of a buyer's credit, signed."""

    movement_id: int
    currency: str
    kind: str
    amount_minor: int
    source_id: int
    reason: str
    at: datetime


_MOVEMENT_COLUMNS = ", ".join(Movement.__struct_fields__)


async def move(
    tx: Tx, buyer_id: int, currency: str, kind: str, amount_minor: int, *, source_id: int, reason: str = ""
) -> None:
    """Change a buyer's credit by a signed amount. Raises Conflict when more is taken than is free."""
    bound = {"buyer": buyer_id, "currency": currency, "amount": amount_minor}
    if amount_minor > 0:
        await tx.execute(
            """
            INSERT INTO billing.credit_account AS a (buyer_id, currency, balance_minor)
            VALUES (:buyer, :currency, :amount)
            ON CONFLICT (buyer_id, currency) DO UPDATE SET balance_minor = a.balance_minor + excluded.balance_minor
            """,
            bound,
        )
    else:
        taken = await tx.execute(
            """
            UPDATE billing.credit_account SET balance_minor = balance_minor + :amount
            WHERE buyer_id = :buyer AND currency = :currency AND balance_minor - reserved_minor + :amount >= 0
            """,
            bound,
        )
        if taken.rowcount == 0:
            raise Conflict(f"amount_minor: the buyer has less than {-amount_minor} of free credit in {currency}")
    row = {"buyer_id": buyer_id, "movement_id": time_ordered_id(tx.now), "currency": currency, "kind": kind}
    row |= {"amount_minor": amount_minor, "source_id": source_id, "reason": reason, "at": tx.now, "actor": tx.actor}
    await tx.execute(insert(credit_movement), row)


async def accounts(tx: Tx, buyer_id: int) -> list[Credit]:
    """A buyer's credit, by currency."""
    rows = await tx.rows(
        "SELECT currency, balance_minor, reserved_minor FROM billing.credit_account WHERE buyer_id = :buyer"
        " ORDER BY currency",
        buyer=buyer_id,
    )
    return [Credit(*row) for row in rows]


async def movements(tx: Tx, buyer_id: int, *, limit: int, before: int | None) -> Sequence[Movement]:
    """What changed a buyer's credit, the newest first, below the movement `before`."""
    rows = await tx.rows(
        f"SELECT {_MOVEMENT_COLUMNS} FROM billing.credit_movement WHERE buyer_id = :buyer"
        " AND movement_id < coalesce(CAST(:before AS bigint), 9223372036854775807)"
        " ORDER BY movement_id DESC LIMIT :limit",
        buyer=buyer_id,
        before=before,
        limit=limit,
    )
    return [Movement(*row) for row in rows]
