"""Every statement on merchants and their stores."""

from collections.abc import Sequence
from datetime import date
from typing import Any

from sqlalchemy import insert
from sqlalchemy.exc import IntegrityError

from marketplace.core import outbox
from marketplace.core.db import Tx
from marketplace.core.errors import Conflict, NotFound
from marketplace.core.ids import time_ordered_id
from supply.lifecycle import MerchantMove, check_move
from supply.model import Merchant, MerchantState, Store
from supply.tables import merchant, merchant_ref, store

_COLUMNS = ", ".join(Merchant.__struct_fields__)
_STORE_COLUMNS = ", ".join(Store.__struct_fields__)


async def get_merchant(tx: Tx, merchant_id: int) -> Merchant:
    """Raises NotFound."""
    return await _merchant_row(tx, merchant_id)


async def lock_merchant(tx: Tx, merchant_id: int) -> Merchant:
    """A merchant, held until the transaction ends; nothing that only names it waits. Raises NotFound."""
    return await _merchant_row(tx, merchant_id, " FOR NO KEY UPDATE")


async def _merchant_row(tx: Tx, merchant_id: int, lock: str = "") -> Merchant:
    row = await tx.row(
        f"SELECT {_COLUMNS} FROM supply.merchant WHERE merchant_id = :merchant{lock}", merchant=merchant_id
    )
    if row is None:
        raise NotFound(f"there is no merchant {merchant_id}")
    return _merchant(row)


async def list_merchants(tx: Tx, *, limit: int, after: int = 0) -> Sequence[Merchant]:
    """At most `limit` merchants in the order of their ids, those behind the id `after`."""
    rows = await tx.rows(
        f"SELECT {_COLUMNS} FROM supply.merchant WHERE merchant_id > :after ORDER BY merchant_id LIMIT :limit",
        after=after,
        limit=limit,
    )
    return [_merchant(row) for row in rows]


def _merchant(row: Any) -> Merchant:
    return Merchant(**{**row._mapping, "state": MerchantState(row.state)})


async def add_merchant(tx: Tx, *, ref: str | None, name: str, city: str, region: str, entity_id: int) -> Merchant:
    """A new merchant, onboarding. Without a ref of its own it is called by its id. Raises Conflict for a ref in use."""
    merchant_id = time_ordered_id(tx.now)
    named = {"merchant_id": merchant_id, "merchant_ref": ref or f"m{merchant_id}"}
    try:
        await tx.execute(insert(merchant_ref), named)
    except IntegrityError as fault:
        raise Conflict(f"merchant_ref: {named['merchant_ref']!r} is another merchant's") from fault
    row = {**named, "name": name, "entity_id": entity_id, "city": city, "region": region, "created_at": tx.now}
    await tx.execute(insert(merchant), {**row, "state": MerchantState.ONBOARDING})
    return await get_merchant(tx, merchant_id)


async def edit_merchant(tx: Tx, merchant_id: int, *, name: str, city: str, region: str) -> Merchant:
    """Rewrite what a merchant is called and where it is; it was locked and its version compared."""
    await tx.execute(
        """
        UPDATE supply.merchant SET name = :name, city = :city, region = :region, version = version + 1
        WHERE merchant_id = :merchant
        """,
        {"merchant": merchant_id, "name": name, "city": city, "region": region},
    )
    return await get_merchant(tx, merchant_id)


async def move_merchant(tx: Tx, now: Merchant, move: MerchantMove, *, reason: str) -> Merchant:
    """Take a locked merchant to its next state, as `supply.lifecycle` allows it; nothing else changes a state.

    Raises Conflict.
    """
    state = check_move(now.state, move)
    await tx.execute(
        "UPDATE supply.merchant SET state = :state, version = version + 1 WHERE merchant_id = :merchant",
        {"merchant": now.merchant_id, "state": state.value},
    )
    moved = await get_merchant(tx, now.merchant_id)
    told = {"merchant_id": now.merchant_id, "move": move, "state": state, "version": moved.version, "reason": reason}
    await outbox.emit(tx, "supply.merchant_moved.v1", told, merchant_id=now.merchant_id)
    return moved


async def join(tx: Tx, merchant_id: int, on: date) -> None:
    """Note the day a merchant began to sell, unless it is known."""
    await tx.execute(
        "UPDATE supply.merchant SET joined_on = :on WHERE merchant_id = :merchant AND joined_on IS NULL",
        {"merchant": merchant_id, "on": on},
    )


async def leave(tx: Tx, merchant_id: int, on: date) -> None:
    """Note the day a merchant was closed."""
    await tx.execute(
        "UPDATE supply.merchant SET closed_on = :on WHERE merchant_id = :merchant",
        {"merchant": merchant_id, "on": on},
    )


async def add_store(tx: Tx, merchant_id: int, name: str) -> Store:
    store_id = time_ordered_id(tx.now)
    await tx.execute(insert(store), {"merchant_id": merchant_id, "store_id": store_id, "name": name})
    return await get_store(tx, merchant_id, store_id)


async def get_store(tx: Tx, merchant_id: int, store_id: int, *, lock: bool = False) -> Store:
    """A merchant's store, held until the transaction ends when `lock` is asked for. Raises NotFound."""
    row = await tx.row(
        f"SELECT {_STORE_COLUMNS} FROM supply.store WHERE merchant_id = :merchant AND store_id = :store"
        + (" FOR NO KEY UPDATE" if lock else ""),
        merchant=merchant_id,
        store=store_id,
    )
    if row is None:
        raise NotFound(f"merchant {merchant_id} has no store {store_id}")
    return Store(**row._mapping)


async def list_stores(tx: Tx, merchant_id: int, *, limit: int, after: int | None = None) -> Sequence[Store]:
    """At most `limit` stores of a merchant by id, those behind the id `after`."""
    rows = await tx.rows(
        f"SELECT {_STORE_COLUMNS} FROM supply.store WHERE merchant_id = :merchant"
        " AND (CAST(:after AS bigint) IS NULL OR store_id > :after) ORDER BY store_id LIMIT :limit",
        merchant=merchant_id,
        after=after,
        limit=limit,
    )
    return [Store(**row._mapping) for row in rows]


async def rename_store(tx: Tx, merchant_id: int, store_id: int, name: str) -> Store:
    """Give a locked store another name."""
    await tx.execute(
        """
        UPDATE supply.store SET name = :name, version = version + 1
        WHERE merchant_id = :merchant AND store_id = :store
        """,
        {"merchant": merchant_id, "store": store_id, "name": name},
    )
    return await get_store(tx, merchant_id, store_id)
