"""Charge merchants for the hours of their campaigns: min(what was clicked, what is left of every limit).

A merchant is rated in one commit that holds its ledger head, so however many rate at once, nobody spends a budget or
a prepaid balance twice. Events may come in meanwhile: they count up an hour's row, which rating holds while it judges
it, so they wait for a moment or come after, and the hour is due again.
"""

from collections.abc import Mapping, Sequence
from datetime import date, datetime, timedelta
from typing import Any

import msgspec
from sqlalchemy import insert

from billing import postings
from billing.ads import rating_sql
from billing.ads.accounts import store as accounts
from billing.ads.accounts.store import Books
from billing.ads.model import Bucket, Charge, ChargeKind
from billing.ads.rating import Creditable, Hour, Parts, Rated, due_minor, rate_hours, split, split_credit
from billing.ads.rules import VERSION, Verdict
from billing.ads.tables import ad_charge
from billing.ledger import store as ledger
from billing.ledger.model import NewEntry
from marketplace.core.clock import local_date
from marketplace.core.db import Database, Tx
from marketplace.core.each import FIRST, each
from marketplace.core.ids import time_ordered_id

GRACE = timedelta(minutes=5)
"""An hour is rated when it has been over for so long; what comes in later is rated by the difference."""
HOURS_MAX = 1_000
"""Hours of a merchant in one commit."""
_MERCHANTS = 200


class _Due(msgspec.Struct, frozen=True, kw_only=True):
    """An hour that is held, its campaign's limits, and what judging its clicks has changed."""

    bucket: Bucket
    currency: str
    total_left: int | None
    invalid_clicks: int
    invalid_milli: int

    @property
    def key(self) -> tuple[int, datetime]:
        return self.bucket.campaign_id, self.bucket.hour_at

    @property
    def hour(self) -> Hour:
        return Hour(
            campaign_id=self.bucket.campaign_id,
            currency=self.currency,
            hour_at=self.bucket.hour_at,
            on_day=self.bucket.on_day,
            due_minor=due_minor(self.bucket.gross_milli, self.invalid_milli),
            billed_minor=self.bucket.billed_minor,
            unbilled_minor=self.bucket.unbilled_minor,
        )


class _Line(msgspec.Struct, frozen=True):
    """A charge or credit to be written."""

    hour: Hour
    parts: Parts
    credits_charge_id: int | None


async def rate_ended(db: Database, actor: str) -> int:
    """Rate what is due of hours that have been over for a while; returns how many hours that was."""
    return await rate_due(db, actor, db.clock.now() - GRACE - timedelta(hours=1))


async def rate_due(db: Database, actor: str, upto: datetime) -> int:
    """Rate every hour that began at `upto` or before and has changed since it was rated; returns how many that was.

    A merchant is rated HOURS_MAX hours at a time: whoever has more comes up again, so nobody waits long for it.
    """
    rated = 0

    async def page(tx: Tx, last: Any | None) -> Sequence[Any]:
        bound = {"before": upto + timedelta(microseconds=1), "limit": _MERCHANTS}
        return await tx.rows(rating_sql.MERCHANTS, after=last.merchant_id if last is not None else FIRST, **bound)

    async def rate(tx: Tx, row: Any) -> bool:
        nonlocal rated
        done = await rate_merchant(tx, row.merchant_id, upto)
        rated += done
        return done == HOURS_MAX

    while await each(db, actor, "ads not rated", page, rate):
        pass
    return rated


async def rate_merchant(tx: Tx, merchant_id: int, upto: datetime) -> int:
    """Rate a merchant's changed hours up to the one that began at `upto`; returns how many there were."""
    await ledger.lock_books(tx, merchant_id)
    due = await _hold(tx, merchant_id, upto)
    if not due:
        return 0
    free = {
        currency: (await accounts.get_account(tx, merchant_id, currency)).free_minor
        for currency in sorted({each.currency for each in due})
    }
    rated = rate_hours(
        [each.hour for each in due],
        day_left=await _day_left(tx, merchant_id, due),
        total_left={each.bucket.campaign_id: each.total_left for each in due},
        free=free,
    )
    await _store(tx, merchant_id, due, rated)
    lines = await _lines(tx, merchant_id, rated)
    if lines:
        await _book(tx, merchant_id, lines)
    return len(due)


async def _hold(tx: Tx, merchant_id: int, upto: datetime) -> list[_Due]:
    """The hours to be rated, held, their clicks judged."""
    bound = {"merchant": merchant_id, "before": upto + timedelta(microseconds=1), "limit": HOURS_MAX}
    rows = await tx.rows(rating_sql.HOLD_HOURS, **bound)
    unjudged = [row for row in rows if row.unjudged]
    clicks: dict[tuple[int, datetime], int] = {}
    milli: dict[tuple[int, datetime], int] = {}
    if unjudged:
        named = {"campaigns": [row.campaign_id for row in unjudged], "hours": [row.hour_at for row in unjudged]}
        for change in await tx.rows(rating_sql.JUDGE, merchant=merchant_id, **named):
            key = (change.campaign_id, change.hour_at)
            sign = (change.verdict != Verdict.VALID) - (change.was != Verdict.VALID)
            clicks[key] = clicks.get(key, 0) + sign
            milli[key] = milli.get(key, 0) + sign * change.price_milli
    due = []
    for row in rows:
        bucket = Bucket(**{name: getattr(row, name) for name in Bucket.__struct_fields__})
        key = (bucket.campaign_id, bucket.hour_at)
        each = _Due(
            bucket=bucket,
            currency=row.currency,
            total_left=None if row.total_minor is None else row.total_minor - row.spent_minor,
            invalid_clicks=bucket.invalid_clicks + clicks.get(key, 0),
            invalid_milli=bucket.invalid_milli + milli.get(key, 0),
        )
        due.append(each)
    return due


async def _day_left(tx: Tx, merchant_id: int, due: Sequence[_Due]) -> dict[tuple[int, date], int]:
    """What is left of the daily budgets that the hours belong to."""
    days = sorted({(each.bucket.campaign_id, each.bucket.on_day) for each in due})
    bound = {"campaigns": [day[0] for day in days], "days": [day[1] for day in days]}
    rows = await tx.rows(rating_sql.DAYS, merchant=merchant_id, **bound)
    return {(row[0], row[1]): int(row[2]) for row in rows}


async def _store(tx: Tx, merchant_id: int, due: Sequence[_Due], rated: Sequence[tuple[Hour, Rated]]) -> None:
    """What the hours come to, and what their campaigns have spent."""
    held = {each.key: each for each in due}
    table, spent = [], dict[int, int]()
    for hour, found in rated:
        each = held[hour.campaign_id, hour.hour_at]
        change = found.charge_minor - found.credit_minor
        table.append(
            (*each.key, each.invalid_clicks, each.invalid_milli, hour.billed_minor + change,
             hour.unbilled_minor + found.unbilled_minor)
        )  # fmt: skip
        spent[hour.campaign_id] = spent.get(hour.campaign_id, 0) + change
    await tx.raw.execute(rating_sql.RATED, merchant_id, *(list(column) for column in zip(*table, strict=True)))
    await tx.raw.execute(rating_sql.SPENT, merchant_id, list(spent), list(spent.values()))


async def _lines(tx: Tx, merchant_id: int, rated: Sequence[tuple[Hour, Rated]]) -> list[_Line]:
    """Charges and credits by where the money comes from. Credits first: what they give back may be spent."""
    credited = [(hour, found.credit_minor) for hour, found in rated if found.credit_minor]
    lines = []
    if credited:
        charges = await _creditable(tx, merchant_id, [hour for hour, _ in credited])
        for hour, amount in credited:
            for charge_id, parts in split_credit(amount, charges[hour.campaign_id, hour.hour_at]):
                lines.append(_Line(hour, Parts(-parts.granted_minor, -parts.paid_minor), charge_id))
    granted = {
        currency: (await accounts.get_account(tx, merchant_id, currency)).granted_minor
        for currency in sorted({hour.currency for hour, _ in rated})
    }
    for line in lines:
        granted[line.hour.currency] -= line.parts.granted_minor
    for hour, found in rated:
        if found.charge_minor:
            parts = split(found.charge_minor, granted[hour.currency])
            granted[hour.currency] -= parts.granted_minor
            lines.append(_Line(hour, parts, None))
    return lines


async def _creditable(
    tx: Tx, merchant_id: int, hours: Sequence[Hour]
) -> Mapping[tuple[int, datetime], list[Creditable]]:
    bound = {"campaigns": [hour.campaign_id for hour in hours], "hours": [hour.hour_at for hour in hours]}
    found: dict[tuple[int, datetime], list[Creditable]] = {}
    for row in await tx.rows(rating_sql.CREDITABLE, merchant=merchant_id, **bound):
        charge = Creditable(
            charge_id=row.charge_id, granted_minor=int(row.granted_minor), paid_minor=int(row.paid_minor)
        )
        found.setdefault((row.campaign_id, row.hour_at), []).append(charge)
    return found


async def _book(tx: Tx, merchant_id: int, lines: Sequence[_Line]) -> None:
    """H1: an entry for each hour, currency and direction, its lines, and the balance."""
    books = await accounts.books_of(tx, merchant_id)
    groups: dict[tuple[str, datetime, bool], list[_Line]] = {}
    for line in lines:
        key = (line.hour.currency, line.hour.hour_at, line.credits_charge_id is not None)
        groups.setdefault(key, []).append(line)
    ordered = sorted(groups)
    numbers = await ledger.post(
        tx, [_entry(tx, merchant_id, books, key, [line.parts for line in groups[key]]) for key in ordered]
    )
    rows: list[dict[str, Any]] = []
    for key, entry_no in zip(ordered, numbers, strict=True):
        rows += [_row(tx, merchant_id, line, entry_no) for line in groups[key]]
    await tx.execute(insert(ad_charge), rows)
    for currency in sorted({line.hour.currency for line in lines}):
        own = [line for line in lines if line.hour.currency == currency]
        await accounts.change_account(
            tx,
            merchant_id,
            currency,
            paid=-sum(line.parts.paid_minor for line in own),
            granted=-sum(line.parts.granted_minor for line in own),
        )


def _entry(tx: Tx, merchant_id: int, books: Books, key: tuple[str, datetime, bool], parts: Sequence[Parts]) -> NewEntry:
    currency, hour_at, credit = key
    granted, paid = (sum(each.granted_minor for each in parts), sum(each.paid_minor for each in parts))
    return NewEntry(
        merchant_id=merchant_id,
        kind="ad_credited" if credit else "ad_spent",
        source_id=time_ordered_id(tx.now),
        currency=currency,
        occurred_at=hour_at,
        effective_on=local_date(hour_at, books.zone),
        legs=postings.ads_spent(granted, paid),
    )


def _row(tx: Tx, merchant_id: int, line: _Line, entry_no: int) -> dict[str, Any]:
    charge = Charge(
        merchant_id=merchant_id,
        charge_id=time_ordered_id(tx.now),
        campaign_id=line.hour.campaign_id,
        kind=ChargeKind.USE if line.credits_charge_id is None else ChargeKind.CREDIT,
        currency=line.hour.currency,
        hour_at=line.hour.hour_at,
        on_day=line.hour.on_day,
        amount_minor=line.parts.amount_minor,
        granted_minor=line.parts.granted_minor,
        paid_minor=line.parts.paid_minor,
        credits_charge_id=line.credits_charge_id,
        booking_id=None,
        rules_version=VERSION,
        entry_no=entry_no,
        at=tx.now,
    )
    return {**msgspec.structs.asdict(charge), "kind": charge.kind.value}
