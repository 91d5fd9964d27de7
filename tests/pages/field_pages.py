"""Who may open the pages of winning merchants: people of the field, distributors, and growth."""

from marketplace.core.users import OPS_ROLES, SALES_ROLES, UserRole

_OPS = OPS_ROLES | {UserRole.ADMIN}
_GROWTH = {UserRole.GROWTH, UserRole.ADMIN}
_FIELD = (
    *("GET /field", "GET /field/leads/{lead_id}", "POST /field/leads/{lead_id}/moves"),
    *("POST /field/leads/{lead_id}/touches", "GET /field/pool", "GET /field/visits", "POST /field/visits"),
    *("POST /field/visits/{visit_id}/{step}", "GET /field/commissions"),
)
_STEERED = ("goals", "reviews", "alerts", "costs")
FIELD_PAGES: dict[str, set[UserRole]] = {
    **{page: set(SALES_ROLES) for page in _FIELD},
    "POST /field/pools/{pool_id}/claim": {UserRole.SALES_REP},
    "GET /field/territory": {UserRole.SALES_MANAGER},
    "POST /field/visits/{visit_id}/review": {UserRole.SALES_MANAGER},
    **{f"GET /distributor{path}": {UserRole.DISTRIBUTOR} for path in ("", "/commissions")},
    **{f"GET /ops/{name}": set(_OPS) for name in ("funnel", "leads", "leads/{lead_id}", "agents")},
    **{f"GET /ops/{name}": set(_OPS) for name in _STEERED},
    **{f"POST /ops/{name}": set(_GROWTH) for name in _STEERED},
}
