"""A month of real orders granted live, then replayed: every merchant's week comes to the same, to the centavo."""

import asyncio
import os
from collections.abc import AsyncIterator
from datetime import UTC, date, datetime
from pathlib import Path

import pytest
from sqlalchemy import make_url

from incentives.campaigns.model import FunderPart, OnDay, Plan
from incentives.lifecycle import Move
from incentives.rules.arms import HOLDOUT
from incentives.rules.awards import Ladder, Reward, Tier, ToMerchant
from incentives.rules.index import plan_of
from incentives.rules.model import Calendar, Experiment, OrderSettled, Schedule, Terms
from incentives.simulation.model import Grant, Record
from incentives.simulation.replay import replay
from marketplace.core.clock import FixedClock
from marketplace.core.db import WORKER, Database
from marketplace.flows.promotions import plan_incentives as flow
from marketplace.flows.promotions.grant_rewards import grant_rewards
from marketplace.flows.promotions.plan_incentives import DraftCampaign
from marketplace.flows.promotions.simulate_promotion import Recorded, simulate_terms
from marketplace.flows.promotions.simulate_promotion_sql import history
from tests.billing.commands import command_line
from tests.billing.market import check_books
from tests.conftest import connect, copy_template
from tests.incentives import market as m
from tests.stories.test_olist_month import CONTRACTS

DATA = os.environ.get("MARKETPLACE_DATA")
pytestmark = [
    pytest.mark.real_data,
    pytest.mark.skipif(DATA is None, reason="MARKETPLACE_DATA does not name the folder with olist/"),
]
ZONE = "America/Sao_Paulo"
MAY = Schedule(zone=ZONE, starts="2018-05-01", ends="2018-05-31")
TERMS = Terms(
    name="weekly ladder",
    currency="BRL",
    trigger=OrderSettled(),
    window=Calendar(period="week"),
    reward=Reward(
        amount=Ladder(tiers=(Tier(threshold=200_00, total_minor=5_00), Tier(threshold=1_000_00, total_minor=40_00)))
    ),
    beneficiary=ToMerchant(),
    schedule=MAY,
    experiment=Experiment(salt="may", holdout_slots=1_000),
)
PLAN = Plan(
    target=m.PLAN.target,
    budget_minor=10_000_000_00,
    funders=(FunderPart(funder="platform", amount_minor=10_000_000_00),),
    stops=(OnDay(on=date(2018, 12, 1)),),
    reviewer=m.REVIEWER,
    gains="merchants",
    loses="the margin",
)


@pytest.fixture
async def settled(maintenance_url: str) -> AsyncIterator[Database]:
    """The Olist orders, settled through June."""
    url = await copy_template(maintenance_url)

    def prepare() -> None:
        with command_line() as run:
            for arguments in (
                ("import", "olist", f"{DATA}/olist"),
                ("apply", str(CONTRACTS / "tiers.toml")),
                ("settle", "--through", "2018-06-30"),
            ):
                answer = run(*arguments, database=url)
                assert answer.status == 0, answer

    await asyncio.to_thread(prepare)
    db = Database(url, FixedClock(datetime(2018, 4, 20, tzinfo=UTC)), pool_size=4)
    yield db
    await db.close()
    connection = await connect(maintenance_url)
    await connection.execute(f"DROP DATABASE {make_url(url).database} WITH (FORCE)")
    await connection.close()


async def granted_live(db: Database) -> dict[tuple[int, str], int]:
    """What each merchant was granted in each week, as the worker has granted it."""
    await m.people(db)
    cmd = DraftCampaign(name="may", currency="BRL", schedule=MAY, plan=PLAN)
    campaign = await db.write(WORKER, m.MAKER, flow.draft_campaign, cmd)
    await m.move_campaign(db, campaign, Move.SUBMIT, Move.APPROVE, Move.SCHEDULE)
    promotion = await m.move(db, await m.drafted(db, campaign, TERMS), Move.SUBMIT, Move.APPROVE, Move.SCHEDULE)
    assert isinstance(db.clock, FixedClock)
    await m.at(db, db.clock, "2018-05-02T00:00:00+00:00")
    await grant_rewards(db, "worker")
    async with db.read(WORKER) as tx:
        rows = await tx.rows(
            """
            SELECT merchant_id, span, granted_minor FROM incentives.merchant_progress
            WHERE promotion_id = :promotion AND granted_minor > 0
            """,
            promotion=promotion.promotion_id,
        )
    return {(row.merchant_id, row.span): row.granted_minor for row in rows}


async def test_a_real_month_replayed_comes_to_what_was_granted_live(settled: Database, tmp_path: Path) -> None:
    live = await granted_live(settled)
    assert len(live) > 100
    plan = plan_of(1, 1, TERMS)
    grants: list[Grant] = []
    async with settled.read(WORKER) as tx:
        starts, ends = datetime(2018, 5, 1, 3, tzinfo=UTC), datetime(2018, 6, 1, 3, tzinfo=UTC)
        parts = history(tx, "order.settled", starts, ends, currency="BRL", zone=ZONE, buyers=False)
        records: list[Record] = [record async for part in parts for record in part]
    [answer] = replay([plan], records, holdout=HOLDOUT, sink=grants.append)
    replayed = {(grant.party_id, grant.window): grant.granted_minor for grant in grants if grant.granted_minor}
    assert replayed == live
    recorded = Recorded(from_on=date(2018, 5, 1), to_on=date(2018, 5, 31), holdout=HOLDOUT)
    made = await simulate_terms(settled, TERMS, recorded)
    assert made.unlimited.granted_minor == answer.replayed.granted_minor == sum(live.values())
    await check_books(settled)
