"""Every statement on what is taken away: the journal in order, leg by leg, and as an ERP's chart has it."""

from collections.abc import AsyncIterator, Sequence

import msgspec
from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert

from billing.exports.model import ErpAccount, Extract, JournalEntry
from billing.exports.tables import erp_account
from marketplace.core.db import Tx

FETCH = 2_000
_OF = """
WHERE ($1::integer IS NULL OR e.entity_id = $1) AND ($2::text IS NULL OR e.currency = $2)
  AND ($3::date IS NULL OR e.effective_on >= $3) AND ($4::date IS NULL OR e.effective_on < $4)"""
_COLUMNS = ", ".join(f"e.{name}" for name in JournalEntry.__struct_fields__ if name != "merchant_ref")
_ENTRIES = f"""
SELECT {_COLUMNS}, coalesce(m.merchant_ref, 'house') AS merchant_ref
FROM billing.entry e LEFT JOIN supply.merchant m ON m.merchant_id = e.merchant_id {_OF}
ORDER BY e.effective_on, e.merchant_id, e.entry_no"""
LEGS = f"""
SELECT coalesce(m.merchant_ref, 'house') AS merchant_ref, e.* FROM billing.posting e
LEFT JOIN supply.merchant m ON m.merchant_id = e.merchant_id {_OF}
ORDER BY e.merchant_id, e.entry_no, e.leg_no"""
# Amounts as decimals: by the digits of the currency, exactly.
ERP = f"""
SELECT e.effective_on AS posting_date, e.merchant_id || '-' || e.entry_no AS voucher, e.leg_no AS line,
       a.number AS account, a.name AS account_name, a.cost_center, a.tax_code, e.currency,
       CASE WHEN e.amount_minor > 0 THEN round(e.amount_minor * power(10::numeric, -c.digits), c.digits) END AS debit,
       CASE WHEN e.amount_minor < 0 THEN round(-e.amount_minor * power(10::numeric, -c.digits), c.digits) END AS credit,
       e.kind AS text, coalesce(m.merchant_ref, 'house') AS partner, e.dimension AS reference,
       to_char(e.occurred_at AT TIME ZONE 'UTC', 'YYYY-MM-DD') AS document_date
FROM billing.posting e
JOIN billing.erp_account a ON a.entity_id = e.entity_id AND a.account = e.account
JOIN unnest($5::text[], $6::integer[]) AS c (currency, digits) ON c.currency = e.currency
LEFT JOIN supply.merchant m ON m.merchant_id = e.merchant_id {_OF}
ORDER BY e.effective_on, e.merchant_id, e.entry_no, e.leg_no"""
_UNMAPPED = f"""
SELECT DISTINCT e.entity_id, e.account FROM billing.posting e {_OF}
  AND NOT EXISTS (SELECT FROM billing.erp_account a WHERE a.entity_id = e.entity_id AND a.account = e.account)
ORDER BY 1, 2"""


def bound(extract: Extract) -> tuple[object, ...]:
    """The first four parameters of these statements."""
    return extract.entity_id, extract.currency, extract.from_on, extract.to_on


async def read_entries(tx: Tx, extract: Extract) -> AsyncIterator[list[JournalEntry]]:
    """Entries by day, a few thousand at a time, from a cursor: memory does not grow with their number."""
    cursor = await tx.raw.cursor(_ENTRIES, *bound(extract))
    while rows := await cursor.fetch(FETCH):
        yield [JournalEntry(**row) for row in rows]


async def unmapped_accounts(tx: Tx, extract: Extract) -> list[tuple[int, int]]:
    """Entity and account of legs that no account of the ERP takes."""
    return [(row["entity_id"], row["account"]) for row in await tx.raw.fetch(_UNMAPPED, *bound(extract))]


async def list_erp_accounts(tx: Tx, entity_id: int) -> list[ErpAccount]:
    columns = [erp_account.c[name] for name in ErpAccount.__struct_fields__]
    rows = await tx.rows(select(*columns).where(erp_account.c.entity_id == entity_id).order_by(erp_account.c.account))
    return [ErpAccount(**row._mapping) for row in rows]


async def set_erp_accounts(tx: Tx, entity_id: int, accounts: Sequence[ErpAccount]) -> None:
    """Keep an entity's mapping in the place of the one before."""
    await tx.execute(erp_account.delete().where(erp_account.c.entity_id == entity_id))
    rows = [msgspec.structs.asdict(one) | {"set_by": tx.actor, "set_at": tx.now} for one in accounts]
    if rows:
        await tx.execute(insert(erp_account), rows)
