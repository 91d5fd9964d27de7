"""Every statement on prepaid balances. Whoever changes one holds the merchant's ledger head and posts the same."""

from collections.abc import Sequence
from datetime import date
from typing import Any

import msgspec
from sqlalchemy import insert

from billing.ads.model import AdAccount, Grant, GrantState, Movement, Terms
from billing.ads.tables import ad_grant, ad_movement, ad_terms
from marketplace.core.db import Tx
from marketplace.core.errors import Conflict, Invalid, NotFound

_ACCOUNT = ", ".join(AdAccount.__struct_fields__)
_MOVEMENT = ", ".join(Movement.__struct_fields__)
_GRANT = ", ".join(Grant.__struct_fields__)


class Books(msgspec.Struct, frozen=True):
    """Whose ledger a merchant's entries are in: the legal entity, its house, and the zone of its days."""

    entity_id: int
    house_merchant_id: int
    zone: str


async def books_of(tx: Tx, merchant_id: int) -> Books:
    """Raises NotFound for a merchant that has no books."""
    row = await tx.row(
        """
        SELECT e.entity_id, e.house_merchant_id, e.zone FROM billing.ledger_head h
        JOIN billing.entity e ON e.entity_id = h.entity_id WHERE h.merchant_id = :merchant
        """,
        merchant=merchant_id,
    )
    if row is None:
        raise NotFound(f"there is no merchant {merchant_id}")
    return Books(*row)


async def vat_ppm(tx: Tx, entity_id: int, currency: str, on: date) -> int:
    """The VAT on a top-up of that day. Raises Invalid where finance has set no terms for the currency."""
    found: int | None = await tx.scalar(
        """
        SELECT vat_ppm FROM billing.ad_terms
        WHERE entity_id = :entity AND currency = :currency AND valid_from <= :on ORDER BY valid_from DESC LIMIT 1
        """,
        entity=entity_id,
        currency=currency,
        on=on,
    )
    if found is None:
        raise Invalid(f"currency: finance has set no terms for ads in {currency}", pointer="/currency")
    return found


async def list_terms(tx: Tx) -> list[Terms]:
    """All terms, by entity, currency and day; there are few."""
    rows = await tx.rows(
        "SELECT entity_id, currency, valid_from, vat_ppm FROM billing.ad_terms ORDER BY 1, 2, 3 DESC LIMIT 500"
    )
    return [Terms(entity_id=row[0], currency=row[1], valid_from=row[2], vat_ppm=row[3]) for row in rows]


async def add_terms(tx: Tx, new: Terms) -> None:
    """Raises Conflict when there are terms from that day on already, NotFound for an entity that is none."""
    if await tx.scalar("SELECT 1 FROM billing.entity WHERE entity_id = :entity", entity=new.entity_id) is None:
        raise NotFound(f"there is no legal entity {new.entity_id}")
    held = await tx.scalar(
        "SELECT 1 FROM billing.ad_terms WHERE entity_id = :entity AND currency = :currency AND valid_from = :from_on",
        entity=new.entity_id,
        currency=new.currency,
        from_on=new.valid_from,
    )
    if held is not None:
        raise Conflict(f"valid_from: there are terms for {new.currency} from {new.valid_from} already")
    await tx.execute(insert(ad_terms), {**msgspec.structs.asdict(new), "made_by": tx.actor, "made_at": tx.now})


async def get_account(tx: Tx, merchant_id: int, currency: str) -> AdAccount:
    """A merchant's balance in a currency; one that never had any stands at zero."""
    row = await tx.row(
        f"SELECT {_ACCOUNT} FROM billing.ad_account WHERE merchant_id = :merchant AND currency = :currency",
        merchant=merchant_id,
        currency=currency,
    )
    if row is not None:
        return AdAccount(**row._mapping)
    return AdAccount(
        merchant_id=merchant_id,
        currency=currency,
        paid_minor=0,
        granted_minor=0,
        held_minor=0,
        topped_minor=0,
        vat_minor=0,
        refunded_minor=0,
        refunded_vat_minor=0,
    )


async def list_accounts(tx: Tx, merchant_id: int) -> list[AdAccount]:
    """A merchant's balances by currency."""
    rows = await tx.rows(
        f"SELECT {_ACCOUNT} FROM billing.ad_account WHERE merchant_id = :merchant ORDER BY currency",
        merchant=merchant_id,
    )
    return [AdAccount(**row._mapping) for row in rows]


async def change_account(
    tx: Tx,
    merchant_id: int,
    currency: str,
    *,
    paid: int = 0,
    granted: int = 0,
    held: int = 0,
    topped: int = 0,
    vat: int = 0,
    refunded: int = 0,
    refunded_vat: int = 0,
) -> None:
    """Change a balance by signed amounts, which the caller has held against it."""
    bound: dict[str, Any] = {"merchant": merchant_id, "currency": currency}
    await tx.execute(
        """
        INSERT INTO billing.ad_account (merchant_id, currency) VALUES (:merchant, :currency)
        ON CONFLICT (merchant_id, currency) DO NOTHING
        """,
        bound,
    )
    changes = {"paid": paid, "granted": granted, "held": held, "topped": topped, "vat": vat}
    await tx.execute(
        """
        UPDATE billing.ad_account SET paid_minor = paid_minor + :paid, granted_minor = granted_minor + :granted,
            held_minor = held_minor + :held, topped_minor = topped_minor + :topped, vat_minor = vat_minor + :vat,
            refunded_minor = refunded_minor + :refunded, refunded_vat_minor = refunded_vat_minor + :refunded_vat
        WHERE merchant_id = :merchant AND currency = :currency
        """,
        {**bound, **changes, "refunded": refunded, "refunded_vat": refunded_vat},
    )


async def accrued(tx: Tx, merchant_id: int, currency: str) -> int:
    """What came in of a merchant's campaigns and is not rated yet, rounded up: an estimate, never too low."""
    return int(
        await tx.scalar(
            """
            SELECT coalesce(ceil(sum(greatest(b.gross_milli - b.invalid_milli - b.rated_milli, 0)) / 1000.0), 0)
            FROM billing.ad_bucket b
            JOIN billing.ad_campaign c ON c.merchant_id = b.merchant_id AND c.campaign_id = b.campaign_id
            WHERE b.merchant_id = :merchant AND c.currency = :currency
              AND (b.clicks <> b.judged_clicks OR b.gross_milli - b.invalid_milli <> b.rated_milli)
            """,
            merchant=merchant_id,
            currency=currency,
        )
    )


async def claim_receipt(tx: Tx, receipt_ref: str, merchant_id: int, movement_id: int) -> None:
    """Raises Conflict when this receipt has been booked, for whomever."""
    await tx.execute(
        """
        INSERT INTO billing.ad_receipt (receipt_ref, merchant_id, movement_id) VALUES (:ref, :merchant, :movement)
        ON CONFLICT (receipt_ref) DO NOTHING
        """,
        {"ref": receipt_ref, "merchant": merchant_id, "movement": movement_id},
    )
    held = await tx.row(
        "SELECT merchant_id, movement_id FROM billing.ad_receipt WHERE receipt_ref = :ref", ref=receipt_ref
    )
    if held is not None and held.movement_id != movement_id:
        raise Conflict(f"receipt_ref: {receipt_ref} was booked before, for merchant {held.merchant_id}")


async def insert_movement(tx: Tx, new: Movement) -> None:
    await tx.execute(insert(ad_movement), msgspec.structs.asdict(new))


async def list_movements(tx: Tx, merchant_id: int, *, limit: int, before: int | None) -> Sequence[Movement]:
    """What changed a merchant's balances, the newest first, below the movement `before`."""
    rows = await tx.rows(
        f"SELECT {_MOVEMENT} FROM billing.ad_movement WHERE merchant_id = :merchant"
        " AND movement_id < coalesce(CAST(:before AS bigint), 9223372036854775807)"
        " ORDER BY movement_id DESC LIMIT :limit",
        merchant=merchant_id,
        before=before,
        limit=limit,
    )
    return [Movement(**row._mapping) for row in rows]


async def insert_grant(tx: Tx, new: Grant) -> None:
    await tx.execute(insert(ad_grant), {**msgspec.structs.asdict(new), "state": new.state.value})


async def lock_grant(tx: Tx, merchant_id: int, grant_id: int) -> Grant:
    """A grant, held until the transaction ends. Raises NotFound."""
    row = await tx.row(
        f"SELECT {_GRANT} FROM billing.ad_grant WHERE merchant_id = :merchant AND grant_id = :grant FOR UPDATE",
        merchant=merchant_id,
        grant=grant_id,
    )
    if row is None:
        raise NotFound(f"merchant {merchant_id} has no ad grant {grant_id}")
    return _grant(row)


async def decide_grant(tx: Tx, held: Grant, state: GrantState) -> Grant:
    """Take a held grant to its end."""
    await tx.execute(
        """
        UPDATE billing.ad_grant SET state = :state, decided_by = :actor, decided_at = :now
        WHERE merchant_id = :merchant AND grant_id = :grant
        """,
        {
            "state": state.value,
            "actor": tx.actor,
            "now": tx.now,
            "merchant": held.merchant_id,
            "grant": held.grant_id,
        },
    )
    return msgspec.structs.replace(held, state=state, decided_by=tx.actor, decided_at=tx.now)


async def list_grants(tx: Tx, merchant_id: int | None, *, limit: int, before: int | None) -> list[Grant]:
    """Grants of one merchant or of all, the newest first, below the grant `before`."""
    rows = await tx.rows(
        f"SELECT {_GRANT} FROM billing.ad_grant WHERE (CAST(:merchant AS bigint) IS NULL OR merchant_id = :merchant)"
        " AND grant_id < coalesce(CAST(:before AS bigint), 9223372036854775807)"
        " ORDER BY grant_id DESC LIMIT :limit",
        merchant=merchant_id,
        before=before,
        limit=limit,
    )
    return [_grant(row) for row in rows]


def _grant(row: Any) -> Grant:
    return msgspec.convert(dict(row._mapping), Grant)
