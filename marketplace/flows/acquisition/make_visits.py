"""Process: a rep visits those whom it is to win; what a device tells late is taken in once.

A device's clock may be wrong, so it says what it shows when it sends: the difference to ours is taken off what it has
recorded. What is odd about a visit is noted with the reason, and such a visit does nothing to its lead until a manager
has said that it counts.
"""

from datetime import datetime, timedelta

import msgspec

from marketplace.core import audit
from marketplace.core.db import Tx
from marketplace.core.errors import AppError, Conflict, Forbidden, Invalid, NotFound
from marketplace.flows.acquisition.note_stages import check_alive, check_past
from marketplace.flows.acquisition.score_leads import rescore_lead
from marketplace.flows.acquisition.work_leads import NewTouch, lock_own, touch_lead
from supply.leads import store as leads
from supply.leads.lifecycle import RULES, Move
from supply.leads.model import HELD, Lead, LeadState, TouchKind
from supply.leads.territories import store as territories
from supply.leads.visits import store
from supply.leads.visits.model import Fix, Place, Site, Visit, VisitState
from supply.leads.visits.rules import flags_of, nearest_m, set_right

CHANNEL = "offline.field"
_AHEAD = timedelta(days=366)
_BEHIND = timedelta(days=30)
_WRONG_MAX = timedelta(days=366)


class PlanVisit(msgspec.Struct, frozen=True, kw_only=True):
    """rep_id: who is to go, which is who holds the lead; None says the same."""

    lead_id: int
    planned_at: datetime
    rep_id: int | None = None


class CheckIn(msgspec.Struct, frozen=True, kw_only=True):
    """sent_at: what the device's clock shows as it sends; fix.at: what it showed at the door."""

    visit_id: int
    sent_at: datetime
    fix: Fix


class CheckOut(msgspec.Struct, frozen=True, kw_only=True):
    visit_id: int
    sent_at: datetime
    fix: Fix
    photo_hash: str = ""
    result: str = ""
    next_step: str = ""


class ToldVisit(msgspec.Struct, frozen=True, kw_only=True):
    """A whole visit as a device has recorded it. ref: the device's own id of it."""

    ref: str
    lead_id: int
    came: Fix
    left: Fix
    photo_hash: str = ""
    result: str = ""
    next_step: str = ""


class SyncVisits(msgspec.Struct, frozen=True, kw_only=True):
    device_id: str
    sent_at: datetime
    visits: tuple[ToldVisit, ...]


class Synced(msgspec.Struct, frozen=True, kw_only=True):
    """What became of one: stored now, known before, or refused with a reason."""

    ref: str
    visit: Visit | None
    known: bool
    refused: str = ""


async def add_site(tx: Tx, lead_id: int, name: str, place: Place, seller: int | None = None) -> Site:
    """Say where a lead is. Raises NotFound."""
    held = await lock_own(tx, lead_id, seller)
    check_alive(held)
    return await store.add_site(tx, lead_id, name, place)


async def plan_visit(tx: Tx, cmd: PlanVisit, seller: int | None = None) -> Visit:
    """Plan a visit of the rep who holds the lead; who manages the territory may, too. Raises Invalid, NotFound."""
    if not tx.now - _BEHIND <= cmd.planned_at <= tx.now + _AHEAD:
        raise Invalid("planned_at: is within the next year", pointer="/planned_at")
    held = await lock_own(tx, cmd.lead_id, seller)
    check_alive(held)
    if held.owner_id is None or cmd.rep_id not in {None, held.owner_id}:
        raise Invalid("rep_id: a lead is visited by the rep who holds it", pointer="/rep_id")
    return await store.add_visit(tx, store.blank(tx, held.lead_id, held.owner_id, planned_at=cmd.planned_at))


async def cancel_visit(tx: Tx, visit_id: int, seller: int | None = None) -> Visit:
    """Raises NotFound, Conflict for one that has begun."""
    held = await _lock(tx, visit_id, seller, VisitState.PLANNED)
    return await store.change_visit(tx, held, state=VisitState.CANCELLED)


async def check_in(tx: Tx, cmd: CheckIn, rep_id: int) -> Visit:
    """The rep is at the place. Raises NotFound for another one's visit, Conflict, Invalid.

    A rep that has lost the lead since it planned the visit is refused.
    """
    held = await _lock_own(tx, cmd.visit_id, rep_id, VisitState.PLANNED)
    if (await leads.get_lead(tx, held.lead_id)).owner_id != rep_id:
        raise Conflict(f"lead_id: lead {held.lead_id} is not the rep's any more")
    skew, at = _instant(tx, cmd.sent_at, cmd.fix)
    return await store.change_visit(
        tx, held, state=VisitState.OPEN, in_at=at, in_latitude_udeg=cmd.fix.place.latitude_udeg,
        in_longitude_udeg=cmd.fix.place.longitude_udeg, in_accuracy_m=cmd.fix.accuracy_m, skew_s=_seconds(skew),
        mocked=cmd.fix.mocked, distance_m=nearest_m(cmd.fix.place, await store.sites_of(tx, held.lead_id)),
    )  # fmt: skip


async def check_out(tx: Tx, cmd: CheckOut, rep_id: int) -> Visit:
    """The rep leaves: the visit is done and, unless it is odd, one of the lead's touches.

    Raises NotFound, Conflict, Invalid.
    """
    lead = await _lock_living(tx, (await store.get_visit(tx, cmd.visit_id)).lead_id)
    held = await _lock_own(tx, cmd.visit_id, rep_id, VisitState.OPEN)
    skew, at = _instant(tx, cmd.sent_at, cmd.fix)
    assert held.in_at is not None
    if at < held.in_at:
        raise Invalid("at: lies before the check-in", pointer="/at")
    over = msgspec.structs.replace(
        held, state=VisitState.DONE, out_at=at, out_latitude_udeg=cmd.fix.place.latitude_udeg,
        out_longitude_udeg=cmd.fix.place.longitude_udeg, out_accuracy_m=cmd.fix.accuracy_m,
        skew_s=max(held.skew_s, _seconds(skew), key=abs), mocked=held.mocked or cmd.fix.mocked,
        photo_hash=cmd.photo_hash, result=cmd.result, next_step=cmd.next_step, synced_at=tx.now,
    )  # fmt: skip
    over = await _flagged(tx, over)
    changed = {
        name: value for name, value in msgspec.structs.asdict(over).items() if name not in {"visit_id", "version"}
    }
    done = await store.change_visit(tx, held, **changed)
    if done.counts:
        await _note(tx, lead, done)
    return done


async def sync_visits(tx: Tx, cmd: SyncVisits, rep_id: int) -> list[Synced]:
    """Take in what a device has recorded while it was out of reach, each once; a refused one holds up no other."""
    if len({told.ref for told in cmd.visits}) < len(cmd.visits):
        raise Invalid("visits: name each visit once", pointer="/visits")
    await territories.get_rep(tx, rep_id, lock=True)  # so that twins of one device follow each other
    done = []
    for told in sorted(cmd.visits, key=lambda each: each.came.at):
        known = await store.told_of(tx, cmd.device_id, told.ref)
        if known is not None:
            own = known.rep_id == rep_id
            done.append(Synced(ref=told.ref, visit=known if own else None, known=True))
            continue
        try:
            stored = await _take(tx, cmd, told, rep_id)
            done.append(Synced(ref=told.ref, visit=stored, known=False))
        except AppError as refusal:
            done.append(Synced(ref=told.ref, visit=None, known=False, refused=refusal.detail))
    return done


async def _take(tx: Tx, cmd: SyncVisits, told: ToldVisit, rep_id: int) -> Visit:
    skew, came = _instant(tx, cmd.sent_at, told.came)
    left = _instant(tx, cmd.sent_at, told.left)[1]
    if left < came:
        raise Invalid("left: lies before the check-in", pointer="/left")
    lead = await _lock_living(tx, told.lead_id)
    if lead.owner_id != rep_id and not await store.held_at(tx, told.lead_id, rep_id, came):
        raise NotFound(f"there is no lead {told.lead_id}")
    new = store.blank(
        tx, lead.lead_id, rep_id, state=VisitState.DONE, device_id=cmd.device_id, device_ref=told.ref, in_at=came,
        in_latitude_udeg=told.came.place.latitude_udeg, in_longitude_udeg=told.came.place.longitude_udeg,
        in_accuracy_m=told.came.accuracy_m, out_at=left, out_latitude_udeg=told.left.place.latitude_udeg,
        out_longitude_udeg=told.left.place.longitude_udeg, out_accuracy_m=told.left.accuracy_m,
        distance_m=nearest_m(told.came.place, await store.sites_of(tx, lead.lead_id)), skew_s=_seconds(skew),
        mocked=told.came.mocked or told.left.mocked, photo_hash=told.photo_hash, result=told.result,
        next_step=told.next_step, synced_at=tx.now,
    )  # fmt: skip
    stored = await store.add_visit(tx, await _flagged(tx, new))
    if stored.counts:
        await _note(tx, lead, stored)
    return stored


async def review_visit(tx: Tx, visit_id: int, valid: bool, reason: str, seller: int | None = None) -> Visit:
    """Say what a visit was, having looked into what is odd about it; its lead follows. Raises Forbidden for one's own,
    Conflict.
    """
    lead = await _lock_living(tx, (await store.get_visit(tx, visit_id)).lead_id)
    held = await store.get_visit(tx, visit_id, lock=True)
    if seller is not None:
        if held.rep_id != seller and not await territories.manages(tx, seller, lead.territory_id):
            raise NotFound(f"there is no visit {visit_id}")
        if held.rep_id == seller or not await territories.manages(tx, seller, lead.territory_id):
            raise Forbidden("nobody says of a visit of their own what it was")
    if held.state is not VisitState.DONE:
        raise Conflict(
            f"state: the visit is {held.state}, only one that is done is looked into", state=held.state.value
        )
    await audit.record(tx, "visit reviewed", f"visit:{visit_id}", valid=valid, reason=reason)
    said = await store.change_visit(tx, held, valid=valid, reviewed_by=tx.actor, review_reason=reason)
    if said.counts and not held.counts:
        await _note(tx, lead, said)
    elif held.counts and not said.counts:
        await _take_back(tx, lead, said)
    return said


async def _lock_living(tx: Tx, lead_id: int) -> Lead:
    """The lead that one lives on in, itself unless it was merged, held before its visit; and no other lead, as two are
    held in the order of their ids. Raises NotFound.
    """
    found = await leads.get_lead(tx, lead_id)
    while True:
        held = await leads.get_lead(tx, found.merged_into or found.lead_id, lock=True)
        if held.merged_into is None:
            return held
        found = held  # it was merged at this very moment


async def _lock(tx: Tx, visit_id: int, seller: int | None, state: VisitState) -> Visit:
    """A visit that one may move: the rep's own, of a territory that one manages, or any of the house."""
    held = await store.get_visit(tx, visit_id, lock=True)
    if seller is not None and held.rep_id != seller:
        lead = await leads.get_lead(tx, held.lead_id)
        if not await territories.manages(tx, seller, lead.territory_id):
            raise NotFound(f"there is no visit {visit_id}")
    if held.state is not state:
        raise Conflict(f"state: the visit is {held.state}, this needs one that is {state}", state=held.state.value)
    return held


async def _lock_own(tx: Tx, visit_id: int, rep_id: int, state: VisitState) -> Visit:
    """Only who was there says that it was: nobody checks in for another."""
    held = await _lock(tx, visit_id, rep_id, state)
    if held.rep_id != rep_id:
        raise Forbidden("nobody checks in or out for another rep")
    return held


def _instant(tx: Tx, sent_at: datetime, fix: Fix) -> tuple[timedelta, datetime]:
    """How much a device's clock is behind ours, and an instant of it by ours."""
    check_clock(tx, sent_at, fix.at)
    skew = tx.now - sent_at
    if fix.at > sent_at:
        raise Invalid("at: lies after the device has sent it", pointer="/at")
    at = set_right(fix.at, skew, tx.now)
    check_past(tx, at, "at")
    return skew, at


def check_clock(tx: Tx, sent_at: datetime, at: datetime) -> None:
    """Raise Invalid for a clock that shows what nobody can set right."""
    if abs(tx.now - sent_at) > _WRONG_MAX:
        raise Invalid("sent_at: the device's clock is more than a year off", pointer="/sent_at")
    if abs(tx.now - at) > 2 * _WRONG_MAX:
        raise Invalid("at: is too long ago", pointer="/at")


def _seconds(skew: timedelta) -> int:
    return round(skew.total_seconds())


async def _flagged(tx: Tx, over: Visit) -> Visit:
    assert over.in_at is not None
    assert over.out_at is not None
    others = await store.around(tx, over.rep_id, over.in_at, over.out_at, over.visit_id)
    seen = await store.photo_seen(tx, over.photo_hash, over.visit_id)
    return msgspec.structs.replace(over, flags=flags_of(over, others=others, photo_seen=seen, told_at=tx.now))


async def _note(tx: Tx, lead: Lead, done: Visit) -> None:
    """A visit that counts is a touch of the lead, never its first, and takes it on where it is the rep's."""
    assert done.in_at is not None
    touch = NewTouch(
        lead_id=lead.lead_id, kind=TouchKind.VISIT, channel=CHANNEL, rep_id=done.rep_id,
        at=max(done.in_at, lead.first_contact_at), visit_id=done.visit_id,
    )  # fmt: skip
    await touch_lead(tx, touch)
    if lead.owner_id == done.rep_id and lead.state in RULES[Move.VISIT].sources:
        await leads.move_lead(tx, lead, Move.VISIT, f"visit {done.visit_id}")


async def _take_back(tx: Tx, lead: Lead, done: Visit) -> None:
    """The lead is again as if there had been no such visit; attribution that was locked stays."""
    remains = await store.remains_of(tx, lead.lead_id, done.visit_id)
    if lead.state in HELD:
        lead = await leads.set_action(tx, lead, remains.acted_at)
    if lead.state is LeadState.VISITED and remains.visited_from is not None:
        why = f"visit {done.visit_id}"
        lead = await leads.move_lead(tx, lead, Move.UNVISIT, why)
        if remains.visited_from == LeadState.CONTACTED:
            lead = await leads.move_lead(tx, lead, Move.CONTACT, why)
    await rescore_lead(tx, lead, since=remains.noted_at)
