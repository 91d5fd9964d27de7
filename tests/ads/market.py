"""A small market that advertises, and what becomes of its clicks."""

from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any

import msgspec
from sqlalchemy import insert

from billing.ads import store
from billing.ads.accounts import store as accounts
from billing.ads.accounts.store import add_terms
from billing.ads.events import read_lines
from billing.ads.lifecycle import AdParty, CampaignMove
from billing.ads.model import MILLI, AdAccount, Campaign, Charge, Pacing, Placement, Pricing, Terms, TopUpSource
from billing.ads.tokens import Ticket, sign
from billing.ledger import store as ledger
from billing.ledger.chart import Account
from marketplace.core.db import WORKER, Database, Tx
from marketplace.flows.ads.fund_ads import TopUp, top_up
from marketplace.flows.ads.plan_campaign import NewCampaign, NewPlacement, add_placement, draft_campaign, move_campaign
from marketplace.flows.ads.rate_ads import rate_due
from marketplace.flows.ads.take_ad_events import Taken, take_events
from supply.tables import category, offer
from tests.builders import ENTITY, add_market
from tests.conftest import NOW

MERCHANT, OTHER, THIRD = 1, 2, 3
LAMP = 7
DAY = NOW.date()
NOON = datetime(2018, 9, 3, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)


async def add_ad_market(tx: Tx, merchants: Sequence[int] = (MERCHANT, OTHER, THIRD)) -> None:
    """Merchants with a lamp each, and 20 % VAT on what they prepay."""
    await add_market(tx, merchants)
    await add_lamps(tx, merchants)


async def add_lamps(tx: Tx, merchants: Sequence[int]) -> None:
    """What a market lacks before its merchants can advertise."""
    await tx.execute(insert(category), {"category": "lamps", "name_en": "Lamps"})
    for merchant_id in merchants:
        row = {"merchant_id": merchant_id, "product_id": LAMP, "currency": "EUR", "price_minor": 4_000}
        await tx.execute(insert(offer), {**row, "updated_at": tx.now, "title": "lamp", "category": "lamps"})
    await add_terms(tx, Terms(entity_id=ENTITY, currency="EUR", valid_from=date(2018, 1, 1), vat_ppm=200_000))
    await store.add_first_key(tx)


async def add_search(tx: Tx, pricing: Pricing = Pricing.CLICK, *, reserve_minor: int = 5) -> Placement:
    """A place of three sponsored positions."""
    name = f"search by {pricing}"
    return await add_placement(
        tx, NewPlacement(name=name, pricing=pricing, currency="EUR", positions=3, reserve_minor=reserve_minor)
    )


def lamps(merchant_id: int, placement: Placement, **changes: Any) -> NewCampaign:
    """A campaign for the merchant's lamp, with room for everything."""
    plain = NewCampaign(
        merchant_id=merchant_id,
        name="lamps",
        placement_id=placement.placement_id,
        product_id=LAMP,
        bid_minor=50,
        daily_minor=100_000,
        total_minor=None,
        zone="UTC",
        pacing=Pacing.AT_ONCE,
        starts_at=NOW - timedelta(days=3),
        ends_at=None,
        categories=("lamps",),
        words=("lamp",),
    )
    return msgspec.structs.replace(plain, **changes)


async def run_campaign(tx: Tx, cmd: NewCampaign) -> Campaign:
    """A campaign that is shown."""
    made = (await draft_campaign(tx, cmd, AdParty.MERCHANT)).campaign
    key = (made.merchant_id, made.campaign_id)
    await move_campaign(tx, *key, CampaignMove.SUBMIT, AdParty.MERCHANT)
    return (await move_campaign(tx, *key, CampaignMove.APPROVE, AdParty.PLATFORM)).campaign


async def prepay(tx: Tx, merchant_id: int, amount_minor: int, ref: str = "") -> None:
    """Credit by bank transfer."""
    cmd = TopUp(
        merchant_id=merchant_id,
        currency="EUR",
        amount_minor=amount_minor,
        source=TopUpSource.BANK,
        receipt_ref=ref or f"T-{merchant_id}-{amount_minor}",
    )
    await top_up(tx, cmd)


async def prepared(db: Database, *, prepaid: int = 10_000, **changes: Any) -> Campaign:
    """The market with one campaign of MERCHANT."""

    async def make(tx: Tx) -> Campaign:
        await add_ad_market(tx)
        if prepaid:
            await prepay(tx, MERCHANT, prepaid)
        return await run_campaign(tx, lamps(MERCHANT, await add_search(tx), **changes))

    return await db.write(WORKER, "test", make)


def ticket(campaign: Campaign, *, click_minor: int = 10, thousand_minor: int = 0, at: datetime = NOON) -> Ticket:
    return Ticket(
        key_id=1,
        merchant_id=campaign.merchant_id,
        campaign_id=campaign.campaign_id,
        placement_id=campaign.placement_id,
        position=1,
        impression_milli=thousand_minor,
        click_milli=click_minor * MILLI,
        issued_s=int((at - HOUR).timestamp()),
    )


async def keys_of(db: Database) -> dict[int, bytes]:
    async with db.read(WORKER) as tx:
        return await store.read_keys(tx)


def line(token: str, event_id: str, at: datetime, **changes: Any) -> dict[str, Any]:
    """A click of a viewer of its own."""
    plain = {"id": event_id, "kind": "click", "token": token, "viewer": f"v-{event_id}", "at": at.isoformat()}
    return {**plain, **changes}


def ndjson(lines: Sequence[dict[str, Any]]) -> bytes:
    return b"\n".join(msgspec.json.encode(one) for one in lines)


async def send(db: Database, lines: Sequence[dict[str, Any]]) -> Taken:
    """What the shop sends in one batch."""
    events = read_lines(ndjson(lines), await keys_of(db), db.clock.now())
    return await db.write(WORKER, "shop", take_events, events)


async def clicks(
    db: Database,
    campaign: Campaign,
    number: int,
    *,
    at: datetime = NOON - 2 * HOUR,
    minor: int = 10,
    name: str = "e",
    **changes: Any,
) -> Taken:
    """So many clicks of different viewers within one hour, each for `minor`."""
    token = sign(ticket(campaign, click_minor=minor, at=at), (await keys_of(db))[1])
    lines = [line(token, f"{name}{n}", at + timedelta(milliseconds=n), **changes) for n in range(number)]
    return await send(db, lines)


async def rate(db: Database) -> int:
    """Rate every hour there is."""
    return await rate_due(db, "worker", db.clock.now() + HOUR)


async def account_of(db: Database, merchant_id: int = MERCHANT) -> AdAccount:
    async with db.read(WORKER) as tx:
        return await accounts.get_account(tx, merchant_id, "EUR")


async def charges_of(db: Database, merchant_id: int = MERCHANT) -> list[Charge]:
    names = ", ".join(Charge.__struct_fields__)
    async with db.read(WORKER) as tx:
        rows = await tx.rows(
            f"SELECT {names} FROM billing.ad_charge WHERE merchant_id = :m ORDER BY charge_id", m=merchant_id
        )
    return [msgspec.convert(dict(row._mapping), Charge) for row in rows]


async def hours_of(db: Database, campaign: Campaign) -> list[tuple[int, ...]]:
    """Clicks, invalid clicks, billed and unbilled of each hour of a campaign."""
    async with db.read(WORKER) as tx:
        rows = await tx.rows(
            "SELECT clicks, invalid_clicks, billed_minor, unbilled_minor FROM billing.ad_bucket"
            " WHERE campaign_id = :c ORDER BY hour_at",
            c=campaign.campaign_id,
        )
    return [tuple(row) for row in rows]


async def ledger_of(db: Database, merchant_id: int = MERCHANT) -> dict[int, int]:
    """What each account of a merchant's books stands at; liabilities and revenue are negative."""
    async with db.read(WORKER) as tx:
        return {int(b.account): b.balance_minor for b in await ledger.balances(tx, merchant_id)}


PAID, GRANTED, REVENUE = int(Account.AD_PREPAID_PAID), int(Account.AD_PREPAID_GRANTED), int(Account.AD_REVENUE)
