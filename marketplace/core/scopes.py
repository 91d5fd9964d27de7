"""What an API key may be narrowed to: a closed list of nouns, each to read or to write. Pure.

A scope is `read` (everything that may be read), `<noun>:read` or `<noun>:write`; none contains another. A key without
scopes may do all that its user may do, one with scopes never more than that.
"""

from collections.abc import Iterable, Sequence
from functools import cache

from marketplace.core.errors import Invalid

NOUNS: dict[str, tuple[str, ...]] = {
    "identity": ("me", "session", "sessions", "api-keys"),
    "merchants": ("merchants", "stores", "onboarding"),
    "listings": ("listings", "categories"),
    "stock": ("stock",),
    "buyers": ("buyers",),
    "carts": ("carts",),
    "orders": ("orders", "purchases", "amendments"),
    "fulfilments": ("shipments", "deliveries"),
    "refunds": ("refunds", "refund-policies", "returns"),
    "disputes": ("disputes", "line-disputes"),
    "credit": ("credit",),
    "payments": ("payments", "payment-events", "payment-commands", "processor-files", "reconciliation"),
    "bank": ("bank-files", "bank-mappings"),
    "matching": (
        "match-accounts", "match-holidays", "match-rules", "match-runs", "match-groups", "match-proposals",
        "open-items", "fee-schedules", "breaks", "write-off-limits",
    ),
    "contracts": ("contracts", "reratings"),
    "payers": ("payers", "payer-contracts", "payer-claims", "caps", "claims", "claim-ageing"),
    "settlements": ("settlements",),
    "runs": ("billing-runs", "run-schedules", "proofs"),
    "statements": ("statements",),
    "documents": ("documents", "document-previews", "billing-details"),
    "payouts": (
        "payouts", "bank-accounts", "payout-terms", "payout-holds", "payout-reserves", "carried-payouts", "payout-dues",
        "payout-files", "debtor-accounts",
    ),
    "entries": ("entries", "accounts", "balances", "trial-balance"),
    "journals": ("journals", "goodwill", "journal-limits"),
    "periods": ("periods", "seal"),
    "reports": ("reports", "exports", "erp-accounts"),
    "exchange": (
        "entity-currencies", "exchange-rates", "exchanges", "bank-exchanges", "exchange-revaluations",
    ),
    "charges": ("charges", "write-offs"),
    "products": (
        "plans",
        "subscriptions",
        "usage",
        "steps",
        "tasks",
        "hardware-items",
        "hardware-units",
        "hardware-orders",
        "own-sales",
        "providers",
        "work-orders",
        "service-agreements",
    ),
    "ads": (
        "ads",
        "sponsored",
        "ad-accounts",
        "ad-movements",
        "ad-top-ups",
        "ad-receipts",
        "ad-refunds",
        "ad-grants",
        "ad-terms",
        "ad-placements",
        "ad-charges",
        "ad-orders",
        "make-goods",
        "campaigns",
        "bookings",
    ),
    "incentives": (
        *("incentive-campaigns", "incentive-changes", "budgets", "promotions", "versions", "opt-in", "simulations"),
        *("rewards", "vouchers", "codes", "exposures", "review", "incentive-events"),
    ),
    "leads": ("leads", "lead-pools", "lead-scorings", "territories", "reps"),
    "field": (
        *("visits", "visit-syncs", "fairs", "lead-tasks", "agents", "agent-plans"),
        *("referrals", "referral-codes", "referral-programmes"),
    ),
    "funnels": (
        *("funnels", "channels", "channel-costs", "channel-economics"),
        *("team-comparison", "merchant-growth"),
    ),
    "academy": ("courses", "classes", "attempts", "certificates"),
    "content": ("content-partners", "content-pieces", "content-sends"),
    "webhooks": ("webhooks", "webhook-topics"),
    "metrics": ("metrics", "observations", "alerts", "goals", "holidays", "reviews"),
}  # fmt: skip
"""Every noun, with the path segments that speak of it."""

READ_ALL = "read"
SCOPES = frozenset({READ_ALL, *(f"{noun}:{verb}" for noun in NOUNS for verb in ("read", "write"))})

_NOUN_OF = {segment: noun for noun, segments in NOUNS.items() for segment in segments}
_OWN_ALL_BELOW = frozenset({"webhooks"})
_FOR_PROGRAMS = ("/api/", "/metrics")
_READING = frozenset({"GET", "HEAD", "OPTIONS"})


@cache
def scope_of(path: str, method: str) -> str | None:
    """The scope that a request to this path template needs; None when there is none, as for the pages of people.

    The last known segment speaks: `/merchants/{merchant_id}/orders` is about orders. But below a webhook there are only
    its own: its deliveries are no goods. What has no scope is open to no narrowed key.
    """
    if not path.startswith(_FOR_PROGRAMS):
        return None
    segments = path.split("/")
    for segment in [*_OWN_ALL_BELOW.intersection(segments), *reversed(segments)]:
        noun = _NOUN_OF.get(segment)
        if noun is not None:
            return f"{noun}:{'read' if method in _READING else 'write'}"
    return None


def allows(scopes: Iterable[str], needed: str | None) -> bool:
    """Whether a key of these scopes may do what needs that one."""
    return needed is not None and (needed in scopes or (needed.endswith(":read") and READ_ALL in scopes))


def check_scopes(scopes: Sequence[str]) -> list[str]:
    """The scopes without repetition, in order. Raises Invalid for one that there is not, and for none at all."""
    for number, scope in enumerate(scopes):
        if scope not in SCOPES:
            raise Invalid(
                f"scopes: {scope[:60]!r} is not `read` or one of {', '.join(NOUNS)} with `:read` or `:write`",
                pointer=f"/scopes/{number}",
            )
    if not scopes:
        raise Invalid("scopes: name at least one, or leave them out for a key that may do all", pointer="/scopes")
    return sorted(set(scopes))
