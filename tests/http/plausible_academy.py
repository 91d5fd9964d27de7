"""Who may call the operations of the academy and of content, ids, and bodies for them."""

from collections.abc import Callable
from typing import Any

import httpx

from marketplace.core.users import UserRole

_GROWTH = {UserRole.GROWTH, UserRole.ADMIN}
_OPS = _GROWTH | {UserRole.INCENTIVES, UserRole.APPROVER}
_STAFF = _OPS | {UserRole.ACCOUNTANT, UserRole.CONTROLLER}
_MERCHANT = {UserRole.MERCHANT_OWNER, UserRole.MERCHANT_MANAGER, UserRole.MERCHANT_CASHIER}
_V1 = "/api/v1"
_COURSE = f"{_V1}/courses/{{course_id}}"
_ATTEMPT = f"{_V1}/merchants/{{merchant_id}}/attempts/{{attempt_id}}"
_PIECE = f"{_V1}/content-pieces/{{piece_id}}"
_SEND = f"{_V1}/content-sends/{{send_id}}"
_PARTNER = f"{_V1}/content-partners/{{partner_id}}"

ROUTES: dict[str, set[UserRole]] = {
    f"GET {_V1}/courses": _STAFF | _MERCHANT,
    f"POST {_V1}/courses": _GROWTH,
    f"GET {_COURSE}": _STAFF | _MERCHANT,
    f"PATCH {_COURSE}": _GROWTH,
    f"POST {_COURSE}/versions": _GROWTH,
    f"GET {_COURSE}/versions/{{version_no}}": _STAFF | _MERCHANT,
    f"GET {_COURSE}/effect": _STAFF,
    f"GET {_COURSE}/classes": _STAFF | _MERCHANT,
    f"POST {_COURSE}/classes": _GROWTH,
    f"POST {_V1}/classes/{{class_id}}/cancel": _GROWTH,
    f"GET {_V1}/attempts": _STAFF | _MERCHANT,
    f"POST {_V1}/merchants/{{merchant_id}}/attempts": _MERCHANT,
    f"POST {_ATTEMPT}/lessons": _MERCHANT,
    f"POST {_ATTEMPT}/answers": _MERCHANT,
    f"POST {_ATTEMPT}/cancel": _MERCHANT,
    f"POST {_ATTEMPT}/mark": _OPS,
    f"GET {_V1}/certificates": _STAFF | _MERCHANT,
    f"POST {_V1}/merchants/{{merchant_id}}/certificates/{{attempt_id}}/revoke": _GROWTH,
    f"GET {_V1}/content-partners": _STAFF,
    f"POST {_V1}/content-partners": _GROWTH,
    f"GET {_PARTNER}": _STAFF,
    f"PATCH {_PARTNER}": _GROWTH,
    f"GET {_V1}/content-pieces": _STAFF,
    f"POST {_V1}/content-pieces": _GROWTH,
    f"GET {_PIECE}": _STAFF,
    f"PATCH {_PIECE}": _GROWTH,
    f"GET {_PIECE}/figures": _STAFF,
    f"POST {_PIECE}/sends": _GROWTH,
    f"GET {_V1}/content-sends": _STAFF,
    f"POST {_SEND}/sent": _GROWTH,
    f"POST {_SEND}/cancel": _GROWTH,
    f"POST {_SEND}/days": _GROWTH,
}

REAL: dict[tuple[str, ...], str] = {
    ("course_id",): "SELECT course_id FROM supply.course ORDER BY 1",
    ("course_id", "version_no"): "SELECT course_id, version_no FROM supply.course_version ORDER BY 1, 2",
    ("class_id",): "SELECT class_id FROM supply.class_date ORDER BY 1",
    ("merchant_id", "attempt_id"): "SELECT merchant_id, attempt_id FROM supply.attempt ORDER BY 2",
    ("partner_id",): "SELECT partner_id FROM supply.content_partner ORDER BY 1",
    ("piece_id",): "SELECT piece_id FROM supply.content_piece ORDER BY 1",
    ("send_id",): "SELECT send_id FROM supply.content_send ORDER BY 1",
}

_IN_CLASS = "FROM supply.course WHERE mode = 'in_class'"
_BEGUN = "(SELECT class_id FROM supply.class_date WHERE starts_at < '2018-09-02')"

RIPE: dict[str, str] = {
    f"POST {_COURSE}/versions": "FROM supply.course WHERE mode = 'online'",
    f"POST {_COURSE}/classes": _IN_CLASS,
    f"POST {_V1}/classes/{{class_id}}/cancel": "FROM supply.class_date WHERE starts_at > '2018-09-04'",
    f"POST {_ATTEMPT}/mark": f"FROM supply.attempt WHERE state = 'open' AND class_id IN {_BEGUN}",
    f"POST {_V1}/merchants/{{merchant_id}}/certificates/{{attempt_id}}/revoke": (
        "FROM supply.certificate WHERE revoked_at IS NULL"
    ),
    f"POST {_PIECE}/sends": "FROM supply.content_piece WHERE active",
    f"POST {_SEND}/sent": "FROM supply.content_send WHERE state = 'planned'",
    f"POST {_SEND}/cancel": "FROM supply.content_send WHERE state = 'planned'",
    f"POST {_SEND}/days": "FROM supply.content_send WHERE state = 'sent'",
}

UNREACHED = {
    f"POST {_ATTEMPT}/{deed}": "only the learner's own: tests/academy/test_front_door.py"
    for deed in ("lessons", "answers", "cancel")
}


async def named(admin: httpx.AsyncClient) -> dict[str, int]:
    """Ids that bodies name."""
    courses = (await admin.get("/api/v1/courses")).json()["items"]
    return {"course": next(each["course_id"] for each in courses if each["mode"] == "online")}


LESSON = {"key": "ship", "title": "Shipping", "text": "Pack well."}
QUESTION = {"asks": "How to pack?", "choices": ["well", "badly"], "right": 0}

SENSIBLE: dict[str, Callable[[Any, int], Any]] = {
    f"POST {_V1}/courses": lambda _, n: {"code": f"course_{n}", "title": f"Course {n}", "mode": "online"},
    f"PATCH {_COURSE}": lambda *_: {"title": "First steps anew"},
    f"POST {_COURSE}/versions": lambda *_: {"lessons": [LESSON], "questions": [QUESTION]},
    f"POST {_COURSE}/classes": lambda *_: {
        "starts_at": "2018-09-20T10:00:00Z", "place": "Bonn", "trainer": "Tess", "seats": 8,
    },
    f"POST {_V1}/merchants/{{merchant_id}}/attempts": lambda seen, _: {"course_id": seen.named.get("course", 1)},
    f"POST {_ATTEMPT}/lessons": lambda *_: {"lesson": "ship"},
    f"POST {_ATTEMPT}/answers": lambda *_: {"answers": [0]},
    f"POST {_ATTEMPT}/mark": lambda *_: {"score_ppm": 900_000},
    f"POST {_V1}/merchants/{{merchant_id}}/certificates/{{attempt_id}}/revoke": lambda *_: {"reason": "not its own"},
    f"POST {_V1}/content-partners": lambda _, n: {"name": f"Press {n}"},
    f"PATCH {_PARTNER}": lambda *_: {"contact": "Paul"},
    f"POST {_V1}/content-pieces": lambda _, n: {"code": f"piece_{n}", "title": f"Piece {n}", "kind": "article"},
    f"PATCH {_PIECE}": lambda *_: {"title": "Better said"},
    f"POST {_PIECE}/sends": lambda *_: {"channel": "online.content.email", "planned_on": "2018-09-03"},
    f"POST {_SEND}/sent": lambda *_: {"recipients": 100},
    f"POST {_SEND}/days": lambda *_: {"days": [{"day": "2018-09-03", "opens": 10, "shares": 1}]},
}  # fmt: skip
