"""Every statement on buyers' credit. The house's account 2410 says the same; whoever changes one posts the other."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import msgspec
from sqlalchemy import insert

from billing.payments.model import Payment
from billing.payments.tables import credit_grant, credit_movement
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


class Grant(msgspec.Struct, frozen=True):
    """Credit that ends at an instant, and what of it is left, in minor units."""

    grant_id: int
    currency: str
    amount_minor: int
    left_minor: int
    expires_at: datetime


GRANTS_SHOWN = 50

_GRANT_COLUMNS = ", ".join(Grant.__struct_fields__)
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
    await _note(tx, buyer_id, currency, kind, amount_minor, source_id=source_id, reason=reason)


async def _note(
    tx: Tx, buyer_id: int, currency: str, kind: str, amount_minor: int, *, source_id: int, reason: str = ""
) -> None:
    row = {"buyer_id": buyer_id, "movement_id": time_ordered_id(tx.now), "currency": currency, "kind": kind}
    row |= {"amount_minor": amount_minor, "source_id": source_id, "reason": reason, "at": tx.now, "actor": tx.actor}
    await tx.execute(insert(credit_movement), row)


async def add_grant(tx: Tx, buyer_id: int, entity_id: int, grant: Grant) -> None:
    """Note that credit just granted is for a time."""
    row = {"buyer_id": buyer_id, "entity_id": entity_id, **msgspec.structs.asdict(grant)}
    await tx.execute(insert(credit_grant), row)


async def use(tx: Tx, payment: Payment, used_minor: int) -> None:
    """Take what was set aside for a payment out of the buyer's credit: first what expires first."""
    bound = {"buyer": payment.buyer_id, "currency": payment.currency, "used": used_minor}
    await tx.execute(
        """
        UPDATE billing.credit_account SET balance_minor = balance_minor - :used, reserved_minor = reserved_minor - :used
        WHERE buyer_id = :buyer AND currency = :currency
        """,
        bound,
    )
    await tx.execute(
        """
        UPDATE billing.credit_grant AS g
        SET left_minor = left_minor - least(left_minor, greatest(0, CAST(:used AS bigint) - w.before))
        FROM (SELECT grant_id,
                     (sum(left_minor) OVER (ORDER BY expires_at, grant_id))::bigint - left_minor AS before
              FROM billing.credit_grant WHERE buyer_id = :buyer AND currency = :currency AND left_minor > 0) AS w
        WHERE g.buyer_id = :buyer AND g.grant_id = w.grant_id AND w.before < CAST(:used AS bigint)
        """,
        bound,
    )
    await _note(tx, payment.buyer_id, payment.currency, "used", -used_minor, source_id=payment.payment_id)


async def release(tx: Tx, buyer_id: int, currency: str, credit_minor: int) -> None:
    """Free what was set aside for a payment that will not use it."""
    if credit_minor:
        await tx.execute(
            """
            UPDATE billing.credit_account SET reserved_minor = reserved_minor - :credit
            WHERE buyer_id = :buyer AND currency = :currency
            """,
            {"buyer": buyer_id, "currency": currency, "credit": credit_minor},
        )


async def end_grant(tx: Tx, buyer_id: int, grant_id: int) -> int:
    """End what is left of a grant, but for what is set aside for payments; returns how much that was.

    What is set aside is of the grants that expire first; once it is free again the grant is there to be ended.
    """
    bound = {"buyer": buyer_id, "grant": grant_id}
    reserved = await tx.scalar(
        """
        SELECT a.reserved_minor FROM billing.credit_account a
        JOIN billing.credit_grant g ON g.buyer_id = a.buyer_id AND g.currency = a.currency
        WHERE a.buyer_id = :buyer AND g.grant_id = :grant FOR UPDATE OF a
        """,
        **bound,
    )
    ended: int | None = await tx.scalar(
        """
        SELECT least(w.left_minor, greatest(0, w.upto - CAST(:reserved AS bigint)))
        FROM (SELECT grant_id, left_minor, (sum(left_minor) OVER (ORDER BY expires_at, grant_id))::bigint AS upto
              FROM billing.credit_grant
              WHERE buyer_id = :buyer AND left_minor > 0 AND currency =
                    (SELECT currency FROM billing.credit_grant WHERE buyer_id = :buyer AND grant_id = :grant)) AS w
        WHERE w.grant_id = :grant
        """,
        **bound,
        reserved=reserved,
    )
    if ended:
        await tx.execute(
            "UPDATE billing.credit_grant SET left_minor = left_minor - :ended"
            " WHERE buyer_id = :buyer AND grant_id = :grant",
            bound | {"ended": ended},
        )
    return ended or 0


async def due_grants(tx: Tx, upto: datetime, after: tuple[int, int], limit: int) -> Sequence[Any]:
    """Buyers and grants whose time is over and of which something is left, behind a key."""
    return await tx.rows(
        """
        SELECT buyer_id, grant_id, entity_id, currency FROM billing.credit_grant
        WHERE left_minor > 0 AND expires_at <= :upto
          AND (buyer_id, grant_id) > (CAST(:buyer AS bigint), CAST(:grant AS bigint))
        ORDER BY buyer_id, grant_id LIMIT :limit
        """,
        upto=upto,
        buyer=after[0],
        grant=after[1],
        limit=limit,
    )


async def grants(tx: Tx, buyer_id: int) -> list[Grant]:
    """What of a buyer's credit expires, the next first."""
    rows = await tx.rows(
        f"SELECT {_GRANT_COLUMNS} FROM billing.credit_grant WHERE buyer_id = :buyer AND left_minor > 0"
        " ORDER BY expires_at, grant_id LIMIT :limit",
        buyer=buyer_id,
        limit=GRANTS_SHOWN,
    )
    return [Grant(*row) for row in rows]


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
