"""Who may open the pages about people."""

from marketplace.core.users import FINANCE_ROLES, OPS_ROLES, STAFF_ROLES, UserRole

ACCOUNT = (
    "GET /account",
    "POST /account/email",
    "POST /account/password",
    "POST /account/second-factor",
    "POST /account/second-factor/confirm",
    "POST /account/second-factor/recovery-codes",
    "POST /account/second-factor/remove",
    "POST /account/sessions/revoke-others",
    "POST /account/sessions/{session_id}/revoke",
)
TEAM = (
    "GET ",
    "POST /invite",
    "POST /invitations/{link_id}/withdraw",
    "POST /{user_id}/roles",
    "POST /{user_id}/remove",
    "POST /{user_id}/return",
)
TOLD = set(STAFF_ROLES) | {UserRole.MERCHANT_OWNER, UserRole.MERCHANT_MANAGER}
PEOPLE_PAGES: dict[str, set[UserRole] | None] = {
    "GET /sign-in/code": None,
    "POST /sign-in/code": None,
    "GET /sign-in/provider": None,
    "GET /sign-in/provider/back": None,
    "GET /switch": set(UserRole),
    "POST /switch": set(UserRole),
    "GET /join": None,
    "POST /join": None,
    "GET /reset": None,
    "POST /reset": None,
    "GET /reset/new": None,
    "POST /reset/new": None,
    **{deed: set(UserRole) for deed in ACCOUNT},
    **{deed.replace(" ", " /merchant/team"): {UserRole.MERCHANT_OWNER} for deed in TEAM},
    **{deed.replace(" ", " /books/{merchant_id}/team"): {UserRole.ADMIN} for deed in TEAM},
    **{deed.replace(" ", " /ops/people"): {UserRole.ADMIN} for deed in TEAM},
    "POST /books/{merchant_id}/view-as": set(STAFF_ROLES),
    "POST /view-as/end": set(UserRole),
    **{deed: set(TOLD) for deed in ("GET /notices", "POST /notices/mails")},
    "GET /audit": set(STAFF_ROLES),
    "GET /finance/checks/progress": set(FINANCE_ROLES | {UserRole.ADMIN}),
    "GET /finance/runs/{run_id}/progress": set(FINANCE_ROLES | {UserRole.ADMIN}),
    "GET /finance/files/{file_id}/progress": set(FINANCE_ROLES | {UserRole.ADMIN}),
    "GET /ops/burn/{owner}/{owner_id}/progress": set(OPS_ROLES | {UserRole.ADMIN}),
    "GET /ops/promotions/{promotion_id}/simulations/{simulation_id}/progress": set(OPS_ROLES | {UserRole.ADMIN}),
    "GET /styleguide": set(STAFF_ROLES),
}
