"""Managed services: propose and accept an agreement, charge its months.

A retainer is charged when its month begins, and is earned when the month is over. A share is charged when its month is
over, from the merchant's settled orders. What is refunded of an order after its month was closed is the next month's
difference: all months are counted anew, and what they come to more or less than was charged before is charged or
credited with the month that is closed. Nothing that was charged is ever edited.
"""

from collections.abc import Sequence
from datetime import date, timedelta
from typing import Any

import msgspec

from billing.charges import model as money
from billing.charges import store as charges
from billing.charges.model import ChargeSource, NewCharge
from billing.charges.store import Books
from marketplace.core.clock import local_date
from marketplace.core.db import Database, Tx
from marketplace.core.each import FIRST, each
from marketplace.core.errors import Conflict, Invalid
from marketplace.core.ids import time_ordered_id
from marketplace.core.money import check_currency
from marketplace.core.months import add_months, first_of_month, last_of_month
from marketplace.flows.products.charge_products import credit_charge, hold, make_charge
from supply.products.model import Means
from supply.products.services import store
from supply.products.services.model import (
    SOURCE,
    Agreement,
    AgreementMove,
    AgreementState,
    ServiceKind,
    ServiceMonth,
    baseline,
    check_move,
    share,
)
from supply.store import get_merchant

BATCH = 200
_FARTHEST_ZONE = "Pacific/Kiritimati"
_AHEAD_MONTHS = 24


class ProposeRetainer(msgspec.Struct, frozen=True, kw_only=True):
    """A fixed amount a month, paid first."""

    merchant_id: int
    name: str
    currency: str
    retainer_minor: int
    vat_ppm: int
    due_days: int
    starts_on: date
    ends_on: date | None


class ProposeShare(msgspec.Struct, frozen=True, kw_only=True):
    """A share of turnover above that of the average month in [baseline_from, baseline_to)."""

    merchant_id: int
    name: str
    currency: str
    share_ppm: int
    vat_ppm: int
    due_days: int
    baseline_from: date
    baseline_to: date
    starts_on: date
    ends_on: date | None


class EndAgreement(msgspec.Struct, frozen=True, kw_only=True):
    """ends_on: the first day of the month that is not served any more."""

    merchant_id: int
    agreement_id: int
    ends_on: date


async def propose_retainer(tx: Tx, cmd: ProposeRetainer) -> Agreement:
    """Raises NotFound, Invalid."""
    books = await _check_terms(tx, cmd)
    terms: dict[str, Any] = {"share_ppm": 0, "baseline_minor": 0, "baseline_from": None, "baseline_to": None}
    return await store.insert_agreement(
        tx, _proposed(tx, books, ServiceKind.RETAINER, **msgspec.structs.asdict(cmd), **terms, baseline_source="")
    )


async def propose_share(tx: Tx, cmd: ProposeShare) -> Agreement:
    """Measure the baseline and freeze it in the proposal. Raises NotFound, Invalid for months that are not over."""
    books = await _check_terms(tx, cmd)
    _check_first(cmd.baseline_from, "baseline_from")
    _check_first(cmd.baseline_to, "baseline_to")
    if not cmd.baseline_from < cmd.baseline_to <= first_of_month(books.today):
        raise Invalid("baseline_to: the baseline is measured in months that are over", pointer="/baseline_to")
    turnover = await turnover_by_month(tx, cmd.merchant_id, cmd.currency, cmd.baseline_from, cmd.baseline_to)
    count = (cmd.baseline_to.year - cmd.baseline_from.year) * 12 + cmd.baseline_to.month - cmd.baseline_from.month
    terms: dict[str, Any] = {"retainer_minor": 0, "baseline_minor": baseline(sum(turnover.values()), count)}
    return await store.insert_agreement(
        tx, _proposed(tx, books, ServiceKind.SHARE, **msgspec.structs.asdict(cmd), **terms, baseline_source=SOURCE)
    )


async def _check_terms(tx: Tx, cmd: ProposeRetainer | ProposeShare) -> Books:
    books = await hold(tx, cmd.merchant_id)
    await get_merchant(tx, cmd.merchant_id)
    check_currency(cmd.currency)
    _check_first(cmd.starts_on, "starts_on")
    first = first_of_month(books.today)
    if not first <= cmd.starts_on <= add_months(first, _AHEAD_MONTHS):
        raise Invalid(f"starts_on: is this month or one of the next {_AHEAD_MONTHS}", pointer="/starts_on")
    if cmd.ends_on is not None:
        _check_first(cmd.ends_on, "ends_on")
        if cmd.ends_on <= cmd.starts_on:
            raise Invalid("ends_on: is after starts_on", pointer="/ends_on")
    return books


def _check_first(on: date, field: str) -> None:
    if on.day != 1:
        raise Invalid(f"{field}: {on} is not the first of a month", pointer=f"/{field}")


def _proposed(tx: Tx, books: Books, kind: ServiceKind, **terms: Any) -> Agreement:
    return Agreement(
        **{**terms, "merchant_id": books.merchant_id},
        agreement_id=time_ordered_id(tx.now),
        kind=kind,
        state=AgreementState.PROPOSED,
        pays_by=None,
        next_month=terms["starts_on"],
        version=1,
        made_by=tx.actor,
        made_at=tx.now,
        decided_by=None,
    )


async def accept_agreement(tx: Tx, merchant_id: int, agreement_id: int, pays_by: Means) -> Agreement:
    """The merchant agrees; what is due today is charged. Raises NotFound, Conflict, also when it is too late."""
    books = await hold(tx, merchant_id)
    now = await store.get_agreement(tx, merchant_id, agreement_id, lock=True)
    if now.state is AgreementState.PROPOSED and now.starts_on < first_of_month(books.today):
        raise Conflict(f"the agreement was to begin on {now.starts_on}: it has to be proposed anew")
    accepted = await store.move_agreement(tx, now, AgreementMove.ACCEPT, pays_by=pays_by, decided_by=tx.actor)
    return await advance(tx, books, accepted)


async def decline_agreement(tx: Tx, merchant_id: int, agreement_id: int) -> Agreement:
    """Raises NotFound, Conflict."""
    await hold(tx, merchant_id)
    now = await store.get_agreement(tx, merchant_id, agreement_id, lock=True)
    return await store.move_agreement(tx, now, AgreementMove.DECLINE, decided_by=tx.actor)


async def end_agreement(tx: Tx, cmd: EndAgreement) -> Agreement:
    """Set the month with which an active agreement ends; the clock ends it then.

    Raises NotFound, Conflict; Invalid for a month that has begun, or one after the end agreed.
    """
    books = await hold(tx, cmd.merchant_id)
    now = await store.get_agreement(tx, cmd.merchant_id, cmd.agreement_id, lock=True)
    check_move(now.state, AgreementMove.END)
    _check_first(cmd.ends_on, "ends_on")
    first = max(now.starts_on, first_of_month(books.today))
    if not first < cmd.ends_on <= (now.ends_on or cmd.ends_on):
        raise Invalid(f"ends_on: is after {first}, and no later than agreed", pointer="/ends_on")
    return await store.set_agreement(tx, now, ends_on=cmd.ends_on)


async def bill_services(db: Database, actor: str) -> int:
    """Charge every month that is due by now; returns for how many agreements there was one.

    Any number of workers may do it, and after an outage it charges every month since.
    """

    async def page(tx: Tx, last: Any | None) -> Sequence[Any]:
        after = (last.merchant_id, last.agreement_id) if last is not None else (FIRST, FIRST)
        return await store.due(tx, local_date(tx.now, _FARTHEST_ZONE), after, BATCH)

    async def bill(tx: Tx, row: Any) -> bool:
        books = await hold(tx, row.merchant_id)
        now = await store.get_agreement(tx, row.merchant_id, row.agreement_id, lock=True)
        return (await advance(tx, books, now)).version != now.version

    return await each(db, actor, "service not billed", page, bill)


async def advance(tx: Tx, books: Books, held: Agreement) -> Agreement:
    """Charge a locked agreement's months up to today, and end it after its last. The merchant's books are held."""
    while held.state is AgreementState.ACTIVE:
        month = held.next_month
        if held.ends_on is not None and month >= held.ends_on:
            return await store.move_agreement(tx, held, AgreementMove.END)
        if (month if held.kind is ServiceKind.RETAINER else add_months(month, 1)) > books.today:
            return held
        if held.kind is ServiceKind.RETAINER:
            await make_charge(tx, _charge(books, held, month, held.retainer_minor, held.name, month))
        else:
            await _close_month(tx, books, held, month)
        held = await store.set_agreement(tx, held, next_month=add_months(month, 1))
    return held


async def _close_month(tx: Tx, books: Books, held: Agreement, month: date) -> None:
    turnover = await turnover_by_month(
        tx, held.merchant_id, held.currency, held.starts_on, add_months(month, 1)
    )  # fmt: skip
    fees = {of: share(minor, held.baseline_minor, held.share_ppm) for of, minor in turnover.items()}
    fee = fees.get(month, 0)
    difference = sum(fees.values()) - await store.due_so_far(tx, held)
    closed = ServiceMonth(
        merchant_id=held.merchant_id,
        agreement_id=held.agreement_id,
        month=month,
        turnover_minor=turnover.get(month, 0),
        fee_minor=fee,
        restated_minor=difference - fee,
        closed_at=tx.now,
    )
    await store.close_month(tx, closed)
    if difference > 0:
        words = f"{held.name}: {turnover.get(month, 0)} above {held.baseline_minor}"
        await make_charge(tx, _charge(books, held, month, difference, words, last_of_month(month)))
    for charge in reversed(await charges.of_source(tx, held.merchant_id, ChargeSource.SERVICE, held.agreement_id)):
        amount = min(max(-difference, 0), charge.kept_minor)
        if amount:
            await credit_charge(tx, charge, amount, last_of_month(month), f"refunds until {last_of_month(month)}")
            difference += amount


def _charge(books: Books, held: Agreement, month: date, net_minor: int, words: str, on: date) -> NewCharge:
    assert held.pays_by is not None
    retained = held.kind is ServiceKind.RETAINER
    return NewCharge(
        merchant_id=held.merchant_id,
        source=ChargeSource.SERVICE,
        source_id=held.agreement_id,
        part=f"{month:%Y-%m}",
        description=f"{words}, {month:%Y-%m}",
        currency=held.currency,
        net_minor=net_minor,
        vat_ppm=held.vat_ppm,
        charged_on=on,
        due_on=max(on, books.today) + timedelta(days=held.due_days),
        pays_by=money.PaysBy(held.pays_by.value),
        service_from=month if retained else None,
        service_to=add_months(month, 1) if retained else None,
    )


# What a merchant turned over with the orders settled in each month, as it stood at the end of the last of them: a
# refund counts for the month of its order, from the month on in which it was booked.
_TURNOVER = """
SELECT CAST(date_trunc('month', s.sold_on) AS date) AS month,
       sum(l.goods_minor + l.freight_minor - l.discount_minor)::bigint AS minor
FROM billing.commission_line l
JOIN (SELECT merchant_id, order_id, min(effective_on) AS sold_on FROM billing.commission_line
      WHERE merchant_id = :merchant AND currency = :currency AND kind = 'sale' GROUP BY merchant_id, order_id) AS s
  ON s.merchant_id = l.merchant_id AND s.order_id = l.order_id
WHERE l.merchant_id = :merchant AND l.currency = :currency AND l.effective_on < :to_on
  AND s.sold_on >= :from_on AND s.sold_on < :to_on
GROUP BY 1
"""


async def turnover_by_month(tx: Tx, merchant_id: int, currency: str, from_on: date, to_on: date) -> dict[date, int]:
    """A merchant's turnover by the first of the month, with VAT as buyers pay it; months without any are left out."""
    rows = await tx.rows(_TURNOVER, merchant=merchant_id, currency=currency, from_on=from_on, to_on=to_on)
    return {row.month: row.minor for row in rows}
