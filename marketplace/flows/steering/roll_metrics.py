"""Process: figures follow the facts. What has changed since is taken off the queues and counted anew, never added up.

A change is committed with a row in a queue; who rolls takes it off, counts the days that the order touches as they are
now, and commits that. So a day is right once its changes are taken, however late an event, refund or merge came.
"""

from collections.abc import Sequence
from datetime import date

import msgspec

from demand.changes.store import take_changes
from marketplace.core.db import WORKER, Database, Tx
from marketplace.flows.books.roll_ledger import roll_ledger
from marketplace.flows.steering import roll_metrics_sql as sql
from supply.funnels.months_sql import count_months

_CHANGES = 20_000
"""Taken at once: a merchant's day is counted once for all of them, however many of its orders have changed."""
_MERCHANTS = 200


class Rolled(msgspec.Struct, frozen=True, kw_only=True):
    """How many changes of orders were taken, and how many days and months of funnels were counted anew."""

    changes: int
    days: int
    months: int


async def roll_metrics(db: Database, actor: str) -> Rolled:
    """Bring all figures level with the facts as they stand now."""
    await roll_ledger(db, actor)
    changes = 0
    while taken := await db.write(WORKER, actor, _roll_orders):
        changes += taken
    days = await db.write(WORKER, actor, _roll_market)
    months = await db.write(WORKER, actor, count_months)
    return Rolled(changes=changes, days=days, months=months)


async def _roll_orders(tx: Tx) -> int:
    """Take some changes off the queue and count what they touch; returns how many."""
    await tx.execute(sql.LOCK)
    changes = await take_changes(tx, _CHANGES)
    if not changes:
        return 0
    await tx.plan_in_bulk()
    whole = sorted({row.merchant_id for row in changes if row.order_id is None})
    pairs = sorted({(row.merchant_id, row.order_id) for row in changes if row.order_id is not None})
    days: set[date] = set()
    for first in range(0, len(whole), _MERCHANTS):
        bound = {"merchants": whole[first : first + _MERCHANTS]}
        for statement in (sql.DROP_MERCHANTS, sql.ROLL_MERCHANTS):
            days |= {row.day for row in await tx.rows(statement, **bound)}
    rest = [pair for pair in pairs if pair[0] not in set(whole)]
    days |= await _roll_days(tx, rest)
    await roll_spans(tx, sorted({row.merchant_id for row in changes}))
    await tx.execute(sql.NOTE_DAYS, {"days": sorted(days)})
    return len(changes)


async def _roll_days(tx: Tx, orders: Sequence[tuple[int, int]]) -> set[date]:
    """Count the days of changed orders anew; returns them."""
    if not orders:
        return set()
    named = {"merchants": [merchant for merchant, _ in orders], "orders": [order for _, order in orders]}
    touched = await tx.rows(sql.DAYS_OF_ORDERS, **named)
    bound = {"merchants": [row.merchant_id for row in touched], "days": [row.day for row in touched]}
    await tx.execute(sql.DROP_DAYS, bound)
    await tx.execute(sql.ROLL_DAYS, bound)
    return {row.day for row in touched}


async def roll_spans(tx: Tx, merchant_ids: Sequence[int]) -> None:
    """Make anew when these merchants were alive."""
    for first in range(0, len(merchant_ids), _MERCHANTS):
        bound = {"merchants": list(merchant_ids[first : first + _MERCHANTS])}
        await tx.execute(sql.DROP_SPANS, bound)
        await tx.execute(sql.ROLL_SPANS, bound)


async def _roll_market(tx: Tx) -> int:
    """Sum the days of which a merchant's figures have changed; returns how many."""
    await tx.execute(sql.LOCK)
    days = [row.day for row in await tx.rows(sql.TAKE_DAYS)]
    if days:
        await tx.plan_in_bulk()
        await tx.execute(sql.DROP_MARKET, {"days": days})
        await tx.execute(sql.ROLL_MARKET, {"days": days})
    return len(days)
