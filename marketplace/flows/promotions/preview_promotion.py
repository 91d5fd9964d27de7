"""What terms would have cost on the last weeks of recorded orders, at once: for a form while it is filled in.

It is the replay of a simulation without its intervals, in this process, over no more than ORDERS_MAX orders, or new
listings. Where there were more of them, it is an estimate: over those of one merchant in so many, what it comes to
multiplied, and without budgets, since when a budget ends depends on everybody. What is approved is always simulated
over all of them.
"""

import asyncio
from collections import Counter
from collections.abc import Sequence
from datetime import date, datetime, timedelta

import msgspec

from incentives.rules.index import plan_of
from incentives.rules.model import ListingPublished, Terms
from incentives.rules.windows import schedule_span
from incentives.simulation.model import Answer, Grant, Record, Replayed
from incentives.simulation.purse import Purse
from incentives.simulation.replay import replay
from incentives.simulation.report import EXPECTED
from incentives.simulation.scenarios import scenario
from incentives.simulation.spool import Everybody
from incentives.simulation.store import Asked
from marketplace.core.clock import local_date
from marketplace.core.db import STAFF, Database, Tx
from marketplace.flows.promotions.simulate_promotion import check_simulated, records_of

WEEKS = 4
ORDERS_MAX = 10_000
TOP = 5
_LAST: dict[bool, str] = {
    False: "SELECT max(placed_at) FROM demand.merchant_order WHERE placed_at < :before",
    True: "SELECT max(listed_at) FROM supply.offer WHERE listed_at < :before",
}
_COUNT: dict[bool, str] = {
    False: "SELECT count(*) FROM demand.merchant_order WHERE placed_at >= :starts AND placed_at < :ends",
    True: "SELECT count(*) FROM supply.offer WHERE listed_at >= :starts AND listed_at < :ends",
}
"""Of orders, and of listings (True)."""
_NAMES = "SELECT merchant_id, name FROM supply.merchant WHERE merchant_id = ANY(:ids)"


class Gainer(msgspec.Struct, frozen=True, kw_only=True):
    """A merchant, or where merchants get nothing a buyer without a name, and what it would have been given."""

    party_id: int
    name: str
    granted_minor: int


class Preview(msgspec.Struct, frozen=True, kw_only=True):
    """Local days, both inclusive. one_in: of so many merchants one was looked at; amounts are already multiplied.
    events: how many orders, or listings, were.

    limited, unlimited: with the budgets and without, not multiplied. cost, wanted: what is given, and what would be
    without budgets; expected: with the response that simulations count on; days: what each day burned. is_uncapped:
    there are budgets, but a sample cannot say what they cap, so that nothing here is with them.
    """

    from_on: date
    to_on: date
    events: int
    listings: bool
    one_in: int
    limited: Replayed
    unlimited: Replayed
    cost_minor: int
    wanted_minor: int
    expected_minor: int
    limit_minor: int | None
    is_uncapped: bool
    days: tuple[tuple[date, int], ...]
    top: tuple[Gainer, ...]


def is_of_listings(terms: Terms) -> bool:
    """Whether it is listings that terms are replayed over."""
    return isinstance(terms.trigger, ListingPublished)


async def last_weeks(tx: Tx, terms: Terms, weeks: int = WEEKS) -> tuple[date, date] | None:
    """The weeks that end with the local day of the newest order, or listing, so far; None where there was none."""
    last: datetime | None = await tx.scalar(_LAST[is_of_listings(terms)], before=tx.now)
    if last is None:
        return None
    to_on = local_date(last, terms.schedule.zone)
    return to_on - timedelta(days=7 * weeks - 1), to_on


async def preview_terms(
    db: Database, terms: Terms, days: tuple[date, date] | None = None, orders_max: int = ORDERS_MAX
) -> Preview | None:
    """None where nothing is recorded yet. Raises Invalid for terms that cannot be replayed, naming all that stands
    against it."""
    async with db.read(STAFF) as tx:
        found = days or await last_weeks(tx, terms)
        if found is None:
            return None
        asked = Asked(from_on=found[0], to_on=found[1], expected=EXPECTED, seed=1)
        replayed = check_simulated(terms, asked)
        one_in = -(-await _count(tx, replayed) // orders_max) or 1
        parts = records_of(tx, replayed, one_in=one_in, glance=True)
        records = [record async for part in parts for record in part]
    limited, unlimited, grants, expected = await asyncio.to_thread(_replayed, replayed, records, capped=one_in == 1)
    async with db.read(STAFF) as tx:
        top = await _top(tx, grants)
    return Preview(
        from_on=found[0],
        to_on=found[1],
        events=sum(record.event is not None for record in records),
        listings=is_of_listings(terms),
        one_in=one_in,
        limited=limited.replayed,
        unlimited=unlimited.replayed,
        cost_minor=limited.replayed.cost_minor * one_in,
        wanted_minor=unlimited.replayed.cost_minor * one_in,
        expected_minor=expected * one_in,
        limit_minor=Purse(1, replayed).total_minor(),
        is_uncapped=one_in > 1 and bool(replayed.budgets),
        days=_days(limited.replayed, found, one_in),
        top=top,
    )


async def _count(tx: Tx, terms: Terms) -> int:
    span = schedule_span(terms.schedule)
    found: int = await tx.scalar(_COUNT[is_of_listings(terms)], starts=span.starts, ends=span.ends)
    return found


def _replayed(
    terms: Terms, records: Sequence[Record], *, capped: bool
) -> tuple[Answer, Answer, Counter[tuple[str, int]], int]:
    """With budgets (if capped) and without, what each beneficiary was given, and the cost as it is expected."""
    plan = plan_of(1, 1, terms)
    joined = Everybody(schedule_span(terms.schedule).starts)
    grants: Counter[tuple[str, int]] = Counter()

    def note(grant: Grant) -> None:
        grants[grant.role, grant.party_id] += grant.granted_minor

    [limited] = replay([plan], records, limited=capped, joined_at=joined, sink=note)
    unlimited = limited
    if capped and terms.budgets:
        [unlimited] = replay([plan], records, limited=False, joined_at=joined)
    expected = scenario(plan, unlimited.standings.measures, EXPECTED)
    return limited, unlimited, grants, expected.cost_minor


async def _top(tx: Tx, grants: Counter[tuple[str, int]]) -> tuple[Gainer, ...]:
    most = [(who, minor) for who, minor in grants.most_common(TOP) if minor > 0]
    ids = [party_id for (role, party_id), _ in most if role == "merchant"]
    names = {row.merchant_id: row.name for row in await tx.rows(_NAMES, ids=ids)}
    return tuple(
        Gainer(party_id=party_id, name=names.get(party_id, "") if role == "merchant" else "", granted_minor=minor)
        for (role, party_id), minor in most
    )


def _days(of: Replayed, days: tuple[date, date], one_in: int) -> tuple[tuple[date, int], ...]:
    """What was burned on each of the days; what came back later is not taken off a day."""
    burned = {each.day: each.burned_minor for each in of.days}
    count = (days[1] - days[0]).days + 1
    every = [days[0] + timedelta(days=number) for number in range(count)]
    return tuple((on, max(0, burned.get(on, 0)) * one_in) for on in every)
