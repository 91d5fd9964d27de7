"""Every statement on agents, their plans, and what they have earned."""

from collections.abc import Sequence
from datetime import date
from typing import Any

import msgspec
from sqlalchemy import delete, insert, select, update
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.exc import IntegrityError

from marketplace.core import outbox
from marketplace.core.db import Tx
from marketplace.core.errors import Conflict, Invalid, NotFound
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
from supply.leads.agents.tables import agent, agent_commission, agent_movement, agent_person, agent_plan, lead_credit

_AGENT = [agent.c[field] for field in Agent.__struct_fields__]
_PLAN = [agent_plan.c[field] for field in AgentPlan.__struct_fields__]
_COMMISSION = [agent_commission.c[field] for field in AgentCommission.__struct_fields__]
_MOVEMENT = [agent_movement.c[field] for field in AgentMovement.__struct_fields__]


async def add_plan(tx: Tx, code: str, from_on: date, terms: AgentTerms) -> AgentPlan:
    """The next version of a plan. Raises Conflict unless it begins after the version before."""
    known = await plan_versions(tx, code)
    if known and from_on <= known[-1].from_on:
        raise Conflict(f"from_on: version {known[-1].version_no} holds from {known[-1].from_on} on", pointer="/from_on")
    new = AgentPlan(
        code=code, version_no=len(known) + 1, from_on=from_on, terms=terms, made_by=tx.actor, made_at=tx.now
    )  # fmt: skip
    try:
        await tx.execute(insert(agent_plan), {**msgspec.structs.asdict(new), "terms": msgspec.to_builtins(terms)})
    except IntegrityError as fault:
        raise Conflict(f"version {new.version_no} of {code} was made at the same moment") from fault
    return new


async def plan_versions(tx: Tx, code: str | None = None) -> list[AgentPlan]:
    """Every version of a plan, or of all, the oldest first."""
    query = select(*_PLAN).order_by(agent_plan.c.code, agent_plan.c.version_no)
    rows = await tx.rows(query if code is None else query.where(agent_plan.c.code == code))
    return [_plan(row) for row in rows]


async def get_plan(tx: Tx, code: str, version_no: int) -> AgentPlan:
    query = select(*_PLAN).where(agent_plan.c.code == code, agent_plan.c.version_no == version_no)
    row = await tx.row(query)
    assert row is not None, "a commission names a version that there is"
    return _plan(row)


async def check_plan(tx: Tx, code: str) -> None:
    """Raises Invalid for a plan that there is not."""
    if not await plan_versions(tx, code):
        raise Invalid(f"plan: there is no plan {code!r}", pointer="/plan")


async def add_agent(tx: Tx, new: Agent) -> Agent:
    """Raises Conflict for a name in use, and for a rep that is an agent already."""
    try:
        await tx.execute(insert(agent), {**msgspec.structs.asdict(new), "made_by": tx.actor, "made_at": tx.now})
    except IntegrityError as fault:
        raise Conflict(f"name: there is an agent {new.name!r} already, or of this rep", pointer="/name") from fault
    return new


async def get_agent(tx: Tx, agent_id: int, *, lock: bool = False) -> Agent:
    """An agent, held until the transaction ends when `lock` says so. Raises NotFound."""
    query = select(*_AGENT).where(agent.c.agent_id == agent_id)
    row = await tx.row(query.with_for_update() if lock else query)
    if row is None:
        raise NotFound(f"there is no agent {agent_id}")
    return _agent(row)


async def edit_agent(tx: Tx, agent_id: int, *, plan_code: str, active: bool) -> Agent:
    """Another plan for what is activated from now on, or out of service; the row is held, its version compared."""
    statement = update(agent).where(agent.c.agent_id == agent_id)
    await tx.execute(statement.values(plan_code=plan_code, active=active, version=agent.c.version + 1))
    return await get_agent(tx, agent_id)


async def list_agents(tx: Tx, *, limit: int, after: int = 0) -> list[Agent]:
    """At most `limit` agents by id, those behind the id `after`."""
    query = select(*_AGENT).where(agent.c.agent_id > after).order_by(agent.c.agent_id).limit(limit)
    return [_agent(row) for row in await tx.rows(query)]


async def add_person(tx: Tx, agent_id: int, user_id: int) -> None:
    """Raises Conflict for somebody who is of a distributor already."""
    row = {"user_id": user_id, "agent_id": agent_id, "made_by": tx.actor, "made_at": tx.now}
    await tx.execute(upsert(agent_person).values(row).on_conflict_do_nothing())
    known = await tx.scalar(select(agent_person.c.agent_id).where(agent_person.c.user_id == user_id))
    if known != agent_id:
        raise Conflict(f"login: is one of agent {known}", pointer="/login")


async def remove_person(tx: Tx, agent_id: int, user_id: int) -> None:
    """Raises NotFound for somebody who is not of the agent."""
    mine = delete(agent_person).where(agent_person.c.agent_id == agent_id, agent_person.c.user_id == user_id)
    if (await tx.execute(mine.returning(agent_person.c.user_id))).first() is None:
        raise NotFound(f"user {user_id} is none of agent {agent_id}'s people")


async def list_people(tx: Tx, agent_id: int) -> list[AgentPerson]:
    """A distributor's people by their logins."""
    rows = await tx.rows(
        """
        SELECT p.agent_id, p.user_id, u.login FROM supply.agent_person p
        JOIN core.app_user u ON u.user_id = p.user_id WHERE p.agent_id = :agent ORDER BY u.login
        """,
        agent=agent_id,
    )
    return [AgentPerson(**row._mapping) for row in rows]


async def carry_credit(tx: Tx, gone_id: int, survivor_id: int) -> None:
    """Who brought a lead that lives on in another brought that one, unless somebody else had before."""
    await tx.execute(
        """
        INSERT INTO supply.lead_credit (lead_id, agent_id, made_by, made_at)
        SELECT :survivor, agent_id, made_by, made_at FROM supply.lead_credit WHERE lead_id = :gone
        ON CONFLICT (lead_id) DO UPDATE SET agent_id = excluded.agent_id, made_by = excluded.made_by,
            made_at = excluded.made_at WHERE excluded.made_at < lead_credit.made_at
        """,
        {"gone": gone_id, "survivor": survivor_id},
    )


async def credit_lead(tx: Tx, lead_id: int, agent_id: int) -> None:
    """Note who brought a lead. Raises Conflict when somebody else is said to have."""
    row = {"lead_id": lead_id, "agent_id": agent_id, "made_by": tx.actor, "made_at": tx.now}
    await tx.execute(upsert(lead_credit).values(row).on_conflict_do_nothing())
    known = await tx.scalar(select(lead_credit.c.agent_id).where(lead_credit.c.lead_id == lead_id))
    if known != agent_id:
        raise Conflict(f"agent_id: agent {known} has brought the lead", pointer="/agent_id")


async def add_commission(tx: Tx, new: AgentCommission) -> None:
    """Raises Conflict for a merchant that has earned commission already."""
    try:
        await tx.execute(insert(agent_commission), {**msgspec.structs.asdict(new), "made_at": tx.now})
    except IntegrityError as fault:
        raise Conflict(f"merchant {new.merchant_id} has earned commission already") from fault


async def get_commission(tx: Tx, commission_id: int, *, lock: bool = False) -> AgentCommission:
    """Raises NotFound."""
    query = select(*_COMMISSION).where(agent_commission.c.commission_id == commission_id)
    row = await tx.row(query.with_for_update() if lock else query)
    if row is None:
        raise NotFound(f"there is no commission {commission_id}")
    return _commission(row)


async def list_commissions(
    tx: Tx, *, limit: int, before: int | None = None, agent_id: int | None = None
) -> list[AgentCommission]:
    """At most `limit`, the newest first, behind the id `before`."""
    query = select(*_COMMISSION)
    if agent_id is not None:
        query = query.where(agent_commission.c.agent_id == agent_id)
    if before is not None:
        query = query.where(agent_commission.c.commission_id < before)
    rows = await tx.rows(query.order_by(agent_commission.c.commission_id.desc()).limit(limit))
    return [_commission(row) for row in rows]


async def save_commission(tx: Tx, now: AgentCommission, looked_on: date) -> None:
    """How a held commission stands, and tell of it when that is not how it stood."""
    values = {name: getattr(now, name) for name in ("base_minor", "earned_minor", "state", "lost_on", "reason")}
    statement = update(agent_commission).where(agent_commission.c.commission_id == now.commission_id)
    await tx.execute(statement.values(**values, looked_on=looked_on))


async def add_movement(tx: Tx, new: AgentMovement) -> None:
    await tx.execute(insert(agent_movement), {**msgspec.structs.asdict(new), "made_at": tx.now})
    told = msgspec.structs.asdict(new)
    told["won_merchant_id"] = told.pop("merchant_id")
    await outbox.emit(tx, "supply.agent_commission_changed.v1", told)


async def movements_of(tx: Tx, agent_id: int, from_on: date, to_on: date) -> Sequence[AgentMovement]:
    """What was booked for an agent from a day to before another, in order."""
    query = select(*_MOVEMENT).where(agent_movement.c.agent_id == agent_id)
    query = query.where(agent_movement.c.booked_on >= from_on, agent_movement.c.booked_on < to_on)
    return [AgentMovement(**row._mapping) for row in await tx.rows(query.order_by(agent_movement.c.movement_id))]


def _agent(row: Any) -> Agent:
    return Agent(**{**row._mapping, "kind": AgentKind(row.kind)})


def _plan(row: Any) -> AgentPlan:
    return AgentPlan(**{**row._mapping, "terms": msgspec.convert(row.terms, AgentTerms)})


def _commission(row: Any) -> AgentCommission:
    return AgentCommission(**{**row._mapping, "state": CommissionState(row.state)})
