"""The busy market is as busy as it says: the tests that draw on it would otherwise prove little."""

from marketplace.core.db import WORKER, Database
from marketplace.core.tables import placement, qualified
from marketplace.tables import metadata
from tests.billing.market import check_books


async def test_look(busy_db: Database) -> None:
    async with busy_db.read(WORKER) as tx:
        for table in metadata.sorted_tables:
            key = placement(table).distributed_by
            n = (
                await tx.rows(f"SELECT {key}, count(*) FROM {qualified(table)} GROUP BY 1 ORDER BY 1")
                if key in ("merchant_id", "buyer_id")
                else [(await tx.scalar(f"SELECT count(*) FROM {qualified(table)}"),)]
            )
            print(qualified(table), [tuple(r) for r in n])
        for t in (
            "demand.merchant_order",
            "demand.amendment",
            "demand.return_request",
            "demand.dispute",
            "billing.refund_payment",
            "billing.payment",
            "billing.inbox_event",
            "billing.payment_command",
            "billing.bank_account",
            "core.webhook_delivery",
        ):
            print(t, [tuple(r) for r in await tx.rows(f"SELECT state, count(*) FROM {t} GROUP BY 1")])
        print(await tx.rows("select error, convert_from(body,'UTF8') from billing.inbox_event where state<>'applied'"))
    await check_books(busy_db)
