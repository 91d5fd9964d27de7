"""Every statement on placements and campaigns."""

from collections.abc import Iterable, Sequence
from datetime import date, datetime
from typing import Any

import msgspec
from sqlalchemy import insert

from billing.ads.lifecycle import AdParty, CampaignMove, check_move
from billing.ads.model import Campaign, CampaignState, Placement
from billing.ads.tables import ad_campaign, ad_campaign_event, ad_placement, ad_target
from marketplace.core import outbox
from marketplace.core.db import Tx
from marketplace.core.errors import Conflict, NotFound

_PLACEMENT = ", ".join(Placement.__struct_fields__)
_CAMPAIGN = ", ".join(Campaign.__struct_fields__)
_OF = "WHERE merchant_id = :merchant AND campaign_id = :campaign"


class DailyBudget(msgspec.Struct, frozen=True, kw_only=True):
    """What may be spent on each local day of a campaign from that one on."""

    from_on: date
    daily_minor: int


class CampaignEvent(msgspec.Struct, frozen=True, kw_only=True):
    """A move of a campaign, and by whom."""

    event_no: int
    move: CampaignMove
    state: CampaignState
    party: AdParty
    actor: str
    at: datetime
    reason: str


class CampaignDetail(msgspec.Struct, frozen=True, kw_only=True):
    """A campaign with whom it is shown to, what it may spend in a day, and what became of it."""

    campaign: Campaign
    categories: list[str]
    words: list[str]
    budgets: list[DailyBudget]
    events: list[CampaignEvent]

    @property
    def version(self) -> int:
        return self.campaign.version


async def add_placement(tx: Tx, new: Placement) -> None:
    """Raises Conflict for a name in use."""
    if await tx.scalar("SELECT 1 FROM billing.ad_placement WHERE name = :name", name=new.name) is not None:
        raise Conflict(f"name: there is a placement {new.name!r} already")
    await tx.execute(insert(ad_placement), {**msgspec.structs.asdict(new), "pricing": new.pricing.value})


async def get_placement(tx: Tx, placement_id: int, *, lock: bool = False) -> Placement:
    """Raises NotFound."""
    held = " FOR UPDATE" if lock else ""
    query = f"SELECT {_PLACEMENT} FROM billing.ad_placement WHERE placement_id = :placement{held}"
    row = await tx.row(query, placement=placement_id)
    if row is None:
        raise NotFound(f"there is no placement {placement_id}")
    return msgspec.convert(dict(row._mapping), Placement)


async def find_placement(tx: Tx, name: str) -> Placement:
    """By its name. Raises NotFound."""
    row = await tx.row(f"SELECT {_PLACEMENT} FROM billing.ad_placement WHERE name = :name", name=name)
    if row is None:
        raise NotFound(f"there is no placement {name!r}")
    return msgspec.convert(dict(row._mapping), Placement)


async def list_placements(tx: Tx, *, limit: int, after: int | None) -> list[Placement]:
    """By id, those behind `after`."""
    rows = await tx.rows(
        f"""
        SELECT {_PLACEMENT} FROM billing.ad_placement
        WHERE placement_id > coalesce(CAST(:after AS bigint), -9223372036854775808) ORDER BY placement_id LIMIT :limit
        """,
        after=after,
        limit=limit,
    )
    return [msgspec.convert(dict(row._mapping), Placement) for row in rows]


async def edit_placement(tx: Tx, changed: Placement) -> Placement:
    """Store what may change of a held placement; its version is counted up."""
    new = msgspec.structs.replace(changed, version=changed.version + 1)
    await tx.execute(
        """
        UPDATE billing.ad_placement SET positions = :positions, reserve_minor = :reserve, slot_price_minor = :price,
            list_price_minor = :list, open = :open, version = :version
        WHERE placement_id = :placement
        """,
        {
            "positions": new.positions,
            "reserve": new.reserve_minor,
            "price": new.slot_price_minor,
            "list": new.list_price_minor,
            "open": new.open,
            "version": new.version,
            "placement": new.placement_id,
        },
    )
    return new


async def insert_campaign(
    tx: Tx, new: Campaign, *, categories: Iterable[str], words: Iterable[str], made_by: AdParty
) -> None:
    """A new campaign with its targets; its first event says who made it."""
    row = {**msgspec.structs.asdict(new), "pricing": new.pricing.value, "pacing": new.pacing.value}
    await tx.execute(insert(ad_campaign), {**row, "state": new.state.value})
    key = {"merchant_id": new.merchant_id, "campaign_id": new.campaign_id}
    targets = [{**key, "kind": kind, "term": term} for kind, term in _terms(categories, words)]
    if targets:
        await tx.execute(insert(ad_target), targets)
    event = {**key, "event_no": 1, "move": "create", "state": new.state.value, "party": made_by.value}
    await tx.execute(insert(ad_campaign_event), {**event, "actor": tx.actor, "at": tx.now, "reason": ""})


def _terms(categories: Iterable[str], words: Iterable[str]) -> list[tuple[str, str]]:
    return [*(("category", term) for term in sorted(set(categories))), *(("word", term) for term in sorted(set(words)))]


async def replace_targets(tx: Tx, held: Campaign, *, categories: Iterable[str], words: Iterable[str]) -> None:
    """Whom a held campaign is shown to from now on."""
    bound = {"merchant": held.merchant_id, "campaign": held.campaign_id}
    await tx.execute(f"DELETE FROM billing.ad_target {_OF}", bound)
    key = {"merchant_id": held.merchant_id, "campaign_id": held.campaign_id}
    targets = [{**key, "kind": kind, "term": term} for kind, term in _terms(categories, words)]
    if targets:
        await tx.execute(insert(ad_target), targets)


async def get_campaign(tx: Tx, merchant_id: int, campaign_id: int, *, lock: bool = False) -> Campaign:
    """A campaign, held until the transaction ends when `lock` says so. Raises NotFound."""
    query = f"SELECT {_CAMPAIGN} FROM billing.ad_campaign {_OF}{' FOR UPDATE' if lock else ''}"
    row = await tx.row(query, merchant=merchant_id, campaign=campaign_id)
    if row is None:
        raise NotFound(f"merchant {merchant_id} has no campaign {campaign_id}")
    return msgspec.convert(dict(row._mapping), Campaign)


async def list_campaigns(tx: Tx, merchant_id: int | None, *, limit: int, before: int | None) -> list[Campaign]:
    """Campaigns of one merchant or of all, the newest first, below the campaign `before`."""
    rows = await tx.rows(
        f"""
        SELECT {_CAMPAIGN} FROM billing.ad_campaign
        WHERE (CAST(:merchant AS bigint) IS NULL OR merchant_id = :merchant)
          AND campaign_id < coalesce(CAST(:before AS bigint), 9223372036854775807)
        ORDER BY campaign_id DESC LIMIT :limit
        """,
        merchant=merchant_id,
        before=before,
        limit=limit,
    )
    return [msgspec.convert(dict(row._mapping), Campaign) for row in rows]


async def describe(tx: Tx, found: Campaign) -> CampaignDetail:
    """All that is known of a campaign."""
    bound = {"merchant": found.merchant_id, "campaign": found.campaign_id}
    targets = await tx.rows(f"SELECT kind, term FROM billing.ad_target {_OF} ORDER BY term", **bound)
    budgets = await tx.rows(f"SELECT from_on, daily_minor FROM billing.ad_budget {_OF} ORDER BY from_on DESC", **bound)
    events = await tx.rows(
        f"SELECT event_no, move, state, party, actor, at, reason FROM billing.ad_campaign_event {_OF}"
        " AND event_no > 1 ORDER BY event_no",
        **bound,
    )
    return CampaignDetail(
        campaign=found,
        categories=[row.term for row in targets if row.kind == "category"],
        words=[row.term for row in targets if row.kind == "word"],
        budgets=[DailyBudget(**row._mapping) for row in budgets],
        events=[msgspec.convert(dict(row._mapping), CampaignEvent) for row in events],
    )


async def edit_campaign(tx: Tx, changed: Campaign) -> Campaign:
    """Store what may change of a held campaign; its version is counted up."""
    new = msgspec.structs.replace(changed, version=changed.version + 1)
    await tx.execute(
        f"""
        UPDATE billing.ad_campaign SET name = :name, bid_minor = :bid, total_minor = :total, pacing = :pacing,
            ends_at = :ends_at, version = :version
        {_OF}
        """,
        {
            "name": new.name,
            "bid": new.bid_minor,
            "total": new.total_minor,
            "pacing": new.pacing.value,
            "ends_at": new.ends_at,
            "version": new.version,
            "merchant": new.merchant_id,
            "campaign": new.campaign_id,
        },
    )
    return new


async def move_campaign(
    tx: Tx, held: Campaign, move: CampaignMove, party: AdParty, *, reason: str = "", **detail: Any
) -> Campaign:
    """Take a held campaign to where the move leads, with its history and its event. Raises as `check_move` does."""
    state = check_move(held.state, move, party)
    new = msgspec.structs.replace(held, state=state, version=held.version + 1)
    bound = {"merchant": held.merchant_id, "campaign": held.campaign_id}
    await tx.execute(
        f"UPDATE billing.ad_campaign SET state = :state, version = :version {_OF}",
        {**bound, "state": state.value, "version": new.version},
    )
    last = await tx.scalar(f"SELECT max(event_no) FROM billing.ad_campaign_event {_OF}", **bound)
    event = {"merchant_id": held.merchant_id, "campaign_id": held.campaign_id, "event_no": last + 1}
    event |= {"move": move.value, "state": state.value, "party": party.value, "actor": tx.actor, "at": tx.now}
    await tx.execute(insert(ad_campaign_event), {**event, "reason": reason})
    told = {"merchant_id": held.merchant_id, "campaign_id": held.campaign_id, "move": move.value, "state": state.value}
    await outbox.emit(tx, "billing.ad_campaign_moved.v1", {**told, **detail}, merchant_id=held.merchant_id)
    return new


async def daily_budget(tx: Tx, merchant_id: int, campaign_id: int, on_day: date) -> int:
    """What a campaign may spend on a local day; nothing before its first one."""
    found = await tx.scalar(
        f"SELECT daily_minor FROM billing.ad_budget {_OF} AND from_on <= :on_day ORDER BY from_on DESC LIMIT 1",
        merchant=merchant_id,
        campaign=campaign_id,
        on_day=on_day,
    )
    return int(found or 0)


async def set_budget(tx: Tx, merchant_id: int, campaign_id: int, from_on: date, daily_minor: int) -> None:
    """What a campaign may spend from a day on; what was planned for later days is forgotten."""
    bound = {"merchant": merchant_id, "campaign": campaign_id, "from_on": from_on}
    await tx.execute(f"DELETE FROM billing.ad_budget {_OF} AND from_on > :from_on", bound)
    await tx.execute(
        """
        INSERT INTO billing.ad_budget (merchant_id, campaign_id, from_on, daily_minor)
        VALUES (:merchant, :campaign, :from_on, :daily)
        ON CONFLICT (merchant_id, campaign_id, from_on) DO UPDATE SET daily_minor = excluded.daily_minor
        """,
        {**bound, "daily": daily_minor},
    )


async def ending(tx: Tx, now: datetime, after: tuple[int, int], limit: int) -> Sequence[Any]:
    """merchant_id and campaign_id of campaigns whose end has come and that have not ended, by key, behind `after`."""
    return await tx.rows(
        """
        SELECT merchant_id, campaign_id FROM billing.ad_campaign
        WHERE state <> 'ended' AND ends_at IS NOT NULL AND ends_at <= :now
          AND (merchant_id, campaign_id) > (:merchant, :campaign)
        ORDER BY 1, 2 LIMIT :limit
        """,
        now=now,
        merchant=after[0],
        campaign=after[1],
        limit=limit,
    )
