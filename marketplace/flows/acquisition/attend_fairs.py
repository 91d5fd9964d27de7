"""Process: people are met at a fair, become leads there, and are spoken to again; what it cost against what it brought.

A badge is met once: the scan that we are told of first counts, whoever scans it again and whenever a device that was
out of reach tells of it.
"""

from collections.abc import Sequence
from datetime import date, datetime, timedelta
from typing import Any

import msgspec

from marketplace.core import audit
from marketplace.core.clock import local_date
from marketplace.core.db import Tx
from marketplace.core.errors import AppError, Conflict, Invalid, NotFound
from marketplace.core.ids import time_ordered_id
from marketplace.core.money import MINOR_DIGITS, check_currency
from marketplace.core.rates import PPM, divide_half_even
from marketplace.flows.acquisition.make_visits import check_clock
from marketplace.flows.acquisition.note_stages import check_alive, check_past
from marketplace.flows.acquisition.work_leads import NewLead, NewTouch, add_lead, check_zone, lock_own, touch_lead
from marketplace.metrics.periods import check_day
from supply.leads import store as leads
from supply.leads.channels import store as channels
from supply.leads.economics import cost_per
from supply.leads.events import store
from supply.leads.events.model import Attendee, Fair, FairKind, LeadTask, TaskState
from supply.leads.model import ChannelCost, CostKind, Lead, Model, TouchKind
from supply.leads.territories import store as territories
from supply.leads.visits.rules import set_right


class NewFair(msgspec.Struct, frozen=True, kw_only=True):
    """channel: a channel's code."""

    code: str
    name: str
    kind: FairKind
    starts_on: date
    ends_on: date
    place: str = ""
    channel: str = "offline.conference"
    zone: str = "UTC"
    follow_up_days: int = 3


class NewAttendee(msgspec.Struct, frozen=True, kw_only=True):
    badge: str
    company: str
    contact: str = ""
    phone: str = ""
    email: str = ""
    city: str = ""
    region: str = ""
    segment: str = ""


class Scan(msgspec.Struct, frozen=True, kw_only=True):
    """at: by the device's clock. company: of who was not registered."""

    badge: str
    at: datetime
    company: str = ""
    contact: str = ""
    phone: str = ""
    email: str = ""
    note: str = ""


class SyncScans(msgspec.Struct, frozen=True, kw_only=True):
    """sent_at: what the device's clock shows as it sends."""

    fair_id: int
    device_id: str
    sent_at: datetime
    scans: tuple[Scan, ...]


class Scanned(msgspec.Struct, frozen=True, kw_only=True):
    """What became of a scan: met now, known before, or refused with a reason."""

    badge: str
    lead_id: int | None
    known: bool
    refused: str = ""


class NewCost(msgspec.Struct, frozen=True, kw_only=True):
    """ref: the entry's own id, under which it is booked once."""

    fair_id: int
    ref: str
    kind: CostKind
    spent_on: date
    currency: str
    amount_minor: int


class FairReport(msgspec.Struct, frozen=True, kw_only=True):
    """What a fair has cost and brought. deals: leads met there that were won since it began; activated: of them.

    deals_per_thousand_ppm: deals for each 1,000 of the currency, in millionths. None where it divides by nothing.
    """

    fair: Fair
    currency: str
    spent_minor: int
    spent_by_kind: dict[str, int]
    registered: int
    met: int
    leads: int
    followed_up: int
    deals: int
    activated: int
    cost_per_lead_minor: int | None
    cost_per_deal_minor: int | None
    cost_per_activated_minor: int | None
    deals_per_thousand_ppm: int | None


async def make_fair(tx: Tx, cmd: NewFair) -> Fair:
    """Raises Invalid, Conflict."""
    check_zone(cmd.zone)
    check_day(cmd.starts_on, "starts_on")
    check_day(cmd.ends_on, "ends_on")
    if not cmd.starts_on <= cmd.ends_on <= cmd.starts_on + timedelta(days=366):
        raise Invalid("ends_on: lies within a year after starts_on", pointer="/ends_on")
    channel = await channels.channel_of(tx, cmd.channel)
    values = {name: value for name, value in msgspec.structs.asdict(cmd).items() if name != "channel"}
    new = Fair(fair_id=time_ordered_id(tx.now), channel_id=channel.channel_id, version=1, **values)
    await audit.record(tx, "fair made", f"fair:{new.fair_id}", code=new.code)
    return await store.add_fair(tx, new)


async def register(tx: Tx, fair_id: int, who: Sequence[NewAttendee]) -> int:
    """Register people; returns how many were new. Raises NotFound."""
    await store.get_fair(tx, fair_id)
    return sum([await store.add_attendee(tx, _attendee(tx, fair_id, each)) for each in who])


def _attendee(tx: Tx, fair_id: int, who: NewAttendee) -> Attendee:
    return Attendee(
        attendee_id=time_ordered_id(tx.now), fair_id=fair_id, registered_at=tx.now, scanned_at=None, scanned_by=None,
        device_id=None, note="", lead_id=None, **msgspec.structs.asdict(who),
    )  # fmt: skip


async def sync_scans(tx: Tx, cmd: SyncScans, rep_id: int) -> list[Scanned]:
    """Take in whom a rep has met; one that is refused holds up no other. Raises NotFound."""
    fair = await store.get_fair(tx, cmd.fair_id)
    await territories.get_rep(tx, rep_id, lock=True)
    done = []
    for one in sorted(cmd.scans, key=lambda each: each.at):
        try:
            done.append(await _scan(tx, fair, cmd, one, rep_id))
        except AppError as refusal:
            done.append(Scanned(badge=one.badge, lead_id=None, known=False, refused=refusal.detail))
    return done


async def _scan(tx: Tx, fair: Fair, cmd: SyncScans, one: Scan, rep_id: int) -> Scanned:
    check_clock(tx, cmd.sent_at, one.at)
    if one.at > cmd.sent_at:
        raise Invalid("at: lies after the device has sent it", pointer="/at")
    at = set_right(one.at, tx.now - cmd.sent_at, tx.now)
    check_past(tx, at, "at")
    if not fair.starts_on - timedelta(days=1) <= local_date(at, fair.zone) <= fair.ends_on + timedelta(days=1):
        raise Invalid(f"at: the fair is from {fair.starts_on} to {fair.ends_on}", pointer="/at")
    found = await store.get_attendee(tx, fair.fair_id, one.badge, lock=True)
    if found is None:
        if not one.company:
            raise Invalid("company: the badge is not registered, so say who it is", pointer="/company")
        walked_in = NewAttendee(
            badge=one.badge, company=one.company, contact=one.contact, phone=one.phone, email=one.email
        )  # fmt: skip
        await store.add_attendee(tx, _attendee(tx, fair.fair_id, walked_in))
        found = await store.get_attendee(tx, fair.fair_id, one.badge, lock=True)
        assert found is not None
    if found.scanned_at is not None:
        return Scanned(badge=one.badge, lead_id=found.lead_id if found.scanned_by == rep_id else None, known=True)
    lead = await _lead(tx, fair, found, rep_id, at)
    met = {"scanned_at": at, "scanned_by": rep_id, "device_id": cmd.device_id, "note": one.note}
    await store.scan(tx, found, **met, lead_id=lead.lead_id)
    touch = NewTouch(
        lead_id=lead.lead_id, kind=TouchKind.EVENT, channel=await _code(tx, fair), campaign=fair.code, rep_id=rep_id,
        note=one.note, at=at,
    )  # fmt: skip
    await touch_lead(tx, touch)
    due_on = local_date(at, fair.zone) + timedelta(days=fair.follow_up_days)
    what = f"Met at {fair.name}: follow up"
    await store.add_task(tx, lead.lead_id, what, due_on, rep_id=lead.owner_id or rep_id, fair_id=fair.fair_id)
    return Scanned(badge=one.badge, lead_id=lead.lead_id, known=False)


async def _lead(tx: Tx, fair: Fair, who: Attendee, rep_id: int, at: datetime) -> Lead:
    """The lead that the person is already, the oldest of several, or a new one that the rep holds."""
    new = NewLead(
        model=Model.PLATFORM, company=who.company, channel=await _code(tx, fair), campaign=fair.code,
        contact=who.contact, phone=who.phone, email=who.email, city=who.city, region=who.region, segment=who.segment,
        zone=fair.zone, first_contact_at=at,
    )  # fmt: skip
    known = await leads.known_as(tx, new.model, company=who.company, phone=who.phone, city=who.city, region=who.region)
    if known is not None:
        return await leads.get_lead(tx, known, lock=True)
    return (await add_lead(tx, new, rep_id)).lead


async def _code(tx: Tx, fair: Fair) -> str:
    return (await channels.get_channel(tx, fair.channel_id)).code


async def add_cost(tx: Tx, cmd: NewCost) -> ChannelCost:
    """Book what a fair has cost; again under the same ref it changes nothing. Raises NotFound, Invalid, Conflict."""
    check_currency(cmd.currency)
    fair = await store.get_fair(tx, cmd.fair_id)
    new = ChannelCost(
        cost_id=time_ordered_id(tx.now), cost_ref=cmd.ref, channel_id=fair.channel_id, campaign=fair.code,
        spent_on=cmd.spent_on, kind=cmd.kind, currency=cmd.currency, amount_minor=cmd.amount_minor,
    )  # fmt: skip
    await channels.add_costs(tx, [new])
    stored = (await channels.costs_of_refs(tx, [cmd.ref]))[cmd.ref]
    if msgspec.structs.replace(stored, cost_id=new.cost_id) != new:
        raise Conflict(f"ref: {cmd.ref!r} is booked already, with other values", pointer="/ref")
    return stored


async def make_task(
    tx: Tx, lead_id: int, what: str, due_on: date, rep_id: int | None = None, seller: int | None = None
) -> LeadTask:
    """Something to do about a lead, by the rep who holds it unless another is named. Raises NotFound, Invalid."""
    held = await lock_own(tx, lead_id, seller)
    check_alive(held)
    if rep_id is not None:
        await territories.get_rep(tx, rep_id)
    return await store.add_task(tx, lead_id, what, due_on, rep_id=rep_id or held.owner_id)


async def end_task(
    tx: Tx, task_id: int, state: TaskState, outcome: str, seller: int | None = None
) -> LeadTask:  # fmt: skip
    """Raises NotFound for the task of a lead that one does not see, Conflict for one that is over."""
    held = await store.get_task(tx, task_id, lock=True)
    if held.rep_id != seller or seller is None:
        try:
            await lock_own(tx, held.lead_id, seller)
        except NotFound as refusal:
            raise NotFound(f"there is no task {task_id}") from refusal
    return await store.end_task(tx, held, state, outcome)


_BROUGHT = """
    SELECT count(*) AS registered, count(a.scanned_at) AS met, count(DISTINCT own.lead_id) AS leads,
           count(DISTINCT own.lead_id) FILTER (WHERE e.won_on >= :starts_on) AS deals,
           count(DISTINCT own.lead_id) FILTER (WHERE e.won_on >= :starts_on AND EXISTS (
               SELECT FROM supply.stage_entry x
               JOIN supply.funnel f ON f.model = x.model AND f.version_no = x.version_no
               WHERE x.lead_id = own.lead_id AND f.stages -> x.stage_no ->> 'key' = f.activated)) AS activated
    FROM supply.attendee a
    LEFT JOIN supply.lead met ON met.lead_id = a.lead_id
    LEFT JOIN supply.lead own ON own.lead_id = coalesce(met.merged_into, met.lead_id)
    LEFT JOIN supply.stage_entry e ON e.lead_id = own.lead_id AND e.stage_no = 0
    WHERE a.fair_id = :fair
"""


async def weigh_fair(tx: Tx, fair_id: int, currency: str) -> FairReport:
    """What a fair has cost in a currency, and what it brought. Raises NotFound, Invalid."""
    check_currency(currency)
    fair = await store.get_fair(tx, fair_id)
    brought: Any = await tx.row(_BROUGHT, fair=fair_id, starts_on=fair.starts_on)
    followed = await tx.scalar(
        "SELECT count(*) FROM supply.lead_task WHERE fair_id = :fair AND state = 'done'", fair=fair_id
    )
    kinds = await tx.rows(
        """
        SELECT kind, sum(amount_minor)::bigint AS minor FROM supply.channel_cost
        WHERE channel_id = :channel AND campaign = :campaign AND currency = :currency GROUP BY kind ORDER BY kind
        """,
        channel=fair.channel_id,
        campaign=fair.code,
        currency=currency,
    )
    spent = sum(row.minor for row in kinds)
    thousand = 1_000 * 10 ** MINOR_DIGITS[currency]
    return FairReport(
        fair=fair,
        currency=currency,
        spent_minor=spent,
        spent_by_kind={row.kind: row.minor for row in kinds},
        followed_up=followed,
        cost_per_lead_minor=cost_per(spent, brought.leads),
        cost_per_deal_minor=cost_per(spent, brought.deals),
        cost_per_activated_minor=cost_per(spent, brought.activated),
        deals_per_thousand_ppm=divide_half_even(brought.deals * thousand * PPM, spent) if spent > 0 else None,
        **brought._mapping,
    )
