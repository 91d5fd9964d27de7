"""What people who sell have done in a period, and how long it took: visits, qualification and the days of leads."""

from collections.abc import Sequence
from typing import Any

from marketplace.core.db import Tx
from supply.leads.visits.tables import VISIT_COUNTS

QUALIFIES_WITHIN = 30
"""Days in which an MQL is to become an SQL, to count as one of its cohort."""

_OWN = """(CAST(:rep AS bigint) IS NULL OR {rep} = :rep)
  AND (CAST(:territory AS bigint) IS NULL OR l.territory_id IN (
      SELECT territory_id FROM supply.territory WHERE :territory = ANY(path)))"""
_OWN_LEADS = f"""{_OWN.format(rep="l.owner_id")}
  AND (CAST(:channel AS bigint) IS NULL OR l.channel_id IN (
      SELECT channel_id FROM supply.channel WHERE :channel = ANY(path)))"""
_DAY = "({at} AT TIME ZONE l.zone)::date"
_NEAR = (
    "{at} >= CAST(:from_on AS date)::timestamptz - interval '2 days'"
    " AND {at} < CAST(:to_on AS date)::timestamptz + interval '2 days'"
)
"""So that few rows are looked at: wherever a lead is, its days lie within these."""


def _in(at: str) -> str:
    return f"{_NEAR.format(at=at)} AND {_DAY.format(at=at)} >= :from_on AND {_DAY.format(at=at)} < :to_on"


_VISITS = f"""
WITH over AS (
    SELECT v.rep_id, {_DAY.format(at="v.in_at")} AS day,
           {VISIT_COUNTS} AS counts
    FROM supply.visit v JOIN supply.lead l ON l.lead_id = v.lead_id
    WHERE v.state = 'done' AND {_in("v.in_at")} AND {_OWN.format(rep="v.rep_id")}
), worked AS (
    SELECT rep_id, day FROM over
    UNION
    SELECT t.rep_id, {_DAY.format(at="t.at")} FROM supply.touch t JOIN supply.lead l ON l.lead_id = t.lead_id
    WHERE t.rep_id IS NOT NULL AND {_in("t.at")} AND {_OWN.format(rep="t.rep_id")}
      AND NOT EXISTS (SELECT FROM supply.visit v WHERE v.visit_id = t.touch_id)
)
SELECT (SELECT count(*) FROM over WHERE counts) AS valid_visits, (SELECT count(*) FROM worked) AS rep_days
"""

_QUALIFIED = f"""
WITH told AS (
    SELECT e.lead_id, e.cause, min({_DAY.format(at="e.at")}) AS day
    FROM supply.stage_event e JOIN supply.lead l ON l.lead_id = e.lead_id
    WHERE e.stage = 'qualified' AND e.cause IN ('score', 'person') AND e.voids IS NULL AND l.model = 'platform'
      AND l.merged_into IS NULL AND {_OWN_LEADS}
      AND NOT EXISTS (SELECT FROM supply.stage_event b WHERE b.voids = e.event_id)
    GROUP BY e.lead_id, e.cause
), marketing AS (
    SELECT m.lead_id, EXISTS (SELECT FROM told s WHERE s.lead_id = m.lead_id AND s.cause = 'person'
                              AND s.day BETWEEN m.day AND m.day + {QUALIFIES_WITHIN}) AS confirmed
    FROM told m WHERE m.cause = 'score' AND m.day >= :from_on AND m.day < :to_on
)
SELECT (SELECT count(*) FROM marketing) AS leads_marketing, (SELECT count(*) FROM marketing) AS cohort_mql,
       (SELECT count(*) FROM marketing WHERE confirmed) AS cohort_sql,
       (SELECT count(*) FROM told WHERE cause = 'person' AND day >= :from_on AND day < :to_on) AS leads_confirmed
"""
"""An MQL is told of by the score, an SQL by a person who has asked for need, authority, ability and timing."""

_ACCEPTED = f"""
SELECT count(*) FROM (
    SELECT l.lead_id, min({_DAY.format(at="v.at")}) AS day
    FROM supply.lead_event v JOIN supply.lead l ON l.lead_id = v.lead_id
    WHERE v.owner_id IS NOT NULL AND l.model = 'platform' AND l.merged_into IS NULL AND {_OWN_LEADS}
    GROUP BY l.lead_id
) taken
JOIN supply.stage_entry e ON e.lead_id = taken.lead_id AND e.stage_no = 0
JOIN supply.funnel f ON f.model = e.model AND f.version_no = e.version_no
WHERE taken.day >= :from_on AND taken.day < :to_on
  AND (f.stages->0->>'sla_days' IS NULL OR taken.day <= e.began_on + CAST(f.stages->0->>'sla_days' AS integer))
"""

_DAYS = f"""
SELECT CASE WHEN b.entered_on IS NOT NULL THEN 'on' ELSE 'open' END AS fate,
       greatest(coalesce(b.entered_on, a.lost_on, :today) - a.entered_on, 0) AS days, count(*) AS leads
FROM supply.funnel f
JOIN supply.stage_entry a ON a.model = f.model AND a.version_no = f.version_no
  AND f.stages->a.stage_no->>'key' = :first AND a.entered_on >= :from_on AND a.entered_on < :to_on
JOIN supply.lead l ON l.lead_id = a.lead_id AND {_OWN_LEADS}
LEFT JOIN LATERAL (
    SELECT entered_on FROM supply.stage_entry n
    WHERE n.lead_id = a.lead_id AND f.stages->n.stage_no->>'key' = :last
) b ON true
WHERE f.model = 'platform' GROUP BY 1, 2
"""


_OPEN_DEALS = f"""
SELECT count(*) FROM supply.lead l
JOIN supply.funnel f ON f.model = l.model AND f.version_no = l.funnel_version
JOIN supply.stage_entry q ON q.lead_id = l.lead_id AND f.stages->q.stage_no->>'key' = 'qualified'
 AND q.entered_on < :to_on AND (q.lost_on IS NULL OR q.lost_on >= :to_on)
WHERE l.model = 'platform' AND l.merged_into IS NULL AND {_OWN_LEADS}
  AND NOT EXISTS (SELECT FROM supply.stage_entry s WHERE s.lead_id = l.lead_id
                  AND f.stages->s.stage_no->>'key' = 'signed' AND s.entered_on < :to_on)
"""
_SOLD_IN = """
SELECT count(DISTINCT merchant_id) FROM metrics.order_day
WHERE entity_id = :entity AND currency = :currency AND completed > 0 AND day >= :from_on AND day < :to_on
"""


async def open_deals(tx: Tx, **whose: Any) -> int:
    """Leads of the platform that were qualified, and neither signed nor lost, when the period ended."""
    return int(await tx.scalar(_OPEN_DEALS, **{name: value for name, value in whose.items() if name != "from_on"}))


async def merchants_sold(tx: Tx, **of: Any) -> int:
    """Merchants that completed an order in the days."""
    return int(await tx.scalar(_SOLD_IN, **of))


async def visits(tx: Tx, **whose: Any) -> Any:
    """Visits that count, and days on which reps visited or spoke with leads."""
    return await tx.row(_VISITS, **{name: value for name, value in whose.items() if name != "channel"})


async def qualified(tx: Tx, **whose: Any) -> dict[str, int]:
    """MQLs, SALs and SQLs of the days; of the MQLs' cohort who became SQLs in time."""
    row: Any = await tx.row(_QUALIFIED, **whose)
    return {**row._mapping, "leads_accepted": await tx.scalar(_ACCEPTED, **whose)}


async def days_between(tx: Tx, first: str, last: str, **whose: Any) -> Sequence[Any]:
    """Of those who entered the platform's stage `first` in the period: after how many days they were in `last`."""
    return await tx.rows(_DAYS, first=first, last=last, **whose)
