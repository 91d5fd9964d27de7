"""Dividing a payment over the merchants of a purchase: the statement equals `core.money.allocate`."""

from hypothesis import given, settings
from hypothesis import strategies as st

from marketplace.core.db import WORKER, Database, Tx
from marketplace.core.money import AMOUNT_MAX, allocate
from marketplace.flows.imports import load_orders_sql as sql

Division = tuple[list[int], list[int]]
"""What the merchants' orders of a purchase come to, and what was paid."""

amounts = st.one_of(st.integers(0, 30), st.integers(0, 100_000), st.integers(0, AMOUNT_MAX))
divisions = st.tuples(st.lists(amounts, min_size=1, max_size=6), st.lists(amounts, min_size=1, max_size=4))


async def divide(tx: Tx, divisions: list[Division]) -> dict[tuple[int, int], list[int]]:
    """The shares by (purchase, payment line), in the order of the merchants' refs."""
    await tx.raw.execute(sql.STAGING)
    # Ids run against refs, so an order by anything but the ref shows.
    orders = [
        (purchase, 100 * purchase + 50 - place, f"o{purchase}", f"m{place}", weight)
        for purchase, (weights, _) in enumerate(divisions)
        for place, weight in enumerate(weights)
    ]
    paid = [(f"o{n}", line, amount) for n, (_, lines) in enumerate(divisions) for line, amount in enumerate(lines)]
    await tx.copy("load_order", ("merchant_id", "order_id", "order_ref", "merchant_ref", "goods_minor"), orders)
    await tx.execute(
        "UPDATE load_order SET freight_minor = goods_minor / 3, goods_minor = goods_minor - goods_minor / 3"
    )
    await tx.copy("load_payment", ("order_ref", "line_no", "amount_minor"), paid)
    await tx.execute("DELETE FROM billing.payment_share")
    await tx.execute(sql.PAYMENT_SHARES.statement)
    shares: dict[tuple[int, int], list[int]] = {}
    for row in await tx.rows("SELECT * FROM billing.payment_share ORDER BY merchant_id, line_no, order_id DESC"):
        shares.setdefault((row.merchant_id, row.line_no), []).append(row.amount_minor)
    return shares


@settings(max_examples=60)
@given(st.lists(divisions, min_size=1, max_size=8))
async def test_shares_are_what_allocate_says(db: Database, divisions: list[Division]) -> None:
    shares = await db.write(WORKER, "test", divide, divisions)
    expected = {
        (purchase, line): allocate(amount, weights)
        for purchase, (weights, paid) in enumerate(divisions)
        for line, amount in enumerate(paid)
        if any(weights)  # where nothing was due nothing can carry a share
    }
    assert shares == expected


async def test_ties_go_to_the_first_merchant_ref(db: Database) -> None:
    assert await db.write(WORKER, "test", divide, [([1, 1, 1], [2, 1])]) == {(0, 0): [1, 1, 0], (0, 1): [1, 0, 0]}
