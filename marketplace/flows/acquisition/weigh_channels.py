"""What each channel has cost and brought: unit economics of the leads that began in a period.

Spend of the period is set against the leads that began in it, not those activated in it (a lead takes its time); what
is of a lead itself, commission and the rewards of a referral, is a cost of its cohort whenever it was booked. Merchants
are divided over channels by the attribution that was locked when they were activated, and with them such cost: a
channel bears what it is said to have brought. Contribution is what the house earned with them, less what varies with
it, read from the journal: accounts 4000 to 5999 of their books, without what referrals were rewarded with, which is in
the cost.
"""

from collections import defaultdict
from collections.abc import Callable, Collection, Sequence
from datetime import date
from typing import Any, Literal

import msgspec

from marketplace.core.clock import local_date
from marketplace.core.db import Tx
from marketplace.core.errors import Invalid
from marketplace.core.money import check_currency
from marketplace.core.rates import PPM, divide_half_even
from marketplace.flows.acquisition import weigh_sales_sql as sql
from marketplace.metrics.periods import check_day
from supply.funnels import store as funnels
from supply.funnels.model import Funnel
from supply.leads import economics
from supply.leads.attribution import AttributionModel
from supply.leads.model import VARIABLE, CostKind, Model

By = Literal["channel", "campaign", "rep", "distributor", "segment"]


class WeighChannels(msgspec.Struct, frozen=True, kw_only=True):
    """Leads that began in [from_on, to_on). horizon: months of the LTV; discount_ppm: of a month.

    by channel and campaign, merchants are divided by attribution; by the others they are the contract owner's, whole.
    """

    from_on: date
    to_on: date
    currency: str
    model: Model = Model.PLATFORM
    by: By = "channel"
    attribution: AttributionModel = AttributionModel.LAST
    horizon: int = 12
    discount_ppm: int = 0


class StageCost(msgspec.Struct, frozen=True, kw_only=True):
    """Fully loaded cost by leads of the channel that reached the stage; None where none did."""

    stage: str
    reached: int
    cost_minor: int | None


class ChannelEconomics(msgspec.Struct, frozen=True, kw_only=True):
    """channel: or what else it is by. marginal_cac_minor: against the period of the same length before.

    activated_ppm: merchants in millionths, by attribution. contribution_minor: by month since activation.

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
    marginal_cac_minor: int | None
    contribution_minor: list[int]
    payback_months: int | None
    ltv_minor: int | None
    ltv_is_forecast: bool
    ltv_to_cac_ppm: int | None


class Economics(msgspec.Struct, frozen=True, kw_only=True):
    """Every channel, campaign, rep, distributor or segment with spend or leads; total: all of them together.

    What has none, such as a lead that no rep holds, is under the empty name.
    """

    currency: str
    from_on: date
    to_on: date
    by: By
    attribution: AttributionModel
    horizon: int
    total: ChannelEconomics
    channels: list[ChannelEconomics]


class CohortLead(msgspec.Struct, frozen=True, kw_only=True):
    """A lead behind the figures of a channel, or of what else they are by.

    came: it began there; else only its merchant is divided over it, share_ppm of it, once it is activated. stage: the
    furthest that it has reached.
    """

    lead_id: int
    company: str
    merchant_id: int | None
    began_on: date
    activated_on: date | None
    came: bool
    stage: str
    share_ppm: int | None


async def weigh_channels(tx: Tx, cmd: WeighChannels) -> Economics:
    """The economics of a period. Raises Invalid."""
    weigh, keys = await _scales(tx, cmd)
    return Economics(
        currency=cmd.currency,
        from_on=cmd.from_on,
        to_on=cmd.to_on,
        by=cmd.by,
        attribution=cmd.attribution,
        horizon=cmd.horizon,
        total=weigh("", None),
        channels=[weigh(key, {key}) for key in sorted(keys)],
    )


async def weigh_total(tx: Tx, cmd: WeighChannels, channel_id: int | None = None) -> ChannelEconomics:
    """The same of all channels together, or of one with all below it. Raises Invalid."""
    weigh, _ = await _scales(tx, cmd)
    if channel_id is None:
        return weigh("", None)
    below = await tx.rows("SELECT code FROM supply.channel WHERE :channel = ANY(path)", channel=channel_id)
    return weigh("", {row.code for row in below})


async def _scales(
    tx: Tx, cmd: WeighChannels
) -> tuple[Callable[[str, Collection[str] | None], ChannelEconomics], set[str]]:
    """What weighs what is under these keys, or under all, and the keys that there are."""
    _check(cmd)
    funnel = await funnels.newest_funnel(tx, cmd.model)
    now = await _rows(tx, cmd, funnel, cmd.from_on, cmd.to_on)
    before = await _rows(tx, cmd, funnel, cmd.from_on - (cmd.to_on - cmd.from_on), cmd.from_on)
    merchants = sorted({row.merchant_id for row in now.due if row.merchant_id is not None})
    earned: dict[int, list[Any]] = defaultdict(list)
    for row in await sql.contributions(tx, merchants, cmd.currency):
        earned[row.merchant_id].append(row)
    stages = [stage.key for stage in funnel.stages]
    today = local_date(tx.now, "UTC")

    def weigh(name: str, keys: Collection[str] | None) -> ChannelEconomics:
        return _weigh(cmd, name, stages, now.of(keys), before.of(keys), earned, today)

    return weigh, now.keys()


async def leads_behind(
    tx: Tx, cmd: WeighChannels, key: str | None, *, limit: int, before: tuple[date, int] | None = None
) -> list[CohortLead]:
    """What the figures under a key, or all of them (None), are made of, the newest first, behind (day, id).
    Raises Invalid.
    """
    _check(cmd)
    funnel = await funnels.newest_funnel(tx, cmd.model)
    of = _cohort(cmd, funnel, cmd.from_on, cmd.to_on)
    return [
        CohortLead(
            lead_id=row.lead_id, company=row.company, merchant_id=row.merchant_id, began_on=row.began_on,
            activated_on=row.activated_on, came=row.came, stage=funnel.stages[row.stage_no].key,
            share_ppm=row.share_ppm,
        )
        for row in await sql.leads_of(tx, of, cmd.by, key, limit=limit, before=before)
    ]  # fmt: skip


def _check(cmd: WeighChannels) -> None:
    check_currency(cmd.currency)
    check_day(cmd.from_on, "from_on")
    check_day(cmd.to_on, "to_on")
    if cmd.to_on <= cmd.from_on:
        raise Invalid("to_on: must lie after from_on", field="to_on")


class _Rows(msgspec.Struct, frozen=True, kw_only=True):
    """What was spent, reached and activated, each with its key."""

    spent: Sequence[Any]
    reached: Sequence[Any]
    due: Sequence[Any]

    def of(self, keys: Collection[str] | None) -> "_Rows":
        """Those of some keys; None: all."""
        if keys is None:
            return self
        return _Rows(
            spent=[row for row in self.spent if row.key in keys],
            reached=[row for row in self.reached if row.key in keys],
            due=[row for row in self.due if row.key in keys],
        )

    def keys(self) -> set[str]:
        return {row.key for rows in (self.spent, self.reached, self.due) for row in rows}

    @property
    def total(self) -> tuple[int, int]:
        """Cost, and merchants activated in millionths."""
        return sum(row.amount_minor for row in self.spent), sum(row.share_ppm for row in self.due)


async def _rows(tx: Tx, cmd: WeighChannels, funnel: Funnel, from_on: date, to_on: date) -> _Rows:
    of = _cohort(cmd, funnel, from_on, to_on)
    return _Rows(
        spent=await sql.spent(tx, of, cmd.by),
        reached=await sql.reached(tx, of, cmd.by),
        due=await sql.activated(tx, of, cmd.by),
    )


def _cohort(cmd: WeighChannels, funnel: Funnel, from_on: date, to_on: date) -> sql.Cohort:
    return sql.Cohort(
        model=cmd.model, version=funnel.version_no, from_on=from_on, to_on=to_on, currency=cmd.currency,
        attribution=cmd.attribution, activated=funnel.place(funnel.activated),
    )  # fmt: skip


def _weigh(
    cmd: WeighChannels,
    name: str,
    stages: Sequence[str],
    now: _Rows,
    before: _Rows,
    earned: dict[int, list[Any]],
    today: date,
) -> ChannelEconomics:
    by_kind: dict[str, int] = defaultdict(int)
    for row in now.spent:
        by_kind[row.kind] += row.amount_minor
    total, activated = now.total
    paid = sum(by_kind.get(kind, 0) for kind in VARIABLE)
    counts: dict[int, int] = defaultdict(int)
    for row in now.reached:
        counts[row.stage_no] += row.leads
    months = _contributions(now.due, earned)
    value = economics.lifetime_value(months, activated, horizon=cmd.horizon, discount_ppm=cmd.discount_ppm)
    loaded = economics.acquisition_cost(total, activated)
    youngest = max((_month_no(row.activated_on) for row in now.due), default=0)
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
        marginal_cac_minor=economics.marginal_cost(before.total, now.total),
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
