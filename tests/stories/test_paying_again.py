"""A purchase whose payment was declined is paid again: once, at the same price, and what comes late goes back."""

import asyncio
from datetime import timedelta
from typing import Any

from sqlalchemy import insert

from billing.payments.facts import PaymentFact, PaymentState
from billing.payments.store import list_commands
from billing.payments.tables import payment
from demand.store import lock_order
from marketplace.core.db import WORKER, Tx
from marketplace.flows.orders.pay_purchase import TRIES_MAX
from marketplace.flows.orders.release_order import expire_orders
from marketplace.flows.payments.take_payment import payment_changed
from tests.billing.locks import wait_until_blocked
from tests.billing.market import check_books
from tests.builders import PROCESSOR
from tests.stories.shop import ALPHA, BETA, BUYER, CABLE, CHAIR, LAMP, Shop


async def test_a_declined_purchase_is_paid_again_and_what_comes_late_goes_back(shop: Shop) -> None:
    """The first payment comes after all, when the second has paid: the buyer has it back, to the cent."""
    shop.at(5, 3)
    await shop.post("olga", f"/buyers/{BUYER}/credit", {"currency": "EUR", "amount_minor": 1_000, "reason": "sorry"})
    bought = await shop.buy((ALPHA, CHAIR, 1), (BETA, LAMP, 1), method="tok_decline", credit=1_000)
    purchase = f"/buyers/{BUYER}/purchases/{bought.purchase_id}"
    seen = await shop.get("shop", purchase)
    [failed] = seen["payments"]
    assert (failed["state"], failed["failure"]) == ("failed", "card declined")
    assert seen["pay_until"] == seen["orders"][0]["order"]["expires_at"] == failed["expires_at"]
    await shop.post("shop", f"{purchase}/orders/{bought.orders[BETA]}/cancel", {})
    again = await shop.ask("shop", f"{purchase}/pay", {"method": "tok_ok"}, key="again")
    paid = again.json()
    assert (again.status_code, paid["state"], paid["credit_minor"]) == (201, "created", 750)
    assert (paid["amount_minor"], paid["expires_at"]) == (12_000 - 750, failed["expires_at"])
    twin = await shop.ask("shop", f"{purchase}/pay", {"method": "tok_ok"})
    assert (twin.status_code, twin.json()["payment_id"]) == (409, paid["payment_id"])
    assert (await shop.get("shop", purchase))["pay_until"] is None
    await shop.hear()
    assert (await shop.state(bought), await shop.state(bought, BETA)) == ("paid", "cancelled")
    replay = await shop.ask("shop", f"{purchase}/pay", {"method": "tok_ok"}, key="again")
    assert (replay.content, replay.headers["idempotency-replayed"]) == (again.content, "true")
    shown = (await shop.get("shop", purchase))["payments"]
    assert [one["state"] for one in shown] == ["captured", "failed"]
    await shop.stand({1020: 11_250, 1030: 750, 2005: -12_000}, {6920: 1_000, 1030: -750, 2410: -250})
    fact = PaymentFact(
        reference=bought.reference, state=PaymentState.CAPTURED, amount_minor=15_000, currency="EUR",
        processor_ref="pay_1", occurred_at=shop.clock.now(),
    )  # fmt: skip
    await shop.db.write(WORKER, "processor", payment_changed, PROCESSOR, fact)
    assert await shop.accounts(ALPHA) == {1020: 22_500, 1030: 750, 2005: -12_000, 2400: -11_250}
    async with shop.db.read(WORKER) as tx:
        told = await list_commands(tx, state="todo", limit=5)
    assert sorted((one.kind, one.merchant_id, one.amount_minor) for one in told) == [
        ("refund", ALPHA, 11_250), ("refund", BETA, 3_750),
    ]  # fmt: skip
    await check_books(shop.db)


async def test_two_who_pay_a_declined_purchase_at_once_pay_it_once(shop: Shop) -> None:
    shop.at(5, 3)
    bought = await shop.buy((ALPHA, CHAIR, 1), (BETA, LAMP, 1), method="tok_decline")
    path = f"/buyers/{BUYER}/purchases/{bought.purchase_id}/pay"
    answers = await asyncio.gather(*(shop.ask("shop", path, {"method": "tok_ok"}) for _ in range(6)))
    assert sorted(answer.status_code for answer in answers) == [201, *[409] * 5]
    await shop.hear()
    assert (await shop.state(bought), await shop.state(bought, BETA)) == ("paid", "paid")
    await shop.stand({1020: 12_000, 2005: -12_000}, {})


async def test_a_declined_purchase_can_be_paid_in_cash(shop: Shop) -> None:
    shop.at(5, 3)
    bought = await shop.buy(method="tok_insufficient")
    await shop.post("shop", f"/buyers/{BUYER}/purchases/{bought.purchase_id}/pay", {"method": "cash"})
    shop.at(5, 20)
    assert await expire_orders(shop.db, "worker", shop.clock.now()) == 0
    await shop.post(f"owner of {ALPHA}", f"{bought.path()}/cash-collected")
    await shop.stand({1100: 12_000, 2005: -12_000}, {})


async def test_credit_stays_set_aside_over_every_try_and_is_free_when_the_orders_are_given_up(shop: Shop) -> None:
    shop.at(5, 3)
    await shop.post("olga", f"/buyers/{BUYER}/credit", {"currency": "EUR", "amount_minor": 500, "reason": "sorry"})
    bought = await shop.place((ALPHA, CABLE, 1), (BETA, LAMP, 1), method="tok_decline", credit=500)
    await shop.hear()
    purchase = f"/buyers/{BUYER}/purchases/{bought.purchase_id}"
    refused = await shop.ask("shop", f"{purchase}/pay", {"method": "cash"})
    assert (refused.status_code, refused.json()["errors"][0]["pointer"]) == (422, "/method")
    for _ in range(2):
        await shop.post("shop", f"{purchase}/pay", {"method": "tok_decline"})
        await shop.hear()
    assert [one["state"] for one in (await shop.get("shop", purchase))["payments"]] == ["failed"] * 3
    for merchant_id in (ALPHA, BETA):
        await shop.post("shop", f"{purchase}/orders/{bought.orders[merchant_id]}/cancel", {})
    await shop.stand({}, {6920: 500, 2410: -500})
    async with shop.db.read(WORKER) as tx:
        assert await tx.scalar("SELECT reserved_minor FROM billing.credit_account") == 0


async def test_a_token_nobody_knows_is_a_failed_payment_and_can_be_paid_otherwise(shop: Shop) -> None:
    shop.at(5, 3)
    bought = await shop.buy(method="tok_nonsense")
    purchase = f"/buyers/{BUYER}/purchases/{bought.purchase_id}"
    seen = await shop.get("shop", purchase)
    assert [one["state"] for one in seen["payments"]] == ["failed"]
    assert "'tok_nonsense' is none of" in seen["payments"][0]["failure"]
    assert seen["pay_until"]
    await shop.post("shop", f"{purchase}/pay", {"method": "tok_ok"})
    await shop.hear()
    assert await shop.state(bought) == "paid"
    change = {"add": [{"product_id": LAMP, "quantity": 1}], "base_version": 2, "buyer_id": BUYER}
    said = {"reason": "one more", "method": "tok_nonsense"}
    held = await shop.post("shop", f"{bought.path()}/amendments", change | said)
    path = f"{bought.path()}/amendments/{held['amendment_id']}"
    await shop.post(f"owner of {ALPHA}", f"{path}/accept", {"base_version": 2})
    await shop.hear()
    ended = await shop.get("olga", path)
    assert ended["state"] == "cancelled"
    assert "'tok_nonsense' is none of" in ended["outcome"]
    assert await shop.shelf(ALPHA, LAMP) == (50, 0)


async def test_the_clock_leaves_alone_what_is_to_be_paid_in_cash_meanwhile(shop: Shop) -> None:
    """It has seen the order as overdue, and waits for it while the time to pay grows."""
    shop.at(5, 3)
    bought = await shop.buy(method="tok_decline")
    placed_at = shop.clock.now()
    held, go = asyncio.Event(), asyncio.Event()

    async def hold(tx: Tx) -> None:
        await lock_order(tx, ALPHA, bought.orders[ALPHA])
        held.set()
        await go.wait()

    holder = asyncio.create_task(shop.db.write(WORKER, "somebody", hold))
    await held.wait()
    shop.clock.move_to(placed_at + timedelta(minutes=29, seconds=59))
    path = f"/buyers/{BUYER}/purchases/{bought.purchase_id}/pay"
    paying = asyncio.create_task(shop.ask("shop", path, {"method": "cash"}))
    await wait_until_blocked(shop.db, 1)
    shop.clock.move_to(placed_at + timedelta(minutes=30, seconds=1))
    clock = asyncio.create_task(expire_orders(shop.db, "worker", shop.clock.now()))
    await wait_until_blocked(shop.db, 2)
    go.set()
    await holder
    assert ((await paying).status_code, await clock) == (201, 0)
    assert await shop.state(bought) == "placed"


async def test_too_late_is_too_late_though_the_clock_has_not_been_there(shop: Shop) -> None:
    shop.at(5, 3)
    bought = await shop.buy(method="tok_decline")
    shop.at(5, 3, hour=11)
    late = await shop.ask("shop", f"/buyers/{BUYER}/purchases/{bought.purchase_id}/pay", {"method": "tok_ok"})
    assert (late.status_code, "time to pay" in late.json()["detail"]) == (409, True)


async def test_a_card_is_not_tried_out_for_ever(shop: Shop) -> None:
    shop.at(5, 3)
    bought = await shop.buy(method="tok_decline")
    path = f"/buyers/{BUYER}/purchases/{bought.purchase_id}/pay"
    for _ in range(TRIES_MAX - 1):
        await shop.post("shop", path, {"method": "tok_decline"})
        await shop.hear()
    more = await shop.ask("shop", path, {"method": "tok_ok"})
    assert (more.status_code, f"{TRIES_MAX} times" in more.json()["detail"]) == (409, True)


async def test_payments_of_amendments_are_none_of_the_purchase(shop: Shop) -> None:
    """However many there are: the cash that is still to be collected is under way."""
    shop.at(5, 3)
    bought = await shop.buy(method="cash")
    now = shop.clock.now()
    same: dict[str, Any] = {
        "buyer_id": BUYER,
        "purchase_id": bought.purchase_id,
        "processor_id": PROCESSOR,
        "merchant_id": ALPHA,
    }
    same |= {"method": "tok", "currency": "EUR", "amount_minor": 1, "state": "failed", "created_at": now}
    rows = [
        same | {"payment_id": bought.payment_id + number, "amendment_id": number, "expires_at": now}
        for number in range(1, 3 * TRIES_MAX)
    ]

    async def add(tx: Tx) -> None:
        await tx.execute(insert(payment), rows)

    await shop.db.write(WORKER, "test", add)
    answer = await shop.ask("shop", f"/buyers/{BUYER}/purchases/{bought.purchase_id}/pay", {"method": "tok_ok"})
    assert (answer.status_code, answer.json()["payment_id"]) == (409, bought.payment_id)


async def test_an_amendment_that_is_not_paid_ends_no_payment_of_the_purchase(shop: Shop) -> None:
    """Neither when the card is declined nor when the processor knows no such token."""
    shop.at(5, 3)
    for method in ("tok_decline", "tok_nonsense"):
        bought = await shop.buy()
        before = await _ended(shop)
        change = {"add": [{"product_id": LAMP, "quantity": 1}], "base_version": 2, "buyer_id": BUYER}
        asked = change | {"reason": "one more", "method": method}
        held = await shop.post("shop", f"{bought.path()}/amendments", asked)
        path = f"{bought.path()}/amendments/{held['amendment_id']}"
        await shop.post(f"owner of {ALPHA}", f"{path}/accept", {"base_version": 2})
        await shop.hear()
        assert (await shop.get("olga", path))["state"] == "cancelled"
        assert await _ended(shop) == before == ["captured"] * len(before)


async def _ended(shop: Shop) -> list[str]:
    """The states in which payments of purchases were said to have ended."""
    async with shop.db.read(WORKER) as tx:
        rows = await tx.rows(
            "SELECT payload ->> 'state' AS state FROM core.outbox WHERE topic = 'billing.payment_ended.v1'"
        )
    return [row.state for row in rows]
