"""Who may call the operations of journals by hand, ids, what is ripe and bodies for them."""

from collections.abc import Callable
from typing import Any

from marketplace.core.users import UserRole

_CONTROL = {UserRole.CONTROLLER, UserRole.ADMIN}
_FINANCE = _CONTROL | {UserRole.ACCOUNTANT}
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
}

REAL: dict[tuple[str, ...], str] = {
    ("merchant_id", "journal_id"): "SELECT merchant_id, journal_id FROM billing.journal ORDER BY state, journal_id",
}

RIPE: dict[str, str] = {
    f"POST {_J}/{{journal_id}}/approve": "FROM billing.journal WHERE state = 'proposed'",
    f"POST {_J}/{{journal_id}}/reject": "FROM billing.journal WHERE state = 'proposed'",
    f"POST {_J}/{{journal_id}}/reverse": "FROM billing.journal WHERE state = 'posted'",
}

SENSIBLE: dict[str, Callable[[Any, int], Any]] = {
    f"POST {_J}": lambda _, n: {
        "currency": "EUR", "reason": "cash was short", "evidence": "count 7",
        "legs": [{"account": 6920, "amount_minor": n + 1}, {"account": 2900, "amount_minor": -n - 1}],
    },
    f"POST {_J}/{{journal_id}}/approve": lambda *_: {},
    f"POST {_J}/{{journal_id}}/reject": lambda *_: {"reason": "unclear"},
    f"POST {_J}/{{journal_id}}/withdraw": lambda *_: {"reason": "a slip"},
    f"POST {_J}/{{journal_id}}/reverse": lambda *_: {"reason": "a mistake"},
    "POST /api/v1/merchants/{merchant_id}/goodwill": lambda _, n: {
        "currency": "EUR", "amount_minor": n + 1, "goodwill_reason": "outage", "reason": "down", "evidence": "t 1",
    },
    "POST /api/v1/journal-limits": lambda _, n: {"entity_id": 1, "currency": "EUR", "accountant_minor": 1_000 * n},
}  # fmt: skip
