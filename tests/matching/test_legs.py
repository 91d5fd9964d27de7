"""Claims and ad receipts at the bank, sums of several items, what is likely: matched, booked, proved."""

from typing import Any

from billing.matching.model import Book, ItemKind, Stage
from marketplace.core.db import WORKER, Database, Tx
from marketplace.flows.bank.match_by_hand import ProposeMatch, approve_match, propose_match
from marketplace.flows.products.sell_own import SellOwn, return_own, sell_own
from marketplace.flows.products.stock_hardware import AddItem, ReceiveUnits, add_item, receive_units
from supply.products.hardware import store as hardware
from supply.products.own_sales.store import OwnSale
from tests.ads.market import MERCHANT, add_ad_market, prepay
from tests.billing.market import check_books
from tests.builders import ENTITY
from tests.matching.items import add_items, ours, theirs
from tests.matching.market import bank_says, groups, line, matched, name_accounts, open_items
from tests.payers import market as payers
from tests.payments.market import add_merchants


async def stages(db: Database) -> list[Stage]:
    return [group.stage for group in await groups(db)]


async def reference_of(db: Database) -> str:
    [item] = await open_items(db, kind=ItemKind.CLAIM)
    return item.reference


async def test_a_payers_money_settles_its_claim(db: Database) -> None:
    await payers.market(db)
    await payers.sold(db)
    claim = await payers.claim(db)
    await db.write(WORKER, "fay", name_accounts)
    await matched(db)
    await bank_says(db, [line(claim.open_minor, text=f"health {await reference_of(db)}", bank_ref="H1")])
    run = await matched(db)
    assert (run.found["exact"], run.found["suspended"]) == (1, 0)
    async with db.read(WORKER) as tx:
        remitted = await tx.scalar("SELECT remitted_minor FROM billing.payer_claim")
    assert remitted == claim.open_minor
    assert (await matched(db)).found["listed"] == 0  # what the match booked is not expected once more
    assert await open_items(db, book=Book.BANK) == []
    await check_books(db)


async def test_a_claim_that_is_paid_in_two_parts(db: Database) -> None:
    await payers.market(db)
    await payers.sold(db)
    claim = await payers.claim(db)
    await db.write(WORKER, "fay", name_accounts)
    await matched(db)
    reference = await reference_of(db)
    await bank_says(db, [line(5_000, text="an advance", bank_ref="H1")])
    await matched(db)
    [advance], [owed] = await open_items(db, kind=ItemKind.BANK_LINE), await open_items(db, kind=ItemKind.CLAIM)
    cmd = ProposeMatch(theirs=(advance.item_id,), ours=(owed.item_id,), reason="told on the phone")
    proposal = await db.write(WORKER, "fay", propose_match, cmd)
    await db.write(WORKER, "col", approve_match, proposal.proposal_id)
    await check_books(db)
    rest = line(claim.open_minor - 5_000, text=f"rest of {reference}", bank_ref="H2")
    await bank_says(db, [rest], opening=5_000)
    assert (await matched(db)).found["exact"] == 1
    assert await stages(db) == [Stage.MANUAL, Stage.EXACT]
    assert await open_items(db, book=Book.BANK) == []
    await check_books(db)


async def test_both_parts_of_a_claim_name_it_in_the_same_words(db: Database) -> None:
    await payers.market(db)
    await payers.sold(db)
    claim = await payers.claim(db)
    await db.write(WORKER, "fay", name_accounts)
    await matched(db)
    reference = await reference_of(db)
    for first, minor, before in ((True, 5_000, 0), (False, claim.open_minor - 5_000, 5_000)):
        bank_ref = "H1" if first else "H2"
        await bank_says(
            db, [line(minor, text=f"pays {reference}", end_to_end=reference, bank_ref=bank_ref)], opening=before
        )
        await matched(db)
        if first and (waiting := await open_items(db, kind=ItemKind.BANK_LINE)):
            [owed] = await open_items(db, kind=ItemKind.CLAIM)
            cmd = ProposeMatch(theirs=(waiting[0].item_id,), ours=(owed.item_id,), reason="a part")
            proposal = await db.write(WORKER, "fay", propose_match, cmd)
            await db.write(WORKER, "col", approve_match, proposal.proposal_id)
    assert await open_items(db, book=Book.BANK) == []
    async with db.read(WORKER) as tx:
        assert await tx.scalar("SELECT remitted_minor FROM billing.payer_claim") == claim.open_minor
    await check_books(db)


async def test_an_ad_receipt_that_finance_recorded_meets_the_banks_line(db: Database) -> None:
    async def topped_up(tx: Tx) -> None:
        await add_ad_market(tx)
        await prepay(tx, MERCHANT, 10_000, "T-77")
        await name_accounts(tx)

    await db.write(WORKER, "fay", topped_up)
    await matched(db)
    [receipt] = await open_items(db, kind=ItemKind.AD_RECEIPT)
    await bank_says(db, [line(receipt.amount_minor, text="ads T-77 thank you")])
    assert (await matched(db)).found["exact"] == 1
    assert await open_items(db) == []
    await check_books(db)


async def test_stages_without_a_reference(db: Database) -> None:
    """One line pays three receipts of one party; another is likely by amount, day, party and the end of its text."""
    await db.write(WORKER, "test", add_merchants)
    bank = {"book": Book.BANK}
    await add_items(
        db,
        [
            theirs(600, "", party="Anna", sort_key="t1", **bank),
            *(ours(minor, f"R-{minor}", party="Anna", **bank) for minor in (100, 200, 300)),
            theirs(777, "", party="Ben", words="for INV 2002", sort_key="t2", **bank),
            ours(777, "INV-2002", party="Ben", **bank),
            theirs(888, "", party="Cid", sort_key="t3", **bank),
            ours(888, "INV-3003", party="Dee", **bank),
        ],
    )
    run = await matched(db)
    assert (run.found["subset"], run.found["likely"], run.found["suspended"]) == (1, 1, 1)
    assert sorted(await stages(db)) == [Stage.LIKELY, Stage.SUBSET]
    await check_books(db)


async def test_a_residue_that_the_rules_explain_is_booked(db: Database) -> None:
    await db.write(WORKER, "test", add_merchants)
    bank = {"book": Book.BANK}
    await add_items(db, [theirs(99_700, "B-1", **bank), ours(100_000, "B-1", **bank)])
    assert (await matched(db)).found["explained"] == 1
    async with db.read(WORKER) as tx:
        booked: Any = await tx.row("SELECT accounts, amounts FROM billing.entry WHERE kind = 'match_residue'")
    assert (booked.accounts, booked.amounts) == ([1010, 5100], [-300, 300])
    await check_books(db)


async def test_what_the_platform_sells_itself_is_expected_at_the_processor(db: Database) -> None:
    """The sale's price with VAT, under the payment's reference; and with the other sign when it came back."""

    async def sold(tx: Tx) -> OwnSale:
        await add_merchants(tx)
        await name_accounts(tx)
        add = AddItem(sku="kettle", name="Kettle", currency="EUR", price_minor=8_000, warranty_months=0)
        item, provider = await add_item(tx, add), await hardware.add_provider(tx, "Kettlemaker")
        bought = ReceiveUnits(
            item_id=item.item_id, provider_id=provider.provider_id, serials=("K-1",), cost_minor=5_500, entity_id=ENTITY
        )
        await receive_units(tx, bought)
        sale = SellOwn(
            serials=("K-1",), buyer="Ada", net_minor=8_000, vat_ppm=200_000, processor="card", receipt_ref="pay-7",
            entity_id=ENTITY,
        )  # fmt: skip
        return await sell_own(tx, sale)

    sale = await db.write(WORKER, "fay", sold)
    await matched(db)
    [item] = await open_items(db, kind=ItemKind.OWN_SALE)
    assert (item.book, item.amount_minor, item.reference) == (Book.PROCESSOR, 9_600, "PAY-7")
    await db.write(WORKER, "fay", return_own, sale.sale_id, "changed mind")
    await matched(db)
    assert [one.amount_minor for one in await open_items(db, kind=ItemKind.OWN_SALE)] == [9_600, -9_600]
    await check_books(db)
