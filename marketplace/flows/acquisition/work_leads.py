"""Process: a lead comes in, is worked on by the rep who holds it, and is signed or lost.

What a person who sells may do is decided here, under the lead's lock: a rep with its own leads, a manager with those
of its territories. A lead that was merged is worked on in the one that lives on.
"""

from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

import msgspec

from marketplace.core import audit
from marketplace.core.db import Tx
from marketplace.core.errors import Conflict, Forbidden, Invalid, NotFound
from marketplace.core.ids import time_ordered_id
from marketplace.flows.acquisition.milestones_sql import is_new_since
from marketplace.flows.acquisition.note_stages import (
    check_alive,
    check_not_own,
    check_past,
    funnel_of,
    put_stage,
)
from marketplace.flows.acquisition.score_leads import score_lead
from supply import store as merchants
from supply.funnels import store as funnels
from supply.leads import store
from supply.leads.agents import store as agents
from supply.leads.channels import store as channels
from supply.leads.lifecycle import BY_REPS, Move
from supply.leads.model import ACTIONS, Lead, LeadEvent, LeadState, Model, Touch, TouchKind
from supply.leads.pools import store as pools
from supply.leads.pools.rules import cooling
from supply.leads.territories import store as territories


class NewLead(msgspec.Struct, frozen=True, kw_only=True):
    """A lead as it comes in. channel: a code; first_contact_at None: now. source_ref: its id where it comes from.

    merchant_id: the merchant that it is already, and may buy a product as.
    """

    model: Model
    company: str
    channel: str
    campaign: str = ""
    contact: str = ""
    phone: str = ""
    email: str = ""
    tax_id: str = ""
    city: str = ""
    region: str = ""
    segment: str = ""
    zone: str = "UTC"
    source: str | None = None
    source_ref: str | None = None
    first_contact_at: datetime | None = None
    pool_id: int | None = None
    merchant_id: int | None = None


class EditLead(msgspec.Struct, frozen=True, kw_only=True):
    """None leaves a field as it is."""

    company: str | None = None
    contact: str | None = None
    phone: str | None = None
    email: str | None = None
    tax_id: str | None = None
    city: str | None = None
    region: str | None = None
    segment: str | None = None


class NewTouch(msgspec.Struct, frozen=True, kw_only=True):
    """channel None: the lead's own; rep_id None: nobody of ours; at None: now. visit_id: the visit that it was."""

    lead_id: int
    kind: TouchKind
    channel: str | None = None
    campaign: str = ""
    rep_id: int | None = None
    note: str = ""
    at: datetime | None = None
    visit_id: int | None = None


class MoveLead(msgspec.Struct, frozen=True, kw_only=True):
    """merchant_id: as whom it was signed; owner_id: to whom it is assigned; pool_id: where it waits.

    reason: of a signature, what shows it.
    """

    lead_id: int
    move: Move
    reason: str = ""
    merchant_id: int | None = None
    owner_id: int | None = None
    pool_id: int | None = None


class LeadDetail(msgspec.Struct, frozen=True, kw_only=True):
    """A lead and those that may be the same."""

    lead: Lead
    duplicates: list[int]

    @property
    def version(self) -> int:
        return self.lead.version


class LeadHistory(msgspec.Struct, frozen=True, kw_only=True):
    """What became of a lead, its touches and stages, also of those that were merged into it."""

    events: list[LeadEvent]
    touches: list[Touch]


async def add_lead(tx: Tx, cmd: NewLead, seller: int | None = None) -> LeadDetail:
    """Take a lead in. A person who sells holds what it brings. Raises Invalid, Conflict."""
    channel = await channels.channel_of(tx, cmd.channel)
    at = cmd.first_contact_at or tx.now
    check_past(tx, at, "first_contact_at")
    check_zone(cmd.zone)
    if cmd.merchant_id is not None:
        await _check_product(tx, cmd.model, cmd.merchant_id)
    funnel = await funnels.newest_funnel(tx, cmd.model)
    territory = await territories.territory_of(tx, cmd.region, cmd.city)
    state = LeadState.NEW
    if cmd.pool_id is not None:
        territory = territory or (await pools.get_pool(tx, cmd.pool_id)).territory_id
        state = LeadState.POOLED
    if seller is not None:
        territory = territory or (await territories.get_rep(tx, seller)).territory_id
        state = LeadState.CLAIMED
    held = seller is not None
    new = Lead(
        lead_id=time_ordered_id(tx.now), model=cmd.model, funnel_version=funnel.version_no, source=cmd.source,
        source_ref=cmd.source_ref, company=cmd.company, contact=cmd.contact, phone=cmd.phone, email=cmd.email,
        tax_id=cmd.tax_id, city=cmd.city, region=cmd.region, segment=cmd.segment, zone=cmd.zone,
        channel_id=channel.channel_id, campaign=cmd.campaign, territory_id=territory, pool_id=cmd.pool_id,
        owner_id=seller, state=state, merchant_ref=None, merchant_id=cmd.merchant_id, merged_into=None,
        first_contact_at=at, fit=0, engagement=0, scored_by=None, claimed_at=tx.now if held else None,
        protected_until=None, last_action_at=tx.now if held else None, former_owner_id=None, cooling_until=None,
        ended_at=None, version=1,
    )  # fmt: skip
    await store.insert_lead(tx, new)
    await store.tell(tx, new, "add", "")
    await _touch(tx, new, TouchKind.FORM, channel.channel_id, cmd.campaign, rep_id=seller, note="", at=at)
    await put_stage(tx, new, funnel.stages[0].key, at, cause="lead")
    return await _detail(tx, await score_lead(tx, new))


async def _check_product(tx: Tx, model: Model, merchant_id: int) -> None:
    """Raise Invalid for somebody who is to be won as what it is already, or is no merchant."""
    if model in {Model.PLATFORM, Model.PAYER}:
        raise Invalid("merchant_id: a merchant is a lead for a tool, hardware or a service", pointer="/merchant_id")
    try:
        await merchants.get_merchant(tx, merchant_id)
    except NotFound as refusal:
        raise Invalid(f"merchant_id: {refusal.detail}", pointer="/merchant_id") from refusal


async def edit_lead(tx: Tx, held: Lead, cmd: EditLead) -> LeadDetail:
    """Change what is known of a held lead; a new place may be another territory's."""
    check_alive(held)
    values: dict[str, Any] = {
        field: value for field, value in msgspec.structs.asdict(cmd).items() if value is not None
    }  # fmt: skip
    if {"city", "region"} & values.keys():
        place = values.get("region", held.region), values.get("city", held.city)
        values["territory_id"] = await territories.territory_of(tx, *place) or held.territory_id
    edited = await store.edit_lead(tx, held, **values)
    return await _detail(tx, await score_lead(tx, edited))


async def touch_lead(tx: Tx, cmd: NewTouch, seller: int | None = None) -> Touch:
    """Note a contact, also late. Raises Invalid, NotFound."""
    held = await lock_own(tx, cmd.lead_id, seller)
    check_alive(held)
    at = cmd.at or tx.now
    check_past(tx, at, "at")
    channel_id = (await channels.channel_of(tx, cmd.channel)).channel_id if cmd.channel else held.channel_id
    if cmd.rep_id is not None:
        await territories.get_rep(tx, cmd.rep_id)
    rep_id = cmd.rep_id if seller is None else seller
    made = await _touch(
        tx, held, cmd.kind, channel_id, cmd.campaign, rep_id=rep_id, note=cmd.note, at=at, touch_id=cmd.visit_id
    )  # fmt: skip
    if cmd.kind in ACTIONS:
        held = await store.note_action(tx, held, at)
    await score_lead(tx, held)
    return made


async def move_lead(tx: Tx, cmd: MoveLead, seller: int | None = None) -> LeadDetail:
    """Take a lead a step on. Raises Forbidden for what only a manager may, Conflict for a state without the move."""
    if cmd.owner_id is not None:
        await territories.get_rep(tx, cmd.owner_id, lock=True)  # before the lead, as whoever claims
    held = await lock_own(tx, cmd.lead_id, seller)
    if cmd.move in {Move.CLAIM, Move.UNVISIT, Move.RECYCLE, Move.MERGE}:
        raise Invalid(f"move: a lead is not made to {cmd.move} in this way", pointer="/move")
    if seller is not None and not await territories.manages(tx, seller, held.territory_id):
        _check_by_rep(held, cmd)
    values = await _values(tx, held, cmd)
    moved = await store.move_lead(tx, held, cmd.move, cmd.reason, **values)
    if cmd.move is Move.SIGN:
        await _note_signed(tx, moved, cmd.reason)
    elif cmd.move in {Move.LOSE, Move.REOPEN}:
        await funnels.roll(tx, [moved.lead_id])
    return await _detail(tx, moved)


def _check_by_rep(held: Lead, cmd: MoveLead) -> None:
    """Raise Forbidden for what only a manager may. A claim counts for the pool that the lead is of: were a rep to say
    which, no pool's day would have a limit.
    """
    if cmd.move not in BY_REPS:
        raise Forbidden(f"a rep may not {cmd.move} a lead")
    if cmd.pool_id is not None and held.pool_id not in {None, cmd.pool_id}:
        raise Forbidden(f"pool_id: a rep releases a lead into the pool that it is of, {held.pool_id}")


async def _note_signed(tx: Tx, moved: Lead, evidence: str) -> None:
    """The stage of the contract; where a model is used before it is paid, what the merchant does tells of it."""
    funnel = await funnel_of(tx, moved)
    if funnel.won == funnel.activated:
        await check_not_own(tx, moved, "the signature earns commission")
    if funnel.place(funnel.won) <= funnel.place(funnel.activated):
        await put_stage(tx, moved, funnel.won, tx.now, cause="signed", evidence=evidence)


async def _values(tx: Tx, held: Lead, cmd: MoveLead) -> dict[str, Any]:
    """What else changes with a move."""
    values: dict[str, Any] = {}
    if cmd.move in {Move.CONTACT, Move.VISIT, Move.NEGOTIATE}:
        values["last_action_at"] = tx.now
    if cmd.move in {Move.SIGN, Move.HAND_OVER}:
        values["merchant_id"] = await _won_as(tx, held, cmd)
    if cmd.move is Move.ASSIGN:
        values |= await _assigned(tx, held, cmd.owner_id)
    if cmd.move in {Move.POOL, Move.RELEASE}:
        pool_id = cmd.pool_id or held.pool_id
        if pool_id is None:
            raise Invalid("pool_id: say where the lead is to wait", pointer="/pool_id")
        pool = await pools.get_pool(tx, pool_id)
        values |= {"pool_id": pool_id, "territory_id": held.territory_id or pool.territory_id}
        if held.owner_id is not None:
            values |= cooling(held, pool, tx.now)
    if cmd.move is Move.REOPEN:
        values |= {"owner_id": None, "claimed_at": None, "protected_until": None}
    return values


async def _won_as(tx: Tx, held: Lead, cmd: MoveLead) -> int | None:
    """Which merchant a lead was won as; who holds it names none itself that was here before it was contacted."""
    if cmd.move is Move.SIGN and not cmd.reason:
        raise Invalid("reason: name what shows that it was signed", pointer="/reason")
    if cmd.merchant_id is None:
        if cmd.move is Move.HAND_OVER and held.model is not Model.PAYER and held.merchant_id is None:
            raise Invalid("merchant_id: say as whom the lead was won", pointer="/merchant_id")
        return held.merchant_id
    if held.model is Model.PAYER:
        raise Invalid("merchant_id: a payer is no merchant", pointer="/merchant_id")
    if held.merchant_id not in {None, cmd.merchant_id}:
        raise Conflict(f"merchant_id: the lead was won as merchant {held.merchant_id}", pointer="/merchant_id")
    await merchants.get_merchant(tx, cmd.merchant_id)
    if held.merchant_id is None and not await is_new_since(tx, held, cmd.merchant_id):
        await check_not_own(tx, held, f"merchant {cmd.merchant_id} was here before the lead was contacted")
    return cmd.merchant_id


async def _assigned(tx: Tx, held: Lead, owner_id: int | None) -> dict[str, Any]:
    if owner_id is None:
        raise Invalid("owner_id: say to whom", pointer="/owner_id")
    rep = await territories.get_rep(tx, owner_id)
    if not rep.active:
        raise Conflict(f"owner_id: {rep.login} is not in service", pointer="/owner_id")
    territory_id = held.territory_id or rep.territory_id
    return {"owner_id": owner_id, "territory_id": territory_id, "claimed_at": tx.now, "last_action_at": tx.now}


async def merge_leads(tx: Tx, lead_id: int, survivor_id: int, reason: str, seller: int | None = None) -> LeadDetail:
    """Let one lead live on in another of the same model: its history, touches and stages go with it, at their times.

    Raises Conflict for a lead that is signed, which must be the one that lives on.
    """
    if lead_id == survivor_id:
        raise Invalid("into: a lead is not merged into itself", pointer="/into")
    gone, survivor = await store.lock_two(tx, lead_id, survivor_id)
    for each in (gone, survivor):
        await _check_own(tx, each, seller)
        check_alive(each)
    if gone.model is not survivor.model:
        raise Conflict(f"into: lead {survivor_id} is to be won by another model, {survivor.model}", pointer="/into")
    merged = await store.merge_lead(tx, gone, survivor, reason)
    await agents.carry_credit(tx, gone.lead_id, survivor.lead_id)
    if gone.first_contact_at < survivor.first_contact_at:
        first = {"first_contact_at": gone.first_contact_at, "channel_id": gone.channel_id, "campaign": gone.campaign}
        survivor = await store.edit_lead(tx, survivor, **first)
    await funnels.roll(tx, [merged.lead_id, survivor.lead_id])
    await audit.record(tx, "lead merged", f"lead:{lead_id}", into=survivor_id, reason=reason)
    return await _detail(tx, await score_lead(tx, survivor))


async def lock_own(tx: Tx, lead_id: int, seller: int | None) -> Lead:
    """A lead, held, that a person who sells may see (None: the house). Raises NotFound."""
    held = await store.get_lead(tx, lead_id, lock=True)
    await _check_own(tx, held, seller)
    return held


async def _check_own(tx: Tx, lead: Lead, seller: int | None) -> None:
    if seller is None or lead.owner_id == seller or await territories.manages(tx, seller, lead.territory_id):
        return
    raise NotFound(f"there is no lead {lead.lead_id}")


async def history_of(tx: Tx, lead_id: int) -> LeadHistory:
    """What became of a lead. Raises NotFound."""
    await store.get_lead(tx, lead_id)
    return LeadHistory(events=await store.history_of(tx, lead_id), touches=await store.touches_of(tx, lead_id))


async def _detail(tx: Tx, lead: Lead) -> LeadDetail:
    return LeadDetail(lead=lead, duplicates=[each.lead_id for each in await store.duplicates_of(tx, lead)])


async def _touch(
    tx: Tx, lead: Lead, kind: TouchKind, channel_id: int, campaign: str, *, rep_id: int | None, note: str, at: datetime,
    touch_id: int | None = None,
) -> Touch:  # fmt: skip
    return await store.add_touch(
        tx,
        Touch(
            touch_id=touch_id or time_ordered_id(tx.now), lead_id=lead.lead_id, channel_id=channel_id,
            campaign=campaign, kind=kind, rep_id=rep_id, note=note, at=at, recorded_at=tx.now,
        ),
    )  # fmt: skip


def check_zone(zone: str) -> None:
    """Raise Invalid for a zone that there is not."""
    try:
        ZoneInfo(zone)
    except (KeyError, ValueError, OSError) as fault:
        raise Invalid(f"zone: {zone!r} is no zone of the IANA database", pointer="/zone") from fault
