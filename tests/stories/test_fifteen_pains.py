"""The fifteen pains that users of other marketplaces report, and the tests that answer each.

They are those of the research, marketplace.md section 2. PAINS says where each is; those that are told nowhere else are
told here: 6, 12 and 15.
"""

import ast
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
from litestar import Litestar
from litestar.routes import HTTPRoute

from marketplace.core.db import WORKER, Database
from marketplace.core.users import UserRole, create_user
from tests.billing.market import FLAT, check_books
from tests.builders import Line, Order, add_orders
from tests.http.conftest import PASSWORD, api_key, make_client
from tests.statements import statements
from tests.stories.shop import ALPHA, BETA, BUYER, MERCHANTS, Shop

PAINS: dict[int, tuple[tuple[str, str], ...]] = {
    1: (
        ("tests/placing/test_place.py", "test_pain_1_a_second_completion_of_a_cart_returns_the_first_result"),
        ("tests/orders/test_pains_fulfilment.py", "test_pain_1_a_second_completion_returns_the_first_result"),
        ("tests/payments/test_permutations.py", "test_any_order_any_number_of_times"),
    ),
    2: (
        (
            "tests/orders/test_pains_fulfilment.py",
            "test_pain_2_cancelling_one_merchants_order_leaves_its_siblings_byte_identical",
        ),
        (
            "tests/stories/test_orders_that_change.py",
            "test_one_part_of_a_paid_split_order_is_cancelled_and_its_siblings_do_not_notice",
        ),
    ),
    3: (
        ("tests/orders/test_pains_refunds.py", "test_pain_3_a_refund_without_items_lowers_what_the_merchant_is_owed"),
        ("tests/stories/test_orders_in_motion.py", "test_a_refund_without_items_is_divided_over_the_lines"),
    ),
    4: (("tests/orders/test_pains_refunds.py", "test_pain_4_commission_follows_every_partial_refund"),),
    5: (("tests/orders/test_pains_refunds.py", "test_pain_5_the_policy_says_who_loses_by_a_refund"),),
    6: (("tests/stories/test_fifteen_pains.py", "test_pain_06_a_new_rate_changes_no_commission_of_the_past"),),
    7: (
        (
            "tests/orders/test_pains_supply.py",
            "test_pain_7_a_payout_that_the_bank_returns_is_not_settled_and_is_paid_again",
        ),
        ("tests/orders/test_pains_supply.py", "test_pain_7_a_payout_is_never_more_than_the_merchant_still_has"),
        ("tests/orders/test_pains_supply.py", "test_pain_7_money_that_is_owed_without_a_payout_raises_an_alarm"),
        (
            "tests/stories/test_payouts_in_motion.py",
            "test_k_a_payout_is_confirmed_comes_back_after_its_month_was_closed_and_is_paid_once",
        ),
    ),
    8: (
        ("tests/orders/test_pains_refunds.py", "test_pain_8_a_refund_never_waits_for_the_merchants_balance"),
        ("tests/stories/test_payouts_in_motion.py", "test_a_refund_after_the_payout_is_netted_by_the_next_statement"),
    ),
    9: (
        ("tests/orders/test_pains_refunds.py", "test_pain_9_dispute_then_refund_deducts_once"),
        ("tests/orders/test_pains_refunds.py", "test_pain_9_a_failed_refund_is_decided_once_and_is_not_lost"),
        ("tests/orders/test_pains_refunds.py", "test_pain_9_what_was_taken_back_is_refundable_again"),
        ("tests/stories/test_lost_acknowledgement.py", "test_an_order_is_refunded_once"),
    ),
    10: (("tests/billing/test_cash_on_delivery.py", "test_pain_10_cash_on_delivery_the_platform_gets_its_commission"),),
    11: (
        ("tests/ops/test_schema.py", "test_every_owned_table_is_under_a_forced_policy_for_each_role_that_may_read_it"),
        ("tests/ops/test_schema.py", "test_a_merchant_without_books_sees_no_row_of_any"),
    ),
    12: (("tests/stories/test_fifteen_pains.py", "test_pain_12_one_role_serves_every_merchant_without_a_copy"),),
    13: (
        ("tests/orders/test_pains_supply.py", "test_pain_13_every_gate_says_what_is_missing_and_a_waiver_says_why"),
        (
            "tests/orders/test_pains_supply.py",
            "test_pain_13_with_the_switch_on_nobody_has_to_let_a_complete_merchant_in",
        ),
    ),
    14: (
        ("tests/orders/test_amendments.py", "test_pain_14_a_paid_order_is_amended_and_only_the_difference_moves"),
        (
            "tests/stories/test_orders_that_change.py",
            "test_amended_up_swapped_and_down_then_settled_billed_and_refunded_to_nothing",
        ),
    ),
    15: (
        (
            "tests/stories/test_fifteen_pains.py",
            "test_pain_15_no_list_and_no_home_asks_more_when_there_is_more_to_show",
        ),
        ("tests/stories/test_fifteen_pains.py", "test_pain_15_no_statement_skips_rows_to_find_a_page"),
    ),
}

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("pain", range(1, 16))
def test_every_pain_has_tests_that_exist(pain: int) -> None:
    for file, name in PAINS[pain]:
        tree = ast.parse((ROOT / file).read_text())
        assert name in {node.name for node in tree.body if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)}


async def commission_lines(db: Database) -> list[tuple[Any, ...]]:
    async with db.read(WORKER) as tx:
        rows = await tx.rows("SELECT * FROM billing.commission_line ORDER BY merchant_id, entry_no, contract_id")
    return [tuple(row) for row in rows]


async def test_pain_06_a_new_rate_changes_no_commission_of_the_past(shop: Shop) -> None:
    """A contract that is dearer, and even backdated, counts for what is sold from then on and for nothing else."""
    shop.at(5, 3)
    settled, sold = await shop.buy(), await shop.buy()
    await shop.deliver(settled)
    await shop.settle(date(2018, 5, 31))
    before = await commission_lines(shop.db)
    dearer = {"name": "dearer", "currency": "EUR", "valid_from": "2018-05-01", "rate_ppm": 200_000, "vat_ppm": 200_000}
    await shop.post("fred", "/contracts", {"contract": [dearer]})
    same = {"name": FLAT.name, "currency": "EUR", "valid_from": FLAT.valid_from.isoformat(), "rate_ppm": 70_000}
    assert (await shop.ask("fred", "/contracts", {"contract": [same]})).status_code == 409
    shop.at(5, 4)
    new = await shop.buy()
    for bought in (sold, new):
        await shop.deliver(bought)
    await shop.settle(date(2018, 5, 31))
    after = await commission_lines(shop.db)
    assert after[: len(before)] == before
    async with shop.db.read(WORKER) as tx:
        rows = await tx.rows("SELECT order_id, commission_minor, vat_minor FROM billing.commission_line")
    earned = {row.order_id: (row.commission_minor, row.vat_minor) for row in rows}
    flat, double = (1_200, 240), (2_400, 480)
    assert earned == {settled.orders[ALPHA]: flat, sold.orders[ALPHA]: flat, new.orders[ALPHA]: double}
    back = await shop.refund(settled)
    assert (back["commission_minor"], back["vat_minor"]) == flat
    await shop.stand({1020: 24_000, 4000: -3_600, 2300: -720, 2000: -19_680}, {})


async def authority(db: Database) -> tuple[Any, ...]:
    """What there is of roles and policies, in the database and in the program."""
    async with db.read(WORKER) as tx:
        roles = await tx.rows("SELECT rolname FROM pg_roles WHERE rolname LIKE 'app%' ORDER BY 1")
        policies = await tx.rows(
            "SELECT schemaname, tablename, policyname, roles, qual FROM pg_policies ORDER BY 1, 2, 3"
        )
        used = await tx.rows("SELECT DISTINCT unnest(roles) AS role FROM core.app_user ORDER BY 1")
    return [tuple(row) for row in roles], [tuple(row) for row in policies], [row.role for row in used]


async def test_pain_12_one_role_serves_every_merchant_without_a_copy(shop: Shop, app_of_shop: Litestar) -> None:
    """A grant is (user, role, merchant). Ten merchants more: ten grants more, and not one role, policy or channel."""
    shop.at(5, 3)
    bought = await shop.buy(*((m, 1, 1) for m in MERCHANTS))
    before = await authority(shop.db)
    newcomers = []
    for number in range(10):
        made = await shop.post("olga", "/merchants", {"name": f"Newcomer {number}"})
        newcomers.append(made["merchant_id"])
    keys = {m: await api_key(shop.db, f"new owner {m}", [UserRole.MERCHANT_OWNER], m) for m in newcomers}
    assert await authority(shop.db) == before
    async with shop.db.read(WORKER) as tx:
        grants = await tx.rows("SELECT roles, merchant_id FROM core.app_user WHERE 'merchant_owner' = ANY(roles)")
    assert sorted(tuple(row) for row in grants) == sorted((["merchant_owner"], m) for m in (*MERCHANTS, *newcomers))
    for merchant_id in MERCHANTS:
        [order] = (await shop.get(f"owner of {merchant_id}", "/orders"))["items"]
        assert (order["merchant_id"], order["order_id"]) == (merchant_id, bought.orders[merchant_id])
    refused = await shop.ask(f"owner of {BETA}", f"{bought.path(ALPHA)}/accept")
    assert refused.status_code == 404
    for merchant_id, key in keys.items():
        async with make_client(app_of_shop, Authorization=f"Bearer {key}") as owner:
            assert (await owner.get("/api/v1/orders")).json()["items"] == []
            assert (await owner.get(f"/api/v1/merchants/{merchant_id}")).status_code == 200
            assert (await owner.get(f"/api/v1{bought.path(ALPHA)}")).status_code == 404


def pages_of(app: Litestar) -> list[str]:
    """Whatever can be read that needs no id but a merchant's and a buyer's: lists and homes; not the proofs."""
    found = []
    for route in app.routes:
        if isinstance(route, HTTPRoute) and "GET" in route.methods and not route.path.startswith(SKIPPED):
            path = route.path_format.replace("{merchant_id}", str(ALPHA)).replace("{buyer_id}", str(BUYER))
            found += [path] if "{" not in path else []
    return sorted(found)


SKIPPED = ("/health", "/metrics", "/openapi", "/static", "/sign-in", "/api/v1/proofs", "/finance/proofs")


async def counts(db: Database, browser: httpx.AsyncClient, paths: list[str]) -> dict[str, int]:
    """How many statements each page takes, of those that this person may see."""
    found = {}
    for path in paths:
        if (await browser.get(path)).status_code != 200:
            continue
        await db.disconnect()  # connections of before do not tell
        with statements(db) as heard:
            assert (await browser.get(path)).status_code == 200
        assert not [statement for statement in heard if "offset" in statement.lower().split()]
        found[path] = len(heard)
    return found


async def grow(shop: Shop, month: int, orders: int) -> None:
    """So many orders of each merchant in a month, delivered, settled, billed; every fifth with a refund."""
    day = datetime(2018, month, 10, 10, tzinfo=UTC)
    made = [
        Order(
            merchant_id=m, order_id=month * 10**6 + m * 1_000 + n, lines=(Line(goods_minor=1_000 + n),),
            placed_at=day, settles_at=day,
        )
        for m in MERCHANTS
        for n in range(orders)
    ]  # fmt: skip
    await shop.db.write(WORKER, "test", add_orders, made)
    shop.at(month, 28)
    await shop.settle(date(2018, month, 28))
    for order in made[::5]:
        body = {"reason": "late", "goodwill_minor": 100}
        await shop.post("olga", f"/merchants/{order.merchant_id}/orders/{order.order_id}/refunds", body)
    shop.at(month + 1, 2)
    await shop.bill(f"2018-{month:02}")


async def test_pain_15_no_list_and_no_home_asks_more_when_there_is_more_to_show(
    shop: Shop, app_of_shop: Litestar
) -> None:
    """With ten times the orders, refunds and entries every page takes as many statements as before."""
    people = {"root": (["admin"], None), "mia": (["merchant_owner"], ALPHA)}
    for login, (roles, merchant_id) in people.items():
        await shop.db.write(
            WORKER, "test", create_user, login, login, roles, merchant_id=merchant_id, password=PASSWORD
        )
    paths = pages_of(app_of_shop)
    rounds = []
    for month, orders in ((5, 4), (6, 40)):
        await grow(shop, month, orders)
        seen: dict[str, dict[str, int]] = {}
        for login in people:
            async with make_client(app_of_shop) as browser:
                signed_in = {"login": login, "password": PASSWORD, "next": "/"}
                assert (await browser.post("/sign-in", data=signed_in)).status_code == 303
                seen[login] = await counts(shop.db, browser, paths)
        rounds.append(seen)
    few, many = rounds
    assert many == few
    assert {"/ops", "/finance", "/api/v1/orders", "/api/v1/refunds", "/api/v1/statements"} <= set(few["root"])
    assert {"/merchant", "/merchant/orders", "/api/v1/orders"} <= set(few["mia"])
    assert max(few["root"].values()) > 1
    await check_books(shop.db)


def test_pain_15_no_statement_skips_rows_to_find_a_page() -> None:
    """Keyset pages only: OFFSET reads what it throws away. No string of the program is SQL that has one."""
    skipping = [
        f"{file.relative_to(ROOT)}:{node.lineno}"
        for package in ("marketplace", "supply", "demand", "incentives", "billing")
        for file in (ROOT / package).rglob("*.py")
        for node in ast.walk(ast.parse(file.read_text()))
        if (isinstance(node, ast.Attribute) and node.attr == "offset")
        or (isinstance(node, ast.Constant) and isinstance(node.value, str) and skips(node.value))
    ]
    assert skipping == []
    assert skips("SELECT 1 FROM t LIMIT 5 OFFSET 10")


def skips(text: str) -> bool:
    words = text.upper().split()
    return "OFFSET" in words and "SELECT" in words
