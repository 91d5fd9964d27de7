"""Tax documents to payers: the fee on a claim invoiced, what a rejection takes back credited, void and issued again."""

from collections.abc import Sequence
from random import Random

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from billing.documents.model import Category, Kind, Party, State, Written
from billing.payers import store as payers
from billing.payers.claims.store import PayerClaim
from billing.payers.invoices import store as invoices
from billing.payers.invoices.store import PayerDocument
from billing.payers.rules import Charged, part_back, vat_by_line
from marketplace.consoles import approvals
from marketplace.consoles.approvals import DECIDED, Decision
from marketplace.consoles.approvals_sql import WAITING
from marketplace.core import policies
from marketplace.core.db import WORKER, Database, Tx
from marketplace.core.errors import Conflict, Forbidden
from marketplace.core.rates import apply_half_even
from marketplace.flows.documents.render_document import render_document
from marketplace.flows.documents.render_einvoice import render_einvoice
from marketplace.flows.payers import void_invoice
from marketplace.flows.payers.settle_claim import RejectLine, reject_line
from marketplace.flows.proofs.verify_books import verify_books
from tests.billing.market import check_books
from tests.payers.market import claim, market, sold, terms
from tests.payers.test_postings import back

PAYER, MAKER, CHECKER = 1, "maker", "checker"
FIRST = "1-INV-01-000001"
rates = st.sampled_from([0, 55_000, 190_000, 200_000])


async def documents(db: Database) -> list[PayerDocument]:
    """Those of the payer, the oldest first."""
    async with db.read(WORKER) as tx:
        return list(reversed(await invoices.list_documents(tx, PAYER, limit=50)))


def shown(found: Sequence[PayerDocument]) -> list[tuple[str, int, int]]:
    return [(one.number, one.net_minor, one.vat_minor) for one in found]


async def reject(db: Database, made: PayerClaim, minor: int, line_no: int = 1) -> None:
    no = RejectLine(payer_id=PAYER, claim_id=made.claim_id, line_no=line_no, amount_minor=minor, reason="not covered")
    await db.write(WORKER, "test", reject_line, no)


async def test_a_claim_is_invoiced_with_its_fee_and_the_vat_on_it(db: Database) -> None:
    await market(db)
    await sold(db)
    made = await claim(db)
    [one] = await documents(db)
    assert (one.kind, one.number, one.claim_id, one.due_on) == (Kind.INVOICE, FIRST, made.claim_id, made.due_on)
    assert (one.net_minor, one.vat_minor) == (made.fee_minor, made.vat_minor) == (140, 28)
    assert (one.seller, one.buyer) == (Party(name="Test"), Party(name="Health"))
    assert [(line.category, line.quantity, line.net_minor) for line in one.lines] == [(Category.PAYER_FEE, 1, 140)]
    assert [(tax.vat_ppm, tax.net_minor, tax.vat_minor) for tax in one.taxes] == [(200_000, 140, 28)]
    await check_books(db)


async def test_what_is_rejected_is_credited_to_the_last_cent(db: Database) -> None:
    await market(db)
    await sold(db)
    made = await claim(db)
    for minor in (2_333, 2_333, 2_334):
        await reject(db, made, minor)
        await check_books(db)
    first, *given = await documents(db)
    assert [one.kind for one in given] == [Kind.CREDIT_NOTE] * 3
    assert {one.corrects_id for one in given} == {first.document_id}
    assert [one.number for one in given] == [f"1-CRN-01-00000{number}" for number in (1, 2, 3)]
    assert (sum(one.net_minor for one in given), sum(one.vat_minor for one in given)) == (140, 28)


async def test_the_fixed_fee_is_a_line_and_vat_is_rounded_once(db: Database) -> None:
    """Three shares of 7.99 at 2 %: 0.16 each, whose own VAT would be 0.03; of all with the fixed fee it is 0.40."""
    await market(db, terms(share_ppm=1_000_000, order_cap_minor=799, fee_fixed_minor=150, vat_ppm=200_000))
    for key in ("k1", "k2", "k3"):
        await sold(db, key)
    made = await claim(db)
    [one] = await documents(db)
    assert [(line.category, line.quantity, line.net_minor) for line in one.lines] == [
        (Category.CLAIM_FEE, 1, 150), (Category.PAYER_FEE, 3, 48),
    ]  # fmt: skip
    assert (one.net_minor, one.vat_minor) == (198, 40) == (made.fee_minor, made.vat_minor)
    await check_books(db)


async def test_what_is_set_off_by_the_next_claim_is_credited(db: Database) -> None:
    await market(db)
    placed = await sold(db)
    await claim(db)
    await back(db, placed.orders[0].order_id)
    made = await claim(db)
    assert (made.amount_minor, made.fee_minor, made.vat_minor) == (-7_000, -140, -28)
    assert shown(await documents(db)) == [(FIRST, 140, 28), ("1-CRN-01-000001", 140, 28)]
    await check_books(db)


async def test_without_a_fee_there_is_no_document(db: Database) -> None:
    await market(db, terms(fee_ppm=0))
    await sold(db)
    made = await claim(db)
    await reject(db, made, 500)
    assert await documents(db) == []
    await check_books(db)


async def _at_home(tx: Tx) -> None:
    held = await payers.get_payer(tx, PAYER, lock=True)
    await payers.update_payer(tx, msgspec.structs.replace(held, address="1 Quay\nPorto", country="PT"))


async def test_void_by_two_people_and_issued_again_with_todays_details(db: Database) -> None:
    await market(db)
    await sold(db)
    made = await claim(db)
    [first] = await documents(db)
    key = (PAYER, first.document_id)
    await db.write(WORKER, "admin", policies.switch, "single_operator", on=False)
    await db.write(WORKER, MAKER, void_invoice.ask_void, *key, "no address")
    async with db.read(WORKER) as tx:
        [waiting] = await tx.rows(WAITING, limit=9)
    assert (waiting.kind, waiting.merchant_id, waiting.name, waiting.proposal_id, waiting.amount_minor) == (
        "payer_document_void", PAYER, None, first.document_id, 168,
    )  # fmt: skip
    approve, _ = DECIDED[approvals.Kind.PAYER_DOCUMENT_VOID]
    decision = Decision(PAYER, first.document_id, "", is_controller=True)
    with pytest.raises(Forbidden):
        await db.write(WORKER, MAKER, approve, decision)
    with pytest.raises(Conflict, match="only a void one"):
        await db.write(WORKER, MAKER, void_invoice.reissue_document, *key)
    void = await db.write(WORKER, CHECKER, approve, decision)
    assert (void.state, void.number) == (State.VOID, FIRST)
    assert (await verify_books(db)).open_items["void_documents"] == 1
    await db.write(WORKER, "test", _at_home)
    again = await db.write(WORKER, MAKER, void_invoice.reissue_document, *key)
    assert (again.number, again.replaces_id, again.buyer.country) == ("1-INV-01-000002", first.document_id, "PT")
    with pytest.raises(Conflict, match="has been issued again as"):
        await db.write(WORKER, MAKER, void_invoice.reissue_document, *key)
    await reject(db, made, 7_000)
    credit = (await documents(db))[-1]
    assert credit.corrects_id == again.document_id
    with pytest.raises(Conflict, match="other documents correct it"):
        await db.write(WORKER, MAKER, void_invoice.ask_void, PAYER, again.document_id, "again")
    assert (await verify_books(db)).open_items["void_documents"] == 0
    await check_books(db)


async def test_it_is_printed_and_sent_as_any_other(db: Database) -> None:
    await market(db)
    await db.write(WORKER, "test", _at_home)
    await sold(db)
    made = await claim(db)
    await reject(db, made, 500)
    printed: list[Written] = []
    for one in await documents(db):
        async with db.read(WORKER) as tx:
            printed.append(await invoices.written(tx, PAYER, one.document_id))
    assert printed[1].numbers == {str(printed[0].document.document_id): FIRST}
    for written in printed:
        assert render_document(written, "en", None) == render_document(written, "en", None)
        with pytest.raises(Conflict, match="Test has no country"):
            render_einvoice(written, "en", "cii")


async def test_the_vat_of_each_claim_is_its_rate_on_what_it_charges(db: Database) -> None:
    """7.02 at 2 % is a fee of 0.14, whose VAT of 0.028 is 0.03 in every claim, whatever was claimed before."""
    await market(db, terms(share_ppm=1_000_000, order_cap_minor=702, vat_ppm=200_000))
    for key in ("k1", "k2", "k3"):
        await sold(db, key)
        made = await claim(db)
        assert (made.fee_minor, made.vat_minor) == (14, 3)
    assert {(one.net_minor, one.vat_minor) for one in await documents(db)} == {(14, 3)}
    await check_books(db)


@given(st.lists(st.tuples(st.integers(0, 20_000), rates), max_size=9), st.randoms(use_true_random=False))
def test_the_vat_of_a_claim_is_rounded_once_and_taken_back_to_nothing(
    fees: list[tuple[int, int]], lots: Random
) -> None:
    vats = vat_by_line([Charged(fee, rate) for fee, rate in fees])
    for rate in {rate for _, rate in fees}:
        due = apply_half_even(sum(fee for fee, of in fees if of == rate), rate)
        assert sum(vat for (_, of), vat in zip(fees, vats, strict=True) if of == rate) == due
    left = [Charged(-fee, rate, fee, vat) for (fee, rate), vat in zip(fees, vats, strict=True) if fee]
    while left:  # each claim sets a part of some shares off, until nothing is left of any
        parts = [msgspec.structs.replace(one, fee_minor=-lots.randint(1, one.fee_before_minor)) for one in left]
        backs = vat_by_line(parts)
        after = [
            Charged(-1, one.vat_ppm, one.fee_before_minor + one.fee_minor, one.vat_before_minor + back)
            for one, back in zip(parts, backs, strict=True)
        ]
        assert all(one.vat_before_minor == 0 for one in after if not one.fee_before_minor)
        assert all(one.vat_before_minor >= 0 for one in after)
        left = [one for one in after if one.fee_before_minor]


@given(st.integers(-50, 5_000), st.lists(st.integers(1, 700), min_size=1, max_size=8))
def test_a_line_rejected_in_any_parts_gives_all_of_its_fee_back(fee: int, parts: list[int]) -> None:
    gone, given_back = 0, 0
    for part in parts:
        given_back += part_back(fee, gone, part, sum(parts))
        gone += part
    assert given_back == fee
