"""Ids, ripe things and sensible bodies of what is sold to merchants; `plausible` adds them to its own."""

from collections.abc import Callable
from typing import Any

import httpx

from tests.http import plausible_academy, plausible_field, plausible_leads
from tests.http.products import serial

_M = "/api/v1/merchants/{merchant_id}"
_SUBSCRIPTION = f"POST {_M}/subscriptions/{{subscription_id}}"
_CHARGE = f"POST {_M}/charges/{{charge_id}}"
_WRITE_OFF = f"POST {_M}/write-offs/{{write_off_id}}"
_ORDER = f"POST {_M}/hardware-orders/{{hardware_order_id}}"
_WORK = f"POST {_M}/work-orders/{{work_order_id}}"
_AGREEMENT = f"POST {_M}/service-agreements/{{agreement_id}}"

_HARDWARE = "(SELECT merchant_id, order_id AS hardware_order_id, state FROM supply.hardware_order) AS t"

REAL: dict[tuple[str, ...], str] = {
    ("plan_id",): "SELECT plan_id FROM supply.plan ORDER BY 1",
    ("provider_id",): "SELECT provider_id FROM supply.provider ORDER BY 1",
    ("merchant_id", "subscription_id"): "SELECT merchant_id, subscription_id FROM supply.subscription ORDER BY 2",
    ("merchant_id", "task_id"): "SELECT merchant_id, task_id FROM supply.task ORDER BY 2",
    ("merchant_id", "charge_id"): "SELECT merchant_id, charge_id FROM billing.charge ORDER BY 2",
    ("merchant_id", "write_off_id"): "SELECT merchant_id, write_off_id FROM billing.write_off ORDER BY 2",
    ("merchant_id", "hardware_order_id"): f"SELECT merchant_id, hardware_order_id FROM {_HARDWARE} ORDER BY 2",
    ("merchant_id", "work_order_id"): "SELECT merchant_id, work_order_id FROM supply.work_order ORDER BY 2",
    ("sale_id",): "SELECT sale_id FROM supply.own_sale ORDER BY 1",
    ("merchant_id", "agreement_id"): "SELECT merchant_id, agreement_id FROM supply.service_agreement ORDER BY 2",
}

_OPEN = "FROM billing.charge c WHERE open_minor > 0 AND due_on < '2018-09-01'"
_UNASKED = " AND NOT EXISTS (SELECT FROM billing.write_off w WHERE w.charge_id = c.charge_id)"

RIPE: dict[str, str] = {
    f"POST {_M}/work-orders": "FROM supply.hardware_unit WHERE merchant_id IS NOT NULL",
    f"{_SUBSCRIPTION}/agree": "FROM supply.subscription WHERE state = 'trial_ended'",
    f"{_SUBSCRIPTION}/change": "FROM supply.subscription WHERE state = 'active'",
    f"{_SUBSCRIPTION}/cancel": "FROM supply.subscription WHERE state = 'active'",
    f"{_SUBSCRIPTION}/stay": "FROM supply.subscription WHERE state = 'leaving'",
    f"POST {_M}/tasks/{{task_id}}/done": "FROM supply.task WHERE state = 'open'",
    f"PATCH {_M}/tasks/{{task_id}}": "FROM supply.task WHERE state = 'open'",
    f"{_CHARGE}/payments": _OPEN,
    f"{_CHARGE}/write-offs": _OPEN + _UNASKED,
    f"{_WRITE_OFF}/approve": "FROM billing.write_off WHERE state = 'proposed'",
    f"{_WRITE_OFF}/refuse": "FROM billing.write_off WHERE state = 'proposed'",
    f"{_ORDER}/quotes": f"FROM {_HARDWARE} WHERE state = 'quoted'",
    f"{_ORDER}/accept": f"FROM {_HARDWARE} WHERE state = 'quoted'",
    f"{_ORDER}/decline": f"FROM {_HARDWARE} WHERE state = 'quoted'",
    f"{_ORDER}/cancel": f"FROM {_HARDWARE} WHERE state = 'accepted'",
    f"{_ORDER}/ship": f"FROM {_HARDWARE} WHERE state = 'accepted'",
    f"{_ORDER}/return": f"FROM {_HARDWARE} WHERE state = 'shipped'",
    f"{_WORK}/appoint": "FROM supply.work_order WHERE state = 'planned'",
    f"{_WORK}/finish": "FROM supply.work_order WHERE state = 'appointed'",
    f"{_WORK}/cancel": "FROM supply.work_order WHERE state = 'planned'",
    f"{_AGREEMENT}/accept": "FROM supply.service_agreement WHERE state = 'proposed'",
    f"{_AGREEMENT}/decline": "FROM supply.service_agreement WHERE state = 'proposed'",
    f"{_AGREEMENT}/end": "FROM supply.service_agreement WHERE state = 'active'",
}

_named: dict[str, int] = {}


async def named(admin: httpx.AsyncClient) -> dict[str, int]:
    """Ids that bodies name: asked once, they are the same in every copy of the busy market."""
    if not _named:
        plans = (await admin.get("/api/v1/plans")).json()["items"]
        _named["plan_id"] = next(plan["plan_id"] for plan in plans if plan["code"] == "till")
        _named["item_id"] = (await admin.get("/api/v1/hardware-items")).json()["items"][0]["item_id"]
        running = (await admin.get("/api/v1/incentive-campaigns", params={"state": "live"})).json()["items"]
        _named["incentive_campaign"] = running[-1]["campaign_id"]
        _named.update(await plausible_leads.named(admin))
        _named.update(await plausible_field.named(admin))
        _named.update(await plausible_academy.named(admin))
        _named["provider_id"] = (await admin.get("/api/v1/providers")).json()["items"][0]["provider_id"]
    return _named


_QUOTE = {"currency": "EUR", "vat_ppm": 200_000, "expires_on": "2018-10-01"}
_PLAN = {"name": "Till", "currency": "EUR", "price_minor": 3_000, "per": "seat", "every": "month", "vat_ppm": 200_000}
_AGREED = {"name": "Care", "currency": "EUR", "vat_ppm": 0, "starts_on": "2018-10-01"}
_SHARE = {"share_ppm": 100_000, "baseline_from": "2018-06-01", "baseline_to": "2018-08-01"}
_WORK_OF = {"kind": "maintain", "technician": "Tom", "currency": "EUR", "price_minor": 100}

Sensible = Callable[[Any, int], Any]


def _at(seen: Any, number: int) -> list[str]:
    return [serial(seen.ids["merchant_id"], number)]


def _line(seen: Any) -> dict[str, Any]:
    return {"item_id": seen.named["item_id"], "quantity": 1, "price_minor": 25_000}


SENSIBLE: dict[str, Sensible] = {
    "POST /api/v1/plans": lambda _, n: {**_PLAN, "code": f"plan_{'abcdefgh'[n % 8]}", "owner": "olga"},
    f"POST {_M}/subscriptions": lambda seen, _: {
        "plan_id": seen.named["plan_id"], "seats": 1, "pays_by": "transfer",
    },
    f"{_SUBSCRIPTION}/agree": lambda *_: {"pays_by": "netting"},
    f"{_SUBSCRIPTION}/change": lambda _, n: {"seats": 3 + n % 5},
    f"{_SUBSCRIPTION}/cancel": lambda *_: {"reason": "no need"},
    f"{_SUBSCRIPTION}/usage": lambda *_: {"used_on": "2018-09-02", "uses": 3},
    f"PATCH {_M}/tasks/{{task_id}}": lambda *_: {"owner": "otto", "due_on": "2018-09-20"},
    f"POST {_M}/tasks/{{task_id}}/done": lambda *_: {"outcome": "they stay"},
    f"{_CHARGE}/payments": lambda _, n: {"amount_minor": 1, "bank_ref": f"B-{n}", "on": "2018-09-02"},
    f"{_CHARGE}/write-offs": lambda *_: {"reason": "closed down"},
    "POST /api/v1/hardware-items": lambda _, n: {
        "sku": f"printer-{n}", "name": "Printer", "currency": "EUR", "price_minor": 100, "warranty_months": 12,
    },
    "POST /api/v1/providers": lambda _, n: {"name": f"Partner {n}"},
    "POST /api/v1/providers/{provider_id}/payments": lambda _, n: {
        "currency": "EUR", "amount_minor": 1, "bank_ref": f"B-{n}",
    },
    "POST /api/v1/hardware-units": lambda seen, n: {
        "item_id": seen.named["item_id"], "provider_id": seen.named["provider_id"], "serials": [f"N-{n}"],
        "cost_minor": 100,
    },
    "POST /api/v1/own-sales": lambda _, n: {
        "serials": [f"O-{2 + n % 4}"], "buyer": "Ada", "net_minor": 8_000, "vat_ppm": 200_000, "processor": "card",
        "receipt_ref": f"own-{n}",
    },
    "POST /api/v1/own-sales/{sale_id}/return": lambda *_: {"reason": "changed mind"},
    f"POST {_M}/hardware-orders": lambda seen, _: {**_QUOTE, "lines": [_line(seen)]},
    f"{_ORDER}/quotes": lambda seen, _: {**_QUOTE, "lines": [_line(seen)]},
    f"{_ORDER}/accept": lambda *_: {"quote_no": 1, "pays_by": "transfer"},
    f"{_ORDER}/cancel": lambda *_: {"reason": "no space"},
    f"{_ORDER}/ship": lambda seen, n: {"serials": _at(seen, 2 + n % 4)},
    f"{_ORDER}/return": lambda seen, n: {"serials": _at(seen, n % 2), "reason": "broken", "restock": True},
    f"POST {_M}/work-orders": lambda seen, n: {**_WORK_OF, "serials": _at(seen, n % 6)},
    f"{_WORK}/appoint": lambda *_: {"at": "2018-09-10T09:00:00Z"},
    f"{_WORK}/finish": lambda *_: {"on": "2018-09-03", "evidence": "signed"},
    f"POST {_M}/service-agreements/retainers": lambda *_: {**_AGREED, "retainer_minor": 100},
    f"POST {_M}/service-agreements/shares": lambda *_: {**_AGREED, **_SHARE},
    f"{_AGREEMENT}/accept": lambda *_: {"pays_by": "netting"},
    f"{_AGREEMENT}/end": lambda *_: {"ends_on": "2018-12-01"},
}  # fmt: skip
