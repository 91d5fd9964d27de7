"""Claim what a payer bears: open shares of settled orders become a numbered claim with the platform's fee on it.

A claim has what is to be claimed of each share since the last one: less where some of it came back or was rejected.
"""

from datetime import date, timedelta

import msgspec

from billing import postings
from billing.ledger import store as ledger
from billing.ledger.model import NewEntry
from billing.payers import store as payers
from billing.payers.claims import store as claims
from billing.payers.claims.store import ClaimLine, PayerClaim
from billing.payers.rules import fee_for
from billing.payers.shares import store as shares
from billing.payers.shares.store import PayerShare
from billing.payers.store import Version
from marketplace.core import audit, outbox
from marketplace.core.clock import local_date
from marketplace.core.db import Tx
from marketplace.core.errors import Conflict, NotFound
from marketplace.core.ids import time_ordered_id
from marketplace.flows.payers.book_share import post_share
from marketplace.flows.payments.take_payment import hold_books

LINES_MAX = 5_000
"""Shares of one claim; what is beyond comes with the next."""


class ClaimShares(msgspec.Struct, frozen=True, kw_only=True):
    """Claim what a contract bears of orders that a legal entity's merchants settled through a local day."""

    contract_id: int
    entity_id: int
    through: date


class ClaimSent(msgspec.Struct, frozen=True, kw_only=True):
    """A claim was sent: what the payer is asked for, with fee and VAT, in minor units."""

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
    found = await _held(tx, cmd)
    if not found:
        raise Conflict(f"through: {version.terms.name!r} has nothing to be claimed through {cmd.through}")
    await ledger.lock_books(tx, entity.house_merchant_id)
    claim_id = time_ordered_id(tx.now)
    lines = [await _claim_one(tx, share, number, today) for number, share in enumerate(found, start=1)]
    fixed = await _fixed_fee(tx, version, cmd, claim_id, entity.house_merchant_id, today, len(lines) + 1)
    lines += fixed
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
    await _tell(tx, claim, version)
    return claim


async def _held(tx: Tx, cmd: ClaimShares) -> list[PayerShare]:
    """The shares, read again once the books of their merchants are held."""
    found = await shares.claimable(tx, cmd.contract_id, cmd.entity_id, cmd.through, LINES_MAX)
    if not found:
        return []
    held = {share.merchant_id for share in found}
    await hold_books(tx, held, with_house=False)
    again = await shares.claimable(tx, cmd.contract_id, cmd.entity_id, cmd.through, LINES_MAX)
    return [share for share in again if share.merchant_id in held]


async def _claim_one(tx: Tx, share: PayerShare, line_no: int, today: date) -> ClaimLine:
    amount = share.standing.claimable_minor
    before = share
    share = await with_fee(tx, share, share.claimed_minor + amount, today)
    await shares.store_share(tx, share)
    return ClaimLine(
        line_no=line_no,
        merchant_id=share.merchant_id,
        source=share.source,
        source_id=share.source_id,
        source_ref=share.source_ref,
        amount_minor=amount,
        fee_minor=share.fee_minor - before.fee_minor,
        vat_minor=share.vat_minor - before.vat_minor,
    )


async def with_fee(tx: Tx, share: PayerShare, claimed_minor: int, on: date) -> PayerShare:
    """The share with another claimed amount, and the platform's fee on it: the difference is booked. Not stored yet."""
    terms = (await payers.get_version(tx, share.version_id)).terms
    fee, vat = fee_for(claimed_minor, terms.fee_ppm, terms.vat_ppm)
    legs = postings.payer_fee(fee - share.fee_minor, vat - share.vat_minor, share.contract_id)
    await post_share(tx, share, "payer_fee", legs, on=on)
    return msgspec.structs.replace(share, claimed_minor=claimed_minor, fee_minor=fee, vat_minor=vat)


async def _fixed_fee(
    tx: Tx, version: Version, cmd: ClaimShares, claim_id: int, house: int, today: date, line_no: int
) -> list[ClaimLine]:
    """What the platform earns by the claim itself, in the house's books."""
    if not version.terms.fee_fixed_minor:
        return []
    fee = version.terms.fee_fixed_minor
    _, vat = fee_for(fee, 1_000_000, version.terms.vat_ppm)
    entry = NewEntry(
        merchant_id=house,
        kind="payer_fee",
        source_id=claim_id,
        currency=version.terms.currency,
        occurred_at=tx.now,
        effective_on=today,
        legs=postings.payer_fee(fee, vat, cmd.contract_id),
    )
    await ledger.post(tx, [entry])
    return [
        ClaimLine(
            line_no=line_no,
            merchant_id=house,
            source=claims.FEE,
            source_id=claim_id,
            source_ref="fee",
            amount_minor=0,
            fee_minor=fee,
            vat_minor=vat,
        )
    ]


async def _tell(tx: Tx, claim: PayerClaim, version: Version) -> None:
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
    )
    await audit.record(tx, "payer claim sent", f"payer_claim:{claim.payer_id}/{claim.claim_id}", no=claim.claim_no)
    await outbox.emit(tx, "billing.payer_claim_sent.v1", sent)
