"""Who may call the operations of acquisition, ids, what is ripe and bodies for them, for `plausible` and the roles."""

from collections.abc import Callable
from typing import Any

import httpx

from marketplace.core.users import UserRole

_SALES = {UserRole.SALES_REP, UserRole.SALES_MANAGER}
_GROWTH = {UserRole.GROWTH, UserRole.ADMIN}
_STAFF = _GROWTH | {UserRole.INCENTIVES, UserRole.APPROVER, UserRole.ACCOUNTANT, UserRole.CONTROLLER}
_READ, _WORK = _STAFF | _SALES, _GROWTH | _SALES
_SEEN = _READ | {UserRole.DISTRIBUTOR}
_V1 = "/api/v1"
_LEAD = f"{_V1}/leads/{{lead_id}}"
_POOL = f"{_V1}/lead-pools/{{pool_id}}"
_AREA = f"{_V1}/territories/{{territory_id}}"

ROUTES: dict[str, set[UserRole]] = {
    f"GET {_V1}/leads": _SEEN,
    f"POST {_V1}/leads": _WORK,
    f"GET {_LEAD}": _SEEN,
    f"PATCH {_LEAD}": _WORK,
    f"POST {_LEAD}/moves": _WORK,
    f"GET {_LEAD}/history": _READ,
    f"POST {_LEAD}/touches": _WORK,
    f"POST {_LEAD}/merge": _WORK,
    f"GET {_LEAD}/attribution": _READ,
    f"GET {_LEAD}/stages": _SEEN,
    f"POST {_LEAD}/stages": _WORK,
    f"POST {_LEAD}/stages/{{event_id}}/void": _WORK,
    f"GET {_V1}/lead-pools": _READ,
    f"POST {_V1}/lead-pools": _GROWTH,
    f"GET {_POOL}": _READ,
    f"PUT {_POOL}": _GROWTH,
    f"GET {_POOL}/leads": _READ,
    f"POST {_POOL}/claim": _WORK,
    f"POST {_POOL}/deal": _GROWTH | {UserRole.SALES_MANAGER},
    f"GET {_V1}/lead-scorings": _READ,
    f"POST {_V1}/lead-scorings": _GROWTH,
    f"GET {_V1}/territories": _READ,
    f"POST {_V1}/territories": _GROWTH,
    f"GET {_AREA}": _READ,
    f"PATCH {_AREA}": _GROWTH,
    f"GET {_AREA}/areas": _STAFF,
    f"POST {_AREA}/areas": _GROWTH,
    f"GET {_V1}/reps": _READ,
    f"POST {_V1}/reps": _GROWTH,
    f"GET {_V1}/reps/{{user_id}}": _READ,
    f"PATCH {_V1}/reps/{{user_id}}": _GROWTH,
    f"GET {_V1}/channels": _READ,
    f"POST {_V1}/channels": _GROWTH,
    f"GET {_V1}/channels/{{channel_id}}": _READ,
    f"PATCH {_V1}/channels/{{channel_id}}": _GROWTH,
    f"GET {_V1}/channel-costs": _STAFF,
    f"POST {_V1}/channel-costs": _GROWTH,
    f"GET {_V1}/channel-economics": _STAFF,
    f"GET {_V1}/funnels": _READ,
    f"POST {_V1}/funnels": _GROWTH,
    f"GET {_V1}/funnels/{{model}}": _READ,
    f"GET {_V1}/funnels/{{model}}/stuck": _READ,
    f"GET {_V1}/funnels/{{model}}/won": _STAFF,
}

REAL: dict[tuple[str, ...], str] = {
    ("lead_id",): "SELECT lead_id FROM supply.lead ORDER BY 1",
    ("lead_id", "event_id"): "SELECT lead_id, event_id FROM supply.stage_event ORDER BY 2",
    ("pool_id",): "SELECT pool_id FROM supply.lead_pool ORDER BY 1",
    ("territory_id",): "SELECT territory_id FROM supply.territory ORDER BY 1",
    ("user_id",): "SELECT user_id FROM supply.rep ORDER BY 1",
    ("channel_id",): "SELECT channel_id FROM supply.channel WHERE channel_id > 5 ORDER BY 1",
    ("model",): "SELECT DISTINCT model FROM supply.funnel ORDER BY 1",
}

RIPE: dict[str, str] = {
    f"POST {_LEAD}/moves": "FROM supply.lead WHERE state IN ('new', 'pooled') AND model = 'platform'",
    f"PATCH {_LEAD}": "FROM supply.lead WHERE state <> 'merged'",
    f"POST {_LEAD}/touches": "FROM supply.lead WHERE state <> 'merged'",
    f"POST {_LEAD}/stages": "FROM supply.lead WHERE state <> 'merged' AND model = 'platform'",
    f"POST {_LEAD}/merge": "FROM supply.lead WHERE state IN ('new', 'pooled') AND model = 'platform'",
    f"POST {_LEAD}/stages/{{event_id}}/void": "FROM supply.stage_event e WHERE voids IS NULL"
    " AND NOT EXISTS (SELECT FROM supply.stage_event v WHERE v.voids = e.event_id)",
}


async def named(admin: httpx.AsyncClient) -> dict[str, int]:
    """Ids that bodies name."""
    leads = (await admin.get("/api/v1/leads", params={"model": "platform"})).json()["items"]
    reps = (await admin.get("/api/v1/reps")).json()["items"]
    areas = (await admin.get("/api/v1/territories")).json()
    survivor = next(lead["lead_id"] for lead in leads if lead["company"] == "The survivor")
    return {"surviving_lead": survivor, "rep": reps[0]["user_id"], "territory": areas[0]["territory_id"]}


_CSV = "ref,channel,campaign,day,kind,currency,amount\nc-{n},online.ads,spring,2018-08-01,media,EUR,12.50\n"
_CRITERION = {"part": "fit", "field": "channel", "any_of": ["online"], "points": 20}

SENSIBLE: dict[str, Callable[[Any, int], Any]] = {
    f"POST {_V1}/leads": lambda _, n: {
        "model": "platform", "company": f"Shop {n}", "channel": "online.form", "city": "Bonn", "region": "NRW",
    },
    f"PATCH {_LEAD}": lambda *_: {"phone": "+49 30 1234567"},
    f"POST {_LEAD}/moves": lambda *_: {"move": "lose", "reason": "no need"},
    f"POST {_LEAD}/touches": lambda *_: {"kind": "call", "channel": "offline.field", "note": "asked for a price"},
    f"POST {_LEAD}/merge": lambda seen, _: {"into": seen.named.get("surviving_lead", 1), "reason": "the same shop"},
    f"POST {_LEAD}/stages": lambda *_: {"stage": "qualified", "at": "2018-09-02T10:00:00Z"},
    f"POST {_V1}/lead-pools": lambda _, n: {"name": f"pool {n}"},
    f"PUT {_POOL}": lambda _, n: {"name": f"another pool {n}", "daily_max": 30},
    f"POST {_POOL}/claim": lambda seen, _: {"rep_id": seen.named.get("rep", 1)},
    f"POST {_POOL}/deal": lambda *_: {"count": 1},
    f"POST {_V1}/lead-scorings": lambda *_: {"criteria": [_CRITERION], "fit_min": 50, "engagement_min": 0},
    f"POST {_V1}/territories": lambda _, n: {"name": f"area {n}"},
    f"PATCH {_AREA}": lambda *_: {"manager": None},
    f"POST {_AREA}/areas": lambda _, n: {"region": "Bavaria", "city": f"Town {n}"},
    f"POST {_V1}/reps": lambda seen, n: {"login": f"spare rep {n % 9}", "territory_id": seen.named.get("territory", 1)},
    f"PATCH {_V1}/reps/{{user_id}}": lambda *_: {"active": True},
    f"POST {_V1}/channels": lambda _, n: {"parent_id": 4, "key": f"made_{n}", "name": "Made"},
    f"PATCH {_V1}/channels/{{channel_id}}": lambda *_: {"name": "Renamed"},
    f"POST {_V1}/channel-costs": lambda _, n: {"content": _CSV.format(n=n)},
    f"POST {_V1}/funnels": lambda *_: {
        "model": "tool", "stages": [{"key": "lead"}, {"key": "paid", "sla_days": 5}], "won": "paid",
        "activated": "paid",
    },
}  # fmt: skip
