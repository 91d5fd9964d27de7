"""What becomes of a claim: the payer accepts it, remits, in full or in part, or rejects a line, which may be claimed
again.
"""

from datetime import date

import msgspec
from sqlalchemy.exc import IntegrityError

from billing import postings
from billing.documents.model import Category
from billing.ledger import store as ledger
from billing.ledger.model import NewEntry
from billing.payers import store as payers
from billing.payers.claims import store as claims
from billing.payers.claims.store import ClaimLine, PayerClaim, Rejection
from billing.payers.rules import divide_remittance, part_back
from billing.payers.shares import store as shares
from billing.payers.shares.store import PayerShare
from billing.payers.terms import PayerTerms
from marketplace.core import audit, outbox
from marketplace.core.clock import local_date
from marketplace.core.db import Tx
from marketplace.core.errors import Conflict, Invalid, NotFound
from marketplace.core.ids import time_ordered_id
from marketplace.flows.payers.book_share import has_recourse, keep_share, post_share, zone_of
from marketplace.flows.payers.claim_shares import with_fee
from marketplace.flows.payers.invoice_payer import Fee, credit_rejection
from marketplace.flows.payments.take_payment import hold_books


class PaidLine(msgspec.Struct, frozen=True, kw_only=True):
    """What a payer's advice says of a claim's line: how much of the money is for it, and what of it, the fee apart, is
    not going to be paid, and why.
    """

    line_no: int
    amount_minor: int
    rejected_minor: int = 0
    reason: str = ""


class Remit(msgspec.Struct, frozen=True, kw_only=True):
    """A payer's money for a claim is in the bank. bank_ref: the bank's name of it, once per claim.

    lines: what the money is for, where the payer says so; none: it is divided over what is open.
    """

    payer_id: int
    claim_id: int
    amount_minor: int
    bank_ref: str
    received_on: date
    lines: tuple[PaidLine, ...] = ()


class RejectLine(msgspec.Struct, frozen=True, kw_only=True):
    """A payer will not pay so much of a claim's line; or, claimed again, it shall after all.

    by_payer: its own people say so, which they do no more once they have accepted the claim.
    """

    payer_id: int
    claim_id: int
    line_no: int
    amount_minor: int
    reason: str
    by_payer: bool = False


class ClaimSettled(msgspec.Struct, frozen=True, kw_only=True):
    """Money came for a claim, or some of it was rejected; open_minor: what is owed of it now."""

    payer_id: int
    claim_id: int
    claim_no: int
    currency: str
    moved_minor: int
    open_minor: int


class ClaimAccepted(msgspec.Struct, frozen=True, kw_only=True):
    """A payer says that what is open of a claim is right, and will be paid."""

    payer_id: int
    claim_id: int
    claim_no: int
    currency: str
    open_minor: int


async def accept_claim(tx: Tx, payer_id: int, claim_id: int) -> PayerClaim:
    """Note that the payer agrees with what is open; said again, it changes nothing. It books nothing: the money does.

    Raises NotFound, Conflict when nothing is open.
    """
    claim = await claims.get_claim(tx, payer_id, claim_id, lock=True)
    if claim.accepted_at is not None:
        return claim
    if claim.open_minor <= 0:
        raise Conflict(f"nothing is open of claim {claim_id}")
    accepted = await claims.note_accepted(tx, claim)
    told = ClaimAccepted(
        payer_id=payer_id,
        claim_id=claim_id,
        claim_no=claim.claim_no,
        currency=claim.currency,
        open_minor=claim.open_minor,
    )
    await audit.record(tx, "payer claim accepted", f"payer_claim:{payer_id}/{claim_id}", minor=claim.open_minor)
    await outbox.emit(tx, "billing.payer_claim_accepted.v1", told)
    return accepted


async def remit(tx: Tx, cmd: Remit) -> PayerClaim:
    """Book what came (D2): the house's bank, and each merchant's receivable, which meet in the batch on 1030.

    What the payer says that it rejects is rejected first. In part, and of unnamed lines, the money is divided over what
    is open, by largest remainder; merchants who wait for it get it. Raises NotFound; Invalid for a day to come, or
    before what it pays was owed, and for lines that do not come to the amount; Conflict for more than is open and for
    money that is booked already.
    """
    for place, said in enumerate(cmd.lines):
        if said.rejected_minor:
            if not said.reason.strip():
                raise Invalid(f"lines/{place}/reason: says why it is rejected", pointer=f"/lines/{place}/reason")
            await reject_line(tx, _rejection(cmd, said))
    claim, lines, house = await _hold(tx, cmd.payer_id, cmd.claim_id)
    if cmd.received_on > local_date(tx.now, await zone_of(tx, claim.entity_id)):
        raise Invalid(f"received_on: {cmd.received_on} is still to come", pointer="/received_on")
    if cmd.amount_minor > claim.open_minor:
        raise Conflict(
            f"amount_minor: {cmd.amount_minor} is more than {claim.open_minor}, what is open of the claim; book what is"
            " beyond as what it was paid for",
            pointer="/amount_minor",
        )
    parts = _named(cmd, lines) if cmd.lines else divide_remittance(cmd.amount_minor, [one.open_minor for one in lines])
    paid = [
        (await _share(tx, claim, line), part)
        for line, part in zip(lines, parts, strict=True)
        if part and line.source != claims.FEE
    ]
    _check_settled(cmd, [share for share, _ in paid])
    batch = time_ordered_id(tx.now)
    moved = {line.line_no: part for line, part in zip(lines, parts, strict=True) if part}
    try:
        await claims.add_remittance(
            tx, claim, batch, bank_ref=cmd.bank_ref, amount_minor=cmd.amount_minor, received_on=cmd.received_on,
            shares=moved,
        )  # fmt: skip
    except IntegrityError as fault:
        raise Conflict(f"bank_ref: {cmd.bank_ref!r} is booked for this claim already", pointer="/bank_ref") from fault
    by_merchant: dict[int, int] = {}
    for line in lines:
        if part := moved.get(line.line_no, 0):
            by_merchant[line.merchant_id] = by_merchant.get(line.merchant_id, 0) + part
            await claims.store_line(tx, claim, msgspec.structs.replace(line, remitted_minor=line.remitted_minor + part))
    await _book_money(tx, claim, cmd, batch, by_merchant, house)
    for share, part in paid:
        await shares.note_entry(tx, share, "payer_remitted", batch)
        changed = msgspec.structs.replace(share, remitted_minor=share.remitted_minor + part)
        await keep_share(tx, changed, on=cmd.received_on)
    claim = await claims.add_to_claim(tx, claim, remitted_minor=cmd.amount_minor)
    await audit.record(
        tx, "payer remitted", f"payer_claim:{claim.payer_id}/{claim.claim_id}", minor=cmd.amount_minor, ref=cmd.bank_ref
    )
    await outbox.emit(tx, "billing.payer_remitted.v1", _settled(claim, cmd.amount_minor))
    return claim


def _rejection(cmd: Remit, said: PaidLine) -> RejectLine:
    return RejectLine(
        payer_id=cmd.payer_id,
        claim_id=cmd.claim_id,
        line_no=said.line_no,
        amount_minor=said.rejected_minor,
        reason=said.reason,
    )


def _named(cmd: Remit, lines: list[ClaimLine]) -> list[int]:
    """What of the money is for each line of the claim: between nothing and what is open, which may be owed the payer.

    Raises Invalid and Conflict naming the line of the advice.
    """
    still_open = {line.line_no: line.open_minor for line in lines}
    named: dict[int, int] = {}
    for place, said in enumerate(cmd.lines):
        at = f"lines/{place}"
        if said.line_no in named or said.line_no not in still_open:
            why = "is named twice" if said.line_no in named else f"claim {cmd.claim_id} has no line {said.line_no}"
            raise Invalid(f"{at}/line_no: {why}", pointer=f"/{at}/line_no")
        most = still_open[said.line_no]
        if not min(most, 0) <= said.amount_minor <= max(most, 0):
            raise Conflict(
                f"{at}/amount_minor: {said.amount_minor} is not within {most}, what is open of line {said.line_no}",
                pointer=f"/{at}/amount_minor",
            )
        named[said.line_no] = said.amount_minor
    if (total := sum(named.values())) != cmd.amount_minor:
        raise Invalid(f"amount_minor: the lines come to {total}, not to {cmd.amount_minor}", pointer="/amount_minor")
    return [named.get(line.line_no, 0) for line in lines]


def _check_settled(cmd: Remit, paid: list[PayerShare]) -> None:
    """Raise Invalid for a day before something that is paid was settled: until then the payer owes nothing of it."""
    late = [share for share in paid if share.claimable_on is not None and share.claimable_on > cmd.received_on]
    if late:
        raise Invalid(
            f"received_on: {late[0].source} {late[0].source_ref or late[0].source_id} was settled on"
            f" {late[0].claimable_on}; what came before that was not paid for it",
            pointer="/received_on",
        )


async def _book_money(
    tx: Tx, claim: PayerClaim, cmd: Remit, batch: int, by_merchant: dict[int, int], house: int
) -> None:
    entries = [
        (merchant_id, "payer_remitted", postings.payer_remitted(minor, claim.contract_id, batch))
        for merchant_id, minor in sorted(by_merchant.items())
        if minor
    ]
    entries.append((house, "payer_money", postings.payer_money(cmd.amount_minor, batch)))
    await ledger.post(
        tx,
        [
            NewEntry(
                merchant_id=merchant_id,
                kind=kind,
                source_id=batch,
                currency=claim.currency,
                occurred_at=tx.now,
                effective_on=cmd.received_on,
                legs=legs,
            )
            for merchant_id, kind, legs in entries
        ],
    )


async def reject_line(tx: Tx, cmd: RejectLine) -> Rejection:
    """Book what a payer will not pay (D3): the merchant bears it with recourse, else the platform; the fee on it goes.

    Raises NotFound, Conflict for more than is open of the line, and when who rejects it has accepted the claim.
    """
    claim, lines, _ = await _hold(tx, cmd.payer_id, cmd.claim_id)
    if cmd.by_payer and claim.accepted_at is not None:
        raise Conflict(f"claim {cmd.claim_id} is accepted: ask the platform to take a line back")
    line = _line(lines, cmd)
    share = await _share(tx, claim, line)
    most = min(line.amount_minor - line.rejected_minor, line.open_minor, share.standing.payers_minor)
    if cmd.amount_minor > most:
        raise Conflict(
            f"amount_minor: {cmd.amount_minor} is more than {max(0, most)}, what is open of line {cmd.line_no}",
            pointer="/amount_minor",
        )
    today = local_date(tx.now, await zone_of(tx, claim.entity_id))
    terms = (await payers.get_version(tx, share.version_id)).terms
    legs = postings.payer_rejected(cmd.amount_minor, share.contract_id, recourse=await has_recourse(tx, share))
    fee = _fee_back(line, cmd.amount_minor, terms)
    rejected = await with_fee(tx, share, -cmd.amount_minor, fee.fee_minor, fee.vat_minor, today)
    back = -(fee.fee_minor + fee.vat_minor)
    rejected = msgspec.structs.replace(rejected, rejected_minor=share.rejected_minor + cmd.amount_minor)
    done = await claims.add_rejection(
        tx, claim, line.line_no, kind="rejected", amount_minor=cmd.amount_minor, fee_minor=back, reason=cmd.reason,
        on=today,
    )  # fmt: skip
    await post_share(tx, share, "payer_rejected", legs, on=today, source_id=done.rejection_id)
    await keep_share(tx, rejected, on=today)
    changed = msgspec.structs.replace(
        line, rejected_minor=line.rejected_minor + cmd.amount_minor, fee_back_minor=line.fee_back_minor + back
    )
    await claims.store_line(tx, claim, changed)
    claim = await claims.add_to_claim(tx, claim, rejected_minor=cmd.amount_minor + back)
    await credit_rejection(tx, claim, done, fee)
    await _note(tx, "payer rejected", claim, done)
    await outbox.emit(tx, "billing.payer_rejected.v1", _settled(claim, cmd.amount_minor + back))
    return done


def _fee_back(line: ClaimLine, rejected_minor: int, terms: PayerTerms) -> Fee:
    """What goes back of a line's fee and VAT with so much more of it rejected, as a negative fee."""
    gone = (line.rejected_minor, rejected_minor, line.amount_minor)
    return Fee(
        category=Category.PAYER_FEE,
        contract=terms.name,
        vat_ppm=terms.vat_ppm,
        fee_minor=-part_back(line.fee_minor, *gone),
        vat_minor=-part_back(line.vat_minor, *gone),
    )


async def reclaim_line(tx: Tx, cmd: RejectLine) -> Rejection:
    """Take a rejection back: the payer owes it again, and the next claim asks for it.

    Raises NotFound, Conflict for more than is rejected and not claimed again already, or what came back meanwhile.
    """
    claim, lines, _ = await _hold(tx, cmd.payer_id, cmd.claim_id)
    line = _line(lines, cmd)
    share = await _share(tx, claim, line)
    most = min(line.rejected_minor - line.reclaimed_minor, share.rejected_minor - share.rejected_back_minor)
    if cmd.amount_minor > most:
        raise Conflict(
            f"amount_minor: {cmd.amount_minor} is more than {max(0, most)}, what is rejected of line {cmd.line_no}",
            pointer="/amount_minor",
        )
    today = local_date(tx.now, await zone_of(tx, claim.entity_id))
    done = await claims.add_rejection(
        tx, claim, line.line_no, kind="reclaimed", amount_minor=cmd.amount_minor, fee_minor=0, reason=cmd.reason,
        on=today,
    )  # fmt: skip
    legs = postings.payer_rejected(-cmd.amount_minor, share.contract_id, recourse=await has_recourse(tx, share))
    await post_share(tx, share, "payer_reclaimed", legs, on=today, source_id=done.rejection_id)
    await keep_share(
        tx, msgspec.structs.replace(share, rejected_minor=share.rejected_minor - cmd.amount_minor), on=today
    )
    changed = msgspec.structs.replace(line, reclaimed_minor=line.reclaimed_minor + cmd.amount_minor)
    await claims.store_line(tx, claim, changed)
    await _note(tx, "payer claimed again", claim, done)
    return done


async def _hold(tx: Tx, payer_id: int, claim_id: int) -> tuple[PayerClaim, list[ClaimLine], int]:
    """A claim with its lines and the house that it was sent by, and the books of all that it touches."""
    claim = await claims.get_claim(tx, payer_id, claim_id)
    lines = await claims.lines_of(tx, payer_id, claim_id)
    house: int = await tx.scalar(
        "SELECT house_merchant_id FROM billing.entity WHERE entity_id = :entity", entity=claim.entity_id
    )
    merchants = {line.merchant_id for line in lines} - {house}
    await hold_books(tx, merchants, with_house=False, other_houses=[house])
    claim = await claims.get_claim(tx, payer_id, claim_id, lock=True)
    return claim, await claims.lines_of(tx, payer_id, claim_id), house


def _line(lines: list[ClaimLine], cmd: RejectLine) -> ClaimLine:
    line = next((line for line in lines if line.line_no == cmd.line_no), None)
    if line is None:
        raise NotFound(f"claim {cmd.claim_id} has no line {cmd.line_no}")
    if line.source == claims.FEE:
        raise Invalid("line_no: the fixed fee is no share of the payer, and is not rejected", pointer="/line_no")
    return line


async def _share(tx: Tx, claim: PayerClaim, line: ClaimLine) -> PayerShare:
    share = await shares.get_share(tx, line.merchant_id, line.source, line.source_id, claim.contract_id)
    assert share is not None
    return share


async def _note(tx: Tx, action: str, claim: PayerClaim, done: Rejection) -> None:
    subject = f"payer_claim:{claim.payer_id}/{claim.claim_id}"
    await audit.record(tx, action, subject, line_no=done.line_no, minor=done.amount_minor, reason=done.reason)


def _settled(claim: PayerClaim, moved_minor: int) -> ClaimSettled:
    return ClaimSettled(
        payer_id=claim.payer_id,
        claim_id=claim.claim_id,
        claim_no=claim.claim_no,
        currency=claim.currency,
        moved_minor=moved_minor,
        open_minor=claim.open_minor,
    )
