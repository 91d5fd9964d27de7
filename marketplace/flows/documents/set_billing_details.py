"""Who stands on a merchant's documents, and which of its own invoices the platform writes for it."""

from collections.abc import Callable

import msgspec

from billing.charges.store import books_of
from billing.documents import store
from billing.documents.model import Details, Party
from billing.ledger import store as ledger
from marketplace.core import audit
from marketplace.core.db import Tx


async def read_details(tx: Tx, merchant_id: int) -> Details:
    """What is known, or the mere name and version 0. Raises NotFound for a merchant without books."""
    await books_of(tx, merchant_id)
    known = await store.find_details(tx, [merchant_id])
    if merchant_id in known:
        return known[merchant_id]
    name = await tx.scalar("SELECT name FROM supply.merchant WHERE merchant_id = :merchant", merchant=merchant_id)
    return Details(merchant_id=merchant_id, party=Party(name=name or ""))


async def set_details(tx: Tx, new: Details, check: Callable[[int], None]) -> Details:
    """Set what documents say from now on; those that are issued keep what stands on them.

    `check` is given the present version, and refuses a stale one.
    """
    await ledger.lock_books(tx, new.merchant_id)
    now = await read_details(tx, new.merchant_id)
    check(now.version)
    done = await store.put_details(tx, msgspec.structs.replace(new, version=now.version + 1))
    await audit.record(tx, "billing details set", f"merchant:{new.merchant_id}", details=done)
    return done
