"""What a visit does to its lead: nothing until it counts, and nothing any more once that is taken back."""

from datetime import datetime, timedelta

from marketplace.core.clock import FixedClock
from marketplace.core.db import WORKER, Database
from marketplace.flows.acquisition import make_visits as visits
from marketplace.flows.acquisition.work_leads import MoveLead, NewTouch, move_lead, touch_lead
from supply.leads import store
from supply.leads.attribution import AttributionModel
from supply.leads.lifecycle import Move
from supply.leads.model import Lead, LeadState, Touch, TouchKind
from supply.leads.shares_sql import shares_of
from supply.leads.visits.model import Fix, Place, Visit
from tests.conftest import NOW
from tests.leads.market import Organisation, bring, organise

DOOR = Place(latitude_udeg=50_737_430, longitude_udeg=7_098_210)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)


async def ritas(db: Database, org: Organisation, clock: FixedClock) -> Lead:
    """A lead of the form that rita was given a day later."""
    lead = await bring(db)
    clock.move_to(NOW + DAY)
    given = MoveLead(lead_id=lead.lead_id, move=Move.ASSIGN, owner_id=org.rita.user_id)
    await db.write(WORKER, "nina", visits.add_site, lead.lead_id, "shop", DOOR)
    return (await db.write(WORKER, "nina", move_lead, given)).lead


async def tell(db: Database, org: Organisation, lead: Lead, came: datetime, *, mocked: bool = False) -> Visit:
    """Rita's device tells of half an hour at the door."""
    came_at, left = (Fix(at=at, place=DOOR, accuracy_m=10, mocked=mocked) for at in (came, came + HOUR / 2))
    told = visits.ToldVisit(ref=came.isoformat(), lead_id=lead.lead_id, came=came_at, left=left)
    cmd = visits.SyncVisits(device_id="phone", sent_at=db.clock.now(), visits=(told,))
    [synced] = await db.write(WORKER, "rita", visits.sync_visits, cmd, org.rita.user_id)
    assert synced.visit is not None, synced.refused
    return synced.visit


async def review(db: Database, org: Organisation, visit: Visit, valid: bool) -> Visit:
    return await db.write(WORKER, "nina", visits.review_visit, visit.visit_id, valid, "asked there", org.nina_id)


async def seen(db: Database, lead: Lead) -> tuple[Lead, list[Touch]]:
    async with db.read(WORKER) as tx:
        return await store.get_lead(tx, lead.lead_id), await store.touches_of(tx, lead.lead_id)


async def test_an_odd_visit_leaves_its_lead_alone_until_a_manager_says_that_it_counts(
    db: Database, clock: FixedClock
) -> None:
    org = await organise(db)
    lead = await ritas(db, org, clock)
    clock.move_to(NOW + 2 * DAY)
    odd = await tell(db, org, lead, NOW + DAY + HOUR, mocked=True)
    assert not odd.counts
    now, touches = await seen(db, lead)
    assert (now, [touch.kind for touch in touches]) == (lead, [TouchKind.FORM])
    await review(db, org, odd, valid=False)
    assert (await seen(db, lead))[0].state is LeadState.CLAIMED
    await review(db, org, odd, valid=True)
    visited, touches = await seen(db, lead)
    assert (visited.state, visited.last_action_at) == (LeadState.VISITED, NOW + DAY + HOUR)
    assert [(touch.kind, touch.at) for touch in touches] == [
        (TouchKind.FORM, NOW), (TouchKind.VISIT, NOW + DAY + HOUR),
    ]  # fmt: skip


async def test_a_counted_visit_that_is_taken_back_goes_from_stage_touches_and_attribution(
    db: Database, clock: FixedClock
) -> None:
    org = await organise(db)
    lead = await ritas(db, org, clock)
    contact = MoveLead(lead_id=lead.lead_id, move=Move.CONTACT)
    await db.write(WORKER, "rita", move_lead, contact, org.rita.user_id)
    clock.move_to(NOW + 2 * DAY)
    one = await tell(db, org, lead, NOW + DAY + HOUR)
    other = await tell(db, org, lead, NOW + DAY + 3 * HOUR)
    await review(db, org, one, valid=False)
    now, touches = await seen(db, lead)
    assert (now.state, now.last_action_at) == (LeadState.VISITED, NOW + DAY + 3 * HOUR)
    assert [touch.touch_id for touch in touches[1:]] == [other.visit_id]
    await review(db, org, other, valid=False)
    now, touches = await seen(db, lead)
    assert (now.state, now.last_action_at) == (LeadState.CONTACTED, NOW + DAY)
    assert [touch.kind for touch in touches] == [TouchKind.FORM]
    shares = {each.model: each.shares for each in shares_of(now, touches, clock.now())}
    assert [share.channel_id for share in shares[AttributionModel.LAST]] == [lead.channel_id]
    await review(db, org, one, valid=True)
    now, touches = await seen(db, lead)
    assert (now.state, [touch.touch_id for touch in touches[1:]]) == (LeadState.VISITED, [one.visit_id])


async def test_what_was_said_by_hand_outlives_a_visit_that_is_taken_back(db: Database, clock: FixedClock) -> None:
    org = await organise(db)
    lead = await ritas(db, org, clock)
    clock.move_to(NOW + 2 * DAY)
    call = NewTouch(lead_id=lead.lead_id, kind=TouchKind.CALL)
    await db.write(WORKER, "rita", touch_lead, call, org.rita.user_id)
    by_hand = MoveLead(lead_id=lead.lead_id, move=Move.VISIT)
    await db.write(WORKER, "rita", move_lead, by_hand, org.rita.user_id)
    clock.move_to(NOW + 3 * DAY)
    visit = await tell(db, org, lead, NOW + 2 * DAY + HOUR)
    await review(db, org, visit, valid=False)
    now, touches = await seen(db, lead)
    assert (now.state, now.last_action_at) == (LeadState.VISITED, NOW + 2 * DAY)
    assert [touch.kind for touch in touches] == [TouchKind.FORM, TouchKind.CALL]


async def test_a_visit_before_the_first_contact_is_never_the_first_touch(db: Database, clock: FixedClock) -> None:
    org = await organise(db)
    clock.move_to(NOW + HOUR)
    new = await bring(db)
    given = MoveLead(lead_id=new.lead_id, move=Move.ASSIGN, owner_id=org.rita.user_id)
    lead = (await db.write(WORKER, "nina", move_lead, given)).lead
    clock.move_to(NOW + 2 * HOUR)
    visit = await tell(db, org, lead, NOW)
    assert visit.counts
    touches = (await seen(db, lead))[1]
    assert [(touch.kind, touch.at) for touch in touches] == [
        (TouchKind.FORM, NOW + HOUR), (TouchKind.VISIT, NOW + HOUR),
    ]  # fmt: skip
