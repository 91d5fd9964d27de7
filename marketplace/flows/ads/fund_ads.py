"""A merchant's prepaid ads: topped up, granted by the platform, and given back as far as they are not used.

Top-ups by bank or processor are receipts that finance records under the reference of whoever holds the money, each
once; by bank they pass through the house's books. From earnings the merchant tops up by itself, out of what it is owed.
VAT is due with the top-up (domain.md, posting H), by the terms of the day; granted credit bears none.
"""

import msgspec

from billing import postings
from billing.ads.accounts import store
from billing.ads.model import AdAccount, Grant, GrantState, Movement, TopUpSource
from billing.ads.rating import refund_vat
from billing.ledger import store as ledger
from billing.ledger.chart import Account
from billing.ledger.model import Leg, NewEntry
from billing.payments import store as payments
from marketplace.core import audit, outbox, policies
from marketplace.core.clock import local_date
from marketplace.core.db import Tx
from marketplace.core.errors import Conflict, Invalid
from marketplace.core.ids import time_ordered_id
from marketplace.core.rates import apply_half_even


class TopUp(msgspec.Struct, frozen=True, kw_only=True):
    """So much credit, to which VAT is added. receipt_ref and processor: where the money is, unless from earnings."""

    merchant_id: int
    currency: str
    amount_minor: int
    source: TopUpSource
    receipt_ref: str = ""
    processor: str = ""


class RefundAds(msgspec.Struct, frozen=True, kw_only=True):
    """So much of what was paid goes back to the merchant's earnings; None for all that is not used."""

    merchant_id: int
    currency: str
    amount_minor: int | None
    reason: str


class ProposeGrant(msgspec.Struct, frozen=True, kw_only=True):
    """Credit that the platform is to give a merchant, and why."""

    merchant_id: int
    currency: str
    amount_minor: int
    reason: str


class Funded(msgspec.Struct, frozen=True, kw_only=True):
    """What changed the balance, and the balance then."""

    movement: Movement
    account: AdAccount


async def top_up(tx: Tx, cmd: TopUp) -> Funded:
    """Credit a merchant with what it has paid for ads.

    Raises Conflict when it is owed less than that, or the receipt is booked already; Invalid where no terms are set.
    """
    await ledger.lock_books(tx, cmd.merchant_id)
    books = await store.books_of(tx, cmd.merchant_id)
    on = local_date(tx.now, books.zone)
    vat = apply_half_even(cmd.amount_minor, await store.vat_ppm(tx, books.entity_id, cmd.currency, on))
    movement_id = time_ordered_id(tx.now)
    account, dimension = Account.PAYABLE, 0
    if cmd.source is TopUpSource.EARNINGS:
        await _check_owed(tx, cmd, cmd.amount_minor + vat)
    else:
        await store.claim_receipt(tx, cmd.receipt_ref, cmd.merchant_id, movement_id)
    if cmd.source is TopUpSource.PROCESSOR:
        processor_id = await payments.processor_id(tx, cmd.processor)
        if processor_id is None:
            raise Invalid(f"processor: there is no processor {cmd.processor!r}", pointer="/processor")
        account, dimension = Account.PROCESSOR_CLEARING, processor_id
    if cmd.source is TopUpSource.BANK:
        account, dimension = Account.CONTROL, movement_id
    legs = postings.ads_topped_up(cmd.amount_minor, vat, account, dimension)
    entries = [await _entry(tx, "ad_topped_up", cmd.merchant_id, movement_id, cmd.currency, legs)]
    if cmd.source is TopUpSource.BANK:
        received = postings.ads_received(cmd.amount_minor + vat, movement_id)
        await ledger.lock_books(tx, books.house_merchant_id)
        entries.append(await _entry(tx, "ad_topped_up", books.house_merchant_id, movement_id, cmd.currency, received))
    numbers = await ledger.post(tx, entries)
    await store.change_account(
        tx, cmd.merchant_id, cmd.currency, paid=cmd.amount_minor, topped=cmd.amount_minor, vat=vat
    )
    movement = _movement(
        tx, cmd.merchant_id, movement_id, cmd.currency, "top_up", numbers[0],
        source=cmd.source.value, paid=cmd.amount_minor, vat=vat, ref=cmd.receipt_ref,
    )  # fmt: skip
    return await _funded(tx, movement)


async def _check_owed(tx: Tx, cmd: TopUp, needed: int) -> None:
    """Earnings are what the merchant is owed, less what it owes."""
    owed = await ledger.owed_minor(tx, cmd.merchant_id, cmd.currency)
    if owed < needed:
        raise Conflict(f"amount_minor: with VAT it is {needed}, and the merchant is owed {max(owed, 0)}", owed=owed)


async def refund_unspent(tx: Tx, cmd: RefundAds) -> Funded:
    """Give back what was paid and not used; the merchant is owed it with the VAT on it, and gets it with its payout.

    Granted credit is never paid out. Raises Conflict when less is free: what is set aside for slots and orders, and
    what has been clicked and is not rated yet, stays.
    """
    await ledger.lock_books(tx, cmd.merchant_id)
    await store.books_of(tx, cmd.merchant_id)
    account = await store.get_account(tx, cmd.merchant_id, cmd.currency)
    committed = account.held_minor + await store.accrued(tx, cmd.merchant_id, cmd.currency)
    free = account.paid_minor - max(committed - account.granted_minor, 0)
    amount = max(free, 0) if cmd.amount_minor is None else cmd.amount_minor
    if not 0 < amount <= free:
        raise Conflict(f"amount_minor: {max(free, 0)} of what was paid is free", free_minor=max(free, 0))
    vat = refund_vat(
        amount, account.topped_minor - account.refunded_minor, account.vat_minor - account.refunded_vat_minor
    )
    movement_id = time_ordered_id(tx.now)
    legs = postings.ads_refunded(amount, vat)
    [number] = await ledger.post(
        tx, [await _entry(tx, "ad_refunded", cmd.merchant_id, movement_id, cmd.currency, legs)]
    )
    await store.change_account(
        tx, cmd.merchant_id, cmd.currency, paid=-amount, refunded=amount, refunded_vat=vat
    )  # fmt: skip
    movement = _movement(
        tx, cmd.merchant_id, movement_id, cmd.currency, "refund", number, paid=-amount, vat=-vat, reason=cmd.reason
    )
    return await _funded(tx, movement)


async def propose_grant(tx: Tx, cmd: ProposeGrant) -> Grant:
    """Propose credit for a merchant; nothing is booked before another person approves it."""
    await store.books_of(tx, cmd.merchant_id)
    grant = Grant(
        merchant_id=cmd.merchant_id,
        grant_id=time_ordered_id(tx.now),
        currency=cmd.currency,
        amount_minor=cmd.amount_minor,
        reason=cmd.reason,
        state=GrantState.PROPOSED,
        proposed_by=tx.actor,
        proposed_at=tx.now,
        decided_by=None,
        decided_at=None,
    )
    await store.insert_grant(tx, grant)
    await audit.record(tx, "ad credit proposed", f"merchant:{cmd.merchant_id}", amount_minor=cmd.amount_minor)
    return grant


async def approve_grant(tx: Tx, merchant_id: int, grant_id: int) -> Grant:
    """Give what was proposed. Raises Forbidden for who proposed it, Conflict when it is decided."""
    await ledger.lock_books(tx, merchant_id)
    grant = await _undecided(tx, merchant_id, grant_id)
    single = await policies.check_second_person(tx, grant.proposed_by, f"ad grant {grant_id}")
    legs = postings.ads_granted(grant.amount_minor)
    entry = await _entry(tx, "ad_granted", merchant_id, grant_id, grant.currency, legs)
    [number] = await ledger.post(tx, [entry])
    await store.change_account(tx, merchant_id, grant.currency, granted=grant.amount_minor)
    movement = _movement(
        tx, merchant_id, grant_id, grant.currency, "grant", number, granted=grant.amount_minor, reason=grant.reason
    )
    await _funded(tx, movement, single_operator=single)
    return await store.decide_grant(tx, grant, GrantState.APPROVED)


async def reject_grant(tx: Tx, merchant_id: int, grant_id: int) -> Grant:
    """Do not give what was proposed. Raises Conflict when it is decided."""
    grant = await _undecided(tx, merchant_id, grant_id)
    await audit.record(tx, "ad credit rejected", f"merchant:{merchant_id}", amount_minor=grant.amount_minor)
    return await store.decide_grant(tx, grant, GrantState.REJECTED)


async def _undecided(tx: Tx, merchant_id: int, grant_id: int) -> Grant:
    grant = await store.lock_grant(tx, merchant_id, grant_id)
    if grant.state is not GrantState.PROPOSED:
        raise Conflict(f"state: the grant was {grant.state} by {grant.decided_by}", state=grant.state.value)
    return grant


async def _entry(tx: Tx, kind: str, merchant_id: int, source_id: int, currency: str, legs: tuple[Leg, ...]) -> NewEntry:
    books = await store.books_of(tx, merchant_id)
    return NewEntry(
        merchant_id=merchant_id,
        kind=kind,
        source_id=source_id,
        currency=currency,
        occurred_at=tx.now,
        effective_on=local_date(tx.now, books.zone),
        legs=legs,
    )


def _movement(
    tx: Tx,
    merchant_id: int,
    movement_id: int,
    currency: str,
    kind: str,
    entry_no: int,
    *,
    source: str = "",
    paid: int = 0,
    granted: int = 0,
    vat: int = 0,
    ref: str = "",
    reason: str = "",
) -> Movement:
    return Movement(
        merchant_id=merchant_id,
        movement_id=movement_id,
        currency=currency,
        kind=kind,
        source=source,
        paid_minor=paid,
        granted_minor=granted,
        vat_minor=vat,
        ref=ref,
        reason=reason,
        entry_no=entry_no,
        at=tx.now,
        actor=tx.actor,
    )


async def _funded(tx: Tx, movement: Movement, *, single_operator: bool = False) -> Funded:
    await store.insert_movement(tx, movement)
    changed = {"paid_minor": movement.paid_minor, "granted_minor": movement.granted_minor}
    subject = f"merchant:{movement.merchant_id}"
    await audit.record(tx, f"ads {movement.kind}", subject, single_operator=single_operator, **changed)
    told = {"movement_id": movement.movement_id, "kind": movement.kind, "currency": movement.currency, **changed}
    await outbox.emit(tx, "billing.ad_balance_changed.v1", told, merchant_id=movement.merchant_id)
    account = await store.get_account(tx, movement.merchant_id, movement.currency)
    return Funded(movement=movement, account=account)
