"""Where the inputs of figures are measured: each source answers some of them, for a scope and a period.

All of it is read from what is rolled up; a period of a market costs a few milliseconds however many orders it had.
"""

from collections.abc import Awaitable, Callable, Mapping
from datetime import date, timedelta
from typing import Any

import msgspec

from marketplace.core.db import Tx
from marketplace.metrics.formulas import Number
from marketplace.metrics.periods import Span
from marketplace.metrics.tables import ORDER_COUNTS


class Of(msgspec.Struct, frozen=True, kw_only=True):
    """Whose figures: of an entity in a currency; narrowed to a merchant, to leads of a team or rep, or of a channel.

    territory_id: with all below it. as_of: the day that it is; what is not over by then is still to come.
    """

    entity_id: int
    currency: str
    as_of: date
    merchant_id: int | None = None
    territory_id: int | None = None
    rep_id: int | None = None
    channel_id: int | None = None


Found = Mapping[str, Number | None]
_SUMS = ", ".join(f"coalesce(sum({name}), 0)::bigint AS {name}" for name in ORDER_COUNTS)
_IN_PERIOD = "entity_id = :entity AND currency = :currency AND day >= :from_on AND day < :to_on"
_ORDERS = f"SELECT {_SUMS} FROM metrics.market_day WHERE {_IN_PERIOD}"
_ORDERS_OF = f"SELECT {_SUMS} FROM metrics.order_day WHERE {_IN_PERIOD} AND merchant_id = :merchant"


async def read_orders(tx: Tx, of: Of, span: Span) -> Found:
    """What is counted of orders, of a house or of one merchant."""
    row = await tx.row(_ORDERS if of.merchant_id is None else _ORDERS_OF, **_bound(of, span))
    assert row is not None
    return dict(row._mapping)


_SPANS = """
SELECT count(*) FILTER (WHERE measure = 'active' AND from_on < :from_on AND to_on >= :from_on) AS active_at_start,
       count(*) FILTER (WHERE measure = 'active' AND from_on < :to_on AND to_on >= :to_on) AS active_at_end,
       count(*) FILTER (WHERE measure = 'active' AND first AND from_on >= :from_on AND from_on < :to_on) AS new_active,
       count(*) FILTER (WHERE measure = 'active' AND NOT first AND from_on >= :from_on AND from_on < :to_on)
           AS reactivated,
       count(*) FILTER (WHERE measure = 'active' AND to_on >= :from_on AND to_on < :to_on) AS deactivated,
       count(*) FILTER (WHERE measure = 'retained' AND from_on < :from_on AND to_on >= :from_on) AS retained_at_start,
       count(*) FILTER (WHERE measure = 'retained' AND from_on < :from_on AND last_on >= :from_on AND last_on < :to_on
                        AND to_on <= :as_of) AS churned,
       count(*) FILTER (WHERE measure = 'retained' AND NOT first AND from_on >= :from_on AND from_on < :to_on
                        AND NOT began_alive) AS returned,
       count(DISTINCT merchant_id) FILTER (WHERE measure = 'retained' AND to_on < :from_on)
           - count(*) FILTER (WHERE measure = 'retained' AND NOT first AND from_on < :from_on AND to_on >= :from_on)
           AS churned_at_start
FROM (
    SELECT *, measure = 'retained' AND lag(to_on) OVER (PARTITION BY merchant_id, measure ORDER BY from_on) >= :from_on
              AS began_alive
    FROM metrics.merchant_span
    WHERE entity_id = :entity AND (measure = 'retained' OR to_on >= :from_on) {}
) AS span
"""


async def _alive(tx: Tx, of: Of, span: Span) -> Found:
    """Up to the present day: who will not be active by a day to come may still order before it."""
    query = _SPANS.format("" if of.merchant_id is None else "AND merchant_id = :merchant")
    seen = Span(span.from_on, max(min(span.to_on, of.as_of + timedelta(days=1)), span.from_on))
    row = await tx.row(query, **_bound(of, seen), as_of=of.as_of)
    assert row is not None
    return dict(row._mapping)


_ACCOUNTS: Mapping[str, tuple[tuple[int, ...], int]] = {
    "commission_minor": ((4000,), 1),
    "ad_minor": ((4010,), 1),
    "value_added_minor": ((4020, 4030, 4040), 1),
    "recharged_minor": ((4050,), 1),
    "third_party_minor": ((4060,), 1),
    "self_operated_minor": ((4070,), 1),
    "contra_revenue_minor": ((4090,), -1),
    "incentive_expense_minor": ((5000,), -1),
    "incentives_minor": ((4090, 5000), -1),
    "processor_fees_minor": ((5100,), -1),
    "losses_minor": ((5200, 5210), -1),
    "goods_cost_minor": ((5300,), -1),
    "granted_ads_minor": ((5400,), -1),
}
"""Which accounts of the chart an input is, and the sign that makes it positive where it is usual."""
_BALANCES: Mapping[str, tuple[tuple[int, ...], int]] = {
    "payable_minor": ((2000,), 1),
    "pending_minor": ((2005,), 1),
    "reserve_minor": ((2010,), 1),
    "in_payout_minor": ((2020,), 1),
}
_BOOKED = """
SELECT account, sum(credit_minor - debit_minor)::bigint AS minor FROM billing.{}
WHERE {} AND currency = :currency AND effective_on >= :from_on AND effective_on < :to_on
  AND account BETWEEN :lowest AND :highest
GROUP BY account
"""


async def _booked(tx: Tx, of: Of, span: Span) -> Found:
    return await _accounts(tx, of, span, _ACCOUNTS)


async def _balances(tx: Tx, of: Of, span: Span) -> Found:
    return await _accounts(tx, of, Span(date(1970, 1, 1), span.to_on), _BALANCES)


async def _accounts(tx: Tx, of: Of, span: Span, wanted: Mapping[str, tuple[tuple[int, ...], int]]) -> Found:
    own = ("book_day", "entity_id = :entity") if of.merchant_id is None else ("account_day", "merchant_id = :merchant")
    codes = [code for group, _ in wanted.values() for code in group]
    rows = await tx.rows(_BOOKED.format(*own), **_bound(of, span), lowest=min(codes), highest=max(codes))
    minor = {row.account: row.minor for row in rows}
    return {name: sign * sum(minor.get(code, 0) for code in group) for name, (group, sign) in wanted.items()}


ACTIVATED_WITHIN = 30
"""Days from going live to the first completed order of a merchant that is activated."""
_JOINED = f"""
SELECT count(*) AS joined, max(joined_on) AS last_on,
       count(*) FILTER (WHERE EXISTS (
           SELECT FROM metrics.merchant_span s WHERE s.merchant_id = m.merchant_id AND s.measure = 'active' AND s.first
             AND s.from_on <= m.joined_on + {ACTIVATED_WITHIN})) AS joined_activated
FROM supply.merchant m
WHERE joined_on >= :from_on AND joined_on < :to_on AND (CAST(:entity AS integer) IS NULL OR entity_id = :entity)
"""
_LIVE = """
SELECT count(*) FROM supply.merchant WHERE entity_id = :entity AND state = 'live' AND joined_on < :to_on
"""
_WITH_ORDER = f"SELECT count(DISTINCT merchant_id) FROM metrics.order_day WHERE {_IN_PERIOD} AND placed > 0"
_BUYERS = """
SELECT count(DISTINCT buyer_id) FROM demand.merchant_order
WHERE entity_id = :entity AND currency = :currency AND delivered_on >= :from_on AND delivered_on < :to_on
"""


async def activation(tx: Tx, span: Span, entity_id: int | None = None) -> Any:
    """Merchants that went live in a period, those of them activated by now, and the last day that one of them did."""
    return await tx.row(_JOINED, from_on=span.from_on, to_on=span.to_on, entity=entity_id)


async def _merchants(tx: Tx, of: Of, span: Span) -> Found:
    found = await activation(tx, span, of.entity_id)
    return {
        "joined": found.joined,
        "joined_activated": found.joined_activated,
        "live_merchants": await tx.scalar(_LIVE, entity=of.entity_id, to_on=span.to_on),
        "merchants_with_order": await tx.scalar(_WITH_ORDER, **_bound(of, span)),
    }


async def _buyers(tx: Tx, of: Of, span: Span) -> Found:
    return {"buyers": await tx.scalar(_BUYERS, **_bound(of, span))}


STAGES = {
    "leads_new": "lead",
    "leads_qualified": "qualified",
    "leads_signed": "signed",
    "leads_activated": "first_order",
}
"""Of the platform's funnel: which stage an input counts the entries of."""
_COUNTED_LEADS = """
SELECT stage, sum(entered)::bigint AS leads FROM supply.stage_day
WHERE model = 'platform' AND day >= :from_on AND day < :to_on AND stage = ANY(CAST(:stages AS text[]))
  AND (CAST(:channel AS bigint) IS NULL OR channel_id IN (
      SELECT channel_id FROM supply.channel WHERE :channel = ANY(path)))
GROUP BY stage
"""
_OWN_LEADS = """(CAST(:rep AS bigint) IS NULL OR l.owner_id = :rep)
  AND (CAST(:territory AS bigint) IS NULL OR l.territory_id IN (
      SELECT territory_id FROM supply.territory WHERE :territory = ANY(path)))"""
_LEADS_OF = f"""
SELECT f.stages->e.stage_no->>'key' AS stage, count(*) AS leads
FROM supply.stage_entry e
JOIN supply.lead l ON l.lead_id = e.lead_id
JOIN supply.funnel f ON f.model = e.model AND f.version_no = e.version_no
WHERE e.model = 'platform' AND e.entered_on >= :from_on AND e.entered_on < :to_on AND {_OWN_LEADS}
GROUP BY 1
"""
_CLOSED = f"""
SELECT count(*) FILTER (WHERE l.state <> 'lost') AS leads_won, count(*) FILTER (WHERE l.state = 'lost') AS leads_lost
FROM supply.lead l
WHERE l.model = 'platform' AND (l.ended_at AT TIME ZONE l.zone)::date >= :from_on
  AND (l.ended_at AT TIME ZONE l.zone)::date < :to_on AND {_OWN_LEADS}
"""


async def _leads(tx: Tx, of: Of, span: Span) -> Found:
    whose = {"from_on": span.from_on, "to_on": span.to_on}
    if of.rep_id is not None or of.territory_id is not None:
        rows = await tx.rows(_LEADS_OF, **whose, rep=of.rep_id, territory=of.territory_id)
    else:
        rows = await tx.rows(_COUNTED_LEADS, **whose, stages=list(STAGES.values()), channel=of.channel_id)
    leads = {row.stage: row.leads for row in rows}
    return {name: leads.get(stage, 0) for name, stage in STAGES.items()}


async def _leads_before(tx: Tx, of: Of, span: Span) -> Found:
    earlier = await _leads(tx, of, Span(span.from_on - timedelta(days=span.days), span.from_on))
    return {"leads_qualified_before": earlier["leads_qualified"]}


async def _closed(tx: Tx, of: Of, span: Span) -> Found:
    row = await tx.row(_CLOSED, from_on=span.from_on, to_on=span.to_on, rep=of.rep_id, territory=of.territory_id)
    assert row is not None
    return dict(row._mapping)


_SPENT = """
SELECT coalesce(sum(amount_minor), 0)::bigint AS spend_minor FROM supply.channel_cost
WHERE currency = :currency AND spent_on >= :from_on AND spent_on < :to_on
  AND (CAST(:channel AS bigint) IS NULL OR channel_id IN (
      SELECT channel_id FROM supply.channel WHERE :channel = ANY(path)))
"""


async def _spent(tx: Tx, of: Of, span: Span) -> Found:
    row = await tx.row(_SPENT, currency=of.currency, from_on=span.from_on, to_on=span.to_on, channel=of.channel_id)
    assert row is not None
    return dict(row._mapping)


_ADS = """
SELECT coalesce(sum(b.impressions - b.invalid_impressions), 0)::bigint AS ad_impressions,
       coalesce(sum(b.clicks - b.invalid_clicks), 0)::bigint AS ad_clicks
FROM billing.ad_bucket b
JOIN billing.ad_campaign c ON c.merchant_id = b.merchant_id AND c.campaign_id = b.campaign_id
JOIN supply.merchant m ON m.merchant_id = b.merchant_id
WHERE m.entity_id = :entity AND c.currency = :currency AND b.on_day >= :from_on AND b.on_day < :to_on
  AND (CAST(:merchant AS bigint) IS NULL OR b.merchant_id = :merchant)
"""


async def _ads(tx: Tx, of: Of, span: Span) -> Found:
    row = await tx.row(_ADS, **{**_bound(of, span), "merchant": of.merchant_id})
    assert row is not None
    return dict(row._mapping)


class Source(msgspec.Struct, frozen=True):
    """inputs: what it measures. by: how it may be narrowed; asked for more, its inputs are not known."""

    inputs: frozenset[str]
    read: Callable[[Tx, Of, Span], Awaitable[Found]]
    by: frozenset[str] = frozenset()


_BY_MERCHANT = frozenset({"merchant_id"})
_BY_LEAD = frozenset({"territory_id", "rep_id"})
ROLLED = (
    Source(frozenset(ORDER_COUNTS), read_orders, _BY_MERCHANT),
    Source(
        frozenset(
            {"active_at_start", "active_at_end", "new_active", "reactivated", "deactivated", "retained_at_start"}
            | {"churned", "returned", "churned_at_start"}
        ),
        _alive,
        _BY_MERCHANT,
    ),
    Source(frozenset(_ACCOUNTS), _booked, _BY_MERCHANT),
    Source(frozenset(_BALANCES), _balances, _BY_MERCHANT),
    Source(frozenset({"live_merchants", "joined", "joined_activated", "merchants_with_order"}), _merchants),
    Source(frozenset({"buyers"}), _buyers),
    Source(frozenset(STAGES), _leads, _BY_LEAD | {"channel_id"}),
    Source(frozenset({"leads_qualified_before"}), _leads_before, _BY_LEAD | {"channel_id"}),
    Source(frozenset({"leads_won", "leads_lost"}), _closed, _BY_LEAD),
    Source(frozenset({"spend_minor"}), _spent, frozenset({"channel_id"})),
    Source(frozenset({"ad_impressions", "ad_clicks"}), _ads, _BY_MERCHANT),
)
"""What answers from what is rolled up; `marketplace.flows.steering.measure_inputs` has all of them."""


_DAILY = f"SELECT day, {_SUMS} FROM metrics.market_day WHERE {_IN_PERIOD} GROUP BY day"
_DAILY_BOOKED = """
SELECT effective_on AS day, account, sum(credit_minor - debit_minor)::bigint AS minor FROM billing.book_day
WHERE entity_id = :entity AND currency = :currency AND effective_on >= :from_on AND effective_on < :to_on
  AND account BETWEEN 4000 AND 5999
GROUP BY effective_on, account
"""
_DAILY_LEADS = f"""
SELECT e.entered_on AS day, f.stages->e.stage_no->>'key' AS stage, count(*) AS leads
FROM supply.stage_entry e
JOIN supply.lead l ON l.lead_id = e.lead_id
JOIN supply.funnel f ON f.model = e.model AND f.version_no = e.version_no
WHERE e.model = 'platform' AND e.entered_on >= :from_on AND e.entered_on < :to_on AND {_OWN_LEADS}
GROUP BY 1, 2
"""


async def read_days(tx: Tx, of: Of, span: Span, names: frozenset[str]) -> dict[date, dict[str, Number | None]]:
    """The inputs of a house or of its teams by day, where they are counted by day; no days where they are not."""
    days: dict[date, dict[str, Number | None]] = {}
    if names <= frozenset(ORDER_COUNTS):
        return {row.day: dict(row._mapping) for row in await tx.rows(_DAILY, **_bound(of, span))}
    if names <= _ACCOUNTS.keys():
        for row in await tx.rows(_DAILY_BOOKED, **_bound(of, span)):
            known = days.setdefault(row.day, dict.fromkeys(_ACCOUNTS, 0))
            for name, (group, sign) in _ACCOUNTS.items():
                known[name] = (known[name] or 0) + (sign * row.minor if row.account in group else 0)
    if names <= STAGES.keys():
        whose = {"rep": of.rep_id, "territory": of.territory_id}
        for row in await tx.rows(_DAILY_LEADS, from_on=span.from_on, to_on=span.to_on, **whose):
            known = days.setdefault(row.day, dict.fromkeys(STAGES, 0))
            known |= {name: row.leads for name, stage in STAGES.items() if stage == row.stage}
    return days


def _bound(of: Of, span: Span) -> dict[str, Any]:
    bound = {"entity": of.entity_id, "currency": of.currency, "from_on": span.from_on, "to_on": span.to_on}
    return bound if of.merchant_id is None else {**bound, "merchant": of.merchant_id}
