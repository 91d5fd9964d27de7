"""Charge a merchant for a product, and book what becomes of the charge: netted, paid, credited, recognised.

Everything here holds the merchant's books first; a charge changes under them alone. A part of a source is charged
once, a month of a charge recognised once, a payment of the bank booked once.
"""

from datetime import date, timedelta
from typing import Any

import msgspec

from billing.charges import postings, store
from billing.charges.model import Charge, ChargeMovement, Happened, NewCharge, PaysBy, entry_kind
from billing.charges.store import Books
from billing.ledger import store as ledger
from billing.ledger.chart import Account
from billing.ledger.model import Balance, Leg, NewEntry
from marketplace.core import audit, outbox
from marketplace.core.db import Tx
from marketplace.core.errors import Conflict, Invalid
from marketplace.core.ids import time_ordered_id
from marketplace.core.months import month_ends


class Credited(msgspec.Struct, frozen=True, kw_only=True):
    """What was taken back of a charge; payable_minor of it was paid already and is owed to the merchant now."""

    charge: Charge
    net_minor: int
    vat_minor: int
    payable_minor: int


class PayCharge(msgspec.Struct, frozen=True, kw_only=True):
    """A merchant's transfer for a charge has arrived; bank_ref is the bank's name of the movement."""

    merchant_id: int
    charge_id: int
    amount_minor: int
    bank_ref: str
    on: date


async def hold(tx: Tx, merchant_id: int) -> Books:
    """Hold a merchant's books before anything of its charges is read. Raises NotFound."""
    books = await store.books_of(tx, merchant_id)
    await ledger.lock_books(tx, merchant_id)
    return books


async def make_charge(tx: Tx, new: NewCharge) -> Charge:
    """Charge it and, where netting is agreed, set it off against what the merchant is owed. The books are held.

    Raises Conflict when this part is charged already.
    """
    charge_id = time_ordered_id(tx.now)
    entry = _entry(
        tx, new, entry_kind(new.source, "charged"), charge_id, new.charged_on, postings.charged(new, charge_id)
    )
    [entry_no] = await ledger.post(tx, [entry])
    made = await store.insert_charge(tx, new, charge_id, entry_no)
    await outbox.emit(tx, "billing.charge_made.v1", made, merchant_id=new.merchant_id)
    if made.pays_by is PaysBy.NETTING:
        books = await store.books_of(tx, new.merchant_id)
        await net_merchant(tx, new.merchant_id, books.today)
    return await store.get_charge(tx, new.merchant_id, charge_id)


async def net_merchant(tx: Tx, merchant_id: int, as_of: date) -> int:
    """Set off what is payable to a merchant against its charges, the oldest due first; returns how many it touched.

    Never more than was payable at the end of `as_of`, nor more than still is. The books are held.
    """
    open_now = await store.open_charges(tx, merchant_id, PaysBy.NETTING)
    open_now = [charge for charge in open_now if charge.charged_on <= as_of]
    if not open_now:
        return 0
    payable = await _payable(tx, merchant_id, as_of)
    touched = 0
    for charge in open_now:
        amount = min(charge.open_minor, payable.get(charge.currency, 0))
        if amount <= 0:
            continue
        payable[charge.currency] -= amount
        movement_id = time_ordered_id(tx.now)
        legs = postings.netted(amount, charge.charge_id)
        [entry_no] = await ledger.post(
            tx, [_entry(tx, charge, entry_kind(charge.source, "netted"), movement_id, as_of, legs)]
        )
        await _settle(tx, charge, Happened.NETTED, movement_id, entry_no, as_of, amount)
        touched += 1
    return touched


async def pay_charge(tx: Tx, cmd: PayCharge) -> ChargeMovement:
    """Book a transfer for a charge; the same again changes nothing.

    Raises NotFound; Conflict for more than is open, or another payment of the same name; Invalid for a day to come.
    """
    books = await hold(tx, cmd.merchant_id)
    await ledger.lock_books(tx, books.house_merchant_id)
    charge = await store.get_charge(tx, cmd.merchant_id, cmd.charge_id)
    earlier = await store.paid_as(tx, cmd.merchant_id, cmd.charge_id, cmd.bank_ref)
    if earlier is not None and (earlier.amount_minor, earlier.counts_on) == (cmd.amount_minor, cmd.on):
        return earlier
    if earlier is not None:
        raise Conflict(f"bank_ref: {cmd.bank_ref!r} paid {earlier.amount_minor} of this charge on {earlier.counts_on}")
    if not charge.charged_on <= cmd.on <= books.today:
        raise Invalid(f"on: {cmd.on} is not between {charge.charged_on} and today, {books.today}", pointer="/on")
    if cmd.amount_minor > charge.open_minor:
        raise Conflict(
            f"amount_minor: {charge.open_minor} is open of charge {charge.charge_id}, {cmd.amount_minor} is more",
            open_minor=charge.open_minor,
        )
    movement_id = time_ordered_id(tx.now)
    kind = entry_kind(charge.source, "paid")
    own, house = postings.paid(cmd.amount_minor, charge.charge_id, movement_id)
    at_house = _entry(tx, charge, kind, movement_id, cmd.on, house)
    entries = [
        _entry(tx, charge, kind, movement_id, cmd.on, own),
        msgspec.structs.replace(at_house, merchant_id=books.house_merchant_id),
    ]
    [entry_no, _] = await ledger.post(tx, entries)
    await audit.record(tx, "charge paid", _subject(charge), amount_minor=cmd.amount_minor, bank_ref=cmd.bank_ref)
    return await _settle(
        tx, charge, Happened.PAID, movement_id, entry_no, cmd.on, cmd.amount_minor, bank_ref=cmd.bank_ref
    )


async def credit_charge(tx: Tx, charge: Charge, net_minor: int, on: date, reason: str) -> Credited:
    """Take back `net_minor` of a charge and the VAT on it; of a service, from what is not used when `on` begins.

    The books are held, and what was earned before the month of `on` is recognised. Raises Conflict for more than is
    left, of a service more than is unused.
    """
    left = charge.unused(on) if charge.service_to is not None else charge.kept_minor
    if not 0 < net_minor <= left:
        raise Conflict(f"charge {charge.charge_id}: {left} is left to be credited, not {net_minor}", left_minor=left)
    vat = charge.credited_vat(net_minor)
    off_open = min(charge.open_minor, net_minor + vat)
    off_lost = min(charge.lost_minor, net_minor + vat - off_open)
    movement_id = time_ordered_id(tx.now)
    legs = postings.credited(charge, net_minor, vat, off_open, off_lost)
    [entry_no] = await ledger.post(
        tx, [_entry(tx, charge, entry_kind(charge.source, "credited"), movement_id, on, legs)]
    )
    values: dict[str, Any] = {
        "credited_minor": charge.credited_minor + net_minor,
        "credited_vat_minor": charge.credited_vat_minor + vat,
        "recognised_minor": charge.recognised_minor - max(net_minor - charge.waiting_minor, 0),
        "regained_minor": charge.regained_minor + off_lost,
        "open_minor": charge.open_minor - off_open,
    }
    if charge.service_to is not None:
        values |= {"anchored_on": on, "anchored_minor": charge.earned(on)}
    credited = await store.set_charge(tx, charge, **values)
    await store.add_movement(
        tx, charge, Happened.CREDITED, movement_id, entry_no,
        on=on, amount_minor=net_minor + vat, vat_minor=vat, open_minor=off_open, reason=reason,
    )  # fmt: skip
    await audit.record(tx, "charge credited", _subject(charge), net_minor=net_minor, reason=reason)
    payable = net_minor + vat - off_open - off_lost
    return Credited(charge=credited, net_minor=net_minor, vat_minor=vat, payable_minor=payable)


async def recognise(tx: Tx, charge: Charge, through: date) -> Charge:
    """Book as revenue what was earned in each calendar month that has ended by the end of `through`, month by month.

    A month that nothing is left to recognise of is passed over. The books are held.
    """
    if charge.service_from is None or charge.service_to is None:
        return charge
    for ends_on in month_ends(charge.service_from, charge.service_to):
        if ends_on > through:
            break
        amount = charge.earned(min(ends_on + timedelta(days=1), charge.service_to))
        charge = await recognise_amount(tx, charge, amount - charge.recognised_minor, ends_on)
    return charge


async def recognise_amount(tx: Tx, charge: Charge, amount_minor: int, on: date) -> Charge:
    """Book so much deferred revenue as earned on a day; nothing when that is nothing. The books are held."""
    if amount_minor <= 0:
        return charge
    movement_id = time_ordered_id(tx.now)
    legs = postings.recognised(amount_minor, charge.source, charge.charge_id)
    [entry_no] = await ledger.post(tx, [_entry(tx, charge, "revenue_recognised", movement_id, on, legs)])
    await store.add_movement(
        tx, charge, Happened.RECOGNISED, movement_id, entry_no, on=on, amount_minor=amount_minor
    )  # fmt: skip
    return await store.set_charge(tx, charge, recognised_minor=charge.recognised_minor + amount_minor)


async def _payable(tx: Tx, merchant_id: int, as_of: date) -> dict[str, int]:
    """What may be set off, by currency: what was payable at the end of a day and is now."""
    then = {b.currency: -b.balance_minor for b in await _payables(tx, merchant_id, as_of)}
    now = {b.currency: -b.balance_minor for b in await _payables(tx, merchant_id, None)}
    return {currency: min(amount, now.get(currency, 0)) for currency, amount in then.items()}


async def _payables(tx: Tx, merchant_id: int, as_of: date | None) -> list[Balance]:
    balances = await ledger.balances(tx, merchant_id, as_of=as_of)
    return [balance for balance in balances if balance.account == Account.PAYABLE]


async def _settle(
    tx: Tx,
    charge: Charge,
    kind: Happened,
    movement_id: int,
    entry_no: int,
    on: date,
    amount: int,
    *,
    bank_ref: str | None = None,
) -> ChargeMovement:
    await store.set_charge(tx, charge, open_minor=charge.open_minor - amount)
    return await store.add_movement(
        tx, charge, kind, movement_id, entry_no, on=on, amount_minor=amount, open_minor=amount, bank_ref=bank_ref
    )


def _entry(tx: Tx, of: NewCharge | Charge, kind: str, source_id: int, on: date, legs: tuple[Leg, ...]) -> NewEntry:
    return NewEntry(
        merchant_id=of.merchant_id,
        kind=kind,
        source_id=source_id,
        currency=of.currency,
        occurred_at=tx.now,
        effective_on=on,
        legs=legs,
    )


def _subject(charge: Charge) -> str:
    return f"charge:{charge.merchant_id}/{charge.charge_id}"
