"""Dunning by the clock, and what payers bear beside orders: charges and the cost of promotions."""

from datetime import date, timedelta

import pytest

from billing.payers.terms import check_terms
from marketplace.core.clock import FixedClock
from marketplace.core.db import WORKER, Database, Tx
from marketplace.core.errors import Conflict, Invalid
from marketplace.flows.payers.cover_cost import CoverCost, commit_cost, release_cost, reserve_cost
from marketplace.flows.payers.dun_claims import dun_claims
from tests.billing.market import check_books
from tests.builders import ENTITY
from tests.conftest import NOW
from tests.orders.paid import balances, entry
from tests.payers.market import claim, market, sold, terms, used
from tests.placing.market import ALPHA

DAY = date(2018, 9, 3)


async def levels(db: Database) -> list[tuple[int, int]]:
    """Level and open amount of every reminder so far."""
    async with db.read(WORKER) as tx:
        rows = await tx.rows(
            "SELECT payload FROM core.outbox WHERE topic = 'billing.payer_claim_dunned.v1' ORDER BY event_id"
        )
    return [(row.payload["level"], row.payload["open_minor"]) for row in rows]


async def test_the_clock_raises_a_claims_level_once_each(db: Database, clock: FixedClock) -> None:
    await market(db, terms(due_days=14))
    await sold(db)
    await claim(db)
    for days, expected in ((14, 0), (20, 0), (21, 1), (22, 1), (34, 1), (35, 2), (59, 3), (90, 3)):
        clock.move_to(NOW + timedelta(days=days))
        await dun_claims(db, "worker")
        assert [level for level, _ in await levels(db)] == list(range(1, expected + 1)), days
    assert (await levels(db))[0] == (1, 7_168)


async def test_a_claim_found_late_gets_the_level_of_the_day(db: Database, clock: FixedClock) -> None:
    await market(db, terms(due_days=0))
    await sold(db)
    await claim(db)
    clock.move_to(NOW + timedelta(days=30))
    assert await dun_claims(db, "worker") == 1
    assert await levels(db) == [(2, 7_168)]
    assert await dun_claims(db, "worker") == 0


def cost(source: str, minor: int, source_id: int = 77) -> CoverCost:
    return CoverCost(
        contract_id=1, merchant_id=ALPHA, entity_id=ENTITY, source=source, source_id=source_id, source_ref="ref",
        amount_minor=minor, on=DAY,
    )  # fmt: skip


async def _commit(tx: Tx, source: str) -> None:
    await commit_cost(tx, ALPHA, source, 77, 1, on=DAY)


async def test_a_charge_that_a_payer_bears_is_paid_back_to_the_merchant_and_claimed(db: Database) -> None:
    await market(db, terms(pays="charges", cap_minor=1_000))
    await db.write(WORKER, "test", reserve_cost, cost("charge", 600))
    await db.write(WORKER, "test", _commit, "charge")
    await db.write(WORKER, "test", _commit, "charge")
    assert await entry(db, "payer_charge", ALPHA) == {1110: 600, 2000: -600}
    made = await claim(db)
    assert (made.amount_minor, made.fee_minor, made.vat_minor) == (600, 12, 2)
    with pytest.raises(Conflict, match="does not give 401"):
        await db.write(WORKER, "test", reserve_cost, cost("charge", 401, 78))
    with pytest.raises(Conflict, match="pays charges"):
        await db.write(WORKER, "test", reserve_cost, cost("promotion", 1))
    await check_books(db)


async def test_a_charge_paid_when_paid_waits_for_the_payer(db: Database) -> None:
    await market(db, terms(pays="charges", pay_when_paid=True))
    await db.write(WORKER, "test", reserve_cost, cost("charge", 600))
    await db.write(WORKER, "test", _commit, "charge")
    held = await balances(db, ALPHA)
    assert (held[2010], held.get(2000, 0)) == (-600, 0)
    await check_books(db)


async def test_what_comes_to_nothing_is_free_again(db: Database) -> None:
    await market(db, terms(pays="promotion", share_ppm=1_000_000, order_cap_minor=None, cap_minor=600))
    await db.write(WORKER, "test", reserve_cost, cost("promotion", 600))
    await db.write(WORKER, "test", release_cost, ALPHA, "promotion", 77, 1)
    await db.write(WORKER, "test", release_cost, ALPHA, "promotion", 77, 1)
    assert await used(db) == 0
    with pytest.raises(Conflict, match="was released"):
        await db.write(WORKER, "test", _commit, "promotion")
    await check_books(db)


@pytest.mark.parametrize(
    "changed",
    [{"merchants": ("11",)}, {"categories": ("care",)}, {"minimum_minor": 1}, {"order_cap_minor": 1}, {"share_ppm": 1}],
)
def test_what_would_bind_nobody_is_refused_in_a_contract_for_promotions(changed: dict[str, object]) -> None:
    free: dict[str, object] = {"pays": "promotion", "share_ppm": 1_000_000, "order_cap_minor": None}
    check_terms(terms(**free), "payer_contract[0]")
    [field] = changed
    with pytest.raises(Invalid, match=rf"^payer_contract\[0\]\.{field}: "):
        check_terms(terms(**{**free, **changed}), "payer_contract[0]")
