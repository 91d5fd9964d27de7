"""Rate settled orders anew under the contracts as they stand now, and book what they should have earned less.

A contract that is applied late, or a version that begins in the past, changes nothing that is issued: the differences
become entries of their own in the first open day, after a second person has agreed to them.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import date
from itertools import groupby
from typing import Any

import msgspec
from sqlalchemy import insert

from billing import postings
from billing.contracts import store
from billing.contracts.terms import Terms, choose
from billing.ledger import store as ledger
from billing.ledger.model import NewEntry
from billing.reratings import store as reratings
from billing.reratings.differences import Cell, Difference, Issued, SettledOrder, rerate
from billing.reratings.store import Adjustment, RerateLine, Rerating
from billing.tables import commission_line
from marketplace.core import audit, outbox, policies
from marketplace.core.db import Tx
from marketplace.core.errors import Conflict, Invalid
from marketplace.core.ids import time_ordered_id
from marketplace.core.money import allocate
from marketplace.flows.commission import rerate_contracts_sql as sql

ORDERS_MAX = 100_000
"""Orders that one rerating adjusts, in one commit; more are taken merchant by merchant."""


class Reratable(msgspec.Struct, frozen=True, kw_only=True):
    """What is to be rated anew: every order that counts in the month of `from_on` or later, of one merchant or all."""

    from_on: date
    merchant_id: int | None = None


class Rerated(msgspec.Struct, frozen=True, kw_only=True):
    """A rerating and its lines."""

    rerating: Rerating
    lines: list[RerateLine]


class _Adjusted(msgspec.Struct, frozen=True, kw_only=True):
    """An order that has earned something else than it should have. sale: the row of its first part."""

    merchant_id: int
    sale: Any
    differences: list[Difference]

    @property
    def commission_minor(self) -> int:
        return sum(one.commission_minor for one in self.differences)

    @property
    def vat_minor(self) -> int:
        return sum(one.vat_minor for one in self.differences)


async def preview_rerating(tx: Tx, wanted: Reratable) -> list[RerateLine]:
    """What rating anew would change, by merchant and month; months in which nothing differs are left out."""
    return [line for line, _ in await _compare(tx, wanted)]


async def propose_rerating(tx: Tx, wanted: Reratable) -> Rerated:
    """Store what rating anew would change, for a second person to approve.

    Raises Conflict when nothing differs, Invalid when more orders differ than are booked at once.
    """
    lines = await preview_rerating(tx, wanted)
    if not lines:
        raise Conflict(f"from_on: every order settled since {wanted.from_on:%Y-%m} has earned what it should have")
    orders = sum(line.orders for line in lines)
    if orders > ORDERS_MAX:
        raise Invalid(
            f"merchant_id: {orders} orders differ, more than {ORDERS_MAX}; name one merchant at a time",
            pointer="/merchant_id",
        )
    proposed = Rerating(
        rerating_id=time_ordered_id(tx.now),
        from_on=wanted.from_on,
        merchant_id=wanted.merchant_id,
        state="proposed",
        made_by=tx.actor,
        made_at=tx.now,
        approved_by=None,
        approved_at=None,
        single_operator=False,
    )
    await reratings.add(tx, proposed, lines)
    await audit.record(tx, "rerating proposed", f"rerating:{proposed.rerating_id}", orders=orders)
    return Rerated(rerating=proposed, lines=lines)


async def read_rerating(tx: Tx, rerating_id: int) -> Rerated:
    """A rerating with its lines. Raises NotFound."""
    found = await reratings.get(tx, rerating_id)
    return Rerated(rerating=found, lines=await reratings.lines_of(tx, rerating_id))


async def approve_rerating(tx: Tx, rerating_id: int) -> Rerated:
    """Book what was proposed: an entry per order, with lines that name the contract the order was sold under.

    Raises NotFound, Forbidden for the maker (unless the policy single_operator is on), Conflict when it is booked
    already, or when orders or contracts have changed since and another proposal is due.
    """
    proposed = await reratings.lock(tx, rerating_id)
    if proposed.state == "posted":
        raise Conflict(f"rerating {rerating_id} is booked already")
    single = await policies.check_second_person(tx, proposed.made_by, f"rerating {rerating_id}")
    # Applying contracts waits for this commit, and so does whatever posts to these books.
    await tx.execute("SELECT pg_advisory_xact_lock_shared(hashtext('billing.contract'))")
    lines = await reratings.lines_of(tx, rerating_id)
    for merchant_id in sorted({line.merchant_id for line in lines}):
        await ledger.lock_books(tx, merchant_id)
    found = await _compare(tx, Reratable(from_on=proposed.from_on, merchant_id=proposed.merchant_id))
    if [line for line, _ in found] != lines:
        raise Conflict(f"rerating {rerating_id}: orders or contracts have changed since it was proposed; propose again")
    adjusted = [one for _, of_line in found for one in of_line]
    for merchant_id, of_merchant in groupby(adjusted, key=lambda one: one.merchant_id):
        await _book(tx, rerating_id, merchant_id, list(of_merchant))
    await reratings.mark_posted(tx, rerating_id, single_operator=single)
    subject = f"rerating:{rerating_id}"
    await audit.record(tx, "rerating booked", subject, single_operator=single, orders=len(adjusted))
    await outbox.emit(tx, "billing.rerating_booked.v1", {"rerating_id": rerating_id, "orders": len(adjusted)})
    return await read_rerating(tx, rerating_id)


async def _book(tx: Tx, rerating_id: int, merchant_id: int, adjusted: Sequence[_Adjusted]) -> None:
    entries = [
        NewEntry(
            merchant_id=merchant_id,
            kind="commission_adjusted",
            source_id=time_ordered_id(tx.now),
            currency=one.sale.currency,
            occurred_at=one.sale.occurred_at,
            effective_on=one.sale.occurred_on,
            legs=postings.commission_adjusted(one.commission_minor, one.vat_minor),
        )
        for one in adjusted
    ]
    numbers = await ledger.post(tx, entries)
    booked = await tx.rows(_DAYS, merchant=merchant_id, first=numbers[0], last=numbers[-1])
    rows = [
        _line(one, difference, entry.entry_no, entry.effective_on)
        for one, entry in zip(adjusted, booked, strict=True)
        for difference in one.differences
    ]
    await tx.execute(insert(commission_line), rows)
    await reratings.add_adjustments(
        tx,
        [
            Adjustment(
                merchant_id=merchant_id,
                adjustment_id=entry.source_id,
                rerating_id=rerating_id,
                order_id=one.sale.order_id,
            )
            for one, entry in zip(adjusted, entries, strict=True)
        ],
    )


_DAYS = """
SELECT entry_no, effective_on FROM billing.entry
WHERE merchant_id = :merchant AND entry_no BETWEEN :first AND :last ORDER BY entry_no
"""


def _line(one: _Adjusted, difference: Difference, entry_no: int, effective_on: date) -> dict[str, object]:
    return {
        "merchant_id": one.merchant_id,
        "entry_no": entry_no,
        "contract_id": difference.contract_id,
        "order_id": difference.order_id,
        "kind": "adjustment",
        "occurred_at": one.sale.occurred_at,
        "occurred_on": one.sale.occurred_on,
        "effective_on": effective_on,
        "currency": one.sale.currency,
        "goods_minor": 0,
        "freight_minor": 0,
        "discount_minor": 0,
        "base_minor": 0,
        "commission_minor": difference.commission_minor,
        "vat_minor": difference.vat_minor,
        "kept_commission_minor": difference.more_back_commission_minor,
        "kept_vat_minor": difference.more_back_vat_minor,
    }


async def _compare(tx: Tx, wanted: Reratable) -> list[tuple[RerateLine, list[_Adjusted]]]:
    """Every merchant's months that differ, with the orders to adjust; a month is rated from its beginning."""
    since = wanted.from_on.replace(day=1)
    versions = await store.list_versions(tx)
    terms_of = {version.contract_id: version.terms for version in versions}
    found: list[tuple[RerateLine, list[_Adjusted]]] = []
    for merchant in await tx.rows(sql.MERCHANTS, since=since, merchant=wanted.merchant_id):
        offered = [
            terms for terms in terms_of.values() if terms.merchants is None or merchant.merchant_ref in terms.merchants
        ]
        months = await _read(tx, merchant.merchant_id, since, _chooser(offered, merchant, terms_of))
        found += [line for month in months for line in _differing(merchant.merchant_id, *month)]
    return sorted(found, key=lambda one: one[0])


_Choose = Callable[[Any, str], Terms]


def _chooser(offered: Sequence[Terms], merchant: Any, terms_of: dict[int, Terms]) -> _Choose:
    """The contract that a line falls under now; where none covers it any more, the one it was sold under."""
    known: dict[tuple[str | None, str, date], Terms | None] = {}

    def chosen(line: Any, currency: str) -> Terms:
        key = (line.category, currency, line.bought_on)
        if key not in known:
            known[key] = choose(offered, merchant.merchant_ref, *key, merchant.joined_on)
        return known[key] or terms_of[line.contract_id]

    return chosen


_Month = tuple[date, list[tuple[Any, SettledOrder]]]


async def _read(tx: Tx, merchant_id: int, since: date, chosen: _Choose) -> list[_Month]:
    """A merchant's orders month by month, in the order in which they were settled, each with the row of its sale."""
    bound = {"merchant": merchant_id, "since": since}
    lines: dict[int, list[Any]] = defaultdict(list)
    for line in await tx.rows(sql.SOLD, **bound):
        lines[line.order_id].append(line)
    months: dict[date, list[tuple[Any, SettledOrder]]] = defaultdict(list)
    for _, rows in groupby(await tx.rows(sql.ISSUED, **bound), key=lambda row: row.entry_no):
        parts = list(rows)
        sale = parts[0]
        issued = tuple(_issued(part) for part in parts)
        cells = tuple(cell for part in parts for cell in _cells(part, lines[sale.order_id], chosen))
        months[sale.month].append((sale, SettledOrder(order_id=sale.order_id, issued=issued, cells=cells)))
    return sorted(months.items(), key=lambda month: month[0])


def _issued(part: Any) -> Issued:
    return Issued(**{name: getattr(part, name) for name in Issued.__struct_fields__})


def _cells(part: Any, lines: Iterable[Any], chosen: _Choose) -> Iterator[Cell]:
    """What was sold under one contract, by the contract it falls under now; the cells sum to what was settled."""
    by_contract: dict[Terms, list[Any]] = defaultdict(list)
    for line in lines:
        if line.contract_id == part.contract_id:
            by_contract[chosen(line, part.currency)].append(line)
    amounts = {
        name: _divided(getattr(part, name), [sum(getattr(line, name) for line in of) for of in by_contract.values()])
        for name in ("goods_minor", "freight_minor", "discount_minor")
    }
    for position, contract in enumerate(by_contract):
        of_cell = {name: shares[position] for name, shares in amounts.items()}
        yield Cell(sold_under=part.contract_id, contract=contract, **of_cell)


def _divided(amount: int, weights: Sequence[int]) -> list[int]:
    """The lines sum to what was settled; where they do not, as in imported books, by their share."""
    if sum(weights) <= 0 and weights:
        return [amount, *(0 for _ in weights[1:])]
    return allocate(amount, weights)


def _differing(
    merchant_id: int, month: date, orders: Sequence[tuple[Any, SettledOrder]]
) -> Iterator[tuple[RerateLine, list[_Adjusted]]]:
    """A month's line for each currency in which anything differs.

    Commission that only moves between the contracts of one order is left where it is: nothing is owed for it.
    """
    by_order: dict[int, list[Difference]] = defaultdict(list)
    for difference in rerate(order for _, order in orders):
        by_order[difference.order_id].append(difference)
    for currency in sorted({sale.currency for sale, _ in orders}):
        rated = [
            _Adjusted(merchant_id=merchant_id, sale=sale, differences=by_order[order.order_id])
            for sale, order in orders
            if sale.currency == currency
        ]
        adjusted = [one for one in rated if one.commission_minor or one.vat_minor]
        every = [difference for one in rated for difference in one.differences]
        if adjusted:
            line = RerateLine(
                merchant_id=merchant_id,
                month=month,
                currency=currency,
                orders=len(adjusted),
                expected_commission_minor=sum(one.expected_commission_minor for one in every),
                issued_commission_minor=sum(one.issued_commission_minor for one in every),
                expected_vat_minor=sum(one.expected_vat_minor for one in every),
                issued_vat_minor=sum(one.issued_vat_minor for one in every),
            )
            yield line, adjusted
