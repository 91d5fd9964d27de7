"""What each channel has cost and brought: unit economics of the leads that began in a period.

Spend of the period is set against the leads that began in it, not those activated in it (a lead takes its time).
Merchants are divided over channels by the attribution that was locked when they were activated; contribution is what
the house earned with them, less what varies with it, read from the journal: accounts 4000 to 5999 of their books.
"""

from collections import defaultdict
from collections.abc import Sequence
from datetime import date
from typing import Any

import msgspec

from marketplace.core.clock import local_date
from marketplace.core.db import Tx
from marketplace.core.errors import Invalid
from marketplace.core.money import check_currency
from marketplace.core.rates import PPM, divide_half_even
from supply.funnels import store as funnels
from supply.leads import economics
from supply.leads.attribution import AttributionModel
from supply.leads.channels import store as channels
from supply.leads.model import VARIABLE, CostKind, Model


class WeighChannels(msgspec.Struct, frozen=True, kw_only=True):
    """Leads that began in [from_on, to_on). horizon: months of the LTV; discount_ppm: of a month."""

    from_on: date
    to_on: date
    currency: str
    model: Model = Model.PLATFORM
    attribution: AttributionModel = AttributionModel.LAST
    horizon: int = 12
    discount_ppm: int = 0


class StageCost(msgspec.Struct, frozen=True, kw_only=True):
    """Fully loaded cost by leads of the channel that reached the stage; None where none did."""

    stage: str
    reached: int
    cost_minor: int | None


class ChannelEconomics(msgspec.Struct, frozen=True, kw_only=True):
    """activated_ppm: merchants in millionths, by attribution. contribution_minor: by month since activation.

    payback_months: counted from 1, None: not yet. ltv_is_forecast: the youngest of the cohort has not had all months
    of the horizon, so the value is only what has come so far.
    """

    channel: str
    spent_minor: int
    paid_minor: int
    spent_by_kind: dict[str, int]
    stages: list[StageCost]
    activated_ppm: int
    cac_paid_minor: int | None
    cac_loaded_minor: int | None
    contribution_minor: list[int]
    payback_months: int | None
    ltv_minor: int | None
    ltv_is_forecast: bool
    ltv_to_cac_ppm: int | None


class Economics(msgspec.Struct, frozen=True, kw_only=True):
    """Every channel with spend or leads; total: all of them together."""

    currency: str
    from_on: date
    to_on: date
    attribution: AttributionModel
    horizon: int
    total: ChannelEconomics
    channels: list[ChannelEconomics]


_REACHED = """
    SELECT channel_id, stage_no, count(*) AS leads FROM supply.stage_entry
    WHERE model = :model AND version_no = :version AND began_on >= :from_on AND began_on < :to_on
    GROUP BY channel_id, stage_no
"""
_ACTIVATED = """
    SELECT s.channel_id, s.share_ppm, l.merchant_id, e.entered_on AS activated_on
    FROM supply.stage_entry e
    JOIN supply.attribution_share s ON s.lead_id = e.lead_id AND s.model = :attribution
    JOIN supply.lead l ON l.lead_id = e.lead_id
    WHERE e.model = :model AND e.version_no = :version AND e.stage_no = :activated
      AND e.began_on >= :from_on AND e.began_on < :to_on
"""
_CONTRIBUTIONS = """
    SELECT merchant_id, date_trunc('month', effective_on::timestamp)::date AS month, -sum(amount_minor)::bigint AS minor
    FROM billing.posting
    WHERE merchant_id = ANY(:merchants) AND currency = :currency AND account BETWEEN 4000 AND 5999
    GROUP BY 1, 2
"""


async def weigh_channels(tx: Tx, cmd: WeighChannels) -> Economics:
    """The economics of a period. Raises Invalid."""
    check_currency(cmd.currency)
    if cmd.to_on <= cmd.from_on:
        raise Invalid("to: must lie after `from`", field="to")
    funnel = await funnels.newest_funnel(tx, cmd.model)
    period: dict[str, Any] = {
        "model": cmd.model, "version": funnel.version_no, "from_on": cmd.from_on, "to_on": cmd.to_on,
    }  # fmt: skip
    spent = await channels.spent(tx, cmd.from_on, cmd.to_on, cmd.currency)
    reached = await tx.rows(_REACHED, **period)
    due = await tx.rows(_ACTIVATED, **period, attribution=cmd.attribution, activated=funnel.place(funnel.activated))
    merchants = sorted({row.merchant_id for row in due if row.merchant_id is not None})
    earned: dict[int, list[Any]] = defaultdict(list)
    for row in await tx.rows(_CONTRIBUTIONS, merchants=merchants, currency=cmd.currency):
        earned[row.merchant_id].append(row)
    codes = {channel.channel_id: channel.code for channel in await channels.list_channels(tx)}
    stages = [stage.key for stage in funnel.stages]
    today = local_date(tx.now, "UTC")

    def weigh(name: str, only: int | None) -> ChannelEconomics:
        def own(rows: Sequence[Any]) -> list[Any]:
            return [row for row in rows if only is None or row.channel_id == only]

        return _weigh(cmd, name, stages, own(spent), own(reached), own(due), earned, today)

    known = {row.channel_id for rows in (spent, reached, due) for row in rows}
    return Economics(
        currency=cmd.currency,
        from_on=cmd.from_on,
        to_on=cmd.to_on,
        attribution=cmd.attribution,
        horizon=cmd.horizon,
        total=weigh("", None),
        channels=[weigh(codes[each], each) for each in sorted(known, key=lambda each: codes[each])],
    )


def _weigh(
    cmd: WeighChannels,
    name: str,
    stages: Sequence[str],
    spent: Sequence[Any],
    reached: Sequence[Any],
    due: Sequence[Any],
    earned: dict[int, list[Any]],
    today: date,
) -> ChannelEconomics:
    by_kind: dict[str, int] = defaultdict(int)
    for row in spent:
        by_kind[row.kind] += row.amount_minor
    total, paid = sum(by_kind.values()), sum(by_kind.get(kind, 0) for kind in VARIABLE)
    counts: dict[int, int] = defaultdict(int)
    for row in reached:
        counts[row.stage_no] += row.leads
    activated = sum(row.share_ppm for row in due)
    months = _contributions(due, earned)
    value = economics.lifetime_value(months, activated, horizon=cmd.horizon, discount_ppm=cmd.discount_ppm)
    loaded = economics.acquisition_cost(total, activated)
    youngest = max((_month_no(row.activated_on) for row in due), default=0)
    return ChannelEconomics(
        channel=name,
        spent_minor=total,
        paid_minor=paid,
        spent_by_kind={kind: by_kind[kind] for kind in CostKind if kind in by_kind},
        stages=[
            StageCost(stage=stage, reached=counts[number], cost_minor=economics.cost_per(total, counts[number]))
            for number, stage in enumerate(stages)
        ],
        activated_ppm=activated,
        cac_paid_minor=economics.acquisition_cost(paid, activated),
        cac_loaded_minor=loaded,
        contribution_minor=months,
        payback_months=economics.payback_months(total, months) if activated else None,
        ltv_minor=value,
        ltv_is_forecast=_month_no(today) < youngest + cmd.horizon,
        ltv_to_cac_ppm=economics.value_to_cost(value, loaded),
    )


def _contributions(due: Sequence[Any], earned: dict[int, list[Any]]) -> list[int]:
    """What a cohort has brought by month since each merchant's activation, each by its share, half-even.

    What came in before activation counts with the first month.
    """
    summed: dict[int, int] = defaultdict(int)
    for row in due:
        for each in earned.get(row.merchant_id, ()):
            month = max(_month_no(each.month) - _month_no(row.activated_on), 0)
            summed[month] += each.minor * row.share_ppm
    last = max(summed, default=-1)
    return [divide_half_even(summed[month], PPM) for month in range(last + 1)]


def _month_no(on: date) -> int:
    return on.year * 12 + on.month
