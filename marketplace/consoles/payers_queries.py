"""What the pages about third-party payers show: contracts and caps, claims with their lines, statements, refusals."""

from collections.abc import Sequence
from datetime import date, timedelta

import msgspec

from billing.payers import store
from billing.payers.caps import store as caps
from billing.payers.caps.store import Cap
from billing.payers.claims import store as claims
from billing.payers.claims.ageing import Aged, age_claims
from billing.payers.claims.store import ClaimLine, PayerClaim, PayerStatement, Rejection, Remittance
from billing.payers.invoices import store as invoices
from billing.payers.invoices.store import PayerDocument
from billing.payers.store import Payer, Version
from marketplace.core.db import Tx
from marketplace.core.months import first_of_month
from marketplace.core.paging import cut

LISTED_MAX = 50
NEWEST_MAX = 8
CONTRACTS_MAX = 200
BUCKETS = ("not_due", "1_30", "31_60", "61_90", "over_90")
"""Of how long a claim is overdue, the youngest first."""


class PayerSums(msgspec.Struct, frozen=True, kw_only=True):
    """What is open of a payer's claims in a currency, all and of each bucket."""

    payer_id: int
    currency: str
    claims: int
    open_minor: int
    overdue_minor: int
    by_bucket: tuple[int, ...]


class PayersPage(msgspec.Struct, frozen=True):
    """Payers by id, each with what is open of its claims."""

    payers: Sequence[Payer]
    sums: Sequence[PayerSums]
    older: tuple[int] | None

    @property
    def by_payer(self) -> dict[int, list[PayerSums]]:
        return {payer.payer_id: [one for one in self.sums if one.payer_id == payer.payer_id] for payer in self.payers}


class PayerHome(msgspec.Struct, frozen=True, kw_only=True):
    """A payer: what is open of its claims, the newest of those, its contracts, and where their caps stand."""

    payer: Payer
    sums: Sequence[PayerSums]
    claims: Sequence[PayerClaim]
    versions: Sequence[Version]
    caps: Sequence[Cap]
    today: date

    @property
    def named(self) -> dict[int, str]:
        """The names of the contracts."""
        return {version.contract_id: version.terms.name for version in self.versions}

    @property
    def currencies(self) -> dict[int, str]:
        return {version.contract_id: version.terms.currency for version in self.versions}


class ClaimsPage(msgspec.Struct, frozen=True, kw_only=True):
    """Claims on a payer, the newest first."""

    payer: Payer
    unpaid: bool
    claims: Sequence[PayerClaim]
    today: date
    older: tuple[int] | None


class ClaimPage(msgspec.Struct, frozen=True, kw_only=True):
    """A claim with a page of its lines, what was paid and refused of it, and the documents on its fee."""

    payer: Payer
    claim: PayerClaim
    contract: str
    lines: Sequence[ClaimLine]
    remittances: Sequence[Remittance]
    rejections: Sequence[Rejection]
    documents: Sequence[PayerDocument]
    today: date
    older: tuple[int] | None


class StatementPage(msgspec.Struct, frozen=True, kw_only=True):
    """What a payer was asked for and has paid from `first` to `last`, by currency, and the newest money of it."""

    payer: Payer
    first: date
    last: date
    statements: Sequence[PayerStatement]
    remittances: Sequence[Remittance]
    older: tuple[int] | None


class Claimed(msgspec.Struct, frozen=True):
    """What a list says of a claim that a row of it is about."""

    claim_no: int
    currency: str


class DocumentsPage(msgspec.Struct, frozen=True, kw_only=True):
    """A payer's invoices and credit notes, the newest first, void ones among them."""

    payer: Payer
    documents: Sequence[PayerDocument]
    older: tuple[int] | None


class RejectionsPage(msgspec.Struct, frozen=True, kw_only=True):
    """What a payer refused, and what of it is claimed again, the newest first; with the claims by id."""

    payer: Payer
    rejections: Sequence[Rejection]
    claims: dict[int, Claimed]
    older: tuple[int] | None


def sums_of(aged: Sequence[Aged]) -> list[PayerSums]:
    """Buckets side by side, by payer and currency."""
    found: dict[tuple[int, str], dict[str, Aged]] = {}
    for one in aged:
        found.setdefault((one.payer_id, one.currency), {})[one.bucket] = one
    return [
        PayerSums(
            payer_id=payer_id,
            currency=currency,
            claims=sum(one.claims for one in buckets.values()),
            open_minor=sum(one.open_minor for one in buckets.values()),
            overdue_minor=sum(one.open_minor for one in buckets.values() if one.bucket != BUCKETS[0]),
            by_bucket=tuple(buckets[name].open_minor if name in buckets else 0 for name in BUCKETS),
        )
        for (payer_id, currency), buckets in found.items()
    ]


async def payers_page(tx: Tx, after: int) -> PayersPage:
    shown, older = cut(
        await store.list_payers(tx, limit=LISTED_MAX + 1, after=after), LISTED_MAX, lambda row: (row.payer_id,)
    )
    return PayersPage(shown, sums_of(age_claims(await claims.open_claims(tx, None), tx.now.date())), older)


async def payer_home(tx: Tx, payer_id: int) -> PayerHome:
    """Raises NotFound."""
    today = tx.now.date()
    return PayerHome(
        payer=await store.get_payer(tx, payer_id),
        sums=sums_of(age_claims(await claims.open_claims(tx, payer_id), today)),
        claims=await claims.list_claims(tx, payer_id, limit=NEWEST_MAX),
        versions=await store.list_versions(tx, payer_id=payer_id, limit=CONTRACTS_MAX),
        caps=await caps.list_caps(tx, payer_id),
        today=today,
    )


async def claims_page(tx: Tx, payer_id: int, *, unpaid: bool, after: int | None) -> ClaimsPage:
    """Raises NotFound."""
    rows = await claims.list_claims(tx, payer_id, limit=LISTED_MAX + 1, after=after, unpaid=unpaid)
    shown, older = cut(rows, LISTED_MAX, lambda row: (row.claim_id,))
    payer = await store.get_payer(tx, payer_id)
    return ClaimsPage(payer=payer, unpaid=unpaid, claims=shown, today=tx.now.date(), older=older)


async def claim_page(tx: Tx, payer_id: int, claim_id: int, after: int) -> ClaimPage:
    """Raises NotFound."""
    claim = await claims.get_claim(tx, payer_id, claim_id)
    version = await store.version_on(tx, claim.contract_id, claim.through)
    rows = await claims.lines_of(tx, payer_id, claim_id, after=after, limit=LISTED_MAX + 1)
    shown, older = cut(rows, LISTED_MAX, lambda row: (row.line_no,))
    return ClaimPage(
        payer=await store.get_payer(tx, payer_id),
        claim=claim,
        contract=version.terms.name,
        lines=shown,
        remittances=await claims.list_remittances(tx, payer_id, claim_id=claim_id, limit=LISTED_MAX),
        rejections=await claims.list_rejections(tx, payer_id, claim_id=claim_id, limit=LISTED_MAX),
        documents=await invoices.list_documents(tx, payer_id, claim_id=claim_id, limit=LISTED_MAX),
        today=tx.now.date(),
        older=older,
    )


async def statement_page(
    tx: Tx, payer_id: int, first: date | None, last: date | None, after: int | None
) -> StatementPage:
    """By default the month up to today. Raises NotFound."""
    last = last or max(tx.now.date(), first or tx.now.date())
    first = first or first_of_month(last)
    rows = await claims.list_remittances(tx, payer_id, limit=LISTED_MAX + 1, after=after)
    shown, older = cut(rows, LISTED_MAX, lambda row: (row.remittance_id,))
    return StatementPage(
        payer=await store.get_payer(tx, payer_id),
        first=first,
        last=last,
        statements=await claims.statement_of(tx, payer_id, first, last + timedelta(days=1)),
        remittances=shown,
        older=older,
    )


async def documents_page(tx: Tx, payer_id: int, after: int | None) -> DocumentsPage:
    """Raises NotFound."""
    rows = await invoices.list_documents(tx, payer_id, limit=LISTED_MAX + 1, after=after)
    shown, older = cut(rows, LISTED_MAX, lambda row: (row.document_id,))
    return DocumentsPage(payer=await store.get_payer(tx, payer_id), documents=shown, older=older)


async def rejections_page(tx: Tx, payer_id: int, after: int | None) -> RejectionsPage:
    """Raises NotFound."""
    rows = await claims.list_rejections(tx, payer_id, limit=LISTED_MAX + 1, after=after)
    shown, older = cut(rows, LISTED_MAX, lambda row: (row.rejection_id,))
    payer = await store.get_payer(tx, payer_id)
    about = await tx.rows(_CLAIMED, payer=payer_id, claims=[row.claim_id for row in shown])
    named = {row.claim_id: Claimed(row.claim_no, row.currency) for row in about}
    return RejectionsPage(payer=payer, rejections=shown, claims=named, older=older)


_CLAIMED = """
SELECT claim_id, claim_no, currency FROM billing.payer_claim
WHERE payer_id = :payer AND claim_id = ANY(CAST(:claims AS bigint[]))
"""
