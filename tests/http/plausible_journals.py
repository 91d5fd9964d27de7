"""Who may call the operations of journals by hand, disputes of lines and exchange, and with which ids and bodies."""

from collections.abc import Callable
from typing import Any

import httpx

from marketplace.core.users import UserRole
from tests.http import plausible_products
from tests.http.market import ALPHA

_CONTROL = {UserRole.CONTROLLER, UserRole.ADMIN}
_FINANCE = _CONTROL | {UserRole.ACCOUNTANT}
_BOOKS = {UserRole.MERCHANT_OWNER, UserRole.MERCHANT_MANAGER}
_STAFF = _FINANCE | {UserRole.GROWTH, UserRole.INCENTIVES, UserRole.APPROVER}
_M = "/api/v1/merchants/{merchant_id}"
_D = f"{_M}/line-disputes/{{line_dispute_id}}"
_J = "/api/v1/merchants/{merchant_id}/journals"

ROUTES: dict[str, set[UserRole]] = {
    "GET /api/v1/journals": _FINANCE,
    f"POST {_J}": _FINANCE,
    f"GET {_J}/{{journal_id}}": _FINANCE,
    f"POST {_J}/{{journal_id}}/approve": _FINANCE,
    f"POST {_J}/{{journal_id}}/reject": _FINANCE,
    f"POST {_J}/{{journal_id}}/withdraw": _FINANCE,
    f"POST {_J}/{{journal_id}}/reverse": _FINANCE,
    "POST /api/v1/merchants/{merchant_id}/goodwill": _FINANCE,
    "GET /api/v1/journal-limits": _FINANCE,
    "POST /api/v1/journal-limits": _CONTROL,
    "GET /api/v1/line-disputes": _FINANCE | _BOOKS,
    f"POST {_M}/line-disputes": _BOOKS,
    f"GET {_D}": _FINANCE | _BOOKS,
    f"GET {_D}/messages": _FINANCE | _BOOKS,
    f"POST {_D}/messages": _FINANCE | _BOOKS,
    f"POST {_D}/withdraw": _BOOKS,
    f"POST {_D}/review": _FINANCE,
    f"POST {_D}/accept": _FINANCE,
    f"POST {_D}/decline": _FINANCE,
    "GET /api/v1/entity-currencies": _STAFF,
    "POST /api/v1/entity-currencies": _CONTROL,
    "GET /api/v1/exchange-rates": _FINANCE,
    "POST /api/v1/exchange-rates": _FINANCE,
    "POST /api/v1/exchange-rates/{rate_id}/approve": _FINANCE,
    "POST /api/v1/exchange-rates/{rate_id}/reject": _FINANCE,
    f"POST {_M}/exchanges": _FINANCE,
    f"GET {_M}/exchanges": _FINANCE | _BOOKS,
    "POST /api/v1/bank-exchanges": _FINANCE,
    "POST /api/v1/exchange-revaluations": _FINANCE,
}

REAL: dict[tuple[str, ...], str] = {
    ("rate_id",): "SELECT rate_id FROM billing.exchange_rate ORDER BY state DESC, rate_id",
    ("merchant_id", "line_dispute_id"): "SELECT merchant_id, line_dispute_id FROM billing.line_dispute ORDER BY 2",
    ("merchant_id", "journal_id"): "SELECT merchant_id, journal_id FROM billing.journal ORDER BY state, journal_id",
}

RIPE: dict[str, str] = {
    f"POST {_J}/{{journal_id}}/approve": "FROM billing.journal WHERE state = 'proposed'",
    f"POST {_J}/{{journal_id}}/reject": "FROM billing.journal WHERE state = 'proposed'",
    "POST /api/v1/exchange-rates/{rate_id}/approve": "FROM billing.exchange_rate WHERE state = 'proposed'",
    "POST /api/v1/exchange-rates/{rate_id}/reject": "FROM billing.exchange_rate WHERE state = 'proposed'",
    f"POST {_M}/line-disputes": f"FROM supply.merchant WHERE merchant_id = {ALPHA}",
    f"POST {_D}/review": "FROM billing.line_dispute WHERE state = 'open'",
    f"POST {_D}/accept": "FROM billing.line_dispute WHERE state = 'in_review' AND journal_id IS NULL",
    f"POST {_D}/messages": "FROM billing.line_dispute WHERE state IN ('open', 'in_review')",
    f"POST {_D}/withdraw": "FROM billing.line_dispute WHERE state IN ('open', 'in_review')",
    f"POST {_D}/decline": "FROM billing.line_dispute WHERE state = 'open'",
    f"POST {_J}/{{journal_id}}/reverse": "FROM billing.journal WHERE state = 'posted'",
}


async def named(admin: httpx.AsyncClient, ids: dict[str, Any]) -> dict[str, int]:
    """Ids that bodies name: of products, of a rate from euros that was approved, of an order's settlement."""
    rates = (await admin.get("/api/v1/exchange-rates?limit=200")).json().get("items", [])  # none when its key is dead
    usable = [rate["rate_id"] for rate in rates if (rate["state"], rate["from_currency"]) == ("approved", "EUR")]
    path = f"/api/v1/merchants/{ids.get('merchant_id', ALPHA)}/entries?limit=200"
    entries = (await admin.get(path)).json().get("items", [])
    settled = [entry["entry_no"] for entry in entries if entry["kind"] == "order_settled"]
    found = await plausible_products.named(admin)
    return {**found, "rate_id": min(usable, default=1), "settled_no": min(settled, default=1)}


SENSIBLE: dict[str, Callable[[Any, int], Any]] = {
    f"POST {_J}": lambda _, n: {
        "currency": "EUR", "reason": "cash was short", "evidence": "count 7",
        "legs": [{"account": 6920, "amount_minor": n + 1}, {"account": 2900, "amount_minor": -n - 1}],
    },
    f"POST {_J}/{{journal_id}}/reject": lambda *_: {"reason": "unclear"},
    f"POST {_J}/{{journal_id}}/withdraw": lambda *_: {"reason": "a slip"},
    f"POST {_J}/{{journal_id}}/reverse": lambda *_: {"reason": "a mistake"},
    "POST /api/v1/merchants/{merchant_id}/goodwill": lambda _, n: {
        "currency": "EUR", "amount_minor": n + 1, "goodwill_reason": "outage", "reason": "down", "evidence": "t 1",
    },
    f"POST {_M}/line-disputes": lambda seen, _: {
        "entry_no": seen.named["settled_no"], "disputed_minor": 1, "text": "too much",
    },
    f"POST {_D}/messages": lambda *_: {"text": "which contract?"},
    f"POST {_D}/accept": lambda *_: {"amount_minor": 1, "reason": "right"},
    f"POST {_D}/decline": lambda *_: {"reason": "as agreed"},
    "POST /api/v1/entity-currencies": lambda _, n: {"entity_id": 1, "currency": ("CHF", "GBP", "SEK", "NOK")[n % 4]},
    "POST /api/v1/exchange-rates": lambda _, n: {
        "from_currency": "EUR", "to_currency": "USD", "rate_on": f"2018-08-{n % 28 + 1:02}", "rate": "1.0856",
        "source": "ECB",
    },
    f"POST {_M}/exchanges": lambda seen, _: {
        "rate_id": seen.named["rate_id"], "from_minor": 1, "reason": "asked for",
    },
    "POST /api/v1/bank-exchanges": lambda _, n: {
        "entity_id": 1, "from_currency": "EUR", "from_minor": 100, "to_currency": "USD", "to_minor": 108 + n,
        "exchanged_on": "2018-09-01", "bank_ref": f"FX-{n}", "reason": "covers it",
    },
    "POST /api/v1/exchange-revaluations": lambda *_: {"entity_id": 1, "revalued_on": "2018-09-03"},
    "POST /api/v1/journal-limits": lambda _, n: {"entity_id": 1, "currency": "EUR", "accountant_minor": 1_000 * n},
}  # fmt: skip
