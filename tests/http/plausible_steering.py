"""Who may call the operations of steering, ids and bodies for them, for `plausible` and the roles."""

from collections.abc import Callable
from typing import Any

from marketplace.core.users import SALES_ROLES, UserRole

_GROWTH = {UserRole.GROWTH, UserRole.ADMIN}
_STAFF = _GROWTH | {UserRole.INCENTIVES, UserRole.APPROVER, UserRole.ACCOUNTANT, UserRole.CONTROLLER}
_SELLING = _GROWTH | {UserRole.INCENTIVES, UserRole.APPROVER, UserRole.STOREFRONT}
_V1 = "/api/v1"

ROUTES: dict[str, set[UserRole]] = {
    f"GET {_V1}/metrics": _STAFF,
    f"GET {_V1}/metrics/figures": _STAFF,
    f"GET {_V1}/metrics/explain": _STAFF,
    f"GET {_V1}/metrics/{{metric}}": _STAFF,
    f"GET {_V1}/observations": _STAFF,
    f"POST {_V1}/observations": _SELLING,
    f"GET {_V1}/alerts": _STAFF,
    f"POST {_V1}/alerts": _GROWTH,
    f"GET {_V1}/alerts/{{rule_id}}": _STAFF,
    f"PATCH {_V1}/alerts/{{rule_id}}": _GROWTH,
    f"GET {_V1}/goals": _STAFF | SALES_ROLES,
    f"POST {_V1}/goals": _GROWTH,
    f"GET {_V1}/goals/{{goal_id}}": _STAFF | SALES_ROLES,
    f"PATCH {_V1}/goals/{{goal_id}}": _GROWTH,
    f"GET {_V1}/holidays": _STAFF,
    f"POST {_V1}/holidays": _GROWTH,
    f"GET {_V1}/reviews": _STAFF | SALES_ROLES,
    f"POST {_V1}/reviews": _GROWTH,
    f"GET {_V1}/reviews/{{review_id}}": _STAFF,
    f"POST {_V1}/reviews/{{review_id}}/notes": _GROWTH,
}

REAL: dict[tuple[str, ...], str] = {
    ("metric",): "SELECT unnest(ARRAY['aov', 'completed_orders', 'gross_take_rate', 'loaded_cac'])",
    ("rule_id",): "SELECT rule_id FROM metrics.alert_rule ORDER BY 1",
    ("goal_id",): "SELECT goal_id FROM metrics.goal ORDER BY 1",
    ("review_id",): "SELECT review_id FROM metrics.review ORDER BY 1",
}

_OWNER = "operator"
_DECISION = {"decision": "ask them why", "owner": _OWNER, "due_on": "2018-09-10", "metric": "refund_rate"}

SENSIBLE: dict[str, Callable[[Any, int], Any]] = {
    f"POST {_V1}/alerts": lambda _, n: {
        "name": f"bound {n}", "metric": "refund_rate", "grain": "week", "compared": "value", "side": "above",
        "bound": 50_000, "clear_bound": 40_000, "owner": _OWNER, "guards": "completed_orders",
    },
    f"POST {_V1}/observations": lambda _, n: {
        "rows": [{"day": f"2018-{1 + n % 12:02}-{1 + n // 12 % 28:02}", "name": "visitors", "count": 500}],
    },
    f"PATCH {_V1}/alerts/{{rule_id}}": lambda *_: {"active": True},
    f"POST {_V1}/goals": lambda _, n: {
        "metric": "completed_orders", "grain": "week", "on": f"2019-{1 + n % 12:02}-{1 + n // 12 % 28:02}",
        "target": 100, "owner": _OWNER, "reason": "to grow",
    },
    f"PATCH {_V1}/goals/{{goal_id}}": lambda *_: {"target": 120, "reason": "it goes well"},
    f"POST {_V1}/holidays": lambda _, n: {"day": f"2018-12-{1 + n % 28:02}", "name": "A holiday"},
    f"POST {_V1}/reviews": lambda *_: {
        "on": "2018-08-29", "causes": "fewer new merchants", "learned": "call them", "decisions": [_DECISION],
    },
    f"POST {_V1}/reviews/{{review_id}}/notes": lambda *_: {"note": "they were asked", "decision_no": 1},
}  # fmt: skip
