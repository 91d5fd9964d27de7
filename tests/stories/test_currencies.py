"""One merchant sells in currencies of 0, 2 and 3 decimals: each has its contract, balance, statement and payout."""

from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from xml.etree import ElementTree as ET

import pytest

from billing.contracts.terms import Terms
from billing.exchange.store import EntityCurrency, NewRate
from billing.payments.facts import PaymentFact, PaymentState, payment_reference
from billing.runs.model import period_named
from demand.store import queue_delivered
from marketplace.core.clock import FixedClock
from marketplace.core.db import WORKER, Database, Tx
from marketplace.core.errors import Invalid
from marketplace.core.money import text_from_minor
from marketplace.flows.books.exchange_money import (
    ExchangeBalance,
    approve_rate,
    exchange_balance,
    open_currency,
    propose_rate,
)
from marketplace.flows.commission.apply_contracts import apply_versions
from marketplace.flows.commission.settle_orders import settle_through
from marketplace.flows.documents.render_document import content, render_document
from marketplace.flows.orders.list_goods import Goods, list_goods, list_goods_in_bulk
from marketplace.flows.orders.read_placed import Placed
from marketplace.flows.payments.take_payment import payment_changed
from marketplace.flows.payouts.instruct_bank import MakeFile, SetDebtor, approve_file, make_file, read_bytes, set_debtor
from marketplace.flows.refunds.refund_order import RefundOrder, refund_order
from marketplace.web.i18n import speech
from tests.billing.accounts import add_account
from tests.billing.market import billed, check_books, figures, payable, payouts, statements
from tests.billing.test_payout_files import HOUSE, NS
from tests.builders import ENTITY
from tests.conftest import NOW
from tests.documents.market import of_run
from tests.placing.market import ALPHA, line, new_cart, place, prepare

SOLD = {"EUR": 12_000, "USD": 9_999, "JPY": 11_001, "KWD": 12_345}
"""120.00, 99.99, 11001 and 12.345: 10 % commission, and 20 % VAT on it."""
KEPT = {"EUR": 1_200 + 240, "USD": 1_000 + 200, "JPY": 1_100 + 220, "KWD": 1_234 + 247}
"""Commission half-even to the minor unit (1234.5 is 1234), and VAT (246.8 is 247)."""
NET = {currency: SOLD[currency] - KEPT[currency] for currency in SOLD}


async def market(db: Database) -> dict[str, int]:
    """A merchant with a listing and a bank account in each currency; returns the products."""
    await prepare(db)
    for currency in ("USD", "JPY", "KWD"):
        await db.write(WORKER, "controller", open_currency, EntityCurrency(entity_id=ENTITY, currency=currency))
    first = date(2018, 1, 1)
    terms = [
        Terms(name=f"in {currency}", currency=currency, valid_from=first, rate_ppm=100_000, vat_ppm=200_000)
        for currency in SOLD
    ]
    await db.write(WORKER, "controller", apply_versions, terms)
    products = {}
    for number, (currency, minor) in enumerate(SOLD.items()):
        goods = Goods(sku=f"tea {currency}", title="Tea", price_minor=minor, currency=currency)
        products[currency] = (await db.write(WORKER, "owner", list_goods, ALPHA, goods)).product_id
        await db.write(WORKER, "owner", add_account, ALPHA, 900 + number, currency)
    return products


async def sold(db: Database, currency: str, product_id: int) -> Placed:
    """Placed in a cart of the currency, paid, delivered."""
    cart = await new_cart(db, line(ALPHA, product_id), currency=currency)
    placed = await place(db, cart, key=currency)
    fact = PaymentFact(
        reference=payment_reference(placed.buyer_id, placed.payment_id), state=PaymentState.CAPTURED,
        amount_minor=SOLD[currency], currency=currency, processor_ref=f"pay {currency}", occurred_at=NOW, failure=None,
    )  # fmt: skip
    await db.write(WORKER, "processor", _paid, fact)
    await db.write(WORKER, "test", _deliver, placed.orders[0].order_id)
    return placed


async def _paid(tx: Tx, fact: PaymentFact) -> None:
    await payment_changed(tx, 2, fact)


async def _deliver(tx: Tx, order_id: int) -> None:
    at = NOW + timedelta(hours=1)
    await tx.execute(
        "UPDATE demand.merchant_order SET state = 'delivered', delivered_at = :at, delivered_on = :day"
        " WHERE order_id = :order",
        {"at": at, "day": at.date(), "order": order_id},
    )
    await tx.execute(
        "UPDATE demand.order_line SET shipped_quantity = quantity, delivered_quantity = quantity"
        " WHERE order_id = :order",
        {"order": order_id},
    )
    await queue_delivered(tx, [ALPHA], after_order_id=order_id - 1, upto_order_id=order_id)


async def test_four_currencies_from_listing_to_payout(db: Database, clock: FixedClock) -> None:
    products = await market(db)
    placed = {currency: await sold(db, currency, product_id) for currency, product_id in products.items()}
    await check_books(db)
    clock.move_to(datetime(2018, 10, 1, 8, tzinfo=UTC))
    await settle_through(db, "worker", date(2018, 9, 30))
    assert await payable(db, ALPHA) == NET
    await check_books(db)
    run = (await billed(db, period_named("2018-09"))).run
    found = await statements(db, run.run_id)
    assert {currency: figures(found[ALPHA, currency])["closing"] for currency in SOLD} == NET
    assert {currency: figures(found[ALPHA, currency])["goods"] for currency in SOLD} == SOLD
    assert await payouts(db, run.run_id) == {(ALPHA, currency): minor for currency, minor in NET.items()}
    assert await payable(db, ALPHA) == {}
    cmd = RefundOrder(merchant_id=ALPHA, order_id=placed["KWD"].orders[0].order_id, reason="damaged")
    await db.write(WORKER, "test", refund_order, cmd)
    assert await payable(db, ALPHA) == {"KWD": -NET["KWD"]}  # one currency's loss takes nothing from another's
    await check_books(db)


async def test_documents_and_files_for_the_bank_have_each_currencys_decimals(db: Database, clock: FixedClock) -> None:
    products = await market(db)
    for currency, product_id in products.items():
        await sold(db, currency, product_id)
    clock.move_to(datetime(2018, 10, 1, 8, tzinfo=UTC))
    await settle_through(db, "worker", date(2018, 9, 30))
    run = (await billed(db, period_named("2018-09"))).run
    issued = {one.document.currency: one for one in await of_run(db, run.run_id)}
    charged = {currency: content(one, speech("en")) for currency, one in issued.items()}
    assert {currency: (said["lines"][0]["net"], said["sums"][1][1]) for currency, said in charged.items()} == {
        "EUR": ("12.00", "2.40"), "USD": ("10.00", "2.00"), "JPY": ("1,100", "220"), "KWD": ("1.234", "0.247"),
    }  # fmt: skip
    for currency, written in issued.items():
        assert render_document(written, "en", None).startswith(b"%PDF-"), currency
        await db.write(WORKER, "controller", set_debtor, SetDebtor(currency=currency, party=HOUSE))
        file = await db.write(WORKER, "clerk", make_file, MakeFile(currency=currency, pay_on=date(2018, 10, 2)))
        await db.write(WORKER, "controller", approve_file, file.file_id)
        async with db.read(WORKER) as tx:
            xml = await read_bytes(tx, file.file_id, "xml")
        [paid] = ET.fromstring(xml).iterfind(".//p:InstdAmt", NS)  # our own
        assert (paid.get("Ccy"), paid.text) == (currency, text_from_minor(NET[currency], currency))


async def test_a_payout_in_euros_from_what_was_earned_in_dollars_yen_and_dinars(
    db: Database, clock: FixedClock
) -> None:
    products = await market(db)
    for currency, product_id in products.items():
        await sold(db, currency, product_id)
    await settle_through(db, "worker", date(2018, 9, 3))
    rates: Mapping[str, str] = {"USD": "0.8612", "JPY": "0.00775", "KWD": "2.8457"}
    euros = NET["EUR"]
    for currency, text in rates.items():
        new = NewRate(from_currency=currency, to_currency="EUR", rate_on=date(2018, 9, 3), rate=text, source="ECB")
        made = await db.write(WORKER, "clerk", propose_rate, new)
        await db.write(WORKER, "controller", approve_rate, made.rate_id)
        cmd = ExchangeBalance(merchant_id=ALPHA, rate_id=made.rate_id, from_minor=NET[currency], reason="asked for")
        euros += (await db.write(WORKER, "clerk", exchange_balance, cmd)).to_minor
    # 87.99 USD are 75.78 EUR, 9681 JPY are 75.03 and 10.864 KWD are 30.92: each half-even.
    assert euros == 10_560 + 7_578 + 7_503 + 3_092
    assert await payable(db, ALPHA) == {"EUR": euros}
    clock.move_to(datetime(2018, 10, 1, 8, tzinfo=UTC))
    run = (await billed(db, period_named("2018-09"))).run
    assert await payouts(db, run.run_id) == {(ALPHA, "EUR"): euros}
    found = await statements(db, run.run_id)
    assert figures(found[ALPHA, "USD"]) == {
        "goods": 9_999, "commission": -1_000, "vat": -200, "other": -NET["USD"],
    }  # fmt: skip
    await check_books(db)


async def test_a_listing_is_in_one_currency_that_its_entity_keeps(db: Database) -> None:
    await market(db)
    with pytest.raises(Invalid, match="sells in EUR, JPY, KWD, USD"):
        await db.write(WORKER, "owner", list_goods, ALPHA, Goods(sku="x", title="x", price_minor=1, currency="CHF"))
    again = [Goods(sku="tea USD", title="Tea", price_minor=5, currency="EUR")]
    with pytest.raises(Invalid, match="the listing is sold in USD; list it under a new sku"):
        await db.write(WORKER, "owner", list_goods_in_bulk, ALPHA, again)
    kept = [Goods(sku="tea USD", title="More tea", price_minor=5)]
    assert (await db.write(WORKER, "owner", list_goods_in_bulk, ALPHA, kept)).updated == 1
