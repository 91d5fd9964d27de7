"""What channels cost and bring, on hand-made data with known answers; and costs from files."""

from collections.abc import Awaitable, Callable
from datetime import date, timedelta

import httpx
import pytest

from billing.ledger import store as ledger
from billing.ledger.chart import Account
from billing.ledger.model import NewEntry, legs
from marketplace.core.clock import FixedClock
from marketplace.core.db import WORKER, Database, Tx
from marketplace.core.errors import Invalid
from marketplace.flows.acquisition.import_costs import CostsLoaded, import_costs
from marketplace.flows.acquisition.note_stages import NoteStage, note_milestones, note_stage
from marketplace.flows.acquisition.weigh_channels import ChannelEconomics, WeighChannels, weigh_channels
from marketplace.flows.acquisition.work_leads import MoveLead, NewTouch, move_lead, touch_lead
from supply.leads.attribution import AttributionModel
from supply.leads.lifecycle import Move
from supply.leads.model import TouchKind
from tests.builders import Line, Order, add_market, add_orders
from tests.conftest import NOW
from tests.leads.market import bring

Make = Callable[..., Awaitable[httpx.AsyncClient]]
HEADER = "ref,channel,campaign,day,kind,currency,amount\n"
COSTS = HEADER + (
    "1,online.ads,spring,2018-09-03,media,EUR,600.00\n"
    "2,online.ads,spring,2018-09-04,people,EUR,400.00\n"
    "3,online.form,,2018-09-03,tool,EUR,90.00\n"
    "4,offline.field,,2018-09-03,travel,EUR,50.00\n"
    "5,online.ads,,2018-10-01,media,EUR,999.00\n"
    "6,online.ads,,2018-09-03,media,USD,999.00\n"
    "7,online.ads,spring,2018-09-05,people,EUR,-100.00\n"
)
SEPTEMBER = WeighChannels(from_on=date(2018, 9, 1), to_on=date(2018, 10, 1), currency="EUR", horizon=2)


async def spend(db: Database, content: str = COSTS) -> CostsLoaded:
    return await db.write(WORKER, "test", import_costs, content.encode(), "costs.csv")


async def weigh(db: Database, cmd: WeighChannels = SEPTEMBER) -> dict[str, ChannelEconomics]:
    async with db.read(WORKER) as tx:
        found = await weigh_channels(tx, cmd)
    return {each.channel: each for each in [found.total, *found.channels]}


async def _open(tx: Tx) -> None:
    await add_market(tx, [1, 2])


async def earn(db: Database, merchant_id: int, on: date, commission: int, fee: int = 0) -> None:
    """What the house earned with a merchant, and what the processor kept."""

    async def post(tx: Tx) -> None:
        entry = NewEntry(
            merchant_id=merchant_id, kind="order_settled", source_id=on.toordinal(), currency="EUR",
            occurred_at=tx.now, effective_on=on,
            legs=legs(
                {Account.PAYABLE: commission - fee, Account.COMMISSION: -commission, Account.PROCESSOR_FEES: fee}
            ),
        )  # fmt: skip
        await ledger.lock_books(tx, merchant_id)
        await ledger.post(tx, [entry])

    await db.write(WORKER, "test", post)


async def test_cost_cac_payback_and_lifetime_value(db: Database, clock: FixedClock) -> None:
    """Ads: 900.00, of it 600.00 paid media; four leads, one and a half merchants (one shares with field push)."""
    await db.write(WORKER, "test", _open)
    assert await spend(db) == CostsLoaded(entries=7, stored=7)
    assert await spend(db) == CostsLoaded(entries=7, stored=0)
    leads = [await bring(db, f"Shop {number}", channel="online.ads", campaign="spring") for number in range(4)]
    await bring(db, "From a form", channel="online.form")
    clock.move_to(NOW + timedelta(days=2))
    visit = NewTouch(lead_id=leads[1].lead_id, kind=TouchKind.VISIT, channel="offline.field")
    await db.write(WORKER, "test", touch_lead, visit)
    for merchant_id, lead in enumerate(leads[:2], start=1):
        sign = MoveLead(lead_id=lead.lead_id, move=Move.SIGN, reason="signed", merchant_id=merchant_id)
        await db.write(WORKER, "test", move_lead, sign)
        await db.write(
            WORKER, "test", note_stage, NoteStage(lead_id=lead.lead_id, stage="first_order", evidence="order 1")
        )
    await earn(db, 1, date(2018, 9, 6), 50_000, fee=10_000)
    await earn(db, 1, date(2018, 10, 6), 20_000)
    await earn(db, 2, date(2018, 10, 7), 80_001)
    found = await weigh(db, SEPTEMBER)
    ads = await weigh_linear(db)
    assert (ads.spent_minor, ads.paid_minor, ads.spent_by_kind) == (90_000, 60_000, {"media": 60_000, "people": 30_000})
    assert {each.stage: (each.reached, each.cost_minor) for each in ads.stages if each.reached} == {
        "lead": (4, 22_500), "qualified": (2, 45_000), "signed": (2, 45_000), "live": (2, 45_000),
        "first_order": (2, 45_000),
    }  # fmt: skip
    assert ads.activated_ppm == 1_500_000
    assert (ads.cac_paid_minor, ads.cac_loaded_minor) == (40_000, 60_000)
    assert ads.contribution_minor == [40_000, 60_000]  # 20,000 and half of 80,001, half-even
    assert (ads.payback_months, ads.ltv_minor, ads.ltv_to_cac_ppm) == (2, 66_667, 1_111_117)
    assert ads.ltv_is_forecast
    assert found["offline.field"].activated_ppm == 1_000_000  # by the last touch it is field push's alone
    assert found["offline.field"].stages[0].cost_minor is None
    form = found["online.form"]
    assert (form.spent_minor, form.activated_ppm, form.cac_loaded_minor, form.payback_months) == (9_000, 0, None, None)
    assert (form.stages[0].cost_minor, form.ltv_minor, form.ltv_to_cac_ppm) == (9_000, None, None)
    assert (found[""].spent_minor, found[""].activated_ppm, found[""].cac_loaded_minor) == (104_000, 2_000_000, 52_000)


async def weigh_linear(db: Database) -> ChannelEconomics:
    cmd = WeighChannels(
        from_on=SEPTEMBER.from_on, to_on=SEPTEMBER.to_on, currency="EUR", horizon=2,
        attribution=AttributionModel.LINEAR,
    )  # fmt: skip
    return (await weigh(db, cmd))["online.ads"]


async def test_every_bad_entry_is_named_and_nothing_is_stored(db: Database) -> None:
    await spend(db, HEADER + "1,online.ads,,2018-09-03,media,EUR,1.00\n")
    bad = HEADER + (
        "1,online.ads,,2018-09-03,media,EUR,2.00\n"
        "2,nowhere,,2018-09-03,media,EUR,1.00\n"
        "3,online.ads,,2018-02-30,gifts,EUR,1.001\n"
        "3,online.ads,,2018-09-03,media,XXX,1.00\n"
        "5,online.ads\n"
    )
    with pytest.raises(Invalid) as refusal:
        await spend(db, bad)
    named = {(each["line"], each["reason"].split(":")[0]) for each in refusal.value.extra["rejections"]}
    assert named == {
        (2, "ref"), (3, "channel"), (4, "kind"), (5, "currency"), (6, "2 columns where the header names 7"),
    }  # fmt: skip
    async with db.read(WORKER) as tx:
        assert await tx.scalar("SELECT count(*) FROM supply.channel_cost") == 1
    with pytest.raises(Invalid, match="the header must be"):
        await spend(db, "a,b\n")


async def test_what_merchants_do_moves_their_leads_on(db: Database) -> None:
    await db.write(WORKER, "test", _open)
    lead = await bring(db)
    signed = MoveLead(lead_id=lead.lead_id, move=Move.SIGN, reason="signed", merchant_id=1)
    await db.write(WORKER, "test", move_lead, signed)

    async def sell(tx: Tx) -> None:
        orders = [
            Order(merchant_id=1, order_id=number, lines=(Line(goods_minor=100),), placed_at=NOW, settles_at=NOW)
            for number in (1, 2)
        ]
        await add_orders(tx, orders)

    assert await note_milestones(db, "worker") == 0
    await db.write(WORKER, "test", sell)
    assert await note_milestones(db, "worker") == 1
    assert await note_milestones(db, "worker") == 0
    async with db.read(WORKER) as tx:
        stages = [row.stage for row in await tx.rows("SELECT stage FROM supply.stage_event ORDER BY event_id")]
        locked = await tx.scalar("SELECT sum(share_ppm) FROM supply.attribution_share WHERE model = 'last'")
    assert stages == ["lead", "signed", "first_order", "repeat"]
    assert locked == 1_000_000


async def test_economics_over_http(db: Database, caller: Make) -> None:
    await spend(db)
    growth = await caller("greta", "growth")
    asked = {"from_on": "2018-09-01", "to_on": "2018-10-01", "currency": "EUR"}
    answer = await growth.get("/api/v1/channel-economics", params=asked)
    assert answer.json()["total"]["spent_minor"] == 104_000
    refused = await growth.get("/api/v1/channel-economics", params={**asked, "currency": "XXX"})
    assert refused.status_code == 422
