"""Claim what a payer bears: open shares of settled orders become a numbered claim with the platform's fee on it.

A claim has what is to be claimed of each share since the last one: less where some of it came back or was rejected.
"""

from collections.abc import Sequence
from datetime import date, timedelta

import msgspec

from billing import postings
from billing.documents.model import Category
from billing.ledger import store as ledger
from billing.ledger.model import NewEntry
from billing.payers import store as payers
from billing.payers.claims import store as claims
from billing.payers.claims.store import ClaimLine, PayerClaim
from billing.payers.invoices.store import PayerDocument
from billing.payers.rules import Charged, fee_for, vat_by_line
from billing.payers.shares import store as shares
from billing.payers.shares.store import PayerShare
from billing.payers.store import Version
from marketplace.core import audit, outbox
from marketplace.core.clock import local_date
from marketplace.core.db import Tx
from marketplace.core.errors import Conflict, NotFound
from marketplace.core.ids import time_ordered_id
from marketplace.flows.payers.book_share import post_share
from marketplace.flows.payers.invoice_payer import Fee, invoice_claim
from marketplace.flows.payments.take_payment import hold_books

LINES_MAX = 5_000
"""Shares of one claim; what is beyond comes with the next."""


class ClaimShares(msgspec.Struct, frozen=True, kw_only=True):
    """Claim what a contract bears of orders that a legal entity's merchants settled through a local day."""

    contract_id: int
    entity_id: int
    through: date


class ClaimSent(msgspec.Struct, frozen=True, kw_only=True):
    """A claim was sent: what the payer is asked for, with fee and VAT, in minor units. invoice: for the fee, if any."""

    payer_id: int
    payer: str
    claim_id: int
    claim_no: int
    contract: str
    currency: str
    lines: int
    amount_minor: int
    fee_minor: int
    vat_minor: int
    due_on: date
    invoice: str | None


async def claim_shares(tx: Tx, cmd: ClaimShares) -> PayerClaim:
    """Make the claim, number it, book the platform's fee (D1), and tell the payer.

    Raises NotFound for a contract or entity there is not, Conflict when nothing is to be claimed.
    """
    entity = await tx.row(
        "SELECT zone, house_merchant_id FROM billing.entity WHERE entity_id = :entity", entity=cmd.entity_id
    )
    if entity is None:
        raise NotFound(f"there is no legal entity {cmd.entity_id}")
    today = local_date(tx.now, entity.zone)
    version = await payers.version_on(tx, cmd.contract_id, today)
    found = await _held(tx, cmd, entity.house_merchant_id)
    if not found:
        raise Conflict(f"through: {version.terms.name!r} has nothing to be claimed through {cmd.through}")
    claim_id = time_ordered_id(tx.now)
    fees = await _fees(tx, found, version)
    lines = [
        await _claim_one(tx, share, fee, number, today)
        for number, (share, fee) in enumerate(zip(found, fees, strict=False), start=1)
    ]
    if len(fees) > len(found):
        lines.append(await _claim_own(tx, version, fees, claim_id, entity.house_merchant_id, today))
    claim = PayerClaim(
        payer_id=version.payer_id,
        claim_id=claim_id,
        contract_id=cmd.contract_id,
        entity_id=cmd.entity_id,
        claim_no=await claims.next_no(tx, version.payer_id, cmd.entity_id),
        currency=version.terms.currency,
        through=cmd.through,
        lines=len(lines),
        amount_minor=sum(line.amount_minor for line in lines),
        fee_minor=sum(line.fee_minor for line in lines),
        vat_minor=sum(line.vat_minor for line in lines),
        rejected_minor=0,
        remitted_minor=0,
        sent_on=today,
        due_on=today + timedelta(days=version.terms.due_days),
        dunning_level=0,
        sent_at=tx.now,
    )
    await claims.add_claim(tx, claim, lines)
    first = min(share.claimable_on for share in found if share.claimable_on is not None)
    invoice = await invoice_claim(tx, claim, fees, first)
    await _tell(tx, claim, version, invoice)
    return claim


async def _held(tx: Tx, cmd: ClaimShares, house: int) -> list[PayerShare]:
    """The shares, read again once the books of their merchants, and then the house's, are held."""
    found = await shares.claimable(tx, cmd.contract_id, cmd.entity_id, cmd.through, LINES_MAX)
    if not found:
        return []
    held = {share.merchant_id for share in found}
    await hold_books(tx, held - {house}, with_house=False, other_houses=[house])
    again = await shares.claimable(tx, cmd.contract_id, cmd.entity_id, cmd.through, LINES_MAX)
    return [share for share in again if share.merchant_id in held]


async def _fees(tx: Tx, found: Sequence[PayerShare], version: Version) -> list[Fee]:
    """What the platform earns by each share, and at the end by the claim itself where its contract says so."""
    versions = sorted({share.version_id for share in found})
    terms = {version_id: (await payers.get_version(tx, version_id)).terms for version_id in versions}
    earned = []
    for share in found:
        of = terms[share.version_id]
        claimed = share.claimed_minor + share.standing.claimable_minor
        fee = fee_for(claimed, of.fee_ppm) - share.fee_minor
        earned.append(Charged(fee, of.vat_ppm, share.fee_minor, share.vat_minor))
    if version.terms.fee_fixed_minor:
        earned.append(Charged(version.terms.fee_fixed_minor, version.terms.vat_ppm))
    return [
        Fee(
            category=Category.PAYER_FEE if place < len(found) else Category.CLAIM_FEE,
            contract=version.terms.name,
            vat_ppm=one.vat_ppm,
            fee_minor=one.fee_minor,
            vat_minor=vat,
        )
        for place, (one, vat) in enumerate(zip(earned, vat_by_line(earned), strict=True))
    ]


async def _claim_one(tx: Tx, share: PayerShare, fee: Fee, line_no: int, today: date) -> ClaimLine:
    amount = share.standing.claimable_minor
    share = await with_fee(tx, share, amount, fee.fee_minor, fee.vat_minor, today)
    await shares.store_share(tx, share)
    return ClaimLine(
        line_no=line_no,
        merchant_id=share.merchant_id,
        source=share.source,
        source_id=share.source_id,
        source_ref=share.source_ref,
        amount_minor=amount,
        fee_minor=fee.fee_minor,
        vat_minor=fee.vat_minor,
    )


async def with_fee(
    tx: Tx, share: PayerShare, claimed_minor: int, fee_minor: int, vat_minor: int, on: date
) -> PayerShare:
    """The share with so much more claimed, and the platform's fee on that, which is booked. Not stored yet."""
    await post_share(tx, share, "payer_fee", postings.payer_fee(fee_minor, vat_minor, share.contract_id), on=on)
    return msgspec.structs.replace(
        share,
        claimed_minor=share.claimed_minor + claimed_minor,
        fee_minor=share.fee_minor + fee_minor,
        vat_minor=share.vat_minor + vat_minor,
    )


async def _claim_own(
    tx: Tx, version: Version, fees: Sequence[Fee], claim_id: int, house: int, today: date
) -> ClaimLine:
    """What the platform earns by the claim itself, the last of its fees, in the house's books."""
    fee = fees[-1]
    entry = NewEntry(
        merchant_id=house,
        kind="payer_fee",
        source_id=claim_id,
        currency=version.terms.currency,
        occurred_at=tx.now,
        effective_on=today,
        legs=postings.payer_fee(fee.fee_minor, fee.vat_minor, version.contract_id),
    )
    await ledger.post(tx, [entry])
    return ClaimLine(
        line_no=len(fees),
        merchant_id=house,
        source=claims.FEE,
        source_id=claim_id,
        source_ref="fee",
        amount_minor=0,
        fee_minor=fee.fee_minor,
        vat_minor=fee.vat_minor,
    )


async def _tell(tx: Tx, claim: PayerClaim, version: Version, invoice: PayerDocument | None) -> None:
    sent = ClaimSent(
        payer_id=claim.payer_id,
        payer=version.terms.payer,
        claim_id=claim.claim_id,
        claim_no=claim.claim_no,
        contract=version.terms.name,
        currency=claim.currency,
        lines=claim.lines,
        amount_minor=claim.amount_minor,
        fee_minor=claim.fee_minor,
        vat_minor=claim.vat_minor,
        due_on=claim.due_on,
        invoice=None if invoice is None else invoice.number,
    )
    await audit.record(tx, "payer claim sent", f"payer_claim:{claim.payer_id}/{claim.claim_id}", no=claim.claim_no)
    await outbox.emit(tx, "billing.payer_claim_sent.v1", sent)
