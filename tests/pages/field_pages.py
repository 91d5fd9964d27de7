"""Who may open the pages of winning merchants: people of the field, distributors, and growth."""

from marketplace.core.users import OPS_ROLES, SALES_ROLES, UserRole

_OPS = OPS_ROLES | {UserRole.ADMIN}
_GROWTH = {UserRole.GROWTH, UserRole.ADMIN}
_FIELD = (
    *("GET /field", "GET /field/leads/{lead_id}", "POST /field/leads/{lead_id}/moves"),
    *("POST /field/leads/{lead_id}/touches", "GET /field/pool", "GET /field/visits", "POST /field/visits"),
    *("POST /field/visits/{visit_id}/{step}", "GET /field/commissions"),
    *("GET /field/fairs", "GET /field/fairs/{fair_id}", "GET /field/tasks", "POST /field/tasks/{task_id}"),
)
_STEERED = ("goals", "reviews", "alerts", "costs")
_ARRANGED = (
    *("channels", "channels/{channel_id}", "territories", "reps/{user_id}", "pools", "pools/{pool_id}", "fairs"),
)
_READ = ("territories/{territory_id}", "fairs/{fair_id}", "fairs/{fair_id}/attendees.csv")
_WEIGHED = ("economics", "economics.csv", "economics/leads")
_DONE = (
    *("territories/{territory_id}/manager", "territories/{territory_id}/areas", "territories/{territory_id}/reps"),
    *("pools/{pool_id}/deals", "fairs/{fair_id}/attendees", "fairs/{fair_id}/costs"),
)
FIELD_PAGES: dict[str, set[UserRole]] = {
    **{page: set(SALES_ROLES) for page in _FIELD},
    "POST /field/pools/{pool_id}/claim": {UserRole.SALES_REP},
    "GET /field/territory": {UserRole.SALES_MANAGER},
    "POST /field/visits/{visit_id}/review": {UserRole.SALES_MANAGER},
    **{f"GET /distributor{path}": {UserRole.DISTRIBUTOR} for path in ("", "/commissions")},
    **{f"GET /ops/{name}": set(_OPS) for name in ("funnel", "leads", "leads/{lead_id}", "agents")},
    **{f"GET /ops/{name}": set(_OPS) for name in _STEERED},
    **{f"POST /ops/{name}": set(_GROWTH) for name in _STEERED},
    **{f"GET /ops/{name}": set(_OPS) for name in (*_ARRANGED, *_READ, *_WEIGHED)},
    **{f"POST /ops/{name}": set(_GROWTH) for name in (*_ARRANGED, *_DONE)},
    "POST /field/fairs/{fair_id}/scans": {UserRole.SALES_REP},
    "POST /field/pools/{pool_id}/deals": {UserRole.SALES_MANAGER},
}
