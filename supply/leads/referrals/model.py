"""What referrals speak of, and who may not refer whom. Pure."""

from datetime import date, datetime
from enum import StrEnum
from typing import Annotated

import msgspec

Trigger = Annotated[str, msgspec.Meta(pattern=r"^referral\.[a-z][a-z0-9_.]{0,59}$")]
"""The name of the event that a promotion of incentives waits for."""


class ReferralState(StrEnum):
    """pending: not activated yet. qualified: to be rewarded. refused: by the clock, or because they are the same."""

    PENDING = "pending"
    QUALIFIED = "qualified"
    REWARDED = "rewarded"
    REFUSED = "refused"
    CLAWED_BACK = "clawed_back"


class WhyNot(StrEnum):
    """Why somebody who was brought earns nothing, as its referrer is told: too late; not one that counts, of which the
    house alone knows what it was checked by; or lost again.
    """

    TOO_LATE = "too_late"
    NOT_ELIGIBLE = "not_eligible"
    LOST = "lost"


class ProgrammeTerms(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """window_days: from the referral to the activation. Lost before day clawback_days, both rewards are taken back.

    referrer_trigger, referee_trigger: the events by which promotions reward either side. How much that is, who bears it
    and when it vests is the promotion's to say.
    """

    currency: Annotated[str, msgspec.Meta(pattern="^[A-Z]{3}$")]
    window_days: Annotated[int, msgspec.Meta(ge=1, le=366)] = 90
    clawback_days: Annotated[int, msgspec.Meta(ge=0, le=366)] = 60
    referrer_trigger: Trigger = "referral.referrer"
    referee_trigger: Trigger = "referral.referee"


class Programme(msgspec.Struct, frozen=True, kw_only=True):
    """A version of a programme. A referral keeps the version under which it was made."""

    name: str
    version_no: int
    terms: ProgrammeTerms
    made_by: str
    made_at: datetime


class ReferralCode(msgspec.Struct, frozen=True, kw_only=True):
    """What a merchant gives to others. device: from where it was asked for, as far as known."""

    code: str
    programme: str
    merchant_id: int
    device: str
    active: bool
    version: int


class Referral(msgspec.Struct, frozen=True, kw_only=True):
    """referrer_id: the merchant who brought the lead; merchant_id: as whom the lead was won. reasons: why not (yet)."""

    referral_id: int
    code: str
    programme: str
    version_no: int
    referrer_id: int
    lead_id: int
    merchant_id: int | None
    device: str
    referred_at: datetime
    expires_at: datetime
    state: ReferralState
    reasons: list[str]
    activated_on: date | None
    version: int


class OwnCode(msgspec.Struct, frozen=True, kw_only=True):
    """A code as its merchant sees it: how many came with it, and for how many of them it was rewarded."""

    code: str
    programme: str
    active: bool
    brought: int
    rewarded: int


class Brought(msgspec.Struct, frozen=True, kw_only=True):
    """Somebody who came with a merchant's code, as that merchant sees it: not who it is, but what came of it.

    why_not: why nothing is earned by it, once that is for good.
    """

    referral_id: int
    code: str
    referred_at: datetime
    expires_at: datetime
    state: ReferralState
    activated_on: date | None
    currency: str
    earned_minor: int
    why_not: WhyNot | None


class ReferralReward(msgspec.Struct, frozen=True, kw_only=True):
    """What one side has got, by the grants of incentives; 0 after a clawback."""

    side: str
    merchant_id: int
    promotion_id: int
    event_id: str
    currency: str
    amount_minor: int


class Identity(msgspec.Struct, frozen=True, kw_only=True):
    """By what it is known that two are the same: keys as `supply.leads.identity` makes them."""

    merchants: frozenset[int] = frozenset()
    tax_ids: frozenset[str] = frozenset()
    phones: frozenset[str] = frozenset()
    accounts: frozenset[str] = frozenset()
    devices: frozenset[str] = frozenset()


_SHARED = {
    "merchants": "it is the same merchant",
    "tax_ids": "both have the same tax id",
    "phones": "both have the same telephone number",
    "accounts": "both are paid to the same bank account",
    "devices": "both come from the same device",
}


def self_referral(referrer: Identity, referee: Identity) -> list[str]:
    """Every reason to think that somebody refers itself."""
    return [why for field, why in _SHARED.items() if getattr(referrer, field) & getattr(referee, field)]
