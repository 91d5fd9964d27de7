"""The table of what somebody may try on orders and money with a valid key, and of how each has to be refused."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from itertools import chain
from typing import Any

import httpx
import msgspec

from billing.payments.facts import payment_reference
from marketplace.core.db import WORKER, Database
from marketplace.core.money import AMOUNT_MAX
from marketplace.core.signatures import new_secret, signed_headers
from marketplace.flows.orders.list_goods import ROWS_MAX
from marketplace.processors.wire import Event, PaymentData
from tests.http.busy import LAMP, NAME, SECRET
from tests.http.market import ALPHA, BETA, send


class Things(msgspec.Struct, frozen=True, kw_only=True):
    """Ids of what is there. anne's purchase has a paid order of each merchant; ours is ALPHA's."""

    anne: int
    ben: int
    purchase: int
    payment: int
    amount: int
    ours: int
    theirs: int
    cart: int
    quote_of_ben: str
    their_return: int
    their_return_order: int
    their_refund: int
    their_dispute: int
    their_webhook: int
    webhook: int
    proposed: int
    proposed_of: int
    vouched: int
    vouched_of: int
    paid_out: int
    preview: int
    now: datetime


class Try(msgspec.Struct, frozen=True):
    """A request, and how it has to be refused: the status, and the code of the problem."""

    who: str
    method: str
    path: str
    body: Any
    status: int
    code: str
    headers: dict[str, str] = {}


def post(who: str, path: str, body: Any, status: int, code: str, **headers: str) -> Try:
    return Try(who, "POST", path, body, status, code, {name.replace("_", "-"): text for name, text in headers.items()})


def of_others(t: Things) -> dict[str, Try]:
    """A merchant's owner at what is another merchant's, by its path and by its own with the other's id."""
    whole = {"reason": "damaged", "whole": True}
    ours, theirs = f"/merchants/{ALPHA}", f"/merchants/{BETA}"
    returned = f"orders/{t.their_return_order}/returns/{t.their_return}/receive"
    account = {"holder": "Me", "scheme": "iban", "number": "DE89370400440532013000", "currency": "USD"}
    goods = {"sku": "x", "title": "x", "price_minor": 1}
    return {
        "their order": post("owner", f"{theirs}/orders/{t.theirs}/accept", None, 404, "not-found"),
        "their order as ours": post("owner", f"{ours}/orders/{t.theirs}/accept", None, 404, "not-found"),
        "a refund of theirs": post("owner", f"{theirs}/orders/{t.theirs}/refunds", whole, 404, "not-found"),
        "a refund of theirs as ours": post("owner", f"{ours}/orders/{t.theirs}/refunds", whole, 404, "not-found"),
        "a look at it": post("owner", f"{ours}/orders/{t.theirs}/refunds/preview", whole, 404, "not-found"),
        "their return": post("owner", f"{ours}/{returned}", {"restock": True}, 404, "not-found"),
        "their dispute": post("owner", f"{ours}/disputes/{t.their_dispute}/evidence", {"text": "x"}, 404, "not-found"),
        "their list": Try("owner", "GET", f"/refunds?merchant_id={BETA}", None, 404, "not-found"),
        "their stock": Try(
            "owner", "PUT", f"{theirs}/listings/{LAMP}/stock", {"on_hand": 0}, 404, "not-found", {"If-Match": '"1"'}
        ),
        "their bank account": post("owner", f"{theirs}/bank-accounts", account, 404, "not-found"),
        "their webhook": Try(
            "owner",
            "PATCH",
            f"/webhooks/{t.their_webhook}",
            {"state": "disabled"},
            404,
            "not-found",
            {"If-Match": '"1"'},
        ),
        "their id in a body": post("owner", f"{ours}/listings", goods | {"merchant_id": BETA}, 422, "invalid-input"),
        "deciding a failed refund": post(
            "owner", f"{theirs}/refunds/{t.their_refund}/to-credit", None, 403, "forbidden"
        ),
    }


def of_other_buyers(t: Things) -> dict[str, Try]:
    """A shop that mixes its buyers up, and those who are no shop."""
    cart, orders = f"/buyers/{t.anne}/carts/{t.cart}", f"purchases/{t.purchase}/orders/{t.ours}"
    place = {"quote": t.quote_of_ben, "method": "tok_ok"}
    amendments = f"/merchants/{ALPHA}/orders/{t.proposed_of}/amendments"
    off = {"take_off": [{"line_no": 1, "quantity": 1}]}
    goodwill = {"currency": "EUR", "amount_minor": 1, "reason": "x"}
    return {
        "another's cart": Try("shop", "GET", f"/buyers/{t.ben}/carts/{t.cart}", None, 404, "not-found"),
        "another's cart placed": post("shop", f"/buyers/{t.ben}/carts/{t.cart}/place", place, 404, "not-found"),
        "another cart's quote": post("shop", f"{cart}/place", place, 409, "quote-changed"),
        "another's order": post("shop", f"/buyers/{t.ben}/{orders}/cancel", {}, 404, "not-found"),
        "another's order returned": post(
            "shop", f"/buyers/{t.ben}/{orders}/returns", {"reason": "damaged"}, 404, "not-found"
        ),
        "an amendment for another": post("shop", f"{amendments}/preview", {**off, "buyer_id": t.ben}, 404, "not-found"),
        "accepted for another": post(
            "shop", f"{amendments}/{t.proposed}/accept", {"base_version": 2, "buyer_id": t.ben}, 404, "not-found"
        ),
        "a merchant as buyer": post("owner", f"/buyers/{t.anne}/carts", {"currency": "EUR"}, 403, "forbidden"),
        "a merchant places": post("owner", f"{cart}/place", place, 403, "forbidden"),
        "a shop as merchant": post("shop", f"/merchants/{ALPHA}/orders/{t.ours}/accept", None, 403, "forbidden"),
        "a shop's own credit": post("shop", f"/buyers/{t.anne}/credit", goodwill, 403, "forbidden"),
        "a shop at the orders": Try("shop", "GET", "/orders", None, 403, "forbidden"),
        "a cashier refunds": post(
            "cashier",
            f"/merchants/{ALPHA}/orders/{t.ours}/refunds",
            {"reason": "late", "whole": True},
            403,
            "forbidden",
        ),
    }


def amounts(t: Things) -> dict[str, Try]:
    """Less than nothing, nothing, more than there is, more than any number."""
    refunds, cart = f"/merchants/{ALPHA}/orders/{t.ours}/refunds", f"/buyers/{t.anne}/carts"
    order = f"/merchants/{ALPHA}/orders/{t.ours}"
    listings = f"/merchants/{ALPHA}/listings"

    def refund(goods_minor: Any) -> Any:
        return {"reason": "damaged", "lines": [{"line_no": 1, "goods_minor": goods_minor}]}

    def lines(quantity: Any) -> Any:
        return {"currency": "EUR", "lines": [{"merchant_id": ALPHA, "product_id": LAMP, "quantity": quantity}]}

    def reprice(minor: int) -> Any:
        return {"reprice": [{"line_no": 1, "amount_minor": minor, "reason": "x"}]}

    bad = "invalid-input"
    tried = {
        f"a refund of {given!r}": post("ops", refunds, refund(given), 422, bad)
        for given in (-1, AMOUNT_MAX + 1, 2**63, 10**30, "100", 1.5, True, None)
    }
    tried |= {f"{given!r} units": post("shop", cart, lines(given), 422, bad) for given in (0, -1, 2**31, 2**63, "1")}
    return tried | {
        "a refund of nothing": post("ops", refunds, refund(0), 422, bad),
        "goodwill of nothing": post("ops", refunds, {"reason": "goodwill", "goodwill_minor": 0}, 422, bad),
        "more than was paid": post("ops", refunds, refund(AMOUNT_MAX), 422, bad),
        "more goodwill than was paid": post(
            "ops", refunds, {"reason": "goodwill", "goodwill_minor": AMOUNT_MAX}, 409, "conflict"
        ),
        "two ways at once": post("ops", refunds, {**refund(1), "whole": True}, 422, bad),
        "credit without end": post(
            "ops", f"/buyers/{t.anne}/credit", {"currency": "EUR", "amount_minor": 2**63, "reason": "x"}, 422, bad
        ),
        "more units than ordered": post(
            "owner", f"{order}/shipments", {"lines": [{"line_no": 1, "quantity": 4}]}, 422, bad
        ),
        "a line twice": post(
            "owner", f"{order}/cancel-lines", {"lines": [{"line_no": 1, "quantity": 1}] * 2}, 422, bad
        ),
        "a price below nothing": post("owner", f"{order}/amendments/preview", reprice(-AMOUNT_MAX), 422, bad),
        "a price beyond any": post("owner", f"{order}/amendments/preview", reprice(AMOUNT_MAX + 1), 422, bad),
        "a listing beyond any price": post(
            "owner", listings, {"sku": "x", "title": "x", "price_minor": AMOUNT_MAX + 1}, 422, bad
        ),
        "a listing below nothing": post("owner", listings, {"sku": "x", "title": "x", "price_minor": -1}, 422, bad),
        "listings without end": post(
            "owner",
            f"{listings}/bulk",
            {"rows": [{"sku": f"s{n}", "title": "x", "price_minor": 1} for n in range(ROWS_MAX + 1)]},
            422,
            bad,
        ),
        "lines without end": post(
            "shop",
            cart,
            {"currency": "EUR", "lines": [{"merchant_id": ALPHA, "product_id": n, "quantity": 1} for n in range(101)]},
            422,
            bad,
        ),
        "another currency": post(
            "ops", f"/buyers/{t.anne}/credit", {"currency": "XXX", "amount_minor": 1, "reason": "x"}, 422, bad
        ),
    }


def events(t: Things) -> dict[str, Try]:
    """What a processor did not say, or said long ago."""
    data = PaymentData(
        payment="pay_x", reference=payment_reference(t.anne, t.payment), amount_minor=t.amount, currency="EUR"
    )
    body = msgspec.json.encode(Event(type="payment.voided", occurred_at=t.now, data=msgspec.to_builtins(data)))
    path, early = f"/payment-events/{NAME}", timedelta(minutes=6)
    good = signed_headers("evt_hostile", t.now, body, [SECRET])

    def said(headers: dict[str, str], content: bytes = body, at: str = path, status: int = 401) -> Try:
        return Try("nobody", "POST", at, content, status, "not-found" if status == 404 else "bad-signature", headers)

    return {
        "an event that nobody signed": said({}),
        "signed with another's secret": said(signed_headers("evt_hostile", t.now, body, [new_secret()])),
        "signed with an empty secret": said(signed_headers("evt_hostile", t.now, body, ["whsec_"])),
        "replayed too late": said(signed_headers("evt_hostile", t.now - early, body, [SECRET])),
        "signed for later": said(signed_headers("evt_hostile", t.now + early, body, [SECRET])),
        "another body": said(good, body.replace(b"voided", b"failed")),
        "another id": said(good | {"webhook-id": "evt_other"}),
        "another time": said(good | {"webhook-timestamp": str(int(t.now.timestamp()) + 1)}),
        "another processor": said(good, at="/payment-events/other", status=404),
    }


def keys_and_tags(t: Things) -> dict[str, Try]:
    """Keys that may not, may not any more, and requests that do not know what they are about."""
    accept = f"/merchants/{ALPHA}/orders/{t.ours}/accept"
    listing = f"/merchants/{ALPHA}/listings/{LAMP}"
    buyer = f"/buyers/{t.anne}"
    edit = {"price_minor": 1}
    tags = {'"99"': 412, "*": 412, 'W/"1"': 412, '"1", "2"': 412, "1": 412, '"-1"': 412, '"1e0"': 412}
    return {
        "a key for reading": post("reader", accept, None, 403, "scope-missing"),
        "a key for carts": post(
            "cart keeper", f"{buyer}/purchases/{t.purchase}/orders/{t.ours}/cancel", {}, 403, "scope-missing"
        ),
        "a key that has expired": post("late", accept, None, 401, "unauthenticated"),
        "a key that was replaced": post("rotated", accept, None, 401, "unauthenticated"),
        "a key that was revoked": post("revoked", accept, None, 401, "unauthenticated"),
        "a key that makes keys": post("owner", "/api-keys", {"name": "mine"}, 403, "forbidden"),
        "an edit without a tag": Try("owner", "PATCH", listing, edit, 428, "if-match-missing"),
        "a move with an old tag": post("owner", accept, None, 412, "stale", If_Match='"7"'),
        "a key that is none": post("owner", accept, None, 400, "idempotency-key-missing", Idempotency_Key=""),
        "a key of 256 characters": post(
            "owner", accept, None, 400, "idempotency-key-unusable", Idempotency_Key="k" * 256
        ),
        "a used key, another body": post(
            "owner",
            f"/merchants/{ALPHA}/stores",
            {"name": "other"},
            422,
            "idempotency-key-reused",
            Idempotency_Key="used",
        ),
        "a used key, another route": post("owner", accept, None, 422, "idempotency-key-reused", Idempotency_Key="used"),
        "a query that nobody knows": post(
            "owner",
            f"/merchants/{ALPHA}/stores?x=1",
            {"name": "first"},
            422,
            "invalid-input",
            Idempotency_Key="used",
        ),
    } | {
        f"a tag of {tag}": Try("owner", "PATCH", listing, edit, status, "stale", {"If-Match": tag})
        for tag, status in tags.items()
    }


def second_persons(t: Things) -> dict[str, Try]:
    """Whoever made something approves it, and what is done is done again as something else."""
    amendment = f"/merchants/{ALPHA}/orders/{t.proposed_of}/amendments/{t.proposed}"
    payout = f"/merchants/{ALPHA}/payouts/{t.paid_out}"
    account = f"/merchants/{t.vouched_of}/bank-accounts/{t.vouched}"
    paid = {"bank_ref": "B-2", "on": "2018-06-02"}
    return {
        "its own amendment": post("owner", f"{amendment}/accept", {"base_version": 2}, 403, "forbidden"),
        "its own account": post("clerk", f"{account}/approve", None, 403, "forbidden"),
        "a merchant approves": post("owner", f"{account}/approve", None, 403, "forbidden"),
        "its own run": post("clerk", f"/billing-runs/{t.preview}/approve", {"batch_id": 1}, 403, "forbidden"),
        "paid out twice": post("clerk", f"{payout}/confirm", paid, 409, "conflict"),
        "paid out on another day": post(
            "clerk", f"{payout}/confirm", {"bank_ref": "B-1", "on": "2018-06-03"}, 409, "conflict"
        ),
        "a merchant pays itself": post("owner", f"{payout}/confirm", paid, 403, "forbidden"),
    }


INSIDE = (
    "http://hooks.example/",
    "https://127.0.0.1/",
    "https://localhost/",
    "https://a.localhost./",
    "https://[::1]/",
    "https://10.1.2.3/",
    "https://169.254.169.254/latest",
    "https://[::ffff:10.0.0.1]/",
    "https://[64:ff9b::a00:1]/",
    "https://0.0.0.0/",
    "https://me:pass@hooks.example/",
    "file:///etc/passwd",
    "https://hooks.example:0/",
    "https://a\r\nhost: b/",
)


def webhooks(t: Things) -> dict[str, Try]:
    """Addresses inside our own walls."""
    tried = {f"told at {url!r}": post("owner", "/webhooks", {"url": url}, 422, "invalid-input") for url in INSIDE}
    moved = {"url": "https://192.168.1.1/"}
    return tried | {
        "moved inside": Try(
            "owner", "PATCH", f"/webhooks/{t.webhook}", moved, 422, "invalid-input", {"If-Match": '"1"'}
        ),
    }


def all_of(t: Things) -> Iterator[tuple[str, Try]]:
    return chain.from_iterable(
        part(t).items()
        for part in (of_others, of_other_buyers, amounts, events, keys_and_tags, second_persons, webhooks)
    )


async def things_of(db: Database, shop: httpx.AsyncClient) -> Things:
    async with db.read(WORKER) as tx:

        async def one(query: str) -> Any:
            found = await tx.row(query)
            assert found is not None, query
            return found

        anne, ben = [row.buyer_id for row in await tx.rows("SELECT buyer_id FROM demand.buyer ORDER BY buyer_ref")]
        cart = await one(f"SELECT min(cart_id) AS id FROM demand.cart WHERE buyer_id = {anne} AND state = 'open'")
        bought = await one(
            "SELECT min(a.order_id) AS ours, min(b.order_id) AS theirs, a.purchase_id FROM demand.merchant_order a"
            f" JOIN demand.merchant_order b USING (purchase_id)"
            f" WHERE a.merchant_id = {ALPHA} AND b.merchant_id = {BETA} AND a.buyer_id = {anne}"
            " AND a.state = 'paid' AND b.state = 'paid' AND a.version = 2"
            " AND a.order_id NOT IN (SELECT order_id FROM demand.amendment)"
            " GROUP BY a.purchase_id ORDER BY a.purchase_id LIMIT 1"
        )
        payment = await one(f"SELECT * FROM billing.payment WHERE purchase_id = {bought.purchase_id}")
        returned = await one(
            f"SELECT * FROM demand.return_request WHERE merchant_id = {BETA} AND state = 'approved' LIMIT 1"
        )
        refund = await one(
            f"SELECT * FROM billing.refund_payment WHERE merchant_id = {BETA} AND state = 'failed' LIMIT 1"
        )
        dispute = await one(f"SELECT * FROM demand.dispute WHERE merchant_id = {BETA} AND state = 'open' LIMIT 1")
        webhook = {
            m: (await one(f"SELECT * FROM core.webhook_endpoint WHERE merchant_id = {m}")).endpoint_id
            for m in (ALPHA, BETA)
        }
        proposed = await one(
            f"SELECT a.* FROM demand.amendment a JOIN demand.merchant_order o USING (merchant_id, order_id)"
            f" WHERE merchant_id = {ALPHA} AND a.state = 'proposed' AND o.buyer_id = {anne} LIMIT 1"
        )
        account = await one("SELECT * FROM billing.bank_account WHERE state = 'verified'")
        payout = await one(f"SELECT * FROM billing.payout WHERE merchant_id = {ALPHA} AND state = 'confirmed'")
        run = await one("SELECT run_id FROM billing.billing_run WHERE state NOT IN ('finalised', 'final') LIMIT 1")
    one_lamp = {"currency": "EUR", "lines": [{"merchant_id": ALPHA, "product_id": LAMP, "quantity": 1}]}
    made = await send(shop, f"/buyers/{ben}/carts", one_lamp)
    assert made.is_success, made.text
    other = made.json()["cart_id"]
    quote = await shop.get(f"/api/v1/buyers/{ben}/carts/{other}/quote")
    return Things(
        anne=anne,
        ben=ben,
        purchase=bought.purchase_id,
        payment=payment.payment_id,
        amount=payment.amount_minor,
        ours=bought.ours,
        theirs=bought.theirs,
        cart=cart.id,
        quote_of_ben=quote.json()["quote"],
        their_return=returned.return_id,
        their_return_order=returned.order_id,
        their_refund=refund.refund_id,
        their_dispute=dispute.dispute_id,
        their_webhook=webhook[BETA],
        webhook=webhook[ALPHA],
        proposed=proposed.amendment_id,
        proposed_of=proposed.order_id,
        vouched=account.account_id,
        vouched_of=account.merchant_id,
        paid_out=payout.payout_id,
        preview=run.run_id,
        now=db.clock.now(),
    )
