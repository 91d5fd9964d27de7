"""What supply speaks of. Pure."""

from datetime import date
from enum import StrEnum

import msgspec


class MerchantState(StrEnum):
    ONBOARDING = "onboarding"
    LIVE = "live"
    SUSPENDED = "suspended"
    CLOSED = "closed"


class Merchant(msgspec.Struct, frozen=True, kw_only=True):
    """A seller. merchant_ref is its id in the system it came from; joined_on None means not known."""

    merchant_id: int
    merchant_ref: str
    name: str
    entity_id: int
    state: MerchantState
    city: str
    region: str
    joined_on: date | None
