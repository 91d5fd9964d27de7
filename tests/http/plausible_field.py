"""Who may call the operations of visits, fairs, agents and referrals, ids, and bodies for them."""

from collections.abc import Callable
from typing import Any

import httpx

from marketplace.core.users import UserRole
from tests.http.market import ALPHA, BETA

_REP, _MANAGER = UserRole.SALES_REP, UserRole.SALES_MANAGER
_SALES = {_REP, _MANAGER}
_GROWTH = {UserRole.GROWTH, UserRole.ADMIN}
_FINANCE = {UserRole.ACCOUNTANT, UserRole.CONTROLLER, UserRole.ADMIN}
_STAFF = _GROWTH | _FINANCE | {UserRole.INCENTIVES, UserRole.APPROVER}
_READ, _WORK = _STAFF | _SALES, _GROWTH | _SALES
_BOOKS = {UserRole.MERCHANT_OWNER, UserRole.MERCHANT_MANAGER}
_EARNING = _READ | {UserRole.DISTRIBUTOR}
_V1 = "/api/v1"
_VISIT = f"{_V1}/visits/{{visit_id}}"
_FAIR = f"{_V1}/fairs/{{fair_id}}"
_AGENT = f"{_V1}/agents/{{agent_id}}"
_CODE = f"{_V1}/referral-codes/{{code}}"

ROUTES: dict[str, set[UserRole]] = {
    f"GET {_V1}/leads/{{lead_id}}/sites": _READ,
    f"POST {_V1}/leads/{{lead_id}}/sites": _WORK,
    f"GET {_V1}/visits": _READ,
    f"POST {_V1}/visits": _WORK,
    f"GET {_VISIT}": _READ,
    f"POST {_VISIT}/check-in": _SALES,
    f"POST {_VISIT}/check-out": _SALES,
    f"POST {_VISIT}/cancel": _WORK,
    f"POST {_VISIT}/review": _GROWTH | {_MANAGER},
    f"POST {_V1}/visit-syncs": _SALES,
    f"GET {_V1}/fairs": _READ,
    f"POST {_V1}/fairs": _GROWTH,
    f"GET {_FAIR}": _READ,
    f"GET {_FAIR}/attendees": _READ,
    f"POST {_FAIR}/attendees": _GROWTH,
    f"POST {_FAIR}/scans": _SALES,
    f"POST {_FAIR}/costs": _GROWTH,
    f"GET {_FAIR}/report": _STAFF,
    f"GET {_V1}/lead-tasks": _READ,
    f"POST {_V1}/lead-tasks": _WORK,
    f"POST {_V1}/lead-tasks/{{task_id}}/end": _WORK,
    f"GET {_V1}/agent-plans": _READ,
    f"POST {_V1}/agent-plans": _FINANCE,
    f"GET {_V1}/agents": _EARNING,
    f"POST {_V1}/agents": _GROWTH,
    f"GET {_AGENT}": _EARNING,
    f"GET {_AGENT}/people": _STAFF,
    f"POST {_AGENT}/people": _GROWTH,
    f"DELETE {_AGENT}/people/{{user_id}}": _GROWTH,
    f"PATCH {_AGENT}": _GROWTH,
    f"GET {_AGENT}/commissions": _EARNING,
    f"GET {_AGENT}/statement": _EARNING,
    f"POST {_V1}/leads/{{lead_id}}/agent": _GROWTH,
    f"GET {_V1}/team-comparison": _STAFF,
    f"GET {_V1}/merchant-growth": _STAFF,
    f"GET {_V1}/referral-programmes": _STAFF,
    f"POST {_V1}/referral-programmes": _GROWTH,
    f"GET {_V1}/referral-codes": _STAFF,
    f"POST {_V1}/referral-codes": _GROWTH,
    f"GET {_CODE}": _STAFF,
    f"PATCH {_CODE}": _GROWTH,
    f"GET {_V1}/merchants/{{merchant_id}}/referral-codes": _STAFF | _BOOKS,
    f"GET {_V1}/merchants/{{merchant_id}}/referrals": _STAFF | _BOOKS,
    f"GET {_V1}/referrals": _READ,
    f"POST {_V1}/referrals": _WORK,
    f"GET {_V1}/referrals/{{referral_id}}": _STAFF,
}

REAL: dict[tuple[str, ...], str] = {
    ("visit_id",): "SELECT visit_id FROM supply.visit ORDER BY 1",
    ("fair_id",): "SELECT fair_id FROM supply.fair ORDER BY 1",
    ("task_id",): "SELECT task_id FROM supply.lead_task ORDER BY 1",
    ("agent_id",): "SELECT agent_id FROM supply.agent ORDER BY 1",
    ("agent_id", "user_id"): "SELECT a.agent_id, u.user_id FROM supply.agent a, core.app_user u ORDER BY 1, 2 LIMIT 9",
    ("code",): "SELECT code FROM supply.referral_code ORDER BY 1",
    ("referral_id",): "SELECT referral_id FROM supply.referral ORDER BY 1",
}

_ALIVE = "FROM supply.lead WHERE state IN ('new', 'pooled')"

RIPE: dict[str, str] = {
    f"POST {_V1}/leads/{{lead_id}}/sites": _ALIVE,
    f"POST {_V1}/leads/{{lead_id}}/agent": _ALIVE,
    f"POST {_VISIT}/cancel": "FROM supply.visit WHERE state = 'planned'",
    f"POST {_VISIT}/review": "FROM supply.visit WHERE state = 'done'",
    f"POST {_AGENT}/people": "FROM supply.agent WHERE kind = 'distributor'",
    f"POST {_V1}/lead-tasks/{{task_id}}/end": "FROM supply.lead_task WHERE state = 'open'",
}

UNREACHED = {
    f"DELETE {_AGENT}/people/{{user_id}}": "only one of its people: tests/leads/test_own_view.py",
    f"POST {_VISIT}/check-in": "only the rep whose visit it is: tests/leads/test_field_front_door.py",
    f"POST {_VISIT}/check-out": "only the rep whose visit it is: tests/leads/test_field_front_door.py",
    f"POST {_V1}/visit-syncs": "only a rep: tests/leads/test_field_front_door.py",
    f"POST {_FAIR}/scans": "only a rep: tests/leads/test_field_front_door.py",
    f"GET {_FAIR}/report": "only a currency that there is: tests/leads/test_field_front_door.py",
    f"GET {_V1}/team-comparison": "only a currency that there is: tests/leads/test_field_front_door.py",
    f"GET {_V1}/merchant-growth": "only a currency that there is: tests/leads/test_field_front_door.py",
}


async def named(admin: httpx.AsyncClient) -> dict[str, int]:
    """Ids that bodies name."""
    agents = (await admin.get("/api/v1/agents")).json()["items"]
    held = (await admin.get("/api/v1/visits")).json()["items"]
    return {"agent": agents[0]["agent_id"], "held_lead": held[-1]["lead_id"]}


def _lead(seen: Any) -> int:
    found: int = seen.named.get("surviving_lead", 1)
    return found


SENSIBLE: dict[str, Callable[[Any, int], Any]] = {
    f"POST {_V1}/leads/{{lead_id}}/sites": lambda *_: {"name": "shop", "latitude": 50.73743, "longitude": 7.0982},
    f"POST {_V1}/leads/{{lead_id}}/agent": lambda seen, _: {"agent_id": seen.named.get("agent", 1)},
    f"POST {_V1}/visits": lambda seen, _: {
        "lead_id": seen.named.get("held_lead", 1), "planned_at": "2018-09-05T10:00:00Z",
    },
    f"POST {_VISIT}/review": lambda *_: {"valid": True, "reason": "the shop says so"},
    f"POST {_V1}/fairs": lambda _, n: {
        "code": f"fair_{n}", "name": f"Fair {n}", "kind": "trade_fair", "starts_on": "2018-09-05",
        "ends_on": "2018-09-06",
    },
    f"POST {_FAIR}/attendees": lambda _, n: {"attendees": [{"badge": f"x-{n}", "company": f"Guest {n}"}]},
    f"POST {_FAIR}/costs": lambda _, n: {
        "ref": f"f-{n}", "kind": "event", "spent_on": "2018-09-03", "currency": "EUR", "amount_minor": 1_000,
    },
    f"POST {_V1}/lead-tasks": lambda seen, _: {"lead_id": _lead(seen), "what": "call", "due_on": "2018-09-10"},
    f"POST {_V1}/lead-tasks/{{task_id}}/end": lambda *_: {"outcome": "called"},
    f"POST {_V1}/agent-plans": lambda _, n: {
        "code": f"plan_{n}", "from_on": "2018-09-01", "terms": {"currency": "EUR", "fixed_minor": 1_000},
    },
    f"POST {_V1}/agents": lambda _, n: {"name": f"Agent {n}", "plan": "flat"},
    f"POST {_AGENT}/people": lambda *_: {"login": "the distributor"},
    f"PATCH {_AGENT}": lambda *_: {"plan": "flat"},
    f"POST {_V1}/referral-programmes": lambda _, n: {"name": f"programme_{n}", "terms": {"currency": "EUR"}},
    f"POST {_V1}/referral-codes": lambda _, n: {
        "code": f"CODE-{n}", "programme": "friends", "merchant_id": (ALPHA, BETA)[n % 2],
    },
    f"PATCH {_CODE}": lambda *_: {"active": True},
    f"POST {_V1}/referrals": lambda seen, _: {"code": "FRIEND-1", "lead_id": _lead(seen)},
}  # fmt: skip
