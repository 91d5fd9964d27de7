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
from marketplace.metrics.inputs_sql import ACTIVATED_WITHIN, activation
from marketplace.metrics.periods import Span, compared
from supply.funnels import store as funnels
from supply.leads.economics import cost_per
from supply.leads.growth import Growth, growth
from supply.leads.model import Model


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
    """growth: what merchants brought the house, against the period before: the month before a month, else as many days.

    against_from, against_to: that period; of one that is running, its days that are over against as many. live:
    merchants that went live in the period; activated of them delivered an order within 30 days of it. mature: the
    period is over, and those days are for all of them.
    """

    currency: str
    from_on: date
    to_on: date
    against_from: date
    against_to: date
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
    SELECT k.merchant_id, k.currency, k.effective_on AS day, k.credit_minor - k.debit_minor AS minor
    FROM billing.account_day k JOIN supply.merchant m ON m.merchant_id = k.merchant_id
    WHERE k.account BETWEEN 4000 AND 4099 AND (CAST(:entity AS integer) IS NULL OR m.entity_id = :entity)
      AND m.merchant_id NOT IN (SELECT house_merchant_id FROM billing.entity)
"""
_SOLD = """
    SELECT merchant_id, currency, day, completed_goods_minor AS minor
    FROM metrics.order_day WHERE CAST(:entity AS integer) IS NULL OR entity_id = :entity
"""
_GROWTH = """
    SELECT merchant_id, coalesce(sum(minor) FILTER (WHERE day >= :from_on), 0)::bigint AS now,
           coalesce(sum(minor) FILTER (WHERE day >= :before_on AND day < :until), 0)::bigint AS before,
           coalesce(sum(minor) FILTER (WHERE day < :before_on), 0)::bigint AS earlier
    FROM ({}) k WHERE currency = :currency AND day < :to_on
    GROUP BY merchant_id
"""


async def earned_growth(tx: Tx, now: Span, then: Span, currency: str, entity_id: int | None = None) -> Growth:
    """What became of merchants between two periods, by what the house earned with them: accounts 4000 to 4099."""
    return await _growth(tx, _EARNED, now, then, currency, entity_id)


async def sold_growth(tx: Tx, now: Span, then: Span, currency: str, entity_id: int | None = None) -> Growth:
    """The same by completed GMV."""
    return await _growth(tx, _SOLD, now, then, currency, entity_id)


async def _growth(tx: Tx, of: str, now: Span, then: Span, currency: str, entity_id: int | None) -> Growth:
    rows = await tx.rows(
        _GROWTH.format(of),
        from_on=now.from_on,
        to_on=now.to_on,
        before_on=then.from_on,
        until=then.to_on,
        currency=currency,
        entity=entity_id,
    )
    return growth(
        {row.merchant_id: row.before for row in rows},
        {row.merchant_id: row.now for row in rows},
        {row.merchant_id for row in rows if row.earlier > 0},
    )


async def compare_merchants(
    tx: Tx, from_on: date, to_on: date, currency: str, entity_id: int | None = None
) -> MerchantGrowth:
    """New against existing merchants, of an entity or of all, as far as the books are rolled up. Raises Invalid."""
    _check(from_on, to_on, currency)
    span, today = Span(from_on, to_on), tx.now.date()
    now, then = compared(span, today)
    live = await activation(tx, span, entity_id)
    given = to_on if live.last_on is None else max(to_on, live.last_on + timedelta(days=ACTIVATED_WITHIN + 1))
    return MerchantGrowth(
        currency=currency,
        from_on=from_on,
        to_on=to_on,
        against_from=then.from_on,
        against_to=then.to_on,
        growth=await earned_growth(tx, now, then, currency, entity_id),
        live=live.joined,
        activated=live.joined_activated,
        activation_ppm=cost_per(live.joined_activated * PPM, live.joined),
        mature=given <= today,
    )


def _check(from_on: date, to_on: date, currency: str) -> None:
    check_currency(currency)
    if to_on <= from_on:
        raise Invalid("to_on: must lie after from_on", field="to_on")
