"""Entries of funnels counted by month, so that no figure reads them one by one; and which months are counted.

A month whose entries have changed since it was counted is read from the entries, and so is one that a period cuts: what
is answered is what the entries say, whenever the counting was done.
"""

from collections.abc import Iterable, Sequence
from datetime import date
from typing import Any

import msgspec
from sqlalchemy import insert

from marketplace.core.db import Tx
from marketplace.core.ids import time_ordered_id
from marketplace.core.months import add_months, first_of_month
from supply.funnels.tables import funnel_change

_LOCK = "SELECT pg_advisory_xact_lock(7308328)"
"""One counts at a time: whoever counts last must also have looked last."""
_EPOCH = "date '2000-01-01'"
_STAGE_FATE = "CASE WHEN next_on IS NOT NULL THEN 'on' WHEN lost_on IS NOT NULL THEN 'lost' ELSE 'open' END"
_WON_FATE = "CASE WHEN won_on IS NOT NULL THEN 'on' WHEN lost_on IS NOT NULL THEN 'lost' ELSE 'open' END"
_MONTH = "date_trunc('month', entered_on::timestamp)::date"


def _cells(of: str, fate: str, ended: str, channel: str, wanted: str) -> str:
    """Entries counted by month: all that is wanted, of a channel each or of all together."""
    since = f"CASE WHEN {ended} IS NULL THEN entered_on - {_EPOCH} ELSE greatest({ended} - entered_on, 0) END"
    return f"""
SELECT model, version_no, {_MONTH} AS month, '{of}' AS of, stage_no, {channel} AS channel_id, {fate} AS fate,
       {since} AS days, count(*) AS leads, count(*) FILTER (WHERE inferred) AS inferred,
       sum(regressions)::bigint AS regressions
FROM supply.stage_entry WHERE {wanted} GROUP BY 1, 2, 3, 5, 6, 7, 8"""


def _all_cells(wanted: str) -> str:
    kinds = (("stage", _STAGE_FATE, "coalesce(next_on, lost_on)", wanted),
             ("won", _WON_FATE, "coalesce(won_on, lost_on)", f"stage_no = 0 AND {wanted}"))  # fmt: skip
    return " UNION ALL ".join(
        _cells(of, fate, ended, channel, condition)
        for of, fate, ended, condition in kinds
        for channel in ("channel_id", "CAST(0 AS bigint)")
    )


def _days(wanted: str) -> str:
    return f"""
SELECT e.model, f.stages->e.stage_no->>'key' AS stage, e.entered_on AS day, e.channel_id, e.version_no,
       count(*) AS entered
FROM supply.stage_entry e JOIN supply.funnel f ON f.model = e.model AND f.version_no = e.version_no
WHERE {wanted} GROUP BY 1, 2, 3, 4, 5"""


_OF_MONTH = "{0}model = :model AND {0}version_no = :version AND {0}entered_on >= :from_on AND {0}entered_on < :to_on"
CELLS, DAYS = _all_cells("true"), _days("true")
"""What funnel_month and stage_day must hold."""
_COUNT_MONTH = "INSERT INTO supply.funnel_month (model, version_no, month, of, stage_no, channel_id, fate, days, leads,"
_COUNT_MONTH += f" inferred, regressions) {_all_cells(_OF_MONTH.format(''))}"
_COUNT_DAYS = "INSERT INTO supply.stage_day (model, stage, day, channel_id, version_no, entered)"
_COUNT_DAYS += _days(_OF_MONTH.format("e."))


async def note_months(tx: Tx, entries: Iterable[tuple[str, int, date]]) -> None:
    """Entries of (model, version, day) have come or gone in this transaction."""
    months = sorted({(model, version, first_of_month(on)) for model, version, on in entries})
    rows = [
        {"change_id": time_ordered_id(tx.now), "model": model, "version_no": version, "month": month}
        for model, version, month in months
    ]
    if rows:
        await tx.execute(insert(funnel_change), rows)


async def count_months(tx: Tx) -> int:
    """Count the months of which entries have changed; returns how many."""
    await tx.execute(_LOCK)
    taken = await tx.rows("DELETE FROM supply.funnel_change RETURNING model, version_no, month")
    months = sorted({(row.model, row.version_no, row.month) for row in taken})
    for model, version, month in months:
        bound: dict[str, Any] = {
            "model": model, "version": version, "from_on": month, "to_on": add_months(month, 1),
        }  # fmt: skip
        await tx.execute(
            "DELETE FROM supply.funnel_month WHERE model = :model AND version_no = :version"
            " AND month >= :from_on AND month < :to_on",
            bound,
        )
        await tx.execute(
            "DELETE FROM supply.stage_day WHERE model = :model AND version_no = :version"
            " AND day >= :from_on AND day < :to_on",
            bound,
        )
        await tx.execute(_COUNT_MONTH, bound)
        await tx.execute(_COUNT_DAYS, bound)
    return len(months)


class Split(msgspec.Struct, frozen=True):
    """A period in what is read from counted months, [from_on, to_on) without those of `not_counted`, and the rest:
    days that are read from the entries, as ranges."""

    from_on: date
    to_on: date
    not_counted: list[date]
    ranges: list[tuple[date, date]]


async def split_period(tx: Tx, model: str, version: int, from_on: date, to_on: date) -> Split:
    """How a period of a funnel is to be read."""
    whole_from = from_on if from_on.day == 1 else add_months(first_of_month(from_on), 1)
    whole_to = max(first_of_month(to_on), whole_from)
    rows = await tx.rows(
        """
        SELECT DISTINCT month FROM supply.funnel_change
        WHERE model = :model AND version_no = :version AND month >= :from_on AND month < :to_on ORDER BY month
        """,
        model=model,
        version=version,
        from_on=whole_from,
        to_on=whole_to,
    )
    behind = [row.month for row in rows]
    ranges = [(from_on, min(whole_from, to_on)), *((month, add_months(month, 1)) for month in behind)]
    ranges.append((whole_to, to_on))
    return Split(whole_from, whole_to, behind, [(first, last) for first, last in ranges if first < last])


_READ_DAYS = f"""CASE fate WHEN 'on' THEN days
    WHEN 'open' THEN least(CAST(:today AS date) - ({_EPOCH} + days), CAST(:longest AS integer))
    ELSE least(days, CAST(:longest AS integer)) END"""
_COUNTED = f"""
    SELECT {{group}}, fate, {_READ_DAYS} AS days, sum(leads)::bigint AS leads, sum(inferred)::bigint AS inferred,
           sum(regressions)::bigint AS regressions
    FROM supply.funnel_month
    WHERE model = :model AND version_no = :version AND of = :of AND month >= :whole_from AND month < :whole_to
      AND month <> ALL(CAST(:behind AS date[])) AND {{channels}}
    GROUP BY {{numbers}}
"""
_TOGETHER = "channel_id = 0"
_EACH = "channel_id > 0"
_SOME = "channel_id = ANY(CAST(:channels AS bigint[]))"
_ENTRIES = """
    SELECT {group}, {fate} AS fate,
           coalesce({went_on} - entered_on,
                    least(greatest(coalesce(lost_on, :today) - entered_on, 0), CAST(:longest AS integer))) AS days,
           count(*) AS leads, count(*) FILTER (WHERE inferred) AS inferred, sum(regressions)::bigint AS regressions
    FROM supply.stage_entry e
    JOIN unnest(CAST(:starts AS date[]), CAST(:ends AS date[])) AS r (first, last)
      ON e.entered_on >= r.first AND e.entered_on < r.last
    WHERE model = :model AND version_no = :version AND {wanted}
      AND (CAST(:channels AS bigint[]) IS NULL OR channel_id = ANY(CAST(:channels AS bigint[])))
    GROUP BY {numbers}
"""


async def longest_days(tx: Tx, model: str, version: int, split: Split) -> int:
    """No less than the days that anybody of a period has taken to go on, or to be won.

    Who is open or lost for longer need not be told apart: no median or conversion depends on it.
    """
    found = await tx.scalar(
        """
        SELECT greatest(
            (SELECT max(days) FROM supply.funnel_month
             WHERE model = :model AND version_no = :version AND of IN ('stage', 'won') AND channel_id = 0
               AND fate = 'on'),
            (SELECT max(greatest(next_on, won_on) - entered_on) FROM supply.stage_entry e
             JOIN unnest(CAST(:starts AS date[]), CAST(:ends AS date[])) AS r (first, last)
               ON e.entered_on >= r.first AND e.entered_on < r.last
             WHERE model = :model AND version_no = :version))
        """,
        model=model,
        version=version,
        starts=[first for first, _ in split.ranges],
        ends=[last for _, last in split.ranges],
    )
    return int(found or 0)


async def counted_stages(tx: Tx, split: Split, channels: Sequence[int] | None, **asked: Any) -> list[Any]:
    """As `report_sql.stage_days`. channels: only those; None: all."""
    bound = _bound(split, channels, asked)
    wanted = _TOGETHER if channels is None else _SOME
    counted = _COUNTED.format(group="stage_no", channels=wanted, numbers="1, 2, 3")
    found = [*await tx.rows(counted, of="stage", **bound)]
    if split.ranges:
        entries = _ENTRIES.format(
            group="stage_no", fate=_STAGE_FATE, went_on="next_on", wanted="true", numbers="1, 2, 3"
        )
        found += await tx.rows(entries, **bound)
    return found


async def counted_cohorts(tx: Tx, split: Split, channels: Sequence[int] | None, **asked: Any) -> list[Any]:
    """As `report_sql.cohort_days`. channels: only those; None: all."""
    bound = _bound(split, channels, asked)
    by_channel = "channel_id, CAST(NULL AS date) AS month"
    found: list[Any] = []
    groups = (
        (by_channel, by_channel, _EACH if channels is None else _SOME),
        ("CAST(NULL AS bigint) AS channel_id, month", f"CAST(NULL AS bigint) AS channel_id, {_MONTH} AS month",
         _TOGETHER if channels is None else _SOME),
    )  # fmt: skip
    for of_cells, of_entries, wanted in groups:
        found += await tx.rows(
            _COUNTED.format(group=of_cells, channels=wanted, numbers="1, 2, 3, 4"), of="won", **bound
        )
        if split.ranges:
            entries = _ENTRIES.format(
                group=of_entries, fate=_WON_FATE, went_on="won_on", wanted="stage_no = 0", numbers="1, 2, 3, 4"
            )
            found += await tx.rows(entries, **bound)
    return found


def _bound(split: Split, channels: Sequence[int] | None, asked: dict[str, Any]) -> dict[str, Any]:
    return {
        **asked,
        "whole_from": split.from_on,
        "whole_to": split.to_on,
        "behind": split.not_counted,
        "starts": [first for first, _ in split.ranges],
        "ends": [last for _, last in split.ranges],
        "channels": None if channels is None else list(channels),
    }
