"""Process: agents earn commission when a merchant they won is activated, and give it back when it is lost in time.

A pass brings what is booked to what the plan says now, so it may be killed, repeated and run twice at once. The house
owes an agent on 2060, as it does any provider, and pays it as one; a clawback that finds nothing owed any more leaves
the agent owing, and is set off against what it earns next.
"""

from collections.abc import Sequence
from datetime import date
from functools import partial
from typing import Any

import msgspec

from billing import postings
from billing.ledger import store as ledger
from billing.ledger.model import NewEntry
from marketplace.core import audit
from marketplace.core.clock import local_date
from marketplace.core.db import Database, Tx
from marketplace.core.each import FIRST, each
from marketplace.core.errors import Conflict, Invalid, NotFound
from marketplace.core.ids import time_ordered_id
from marketplace.core.money import check_currency
from marketplace.core.users import UserRole, get_user
from marketplace.flows.acquisition import pay_agents_sql as sql
from marketplace.flows.acquisition.note_stages import check_alive
from supply.leads import store as leads
from supply.leads.agents import store
from supply.leads.agents.model import (
    Agent,
    AgentCommission,
    AgentKind,
    AgentMovement,
    AgentPerson,
    AgentPlan,
    AgentTerms,
    CommissionState,
)
from supply.leads.agents.rules import verdict
from supply.leads.territories import store as territories
from supply.products.hardware import store as providers

EARNED, CLAWED_BACK = "agent_commission_earned", "agent_commission_clawed_back"
_PAGE = 200


class NewAgent(msgspec.Struct, frozen=True, kw_only=True):
    """user_id: the rep; without one it is a distributor, of a territory or of none. since_on None: from today on."""

    name: str
    plan: str
    user_id: int | None = None
    territory_id: int | None = None
    since_on: date | None = None


class AgentBalance(msgspec.Struct, frozen=True, kw_only=True):
    """What an agent is owed in a currency: closing = opening + earned - clawed back - paid + other."""

    currency: str
    opening_minor: int
    earned_minor: int
    clawed_back_minor: int
    paid_minor: int
    other_minor: int
    closing_minor: int


class AgentStatement(msgspec.Struct, frozen=True, kw_only=True):
    """From a day to before another. movements: what was earned and taken back, in order."""

    agent: Agent
    from_on: date
    to_on: date
    balances: list[AgentBalance]
    movements: Sequence[AgentMovement]


async def make_plan(tx: Tx, code: str, from_on: date, terms: AgentTerms) -> AgentPlan:
    """A plan's first version, or the next one. Raises Invalid for a plan that gives nothing, Conflict."""
    check_currency(terms.currency)
    if not terms.fixed_minor and not (terms.share_ppm and terms.share_days):
        raise Invalid("terms: a plan gives a fixed amount, or a share of some days", pointer="/terms")
    known = await store.plan_versions(tx, code)
    if known and known[-1].terms.currency != terms.currency:
        raise Conflict(f"terms/currency: plan {code} is in {known[-1].terms.currency}", pointer="/terms/currency")
    made = await store.add_plan(tx, code, from_on, terms)
    await audit.record(tx, "agent plan made", f"agent_plan:{code}", version_no=made.version_no)
    return made


async def make_agent(tx: Tx, cmd: NewAgent) -> Agent:
    """Let somebody earn commission: the house owes it as a provider of its name. Raises Invalid, Conflict."""
    await store.check_plan(tx, cmd.plan)
    territory_id = cmd.territory_id
    if cmd.user_id is not None:
        territory_id = (await territories.get_rep(tx, cmd.user_id)).territory_id
    elif territory_id is not None:
        await territories.get_territory(tx, territory_id)
    provider = await providers.add_provider(tx, cmd.name)
    new = Agent(
        agent_id=time_ordered_id(tx.now), kind=AgentKind.DISTRIBUTOR if cmd.user_id is None else AgentKind.REP,
        name=cmd.name, user_id=cmd.user_id, territory_id=territory_id, provider_id=provider.provider_id,
        plan_code=cmd.plan, since_on=cmd.since_on or local_date(tx.now, "UTC"), active=True, version=1,
    )  # fmt: skip
    await audit.record(tx, "agent made", f"agent:{new.agent_id}", plan=cmd.plan)
    return await store.add_agent(tx, new)


async def add_person(tx: Tx, agent_id: int, login: str) -> AgentPerson:
    """Let somebody see what a distributor brought and earns. Raises NotFound, Conflict, Invalid."""
    agent = await store.get_agent(tx, agent_id)
    if agent.kind is not AgentKind.DISTRIBUTOR:
        raise Conflict(f"agent_id: {agent.name} is a rep, which sees its own as it is")
    try:
        user = await get_user(tx, login)
    except NotFound as missing:
        raise Invalid(f"login: there is no user {login!r}", pointer="/login") from missing
    if UserRole.DISTRIBUTOR not in user.roles:
        raise Invalid(f"login: {login!r} has not the role {UserRole.DISTRIBUTOR}", pointer="/login")
    await store.add_person(tx, agent_id, user.user_id)
    await audit.record(tx, "agent's person added", f"agent:{agent_id}", login=login)
    return AgentPerson(agent_id=agent_id, user_id=user.user_id, login=user.login)


async def remove_person(tx: Tx, agent_id: int, user_id: int) -> None:
    """Somebody sees nothing of a distributor any more. Raises NotFound."""
    await store.remove_person(tx, agent_id, user_id)
    await audit.record(tx, "agent's person removed", f"agent:{agent_id}", user_id=user_id)


async def credit_lead(tx: Tx, lead_id: int, agent_id: int) -> None:
    """Note that an agent brought a lead. Raises NotFound; Conflict when another did, or it has earned commission."""
    held = await leads.get_lead(tx, lead_id, lock=True)
    check_alive(held)
    agent = await store.get_agent(tx, agent_id)
    if not agent.active:
        raise Conflict(f"agent_id: {agent.name} is not in service", pointer="/agent_id")
    await store.credit_lead(tx, lead_id, agent_id)
    await audit.record(tx, "lead credited", f"lead:{lead_id}", agent_id=agent_id)


async def pay_agents(db: Database, actor: str) -> int:
    """Book what agents have earned and what they give back since; returns for how many merchants."""
    begun = await each(db, actor, "commission was not begun", _due, _begin)
    return begun + await each(db, actor, "commission was not looked at", partial(_open, db), _look)


async def _due(tx: Tx, last: Any | None) -> Sequence[Any]:
    return await sql.due(tx, last.lead_id if last else FIRST, _PAGE)


async def _open(db: Database, tx: Tx, last: Any | None) -> Sequence[Any]:
    today = local_date(db.clock.now(), "UTC")
    return await sql.open_commissions(tx, today, last.commission_id if last else FIRST, _PAGE)


async def _begin(tx: Tx, row: Any) -> bool:
    """The first look at a merchant that is activated."""
    house = await _hold(tx, row.merchant_id)
    agent = await store.get_agent(tx, row.agent_id)
    plan = await store.get_plan(tx, agent.plan_code, row.version_no)
    new = AgentCommission(
        commission_id=time_ordered_id(tx.now), agent_id=agent.agent_id, lead_id=row.lead_id,
        merchant_id=row.merchant_id, plan_code=plan.code, version_no=plan.version_no,
        currency=plan.terms.currency, activated_on=row.activated_on, base_minor=0, earned_minor=0,
        state=CommissionState.OPEN, lost_on=None, reason="",
    )  # fmt: skip
    await store.add_commission(tx, new)
    await _bring(tx, new, agent, house)
    return True


async def _look(tx: Tx, row: Any) -> bool:
    house = await _hold(tx, row.merchant_id)
    held = await store.get_commission(tx, row.commission_id, lock=True)
    return held.state is CommissionState.OPEN and await _bring(
        tx, held, await store.get_agent(tx, held.agent_id), house
    )


async def _hold(tx: Tx, merchant_id: int) -> Any:
    """Hold the merchant's books, then the house's."""
    await ledger.lock_books(tx, merchant_id)
    house = await sql.house_of(tx, merchant_id)
    await ledger.lock_books(tx, house.house_merchant_id)
    return house


async def _bring(tx: Tx, held: AgentCommission, agent: Agent, house: Any) -> bool:
    """Bring a held commission to what its plan says now; returns whether anything was booked."""
    today = local_date(tx.now, house.zone)
    terms = (await store.get_plan(tx, held.plan_code, held.version_no)).terms
    stands = await sql.standing(tx, held, terms, today)
    found = verdict(terms, stands)
    change = found.earned_minor - held.earned_minor
    now = msgspec.structs.replace(held, base_minor=stands.base_minor, **msgspec.structs.asdict(found))
    await store.save_commission(tx, now, today)
    if change:
        await _book(tx, now, agent, change, house.house_merchant_id, today)
    return change != 0


async def _book(tx: Tx, of: AgentCommission, agent: Agent, change: int, house_id: int, today: date) -> None:
    """Post a change: earned where it is more, or less of the same; clawed back where the merchant is lost."""
    lost = of.state is CommissionState.CLAWED_BACK
    kind = CLAWED_BACK if lost else EARNED
    moved = AgentMovement(
        movement_id=time_ordered_id(tx.now), commission_id=of.commission_id, agent_id=of.agent_id,
        merchant_id=of.merchant_id, kind=kind, currency=of.currency,
        amount_minor=change, booked_on=today, reason=of.reason,
    )  # fmt: skip
    await store.add_movement(tx, moved)
    legs = postings.agent_commission(change, agent.provider_id)
    entry = NewEntry(
        merchant_id=house_id, kind=kind, source_id=moved.movement_id, currency=of.currency, occurred_at=tx.now,
        effective_on=today, legs=legs,
    )  # fmt: skip
    await ledger.post(tx, [entry])


async def read_statement(tx: Tx, agent_id: int, from_on: date, to_on: date) -> AgentStatement:
    """What an agent was owed, earned, gave back and was paid, by the house's books. Raises NotFound, Invalid."""
    if to_on <= from_on:
        raise Invalid("to_on: must lie after from_on", field="to_on")
    agent = await store.get_agent(tx, agent_id)
    sums: dict[str, dict[str, int]] = {}
    for row in await sql.ledger_of(tx, agent.provider_id, from_on, to_on):
        column = "opening" if row.before else _COLUMNS.get(row.kind, "other")
        found = sums.setdefault(row.currency, dict.fromkeys(("opening", *_COLUMNS.values(), "other"), 0))
        found[column] += row.minor
    return AgentStatement(
        agent=agent,
        from_on=from_on,
        to_on=to_on,
        balances=[
            AgentBalance(
                currency=currency, opening_minor=found["opening"], earned_minor=found["earned"],
                clawed_back_minor=-found["clawed_back"], paid_minor=-found["paid"], other_minor=found["other"],
                closing_minor=sum(found.values()),
            )
            for currency, found in sums.items()
        ],
        movements=await store.movements_of(tx, agent_id, from_on, to_on),
    )  # fmt: skip


_COLUMNS = {EARNED: "earned", CLAWED_BACK: "clawed_back", "provider_paid": "paid"}
