"""What `test_verify` plants to have the proofs of commission beside the sales fail, and the books it plants it in."""

from datetime import date

import msgspec

from marketplace.core.db import WORKER, Database
from marketplace.flows.commission.apply_contracts import apply_versions
from marketplace.flows.commission.rerate_contracts import Reratable, approve_rerating, propose_rerating
from tests.billing.market import FLAT


async def agree_on_minimum(db: Database, maker: str) -> None:
    """Merchant 2 owes at least 20.00 a month."""
    async with db.read(WORKER) as tx:
        ref = await tx.scalar("SELECT merchant_ref FROM supply.merchant WHERE merchant_id = 2")
    least = msgspec.structs.replace(FLAT, name="least", merchants=(ref,), month_min_minor=2_000)
    await db.write(WORKER, maker, apply_versions, [least])


async def add_adjustments(db: Database, maker: str, checker: str) -> None:
    """Merchant 2 agreed on 5 % when its first month was closed already."""
    async with db.read(WORKER) as tx:
        ref = await tx.scalar("SELECT merchant_ref FROM supply.merchant WHERE merchant_id = 2")
    late = msgspec.structs.replace(FLAT, name="late", merchants=(ref,), rate_ppm=50_000, valid_from=date(2018, 1, 2))
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
    "a charge that nobody booked": (
        ["UPDATE billing.run_charge SET charge_id = charge_id + 50 WHERE state = 'posted'"], {"charges-are-entries"},
    ),
    "a charge booked and said to be due": (
        ["UPDATE billing.run_charge SET state = 'due' WHERE state = 'posted'"], {"charges-are-entries"},
    ),
    "a charge of a month that earned enough": (
        ["UPDATE billing.run_charge SET commission_minor = commission_minor + 1, minimum_minor = minimum_minor + 1"],
        {"charges-fill-up"},
    ),
    "a charge beyond the minimum": (
        ["UPDATE billing.run_charge SET minimum_minor = minimum_minor - 1"], {"charges-fill-up"},
    ),
    "an adjustment that nobody agreed to": (
        ["UPDATE billing.rerating SET state = 'proposed'"], {"adjustments-are-reratings"},
    ),
}  # fmt: skip
