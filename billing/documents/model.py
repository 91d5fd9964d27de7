"""Tax documents as values, and the arithmetic that makes them out of what the books say. Pure. Minor units.

A document never posts: its VAT is what the ledger has on account 2300 for what it tells of. What was taxed in one go is
a document of its own (`Subject`), so the VAT of each rate was rounded once for it (EN 16931, BR-CO-17). What is given
back later stands in a credit note, by cumulative shares: any split of a whole gives back exactly the whole.
"""

from collections.abc import Iterable, Sequence
from datetime import date, datetime, timedelta
from enum import StrEnum
from typing import Any, Literal

import msgspec

from marketplace.core.errors import Conflict
from marketplace.core.rates import PPM, divide_half_even

SERIES_PER_ENTITY = 16
"""Merchants share so many series of an entity: few to file, and several runs number at once."""
PER_RUN = 10_000
"""Ids of a merchant's documents of a run: run_id * PER_RUN and what follows; those of its reversal REVERSAL later."""
REVERSAL = PER_RUN // 2
Syntax = Literal["cii", "ubl"]
"""How an e-invoice of EN 16931 is written."""


class Kind(StrEnum):
    INVOICE = "invoice"
    CREDIT_NOTE = "credit_note"
    SELF_BILLED_INVOICE = "self_billed_invoice"
    SELF_BILLED_CREDIT_NOTE = "self_billed_credit_note"

    @property
    def credits(self) -> bool:
        return self in {Kind.CREDIT_NOTE, Kind.SELF_BILLED_CREDIT_NOTE}

    @property
    def self_billed(self) -> bool:
        return self in {Kind.SELF_BILLED_INVOICE, Kind.SELF_BILLED_CREDIT_NOTE}

    @property
    def opposite(self) -> "Kind":
        """What takes a document of this kind back."""
        return _OPPOSITE[self]


_OPPOSITE = {
    Kind.INVOICE: Kind.CREDIT_NOTE,
    Kind.CREDIT_NOTE: Kind.INVOICE,
    Kind.SELF_BILLED_INVOICE: Kind.SELF_BILLED_CREDIT_NOTE,
    Kind.SELF_BILLED_CREDIT_NOTE: Kind.SELF_BILLED_INVOICE,
}
_PREFIX = {
    Kind.INVOICE: "INV",
    Kind.CREDIT_NOTE: "CRN",
    Kind.SELF_BILLED_INVOICE: "SBI",
    Kind.SELF_BILLED_CREDIT_NOTE: "SBC",
}


class Subject(StrEnum):
    """What was taxed in one go, and so stands in one document.

    period: the commission of a period's orders, its minimum, and fees of processors that are passed on. correction:
    what refunds and new ratings changed of it since. charge: one charge for a product. top_up: one payment for ads.
    fees: passed on fees that were given back on balance. ads: prepaid ads that were given back. self_billing: what the
    merchant has sold to the platform. claim: the platform's fee on a claim on a payer, who is the buyer.
    """

    PERIOD = "period"
    CORRECTION = "correction"
    CHARGE = "charge"
    TOP_UP = "top_up"
    FEES = "fees"
    ADS = "ads"
    SELF_BILLING = "self_billing"
    CLAIM = "claim"


class Category(StrEnum):
    """What a line charges for."""

    COMMISSION = "commission"
    COMMISSION_MINIMUM = "commission_minimum"
    REFUND = "refund"
    ADJUSTMENT = "adjustment"
    FEES = "fees"
    ADS = "ads"
    SUBSCRIPTION = "subscription"
    HARDWARE = "hardware"
    WORK_ORDER = "work_order"
    AD_ORDER = "ad_order"
    SERVICE = "service"
    GOODS = "goods"
    INCENTIVE = "incentive"
    PAYER_FEE = "payer_fee"
    CLAIM_FEE = "claim_fee"


class State(StrEnum):
    """issued: it stands, with what corrects it. reversed: its run was, and another document takes it back. void: it
    counts for nothing; its number stays."""

    ISSUED = "issued"
    REVERSED = "reversed"
    VOID = "void"


class Fact(msgspec.Struct, frozen=True, kw_only=True):
    """What the books say of one thing. Positive: the merchant owes it; in self-billing, it is owed it.

    corrects_id: the document that said it first; of_run: that is one of the same run, about the same subject and source
    (`corrects`, when a correction).
    """

    merchant_id: int
    currency: str
    subject: Subject
    category: Category
    vat_ppm: int
    net_minor: int
    vat_minor: int
    source_id: int = 0
    description: str = ""
    quantity: int = 1
    from_on: date | None = None
    to_on: date | None = None
    due_on: date | None = None
    corrects_id: int | None = None
    of_run: Subject | None = None


class Line(msgspec.Struct, frozen=True, kw_only=True):
    """from_on, to_on: what it is for, where that is not the document's period; half-open."""

    category: Category
    description: str
    quantity: int
    vat_ppm: int
    net_minor: int
    from_on: date | None = None
    to_on: date | None = None


class Tax(msgspec.Struct, frozen=True, kw_only=True):
    """A document's VAT at one rate: what is taxed and the tax."""

    vat_ppm: int
    net_minor: int
    vat_minor: int


class Draft(msgspec.Struct, frozen=True, kw_only=True):
    """A document before it has a number. Amounts are those of its kind: what a credit note gives back is positive."""

    merchant_id: int
    document_id: int
    kind: Kind
    subject: Subject
    source_id: int
    currency: str
    corrects_id: int | None
    due_on: date | None
    lines: tuple[Line, ...]
    taxes: tuple[Tax, ...]
    reverses_id: int | None = None
    replaces_id: int | None = None

    @property
    def net_minor(self) -> int:
        """BR-CO-10 and BR-CO-13: the sum of the lines."""
        return sum(line.net_minor for line in self.lines)

    @property
    def vat_minor(self) -> int:
        """BR-CO-14: the sum of the taxes."""
        return sum(tax.vat_minor for tax in self.taxes)


class Party(msgspec.Struct, frozen=True, kw_only=True):
    """Who sells or buys, as it stands on a document. country: ISO 3166-1 alpha-2, or nothing."""

    name: str
    address: str = ""
    country: str = ""
    tax_id: str = ""


class Details(msgspec.Struct, frozen=True, kw_only=True):
    """What stands on a merchant's documents, and which of its invoices the platform writes for it.

    self_billed: `goods` (the platform buys them to sell them in its own name), `incentive`. self_billed_vat_ppm: the
    merchant's VAT rate, which is contained in what it is paid; 0 where it charges none.
    """

    merchant_id: int
    party: Party
    self_billed: tuple[Category, ...] = ()
    self_billed_vat_ppm: int = 0
    version: int = 0


class Document(msgspec.Struct, frozen=True, kw_only=True):
    """A document. from_on, to_on: its period, half-open; in a credit note that of the run that issued it.

    corrects_id: the document whose amounts it changes. reverses_id: what it takes back because the run was reversed.
    replaces_id: the void one in whose place it stands.
    """

    merchant_id: int
    document_id: int
    run_id: int
    entity_id: int
    kind: Kind
    subject: Subject
    source_id: int
    number: str
    currency: str
    from_on: date
    to_on: date
    issued_on: date
    due_on: date | None
    net_minor: int
    vat_minor: int
    seller: Party
    buyer: Party
    corrects_id: int | None
    reverses_id: int | None
    replaces_id: int | None
    state: State
    void_reason: str | None
    void_asked_by: str | None
    voided_by: str | None
    voided_at: datetime | None
    issued_by: str
    issued_at: datetime

    @property
    def gross_minor(self) -> int:
        """BR-CO-15: net and VAT."""
        return self.net_minor + self.vat_minor

    @property
    def last_on(self) -> date:
        """The last day of its period."""
        return self.to_on - timedelta(days=1)


class Written(msgspec.Struct, frozen=True, kw_only=True):
    """A document with its lines and taxes, and the numbers of those that it points to, by their ids."""

    document: Document
    lines: tuple[Line, ...]
    taxes: tuple[Tax, ...]
    numbers: dict[str, str]

    @property
    def number(self) -> str:
        return self.document.number


def number(series: str, serial: int) -> str:
    """A document's number: its series, and its place in that."""
    return f"{series}-{serial:06d}"


def series_of(entity_id: int, kind: Kind, merchant_id: int) -> str:
    """The series that a document is numbered in.

    Sixteen for each kind of document of an entity. What is written in a merchant's name has a series of that merchant.
    """
    bucket = str(merchant_id) if kind.self_billed else f"{merchant_id % SERIES_PER_ENTITY:02d}"
    return f"{entity_id}-{_PREFIX[kind]}-{bucket}"


def contained(gross_minor: int, vat_ppm: int) -> tuple[int, int]:
    """(net, VAT) of an amount that contains the VAT: rounded once, half-even."""
    net = divide_half_even(gross_minor * PPM, PPM + vat_ppm)
    return net, gross_minor - net


def write(facts: Iterable[Fact], run_id: int) -> list[Draft]:
    """The documents that say these facts, in order of merchant, subject and source; nothing is said of zero.

    What corrects a document of the same run comes after it and points to it.
    """
    groups: dict[tuple[Any, ...], list[Fact]] = {}
    for fact in facts:
        if fact.net_minor or fact.vat_minor:
            groups.setdefault(_key(fact), []).append(fact)
    drafts: list[Draft] = []
    first: dict[tuple[int, str, Subject, int], int] = {}
    count: dict[int, int] = {}
    for key in sorted(groups):
        one = groups[key][0]
        document_id = run_id * PER_RUN + count.get(one.merchant_id, 0)
        corrects = one.corrects_id
        if one.of_run is not None:
            corrects = first.get((one.merchant_id, one.currency, one.of_run, one.source_id))
        draft = draft_one(groups[key], document_id, corrects)
        if draft is None:
            continue
        count[one.merchant_id] = count.get(one.merchant_id, 0) + 1
        if count[one.merchant_id] > REVERSAL:
            raise Conflict(f"merchant {one.merchant_id}: more than {REVERSAL} documents in one run")
        if corrects is None and not draft.kind.credits:
            first.setdefault((one.merchant_id, one.currency, one.subject, one.source_id), document_id)
        drafts.append(draft)
    return drafts


def _key(fact: Fact) -> tuple[Any, ...]:
    """One document each. Those that others of the run point to come first."""
    points = (fact.of_run is not None, fact.corrects_id or 0)
    return fact.merchant_id, fact.currency, points, fact.subject, fact.source_id


def draft_one(facts: Sequence[Fact], document_id: int, corrects_id: int | None) -> Draft | None:
    """The one document that says these facts, or none where nothing is left of them."""
    one = facts[0]
    taxes = dict[int, list[int]]()
    lines = dict[tuple[Any, ...], Line]()
    for fact in sorted(facts, key=lambda fact: (fact.category, -fact.vat_ppm, fact.description)):
        tax = taxes.setdefault(fact.vat_ppm, [0, 0])
        tax[0] += fact.net_minor
        tax[1] += fact.vat_minor
        place = (fact.category, fact.description, fact.vat_ppm, fact.from_on, fact.to_on)
        before = lines.get(place)
        lines[place] = Line(
            category=fact.category,
            description=fact.description,
            quantity=fact.quantity + (before.quantity if before else 0),
            vat_ppm=fact.vat_ppm,
            net_minor=fact.net_minor + (before.net_minor if before else 0),
            from_on=fact.from_on,
            to_on=fact.to_on,
        )
    sums = [(net, vat) for net, vat in taxes.values() if net or vat]
    if not sums:
        return None
    kind = Kind.SELF_BILLED_INVOICE if one.subject is Subject.SELF_BILLING else Kind.INVOICE
    sign = -1 if sum(net + vat for net, vat in sums) < 0 else 1
    return Draft(
        merchant_id=one.merchant_id,
        document_id=document_id,
        kind=kind if sign > 0 else kind.opposite,
        subject=one.subject,
        source_id=one.source_id,
        currency=one.currency,
        corrects_id=corrects_id,
        due_on=one.due_on,
        lines=tuple(_times(line, sign) for line in lines.values()),
        taxes=tuple(
            Tax(vat_ppm=rate, net_minor=sign * net, vat_minor=sign * vat)
            for rate, (net, vat) in sorted(taxes.items(), reverse=True)
        ),
    )


def _times(line: Line, sign: int) -> Line:
    return msgspec.structs.replace(line, net_minor=sign * line.net_minor)


def mirror(document: Document, lines: Sequence[Line], taxes: Sequence[Tax]) -> Draft:
    """What takes a document of a reversed run back, line by line.

    Of a credit note that is an invoice over the same, which counts for what the credit note counted for.
    """
    return Draft(
        merchant_id=document.merchant_id,
        document_id=document.document_id + REVERSAL,
        kind=document.kind.opposite,
        subject=document.subject,
        source_id=document.source_id,
        currency=document.currency,
        corrects_id=document.corrects_id or document.document_id,
        reverses_id=document.document_id,
        due_on=None,
        lines=tuple(lines),
        taxes=tuple(taxes),
    )
