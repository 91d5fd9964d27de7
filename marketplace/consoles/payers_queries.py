"""What the pages about third-party payers show: contracts and caps, claims with their lines, statements, refusals."""

from collections.abc import Sequence
from datetime import date, timedelta
from typing import Any

import msgspec

from billing.payers import store
from billing.payers.caps import store as caps
from billing.payers.caps.store import Cap
from billing.payers.claims import store as claims
from billing.payers.claims.ageing import Aged, age_claims
from billing.payers.claims.store import PayerClaim, PayerStatement, Rejection, Remittance
from billing.payers.invoices import store as invoices
from billing.payers.invoices.store import PayerDocument
from billing.payers.store import Payer, Version
from marketplace.consoles.lists import Column, Kind, Roll, Shown
from marketplace.core.db import Tx
from marketplace.core.months import first_of_month

LISTED_MAX = 50
NEWEST_MAX = 8
PAYERS_MAX = 10_000
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


class PayerRow(msgspec.Struct, frozen=True, kw_only=True):
    """A payer with what is open of its claims in a currency, all and by how long it is overdue; "" where nothing is."""

    payer_id: int
    name: str
    kind: str
    currency: str
    claims: int = 0
    not_due: int = 0
    to_30: int = 0
    to_60: int = 0
    to_90: int = 0
    over_90: int = 0
    open_minor: int = 0


_CURRENCY = Column("currency", "col.currency", by="", shown=Shown.IN_FILES)
PAYERS = Roll(
    name="payers",
    first="name",
    key=("payer_id", "currency"),
    texts=frozenset({"currency"}),
    columns=(
        Column("name", "payers.payer"),
        Column("currency", "col.currency"),
        Column("claims", "claims.title", Kind.NUMBER),
        Column("not_due", "claim_age.not_due", Kind.MONEY),
        Column("to_30", "claim_age.1_30", Kind.MONEY),
        Column("to_60", "claim_age.31_60", Kind.MONEY),
        Column("to_90", "claim_age.61_90", Kind.MONEY),
        Column("over_90", "claim_age.over_90", Kind.MONEY),
        Column("open_minor", "claims.open", Kind.MONEY),
    ),
)
CLAIMS = Roll(
    name="claims",
    first="-sent_on",
    key=("claim_id",),
    columns=(
        Column("claim_no", "claims.no", Kind.NUMBER),
        Column("sent_on", "claims.sent", Kind.DAY),
        Column("due_on", "claims.due", Kind.DAY),
        _CURRENCY,
        Column("lines", "claims.lines", Kind.NUMBER),
        Column("amount_minor", "claims.share", Kind.MONEY, by="", shown=Shown.IN_FILES),
        Column("fee_minor", "claims.fee", Kind.MONEY, by="", shown=Shown.IN_FILES),
        Column("vat_minor", "col.vat", Kind.MONEY, by="", shown=Shown.IN_FILES),
        Column("asked_minor", "claims.asked", Kind.MONEY),
        Column("remitted_minor", "claims.paid", Kind.MONEY),
        Column("rejected_minor", "claims.refused", Kind.MONEY),
        Column("open_minor", "claims.open", Kind.MONEY),
        Column("stands", "col.state", by="", shown=Shown.ON_PAGES),
    ),
    query="""
SELECT * FROM (
    SELECT *, amount_minor + fee_minor + vat_minor AS asked_minor,
           amount_minor + fee_minor + vat_minor - rejected_minor - remitted_minor AS open_minor
    FROM billing.payer_claim WHERE payer_id = :payer
) AS c WHERE NOT :unpaid OR open_minor <> 0
""",
)
CLAIM_LINES = Roll(
    name="claim-lines",
    first="line_no",
    key=("line_no",),
    columns=(
        Column("line_no", "claims.line", Kind.NUMBER),
        Column("source", "col.what"),
        Column("source_ref", "growth.ref", by="", shown=Shown.IN_FILES),
        Column("merchant_id", "col.merchant", Kind.NUMBER),
        _CURRENCY,
        Column("amount_minor", "claims.share", Kind.MONEY),
        Column("fee_minor", "claims.fee", Kind.MONEY),
        Column("vat_minor", "col.vat", Kind.MONEY),
        Column("remitted_minor", "claims.paid", Kind.MONEY),
        Column("refused_minor", "claims.refused", Kind.MONEY),
        Column("open_minor", "claims.open", Kind.MONEY),
    ),
    query="""
SELECT l.*, c.currency, l.rejected_minor + l.fee_back_minor AS refused_minor,
       l.amount_minor + l.fee_minor + l.vat_minor - l.rejected_minor - l.fee_back_minor - l.remitted_minor AS open_minor
FROM billing.payer_claim_line l
JOIN billing.payer_claim c ON c.payer_id = l.payer_id AND c.claim_id = l.claim_id
WHERE l.payer_id = :payer AND l.claim_id = :claim
""",
)
REMITTANCES = Roll(
    name="remittances",
    first="-received_on",
    key=("remittance_id",),
    columns=(
        Column("received_on", "claims.received", Kind.DAY),
        Column("claim_no", "claims.no", Kind.NUMBER),
        Column("bank_ref", "claims.bank_ref"),
        _CURRENCY,
        Column("amount_minor", "col.amount", Kind.MONEY),
    ),
    query="""
SELECT r.remittance_id, r.received_on, r.claim_id, c.claim_no, r.bank_ref, r.currency, r.amount_minor
FROM billing.payer_remittance r JOIN billing.payer_claim c ON c.payer_id = r.payer_id AND c.claim_id = r.claim_id
WHERE r.payer_id = :payer
""",
)
DOCUMENTS = Roll(
    name="documents",
    first="-issued_on",
    key=("document_id",),
    columns=(
        Column("number", "documents.number"),
        Column("kind", "documents.kind"),
        Column("issued_on", "col.day", Kind.DAY),
        Column("state", "col.state"),
        _CURRENCY,
        Column("net_minor", "documents.net", Kind.MONEY),
        Column("vat_minor", "col.vat", Kind.MONEY),
    ),
    query="""
SELECT payer_id, document_id, series || '-' || lpad(serial::text, greatest(length(serial::text), 6), '0') AS number,
       kind, issued_on, state, void_reason, currency, net_minor, vat_minor
FROM billing.payer_document WHERE payer_id = :payer
""",
)
REJECTIONS = Roll(
    name="rejections",
    first="-booked_on",
    key=("rejection_id",),
    columns=(
        Column("booked_on", "col.day", Kind.DAY),
        Column("claim_no", "claims.no", Kind.NUMBER),
        Column("line_no", "claims.line", Kind.NUMBER),
        Column("kind", "col.what"),
        _CURRENCY,
        Column("amount_minor", "col.amount", Kind.MONEY),
        Column("fee_minor", "claims.fee", Kind.MONEY),
        Column("reason", "col.reason", by=""),
    ),
    query="""
SELECT r.rejection_id, r.booked_on, r.claim_id, c.claim_no, r.line_no, r.kind, c.currency, r.amount_minor, r.fee_minor,
       r.reason
FROM billing.payer_rejection r JOIN billing.payer_claim c ON c.payer_id = r.payer_id AND c.claim_id = r.claim_id
WHERE r.payer_id = :payer
""",
)


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


class OfPayer(msgspec.Struct, frozen=True, kw_only=True):
    """A list of a payer's own. unpaid: only claims of which something is open."""

    payer: Payer
    today: date
    unpaid: bool = False


class ClaimPage(msgspec.Struct, frozen=True, kw_only=True):
    """A claim, what was paid and refused of it, and the documents on its fee."""

    payer: Payer
    claim: PayerClaim
    contract: str
    remittances: Sequence[Remittance]
    rejections: Sequence[Rejection]
    documents: Sequence[PayerDocument]
    today: date


class StatementPage(msgspec.Struct, frozen=True, kw_only=True):
    """What a payer was asked for and has paid from `first` to `last`, by currency."""

    payer: Payer
    first: date
    last: date
    statements: Sequence[PayerStatement]


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


async def list_payer_rows(tx: Tx) -> list[PayerRow]:
    """All payers, each with what is open of its claims."""
    sums: dict[int, list[PayerSums]] = {}
    for one in sums_of(age_claims(await claims.open_claims(tx, None), tx.now.date())):
        sums.setdefault(one.payer_id, []).append(one)
    rows = []
    for payer in await store.list_payers(tx, limit=PAYERS_MAX, after=0):
        named: dict[str, Any] = {"payer_id": payer.payer_id, "name": payer.name, "kind": payer.kind}
        rows += [_payer_row(one, **named) for one in sums.get(payer.payer_id, [])] or [PayerRow(**named, currency="")]
    return rows


def _payer_row(sums: PayerSums, **named: Any) -> PayerRow:
    not_due, to_30, to_60, to_90, over_90 = sums.by_bucket
    return PayerRow(
        **named,
        currency=sums.currency,
        claims=sums.claims,
        not_due=not_due,
        to_30=to_30,
        to_60=to_60,
        to_90=to_90,
        over_90=over_90,
        open_minor=sums.open_minor,
    )


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


async def of_payer(tx: Tx, payer_id: int, *, unpaid: bool = False) -> OfPayer:
    """Raises NotFound."""
    return OfPayer(payer=await store.get_payer(tx, payer_id), today=tx.now.date(), unpaid=unpaid)


async def claim_page(tx: Tx, payer_id: int, claim_id: int) -> ClaimPage:
    """Raises NotFound."""
    claim = await claims.get_claim(tx, payer_id, claim_id)
    version = await store.version_on(tx, claim.contract_id, claim.through)
    return ClaimPage(
        payer=await store.get_payer(tx, payer_id),
        claim=claim,
        contract=version.terms.name,
        remittances=await claims.list_remittances(tx, payer_id, claim_id=claim_id, limit=LISTED_MAX),
        rejections=await claims.list_rejections(tx, payer_id, claim_id=claim_id, limit=LISTED_MAX),
        documents=await invoices.list_documents(tx, payer_id, claim_id=claim_id, limit=LISTED_MAX),
        today=tx.now.date(),
    )


async def statement_page(tx: Tx, payer_id: int, first: date | None, last: date | None) -> StatementPage:
    """By default the month up to today. Raises NotFound."""
    last = last or max(tx.now.date(), first or tx.now.date())
    first = first or first_of_month(last)
    return StatementPage(
        payer=await store.get_payer(tx, payer_id),
        first=first,
        last=last,
        statements=await claims.statement_of(tx, payer_id, first, last + timedelta(days=1)),
    )
