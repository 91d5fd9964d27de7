"""What a merchant earns the agent that won it, as it stands. Pure: integer minor units, half-even."""

from datetime import date, timedelta

import msgspec

from marketplace.core.rates import apply_half_even, divide_half_even
from supply.leads.agents.model import AgentTerms, ClawbackRule, CommissionState


class Standing(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of a merchant today. base_minor: the house's commission of its first days.

    last_sale_on: the day of its newest delivered order; activated: whether it still is.
    """

    today: date
    activated_on: date
    activated: bool
    closed_on: date | None
    last_sale_on: date | None
    base_minor: int


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    """earned_minor: in all. lost_on: when the merchant was lost, if that takes commission back."""

    earned_minor: int
    state: CommissionState
    lost_on: date | None
    reason: str


def verdict(terms: AgentTerms, now: Standing) -> Verdict:
    """What an agent has earned with a merchant in all, whatever was booked before."""
    lost_on, reason = _lost(terms, now)
    whole = terms.fixed_minor + max(0, apply_half_even(now.base_minor, terms.share_ppm))
    if lost_on is not None:
        kept = 0
        if terms.clawback is ClawbackRule.PRO_RATA:
            kept = divide_half_even(whole * (lost_on - now.activated_on).days, terms.clawback_days)
        return Verdict(earned_minor=kept, state=CommissionState.CLAWED_BACK, lost_on=lost_on, reason=reason)
    over = now.today >= now.activated_on + timedelta(days=max(terms.clawback_days, terms.share_days))
    state = CommissionState.VESTED if over else CommissionState.OPEN
    return Verdict(earned_minor=whole, state=state, lost_on=None, reason="")


def _lost(terms: AgentTerms, now: Standing) -> tuple[date | None, str]:
    """The first day on which the merchant was lost, before day `clawback_days`; a day that is to come is none."""
    if not now.activated and terms.clawback_days:
        return now.activated_on, "the activation was taken back"
    days: list[tuple[date, str]] = []
    if now.closed_on is not None:
        days.append((max(now.closed_on, now.activated_on), "the merchant was closed"))
    if terms.idle_days:
        last = max(now.last_sale_on or now.activated_on, now.activated_on)
        days.append((last + timedelta(days=terms.idle_days), f"no order was delivered for {terms.idle_days} days"))
    before = now.activated_on + timedelta(days=terms.clawback_days)
    found = [(on, why) for on, why in days if on <= now.today and on < before]
    return min(found) if found else (None, "")
