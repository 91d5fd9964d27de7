"""What a funnel's figures are read from: the roll-up, summed by days. Rows of leads the caller may not see are not in
them."""

from collections.abc import Sequence
from datetime import date
from typing import Any

from marketplace.core.db import Tx

_IN_PERIOD = """
    model = :model AND version_no = :version
    AND {day} >= :from_on AND {day} < :to_on
    AND (CAST(:channel AS bigint) IS NULL
         OR channel_id IN (SELECT channel_id FROM supply.channel WHERE :channel = ANY(path)))
"""

_STAGES = f"""
    SELECT stage_no,
           CASE WHEN next_on IS NOT NULL THEN 'on' WHEN lost_on IS NOT NULL THEN 'lost' ELSE 'open' END AS fate,
           greatest(coalesce(next_on, lost_on, :today) - entered_on, 0) AS days,
           count(*) AS leads, count(*) FILTER (WHERE inferred) AS inferred, sum(regressions)::bigint AS regressions
    FROM supply.stage_entry WHERE {_IN_PERIOD.format(day="entered_on")}
    GROUP BY 1, 2, 3
"""

_COHORTS = f"""
    SELECT {{group}},
           CASE WHEN won_on IS NOT NULL THEN 'on' WHEN lost_on IS NOT NULL THEN 'lost' ELSE 'open' END AS fate,
           greatest(coalesce(won_on, lost_on, :today) - began_on, 0) AS days, count(*) AS leads
    FROM supply.stage_entry WHERE stage_no = 0 AND {_IN_PERIOD.format(day="began_on")}
    GROUP BY 1, 2, 3, 4
"""
_BY_CHANNEL = _COHORTS.format(group="channel_id, CAST(NULL AS date) AS month")
_BY_MONTH = _COHORTS.format(
    group="CAST(NULL AS bigint) AS channel_id, date_trunc('month', began_on::timestamp)::date AS month"
)


async def stage_days(tx: Tx, **period: Any) -> Sequence[Any]:
    """Of those who entered a stage in a period: how many went on, were lost or are open, after so many days."""
    return await tx.rows(_STAGES, **period)


async def cohort_days(tx: Tx, **period: Any) -> Sequence[Any]:
    """Of those who began in a period, by channel (month None) and by month (channel_id None): as above, till won."""
    return [*await tx.rows(_BY_CHANNEL, **period), *await tx.rows(_BY_MONTH, **period)]


async def stuck(
    tx: Tx,
    *,
    model: str,
    version: int,
    slas: Sequence[tuple[int, int]],
    today: date,
    limit: int,
    after: tuple[date, int] | None = None,
) -> Sequence[Any]:
    """Leads that are in a stage for longer than its days (slas: number and days), the longest first."""
    return await tx.rows(
        """
        SELECT e.lead_id, e.stage_no, e.entered_on, CAST(:today AS date) - e.entered_on AS days, l.company, l.owner_id,
               l.territory_id
        FROM supply.stage_entry e JOIN supply.lead l ON l.lead_id = e.lead_id
        JOIN unnest(CAST(:stages AS integer[]), CAST(:days AS integer[])) AS sla (stage_no, days)
          ON sla.stage_no = e.stage_no
        WHERE e.model = :model AND e.version_no = :version AND e.next_on IS NULL AND e.lost_on IS NULL
          AND e.entered_on + sla.days < :today
          AND (CAST(:day AS date) IS NULL OR (e.entered_on, e.lead_id) > (:day, :lead))
        ORDER BY e.entered_on, e.lead_id LIMIT :limit
        """,
        model=model,
        version=version,
        stages=[number for number, _ in slas],
        days=[days for _, days in slas],
        today=today,
        day=after[0] if after else None,
        lead=after[1] if after else None,
        limit=limit,
    )
