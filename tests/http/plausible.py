"""Ids that there are, bodies that make sense, and values that do not: what a fuzzer has to know to get anywhere."""

import base64
import copy
import re
from collections.abc import Callable, Sequence
from random import Random
from typing import Any

import httpx
import msgspec

from demand.refund_policy import DEFAULT
from marketplace.core.db import WORKER, Database
from tests.http import (
    plausible_academy,
    plausible_ads,
    plausible_field,
    plausible_incentives,
    plausible_journals,
    plausible_leads,
    plausible_payers,
    plausible_payouts,
    plausible_products,
    plausible_steering,
)
from tests.http.busy import LAMP, NAME, UNCOUNTED
from tests.http.market import ALPHA, BETA

Ids = dict[str, Any]

LOGIN, PASSWORD = "spare person", "a long enough password"

_ORDER = "SELECT merchant_id, order_id FROM demand.merchant_order ORDER BY order_id"
_BOUGHT = "SELECT buyer_id, purchase_id, order_id FROM demand.merchant_order WHERE buyer_id > 1 ORDER BY order_id"
_POINTS = "(VALUES ('terms'), ('legal_name_and_address'), ('identity_document'), ('listing'), ('x')) AS k (key)"

REAL: dict[tuple[str, ...], str] = {
    (): "SELECT 1",
    ("account",): "SELECT code FROM billing.account ORDER BY 1",
    ("buyer_id",): "SELECT buyer_id FROM demand.buyer ORDER BY 1",
    ("buyer_id", "cart_id"): "SELECT buyer_id, cart_id FROM demand.cart ORDER BY state <> 'open', cart_id LIMIT 14",
    ("buyer_id", "purchase_id"): "SELECT buyer_id, purchase_id FROM demand.purchase ORDER BY purchase_id",
    ("buyer_id", "purchase_id", "order_id"): _BOUGHT,
    ("command_id",): "SELECT command_id FROM billing.payment_command ORDER BY state, command_id LIMIT 6",
    ("contract_id",): "SELECT contract_id FROM billing.contract ORDER BY 1",
    ("endpoint_id",): "SELECT endpoint_id FROM core.webhook_endpoint ORDER BY 1",
    ("endpoint_id", "event_id"): "SELECT endpoint_id, event_id FROM core.webhook_delivery ORDER BY state, event_id",
    ("inbox_id",): "SELECT inbox_id FROM billing.inbox_event ORDER BY state DESC, inbox_id LIMIT 6",
    ("key_id",): "SELECT key_id FROM core.api_key k JOIN core.app_user u USING (user_id) WHERE u.login LIKE 'spare%'",
    ("merchant_id",): "SELECT merchant_id FROM supply.merchant ORDER BY 1",
    ("merchant_id", "account_id"): "SELECT merchant_id, account_id FROM billing.bank_account ORDER BY 2 DESC",
    ("merchant_id", "dispute_id"): "SELECT merchant_id, dispute_id FROM demand.dispute ORDER BY dispute_id",
    ("merchant_id", "entry_no"): "SELECT merchant_id, entry_no FROM billing.entry ORDER BY 1, 2",
    ("merchant_id", "key"): f"SELECT merchant_id, key FROM supply.merchant, {_POINTS}",
    ("merchant_id", "order_id"): _ORDER,
    (
        "merchant_id",
        "order_id",
        "amendment_id",
    ): "SELECT merchant_id, order_id, amendment_id FROM demand.amendment ORDER BY amendment_id",
    (
        "merchant_id",
        "order_id",
        "return_id",
    ): "SELECT merchant_id, order_id, return_id FROM demand.return_request ORDER BY return_id",
    ("merchant_id", "payout_id"): "SELECT merchant_id, payout_id FROM billing.payout ORDER BY 1, 2",
    ("merchant_id", "product_id"): "SELECT merchant_id, product_id FROM supply.offer ORDER BY 1, 2",
    ("merchant_id", "refund_id"): "SELECT merchant_id, refund_id FROM billing.refund_payment ORDER BY state, refund_id",
    ("merchant_id", "run_id"): "SELECT merchant_id, run_id FROM billing.statement ORDER BY 1, 2",
    ("merchant_id", "store_id"): "SELECT merchant_id, store_id FROM supply.store ORDER BY 1",
    ("payer_id",): "SELECT payer_id FROM billing.payer ORDER BY 1",
    ("payer_id", "claim_id"): "SELECT payer_id, claim_id FROM billing.payer_claim ORDER BY claim_id",
    ("payment_id",): "SELECT payment_id FROM billing.payment ORDER BY 1",
    ("processor",): "SELECT name FROM billing.processor",
    ("rerating_id",): "SELECT rerating_id FROM billing.rerating ORDER BY 1",
    **plausible_journals.REAL,
    **plausible_incentives.REAL,
    **plausible_ads.REAL,
    **plausible_payouts.REAL,
    **plausible_payers.REAL,
    **plausible_leads.REAL,
    **plausible_field.REAL,
    **plausible_academy.REAL,
    **plausible_steering.REAL,
    ("run_id",): "SELECT run_id FROM billing.billing_run ORDER BY state DESC",
    **plausible_products.REAL,
    ("session_id",): (
        "SELECT substr(encode(token_hash, 'hex'), 1, 16) FROM core.session JOIN core.app_user USING (user_id)"
        " WHERE login LIKE 'spare %'"
    ),
}
"""For the parameters that a path names: rows of ids that belong together. A route with new ones needs its line here."""


_OF_ORDER = "POST /api/v1/merchants/{merchant_id}/orders/{order_id}"
_OF_MERCHANT = "POST /api/v1/merchants/{merchant_id}"
_PURCHASE = "POST /api/v1/buyers/{buyer_id}/purchases/{purchase_id}"
_OF_PURCHASE = _PURCHASE + "/orders/{order_id}"
_OF_CART = "/api/v1/buyers/{buyer_id}/carts/{cart_id}"
_OF_AMENDMENT = _OF_ORDER + "/amendments/{amendment_id}"
_OF_RETURN = _OF_ORDER + "/returns/{return_id}"
_OF_ACCOUNT = _OF_MERCHANT + "/bank-accounts/{account_id}"
_OF_REFUND = _OF_MERCHANT + "/refunds/{refund_id}"


def _in_state(table: str, *states: str) -> str:
    return f"FROM {table} t WHERE state IN ({', '.join(map(repr, states))}, '')"


_FREE = (
    " AND NOT EXISTS (SELECT FROM demand.return_request o WHERE o.order_id = t.order_id)"
    " AND NOT EXISTS (SELECT FROM demand.dispute o WHERE o.order_id = t.order_id)"
    " AND NOT EXISTS (SELECT FROM demand.amendment o WHERE o.order_id = t.order_id) AND buyer_id > 1"
)
_PAID = _in_state("demand.merchant_order", "paid") + _FREE
_UNDER_WAY = (
    _in_state("demand.merchant_order", "fulfilling")
    + _FREE
    + " AND NOT EXISTS (SELECT FROM demand.order_line o WHERE o.order_id = t.order_id AND shipped_quantity < quantity)"
)
_DELIVERED = _in_state("demand.merchant_order", "delivered") + _FREE
_PROPOSED = _in_state("demand.amendment", "proposed")
_OPEN_CART = _in_state("demand.cart", "open")
_PROPOSED_ACCOUNT = _in_state("billing.bank_account", "proposed")
_FAILED_REFUND = _in_state("billing.refund_payment", "failed")

RIPE: dict[str, str] = {
    f"{_OF_ORDER}/accept": _PAID,
    f"{_OF_ORDER}/shipments": _PAID,
    f"{_OF_ORDER}/deliveries": "FROM demand.shipment WHERE delivered_at IS NULL",
    f"{_OF_ORDER}/complete": _UNDER_WAY,
    f"{_OF_ORDER}/cancel": _PAID,
    f"{_OF_ORDER}/cancel-lines": _PAID,
    f"{_OF_ORDER}/refunds": _DELIVERED,
    f"{_OF_ORDER}/refunds/preview": _DELIVERED,
    f"{_OF_ORDER}/returns": _DELIVERED,
    f"{_OF_ORDER}/amendments": _PAID,
    f"{_OF_ORDER}/cash-collected": "FROM billing.payment_part p WHERE p.state = 'open' AND EXISTS"
    " (SELECT FROM billing.payment a WHERE a.payment_id = p.payment_id AND a.method = 'cash')",
    f"{_OF_AMENDMENT}/accept": _PROPOSED,
    f"{_OF_AMENDMENT}/decline": _PROPOSED,
    f"{_OF_AMENDMENT}/cancel": _PROPOSED,
    f"{_OF_RETURN}/approve": _in_state("demand.return_request", "requested"),
    f"{_OF_RETURN}/refuse": _in_state("demand.return_request", "requested"),
    f"{_OF_RETURN}/cancel": _in_state("demand.return_request", "requested", "approved"),
    f"{_OF_RETURN}/receive": _in_state("demand.return_request", "approved"),
    f"{_PURCHASE}/pay": "FROM demand.merchant_order WHERE state = 'placed' AND purchase_id IN"
    " (SELECT y.purchase_id FROM billing.payment y WHERE y.state = 'failed')",
    f"{_OF_PURCHASE}/cancel": _PAID,
    f"{_OF_PURCHASE}/complete": _UNDER_WAY,
    f"{_OF_PURCHASE}/returns": _DELIVERED,
    f"PUT {_OF_CART}/lines": _OPEN_CART,
    f"POST {_OF_CART}/drop": _OPEN_CART,
    f"POST {_OF_CART}/place": _OPEN_CART,
    f"{_OF_REFUND}/retry": _FAILED_REFUND,
    f"{_OF_REFUND}/to-credit": _FAILED_REFUND,
    f"{_OF_REFUND}/cancel": _FAILED_REFUND,
    f"{_OF_MERCHANT}/disputes/{{dispute_id}}/evidence": _in_state("demand.dispute", "open"),
    f"{_OF_MERCHANT}/onboarding/{{key}}/attest": _in_state("supply.requirement", "attested"),
    f"{_OF_MERCHANT}/onboarding/{{key}}/verify": _in_state("supply.requirement", "attested"),
    f"{_OF_MERCHANT}/onboarding/{{key}}/reject": _in_state("supply.requirement", "attested"),
    f"{_OF_MERCHANT}/go-live": _in_state("supply.merchant", "onboarding"),
    f"{_OF_MERCHANT}/suspend": _in_state("supply.merchant", "live"),
    f"{_OF_MERCHANT}/reinstate": _in_state("supply.merchant", "suspended"),
    f"{_OF_ACCOUNT}/transfer": _PROPOSED_ACCOUNT,
    f"{_OF_ACCOUNT}/vouch": _PROPOSED_ACCOUNT,
    f"{_OF_ACCOUNT}/cancel": _PROPOSED_ACCOUNT,
    f"{_OF_ACCOUNT}/approve": _in_state("billing.bank_account", "verified"),
    "POST /api/v1/reratings/{rerating_id}/approve": _in_state("billing.rerating", "proposed"),
    "POST /api/v1/payment-commands/{command_id}/retry": _in_state("billing.payment_command", "parked"),
    "POST /api/v1/payment-events/{inbox_id}/retry": _in_state("billing.inbox_event", "parked"),
    **plausible_ads.RIPE,
    **plausible_products.RIPE,
    **plausible_journals.RIPE,
    **plausible_payouts.RIPE,
    **plausible_payers.RIPE,
    **plausible_incentives.RIPE,
    **plausible_leads.RIPE,
    **plausible_field.RIPE,
    **plausible_academy.RIPE,
    "POST /api/v1/webhooks/{endpoint_id}/deliveries/{event_id}/replay": _in_state("core.webhook_delivery", "failed"),
}  # fmt: skip
"""Where an operation needs a thing in a certain state: what is ripe for it."""


async def real_ids(db: Database, name: str) -> list[Ids]:
    """What there is for an operation, by the parameters of its path."""
    names = tuple(re.findall(r"\{(\w+)\}", name))
    return await _ids(db, names, REAL[names])


async def ripe_ids(db: Database, name: str) -> list[Ids]:
    """What is in a state in which the operation can succeed; nothing when all are, or none is."""
    names = tuple(re.findall(r"\{(\w+)\}", name))
    columns = ", ".join(names)
    return await _ids(db, names, f"SELECT {columns} {RIPE[name]} ORDER BY {columns}") if name in RIPE else []


async def _ids(db: Database, names: Sequence[str], query: str) -> list[Ids]:
    async with db.read(WORKER) as tx:
        rows = await tx.rows(query)
    return [dict(zip(names, row, strict=False)) for row in rows]


class Seen(msgspec.Struct, frozen=True):
    """What is known of the thing that a request is about: its ids, and what reading it has told."""

    ids: Ids
    order: Ids
    quote: str
    named: dict[str, int]

    @property
    def version(self) -> int:
        return int(self.order.get("order", {}).get("version", 1))

    @property
    def buyer_id(self) -> int | None:
        buyer_id: int | None = self.order.get("order", {}).get("buyer_id")
        return buyer_id

    @property
    def shipment_id(self) -> int:
        shipments = self.order.get("shipments") or [{"shipment_id": 1}]
        return int(shipments[-1]["shipment_id"])


async def look(admin: httpx.AsyncClient, ids: Ids) -> Seen:
    """Read what a body has to repeat: an order's version, buyer and shipments, a cart's quote, a run's preview."""
    order: Ids = {}
    quote = "0" * 32
    if {"merchant_id", "order_id"} <= ids.keys():
        answer = await admin.get(f"/api/v1/merchants/{ids['merchant_id']}/orders/{ids['order_id']}")
        order = answer.json() if answer.is_success else {}
    if "cart_id" in ids:
        answer = await admin.get(f"/api/v1/buyers/{ids['buyer_id']}/carts/{ids['cart_id']}/quote")
        quote = answer.json().get("quote", quote)
    named = await plausible_journals.named(admin, ids)
    if "run_id" in ids:
        run = (await admin.get(f"/api/v1/billing-runs/{ids['run_id']}")).json().get("run", {})
        named["batch"] = run.get("batch_id") or 1
    return Seen(ids, order, quote, named)


_LINES = [{"merchant_id": ALPHA, "product_id": LAMP, "quantity": 2}]
_UNITS = [{"line_no": 1, "quantity": 1}]
_OFF = {"take_off": _UNITS}
_FILE = (
    "id,kind,reference,dispute,gross,fee,net,currency,at\n"
    "mv_{n},fee,,,0.00,1.50,-1.50,EUR,2018-09-03T12:00:00+00:00\n"
    "{n},total,batch_{n},,0.00,1.50,-1.50,EUR,2018-09-03\n"
)
_GOODS = {"sku": "new-1", "title": "A cup", "price_minor": 700, "on_hand": 5}
_RULES = msgspec.to_builtins(DEFAULT.rules)
_PLAN = {"name": "plan", "currency": "EUR", "valid_from": "2018-10-01", "rate_ppm": 100_000, "vat_ppm": 200_000}


Sensible = Callable[[Seen, int], Any]


def _ask_amendment(seen: Seen, n: int) -> Any:
    changes = ({"take_off": _UNITS}, {"add": [{"product_id": UNCOUNTED, "quantity": 1}]},
               {"reprice": [{"line_no": 1, "amount_minor": -100, "reason": "worn"}]})[n % 3]  # fmt: skip
    return {**changes, "base_version": seen.version, "reason": "as agreed", "buyer_id": seen.buyer_id}


SENSIBLE: dict[str, Sensible] = {
    **plausible_ads.SENSIBLE,
    **plausible_products.SENSIBLE,
    "POST /api/v1/api-keys": lambda _, n: {"name": f"key {n}", "scopes": ["orders:read"]},
    "POST /api/v1/api-keys/{key_id}/rotate": lambda *_: {"overlap_s": 60},
    "POST /api/v1/billing-runs": lambda _, n: {"period": ("2018-06", "2018-07", "2018-08")[n % 3]},
    "POST /api/v1/billing-runs/{run_id}/approve": lambda seen, _: {"batch_id": seen.named["batch"]},
    "POST /api/v1/buyers": lambda _, n: {"buyer_ref": f"buyer-{n}", "name": "Clara", "city": "Lyon"},
    "PATCH /api/v1/buyers/{buyer_id}": lambda *_: {"city": "Porto"},
    "POST /api/v1/buyers/{buyer_id}/carts": lambda *_: {"currency": "EUR", "lines": _LINES},
    "PUT /api/v1/buyers/{buyer_id}/carts/{cart_id}/lines": lambda *_: {"lines": _LINES},
    "POST /api/v1/buyers/{buyer_id}/carts/{cart_id}/place": lambda seen, n: {
        "quote": seen.quote,
        "method": "tok_ok",
        "credit_minor": 100 * (n % 2),
    },
    "POST /api/v1/buyers/{buyer_id}/credit": lambda *_: {"currency": "EUR", "amount_minor": 500, "reason": "sorry"},
    f"{_PURCHASE}/pay": lambda *_: {"method": "tok_ok"},
    f"{_OF_PURCHASE}/cancel": lambda *_: {},
    f"{_OF_PURCHASE}/returns": lambda *_: {"reason": "damaged", "note": "broken", "lines": _UNITS},
    "POST /api/v1/contracts": lambda _, n: {"contract": [{**_PLAN, "name": f"plan {n}"}]},
    "POST /api/v1/reratings": lambda *_: {"from_on": "2018-05-01"},
    "POST /api/v1/merchants": lambda _, n: {"name": f"Gamma {n}", "merchant_ref": f"gamma-{n}", "city": "Bonn"},
    "PATCH /api/v1/merchants/{merchant_id}": lambda *_: {"city": "Kiel"},
    f"{_OF_MERCHANT}/bank-accounts": lambda *_: {
        "holder": "Shop", "scheme": "iban", "number": "DE89370400440532013000", "currency": "USD",
    },
    f"{_OF_ACCOUNT}/cancel": lambda *_: {"reason": "a mistake"},
    f"{_OF_ACCOUNT}/reject": lambda *_: {"reason": "unreadable"},
    f"{_OF_ACCOUNT}/verify": lambda *_: {"code": "0123456789"},
    f"{_OF_ACCOUNT}/vouch": lambda *_: {"note": "the bank's letter"},
    f"{_OF_MERCHANT}/suspend": lambda *_: {"reason": "complaints"},
    f"{_OF_MERCHANT}/reinstate": lambda *_: {"reason": "settled"},
    f"{_OF_MERCHANT}/close": lambda *_: {"reason": "it wants to"},
    f"{_OF_MERCHANT}/disputes/{{dispute_id}}/evidence": lambda *_: {"text": "signed for"},
    f"{_OF_MERCHANT}/listings": lambda _, n: {**_GOODS, "sku": f"new-{n}"},
    f"{_OF_MERCHANT}/listings/bulk": lambda _, n: {"rows": [_GOODS, {**_GOODS, "sku": f"many-{n}"}]},
    "PATCH /api/v1/merchants/{merchant_id}/listings/{product_id}": lambda *_: {"title": "A better lamp"},
    "PUT /api/v1/merchants/{merchant_id}/listings/{product_id}/stock": lambda *_: {"on_hand": 500},
    f"{_OF_MERCHANT}/listings/{{product_id}}/stock/adjustments": lambda *_: {"delta": 1, "reason": "found"},
    f"{_OF_MERCHANT}/onboarding/{{key}}/attest": lambda *_: {"note": "page 3"},
    f"{_OF_MERCHANT}/onboarding/{{key}}/reject": lambda *_: {"reason": "blurred"},
    f"{_OF_MERCHANT}/onboarding/{{key}}/waive": lambda *_: {"reason": "known"},
    f"{_OF_ORDER}/amendments": _ask_amendment,
    f"{_OF_ORDER}/amendments/preview": lambda seen, _: {**_OFF, "buyer_id": seen.buyer_id},
    f"{_OF_AMENDMENT}/accept": lambda seen, _: {"base_version": seen.version, "buyer_id": seen.buyer_id},
    f"{_OF_AMENDMENT}/cancel": lambda seen, _: {"reason": "no", "buyer_id": seen.buyer_id},
    f"{_OF_AMENDMENT}/decline": lambda seen, _: {"reason": "no", "buyer_id": seen.buyer_id},
    f"{_OF_ORDER}/cancel": lambda *_: {},
    f"{_OF_ORDER}/cancel-lines": lambda *_: {"lines": _UNITS},
    f"{_OF_ORDER}/deliveries": lambda seen, _: {"shipment_id": seen.shipment_id},
    f"{_OF_ORDER}/refunds": lambda _, n: (
        {"reason": "goodwill", "goodwill_minor": 50},
        {"reason": "damaged", "lines": [{"line_no": 1, "goods_minor": 100}]},
        {"reason": "late", "whole": True},
    )[n % 3],
    f"{_OF_ORDER}/refunds/preview": lambda *_: {"reason": "damaged", "whole": True},
    f"{_OF_ORDER}/returns": lambda *_: {"reason": "wrong_item"},
    f"{_OF_ORDER}/returns/{{return_id}}/approve": lambda *_: {},
    f"{_OF_ORDER}/returns/{{return_id}}/receive": lambda *_: {"restock": True},
    f"{_OF_ORDER}/returns/{{return_id}}/refuse": lambda *_: {"note": "worn"},
    f"{_OF_ORDER}/shipments": lambda _, n: {"lines": _UNITS, "carrier": "post"} if n % 2 else {},
    f"{_OF_MERCHANT}/payouts/{{payout_id}}/confirm": lambda *_: {"bank_ref": "B-1", "on": "2018-06-02"},
    f"{_OF_MERCHANT}/payouts/{{payout_id}}/return": lambda *_: {
        "on": "2018-06-09", "reason": "account closed", "bank_ref": "B-3",
    },
    f"{_OF_MERCHANT}/stores": lambda _, n: {"name": f"Harbour {n}"},
    "PATCH /api/v1/merchants/{merchant_id}/stores/{store_id}": lambda *_: {"name": "Old harbour"},
    **plausible_payers.SENSIBLE,
    **plausible_journals.SENSIBLE,
    **plausible_payouts.SENSIBLE,
    **plausible_incentives.SENSIBLE,
    **plausible_leads.SENSIBLE,
    **plausible_field.SENSIBLE,
    **plausible_academy.SENSIBLE,
    **plausible_steering.SENSIBLE,
    "POST /api/v1/processor-files": lambda _, n: {"processor": NAME, "content": _FILE.format(n=n)},
    "POST /api/v1/refund-policies": lambda _, n: {"name": f"v{n}", "valid_from": "2018-10-01", "rules": _RULES},
    "POST /api/v1/session": lambda *_: {"login": LOGIN, "password": PASSWORD},
    "POST /api/v1/settlements": lambda *_: {"through": "2018-09-02"},
    "POST /api/v1/webhooks": lambda _, n: {"url": f"https://hooks.example/{n}", "topics": ["demand.order_moved.v1"]},
    "PATCH /api/v1/webhooks/{endpoint_id}": lambda _, n: {"state": ("active", "disabled")[n % 2]},
    "POST /api/v1/webhooks/{endpoint_id}/replay": lambda *_: {"since": "2018-09-01T00:00:00Z"},
}  # fmt: skip
"""A body for each operation that takes one: accepted where the thing it is about allows it."""

EXTREMES: list[Any] = [
    -1, 0, 1, 2**15, 2**31 - 1, 2**31, 10**12, 10**12 + 1, 10**15, 2**53 + 1, 2**63 - 1, 2**63, -(2**63), -(2**63) - 1,
    10**30, -0.0, 0.5, 1e308, True, None, "", " ", "0", "a\0b", "\N{RIGHT-TO-LEFT OVERRIDE}", "é" * 300, "'; --",
    "0001-01-01", "9999-12-31", "2018-02-30", "0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00",
    "2018-09-03T12:00:00", "0000-00", "9999-12", [], {}, [None], BETA,
]  # fmt: skip
"""Values at and beyond every border that a field may have."""


def spoiled(body: Any, rng: Random) -> Any:
    """The body with one value in it replaced by an extreme one."""
    body = copy.deepcopy(body)
    places: list[tuple[Any, Any]] = []

    def walk(node: Any) -> None:
        keys: Any = node.keys() if isinstance(node, dict) else range(len(node)) if isinstance(node, list) else ()
        for key in keys:
            places.append((node, key))
            walk(node[key])

    walk(body)
    if not places:
        return rng.choice(EXTREMES)
    node, key = rng.choice(places)
    node[key] = rng.choice(EXTREMES)
    return body


_CURSOR_PARTS: list[Any] = [
    -1, 0, 2**31, 2**63 - 1, -(2**63), 2**63, "", "a\0b", "EUR", None, True, "0001-01-01", "9999-12-31",
    "0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00", "2018-09-03T12:00:00", "2018-09-03T12:00:00Z",
]  # fmt: skip


def forged_cursors(rng: Random, real: str | None) -> list[str]:
    """Cursors that no list has given, of one part and of as many as the list's own has."""
    known = msgspec.json.decode(base64.urlsafe_b64decode(real + "==")) if real else [1]
    keys = [[part] * len(known) for part in rng.sample(_CURSOR_PARTS, 3)]
    for _ in range(4):
        key = list(known)
        key[rng.randrange(len(key))] = rng.choice(_CURSOR_PARTS)
        keys.append(key)
    return [base64.urlsafe_b64encode(msgspec.json.encode(key)).decode().rstrip("=") for key in keys]
