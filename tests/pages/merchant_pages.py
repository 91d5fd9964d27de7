"""Who may open the pages on which a merchant, or the house for it, works beside its orders and its money."""

from marketplace.core.users import STAFF_ROLES, UserRole

OWNERS = {UserRole.MERCHANT_OWNER, UserRole.MERCHANT_MANAGER}
MERCHANT = OWNERS | {UserRole.MERCHANT_CASHIER}
OPS = {UserRole.GROWTH, UserRole.INCENTIVES, UserRole.APPROVER, UserRole.ADMIN}

_WORK: dict[str, tuple[set[UserRole], set[UserRole]]] = {
    "GET /listings": (MERCHANT, set(STAFF_ROLES)),
    "GET /listings/{product_id}": (MERCHANT, set(STAFF_ROLES)),
    "POST /listings": (OWNERS, OPS),
    "POST /listings/{product_id}": (OWNERS, OPS),
    "POST /listings/{product_id}/count": (OWNERS, OPS),
    "POST /listings/{product_id}/{way}": (MERCHANT, OPS),
    "GET /tasks": (OWNERS, set(STAFF_ROLES)),
    "POST /tasks/{key}/{act}": (OWNERS, OPS),
    "GET /courses/{course_id}": (MERCHANT, set(STAFF_ROLES)),
    "GET /products": (OWNERS, set(STAFF_ROLES)),
    "POST /products/subscriptions": (OWNERS, OPS),
    "POST /products/{kind}/{product_id}/{deed}": (OWNERS, OPS),
}
"""The merchant's people, and the house's."""

MERCHANT_WORK: dict[str, set[UserRole] | None] = {
    "POST /books/{merchant_id}/moves/{move}": OPS,
    "GET /ops/tasks": OPS,
    "POST /ops/tasks/{merchant_id}/{task_id}/{deed}": OPS,
    "GET /ops/service": OPS,
    "POST /merchant/courses/{course_id}/{deed}": MERCHANT,
    "GET /ops/academy": OPS,
    "GET /ops/academy/{course_id}": OPS,
    "POST /ops/academy/{course_id}/{merchant_id}/{attempt_id}/{deed}": OPS,
    "GET /ops/content": OPS,
    "POST /ops/service/{merchant_id}/{work_order_id}/{deed}": OPS,
    **{deed.replace(" ", " /merchant", 1): own for deed, (own, _) in _WORK.items()},
    **{deed.replace(" ", " /books/{merchant_id}", 1): staff for deed, (_, staff) in _WORK.items()},
}
