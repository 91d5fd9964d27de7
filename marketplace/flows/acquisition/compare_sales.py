"""The own team against distributors, per head and per cost; new merchants against those that were there."""

from collections.abc import Sequence
from datetime import date, timedelta
from typing import Any

import msgspec

from marketplace.core.db import Tx
from marketplace.core.errors import Invalid
from marketplace.core.money import MINOR_DIGITS, check_currency
from marketplace.core.rates import PPM, divide_half_even
from marketplace.flows.acquisition.weigh_sales_sql import OWN_LEADS
from supply.funnels import store as funnels
from supply.leads.economics import cost_per
from supply.leads.growth import Growth, growth
from supply.leads.model import Model

ACTIVATED_WITHIN = timedelta(days=30)


class Team(msgspec.Struct, frozen=True, kw_only=True):
    """heads: in service today. won, activated: of the leads that began in the period. None where nothing divides.

    per head in millionths; activated_per_thousand_ppm: for each 1,000 of the currency.
    """

    heads: int
    cost_minor: int
    commission_minor: int
    leads: int
    won: int
    activated: int
    won_ppm: int | None
    leads_per_head_ppm: int | None
    activated_per_head_ppm: int | None
    cost_per_head_minor: int | None
    cost_per_activated_minor: int | None
    activated_per_thousand_ppm: int | None


class Teams(msgspec.Struct, frozen=True, kw_only=True):
    """own: reps; agents: distributors. Leads that nobody holds are neither's."""

    currency: str
    from_on: date
    to_on: date
    own: Team
    agents: Team


class MerchantGrowth(msgspec.Struct, frozen=True, kw_only=True):
    """growth: what merchants brought the house, against the period of the same length before.

    live: merchants that went live in the period; activated of them delivered an order within 30 days of it. mature:
    whether those days are over for all of them.
    """

    currency: str
    from_on: date
    to_on: date
    growth: Growth
    live: int
    activated: int
    activation_ppm: int | None
    mature: bool


_WON = """
    SELECT c.distributor <> '' AS by_agents, count(*) AS leads,
           count(*) FILTER (WHERE e.won_on IS NOT NULL) AS won,
           count(*) FILTER (WHERE EXISTS (SELECT FROM supply.stage_entry s
                                          WHERE s.lead_id = c.lead_id AND s.stage_no = :activated)) AS activated,
           coalesce(sum(k.minor), 0)::bigint AS commission_minor
    FROM ({leads}) c JOIN supply.stage_entry e ON e.lead_id = c.lead_id AND e.stage_no = 0
    LEFT JOIN LATERAL (
        SELECT sum(k.earned_minor) AS minor FROM supply.lead own
        JOIN supply.agent_commission k ON k.lead_id = own.lead_id AND k.currency = :currency
        WHERE own.lead_id = c.lead_id OR own.merged_into = c.lead_id
    ) k ON true
    WHERE c.distributor <> '' OR c.rep <> '' GROUP BY 1
"""
_SPENT = """
    SELECT a.agent_id IS NOT NULL OR (k.seller = '' AND 'offline.agent' = ANY(above.codes)) AS by_agents,
           sum(k.amount_minor)::bigint AS minor
    FROM supply.channel_cost k
    JOIN supply.channel h ON h.channel_id = k.channel_id
    JOIN LATERAL (SELECT array_agg(code) AS codes FROM supply.channel WHERE channel_id = ANY(h.path)) above ON true
    LEFT JOIN supply.agent a ON a.name = k.seller AND a.kind = 'distributor'
    WHERE k.spent_on >= :from_on AND k.spent_on < :to_on AND k.currency = :currency
      AND (k.seller <> '' OR above.codes && ARRAY['offline.agent', 'offline.field'])
    GROUP BY 1
"""
"""What was spent on a seller is its team's; what was spent on nobody counts where the channel is a team's own."""
_HEADS = """
    SELECT (SELECT count(*) FROM supply.rep WHERE active) AS own,
           (SELECT count(*) FROM supply.agent WHERE active AND kind = 'distributor') AS agents
"""


async def compare_teams(tx: Tx, from_on: date, to_on: date, currency: str, model: Model = Model.PLATFORM) -> Teams:
    """Own reps against distributors, of leads that began in a period. Raises Invalid."""
    _check(from_on, to_on, currency)
    funnel = await funnels.newest_funnel(tx, model)
    period: dict[str, Any] = {"from_on": from_on, "to_on": to_on, "currency": currency}
    won = await tx.rows(
        _WON.format(leads=OWN_LEADS),
        **period,
        model=model,
        version=funnel.version_no,
        activated=funnel.place(funnel.activated),
    )
    spent = await tx.rows(_SPENT, **period)
    heads: Any = await tx.row(_HEADS)
    return Teams(
        currency=currency,
        from_on=from_on,
        to_on=to_on,
        own=_team(False, heads.own, won, spent, currency),
        agents=_team(True, heads.agents, won, spent, currency),
    )


def _team(by_agents: bool, heads: int, won: Sequence[Any], spent: Sequence[Any], currency: str) -> Team:
    found = next((row for row in won if row.by_agents == by_agents), None)
    leads, signed, activated, commission = (
        (found.leads, found.won, found.activated, found.commission_minor) if found else (0, 0, 0, 0)
    )
    cost = commission + sum(row.minor for row in spent if row.by_agents == by_agents)
    thousand = 1_000 * 10 ** MINOR_DIGITS[currency]
    return Team(
        heads=heads,
        cost_minor=cost,
        commission_minor=commission,
        leads=leads,
        won=signed,
        activated=activated,
        won_ppm=cost_per(signed * PPM, leads),
        leads_per_head_ppm=cost_per(leads * PPM, heads),
        activated_per_head_ppm=cost_per(activated * PPM, heads),
        cost_per_head_minor=cost_per(cost, heads),
        cost_per_activated_minor=cost_per(cost, activated),
        activated_per_thousand_ppm=divide_half_even(activated * thousand * PPM, cost) if cost > 0 else None,
    )


_EARNED = """
    SELECT merchant_id,
           coalesce(-sum(amount_minor) FILTER (WHERE effective_on >= :from_on), 0)::bigint AS now,
           coalesce(-sum(amount_minor) FILTER (WHERE effective_on >= :before_on AND effective_on < :from_on), 0)::bigint
               AS before,
           coalesce(-sum(amount_minor) FILTER (WHERE effective_on < :before_on), 0)::bigint AS earlier
    FROM billing.posting
    WHERE account BETWEEN 4000 AND 4099 AND currency = :currency AND effective_on < :to_on
      AND merchant_id NOT IN (SELECT house_merchant_id FROM billing.entity)
    GROUP BY merchant_id
"""
_LIVE = """
    SELECT count(*) AS live, count(*) FILTER (WHERE o.first_on <= m.joined_on + CAST(:days AS integer)) AS activated,
           max(m.joined_on) AS last_on
    FROM supply.merchant m
    LEFT JOIN (SELECT merchant_id, min(delivered_on) AS first_on FROM demand.merchant_order
               WHERE delivered_on IS NOT NULL GROUP BY merchant_id) o ON o.merchant_id = m.merchant_id
    WHERE m.joined_on >= :from_on AND m.joined_on < :to_on
"""


async def compare_merchants(tx: Tx, from_on: date, to_on: date, currency: str) -> MerchantGrowth:
    """New against existing merchants, by what the house earned with them: accounts 4000 to 4099. Raises Invalid."""
    _check(from_on, to_on, currency)
    before_on = from_on - (to_on - from_on)
    rows = await tx.rows(_EARNED, from_on=from_on, to_on=to_on, before_on=before_on, currency=currency)
    live: Any = await tx.row(_LIVE, from_on=from_on, to_on=to_on, days=ACTIVATED_WITHIN.days)
    return MerchantGrowth(
        currency=currency,
        from_on=from_on,
        to_on=to_on,
        growth=growth(
            {row.merchant_id: row.before for row in rows},
            {row.merchant_id: row.now for row in rows},
            {row.merchant_id for row in rows if row.earlier > 0},
        ),
        live=live.live,
        activated=live.activated,
        activation_ppm=cost_per(live.activated * PPM, live.live),
        mature=live.last_on is None or live.last_on + ACTIVATED_WITHIN <= tx.now.date(),
    )


def _check(from_on: date, to_on: date, currency: str) -> None:
    check_currency(currency)
    if to_on <= from_on:
        raise Invalid("to: must lie after `from`", field="to")
