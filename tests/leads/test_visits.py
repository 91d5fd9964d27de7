"""What a visit does to its lead: nothing until it counts, and nothing any more once that is taken back."""

from datetime import datetime, timedelta

from marketplace.core.clock import FixedClock
from marketplace.core.db import WORKER, Database, Tx
from marketplace.flows.acquisition import make_visits as visits
from marketplace.flows.acquisition.work_leads import MoveLead, NewTouch, merge_leads, move_lead, touch_lead
from supply.funnels import store as funnels
from supply.leads import store
from supply.leads.attribution import AttributionModel
from supply.leads.lifecycle import Move
from supply.leads.model import Lead, LeadState, Rep, Touch, TouchKind
from supply.leads.scoring import Criterion, ScoringRules
from supply.leads.scoring_sql import add_scoring
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


async def tell(
    db: Database, org: Organisation, lead: Lead, came: datetime, *, mocked: bool = False, by: Rep | None = None
) -> Visit:
    """Rita's device, or another rep's, tells of half an hour at the door."""
    rep = by or org.rita
    came_at, left = (Fix(at=at, place=DOOR, accuracy_m=10, mocked=mocked) for at in (came, came + HOUR / 2))
    told = visits.ToldVisit(ref=came.isoformat(), lead_id=lead.lead_id, came=came_at, left=left)
    cmd = visits.SyncVisits(device_id=f"phone of {rep.login}", sent_at=db.clock.now(), visits=(told,))
    [synced] = await db.write(WORKER, rep.login, visits.sync_visits, cmd, rep.user_id)
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


async def test_what_another_rep_did_at_the_door_long_ago_leaves_no_lead_visited(
    db: Database, clock: FixedClock
) -> None:
    """Rita was there and gave the lead back; what rolf tells of is taken back: nobody who holds it was there."""
    org = await organise(db)
    lead = await ritas(db, org, clock)
    clock.move_to(NOW + 2 * DAY)
    assert (await tell(db, org, lead, NOW + DAY + HOUR)).counts
    back = MoveLead(lead_id=lead.lead_id, move=Move.RELEASE, pool_id=org.pool.pool_id)
    await db.write(WORKER, "nina", move_lead, back)
    clock.move_to(NOW + 3 * DAY)
    given = MoveLead(lead_id=lead.lead_id, move=Move.ASSIGN, owner_id=org.rolf.user_id)
    await db.write(WORKER, "nina", move_lead, given)
    clock.move_to(NOW + 4 * DAY)
    visit = await tell(db, org, lead, NOW + 3 * DAY + HOUR, by=org.rolf)
    assert (await seen(db, lead))[0].state is LeadState.VISITED
    await review(db, org, visit, valid=False)
    assert (await seen(db, lead))[0].state is LeadState.CLAIMED


async def qualified(db: Database, lead: Lead) -> bool:
    async with db.read(WORKER) as tx:
        funnel = await funnels.newest_funnel(tx, lead.model)
        entries = await funnels.list_entries(tx, lead.lead_id)
    return funnel.place("qualified") in {entry.stage_no for entry in entries}


async def test_a_lead_that_the_score_qualified_by_a_visit_does_not_without_it(db: Database, clock: FixedClock) -> None:
    """One thing done makes an MQL: with the visit it is one, without it none, and with a call as well it stays one."""
    org = await organise(db)
    met = Criterion(part="engagement", field="actions", at_least=1, points=50)
    await db.write(WORKER, "test", add_scoring, ScoringRules(criteria=(met,), fit_min=0, engagement_min=50))
    lead = await ritas(db, org, clock)
    clock.move_to(NOW + 2 * DAY)
    visit = await tell(db, org, lead, NOW + DAY + HOUR)
    assert await qualified(db, lead)
    await review(db, org, visit, valid=False)
    assert not await qualified(db, lead)
    clock.move_to(NOW + 3 * DAY)
    await review(db, org, visit, valid=True)
    assert await qualified(db, lead)
    call = NewTouch(lead_id=lead.lead_id, kind=TouchKind.CALL)
    await db.write(WORKER, "rita", touch_lead, call, org.rita.user_id)
    await review(db, org, visit, valid=False)
    assert await qualified(db, lead)


async def test_looking_into_a_visit_of_a_merged_lead_holds_the_one_that_lives_on_alone(
    db: Database, clock: FixedClock
) -> None:
    """Two leads are held in the order of their ids only; who looks into a visit holds one."""
    org = await organise(db)
    lead = await ritas(db, org, clock)
    clock.move_to(NOW + 2 * DAY)
    odd = await tell(db, org, lead, NOW + DAY + HOUR, mocked=True)
    other = await bring(db, "The same shop")
    for move in (Move.ASSIGN, Move.NEGOTIATE):
        step = MoveLead(lead_id=other.lead_id, move=move, owner_id=org.rita.user_id if move is Move.ASSIGN else None)
        await db.write(WORKER, "nina", move_lead, step)
    await db.write(WORKER, "nina", merge_leads, lead.lead_id, other.lead_id, "the same")

    async def hold(tx: Tx) -> None:
        await tx.execute("SELECT FROM supply.lead WHERE lead_id = :lead FOR UPDATE NOWAIT", {"lead": lead.lead_id})

    async def look_into(tx: Tx) -> None:
        await visits.review_visit(tx, odd.visit_id, True, "asked there", org.nina_id)
        await db.write(WORKER, "test", hold)

    await db.write(WORKER, "nina", look_into)
    assert [touch.kind for touch in (await seen(db, other))[1]] == [TouchKind.FORM, TouchKind.VISIT, TouchKind.FORM]
