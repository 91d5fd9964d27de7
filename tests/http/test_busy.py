"""The busy market is as busy as it says: what draws on it would otherwise prove little."""

import pytest

from marketplace.core.db import WORKER, Database
from tests.billing.market import check_books

STATES = {
    "billing.bank_account": {"active", "proposed", "verified"},
    "billing.inbox_event": {"applied", "parked"},
    "billing.payment": {"created", "captured", "failed"},
    "billing.payment_command": {"todo", "parked"},
    "billing.refund_payment": {"due", "paid", "failed"},
    "core.webhook_delivery": {"pending", "failed"},
    "demand.amendment": {"proposed", "awaiting_payment", "applied", "declined"},
    "demand.cart": {"open", "placed", "dropped"},
    "demand.dispute": {"open", "won", "lost"},
    "demand.merchant_order": {
        "placed", "paid", "accepted", "fulfilling", "partly_delivered", "delivered", "returned", "cancelled",
    },
    "demand.return_request": {"requested", "approved", "refused", "refunded"},
    "supply.merchant": {"onboarding", "live", "suspended"},
}  # fmt: skip


@pytest.mark.parametrize("table", STATES)
async def test_it_has_things_in_every_state(busy_db: Database, table: str) -> None:
    async with busy_db.read(WORKER) as tx:
        assert STATES[table] <= {row.state for row in await tx.rows(f"SELECT DISTINCT state FROM {table}")}


async def test_its_books_hold(busy_db: Database) -> None:
    await check_books(busy_db)
