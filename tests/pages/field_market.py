"""A sales team on a billed market, with what its pages show."""

from datetime import timedelta
from typing import Any

import msgspec

from marketplace.core import users
from marketplace.core.db import WORKER, Database, Tx
from marketplace.flows.acquisition import attend_fairs as fairs
from marketplace.flows.acquisition.note_stages import NoteStage, note_stage
from marketplace.flows.acquisition.pay_agents import (
    NewAgent,
    add_person,
    credit_lead,
    make_agent,
    make_plan,
    pay_agents,
)
from marketplace.flows.acquisition.refer_merchants import NewReferral, make_code, make_programme, refer_lead
from marketplace.flows.acquisition.work_leads import MoveLead, move_lead
from marketplace.flows.demo.run_demo import PASSWORD
from marketplace.flows.steering.set_goals import SetGoal, set_goal
from marketplace.metrics.periods import Grain
from supply.leads.agents.model import AgentTerms
from supply.leads.events.model import FairKind
from supply.leads.lifecycle import Move
from supply.leads.model import Lead
from supply.leads.referrals.model import ProgrammeTerms
from supply.leads.visits import store as visits
from supply.leads.visits.model import Flag, Oddity, VisitState
from tests.leads.market import bring, organise
from tests.pages.conftest import MARKET_NOW, MINE

TODAY = MARKET_NOW.date()


async def staff_the_field(db: Database) -> list[Lead]:
    """Rita has won one lead (200.00), which came with a code, and holds a late one; Sue holds one far away.

    Dora's distributor brought another, since clawed back; one waits in the northern pool. All may sign in. Somebody is
    registered for a fair that begins today.
    """
    org = await organise(db)
    found = [await bring(db, name, phone=f"+49 228 5{n}", first_contact_at=MARKET_NOW - timedelta(days=40))
             for n, name in enumerate(("Won <1>", "Late <2>", "Brought <3>"))]  # fmt: skip
    found.append(await bring(db, "Waiting <4>", pool_id=org.pool.pool_id))
    found.append(await bring(db, "Far <5>", region="South"))

    async def work(tx: Tx) -> None:
        dora = await users.create_user(tx, "dora", "Dora <Person>", ["distributor"], password=PASSWORD)
        for login in ("rita", "nina", "sue"):
            await users.set_password(tx, login, PASSWORD)
        await make_plan(tx, "flat", TODAY - timedelta(days=1), AgentTerms(currency="EUR", fixed_minor=20_000))
        await make_agent(tx, NewAgent(name="Rita", plan="flat", user_id=org.rita.user_id))
        acme = await make_agent(tx, NewAgent(name="Acme <GmbH>", plan="flat"))
        await add_person(tx, acme.agent_id, dora.login)
        for lead, rep in ((found[0], org.rita), (found[1], org.rita), (found[4], org.sue)):
            await move_lead(tx, MoveLead(lead_id=lead.lead_id, move=Move.ASSIGN, owner_id=rep.user_id))
        await make_programme(tx, "friends", ProgrammeTerms(currency="EUR"))
        await make_code(tx, "FRIEND-1", "friends", MINE)
        await refer_lead(tx, NewReferral(code="FRIEND-1", lead_id=found[0].lead_id))
        await credit_lead(tx, found[2].lead_id, acme.agent_id)
        for lead, merchant_id in ((found[0], 3), (found[2], 4)):
            sign = MoveLead(lead_id=lead.lead_id, move=Move.SIGN, reason="contract", merchant_id=merchant_id)
            await move_lead(tx, sign)
            told = NoteStage(lead_id=lead.lead_id, stage="first_order", evidence="order")
            await note_stage(tx, told)
        fair = fairs.NewFair(
            code="expo", name="Expo <x>", kind=FairKind.CONFERENCE, starts_on=TODAY, ends_on=TODAY + timedelta(days=1)
        )
        expo = await fairs.make_fair(tx, fair)
        await fairs.register(tx, expo.fair_id, [fairs.NewAttendee(badge="B-1", company="Met <6>", contact="Kim")])
        await fairs.make_task(tx, found[1].lead_id, "call <them> again", TODAY + timedelta(days=1))
        odd: dict[str, Any] = {"state": VisitState.DONE, "in_at": MARKET_NOW, "out_at": MARKET_NOW}
        far = visits.blank(
            tx, found[1].lead_id, org.rita.user_id, **odd, flags=[Flag(oddity=Oddity.FAR, reason="2 km")]
        )
        await visits.add_visit(tx, msgspec.structs.replace(far, result="nobody <there>"))
        owners: list[dict[str, Any]] = [
            {"rep_id": org.rita.user_id},
            {"territory_id": org.north},
            {"rep_id": org.sue.user_id},
        ]
        for whose in owners:
            goal = SetGoal(
                metric="signed_merchants", grain=Grain.WEEK, on=TODAY, target=8, owner="ops",
                reason="to grow", **whose,
            )  # fmt: skip
            await set_goal(tx, goal)

    await db.write(WORKER, "greta", work)
    await pay_agents(db, "worker")
    await db.write(WORKER, "greta", _close_the_brought)
    await pay_agents(db, "worker")
    return found


async def _close_the_brought(tx: Tx) -> None:
    await tx.execute(
        "UPDATE supply.merchant SET state = 'closed', closed_on = :day WHERE merchant_id = 4", {"day": TODAY}
    )
