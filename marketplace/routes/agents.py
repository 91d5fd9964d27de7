"""Who earns commission for winning merchants, by which plan, and what. A rep sees its own, a manager the territory."""

from datetime import date
from typing import Annotated

import msgspec
from litestar import Response, delete, get, patch, post
from litestar.di import NamedDependency
from litestar.params import JSONBody, QueryParameter

from marketplace.core.db import WORKER, Database, Tx
from marketplace.core.paging import Page, decode_cursor, page
from marketplace.flows.acquisition import pay_agents as agents
from marketplace.flows.acquisition.compare_sales import MerchantGrowth, Teams, compare_merchants, compare_teams
from marketplace.flows.acquisition.pay_agents import AgentStatement
from marketplace.routes.fields import Id, Name, Reference
from marketplace.routes.parameters import LIMIT, Cursor, FromOn, Limit, PathId, QueryEntity, ToOn
from marketplace.web.auth import ActorRequest
from marketplace.web.body import StrictBody
from marketplace.web.etag import edited, tagged, versioned
from marketplace.web.guards import DISTRIBUTOR, FINANCE, GROWTH, SALES, STAFF, needs
from marketplace.web.once import once
from marketplace.web.openapi import ALSO, ONCE
from supply.leads.agents import store
from supply.leads.agents.model import Agent, AgentCommission, AgentPerson, AgentPlan, AgentTerms, PlanCode
from supply.leads.model import Model

_ONE = "/agents/{agent_id:int}"
OfCurrency = Annotated[str, QueryParameter(pattern="^[A-Z]{3}$")]
OfModel = Annotated[Model, QueryParameter(name="model")]


class PlanBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """from_on: it holds for merchants activated from that day on."""

    code: PlanCode
    from_on: date
    terms: AgentTerms


class AgentBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """plan: the code of one. user_id: the rep; without one it is a distributor. since_on: from today on."""

    name: Name
    plan: PlanCode
    user_id: Id | None = None
    territory_id: Id | None = None
    since_on: date | None = None


class AgentChanges(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """null leaves a field as it is. What merchants have earned already stays by the plan that they earned it by."""

    plan: PlanCode | None = None
    active: bool | None = None


class PersonBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A user, by its login."""

    login: Reference


class CreditBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Who brought the lead."""

    agent_id: Id


class LeadCredited(msgspec.Struct, frozen=True, kw_only=True):
    lead_id: int
    agent_id: int


@get("/agent-plans", guards=[needs(STAFF, SALES)])
async def list_agent_plans(request: ActorRequest, db: NamedDependency[Database]) -> list[AgentPlan]:
    """Every version of every plan of commission."""
    async with db.read(request.user.scope) as tx:
        return await store.plan_versions(tx)


@post("/agent-plans", dto=StrictBody[PlanBody], guards=[needs(FINANCE)], opt=ONCE)
async def create_agent_plan(
    request: ActorRequest, db: NamedDependency[Database], data: JSONBody[PlanBody]
) -> Response[AgentPlan]:
    """A plan, or its next version: finance says what is paid for an activated merchant."""
    return await once(request, db, agents.make_plan, data.code, data.from_on, data.terms)


@get("/agents", guards=[needs(STAFF, SALES, DISTRIBUTOR)])
async def list_agents(
    request: ActorRequest, db: NamedDependency[Database], limit: Limit = LIMIT, cursor: Cursor = None
) -> Page[Agent]:
    """Who earns commission."""
    (after,) = decode_cursor(cursor, tuple[int]) or (0,)
    async with db.read(request.user.scope) as tx:
        rows = await store.list_agents(tx, limit=limit + 1, after=after)
    return page(rows, limit, lambda row: row, lambda row: (row.agent_id,))


@post("/agents", dto=StrictBody[AgentBody], guards=[needs(GROWTH)], opt={**ONCE, ALSO: (404,)})
async def create_agent(
    request: ActorRequest, db: NamedDependency[Database], data: JSONBody[AgentBody]
) -> Response[Agent]:
    """Let a rep or a distributor earn commission; the house owes it as a provider of its name."""
    return await once(request, db, agents.make_agent, agents.NewAgent(**msgspec.structs.asdict(data)))


@get(_ONE, guards=[needs(STAFF, SALES, DISTRIBUTOR)])
async def get_agent(request: ActorRequest, db: NamedDependency[Database], agent_id: PathId) -> Response[Agent]:
    """One agent."""
    async with db.read(request.user.scope) as tx:
        found = await store.get_agent(tx, agent_id)
    return tagged(found, found.version)


@patch(_ONE, dto=StrictBody[AgentChanges], guards=[needs(GROWTH)], opt=versioned())
async def change_agent(
    request: ActorRequest, db: NamedDependency[Database], agent_id: PathId, data: JSONBody[AgentChanges]
) -> Response[Agent]:
    """Another plan for what is activated from now on, or out of service."""

    async def change(tx: Tx, held: Agent) -> Agent:
        plan = data.plan or held.plan_code
        await store.check_plan(tx, plan)
        active = held.active if data.active is None else data.active
        return await store.edit_agent(tx, agent_id, plan_code=plan, active=active)

    return await edited(request, db, lambda tx: store.get_agent(tx, agent_id, lock=True), change)


@get(f"{_ONE}/people", guards=[needs(STAFF)])
async def list_agent_people(
    request: ActorRequest, db: NamedDependency[Database], agent_id: PathId
) -> list[AgentPerson]:
    """A distributor's own people."""
    async with db.read(request.user.scope) as tx:
        await store.get_agent(tx, agent_id)
        return await store.list_people(tx, agent_id)


@post(f"{_ONE}/people", dto=StrictBody[PersonBody], guards=[needs(GROWTH)], opt=ONCE)
async def create_agent_person(
    request: ActorRequest, db: NamedDependency[Database], agent_id: PathId, data: JSONBody[PersonBody]
) -> Response[AgentPerson]:
    """Let a user with the role `distributor` see the leads that a distributor brought, and its commission."""
    return await once(request, db, agents.add_person, agent_id, data.login)


@delete(f"{_ONE}/people/{{user_id:int}}", guards=[needs(GROWTH)], status_code=204)
async def remove_agent_person(
    request: ActorRequest, db: NamedDependency[Database], agent_id: PathId, user_id: PathId
) -> None:
    """Show somebody nothing of a distributor any more."""
    await db.write(WORKER, request.user.login, agents.remove_person, agent_id, user_id)


@get(f"{_ONE}/commissions", guards=[needs(STAFF, SALES, DISTRIBUTOR)])
async def list_commissions(
    request: ActorRequest, db: NamedDependency[Database], agent_id: PathId, limit: Limit = LIMIT, cursor: Cursor = None
) -> Page[AgentCommission]:
    """What an agent has earned with each merchant, the newest first."""
    (before,) = decode_cursor(cursor, tuple[int]) or (None,)
    async with db.read(request.user.scope) as tx:
        await store.get_agent(tx, agent_id)
        rows = await store.list_commissions(tx, limit=limit + 1, before=before, agent_id=agent_id)
    return page(rows, limit, lambda row: row, lambda row: (row.commission_id,))


@get(f"{_ONE}/statement", guards=[needs(STAFF, SALES, DISTRIBUTOR)])
async def get_agent_statement(
    request: ActorRequest, db: NamedDependency[Database], agent_id: PathId, from_on: FromOn, to_on: ToOn
) -> AgentStatement:
    """What an agent was owed, earned, gave back and was paid, by the house's books."""
    async with db.read(request.user.scope) as tx:
        await store.get_agent(tx, agent_id)  # whoever sees the agent may see its statement
    async with db.read(WORKER) as tx:
        return await agents.read_statement(tx, agent_id, from_on, to_on)


@post("/leads/{lead_id:int}/agent", dto=StrictBody[CreditBody], guards=[needs(GROWTH)], opt=ONCE)
async def credit_lead(
    request: ActorRequest, db: NamedDependency[Database], lead_id: PathId, data: JSONBody[CreditBody]
) -> Response[LeadCredited]:
    """Note who brought a lead, where that is not the rep who holds it: of two that claim it, the first."""

    async def work(tx: Tx) -> LeadCredited:
        await agents.credit_lead(tx, lead_id, data.agent_id)
        return LeadCredited(lead_id=lead_id, agent_id=data.agent_id)

    return await once(request, db, work)


@get("/team-comparison", guards=[needs(STAFF)])
async def get_team_comparison(
    request: ActorRequest,
    db: NamedDependency[Database],
    from_on: FromOn,
    to_on: ToOn,
    currency: OfCurrency,
    of_model: OfModel = Model.PLATFORM,
) -> Teams:
    """The own team against distributors, per head and per cost, of leads that began in a period."""
    async with db.read(request.user.scope) as tx:
        return await compare_teams(tx, from_on, to_on, currency, of_model)


@get("/merchant-growth", guards=[needs(STAFF)])
async def get_merchant_growth(
    request: ActorRequest,
    db: NamedDependency[Database],
    from_on: FromOn,
    to_on: ToOn,
    currency: OfCurrency,
    entity_id: QueryEntity = None,
) -> MerchantGrowth:
    """New against existing merchants: activation, retention, reactivation, expansion, NRR and quick ratio."""
    async with db.read(request.user.scope) as tx:
        return await compare_merchants(tx, from_on, to_on, currency, entity_id)


HANDLERS = [
    list_agent_plans,
    create_agent_plan,
    list_agents,
    create_agent,
    get_agent,
    change_agent,
    list_agent_people,
    create_agent_person,
    remove_agent_person,
    list_commissions,
    get_agent_statement,
    credit_lead,
    get_team_comparison,
    get_merchant_growth,
]
