"""Who may call the operations of incentives, ids, what is ripe and bodies; `plausible` and the roles add them."""

from collections.abc import Callable
from typing import Any

from marketplace.core.users import UserRole
from tests.http.busy_incentives import CAMPAIGN, SCHEDULE, TERMS
from tests.http.market import ALPHA
from tests.incentives.market import WARNED

_OPS = {UserRole.GROWTH, UserRole.INCENTIVES, UserRole.APPROVER, UserRole.ADMIN}
_STAFF = _OPS | {UserRole.ACCOUNTANT, UserRole.CONTROLLER}
_BOOKS = {UserRole.MERCHANT_OWNER, UserRole.MERCHANT_MANAGER}
_APPROVING = {UserRole.APPROVER, UserRole.ADMIN}

_CAMPAIGN = "/api/v1/incentive-campaigns/{campaign_id}"
_PROMOTION = "/api/v1/promotions/{promotion_id}"
_CHANGE = "/api/v1/incentive-changes/{change_id}"
_EVENTS = "/api/v1/merchants/{merchant_id}/incentive-events"
_JOIN = "POST /api/v1/merchants/{merchant_id}/promotions/{promotion_id}/opt-in"

ROUTES: dict[str, set[UserRole]] = {
    "GET /api/v1/incentive-campaigns": _STAFF,
    "POST /api/v1/incentive-campaigns": _OPS,
    f"GET {_CAMPAIGN}": _STAFF,
    f"PATCH {_CAMPAIGN}": _OPS,
    f"POST {_CAMPAIGN}/moves": _OPS,
    f"GET {_CAMPAIGN}/steps": _STAFF,
    "GET /api/v1/promotions": _STAFF,
    "POST /api/v1/promotions": _OPS,
    f"GET {_PROMOTION}": _STAFF,
    f"POST {_PROMOTION}/moves": _OPS,
    f"GET {_PROMOTION}/steps": _STAFF,
    f"GET {_PROMOTION}/versions": _STAFF,
    f"POST {_PROMOTION}/versions": _OPS,
    f"POST {_PROMOTION}/simulations": _OPS,
    f"GET {_PROMOTION}/simulations": _STAFF,
    f"GET {_PROMOTION}/simulations/{{simulation_id}}": _STAFF,
    f"GET {_PROMOTION}/exposures": _STAFF,
    f"GET {_PROMOTION}/review": _STAFF,
    f"POST {_PROMOTION}/review": _OPS,
    f"POST {_PROMOTION}/versions/{{version_no}}/approve": _APPROVING,
    f"POST {_PROMOTION}/versions/{{version_no}}/reject": _APPROVING,
    "GET /api/v1/merchants/{merchant_id}/promotions": _STAFF | _BOOKS | {UserRole.MERCHANT_CASHIER},
    _JOIN: _OPS | _BOOKS,
    f"GET {_PROMOTION}/codes": _OPS,
    f"POST {_PROMOTION}/codes": _OPS,
    f"POST {_PROMOTION}/codes/{{code}}/void": _OPS,
    "GET /api/v1/merchants/{merchant_id}/rewards": _STAFF | _BOOKS | {UserRole.MERCHANT_CASHIER},
    "GET /api/v1/merchants/{merchant_id}/rewards/grants": _STAFF | _BOOKS | {UserRole.MERCHANT_CASHIER},
    "GET /api/v1/merchants/{merchant_id}/vouchers": _STAFF | _BOOKS | {UserRole.MERCHANT_CASHIER},
    "POST /api/v1/promotions/evaluate": _OPS,
    f"POST {_EVENTS}": _OPS,
    f"POST {_EVENTS}/reverse": _OPS,
    "GET /api/v1/budgets": _STAFF,
    "GET /api/v1/budgets/{budget_id}": _STAFF,
    "GET /api/v1/incentive-changes": _STAFF,
    "POST /api/v1/incentive-changes": _OPS,
    f"POST {_CHANGE}/approve": _APPROVING,
    f"POST {_CHANGE}/reject": _APPROVING,
}

REAL: dict[tuple[str, ...], str] = {
    ("campaign_id",): "SELECT campaign_id FROM incentives.campaign ORDER BY 1",
    ("promotion_id",): "SELECT promotion_id FROM incentives.promotion ORDER BY 1",
    ("promotion_id", "version_no"): "SELECT promotion_id, version_no FROM incentives.promotion_version ORDER BY 2 DESC",
    ("promotion_id", "simulation_id"): "SELECT promotion_id, simulation_id FROM incentives.simulation ORDER BY 2",
    ("merchant_id", "promotion_id"): "SELECT merchant_id, promotion_id FROM incentives.opt_in ORDER BY 1",
    ("buyer_id", "promotion_id"): "SELECT buyer_id, promotion_id FROM incentives.buyer_opt_in ORDER BY 1",
    ("promotion_id", "code"): "SELECT promotion_id, code FROM incentives.promotion_code ORDER BY 2",
    ("budget_id",): "SELECT budget_id FROM incentives.budget ORDER BY 1",
    ("change_id",): "SELECT change_id FROM incentives.change ORDER BY 1",
}

_PROPOSED_VERSION = "FROM incentives.promotion_version WHERE state = 'proposed' AND version_no > 1"
_PROPOSED_CHANGE = "FROM incentives.change WHERE state = 'proposed'"

RIPE: dict[str, str] = {
    f"PATCH {_CAMPAIGN}": "FROM incentives.campaign WHERE state = 'draft'",
    f"POST {_CAMPAIGN}/moves": "FROM incentives.campaign WHERE state = 'draft'",
    f"POST {_PROMOTION}/moves": "FROM incentives.promotion WHERE state = 'draft'",
    f"POST {_PROMOTION}/versions": "FROM incentives.promotion WHERE state = 'draft'",
    f"POST {_PROMOTION}/versions/{{version_no}}/approve": _PROPOSED_VERSION,
    f"POST {_PROMOTION}/versions/{{version_no}}/reject": _PROPOSED_VERSION,
    f"POST {_PROMOTION}/codes": "FROM incentives.promotion WHERE name = 'five off'",
    f"POST {_PROMOTION}/codes/{{code}}/void": "FROM incentives.promotion_code WHERE state = 'issued'",
    f"POST {_CHANGE}/approve": _PROPOSED_CHANGE,
    f"POST {_CHANGE}/reject": _PROPOSED_CHANGE,
}

SENSIBLE: dict[str, Callable[[Any, int], Any]] = {
    "POST /api/v1/incentive-campaigns": lambda _, n: {"name": f"spring {n}", **CAMPAIGN},
    f"PATCH {_CAMPAIGN}": lambda _, n: {"name": f"winter {n}"},
    f"POST {_CAMPAIGN}/moves": lambda *_: {"move": "submit"},
    "POST /api/v1/promotions": lambda seen, n: {
        "campaign_id": seen.named["incentive_campaign"],
        "terms": {"name": f"offer {n}", **TERMS, "schedule": {**SCHEDULE, "ends": "2018-11-30"}},
    },
    f"POST {_PROMOTION}/moves": lambda *_: {"move": "submit"},
    f"POST {_PROMOTION}/versions": lambda _, n: {"terms": {"name": f"better {n}", **TERMS}},
    f"POST {_PROMOTION}/versions/{{version_no}}/approve": lambda *_: {"acknowledged": WARNED},
    f"POST {_PROMOTION}/simulations": lambda *_: {"from_on": "2018-05-01", "to_on": "2018-05-31"},
    "POST /api/v1/promotions/evaluate": lambda *_: {
        "on": "order.settled", "merchant_id": ALPHA, "currency": "EUR", "lines": [{"amount_minor": 12_000}],
    },
    f"POST {_EVENTS}": lambda _, n: {"event_id": f"deed-{n}", "name": "training", "currency": "EUR"},
    f"POST {_EVENTS}/reverse": lambda *_: {"event_id": "deed"},
    f"POST {_PROMOTION}/codes": lambda *_: {"count": 2, "expires_at": "2019-01-01T00:00:00Z"},
    "POST /api/v1/incentive-changes": lambda seen, n: {
        "owner": "campaign", "owner_id": seen.named["incentive_campaign"], "reason": "it goes well",
        "edit": {"to": "end", "ends": f"2018-12-{n % 20 + 1:02}"},
    },
}  # fmt: skip
