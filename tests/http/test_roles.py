"""Every route against every role: a route that nobody listed here fails, and so does one that lets in more or fewer."""

import re
from collections.abc import Awaitable, Callable

import httpx
from litestar import Litestar
from litestar.routes import HTTPRoute

from marketplace.core.db import Database
from marketplace.core.users import UserRole
from marketplace.web import system
from marketplace.web.guards import roles_of
from tests.http import (
    plausible_academy,
    plausible_ads,
    plausible_field,
    plausible_incentives,
    plausible_journals,
    plausible_leads,
    plausible_payouts,
    plausible_steering,
)
from tests.http.conftest import api_key, make_client
from tests.http.market import ALPHA, add_small_market

Make = Callable[..., Awaitable[httpx.AsyncClient]]

ALL = frozenset(UserRole)
CASHIER = {UserRole.MERCHANT_CASHIER}
BOOKS = {UserRole.MERCHANT_OWNER, UserRole.MERCHANT_MANAGER}
OPS = {UserRole.GROWTH, UserRole.INCENTIVES, UserRole.APPROVER}
CONTROL = {UserRole.CONTROLLER, UserRole.ADMIN}
FINANCE = CONTROL | {UserRole.ACCOUNTANT}
STAFF = FINANCE | OPS
OPERATING = OPS | {UserRole.ADMIN}
SELLING = OPERATING | {UserRole.STOREFRONT}
OWNER = {UserRole.MERCHANT_OWNER}
STOREFRONT = {UserRole.STOREFRONT}
PAYER = {UserRole.PAYER}
PUBLIC = None

ROUTES: dict[str, frozenset[UserRole] | set[UserRole] | None] = {
    "GET /health/live": PUBLIC,
    "GET /health/ready": PUBLIC,
    "GET /openapi.json": PUBLIC,
    "GET /problems/{code}": PUBLIC,
    "GET /metrics": STAFF,
    "POST /api/v1/session": PUBLIC,
    "DELETE /api/v1/session": ALL,
    "GET /api/v1/me": ALL,
    "GET /api/v1/sessions": ALL,
    "DELETE /api/v1/sessions/{session_id}": ALL,
    "GET /api/v1/api-keys": ALL,
    "POST /api/v1/api-keys": ALL,
    "POST /api/v1/api-keys/{key_id}/rotate": ALL,
    "DELETE /api/v1/api-keys/{key_id}": ALL,
    "POST /api/v1/buyers": SELLING,
    "GET /api/v1/buyers": SELLING,
    "GET /api/v1/buyers/{buyer_id}": SELLING,
    "PATCH /api/v1/buyers/{buyer_id}": SELLING,
    "POST /api/v1/buyers/{buyer_id}/carts": SELLING,
    "GET /api/v1/buyers/{buyer_id}/carts": SELLING,
    "GET /api/v1/buyers/{buyer_id}/carts/{cart_id}": SELLING,
    "PUT /api/v1/buyers/{buyer_id}/carts/{cart_id}/lines": SELLING,
    "POST /api/v1/buyers/{buyer_id}/carts/{cart_id}/drop": SELLING,
    "GET /api/v1/buyers/{buyer_id}/carts/{cart_id}/quote": SELLING,
    "POST /api/v1/buyers/{buyer_id}/carts/{cart_id}/place": SELLING,
    "GET /api/v1/payers": STAFF | PAYER,
    "POST /api/v1/payers": CONTROL,
    "GET /api/v1/payers/{payer_id}": STAFF | PAYER,
    "PATCH /api/v1/payers/{payer_id}": CONTROL,
    "GET /api/v1/payers/{payer_id}/caps": STAFF | PAYER,
    "GET /api/v1/payers/{payer_id}/documents": FINANCE | PAYER,
    "GET /api/v1/payers/{payer_id}/documents/{document_id}": FINANCE | PAYER,
    "GET /api/v1/payers/{payer_id}/documents/{document_id}/document.pdf": FINANCE | PAYER,
    "GET /api/v1/payers/{payer_id}/documents/{document_id}/document.xml": FINANCE | PAYER,
    "POST /api/v1/payers/{payer_id}/documents/{document_id}/void": FINANCE,
    "POST /api/v1/payers/{payer_id}/documents/{document_id}/void/approve": FINANCE,
    "POST /api/v1/payers/{payer_id}/documents/{document_id}/void/withdraw": FINANCE,
    "POST /api/v1/payers/{payer_id}/documents/{document_id}/reissue": FINANCE,
    "GET /api/v1/payers/{payer_id}/statement": FINANCE | PAYER,
    "GET /api/v1/payers/{payer_id}/rejections": FINANCE | PAYER,
    "GET /api/v1/claim-ageing": FINANCE | PAYER,
    "GET /api/v1/payer-contracts": STAFF | PAYER,
    "POST /api/v1/payer-contracts": CONTROL,
    "GET /api/v1/payer-claims": FINANCE | PAYER,
    "POST /api/v1/payer-claims": FINANCE,
    "GET /api/v1/payers/{payer_id}/claims/{claim_id}": FINANCE | PAYER,
    "GET /api/v1/payers/{payer_id}/claims/{claim_id}/lines": FINANCE | PAYER,
    "GET /api/v1/payers/{payer_id}/claims/{claim_id}/lines.csv": FINANCE | PAYER,
    "GET /api/v1/payers/{payer_id}/claims/{claim_id}/grants": FINANCE | PAYER,
    "GET /api/v1/payers/{payer_id}/claims/{claim_id}/grants.csv": FINANCE | PAYER,
    "POST /api/v1/payers/{payer_id}/claims/{claim_id}/accept": FINANCE | PAYER,
    "GET /api/v1/payers/{payer_id}/claims/{claim_id}/remittances": FINANCE | PAYER,
    "POST /api/v1/payers/{payer_id}/claims/{claim_id}/remittances": FINANCE,
    "POST /api/v1/payers/{payer_id}/claims/{claim_id}/rejections": FINANCE | PAYER,
    "POST /api/v1/payers/{payer_id}/claims/{claim_id}/reclaims": FINANCE,
    "GET /api/v1/buyers/{buyer_id}/vouchers": SELLING,
    "GET /api/v1/buyers/{buyer_id}/promotions": SELLING,
    "POST /api/v1/buyers/{buyer_id}/promotions/{promotion_id}/opt-in": SELLING,
    "GET /api/v1/buyers/{buyer_id}/rewards": SELLING,
    "GET /api/v1/listings": SELLING,
    "GET /api/v1/categories": STAFF | BOOKS | CASHIER | STOREFRONT,
    "GET /api/v1/merchants": STAFF | BOOKS | CASHIER,
    "POST /api/v1/merchants": OPERATING,
    "GET /api/v1/merchants/{merchant_id}": STAFF | BOOKS | CASHIER,
    "PATCH /api/v1/merchants/{merchant_id}": OPERATING | BOOKS,
    "GET /api/v1/merchants/{merchant_id}/onboarding": STAFF | BOOKS | CASHIER,
    "POST /api/v1/merchants/{merchant_id}/onboarding/{key}/attest": BOOKS,
    "POST /api/v1/merchants/{merchant_id}/onboarding/{key}/verify": OPERATING,
    "POST /api/v1/merchants/{merchant_id}/onboarding/{key}/reject": OPERATING,
    "POST /api/v1/merchants/{merchant_id}/onboarding/{key}/waive": OPERATING,
    "POST /api/v1/merchants/{merchant_id}/go-live": OPERATING,
    "POST /api/v1/merchants/{merchant_id}/suspend": OPERATING,
    "POST /api/v1/merchants/{merchant_id}/reinstate": OPERATING,
    "POST /api/v1/merchants/{merchant_id}/close": OPERATING,
    "GET /api/v1/merchants/{merchant_id}/stores": STAFF | BOOKS | CASHIER,
    "POST /api/v1/merchants/{merchant_id}/stores": OPERATING | BOOKS,
    "GET /api/v1/merchants/{merchant_id}/stores/{store_id}": STAFF | BOOKS | CASHIER,
    "PATCH /api/v1/merchants/{merchant_id}/stores/{store_id}": OPERATING | BOOKS,
    "GET /api/v1/merchants/{merchant_id}/listings": STAFF | BOOKS | CASHIER,
    "POST /api/v1/merchants/{merchant_id}/listings": OPERATING | BOOKS,
    "POST /api/v1/merchants/{merchant_id}/listings/bulk": OPERATING | BOOKS,
    "GET /api/v1/merchants/{merchant_id}/listings/{product_id}": STAFF | BOOKS | CASHIER,
    "PATCH /api/v1/merchants/{merchant_id}/listings/{product_id}": OPERATING | BOOKS,
    "GET /api/v1/merchants/{merchant_id}/stock": STAFF | BOOKS | CASHIER,
    "GET /api/v1/merchants/{merchant_id}/listings/{product_id}/stock": STAFF | BOOKS | CASHIER,
    "PUT /api/v1/merchants/{merchant_id}/listings/{product_id}/stock": OPERATING | BOOKS,
    "POST /api/v1/merchants/{merchant_id}/listings/{product_id}/stock/adjustments": OPERATING | BOOKS | CASHIER,
    "GET /api/v1/merchants/{merchant_id}/listings/{product_id}/stock/movements": STAFF | BOOKS | CASHIER,
    "GET /api/v1/merchants/{merchant_id}/bank-accounts": FINANCE | BOOKS,
    "POST /api/v1/merchants/{merchant_id}/bank-accounts": OWNER,
    "GET /api/v1/merchants/{merchant_id}/bank-accounts/{account_id}": FINANCE | BOOKS,
    "POST /api/v1/merchants/{merchant_id}/bank-accounts/{account_id}/transfer": FINANCE,
    "POST /api/v1/merchants/{merchant_id}/bank-accounts/{account_id}/verify": OWNER,
    "POST /api/v1/merchants/{merchant_id}/bank-accounts/{account_id}/vouch": FINANCE,
    "POST /api/v1/merchants/{merchant_id}/bank-accounts/{account_id}/approve": FINANCE,
    "POST /api/v1/merchants/{merchant_id}/bank-accounts/{account_id}/reject": FINANCE,
    "POST /api/v1/merchants/{merchant_id}/bank-accounts/{account_id}/cancel": FINANCE | OWNER,
    "GET /api/v1/orders": STAFF | BOOKS | CASHIER,
    "GET /api/v1/merchants/{merchant_id}/orders/{order_id}": STAFF | BOOKS | CASHIER,
    "POST /api/v1/payment-events/{processor}": PUBLIC,
    "GET /api/v1/payment-events": OPS | FINANCE,
    "POST /api/v1/payment-events/{inbox_id}/retry": OPS | FINANCE,
    "GET /api/v1/payment-commands": OPS | FINANCE,
    "POST /api/v1/payment-commands/{command_id}/retry": OPS | FINANCE,
    "GET /api/v1/payments": OPS | FINANCE,
    "GET /api/v1/payments/{payment_id}": OPS | FINANCE,
    "POST /api/v1/processor-files": FINANCE,
    "GET /api/v1/processor-files": FINANCE,
    "GET /api/v1/merchants/{merchant_id}/orders/{order_id}/events": STAFF | BOOKS | CASHIER,
    "POST /api/v1/merchants/{merchant_id}/orders/{order_id}/accept": OPERATING | BOOKS | CASHIER,
    "POST /api/v1/merchants/{merchant_id}/orders/{order_id}/shipments": OPERATING | BOOKS | CASHIER,
    "POST /api/v1/merchants/{merchant_id}/orders/{order_id}/deliveries": OPERATING | BOOKS | CASHIER,
    "POST /api/v1/merchants/{merchant_id}/orders/{order_id}/complete": OPERATING,
    "POST /api/v1/merchants/{merchant_id}/orders/{order_id}/cancel": OPERATING | BOOKS,
    "POST /api/v1/merchants/{merchant_id}/orders/{order_id}/cancel-lines": OPERATING | BOOKS,
    "POST /api/v1/merchants/{merchant_id}/orders/{order_id}/returns": OPERATING,
    "POST /api/v1/merchants/{merchant_id}/orders/{order_id}/returns/{return_id}/approve": OPERATING | BOOKS,
    "POST /api/v1/merchants/{merchant_id}/orders/{order_id}/returns/{return_id}/refuse": OPERATING | BOOKS,
    "POST /api/v1/merchants/{merchant_id}/orders/{order_id}/returns/{return_id}/cancel": OPERATING,
    "POST /api/v1/merchants/{merchant_id}/orders/{order_id}/returns/{return_id}/receive": OPERATING | BOOKS,
    "GET /api/v1/buyers/{buyer_id}/purchases": SELLING,
    "GET /api/v1/buyers/{buyer_id}/purchases/{purchase_id}": SELLING,
    "POST /api/v1/buyers/{buyer_id}/purchases/{purchase_id}/pay": SELLING,
    "POST /api/v1/buyers/{buyer_id}/purchases/{purchase_id}/orders/{order_id}/cancel": SELLING,
    "POST /api/v1/buyers/{buyer_id}/purchases/{purchase_id}/orders/{order_id}/complete": SELLING,
    "POST /api/v1/buyers/{buyer_id}/purchases/{purchase_id}/orders/{order_id}/returns": SELLING,
    "POST /api/v1/merchants/{merchant_id}/orders/{order_id}/cash-collected": OPS | {UserRole.ADMIN} | BOOKS | CASHIER,
    "GET /api/v1/balances/receivables": FINANCE,
    "POST /api/v1/merchants/{merchant_id}/orders/{order_id}/amendments/preview": SELLING | BOOKS,
    "POST /api/v1/merchants/{merchant_id}/orders/{order_id}/amendments": SELLING | BOOKS,
    "GET /api/v1/merchants/{merchant_id}/orders/{order_id}/amendments": STAFF | STOREFRONT | BOOKS | CASHIER,
    "GET /api/v1/merchants/{merchant_id}/orders/{order_id}/amendments/{amendment_id}": STAFF
    | STOREFRONT
    | BOOKS
    | CASHIER,
    "POST /api/v1/merchants/{merchant_id}/orders/{order_id}/amendments/{amendment_id}/accept": SELLING | BOOKS,
    "POST /api/v1/merchants/{merchant_id}/orders/{order_id}/amendments/{amendment_id}/decline": SELLING | BOOKS,
    "POST /api/v1/merchants/{merchant_id}/orders/{order_id}/amendments/{amendment_id}/cancel": SELLING | BOOKS,
    "GET /api/v1/plans": STAFF | BOOKS,
    "POST /api/v1/plans": OPERATING | {UserRole.CONTROLLER},
    "POST /api/v1/plans/{plan_id}/withdraw": OPERATING | {UserRole.CONTROLLER},
    "GET /api/v1/subscriptions": STAFF | BOOKS,
    "POST /api/v1/merchants/{merchant_id}/subscriptions": OPERATING | BOOKS,
    "GET /api/v1/merchants/{merchant_id}/subscriptions/{subscription_id}": STAFF | BOOKS,
    "GET /api/v1/merchants/{merchant_id}/subscriptions/{subscription_id}/steps": STAFF | BOOKS,
    "POST /api/v1/merchants/{merchant_id}/subscriptions/{subscription_id}/agree": OPERATING | BOOKS,
    "POST /api/v1/merchants/{merchant_id}/subscriptions/{subscription_id}/change": OPERATING | BOOKS,
    "POST /api/v1/merchants/{merchant_id}/subscriptions/{subscription_id}/cancel": OPERATING | BOOKS,
    "POST /api/v1/merchants/{merchant_id}/subscriptions/{subscription_id}/stay": OPERATING | BOOKS,
    "POST /api/v1/merchants/{merchant_id}/subscriptions/{subscription_id}/usage": OPERATING,
    "GET /api/v1/tasks": STAFF,
    "GET /api/v1/merchants/{merchant_id}/tasks/{task_id}": STAFF,
    "PATCH /api/v1/merchants/{merchant_id}/tasks/{task_id}": OPERATING,
    "POST /api/v1/merchants/{merchant_id}/tasks/{task_id}/done": OPERATING,
    "GET /api/v1/charges": STAFF | BOOKS,
    "GET /api/v1/merchants/{merchant_id}/charges/{charge_id}": STAFF | BOOKS,
    "GET /api/v1/merchants/{merchant_id}/charges/{charge_id}/movements": STAFF | BOOKS,
    "POST /api/v1/merchants/{merchant_id}/charges/{charge_id}/payments": FINANCE,
    "POST /api/v1/merchants/{merchant_id}/charges/{charge_id}/write-offs": FINANCE,
    "GET /api/v1/write-offs": FINANCE,
    "POST /api/v1/merchants/{merchant_id}/write-offs/{write_off_id}/approve": FINANCE,
    "POST /api/v1/merchants/{merchant_id}/write-offs/{write_off_id}/refuse": FINANCE,
    "GET /api/v1/hardware-items": STAFF | BOOKS,
    "POST /api/v1/hardware-items": OPERATING,
    "GET /api/v1/providers": STAFF,
    "POST /api/v1/providers": OPERATING | FINANCE,
    "POST /api/v1/providers/{provider_id}/payments": FINANCE,
    "GET /api/v1/own-sales": STAFF,
    "POST /api/v1/own-sales": FINANCE,
    "POST /api/v1/own-sales/{sale_id}/return": FINANCE,
    "GET /api/v1/hardware-units": STAFF,
    "POST /api/v1/hardware-units": FINANCE,
    "GET /api/v1/hardware-orders": STAFF | BOOKS,
    "POST /api/v1/merchants/{merchant_id}/hardware-orders": OPERATING,
    "GET /api/v1/merchants/{merchant_id}/hardware-orders/{hardware_order_id}": STAFF | BOOKS,
    "POST /api/v1/merchants/{merchant_id}/hardware-orders/{hardware_order_id}/quotes": OPERATING,
    "POST /api/v1/merchants/{merchant_id}/hardware-orders/{hardware_order_id}/accept": OPERATING | BOOKS,
    "POST /api/v1/merchants/{merchant_id}/hardware-orders/{hardware_order_id}/decline": OPERATING | BOOKS,
    "POST /api/v1/merchants/{merchant_id}/hardware-orders/{hardware_order_id}/cancel": OPERATING,
    "POST /api/v1/merchants/{merchant_id}/hardware-orders/{hardware_order_id}/ship": OPERATING,
    "POST /api/v1/merchants/{merchant_id}/hardware-orders/{hardware_order_id}/return": OPERATING,
    "GET /api/v1/work-orders": STAFF | BOOKS,
    "POST /api/v1/merchants/{merchant_id}/work-orders": OPERATING,
    "GET /api/v1/merchants/{merchant_id}/work-orders/{work_order_id}": STAFF | BOOKS,
    "POST /api/v1/merchants/{merchant_id}/work-orders/{work_order_id}/appoint": OPERATING,
    "POST /api/v1/merchants/{merchant_id}/work-orders/{work_order_id}/finish": OPERATING,
    "POST /api/v1/merchants/{merchant_id}/work-orders/{work_order_id}/cancel": OPERATING,
    "GET /api/v1/service-agreements": STAFF | BOOKS,
    "POST /api/v1/merchants/{merchant_id}/service-agreements/retainers": OPERATING,
    "POST /api/v1/merchants/{merchant_id}/service-agreements/shares": OPERATING,
    "GET /api/v1/merchants/{merchant_id}/service-agreements/{agreement_id}": STAFF | BOOKS,
    "GET /api/v1/merchants/{merchant_id}/service-agreements/{agreement_id}/months": STAFF | BOOKS,
    "POST /api/v1/merchants/{merchant_id}/service-agreements/{agreement_id}/accept": OPERATING | BOOKS,
    "POST /api/v1/merchants/{merchant_id}/service-agreements/{agreement_id}/decline": OPERATING | BOOKS,
    "POST /api/v1/merchants/{merchant_id}/service-agreements/{agreement_id}/end": OPERATING | BOOKS,
    "GET /api/v1/contracts": STAFF | BOOKS,
    "POST /api/v1/contracts": CONTROL,
    "GET /api/v1/contracts/{contract_id}": STAFF | BOOKS,
    "GET /api/v1/reratings": FINANCE,
    "GET /api/v1/reratings/preview": FINANCE,
    "POST /api/v1/reratings": FINANCE,
    "GET /api/v1/reratings/{rerating_id}": FINANCE,
    "POST /api/v1/reratings/{rerating_id}/approve": FINANCE,
    "POST /api/v1/settlements": FINANCE,
    "GET /api/v1/billing-runs": FINANCE,
    "POST /api/v1/billing-runs": FINANCE,
    "GET /api/v1/billing-runs/{run_id}": FINANCE,
    "GET /api/v1/run-schedules": FINANCE,
    "POST /api/v1/run-schedules": FINANCE,
    "POST /api/v1/billing-runs/{run_id}/approve": FINANCE,
    "GET /api/v1/billing-runs/{run_id}/parked": FINANCE,
    "POST /api/v1/billing-runs/{run_id}/parked": FINANCE,
    "GET /api/v1/billing-runs/{run_id}/comparison": FINANCE,
    "POST /api/v1/billing-runs/{run_id}/finalise": FINANCE,
    "POST /api/v1/billing-runs/{run_id}/abort": FINANCE,
    "POST /api/v1/billing-runs/{run_id}/reverse": CONTROL,
    "GET /api/v1/proofs": FINANCE,
    "GET /api/v1/statements": FINANCE | BOOKS,
    "GET /api/v1/merchants/{merchant_id}/statements/{run_id}": FINANCE | BOOKS,
    "GET /api/v1/merchants/{merchant_id}/statements/{run_id}/lines.csv": FINANCE | BOOKS,
    "GET /api/v1/payouts": FINANCE | BOOKS,
    "GET /api/v1/merchants/{merchant_id}/payouts/{payout_id}": FINANCE | BOOKS,
    "POST /api/v1/merchants/{merchant_id}/payouts/{payout_id}/confirm": FINANCE,
    "POST /api/v1/merchants/{merchant_id}/payouts/{payout_id}/return": FINANCE,
    "GET /api/v1/payouts/owed": FINANCE,
    **plausible_incentives.ROUTES,
    **plausible_payouts.ROUTES,
    **plausible_journals.ROUTES,
    **plausible_leads.ROUTES,
    **plausible_field.ROUTES,
    **plausible_academy.ROUTES,
    **plausible_steering.ROUTES,
    "GET /api/v1/balances/negative": FINANCE,
    "GET /api/v1/accounts": FINANCE | BOOKS,
    "GET /api/v1/accounts/{account}/lines": FINANCE | BOOKS,
    "GET /api/v1/trial-balance": FINANCE,
    "GET /api/v1/merchants/{merchant_id}/balances": FINANCE | BOOKS,
    "GET /api/v1/merchants/{merchant_id}/entries": FINANCE | BOOKS,
    "GET /api/v1/merchants/{merchant_id}/entries/{entry_no}": FINANCE | BOOKS,
    "GET /api/v1/reconciliation/payments": FINANCE,
    "POST /api/v1/merchants/{merchant_id}/orders/{order_id}/refunds": SELLING | BOOKS,
    "POST /api/v1/merchants/{merchant_id}/orders/{order_id}/refunds/preview": SELLING | BOOKS,
    "GET /api/v1/refunds": STAFF | BOOKS,
    "GET /api/v1/merchants/{merchant_id}/refunds/{refund_id}": STAFF | BOOKS,
    "POST /api/v1/merchants/{merchant_id}/refunds/{refund_id}/retry": OPERATING,
    "POST /api/v1/merchants/{merchant_id}/refunds/{refund_id}/to-credit": OPERATING,
    "POST /api/v1/merchants/{merchant_id}/refunds/{refund_id}/cancel": OPERATING,
    "GET /api/v1/refund-policies": STAFF | BOOKS,
    "POST /api/v1/refund-policies": CONTROL,
    "GET /api/v1/disputes": STAFF | BOOKS,
    "GET /api/v1/merchants/{merchant_id}/disputes/{dispute_id}": STAFF | BOOKS,
    "POST /api/v1/merchants/{merchant_id}/disputes/{dispute_id}/evidence": BOOKS,
    "GET /api/v1/buyers/{buyer_id}/credit": SELLING,
    "POST /api/v1/buyers/{buyer_id}/credit": OPERATING,
    "GET /api/v1/reconciliation/payments/breaks": FINANCE,
    "GET /api/v1/webhook-topics": BOOKS | STAFF,
    "GET /api/v1/webhooks": BOOKS | STAFF,
    "POST /api/v1/webhooks": BOOKS | STAFF,
    "GET /api/v1/webhooks/{endpoint_id}": BOOKS | STAFF,
    "PATCH /api/v1/webhooks/{endpoint_id}": BOOKS | STAFF,
    "DELETE /api/v1/webhooks/{endpoint_id}": BOOKS | STAFF,
    "POST /api/v1/webhooks/{endpoint_id}/rotate-secret": BOOKS | STAFF,
    "POST /api/v1/webhooks/{endpoint_id}/test": BOOKS | STAFF,
    "GET /api/v1/webhooks/{endpoint_id}/deliveries": BOOKS | STAFF,
    "GET /api/v1/webhooks/{endpoint_id}/deliveries/{event_id}": BOOKS | STAFF,
    "POST /api/v1/webhooks/{endpoint_id}/deliveries/{event_id}/replay": BOOKS | STAFF,
    "POST /api/v1/webhooks/{endpoint_id}/replay": BOOKS | STAFF,
    **plausible_ads.ROUTES,
}
MERCHANTS = BOOKS | CASHIER
WITHOUT_ONCE = {
    *("POST /api/v1/session", "POST /api/v1/api-keys", "POST /api/v1/api-keys/{key_id}/rotate"),
    "POST /api/v1/merchants/{merchant_id}/bank-accounts/{account_id}/transfer",
    "POST /api/v1/payment-events/{processor}",
    "POST /api/v1/ads/events",
    "POST /api/v1/merchants/{merchant_id}/orders/{order_id}/refunds/preview",
    "POST /api/v1/merchants/{merchant_id}/orders/{order_id}/amendments/preview",
    "POST /api/v1/bank-mappings/preview",
    "POST /api/v1/promotions/evaluate",
}
"""POSTs that move no money: a second session, key or code is harmless, and what they answer must not be stored.

The events of a processor and of the shop's ads have ids of their own, which make them once.
"""


def machine_routes(app: Litestar) -> dict[str, frozenset[str] | None]:
    """Method and path of everything that is no page, with the roles let in. Pages have a list of their own."""
    ours = {id(handler.fn) for handler in system.HANDLERS}
    found = {}
    for route in app.routes:
        if not isinstance(route, HTTPRoute):
            continue
        for method, (handler, _) in route.route_handler_map.items():
            is_api = route.path_format.startswith("/api/")
            if method != "OPTIONS" and (is_api or id(handler.fn) in ours):
                found[f"{method} {route.path_format}"] = roles_of(handler.resolve_guards())
    return found


async def test_every_route_is_listed_with_its_roles(app: Litestar) -> None:
    listed = {name: None if roles is None else frozenset(map(str, roles)) for name, roles in ROUTES.items()}
    assert machine_routes(app) == listed


async def test_every_handler_at_all_has_a_guard_or_is_public(app: Litestar) -> None:
    for route in app.routes:
        assert isinstance(route, HTTPRoute)
        for method, (handler, _) in route.route_handler_map.items():
            if method != "OPTIONS":
                roles_of(handler.resolve_guards())


async def test_whatever_writes_by_post_does_so_once(app: Litestar) -> None:
    for route in app.routes:
        assert isinstance(route, HTTPRoute)
        for method, (handler, _) in route.route_handler_map.items():
            name = f"{method} {route.path_format}"
            if name.startswith("POST /api/"):
                assert bool(handler.opt.get("once")) is (name not in WITHOUT_ONCE), name
            else:
                assert not handler.opt.get("once"), name


def filled(path: str) -> str:
    """The path with plausible ids: ALPHA's own books, and things that need not exist."""
    path = path.replace("{merchant_id}", str(ALPHA)).replace("{account}", "2000").replace("{code}", "conflict")
    path = path.replace("{key}", "terms").replace("{processor}", "card").replace("{model}", "platform")
    return re.sub(r"\{\w+\}", "1", path)


async def test_the_guards_do_what_the_list_says(app: Litestar, db: Database) -> None:
    await add_small_market(db)
    async with make_client(app) as nobody:
        for name, roles in ROUTES.items():
            method, path = name.split()
            answer = await nobody.request(method, filled(path))
            assert (answer.status_code == 401) is (roles is not None), name
    for role in UserRole:
        merchant_id = ALPHA if role in MERCHANTS else None
        key = await api_key(db, f"the-{role}", [role], merchant_id, 1 if role is UserRole.PAYER else None)
        async with make_client(app, Authorization=f"Bearer {key}") as client:
            for name, roles in ROUTES.items():
                if name in WITHOUT_ONCE:  # signing in, and what an API key may not do whoever holds it
                    continue
                method, path = name.split()
                answer = await client.request(method, filled(path))
                let_in = roles is None or role in roles
                assert (answer.status_code == 403) is not let_in, (name, role, answer.text)
                assert answer.status_code not in {401, 405, 500}, (name, role, answer.text)


async def test_a_guard_speaks_before_the_body_is_read(caller: Make) -> None:
    cashier = await caller("cash", "merchant_cashier", merchant_id=ALPHA)
    answer = await cashier.post("/api/v1/settlements", content=b"not json")
    assert answer.status_code == 403
