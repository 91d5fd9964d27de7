"""What `test_verify` plants to have the proofs of agents' commission fail, and an agent that has earned some."""

from marketplace.core.db import WORKER, Database, Tx
from marketplace.flows.acquisition.note_stages import NoteStage, note_stage
from marketplace.flows.acquisition.pay_agents import NewAgent, credit_lead, make_agent, make_plan, pay_agents
from marketplace.flows.acquisition.refer_merchants import NewReferral, make_code, make_programme, refer_lead
from marketplace.flows.acquisition.work_leads import MoveLead, NewLead, add_lead, move_lead
from supply.leads.agents.model import AgentTerms
from supply.leads.lifecycle import Move
from supply.leads.model import Model
from supply.leads.referrals.model import ProgrammeTerms


async def add_agents(db: Database) -> None:
    """A distributor has won merchant 3, which merchant 1 has referred; nobody has rewarded that."""
    await db.write(WORKER, "test", _win)
    assert await pay_agents(db, "worker") == 1


async def _win(tx: Tx) -> None:
    await make_plan(tx, "flat", tx.now.date(), AgentTerms(currency="EUR", fixed_minor=20_000))
    agent = await make_agent(tx, NewAgent(name="Acme", plan="flat"))
    lead = (await add_lead(tx, NewLead(model=Model.PLATFORM, company="Three", channel="offline.agent"))).lead
    await credit_lead(tx, lead.lead_id, agent.agent_id)
    await make_programme(tx, "friends", ProgrammeTerms(currency="EUR"))
    await make_code(tx, "FRIEND-1", "friends", 1)
    await refer_lead(tx, NewReferral(code="FRIEND-1", lead_id=lead.lead_id))
    await move_lead(tx, MoveLead(lead_id=lead.lead_id, move=Move.SIGN, reason="signed", merchant_id=3))
    await note_stage(tx, NoteStage(lead_id=lead.lead_id, stage="first_order", evidence="order 1"))


_ENTRIES, _MOVEMENTS = {"agent-movements-are-entries"}, {"agent-commissions-are-movements"}

AGENT_CORRUPTIONS: dict[str, tuple[list[str], set[str]]] = {
    "commission of another amount than was booked": (
        ["UPDATE supply.agent_movement SET amount_minor = amount_minor + 1"], _ENTRIES | _MOVEMENTS,
    ),
    "commission owed to somebody else": (
        ["UPDATE supply.agent SET provider_id = provider_id + 1"], _ENTRIES,
    ),
    "commission booked that nobody has earned": (["DELETE FROM supply.agent_movement"], _ENTRIES | _MOVEMENTS),
    "a clawback that is not in the books": (
        ["UPDATE supply.agent_commission SET earned_minor = 0, state = 'clawed_back', lost_on = activated_on"],
        _MOVEMENTS,
    ),
    "a referral rewarded that is not": (
        ["UPDATE supply.referral SET state = 'rewarded', merchant_id = 3"], {"referrals-are-grants"},
    ),
}  # fmt: skip
