"""Make a group of items and book what follows from it, in one transaction.

What is on the line of a bank or processor is thereby claimed: a payout is confirmed, a claim remitted, what stood on
suspense leaves it, and a residue is booked as what explains it. Merchants' books are held first, in id order, then the
house's, then the items.
"""

from collections.abc import Sequence
from typing import Any

import msgspec

from billing.ledger import store as ledger
from billing.ledger.model import Leg, NewEntry
from billing.matching import postings, store
from billing.matching.model import Book, Draft, Group, Item, ItemKind, ResidueKind, Side, Stage
from billing.payers.claims import store as claims
from marketplace.core import audit, outbox
from marketplace.core.db import Tx
from marketplace.core.errors import Conflict, Invalid
from marketplace.core.ids import time_ordered_id
from marketplace.core.money import text_from_minor
from marketplace.flows.payers.settle_claim import Remit, remit
from marketplace.flows.payments.take_payment import hold_books
from marketplace.flows.payouts.pay_merchants import ConfirmPayout, confirm_payout

SUSPENDED_AT_ONCE = 500


class Matched(msgspec.Struct, frozen=True, kw_only=True):
    """A group that was made, or taken back."""

    group_id: int
    stage: Stage
    book: Book
    currency: str
    theirs_minor: int
    residue_minor: int


async def make_group(
    tx: Tx, draft: Draft, *, rules_version: int, run_id: int | None = None, proposal_id: int | None = None
) -> Group:
    """Match these items. Raises NotFound; Invalid where they do not belong on one scale; Conflict when one is matched
    already, or what it would book cannot be.
    """
    items = await store.items_of(tx, [*draft.theirs, *draft.ours])
    theirs = [item for item in items if item.item_id in draft.theirs]
    ours = [item for item in items if item.item_id in draft.ours]
    check_sides(draft, theirs, ours)
    house = await _house(tx, items[0].entity_id)
    if owners := await _merchants_of(tx, ours, house):
        await hold_books(tx, owners, with_house=False)
    for item in ours:
        if not item.booked:
            await _book(tx, item, draft, theirs, ours, house)
    await ledger.lock_books(tx, house)
    fresh = await store.items_of(tx, [*draft.theirs, *draft.ours], lock=True)
    if any(item.group_id is not None for item in fresh):
        raise Conflict("somebody else has matched one of these items meanwhile")
    for line in fresh:
        if line.suspense_id is not None:
            legs = postings.line_suspended(-line.amount_minor, line.source_id)
            await post(tx, house, "line_claimed", line.suspense_id, line, legs)
        if line.kind is ItemKind.WRITE_OFF and line.side is Side.THEIRS:
            legs = postings.written_off(line.book, -line.amount_minor, line.processor_id or 0)
            await post(tx, house, "break_written_off", line.source_id, line, legs)
    group_id = await store.add_group(
        tx, draft, theirs, rules_version=rules_version, run_id=run_id, proposal_id=proposal_id
    )
    if charged := [line for line in fresh if line.charge_minor]:
        await _charge(tx, house, group_id, charged)
    if draft.residue_minor:
        assert draft.residue_kind is not None
        await _residue(tx, house, group_id, theirs[0], draft.residue_kind, draft.residue_minor)
    await _tell(tx, "lines matched", "billing.lines_matched.v1", group_id, draft, theirs)
    return await store.get_group(tx, group_id)


async def _merchants_of(tx: Tx, ours: Sequence[Item], house: int) -> set[int]:
    """Whose books what is still to be booked touches, beside the house's: of payouts, and of the lines of claims."""
    waiting = [item for item in ours if not item.booked]
    owners = {item.owner_id for item in waiting if item.kind is ItemKind.PAYOUT}
    for item in waiting:
        if item.kind is ItemKind.CLAIM:
            owners |= {line.merchant_id for line in await claims.lines_of(tx, item.owner_id, item.source_id)}
    return owners - {house}


async def confirm_payouts(tx: Tx, draft: Draft, some: Sequence[int]) -> None:
    """Confirm some payouts of a batch whose line the bank has sent, ahead of their group.

    Once all are, the group itself books nothing, however many merchants it pays; what is confirmed and in no group yet
    is matched by the next pass. Raises Conflict when the line, or a payout, is another's meanwhile.
    """
    ours = [item for item in await store.items_of(tx, some) if not item.booked]
    if not ours:
        return
    house = await _house(tx, ours[0].entity_id)
    await hold_books(tx, await _merchants_of(tx, ours, house), with_house=True)
    theirs = await store.items_of(tx, draft.theirs)
    if any(line.group_id is not None for line in theirs):
        raise Conflict("somebody else has matched this line meanwhile")
    for item in ours:
        await _book(tx, item, draft, theirs, ours, house)


def check_sides(draft: Draft, theirs: Sequence[Item], ours: Sequence[Item]) -> None:
    """Raise Invalid unless these can be one group: each on its side, on one book, of one entity, in one currency, and
    equal but for the residue. A single claim may be paid in part.
    """
    if not theirs or not ours or len({*draft.theirs, *draft.ours}) != len(draft.theirs) + len(draft.ours):
        raise Invalid("items: a group has items of both sides, each once")
    for side, items in ((Side.THEIRS, theirs), (Side.OURS, ours)):
        for item in items:
            if item.side is not side:
                raise Invalid(f"{side}: item {item.item_id} is {item.side}", pointer=f"/{side}")
    first = theirs[0]
    for item in (*theirs, *ours):
        if (item.book, item.entity_id, item.currency) != (first.book, first.entity_id, first.currency):
            raise Invalid(f"items: {item.item_id} is on another book, or of another entity or currency")
        if item.group_id is not None:
            raise Conflict(f"item {item.item_id} is matched already, in group {item.group_id}")
    residue = _sum(theirs) - _sum(ours)
    if residue != draft.residue_minor and not (draft.residue_minor == 0 and pays_part(theirs, ours)):
        apart, explained = (text_from_minor(minor, first.currency) for minor in (residue, draft.residue_minor))
        raise Invalid(f"items: both sides differ by {apart} {first.currency}, of which {explained} is explained")


def pays_part(theirs: Sequence[Item], ours: Sequence[Item]) -> bool:
    """Whether these lines pay a part of one claim."""
    return len(ours) == 1 and ours[0].kind is ItemKind.CLAIM and not ours[0].booked and 0 < _sum(theirs) < _sum(ours)


def _sum(items: Sequence[Item]) -> int:
    return sum(item.amount_minor for item in items)


async def _house(tx: Tx, entity_id: int) -> int:
    house: int = await tx.scalar(
        "SELECT house_merchant_id FROM billing.entity WHERE entity_id = :entity", entity=entity_id
    )
    return house


async def _book(tx: Tx, item: Item, draft: Draft, theirs: Sequence[Item], ours: Sequence[Item], house: int) -> None:
    """Book what our books only expected until now."""
    line = theirs[0]
    booked_as, minor = None, item.amount_minor
    ref = line.reference or f"line {line.source_id}"
    if item.kind is ItemKind.PAYOUT:
        cmd = ConfirmPayout(merchant_id=item.owner_id, payout_id=item.source_id, bank_ref=ref, on=line.day)
        await confirm_payout(tx, cmd)
    elif item.kind is ItemKind.CLAIM:
        minor = min(item.amount_minor, _sum(theirs) - draft.residue_minor - (_sum(ours) - item.amount_minor))
        ref = f"{line.reference} line {line.source_id}".strip()  # a payer may write the same on every instalment
        paid = Remit(
            payer_id=item.owner_id, claim_id=item.source_id, amount_minor=minor, bank_ref=ref, received_on=line.day
        )
        await remit(tx, paid)
        booked_as = await claims.remittance_of(tx, item.owner_id, item.source_id, ref)
    elif item.kind is ItemKind.PROCESSOR_PAYOUT:
        assert item.processor_id is not None
        await ledger.lock_books(tx, house)
        legs = postings.processor_paid_out(item.amount_minor, item.processor_id)
        await post(tx, house, "processor_paid_out", item.source_id, line, legs)
    elif item.kind is ItemKind.REFUND:
        raise Conflict(f"refund {item.reference} is on its way: the processor has not told yet that it is paid")
    elif item.kind is ItemKind.WRITE_OFF:
        await ledger.lock_books(tx, house)
        legs = postings.written_off(item.book, item.amount_minor, item.processor_id or 0)
        await post(tx, house, "break_written_off", item.source_id, item, legs)
    await store.note_booked(tx, item.item_id, minor, booked_as)


async def _residue(tx: Tx, house: int, source_id: int, line: Item, kind: ResidueKind, minor: int) -> None:
    legs = postings.residue_booked(line.book, kind, minor, line.processor_id or 0)
    await post(tx, house, "match_residue", source_id, line, legs)


async def _charge(tx: Tx, house: int, group_id: int, lines: Sequence[Item]) -> None:
    """Book what these lines of a group cost, once, whatever becomes of the group."""
    fees: dict[int, int] = {}
    for line in lines:
        fees[line.processor_id or 0] = fees.get(line.processor_id or 0, 0) + line.charge_minor
    legs = [leg for processor_id, fee in fees.items() for leg in postings.processor_charged(fee, processor_id)]
    await store.note_charged(tx, [line.item_id for line in lines], group_id)
    if legs:
        await post(tx, house, "processor_charged", group_id, lines[0], tuple(legs))


async def book_charges(tx: Tx) -> None:
    """Book what processors charged for the lines that were matched with being listed: a day of one in one entry."""
    entries = []
    for charge in await store.new_charges(tx):
        entry = NewEntry(
            merchant_id=await _house(tx, charge.entity_id),
            kind="processor_charged",
            source_id=charge.source_id,
            currency=charge.currency,
            occurred_at=tx.now,
            effective_on=charge.day,
            legs=postings.processor_charged(charge.fee_minor, charge.processor_id),
        )
        entries.append(entry)
    await ledger.post(tx, entries)


async def post(tx: Tx, house: int, kind: str, source_id: int, item: Item, legs: tuple[Leg, ...]) -> None:
    """Book in the house's books, on the item's day or the first open one after it."""
    entry = NewEntry(
        merchant_id=house,
        kind=kind,
        source_id=source_id,
        currency=item.currency,
        occurred_at=tx.now,
        effective_on=item.day,
        legs=legs,
    )
    await ledger.post(tx, [entry])


async def _tell(tx: Tx, deed: str, topic: str, group_id: int, draft: Draft, theirs: Sequence[Item]) -> None:
    told = Matched(
        group_id=group_id,
        stage=draft.stage,
        book=theirs[0].book,
        currency=theirs[0].currency,
        theirs_minor=_sum(theirs),
        residue_minor=draft.residue_minor,
    )
    await audit.record(tx, deed, f"match_group:{group_id}", theirs=list(draft.theirs), ours=list(draft.ours))
    await outbox.emit(tx, topic, told)


async def take_back(tx: Tx, group: Group, *, proposal_id: int, reason: str) -> int:
    """Take a group back: its items are open again, its residue is reversed, lines of a bank go back on suspense.

    What the match booked stays booked, fees too, and is what our books now expect at the bank.
    Raises Conflict when the group is not live any more.
    """
    items = await store.items_of(tx, [*group.theirs, *group.ours])
    if any(item.kind is ItemKind.WRITE_OFF for item in items):
        raise Conflict(f"group {group.group_id} is a write-off: journal it back instead")
    if any(item.kind is ItemKind.PROCESSOR_FEE for item in items):
        raise Conflict(f"group {group.group_id} is a fee that a processor charged: it belongs to nothing else")
    house = await _house(tx, items[0].entity_id)
    await ledger.lock_books(tx, house)
    reversal = await store.reverse_group(tx, group, proposal_id=proposal_id, reason=reason)
    theirs = [item for item in items if item.side is Side.THEIRS]
    if group.residue_minor:
        await _residue(tx, house, reversal, theirs[0], ResidueKind(group.residue_kind), -group.residue_minor)
    await _suspend(tx, [item for item in theirs if item.book is Book.BANK])
    back = Draft(stage=Stage.UNMATCH, theirs=group.theirs, ours=group.ours, residue_minor=-group.residue_minor)
    await _tell(tx, "lines unmatched", "billing.lines_unmatched.v1", reversal, back, theirs)
    return reversal


async def suspend_lines(tx: Tx) -> int:
    """Put open lines of banks on suspense, so many at once; returns how many."""
    waiting = await store.unsuspended(tx, SUSPENDED_AT_ONCE)
    if not waiting:
        return 0
    for entity_id in sorted({line.entity_id for line in waiting}):
        await ledger.lock_books(tx, await _house(tx, entity_id))
    lines = await store.items_of(tx, [line.item_id for line in waiting], lock=True)
    return await _suspend(tx, [line for line in lines if line.group_id is None and line.suspense_id is None])


async def _suspend(tx: Tx, lines: Sequence[Item]) -> int:
    entries, noted = [], []
    houses: dict[int, Any] = {}
    for line in lines:
        if line.entity_id not in houses:
            houses[line.entity_id] = await _house(tx, line.entity_id)
        source_id = time_ordered_id(tx.now)
        noted.append((line.item_id, source_id))
        entry = NewEntry(
            merchant_id=houses[line.entity_id],
            kind="line_suspended",
            source_id=source_id,
            currency=line.currency,
            occurred_at=tx.now,
            effective_on=line.day,
            legs=postings.line_suspended(line.amount_minor, line.source_id),
        )
        entries.append(entry)
    await ledger.post(tx, entries)
    await store.suspend(tx, noted)
    return len(noted)
