"""Leads at work: claims and their limits, races, recycling, merging, late stages, isolation."""

import asyncio
from datetime import timedelta
from typing import Any

import pytest

from marketplace.core.clock import FixedClock
from marketplace.core.db import WORKER, Database, Role, Scope, Tx
from marketplace.core.errors import Conflict, Forbidden, NotFound
from marketplace.flows.acquisition.claim_leads import claim_lead, deal_leads, recycle_leads, retire_rep
from marketplace.flows.acquisition.note_stages import NoteStage, note_stage, void_stage
from marketplace.flows.acquisition.work_leads import (
    MoveLead,
    NewLead,
    NewTouch,
    add_lead,
    merge_leads,
    move_lead,
    touch_lead,
)
from supply.funnels import store as funnels
from supply.leads import store
from supply.leads.lifecycle import Move
from supply.leads.model import Lead, LeadState, Model, TouchKind
from supply.leads.pools import store as pools
from supply.leads.scoring import Criterion, ScoringRules
from supply.leads.scoring_sql import add_scoring
from supply.leads.shares_sql import locked_shares
from tests.conftest import NOW
from tests.leads.market import Organisation, bring, organise


async def rollup(db: Database) -> list[tuple[Any, ...]]:
    async with db.read(WORKER) as tx:
        return [tuple(row) for row in await tx.rows("SELECT * FROM supply.stage_entry ORDER BY lead_id, stage_no")]


async def check_rollup(db: Database) -> None:
    """What was kept up step by step is what comes of making it all anew."""
    kept = await rollup(db)

    async def anew(tx: Tx) -> None:
        await tx.execute("DELETE FROM supply.stage_entry")
        await funnels.roll(tx, [row.lead_id for row in await tx.rows("SELECT lead_id FROM supply.lead")])

    await db.write(WORKER, "test", anew)
    assert await rollup(db) == kept
    assert kept


async def lead_of(db: Database, lead_id: int) -> Lead:
    async with db.read(WORKER) as tx:
        return await store.get_lead(tx, lead_id)


async def test_of_two_reps_who_claim_one_lead_at_once_one_has_it(db: Database) -> None:
    org = await organise(db)
    for number in range(8):
        lead = await bring(db, f"Shop {number}", pool_id=org.pool.pool_id)
        claims = [
            db.write(WORKER, rep.login, claim_lead, org.pool.pool_id, rep.user_id, lead.lead_id)
            for rep in (org.rita, org.rolf)
        ]
        answers = await asyncio.gather(*claims, return_exceptions=True)
        [won] = [each for each in answers if isinstance(each, Lead)]
        [refused] = [each for each in answers if isinstance(each, Conflict)]
        assert "somebody was faster" in refused.detail or "of this pool today" in refused.detail
        assert (await lead_of(db, lead.lead_id)).owner_id == won.owner_id
        await db.write(WORKER, "test", move_lead, MoveLead(lead_id=lead.lead_id, move=Move.LOSE))
    async with db.read(WORKER) as tx:
        assert await tx.scalar("SELECT count(*) FROM supply.lead_event WHERE move = 'claim'") == 8


async def test_a_day_and_a_stock_have_their_limits_however_many_hands(db: Database, clock: FixedClock) -> None:
    org = await organise(db, daily_max=3, stock_max=4)
    for number in range(12):
        await bring(db, f"Shop {number}", pool_id=org.pool.pool_id)

    async def grab(times: int) -> list[str]:
        claims = [db.write(WORKER, "rita", claim_lead, org.pool.pool_id, org.rita.user_id) for _ in range(times)]
        answers = await asyncio.gather(*claims, return_exceptions=True)
        assert all(isinstance(each, Lead | Conflict) for each in answers), answers
        return [each.detail for each in answers if isinstance(each, Conflict)]

    refused = await grab(6)
    assert len(refused) == 3
    assert all("has claimed 3 leads of this pool today" in each for each in refused)
    clock.move_to(NOW + timedelta(days=1))
    refused = await grab(3)
    assert len(refused) == 2
    assert all("holds 4 leads" in each for each in refused)


async def test_a_pools_day_counts_its_own_claims_only(db: Database) -> None:
    org = await organise(db, daily_max=1)
    rules = {name: getattr(org.pool, name) for name in pools.NewPool.__struct_fields__}
    other = await db.write(WORKER, "test", pools.add_pool, pools.NewPool(**{**rules, "name": "another"}))
    for pool in (org.pool, other):
        for number in range(2):
            await bring(db, f"Shop {pool.name} {number}", pool_id=pool.pool_id)
        await db.write(WORKER, "rita", claim_lead, pool.pool_id, org.rita.user_id)
    for pool in (org.pool, other):
        with pytest.raises(Conflict, match="has claimed 1 leads of this pool today; 1 are allowed"):
            await db.write(WORKER, "rita", claim_lead, pool.pool_id, org.rita.user_id)


async def test_a_rep_passes_no_pools_limit_by_giving_leads_to_another(db: Database) -> None:
    """A claim counts for the pool that its lead is of, so a manager alone says that it is of another."""
    org = await organise(db, daily_max=1)
    rules = {name: getattr(org.pool, name) for name in pools.NewPool.__struct_fields__}
    other = await db.write(WORKER, "test", pools.add_pool, pools.NewPool(**{**rules, "name": "another"}))
    lead = await bring(db, pool_id=org.pool.pool_id)
    await db.write(WORKER, "rita", claim_lead, org.pool.pool_id, org.rita.user_id)
    away = MoveLead(lead_id=lead.lead_id, move=Move.RELEASE, pool_id=other.pool_id)
    with pytest.raises(Forbidden, match="pool_id: a rep releases a lead into the pool that it is of"):
        await db.write(WORKER, "rita", move_lead, away, org.rita.user_id)
    back = MoveLead(lead_id=lead.lead_id, move=Move.RELEASE, pool_id=org.pool.pool_id)
    released = await db.write(WORKER, "rita", move_lead, back, org.rita.user_id)
    assert (released.lead.state, released.lead.pool_id) == (LeadState.POOLED, org.pool.pool_id)
    given = MoveLead(lead_id=lead.lead_id, move=Move.ASSIGN, owner_id=org.rolf.user_id)
    await db.write(WORKER, "nina", move_lead, given, org.nina_id)
    assert (await db.write(WORKER, "nina", move_lead, away, org.nina_id)).lead.pool_id == other.pool_id


async def test_what_lies_goes_back_and_cools_down_for_who_had_it(db: Database, clock: FixedClock) -> None:
    org = await organise(db)
    idle, busy = [await bring(db, name, pool_id=org.pool.pool_id) for name in ("Idle", "Busy")]
    for lead in (idle, busy):
        await db.write(WORKER, "rita", claim_lead, org.pool.pool_id, org.rita.user_id, lead.lead_id)
    clock.move_to(NOW + timedelta(days=2))
    assert await recycle_leads(db, "worker") == 0
    clock.move_to(NOW + timedelta(days=6))
    call = NewTouch(lead_id=busy.lead_id, kind=TouchKind.CALL)
    await db.write(WORKER, "rita", touch_lead, call, org.rita.user_id)
    clock.move_to(NOW + timedelta(days=7))
    assert await recycle_leads(db, "worker") == 1
    back = await lead_of(db, idle.lead_id)
    assert (back.state, back.owner_id, back.former_owner_id) == (LeadState.POOLED, None, org.rita.user_id)
    with pytest.raises(Conflict, match="may have it again"):
        await db.write(WORKER, "rita", claim_lead, org.pool.pool_id, org.rita.user_id, idle.lead_id)
    with pytest.raises(Conflict, match="no lead for rita"):
        await db.write(WORKER, "rita", claim_lead, org.pool.pool_id, org.rita.user_id)
    clock.move_to(NOW + timedelta(days=21))
    again = await db.write(WORKER, "rita", claim_lead, org.pool.pool_id, org.rita.user_id)
    assert again.lead_id == idle.lead_id
    assert (await lead_of(db, busy.lead_id)).owner_id == org.rita.user_id
    assert await recycle_leads(db, "worker") == 1  # the busy one has been idle since


async def test_leads_are_dealt_in_turn_the_best_first(db: Database) -> None:
    org = await organise(db, stock_max=2)
    rules = ScoringRules(
        criteria=(Criterion(part="fit", field="has_phone", at_least=1, points=50),), fit_min=50, engagement_min=0
    )
    await db.write(WORKER, "test", add_scoring, rules)
    plain = [await bring(db, f"Shop {number}", pool_id=org.pool.pool_id) for number in range(4)]
    good = await bring(db, "Good", pool_id=org.pool.pool_id, phone="0228 123456")
    assert (good.fit, plain[0].fit) == (50, 0)
    dealt = await db.write(WORKER, "test", deal_leads, org.pool.pool_id, 3)
    assert dealt.leads[0] == good.lead_id
    order = sorted((org.rita.user_id, org.rolf.user_id))
    assert dealt.owners == [order[0], order[1], order[0]]
    more = await db.write(WORKER, "test", deal_leads, org.pool.pool_id, 9)
    assert more.owners == [order[1]]  # each holds two now
    assert await db.write(WORKER, "test", retire_rep, order[0], org.pool.pool_id) == 2
    async with db.read(WORKER) as tx:
        events = await funnels.events_of(tx, good.lead_id)
    assert [event.stage for event in events] == ["lead", "qualified"]


async def test_who_is_merged_lives_on_with_history_touches_and_stages(db: Database, clock: FixedClock) -> None:
    org = await organise(db)
    early = await bring(db, "Ann's Shop GmbH", city="Kiel", channel="offline.event")
    clock.move_to(NOW + timedelta(days=3))
    late = await bring(db, "ann s shop", city="KIEL", pool_id=org.pool.pool_id)
    middle = await bring(db, "ANN'S SHOP", city="Kiel")
    async with db.read(WORKER) as tx:
        same = await store.duplicates_of(tx, late)
    assert {lead.lead_id for lead in same} == {early.lead_id, middle.lead_id}
    note = NoteStage(lead_id=early.lead_id, stage="qualified", at=NOW + timedelta(days=1))
    await db.write(WORKER, "test", note_stage, note)
    await db.write(WORKER, "rita", claim_lead, org.pool.pool_id, org.rita.user_id, late.lead_id)
    await db.write(WORKER, "test", merge_leads, early.lead_id, middle.lead_id, "the same")
    await db.write(WORKER, "test", merge_leads, middle.lead_id, late.lead_id, "the same again")
    gone, alive = await lead_of(db, early.lead_id), await lead_of(db, late.lead_id)
    assert (gone.merged_into, gone.owner_id) == (late.lead_id, org.rita.user_id)
    assert (alive.first_contact_at, alive.channel_id) == (NOW, early.channel_id)
    async with db.read(Scope(Role.SALES, org.rita.user_id)) as tx:
        steps = await tx.rows("SELECT lead_id, survivor_id FROM supply.lead_merge ORDER BY at, lead_id")
        history = await store.history_of(tx, late.lead_id)
        touches = await store.touches_of(tx, late.lead_id)
        reached = await funnels.list_entries(tx, late.lead_id)
    assert {tuple(step) for step in steps} == {
        (early.lead_id, middle.lead_id), (middle.lead_id, late.lead_id),
    }  # fmt: skip
    assert {event.lead_id for event in history} == {early.lead_id, middle.lead_id, late.lead_id}
    assert touches[0].lead_id == early.lead_id
    assert [(entry.stage_no, entry.entered_on) for entry in reached] == [
        (0, NOW.date()), (1, (NOW + timedelta(days=1)).date()),
    ]  # fmt: skip
    with pytest.raises(Conflict, match="was merged into"):
        await db.write(WORKER, "test", note_stage, note)
    await check_rollup(db)


async def test_late_and_voided_stages_leave_the_roll_up_as_if_made_anew(db: Database, clock: FixedClock) -> None:
    await organise(db)
    lead, other = await bring(db), await bring(db, "Other")
    clock.move_to(NOW + timedelta(days=40))
    await db.write(WORKER, "test", move_lead, MoveLead(lead_id=lead.lead_id, move=Move.SIGN, reason="signed"))
    await db.write(WORKER, "test", move_lead, MoveLead(lead_id=other.lead_id, move=Move.LOSE, reason="no need"))
    late = NoteStage(lead_id=lead.lead_id, stage="qualified", at=NOW + timedelta(days=5))
    noted = await db.write(WORKER, "test", note_stage, late)
    async with db.read(WORKER) as tx:
        assert [entry.inferred for entry in await funnels.list_entries(tx, lead.lead_id)] == [False] * 3
    await check_rollup(db)
    await db.write(WORKER, "test", void_stage, lead.lead_id, noted.event_id)
    with pytest.raises(Conflict, match="taken back"):
        await db.write(WORKER, "test", void_stage, lead.lead_id, noted.event_id)
    async with db.read(WORKER) as tx:
        assert [entry.inferred for entry in await funnels.list_entries(tx, lead.lead_id)] == [False, True, False]
        [lost] = await funnels.list_entries(tx, other.lead_id)
    assert lost.lost_on == (NOW + timedelta(days=40)).date()
    await check_rollup(db)
    await db.write(WORKER, "test", move_lead, MoveLead(lead_id=other.lead_id, move=Move.REOPEN))
    await check_rollup(db)


async def test_attribution_is_locked_at_activation(db: Database, clock: FixedClock) -> None:
    org = await organise(db)
    lead = await bring(db, channel="online.ads")
    await db.write(
        WORKER, "test", move_lead, MoveLead(lead_id=lead.lead_id, move=Move.ASSIGN, owner_id=org.rita.user_id)
    )
    for days, kind, channel in ((1, TouchKind.VISIT, "offline.field"), (2, TouchKind.SEEN, "online.content")):
        clock.move_to(NOW + timedelta(days=days))
        touch = NewTouch(
            lead_id=lead.lead_id, kind=kind, channel=channel, rep_id=org.rita.user_id if days == 1 else None
        )
        await db.write(WORKER, "test", touch_lead, touch)
    await db.write(WORKER, "test", move_lead, MoveLead(lead_id=lead.lead_id, move=Move.SIGN, reason="signed"))
    await db.write(WORKER, "test", note_stage, NoteStage(lead_id=lead.lead_id, stage="first_order", evidence="order 1"))
    clock.move_to(NOW + timedelta(days=3))
    after = NewTouch(lead_id=lead.lead_id, kind=TouchKind.CALL, channel="partner.media")
    await db.write(WORKER, "test", touch_lead, after)
    async with db.read(WORKER) as tx:
        found = await locked_shares(tx, lead.lead_id)
        codes = {row.channel_id: row.code for row in await tx.rows("SELECT channel_id, code FROM supply.channel")}
    shares = {each.model.value: {codes[one.channel_id]: one.share_ppm for one in each.shares} for each in found}
    assert shares["first"] == {"online.ads": 1_000_000}
    assert shares["last"] == {"online.content": 1_000_000}
    assert shares["owner"] == {"offline.field": 1_000_000}
    assert shares["position"] == {"online.ads": 400_000, "offline.field": 200_000, "online.content": 400_000}
    assert shares["linear"] == {"online.ads": 333_334, "offline.field": 333_333, "online.content": 333_333}


async def seen_by(db: Database, user_id: int) -> set[str]:
    async with db.read(Scope(Role.SALES, user_id)) as tx:
        leads = await store.list_leads(tx, limit=100)
        ids = {lead.lead_id for lead in leads}
        for table in ("lead_event", "touch", "stage_event", "stage_entry"):
            found = await tx.rows(f"SELECT DISTINCT lead_id FROM supply.{table}")
            assert {row.lead_id for row in found} == ids, table
    return {lead.company for lead in leads}


async def user_of(db: Database, login: str) -> int:
    async with db.read(WORKER) as tx:
        user_id: int = await tx.scalar("SELECT user_id FROM core.app_user WHERE login = :login", login=login)
    return user_id


async def test_a_rep_sees_its_own_a_manager_the_territory_and_what_is_below(db: Database) -> None:
    org = await organise(db)
    await bring(db, "Ritas", pool_id=org.pool.pool_id)
    await db.write(WORKER, "rita", claim_lead, org.pool.pool_id, org.rita.user_id)
    await bring(db, "Nobodys")
    await bring(db, "Southern", region="South")
    await bring(db, "Border", city="Border Town")
    await bring(db, "Nowhere", region="")
    mine = await db.write(WORKER, "sue", add_lead, _new("Sues"), org.sue.user_id)
    assert mine.lead.state is LeadState.CLAIMED
    assert await seen_by(db, org.rita.user_id) == {"Ritas"}
    assert await seen_by(db, org.rolf.user_id) == set()
    assert await seen_by(db, org.sue.user_id) == {"Sues"}
    assert await seen_by(db, await user_of(db, "nina")) == {"Ritas", "Nobodys"}
    everything = {"Ritas", "Nobodys", "Southern", "Border", "Sues"}
    assert await seen_by(db, await user_of(db, "max")) == everything
    call = NewTouch(lead_id=mine.lead.lead_id, kind=TouchKind.CALL)
    for rep in (org.rolf.user_id, org.rita.user_id):
        with pytest.raises(NotFound):
            await db.write(WORKER, "test", touch_lead, call, rep)
    reopen = MoveLead(lead_id=mine.lead.lead_id, move=Move.REOPEN)
    with pytest.raises(Forbidden, match="a rep may not reopen"):
        await db.write(WORKER, "sue", move_lead, reopen, org.sue.user_id)


def _new(company: str) -> NewLead:
    return NewLead(model=Model.PLATFORM, company=company, channel="offline.field")


async def test_every_pool_needs_its_own_territorys_reps(db: Database) -> None:
    org: Organisation = await organise(db)
    lead = await bring(db, pool_id=org.pool.pool_id)
    with pytest.raises(Conflict, match="another territory"):
        await db.write(WORKER, "sue", claim_lead, org.pool.pool_id, org.sue.user_id, lead.lead_id)
