"""A market in which everything has happened, over HTTP where the API can: orders in every state, of two merchants and
two buyers, with what came of them in every table that a merchant or a buyer owns.
"""

import base64
from contextlib import AsyncExitStack
from datetime import timedelta
from itertools import count
from pathlib import Path
from typing import Any

import httpx
import msgspec
from sqlalchemy import insert

from billing.bank_accounts import store as bank_accounts
from billing.bank_accounts.model import Scheme
from billing.bank_accounts.store import ProposeAccount
from billing.payments.facts import payment_reference
from marketplace.core import outbox
from marketplace.core.db import WORKER, Database, Tx
from marketplace.core.signatures import signed_headers
from marketplace.core.webhooks import sender
from marketplace.flows.books.roll_ledger import roll_ledger
from marketplace.processors.wire import DisputeData, Event, PaymentData, RefundData
from marketplace.worker import DELIVERIES
from supply.stock import store as stock
from supply.tables import offer, product
from tests.http.busy_academy import learn, publish
from tests.http.busy_ad_orders import add_ad_orders
from tests.http.busy_ads import advertise
from tests.http.busy_documents import bring_bank_files, tell_billing_details, void_documents
from tests.http.busy_field import go_out
from tests.http.busy_incentives import promote
from tests.http.busy_journals import dispute, exchange, keep_journals
from tests.http.busy_leads import acquire
from tests.http.busy_matching import match_payout
from tests.http.busy_payers import add_payer
from tests.http.busy_steering import steer
from tests.http.market import ALPHA, BETA, add_small_market, add_supply, close_month, done
from tests.http.products import add_products
from tests.http.serving import api_key, make_client, running

SECRET = "whsec_" + base64.b64encode(b"what the processor signs its events with").decode()
NAME = "card"
"""The processor of tests/builders.py."""

LAMP, UNCOUNTED = 501, 502
"""Listings of both merchants: a lamp of which there are 1,000, and one that is sold uncounted."""

Json = dict[str, Any]


class People(msgspec.Struct):
    """Who takes part, each a program of its own."""

    nobody: httpx.AsyncClient
    shop: httpx.AsyncClient
    ops: httpx.AsyncClient
    clerk: httpx.AsyncClient
    controller: httpx.AsyncClient
    owners: dict[int, httpx.AsyncClient]


async def fill(db: Database, home: Path) -> None:
    """Make the market in an empty database."""
    await add_small_market(db)
    await add_supply(db)
    await db.write(WORKER, "test", _add_listings)
    await add_products(db)
    await add_ad_orders(db)
    async with (
        running(db, home, processor=NAME, processor_secret=SECRET, webhooks_private=True) as app,
        AsyncExitStack() as stack,
    ):

        async def caller(login: str, role: str, merchant_id: int | None = None) -> httpx.AsyncClient:
            key = await api_key(db, login, [role], merchant_id)
            return await stack.enter_async_context(make_client(app, Authorization=f"Bearer {key}"))

        owners = {m: await caller(f"owner of {m}", "merchant_owner", m) for m in (ALPHA, BETA)}
        people = People(
            nobody=await stack.enter_async_context(make_client(app)),
            shop=await caller("the shop", "storefront"),
            ops=await caller("somebody of ops", "growth"),
            clerk=await caller("a clerk", "accountant"),
            controller=await caller("a controller", "controller"),
            owners=owners,
        )
        await _months(people)
        await _accounts_and_webhooks(db, people)
        for name in ("anne", "ben"):
            buyer = (await done(people.shop, "/buyers", {"buyer_ref": name, "name": name}))["buyer_id"]
            await Life(db, people, buyer).live()
        await _newcomers(db, people)
        await add_payer(db, people.controller)
        await acquire(db, people.ops)
        await go_out(db, people.ops, people.controller)
        await learn(db, people.ops, owners)
        await publish(people.ops)
        await advertise(db, ops=people.ops, clerk=people.clerk, controller=people.controller, owners=people.owners)
        await keep_journals(people.clerk, people.controller)
        await exchange(people.clerk, people.controller)
        await done(people.clerk, f"/merchants/{ALPHA}/payout-holds", {"reason": "more complaints"})
        await dispute(people.clerk, people.owners)
        await promote(db, people.ops, await caller("an approver", "approver"), owners)
        await db.write(WORKER, "test", _a_few_park)
        await roll_ledger(db, "worker")
        await steer(db, people.ops)


async def _add_listings(tx: Tx) -> None:
    for product_id in (LAMP, UNCOUNTED):
        await tx.execute(insert(product), {"product_id": product_id, "product_ref": f"p{product_id}"})
        for merchant_id, name in ((ALPHA, "alpha"), (BETA, "beta")):
            key = {"merchant_id": merchant_id, "product_id": product_id, "sku": f"{name}-{product_id}"}
            row = {"title": f"{name} lamp", "price_minor": 1_000, "freight_minor": 100, "currency": "EUR"}
            await tx.execute(insert(offer), {**key, **row, "updated_at": tx.now})
    for merchant_id in (ALPHA, BETA):
        now = await stock.get_stock(tx, merchant_id, LAMP)
        await stock.begin_counting(tx, now, 1_000, reserved=0, reason="counted")


async def _months(people: People) -> None:
    """May is final with payouts, one of them confirmed, and rated anew, once more to be approved; June has a
    preview with a minimum charged.
    """
    await tell_billing_details(people.clerk)
    run_id = await close_month(people.controller)
    await _files_for_the_bank(people)
    await void_documents(people.clerk, people.controller, run_id)
    await bring_bank_files(people.controller)
    listed = await people.clerk.get("/api/v1/payouts", params={"run_id": run_id})
    for payout in listed.json()["items"]:
        path = f"/merchants/{payout['merchant_id']}/payouts/{payout['payout_id']}"
        if payout["merchant_id"] == ALPHA:
            await done(people.clerk, f"{path}/confirm", {"bank_ref": "B-1", "on": "2018-06-02"})
            await match_payout(people.clerk, people.controller, payout["amount_minor"])
    both = {"currency": "EUR", "merchants": [f"m{ALPHA}", f"m{BETA}"], "rate_ppm": 90_000}
    late = {**both, "name": "agreed late", "valid_from": "2018-01-01", "valid_until": "2018-06-01"}
    least = {**both, "name": "at least", "valid_from": "2018-06-01", "valid_until": "2018-07-01"}
    await done(people.controller, "/contracts", {"contract": [late, {**least, "month_min_minor": 5_000}]})
    proposed = await done(people.clerk, "/reratings", {"from_on": "2018-05-01"})
    await done(people.controller, f"/reratings/{proposed['rerating']['rerating_id']}/approve")
    later = {**late, "name": "agreed later", "valid_from": "2018-01-02", "rate_ppm": 80_000}
    await done(people.controller, "/contracts", {"contract": [later]})
    await done(people.clerk, "/reratings", {"from_on": "2018-05-01"})
    await done(people.clerk, "/billing-runs", {"period": "2018-06"})
    await _terms_of_payout(people)


async def _files_for_the_bank(people: People) -> None:
    """Alpha's payout of May is in a file that is approved, Beta's, held meanwhile, in one that is not."""
    account = {"currency": "EUR", "holder": "The house", "scheme": "iban", "number": "DE89370400440532013000"}
    await done(people.controller, "/debtor-accounts", account)
    beta, wanted = f"/merchants/{BETA}/payout-holds", {"currency": "EUR", "pay_on": "2018-09-30"}
    hold = await done(people.clerk, beta, {"reason": "a question"})
    file = await done(people.clerk, "/payout-files", wanted)
    await done(people.controller, f"/payout-files/{file['file_id']}/approve")
    await done(people.controller, f"{beta}/{hold['hold_id']}/release", {"reason": "answered"})
    await done(people.clerk, "/payout-files", wanted)


async def _terms_of_payout(people: People) -> None:
    """Terms in two versions and a third that waits for approval; a hold that is over."""
    for merchant_id in (ALPHA, BETA):
        path = f"/merchants/{merchant_id}"
        for minimum in (5_000, 6_000, 100):
            terms = {"currency": "EUR", "minimum_minor": minimum, "reason": "agreed"}
            await done(people.clerk, f"{path}/payout-terms", terms)
        hold = await done(people.clerk, f"{path}/payout-holds", {"reason": "complaints"})
        await done(people.controller, f"{path}/payout-holds/{hold['hold_id']}/release", {"reason": "settled"})


async def _accounts_and_webhooks(db: Database, people: People) -> None:
    for merchant_id, owner in people.owners.items():
        for key in ("terms", "legal_name_and_address"):
            await done(owner, f"/merchants/{merchant_id}/onboarding/{key}/attest", {"note": "signed"})
        await done(people.ops, f"/merchants/{merchant_id}/onboarding/terms/verify")
        account = {"holder": "Shop", "scheme": "iban", "number": "DE89370400440532013000", "currency": "EUR"}
        await done(owner, f"/merchants/{merchant_id}/bank-accounts", account)
        await done(owner, "/webhooks", {"url": f"http://127.0.0.1:1/{merchant_id}"})
    await done(people.clerk, "/webhooks", {"url": "http://127.0.0.1:1/house"})

    async def tell(tx: Tx) -> None:
        for merchant_id in (ALPHA, BETA):
            await outbox.emit(tx, "demand.order_moved.v1", {"order_id": 1}, merchant_id=merchant_id)
        await outbox.dispatch(tx, DELIVERIES, 1_000)

    await db.write(WORKER, "worker", tell)
    assert await sender.send_due(db, "worker", private=True)  # nobody listens there, so these have failed once


async def _newcomers(db: Database, people: People) -> None:
    """A merchant with nothing missing that may go live, whose bank account waits for approval; and a suspended one."""
    gamma = (await done(people.ops, "/merchants", {"name": "Gamma"}))["merchant_id"]
    for key in ("terms", "legal_name_and_address", "identity_document"):
        await done(people.ops, f"/merchants/{gamma}/onboarding/{key}/waive", {"reason": "known"})
    await done(people.ops, f"/merchants/{gamma}/listings", {"sku": "A", "title": "A", "price_minor": 5})
    propose = ProposeAccount(
        merchant_id=gamma, currency="EUR", holder="Gamma", scheme=Scheme.OTHER, number="12345678", routing="99"
    )
    account = await db.write(WORKER, "owner of gamma", bank_accounts.propose, propose)
    of_account = f"/merchants/{gamma}/bank-accounts/{account.account_id}"
    await done(people.clerk, f"{of_account}/vouch", {"note": "the bank's letter"})
    delta = (await done(people.ops, "/merchants", {"name": "Delta"}))["merchant_id"]
    suspended = "UPDATE supply.merchant SET state = 'suspended' WHERE merchant_id = :merchant"
    await db.write(WORKER, "test", Tx.execute, suspended, {"merchant": delta})


async def _a_few_park(tx: Tx) -> None:
    """Of what waits for a processor or came from one, something that people have to look at."""
    for table, key in (("payment_command", "command_id"), ("inbox_event", "inbox_id")):
        state = "todo" if table == "payment_command" else "waiting"
        await tx.execute(
            f"UPDATE billing.{table} SET state = 'parked', error = 'a test' WHERE {key} IN"
            f" (SELECT {key} FROM billing.{table} WHERE state = '{state}' ORDER BY {key} LIMIT 3)"
        )
    await tx.execute(
        "UPDATE core.webhook_delivery SET state = 'failed', not_before = NULL, ended_at = :now WHERE event_id IN"
        " (SELECT min(event_id) FROM core.webhook_delivery GROUP BY endpoint_id)",
        {"now": tx.now},
    )


class Life:
    """What one buyer does, and what becomes of it."""

    def __init__(self, db: Database, people: People, buyer_id: int) -> None:
        self.db, self.people, self.buyer_id = db, people, buyer_id
        self._numbers = count(1)

    async def live(self) -> None:
        """One purchase for every fate."""
        for ends in ({}, {"expires_on": f"{self.db.clock.now() + timedelta(days=90):%Y-%m-%d}"}):
            credit = {"currency": "EUR", "amount_minor": 2_500, "reason": "sorry", **ends}
            await done(self.people.ops, f"/buyers/{self.buyer_id}/credit", credit)
        for _ in range(9):
            await self.cart()
        await done(self.people.shop, f"/buyers/{self.buyer_id}/carts/{(await self.cart())['cart_id']}/drop")
        await self.buy()  # waits for its payment
        await self.tell(await self.buy(), "failed")
        await self.cash()
        await self.orders_on_their_way()
        await self.returns()
        await self.refunds()
        await self.disputes()
        await self.amendments()
        await self.say("payment.captured", PaymentData(payment="p", reference="7-7", amount_minor=1, currency="EUR"))

    async def cart(self) -> Json:
        lines = [{"merchant_id": m, "product_id": LAMP, "quantity": 3} for m in (ALPHA, BETA)]
        made: Json = await done(self.people.shop, f"/buyers/{self.buyer_id}/carts", {"currency": "EUR", "lines": lines})
        return made

    async def buy(self, method: str = "tok_ok", credit_minor: int = 0) -> Json:
        """Three lamps of each merchant for 33.00 each, to be paid."""
        path = f"/buyers/{self.buyer_id}/carts/{(await self.cart())['cart_id']}"
        quote = (await self.people.shop.get(f"/api/v1{path}/quote")).json()["quote"]
        body = {"quote": quote, "method": method, "credit_minor": credit_minor}
        placed: Json = await done(self.people.shop, f"{path}/place", body)
        return placed

    async def paid(self, credit_minor: int = 0) -> Json:
        placed = await self.buy(credit_minor=credit_minor)
        await self.tell(placed, "authorised")
        await self.tell(placed, "captured")
        return placed

    async def tell(self, placed: Json, state: str) -> None:
        """The processor says what became of a payment."""
        data = PaymentData(
            payment=f"pay_{placed['payment_id']}",
            reference=payment_reference(self.buyer_id, placed["payment_id"]),
            amount_minor=placed["pay_minor"],
            currency="EUR",
            failure="no money" if state == "failed" else None,
        )
        await self.say(f"payment.{state}", data)

    async def say(self, kind: str, data: Any) -> None:
        now = self.db.clock.now()
        body = msgspec.json.encode(Event(type=kind, occurred_at=now, data=msgspec.to_builtins(data)))
        signed = signed_headers(f"evt_{self.buyer_id}_{next(self._numbers)}", now, body, [SECRET])
        answer = await self.people.nobody.post(f"/api/v1/payment-events/{NAME}", content=body, headers=signed)
        assert answer.status_code == 202, answer.text

    async def each(self, placed: Json, path: str, body: object = None) -> list[Any]:
        """Each merchant does something with its order of the purchase; the answers."""
        return [
            await done(self.people.owners[o["merchant_id"]], f"{order_path(o)}/{path}", body) for o in placed["orders"]
        ]

    async def as_buyer(self, placed: Json, path: str, body: object = None) -> list[Any]:
        """The shop does something for the buyer with each order of the purchase; the answers."""
        of = f"/buyers/{self.buyer_id}/purchases/{placed['purchase_id']}/orders"
        return [await done(self.people.shop, f"{of}/{o['order_id']}/{path}", body) for o in placed["orders"]]

    async def delivered(self) -> Json:
        placed = await self.paid()
        await self.each(placed, "shipments", {"carrier": "post"})
        await self.as_buyer(placed, "complete")
        return placed

    async def cash(self) -> None:
        """Paid at the door to one of the merchants; the other still waits for it."""
        first = (await self.buy(method="cash"))["orders"][0]
        await done(self.people.owners[first["merchant_id"]], f"{order_path(first)}/cash-collected")

    async def orders_on_their_way(self) -> None:
        await self.paid(credit_minor=700)
        await self.each(await self.paid(), "accept")
        one = {"lines": [{"line_no": 1, "quantity": 1}]}
        await self.each(await self.paid(), "shipments", one)
        partly = await self.paid()
        for order, shipped in zip(partly["orders"], await self.each(partly, "shipments", one), strict=True):
            arrived = {"shipment_id": shipped["shipment"]["shipment_id"]}
            await done(self.people.owners[order["merchant_id"]], f"{order_path(order)}/deliveries", arrived)
        await self.each(await self.paid(), "shipments", {})
        await self.each(await self.paid(), "cancel", {})
        await self.each(await self.paid(), "cancel-lines", one)

    async def returns(self) -> None:
        """Asked for, approved, refused, and received."""
        for steps in ((), ("approve",), ("refuse",), ("approve", "receive")):
            placed = await self.delivered()
            asked = await self.as_buyer(placed, "returns", {"reason": "changed_mind"})
            for order, one in zip(placed["orders"], asked, strict=True):
                for step in steps:
                    body = {"restock": True} if step == "receive" else {"note": "seen"}
                    path = f"{order_path(order)}/returns/{one['return_id']}/{step}"
                    await done(self.people.owners[order["merchant_id"]], path, body)

    async def refunds(self) -> None:
        """Due, paid, and failed."""
        for outcome in ("", "succeeded", "failed"):
            placed = await self.delivered()
            lines = {"reason": "damaged", "lines": [{"line_no": 1, "goods_minor": 500}]}
            refunds = await self.each(placed, "refunds", lines)
            for order, refund in zip(placed["orders"], refunds, strict=True):
                if outcome:
                    data = RefundData(
                        reference=f"{order['merchant_id']}-{refund['refund_id']}",
                        payment_reference=payment_reference(self.buyer_id, placed["payment_id"]),
                        amount_minor=500,
                        currency="EUR",
                        failure="closed" if outcome == "failed" else None,
                    )
                    await self.say(f"refund.{outcome}", data)

    async def disputes(self) -> None:
        """Open, won, and lost."""
        for outcome in ("opened", "won", "lost"):
            placed = await self.delivered()
            data = DisputeData(
                dispute=f"d-{placed['payment_id']}",
                reference=payment_reference(self.buyer_id, placed["payment_id"]),
                amount_minor=2_000,
                fee_minor=1_500,
                currency="EUR",
            )
            await self.say("dispute.opened", data)
            if outcome != "opened":
                await self.say(f"dispute.{outcome}", data)

    async def amendments(self) -> None:
        """Proposed, declined, applied, and one that waits for its payment."""
        off = {"take_off": [{"line_no": 1, "quantity": 1}]}
        more = {"add": [{"product_id": UNCOUNTED, "quantity": 1}]}
        for changes, decision in ((off, ""), (off, "decline"), (off, "accept"), (more, "accept")):
            placed = await self.paid()
            for order in placed["orders"]:
                path = f"{order_path(order)}/amendments"
                owner = self.people.owners[order["merchant_id"]]
                seen = (await owner.post(f"/api/v1{path}/preview", json=changes)).json()["base_version"]
                held = await done(owner, path, {**changes, "base_version": seen, "reason": "a test"})
                if decision:
                    said = {"buyer_id": self.buyer_id} | ({"base_version": seen} if decision == "accept" else {})
                    await done(self.people.shop, f"{path}/{held['amendment_id']}/{decision}", said)


def order_path(order: Json) -> str:
    return f"/merchants/{order['merchant_id']}/orders/{order['order_id']}"
