"""What `test_verify` plants to have the proofs of commission beside the sales fail, and the books it plants it in."""

from datetime import date

import msgspec

from marketplace.core.db import WORKER, Database
from marketplace.flows.apply_contracts import apply_versions
from marketplace.flows.rerate_contracts import Reratable, approve_rerating, propose_rerating
from tests.billing.market import FLAT


async def add_adjustments(db: Database, maker: str, checker: str) -> None:
    """Merchant 2 agreed on 5 % when its first month was closed already."""
    async with db.read(WORKER) as tx:
        ref = await tx.scalar("SELECT merchant_ref FROM supply.merchant WHERE merchant_id = 2")
    late = msgspec.structs.replace(FLAT, name="late", merchants=(ref,), rate_ppm=50_000)
    await db.write(WORKER, maker, apply_versions, [late])
    proposed = await db.write(WORKER, maker, propose_rerating, Reratable(from_on=date(2018, 5, 1)))
    await db.write(WORKER, checker, approve_rerating, proposed.rerating.rerating_id)


COMMISSION_CORRUPTIONS: dict[str, tuple[list[str], set[str]]] = {
    "an adjustment that is not what was agreed to": (
        ["UPDATE billing.rerating_line SET expected_commission_minor = expected_commission_minor + 1"],
        {"adjustments-are-reratings"},
    ),
    "an adjustment that nobody booked": (
        ["""INSERT INTO billing.commission_adjustment SELECT merchant_id, 99, rerating_id, order_id
            FROM billing.commission_adjustment"""],
        {"adjustments-are-reratings"},
    ),
    "an adjustment of another order": (
        ["UPDATE billing.commission_adjustment SET order_id = 700"], {"lines-are-entries"},
    ),
    "an adjustment that nobody agreed to": (
        ["UPDATE billing.reratings.differences SET state = 'proposed'"], {"adjustments-are-reratings"},
    ),
}  # fmt: skip
