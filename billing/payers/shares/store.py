"""Every statement on shares: what payers bear of orders, charges and promotions."""

from collections.abc import Collection, Sequence
from datetime import date, datetime
from typing import Any

import msgspec
from sqlalchemy import insert

from billing.payers.caps.store import CapKey
from billing.payers.rules import Borne, Standing
from billing.payers.tables import payer_back, payer_entry, payer_share
from marketplace.core.db import Tx

ORDER, CHARGE, PROMOTION = "order", "charge", "promotion"


class PayerShare(msgspec.Struct, frozen=True, kw_only=True):
    """A row of `billing.payer_share`."""

    merchant_id: int
    source: str
    source_id: int
    contract_id: int
    version_id: int
    payer_id: int
    entity_id: int
    source_ref: str
    currency: str
    state: str
    period_from: date
    shard: int
    line_nos: list[int]
    line_minor: list[int]
    line_back_minor: list[int]
    amount_minor: int
    back_minor: int = 0
    rejected_minor: int = 0
    rejected_back_minor: int = 0
    claimed_minor: int = 0
    fee_minor: int = 0
    vat_minor: int = 0
    remitted_minor: int = 0
    held_minor: int = 0
    claimable_on: date | None = None
    reserved_at: datetime

    @property
    def cap(self) -> CapKey:
        return CapKey(self.payer_id, self.contract_id, self.period_from)

    @property
    def standing(self) -> Standing:
        return Standing(**{name: getattr(self, name) for name in Standing.__struct_fields__})

    @property
    def borne(self) -> Borne:
        return Borne(
            contract_id=self.contract_id,
            line_minor=dict(zip(self.line_nos, self.line_minor, strict=True)),
            back_minor=dict(zip(self.line_nos, self.line_back_minor, strict=True)),
        )


_COLUMNS = ", ".join(PayerShare.__struct_fields__)
_KEY = "merchant_id = :merchant AND source = :source AND source_id = :source_id"


async def add_shares(tx: Tx, shares: Sequence[PayerShare]) -> None:
    """Store new shares."""
    if shares:
        await tx.execute(insert(payer_share), [msgspec.structs.asdict(share) for share in shares])


async def shares_of(
    tx: Tx, merchant_id: int, source: str, source_id: int, *, state: str | None = None
) -> list[PayerShare]:
    """What payers bear of one thing, by contract; of a state, if one is named. Its order, or books, are held."""
    rows = await tx.rows(
        f"""
        SELECT {_COLUMNS} FROM billing.payer_share
        WHERE {_KEY} AND (CAST(:state AS text) IS NULL OR state = :state) ORDER BY contract_id
        """,
        merchant=merchant_id,
        source=source,
        source_id=source_id,
        state=state,
    )
    return [PayerShare(**row._mapping) for row in rows]


async def shares_from(
    tx: Tx, merchants: Sequence[int] | None, source: str, ids: tuple[int, int], state: str
) -> list[PayerShare]:
    """What payers bear of things whose ids are in [first, next), of these merchants or all, by merchant and id."""
    rows = await tx.rows(
        f"""
        SELECT {_COLUMNS} FROM billing.payer_share
        WHERE source = :source AND source_id >= :first AND source_id < :next AND state = :state
          AND (CAST(:merchants AS bigint[]) IS NULL OR merchant_id = ANY(CAST(:merchants AS bigint[])))
        ORDER BY merchant_id, source_id
        """,
        merchants=None if merchants is None else list(merchants),
        source=source,
        first=ids[0],
        next=ids[1],
        state=state,
    )
    return [PayerShare(**row._mapping) for row in rows]


async def count_from(tx: Tx, merchant_id: int, source: str, ids: tuple[int, int]) -> int:
    """How many shares of a merchant there are with ids in [first, next), whatever became of them."""
    count: int = await tx.scalar(
        """
        SELECT count(*) FROM billing.payer_share
        WHERE merchant_id = :merchant AND source = :source AND source_id >= :first AND source_id < :next
        """,
        merchant=merchant_id,
        source=source,
        first=ids[0],
        next=ids[1],
    )
    return count


async def get_share(
    tx: Tx, merchant_id: int, source: str, source_id: int, contract_id: int, *, lock: bool = False
) -> PayerShare | None:
    """What one contract bears of it; `lock` holds it, for who does not hold the merchant's books."""
    if lock:
        held = f"SELECT contract_id FROM billing.payer_share WHERE {_KEY} ORDER BY contract_id FOR UPDATE"
        await tx.execute(held, {"merchant": merchant_id, "source": source, "source_id": source_id})
    found = await shares_of(tx, merchant_id, source, source_id)
    return next((share for share in found if share.contract_id == contract_id), None)


async def store_share(tx: Tx, share: PayerShare) -> None:
    """Bring a share's row level with the value; whoever does it holds the merchant's books, or reserved it itself."""
    await tx.execute(
        f"""
        UPDATE billing.payer_share SET state = :state, line_back_minor = :line_back_minor, back_minor = :back_minor,
               rejected_minor = :rejected_minor, rejected_back_minor = :rejected_back_minor,
               claimed_minor = :claimed_minor, fee_minor = :fee_minor, vat_minor = :vat_minor,
               remitted_minor = :remitted_minor, held_minor = :held_minor, claimable_on = :claimable_on
        WHERE {_KEY} AND contract_id = :contract_id
        """,
        msgspec.structs.asdict(share) | {"merchant": share.merchant_id},
    )


async def reserved_under(tx: Tx, merchant_id: int, refs: Collection[str]) -> list[PayerShare]:
    """What is reserved for promotions under these references, by reference and contract. The books are held."""
    rows = await tx.rows(
        f"""
        SELECT {_COLUMNS} FROM billing.payer_share
        WHERE merchant_id = :merchant AND state = 'reserved' AND source = 'promotion' AND source_ref = ANY(:refs)
        ORDER BY source_ref, contract_id
        """,
        merchant=merchant_id,
        refs=list(refs),
    )
    return [PayerShare(**row._mapping) for row in rows]


async def shrink(tx: Tx, left: PayerShare) -> None:
    """Leave so much of a reserved share; one of which nothing is left is released."""
    await tx.execute(
        f"""
        UPDATE billing.payer_share
        SET state = CASE WHEN CAST(:left AS bigint) = 0 THEN 'released' ELSE state END,
            amount_minor = CASE WHEN CAST(:left AS bigint) = 0 THEN amount_minor ELSE :left END,
            line_minor = CASE WHEN CAST(:left AS bigint) = 0 THEN line_minor ELSE ARRAY[CAST(:left AS bigint)] END
        WHERE {_KEY} AND contract_id = :contract AND state = 'reserved'
        """,
        {
            "merchant": left.merchant_id,
            "source": left.source,
            "source_id": left.source_id,
            "contract": left.contract_id,
            "left": left.amount_minor,
        },
    )


async def note_entry(tx: Tx, share: PayerShare, kind: str, entry_id: int) -> None:
    """Say that an entry, by its kind and the id of its fact, is about a share."""
    names = ("merchant_id", "source", "source_id", "contract_id")
    row = {name: getattr(share, name) for name in names}
    await tx.execute(insert(payer_entry), {**row, "kind": kind, "entry_id": entry_id})


_SETTLED = """
JOIN billing.payer_version v ON v.version_id = s.version_id
JOIN billing.entry e ON e.merchant_id = s.merchant_id AND e.kind = 'order_settled' AND e.source_id = s.source_id
WHERE s.merchant_id = ANY(CAST(:merchants AS bigint[])) AND s.source = 'order' AND s.state = 'committed'
  AND s.claimable_on IS NULL"""
_WAITS = "CAST(v.terms ->> 'pay_when_paid' AS boolean)"


async def settled_waiting(tx: Tx, merchants: Sequence[int]) -> list[PayerShare]:
    """Shares of orders that were just settled and for which the merchants wait until the payer pays.

    All others are marked as claimable, whatever their number, by one statement. The merchants' books are held.
    """
    await tx.execute(
        f"""
        UPDATE billing.payer_share AS t SET claimable_on = settled.effective_on
        FROM (SELECT s.merchant_id, s.source_id, s.contract_id, e.effective_on
              FROM billing.payer_share s {_SETTLED} AND NOT {_WAITS}) AS settled
        WHERE t.merchant_id = settled.merchant_id AND t.source = 'order' AND t.source_id = settled.source_id
          AND t.contract_id = settled.contract_id
        """,
        {"merchants": list(merchants)},
    )
    columns = ", ".join(f"s.{name}" for name in PayerShare.__struct_fields__ if name != "claimable_on")
    rows = await tx.rows(
        f"""
        SELECT {columns}, e.effective_on AS claimable_on FROM billing.payer_share s {_SETTLED} AND {_WAITS}
        ORDER BY s.merchant_id, s.source_id, s.contract_id
        """,
        merchants=list(merchants),
    )
    return [PayerShare(**row._mapping) for row in rows]


async def add_back(
    tx: Tx, share: PayerShare, refund_id: int, lines: dict[int, int], rejected_back_minor: int, *, undone: bool = False
) -> None:
    """Record what a refund took back of a share; with the other sign when it is undone."""
    row: dict[str, Any] = {
        "merchant_id": share.merchant_id,
        "refund_id": refund_id,
        "contract_id": share.contract_id,
        "undone": undone,
        "source": share.source,
        "source_id": share.source_id,
        "line_nos": list(lines),
        "line_minor": list(lines.values()),
        "payer_minor": sum(lines.values()) - rejected_back_minor,
        "rejected_back_minor": rejected_back_minor,
    }
    await tx.execute(insert(payer_back), row)


async def backs_of(tx: Tx, merchant_id: int, refund_id: int, source: str = ORDER) -> Sequence[Any]:
    """What a refund took back of shares of one kind and did not undo, by contract."""
    return await tx.rows(
        """
        SELECT source_id, contract_id, line_nos, line_minor, payer_minor, rejected_back_minor
        FROM billing.payer_back b
        WHERE merchant_id = :merchant AND refund_id = :refund AND source = :source AND NOT undone
          AND NOT EXISTS (SELECT FROM billing.payer_back u WHERE u.merchant_id = b.merchant_id
             AND u.refund_id = b.refund_id AND u.contract_id = b.contract_id AND u.source = b.source
             AND u.source_id = b.source_id AND u.undone)
        ORDER BY contract_id, source_id
        """,
        merchant=merchant_id,
        source=source,
        refund=refund_id,
    )


async def backs_from(tx: Tx, merchants: Sequence[int], source: str, ids: tuple[int, int]) -> Sequence[Any]:
    """What came back of shares under ids in [first, next) and was not undone, of these merchants, by merchant."""
    return await tx.rows(
        """
        SELECT merchant_id, refund_id, contract_id, source_id, line_minor, rejected_back_minor
        FROM billing.payer_back b
        WHERE merchant_id = ANY(CAST(:merchants AS bigint[])) AND source = :source
          AND refund_id >= :first AND refund_id < :next AND NOT undone
          AND NOT EXISTS (SELECT FROM billing.payer_back u WHERE u.merchant_id = b.merchant_id
             AND u.refund_id = b.refund_id AND u.contract_id = b.contract_id AND u.undone)
        ORDER BY merchant_id, refund_id, contract_id
        """,
        merchants=list(merchants),
        source=source,
        first=ids[0],
        next=ids[1],
    )


async def moves_of(tx: Tx, source: str, ids: tuple[int, int]) -> Sequence[Any]:
    """By lease, in the order of caps: what is borne under ids in [first, next), and what came back under them of older
    shares and was not undone (freed_minor, taken_minor: when both are taken back)."""
    return await tx.rows(
        """
        SELECT payer_id, contract_id, period_from, shard, sum(freed)::bigint AS freed_minor,
               sum(taken)::bigint AS taken_minor
        FROM (SELECT payer_id, contract_id, period_from, shard, amount_minor - back_minor AS freed, 0 AS taken
              FROM billing.payer_share
              WHERE source = :source AND source_id >= :first AND source_id < :next AND state = 'committed'
              UNION ALL
              SELECT s.payer_id, s.contract_id, s.period_from, s.shard, 0, b.payer_minor + b.rejected_back_minor
              FROM billing.payer_back b
              JOIN billing.payer_share s ON s.merchant_id = b.merchant_id AND s.source = b.source
               AND s.source_id = b.source_id AND s.contract_id = b.contract_id
              WHERE b.source = :source AND b.refund_id >= :first AND b.refund_id < :next AND b.source_id < :first
                AND NOT b.undone) AS moved
        GROUP BY payer_id, contract_id, period_from, shard ORDER BY contract_id, period_from, shard
        """,
        source=source,
        first=ids[0],
        next=ids[1],
    )


async def claimable(tx: Tx, contract_id: int, entity_id: int, through: date, limit: int) -> list[PayerShare]:
    """At most `limit` shares of a contract, settled through a day, of which there is something to claim or set off."""
    rows = await tx.rows(
        f"""
        SELECT {_COLUMNS} FROM billing.payer_share
        WHERE contract_id = :contract AND entity_id = :entity AND claimable_on <= :through AND state = 'committed'
          AND amount_minor - (back_minor - rejected_back_minor) - rejected_minor <> claimed_minor
        ORDER BY merchant_id, source, source_id LIMIT :limit
        """,
        contract=contract_id,
        entity=entity_id,
        through=through,
        limit=limit,
    )
    return [PayerShare(**row._mapping) for row in rows]


async def release_unpaid(tx: Tx, merchant_id: int, order_id: int) -> list[PayerShare]:
    """Release what payers would have borne of an order nobody has paid; returns it as it was reserved."""
    reserved = await shares_of(tx, merchant_id, ORDER, order_id, state="reserved")
    if reserved:
        await tx.execute(
            f"UPDATE billing.payer_share SET state = 'released' WHERE {_KEY} AND state = 'reserved'",
            {"merchant": merchant_id, "source": ORDER, "source_id": order_id},
        )
    return reserved
