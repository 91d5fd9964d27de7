"""A funnel's figures from counted days. Pure.

conversion from a stage to the next within a window: those who entered the stage in the period and went on within so
many days of entering, by those who entered it in the period; so it is never above one. A figure is mature when the
window of the last who could have entered is over: as_of >= end of period + window. Without a window it is mature when
nobody is open. median_days counts who is open, or was lost, as still there (Kaplan-Meier), and is None where more than
half still are; median_days_done is of those who went on alone.
"""

from collections.abc import Iterable, Sequence
from datetime import date, timedelta
from itertools import chain
from typing import Any

import msgspec

from supply.funnels.model import Funnel
from supply.funnels.statistics import counted, median, median_survival, ratio_ppm, within


class Figures(msgspec.Struct, frozen=True, kw_only=True):
    """entered: in the period; done: of them, went on at all, converted: within the window."""

    entered: int
    done: int
    converted: int
    conversion_ppm: int | None
    mature: bool
    open: int
    lost: int
    median_days: int | None
    median_days_done: float | None


class StageFigures(msgspec.Struct, frozen=True, kw_only=True):
    """Of a stage, to the next one. inferred: entries that nobody told of; stuck: open for longer than sla_days."""

    stage: str
    sla_days: int | None
    figures: Figures
    inferred: int
    regressions: int
    stuck: int


class CohortFigures(msgspec.Struct, frozen=True, kw_only=True):
    """Of those who began on a channel, or in a month (its first day), to being won."""

    channel: str | None
    month: date | None
    figures: Figures


class FunnelReport(msgspec.Struct, frozen=True, kw_only=True):
    """A model's funnel for those of [from_on, to_on), as of a day. won: from the first stage to won_stage."""

    model: str
    version_no: int
    won_stage: str
    as_of: date
    from_on: date
    to_on: date
    window_days: int | None
    won: Figures
    stages: list[StageFigures]
    channels: list[CohortFigures]
    months: list[CohortFigures]


class WonFigures(msgspec.Struct, frozen=True, kw_only=True):
    """Of the leads won on a channel: how many have orders here, how soon after they were won, and for how much.

    without_orders: won, and no order of theirs is here. gmv_minor: the goods of all their orders, later cancelled ones
    with them, by currency; so one with cancelled orders only is here, and not in the funnel's first_order. median_days:
    from being won to the first order placed, of those who have one.
    """

    channel: str
    won: int
    with_orders: int
    without_orders: int
    median_days: float | None
    gmv_minor: dict[str, int]


class Period(msgspec.Struct, frozen=True, kw_only=True):
    """Whom a report is about, and how long they are given."""

    from_on: date
    to_on: date
    as_of: date
    window_days: int | None


FATES = ("on", "lost", "open")
Counts = dict[str, dict[int, int]]
"""How many leads met each fate after so many days."""


def counts_of(rows: Iterable[Any]) -> Counts:
    """Rows (fate, days, leads), counted."""
    by_fate: Counts = {fate: {} for fate in FATES}
    for row in rows:
        days = by_fate[row.fate]
        days[row.days] = days.get(row.days, 0) + row.leads
    return by_fate


def figures_of(by_fate: Counts, period: Period, to_on: date) -> Figures:
    """The figures of those who entered before to_on."""
    done, lost, still = (sum(days.values()) for days in by_fate.values())
    entered = done + lost + still
    converted = within(by_fate["on"], period.window_days)
    censored = counted([*by_fate["lost"].items(), *by_fate["open"].items()])
    return Figures(
        entered=entered,
        done=done,
        converted=converted,
        conversion_ppm=ratio_ppm(converted, entered),
        mature=is_mature(period, to_on, still),
        open=still,
        lost=lost,
        median_days=median_survival(by_fate["on"], censored),
        median_days_done=median(by_fate["on"]),
    )


def is_mature(period: Period, to_on: date, still: int) -> bool:
    """Whether nobody who entered before to_on can still convert within the window."""
    if period.window_days is None:
        return still == 0
    return period.as_of >= to_on + timedelta(days=period.window_days)


def report(
    funnel: Funnel, period: Period, stages: Sequence[Any], cohorts: Sequence[Any], codes: dict[int, str]
) -> FunnelReport:
    """Put together what was read."""
    by_channel: dict[int, list[Any]] = {}
    by_month: dict[date, list[Any]] = {}
    for row in cohorts:
        if row.month is None:
            by_channel.setdefault(row.channel_id, []).append(row)
        else:
            by_month.setdefault(row.month, []).append(row)
    by_stage: dict[int, list[Any]] = {}
    for row in stages:
        by_stage.setdefault(row.stage_no, []).append(row)
    channels = {channel_id: counts_of(rows) for channel_id, rows in by_channel.items()}
    everybody = {fate: counted(chain.from_iterable(of[fate].items() for of in channels.values())) for fate in FATES}
    return FunnelReport(
        model=funnel.model,
        version_no=funnel.version_no,
        won_stage=funnel.won,
        as_of=period.as_of,
        from_on=period.from_on,
        to_on=period.to_on,
        window_days=period.window_days,
        won=figures_of(everybody, period, period.to_on),
        stages=[_stage(funnel, number, by_stage.get(number, []), period) for number in range(len(funnel.stages))],
        channels=[
            CohortFigures(
                channel=codes[channel_id],
                month=None,
                figures=figures_of(channels[channel_id], period, period.to_on),
            )
            for channel_id in sorted(channels, key=lambda each: codes[each])
        ],
        months=[
            CohortFigures(
                channel=None,
                month=month,
                figures=figures_of(counts_of(by_month[month]), period, _month_end(month)),
            )
            for month in sorted(by_month)
        ],
    )


def _stage(funnel: Funnel, number: int, own: Sequence[Any], period: Period) -> StageFigures:
    sla = funnel.stages[number].sla_days
    return StageFigures(
        stage=funnel.stages[number].key,
        sla_days=sla,
        figures=figures_of(counts_of(own), period, period.to_on),
        inferred=sum(row.inferred for row in own),
        regressions=sum(row.regressions for row in own),
        stuck=sum(row.leads for row in own if sla is not None and row.fate == "open" and row.days > sla),
    )


def _month_end(month: date) -> date:
    return (month.replace(day=28) + timedelta(days=4)).replace(day=1)
