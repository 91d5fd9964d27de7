"""What a funnel looks like, and what became of those who were won: how soon they sold, and for how much."""

from collections.abc import Sequence
from datetime import date, timedelta
from typing import Any

import msgspec

from marketplace.core.clock import local_date
from marketplace.core.db import Tx
from marketplace.core.errors import Invalid
from supply.funnels import months_sql, report_sql
from supply.funnels import store as funnels
from supply.funnels.model import Funnel
from supply.funnels.report import FunnelReport, Period, WonFigures, report
from supply.funnels.statistics import median, spread
from supply.leads.channels import store as channels
from supply.leads.model import Channel, Model

_ALWAYS = date(2000, 1, 1)


class ShowFunnel(msgspec.Struct, frozen=True, kw_only=True):
    """Which funnel, for those of [from_on, to_on), given window_days; None: the newest, all, as long as it takes."""

    model: Model
    version_no: int | None = None
    from_on: date | None = None
    to_on: date | None = None
    window_days: int | None = None
    channel: str | None = None


class Stuck(msgspec.Struct, frozen=True, kw_only=True):
    """A lead that is in a stage for longer than it should be."""

    lead_id: int
    stage: str
    entered_on: date
    days: int
    company: str
    owner_id: int | None
    territory_id: int | None


async def show_funnel(tx: Tx, cmd: ShowFunnel, *, counted: bool = True) -> FunnelReport:
    """The figures of a model's funnel. Raises Invalid, NotFound.

    counted: read what was counted by month, of all leads; else the entries of those leads that the caller may see.
    """
    funnel, period, known, channel_id = await _asked(tx, cmd)
    today = period.as_of
    asked: dict[str, Any] = {"model": funnel.model, "version": funnel.version_no, "today": today}
    if counted:
        split = await months_sql.split_period(tx, funnel.model, funnel.version_no, period.from_on, period.to_on)
        longest = await months_sql.longest_days(tx, funnel.model, funnel.version_no, split)
        asked["longest"] = 1 + max([longest, *(stage.sla_days or 0 for stage in funnel.stages)])
        below = [each.channel_id for each in known if channel_id in each.path] if channel_id else None
        stages: Sequence[Any] = await months_sql.counted_stages(tx, split, below, **asked)
        cohorts: Sequence[Any] = await months_sql.counted_cohorts(tx, split, below, **asked)
    else:
        asked |= {"from_on": period.from_on, "to_on": period.to_on, "channel": channel_id}
        stages = await report_sql.stage_days(tx, **asked)
        cohorts = await report_sql.cohort_days(tx, **asked)
    return report(funnel, period, stages, cohorts, {each.channel_id: each.code for each in known})


async def _asked(tx: Tx, cmd: ShowFunnel) -> tuple[Funnel, Period, Sequence[Channel], int | None]:
    """The funnel and the days asked for, every channel, and the one asked for."""
    funnel = await funnels.get_funnel(tx, cmd.model, cmd.version_no)
    today = local_date(tx.now, "UTC")
    period = Period(
        from_on=cmd.from_on or _ALWAYS,
        to_on=cmd.to_on or today + timedelta(days=1),
        as_of=today,
        window_days=cmd.window_days,
    )
    if period.to_on <= period.from_on:
        raise Invalid("to_on: must lie after from_on", field="to_on")
    known = await channels.list_channels(tx)
    ids = {channel.code: channel.channel_id for channel in known}
    if cmd.channel is not None and cmd.channel not in ids:
        raise Invalid(f"channel: {cmd.channel!r} is no channel", field="channel")
    return funnel, period, known, ids[cmd.channel] if cmd.channel else None


async def list_stuck(
    tx: Tx, model: Model, *, limit: int, version_no: int | None = None, after: tuple[date, int] | None = None
) -> list[Stuck]:
    """Leads that are stuck, those for longest first, behind (day, lead)."""
    funnel = await funnels.get_funnel(tx, model, version_no)
    slas = [(number, stage.sla_days) for number, stage in enumerate(funnel.stages) if stage.sla_days is not None]
    rows = await report_sql.stuck(
        tx, model=model, version=funnel.version_no, slas=slas, today=local_date(tx.now, "UTC"), limit=limit, after=after
    )
    return [
        Stuck(
            stage=funnel.stages[row.stage_no].key,
            **{field: getattr(row, field) for field in Stuck.__struct_fields__ if field != "stage"},
        )
        for row in rows
    ]


_WON = """
    SELECT l.lead_id, c.code, l.merchant_id, CAST(l.ended_at AT TIME ZONE l.zone AS date) AS won_on
    FROM supply.stage_entry e JOIN supply.lead l ON l.lead_id = e.lead_id
    JOIN supply.channel c ON c.channel_id = l.channel_id
    WHERE e.stage_no = 0 AND e.model = :model AND e.version_no = :version
      AND e.began_on >= :from_on AND e.began_on < :to_on
      AND l.state IN ('signed', 'handed_over') AND (CAST(:channel AS bigint) IS NULL OR :channel = ANY(c.path))
    ORDER BY c.code
"""
_SOLD = """
    SELECT merchant_id, currency, min(purchased_on) AS first_on, sum(goods_minor)::bigint AS gmv_minor
    FROM demand.merchant_order WHERE merchant_id = ANY(:merchants) GROUP BY merchant_id, currency
"""


async def trace_won(tx: Tx, cmd: ShowFunnel) -> list[WonFigures]:
    """What came of those in a funnel who were won, by channel; who has no order here is counted, not left out (a
    cancelled order is one). Raises Invalid, NotFound.
    """
    funnel, period, _, channel_id = await _asked(tx, cmd)
    won = await tx.rows(
        _WON,
        model=funnel.model,
        version=funnel.version_no,
        from_on=period.from_on,
        to_on=period.to_on,
        channel=channel_id,
    )
    merchants = sorted({row.merchant_id for row in won if row.merchant_id is not None})
    sold: dict[int, list[Any]] = {}
    for row in await tx.rows(_SOLD, merchants=merchants):
        sold.setdefault(row.merchant_id, []).append(row)
    by_channel: dict[str, list[Any]] = {}
    for row in won:
        by_channel.setdefault(row.code, []).append(row)
    return [_won(code, rows, sold) for code, rows in by_channel.items()]


def _won(code: str, rows: Sequence[Any], sold: dict[int, list[Any]]) -> WonFigures:
    gmv: dict[str, int] = {}
    days = []
    for row in rows:
        orders = sold.get(row.merchant_id, [])
        for each in orders:
            gmv[each.currency] = gmv.get(each.currency, 0) + each.gmv_minor
        if orders:
            days.append((min(each.first_on for each in orders) - row.won_on).days)
    return WonFigures(
        channel=code,
        won=len(rows),
        with_orders=len(days),
        without_orders=len(rows) - len(days),
        median_days=median(spread(days)),
        gmv_minor=gmv,
    )
