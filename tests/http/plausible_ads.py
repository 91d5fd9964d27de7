"""Who may call the operations of ads, ids, what is ripe and bodies for them; `plausible` and the roles add them."""

from collections.abc import Callable
from typing import Any

from marketplace.core.users import UserRole
from tests.http.busy import LAMP
from tests.http.busy_ad_orders import DEALS
from tests.http.market import ALPHA, SEARCH

_BOOKS = {UserRole.MERCHANT_OWNER, UserRole.MERCHANT_MANAGER}
_OWNER = {UserRole.MERCHANT_OWNER}
_OPS = {UserRole.GROWTH, UserRole.INCENTIVES, UserRole.APPROVER}
_CONTROL = {UserRole.CONTROLLER, UserRole.ADMIN}
_FINANCE = _CONTROL | {UserRole.ACCOUNTANT}
_STAFF = _FINANCE | _OPS
_OPERATING = _OPS | {UserRole.ADMIN}
_SELLING = _OPERATING | {UserRole.STOREFRONT}

ROUTES: dict[str, set[UserRole]] = {
    "GET /api/v1/ads/sponsored": _SELLING,
    "POST /api/v1/ads/events": _SELLING,
    "POST /api/v1/merchants/{merchant_id}/ads/invalid-clicks": _OPERATING,
    "GET /api/v1/merchants/{merchant_id}/ad-accounts": _STAFF | _BOOKS,
    "GET /api/v1/merchants/{merchant_id}/ad-movements": _STAFF | _BOOKS,
    "POST /api/v1/merchants/{merchant_id}/ad-top-ups": _FINANCE | _OWNER,
    "POST /api/v1/merchants/{merchant_id}/ad-receipts": _FINANCE,
    "POST /api/v1/merchants/{merchant_id}/ad-refunds": _FINANCE | _OWNER,
    "GET /api/v1/ad-grants": _STAFF | _BOOKS,
    "POST /api/v1/merchants/{merchant_id}/ad-grants": _OPERATING,
    "POST /api/v1/merchants/{merchant_id}/ad-grants/{grant_id}/approve": _OPERATING,
    "POST /api/v1/merchants/{merchant_id}/ad-grants/{grant_id}/reject": _OPERATING,
    "GET /api/v1/ad-terms": _STAFF,
    "POST /api/v1/ad-terms": _CONTROL,
    "GET /api/v1/ad-placements": _STAFF | _BOOKS,
    "GET /api/v1/ad-placements/{placement_id}": _STAFF | _BOOKS,
    "POST /api/v1/ad-placements": _OPERATING,
    "PATCH /api/v1/ad-placements/{placement_id}": _OPERATING,
    "GET /api/v1/ad-placements/{placement_id}/calendar": _STAFF | _BOOKS,
    "GET /api/v1/ad-orders": _STAFF | _BOOKS,
    "GET /api/v1/merchants/{merchant_id}/ad-orders/{ad_order_id}": _STAFF | _BOOKS,
    "POST /api/v1/merchants/{merchant_id}/ad-orders": _OPERATING,
    "PATCH /api/v1/merchants/{merchant_id}/ad-orders/{ad_order_id}": _OPERATING,
    "POST /api/v1/merchants/{merchant_id}/ad-orders/{ad_order_id}/moves": _OPERATING,
    "POST /api/v1/merchants/{merchant_id}/ad-orders/{ad_order_id}/accept": _OPERATING | _BOOKS,
    "POST /api/v1/merchants/{merchant_id}/ad-orders/{ad_order_id}/make-goods": _OPERATING,
    "POST /api/v1/merchants/{merchant_id}/ad-orders/{ad_order_id}/make-goods/{line_no}/approve": _OPERATING,
    "POST /api/v1/merchants/{merchant_id}/ad-orders/{ad_order_id}/make-goods/{line_no}/reject": _OPERATING,
    "GET /api/v1/campaigns": _STAFF | _BOOKS,
    "POST /api/v1/merchants/{merchant_id}/campaigns": _OPERATING | _BOOKS,
    "GET /api/v1/merchants/{merchant_id}/campaigns/{campaign_id}": _STAFF | _BOOKS,
    "PATCH /api/v1/merchants/{merchant_id}/campaigns/{campaign_id}": _OPERATING | _BOOKS,
    "POST /api/v1/merchants/{merchant_id}/campaigns/{campaign_id}/moves": _OPERATING | _BOOKS,
    "GET /api/v1/merchants/{merchant_id}/campaigns/{campaign_id}/report": _STAFF | _BOOKS,
    "GET /api/v1/merchants/{merchant_id}/campaigns/{campaign_id}/ad-charges": _STAFF | _BOOKS,
    "GET /api/v1/merchants/{merchant_id}/campaigns/{campaign_id}/bookings": _STAFF | _BOOKS,
    "POST /api/v1/merchants/{merchant_id}/campaigns/{campaign_id}/bookings": _OPERATING | _BOOKS,
    "POST /api/v1/merchants/{merchant_id}/bookings/{booking_id}/cancel": _OPERATING | _BOOKS,
}

_OF_MERCHANT = "POST /api/v1/merchants/{merchant_id}"
_OF_CAMPAIGN = _OF_MERCHANT + "/campaigns/{campaign_id}"
_OF_ORDER = _OF_MERCHANT + "/ad-orders/{ad_order_id}"
_CLICKED = f"FROM supply.merchant WHERE merchant_id = {ALPHA}"
_OWN = " WHERE state = 'active' AND NOT guaranteed"
_BOOKED = "FROM billing.ad_booking WHERE state = 'booked' AND price_minor > 0"
_ORDERS = "(SELECT merchant_id, order_id AS ad_order_id, state FROM billing.ad_order) AS t"
_MAKE_GOODS = """(SELECT merchant_id, order_id AS ad_order_id, line_no, state FROM billing.ad_order_line
    WHERE makes_good_line_no IS NOT NULL) AS t"""

REAL: dict[tuple[str, ...], str] = {
    ("merchant_id", "booking_id"): "SELECT merchant_id, booking_id FROM billing.ad_booking ORDER BY state, booking_id",
    ("merchant_id", "campaign_id"): "SELECT merchant_id, campaign_id FROM billing.ad_campaign ORDER BY campaign_id",
    ("merchant_id", "grant_id"): "SELECT merchant_id, grant_id FROM billing.ad_grant ORDER BY grant_id",
    ("placement_id",): "SELECT placement_id FROM billing.ad_placement ORDER BY 1",
    ("merchant_id", "ad_order_id"): f"SELECT merchant_id, ad_order_id FROM {_ORDERS} ORDER BY 2",
    ("merchant_id", "ad_order_id", "line_no"): (
        f"SELECT merchant_id, ad_order_id, line_no FROM {_MAKE_GOODS} ORDER BY 2, 3"
    ),
}

RIPE: dict[str, str] = {
    f"{_OF_MERCHANT}/ad-grants/{{grant_id}}/approve": "FROM billing.ad_grant WHERE state = 'proposed'",
    f"{_OF_MERCHANT}/ad-grants/{{grant_id}}/reject": "FROM billing.ad_grant WHERE state = 'proposed'",
    f"{_OF_MERCHANT}/ad-refunds": _CLICKED,
    f"{_OF_MERCHANT}/ad-top-ups": _CLICKED,
    f"{_OF_MERCHANT}/ads/invalid-clicks": _CLICKED,
    f"{_OF_CAMPAIGN}/moves": "FROM billing.ad_campaign" + _OWN,
    f"{_OF_CAMPAIGN}/bookings": "FROM billing.ad_campaign" + _OWN + " AND pricing = 'slot'",
    f"{_OF_MERCHANT}/bookings/{{booking_id}}/cancel": _BOOKED,
    _OF_ORDER.replace("POST", "PATCH"): f"FROM {_ORDERS} WHERE state = 'opportunity'",
    f"{_OF_ORDER}/moves": f"FROM {_ORDERS} WHERE state IN ('opportunity', 'in_review')",
    f"{_OF_ORDER}/accept": f"FROM {_ORDERS} WHERE state = 'quoted'",
    f"{_OF_ORDER}/make-goods": f"FROM {_ORDERS} WHERE state = 'closed'",
    f"{_OF_ORDER}/make-goods/{{line_no}}/approve": f"FROM {_MAKE_GOODS} WHERE state = 'planned'",
    f"{_OF_ORDER}/make-goods/{{line_no}}/reject": f"FROM {_MAKE_GOODS} WHERE state = 'planned'",
}

_LAMPS = {
    "name": "lamps", "bid_minor": 50, "daily_minor": 1_000, "starts_at": "2018-09-03T12:00:00Z", "words": ["lamp"],
}  # fmt: skip
_BY_CLICK = {"pricing": "click", "currency": "EUR", "positions": 3, "reserve_minor": 5}
_TOP_UP = {"currency": "EUR", "amount_minor": 1_000}
_LINE = {"from_at": "2018-10-01T00:00:00Z", "to_at": "2018-11-01T00:00:00Z", "words": ["lamp"], "unit_price_minor": 15}


def _line(seen: Any, quantity: int) -> dict[str, Any]:
    return {**_LINE, "placement_id": DEALS, "product_id": seen.ids["merchant_id"], "quantity": quantity}


def _book(_: Any, n: int) -> Any:
    return {"from_at": f"2018-10-{n % 27 + 1:02}T10:00:00Z", "to_at": f"2018-10-{n % 27 + 1:02}T11:00:00Z"}


Sensible = Callable[[Any, int], Any]

SENSIBLE: dict[str, Sensible] = {
    "POST /api/v1/ad-placements": lambda _, n: {**_BY_CLICK, "name": f"search {n}"},
    "PATCH /api/v1/ad-placements/{placement_id}": lambda *_: {"reserve_minor": 6},
    "POST /api/v1/ad-terms": lambda _, n: {
        "entity_id": 1, "currency": "EUR", "valid_from": f"2018-10-{n % 27 + 1:02}", "vat_ppm": 200_000,
    },
    f"{_OF_MERCHANT}/ad-top-ups": lambda *_: {"currency": "EUR", "amount_minor": 1},
    f"{_OF_MERCHANT}/ad-receipts": lambda _, n: {**_TOP_UP, "receipt_ref": f"R-{n}"},
    f"{_OF_MERCHANT}/ad-refunds": lambda *_: {"currency": "EUR", "amount_minor": 10, "reason": "it wants to"},
    f"{_OF_MERCHANT}/ad-grants": lambda *_: {**_TOP_UP, "reason": "welcome"},
    f"{_OF_MERCHANT}/ads/invalid-clicks": lambda *_: {"event_ids": [f"ad-{ALPHA}-1"], "reason": "a test"},
    f"{_OF_MERCHANT}/campaigns": lambda *_: {**_LAMPS, "placement_id": SEARCH, "product_id": LAMP},
    _OF_CAMPAIGN.replace("POST", "PATCH"): lambda *_: {"name": "better lamps"},
    f"{_OF_CAMPAIGN}/moves": lambda *_: {"move": "pause"},
    f"{_OF_CAMPAIGN}/bookings": _book,
    f"{_OF_MERCHANT}/ad-orders": lambda seen, _: {
        "name": "Autumn", "currency": "EUR", "valid_until": "2018-09-20", "lines": [_line(seen, 1_000)],
    },
    _OF_ORDER.replace("POST", "PATCH"): lambda seen, _: {"name": "Winter", "lines": [_line(seen, 2_000)]},
    f"{_OF_ORDER}/moves": lambda *_: {"move": "lose", "reason": "no budget"},
    f"{_OF_ORDER}/accept": lambda *_: {"version": 3, "pays_by": "netting", "evidence": "by mail"},
    f"{_OF_ORDER}/make-goods": lambda seen, _: {"line_no": 1, "line": _line(seen, 1)},
}  # fmt: skip
