"""The arithmetic of documents: EN 16931, BR-CO-10, 13, 14, 15 and 17, and credit notes that sum to what they credit."""

from datetime import UTC, date, datetime
from itertools import accumulate, pairwise

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from billing.documents.model import (
    PER_RUN,
    REVERSAL,
    Category,
    Document,
    Draft,
    Fact,
    Kind,
    Party,
    State,
    Subject,
    Tax,
    contained,
    mirror,
    number,
    series_of,
    write,
)
from billing.rating import refund_share
from marketplace.core.rates import apply_half_even
from tests.documents.rules import left_of, off_by, signed

RATES = st.sampled_from([0, 55_000, 77_000, 200_000, 230_000])
AMOUNTS = st.integers(-(10**9), 10**9)
facts = st.builds(
    Fact,
    merchant_id=st.integers(1, 3),
    currency=st.sampled_from(["EUR", "JPY", "KWD"]),
    subject=st.sampled_from([Subject.PERIOD, Subject.CHARGE, Subject.SELF_BILLING]),
    category=st.sampled_from(Category),
    vat_ppm=RATES,
    net_minor=AMOUNTS,
    vat_minor=AMOUNTS,
    source_id=st.integers(0, 2),
)


@given(st.lists(facts, max_size=30))
def test_a_document_is_the_sum_of_what_it_says(said: list[Fact]) -> None:
    drafts = write(said, run_id=7)
    for draft in drafts:
        assert draft.net_minor == sum(tax.net_minor for tax in draft.taxes)  # BR-CO-10 and 13 against the breakdown
        assert draft.net_minor + draft.vat_minor >= 0  # a credit note says positively what it gives back
        assert len({tax.vat_ppm for tax in draft.taxes}) == len(draft.taxes)
        assert draft.kind.self_billed == (draft.subject is Subject.SELF_BILLING)
    for merchant in (1, 2, 3):
        for currency in ("EUR", "JPY", "KWD"):
            of = [f for f in said if (f.merchant_id, f.currency) == (merchant, currency)]
            mine = [(d, sign) for d, sign in signed(drafts) if (d.merchant_id, d.currency) == (merchant, currency)]
            for name in ("net_minor", "vat_minor"):
                owed = sum(sign * getattr(draft, name) for draft, sign in mine)
                turned = [-1 if fact.subject is Subject.SELF_BILLING else 1 for fact in of]
                assert owed == sum(sign * getattr(fact, name) for sign, fact in zip(turned, of, strict=True))


@given(st.lists(facts, max_size=30))
def test_ids_are_dense_and_the_order_of_facts_does_not_matter(said: list[Fact]) -> None:
    drafts = write(said, run_id=7)
    assert drafts == write(said[::-1], run_id=7)
    for merchant in {draft.merchant_id for draft in drafts}:
        ids = [draft.document_id for draft in drafts if draft.merchant_id == merchant]
        assert ids == [7 * PER_RUN + place for place in range(len(ids))]


@given(st.lists(st.integers(0, 10**6), min_size=1, max_size=40), RATES)
def test_the_vat_of_a_months_orders_is_that_of_the_document(commissions: list[int], rate: int) -> None:
    """BR-CO-17: rounded once, although every order has a VAT of its own."""
    upto = [apply_half_even(total, rate) for total in accumulate(commissions, initial=0)]
    said = [
        Fact(
            merchant_id=1, currency="EUR", subject=Subject.PERIOD, category=Category.COMMISSION, vat_ppm=rate,
            net_minor=net, vat_minor=after - before,
        )
        for net, (before, after) in zip(commissions, pairwise(upto), strict=True)
    ]  # fmt: skip
    for draft in write(said, run_id=1):
        assert [off_by(tax) for tax in draft.taxes] == [0]
        assert draft.lines[0].net_minor == sum(commissions)


@given(st.integers(0, 10**9), RATES)
def test_vat_contained_in_an_amount(gross: int, rate: int) -> None:
    net, vat = contained(gross, rate)
    assert net + vat == gross
    assert abs(off_by(Tax(vat_ppm=rate, net_minor=net, vat_minor=vat))) <= 1


def taxed(net: int, vat: int) -> tuple[Tax]:
    return (Tax(vat_ppm=77_000, net_minor=net, vat_minor=vat),)


@given(st.lists(st.integers(1, 10**5), min_size=1, max_size=8))
def test_a_document_credited_in_any_parts_is_credited_exactly(parts: list[int]) -> None:
    """Each part takes its cumulative share, so the last leaves nothing, and no part too much."""
    net = sum(parts)
    vat = apply_half_even(net, 77_000)
    given_back, notes = 0, []
    for part, upto in zip(parts, accumulate(parts), strict=True):
        of_vat = refund_share(vat, given_back, upto, net)
        given_back += of_vat
        notes.append((Kind.INVOICE, Kind.CREDIT_NOTE, taxed(part, of_vat)))
        left = left_of(taxed(net, vat), notes)[77_000]
        assert left.net_minor >= 0
        assert left.vat_minor >= 0
    assert left == Tax(vat_ppm=77_000, net_minor=0, vat_minor=0)


def test_334_99_credited_in_four_parts_is_334_99() -> None:
    """Lago #2643, #4553: rounded one by one the credit notes came to 335.00 on an invoice of 334.99."""
    grosses, whole = (8_200, 6_900, 10_200, 8_200), 33_499
    back, notes = 0, []
    for upto in accumulate(grosses):
        part = refund_share(whole, back, upto, sum(grosses))
        back += part
        notes.append(part)
    assert notes == [8_200, 6_900, 10_199, 8_200]
    assert sum(notes) == whole


@given(st.lists(facts, min_size=1, max_size=10))
def test_a_mirror_leaves_nothing(said: list[Fact]) -> None:
    for draft in write(said, run_id=7):
        document = stored(draft)
        back = mirror(document, draft.lines, draft.taxes)
        assert (back.corrects_id, back.reverses_id) == (draft.document_id, draft.document_id)
        assert back.document_id == draft.document_id + REVERSAL
        left = left_of(draft.taxes, [(draft.kind, back.kind, back.taxes)])
        assert all((tax.net_minor, tax.vat_minor) == (0, 0) for tax in left.values())


def stored(draft: Draft) -> Document:
    """The document that a draft becomes."""
    own = {name: getattr(draft, name) for name in Document.__struct_fields__ if hasattr(draft, name)}
    day = date(2018, 5, 1)
    rest = {
        "run_id": 7, "entity_id": 1, "number": number(series_of(1, draft.kind, draft.merchant_id), 1),
        "from_on": day, "to_on": date(2018, 6, 1), "issued_on": day, "seller": Party(name="a"),
        "buyer": Party(name="b"), "state": State.ISSUED, "void_reason": None, "void_asked_by": None, "voided_by": None,
        "voided_at": None, "issued_by": "x", "issued_at": datetime(2018, 6, 1, tzinfo=UTC),
    }  # fmt: skip
    return msgspec.convert({**own, **rest}, Document)


def test_series_are_shared_by_merchants_but_for_their_own_invoices() -> None:
    assert series_of(3, Kind.INVOICE, 18) == series_of(3, Kind.INVOICE, 34) == "3-INV-02"
    assert series_of(3, Kind.CREDIT_NOTE, 18) == "3-CRN-02"
    assert series_of(3, Kind.SELF_BILLED_INVOICE, 18) == "3-SBI-18"
