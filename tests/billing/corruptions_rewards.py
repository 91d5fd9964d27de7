"""What `test_verify` plants to have the proofs of rewards and discounts fail, and the promotion that gives some."""

from typing import Any

import msgspec

from incentives.lifecycle import Move
from incentives.rules.awards import Once, Reward
from incentives.rules.model import Calendar, Schedule
from incentives.rules.parts import DAY
from marketplace.core.db import Database
from marketplace.flows.promotions.advance_incentives import advance_incentives
from marketplace.flows.promotions.grant_rewards import grant_rewards
from marketplace.flows.promotions.vest_rewards import vest_rewards
from tests.billing.corruptions_agents import AGENT_CORRUPTIONS, add_agents
from tests.billing.corruptions_discounts import DISCOUNT_CORRUPTIONS, add_discounts
from tests.incentives.market import PLAN, drafted, drafted_campaign, move, move_campaign, people, terms

_SCHEDULE = Schedule(zone="UTC", starts="2018-05-01", ends="2018-09-30")


async def add_rewards(db: Database) -> None:
    """20.00 for each week of 100.00, payable 100 days later, so that some is and some is not; and agents."""
    reward = Reward(amount=Once(threshold=10_000, amount_minor=2_000), vest_seconds=100 * DAY)
    wanted: Any = terms(schedule=_SCHEDULE, window=Calendar(period="week"), reward=reward, budgets=())
    plan = msgspec.structs.replace(PLAN, stops=PLAN.stops[1:])
    await people(db)
    made = await drafted_campaign(db, plan, _SCHEDULE)
    campaign = await move_campaign(db, made, Move.SUBMIT, Move.APPROVE, Move.SCHEDULE)
    await move(db, await drafted(db, campaign, wanted), Move.SUBMIT, Move.APPROVE, Move.SCHEDULE)
    await advance_incentives(db, "worker")
    await grant_rewards(db, "worker")
    await vest_rewards(db, "worker")
    await add_agents(db)
    await add_discounts(db)


_SOME = "(merchant_id, grant_id) = (SELECT merchant_id, grant_id FROM incentives.merchant_grant {} ORDER BY 2 LIMIT 1)"
_ENTRIES, _BUDGETS, _PROGRESS = {"rewards-are-entries"}, {"rewards-are-budgets"}, {"rewards-are-progress"}

REWARD_CORRUPTIONS: dict[str, tuple[list[str], set[str]]] = {
    "a reward of another amount than was booked": (
        [f"""UPDATE incentives.merchant_grant SET amount_minor = amount_minor + 1,
             funder_minor = ARRAY[amount_minor + 1] WHERE {_SOME.format("")}"""],
        _ENTRIES | _BUDGETS | _PROGRESS,
    ),
    "a reward said to have vested": (
        [f"""UPDATE incentives.merchant_grant SET state = 'paid'
             WHERE {_SOME.format("WHERE state = 'pending'")}"""],
        _ENTRIES,
    ),
    "a reward that became payable as something else": (
        ["UPDATE billing.entry SET kind = 'other' WHERE kind = 'incentive_vested'"], _ENTRIES,
    ),
    "a window that says something else was granted": (
        ["UPDATE incentives.merchant_progress SET granted_minor = granted_minor + 1"], _PROGRESS,
    ),
    "a reward that no budget gave": (
        ["UPDATE incentives.merchant_grant SET reservation_key = 'x' WHERE amount_minor > 0"], _BUDGETS,
    ),
    "a budget that says it has spent more": (
        ["UPDATE incentives.budget_shard SET spent_minor = spent_minor + 1, allocated_minor = allocated_minor + 1"],
        {"budgets-are-reservations"},
    ),
    "a voucher that was used for an order that paid nothing for it": (
        [f"""INSERT INTO incentives.merchant_voucher
             SELECT merchant_id, grant_id, promotion_id, grant_id, 'x', currency, amount_minor, 0, 'used', at,
                    at + interval '1 day', 'x', at
             FROM incentives.merchant_grant WHERE {_SOME.format("")}"""],
        {"vouchers-are-used-once"},
    ),
    "a reward that a payer is said to bear": (
        ["UPDATE billing.payer_contract SET pays = 'promotion'",
         f"""UPDATE incentives.merchant_grant
             SET funders = ARRAY[(SELECT name FROM billing.payer_contract LIMIT 1)] WHERE {_SOME.format("")}"""],
        _ENTRIES | {"rewards-are-shares"},
    ),
    "a promise that a payer's cap holds for nobody": (
        ["""INSERT INTO billing.payer_share
            SELECT merchant_id, 'promotion', 1, contract_id, version_id, payer_id, entity_id, 'x', currency, 'reserved',
                   period_from, shard, '{1}', '{0}', '{0}', 0, 0, 0, 0, 0, 0, 0, 0, 0, NULL, reserved_at
            FROM billing.payer_share ORDER BY merchant_id, source_id LIMIT 1"""],
        {"promises-are-shares"},
    ),
    **AGENT_CORRUPTIONS,
    **DISCOUNT_CORRUPTIONS,
}  # fmt: skip
