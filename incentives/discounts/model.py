"""A promotion's discount on one merchant's order: over its lines and its funders, and back from them. Pure.

Amounts are minor units. What the merchant bears itself, its own part, is off its price (`order_line.discount_minor`);
what the others bear leaves the merchant whole.
"""

from collections.abc import Mapping, Sequence

import msgspec

from incentives.rules.allocation import share_out
from incentives.rules.awards import Discount as DiscountForm
from incentives.rules.awards import ToBuyer
from incentives.rules.model import ByPayer, OrderPlaced, Terms
from marketplace.core.money import allocate

OWN = "merchant"
"""The funder of a merchant's own part."""


class Discount(msgspec.Struct, frozen=True, kw_only=True):
    """What a promotion takes off an order. contracts: of the payers among the funders, 0 for the others.

    line_minor: what it takes off each line; own_minor: of that the merchant's own part. …_back_minor: what refunds took
    back so far, of what the others bear by line, of the merchant's own part by line, and by funder.
    """

    merchant_id: int
    order_id: int
    grant_id: int
    buyer_id: int
    promotion_id: int
    campaign_id: int
    version_no: int
    name: str
    currency: str
    state: str = "reserved"
    amount_minor: int
    funders: tuple[str, ...]
    contracts: tuple[int, ...]
    funder_minor: tuple[int, ...]
    funder_back_minor: tuple[int, ...]
    line_nos: tuple[int, ...]
    line_minor: tuple[int, ...]
    own_minor: tuple[int, ...]
    borne_back_minor: tuple[int, ...]
    own_back_minor: tuple[int, ...]

    def __post_init__(self) -> None:
        assert sum(self.funder_minor) == sum(self.line_minor) == self.amount_minor

    @property
    def key(self) -> str:
        """Under which its budgets hold it."""
        return reservation_key(self.buyer_id, self.promotion_id, self.order_id)

    @property
    def span(self) -> str:
        """Its window, as the buyer's grants have it: the order."""
        return str(self.order_id)

    @property
    def borne_minor(self) -> tuple[int, ...]:
        """What others than the merchant bear of each line."""
        return tuple(minor - own for minor, own in zip(self.line_minor, self.own_minor, strict=True))

    @property
    def back_minor(self) -> int:
        return sum(self.funder_back_minor)


def is_discount(terms: Terms) -> bool:
    """Whether buyers get it off their orders at checkout."""
    rewards = [terms.reward, *(arm.reward for arm in (terms.experiment.arms if terms.experiment else ()) if arm.reward)]
    return (
        isinstance(terms.trigger, OrderPlaced)
        and isinstance(terms.beneficiary, ToBuyer)
        and all(isinstance(reward.form, DiscountForm) for reward in rewards)
    )


def payers_of(terms: Terms) -> list[str]:
    """The contracts of the payers that bear a part of it."""
    return [funder.contract for funder in terms.funding if isinstance(funder, ByPayer) and funder.weight]


def reservation_key(buyer_id: int, promotion_id: int, order_id: int) -> str:
    return f"{buyer_id}:{promotion_id}:{order_id}:1"


def own_parts(funders: Sequence[str], funder_minor: Sequence[int], line_minor: Sequence[int]) -> list[int]:
    """The merchant's own part of each line, by what the discount takes off it (largest remainder)."""
    own = sum(minor for name, minor in zip(funders, funder_minor, strict=True) if name == OWN)
    return allocate(own, line_minor) if own else [0] * len(line_minor)


class Back(msgspec.Struct, frozen=True, kw_only=True):
    """What a refund takes back of a discount: of what the others bear and of the merchant's own part, by line number;
    and by funder, in the order of the discount's funders."""

    discount: Discount
    borne: dict[int, int]
    own: dict[int, int]
    funder_minor: tuple[int, ...]

    @property
    def borne_minor(self) -> int:
        return sum(self.borne.values())

    @property
    def minor(self) -> int:
        return sum(self.funder_minor)


def back_of(discount: Discount, borne: Mapping[int, int], own: Mapping[int, int]) -> Back | None:
    """What comes back, divided over the funders by what each bears; None for nothing."""
    kept_borne, kept_own = ({no: minor for no, minor in part.items() if minor} for part in (borne, own))
    if not kept_borne and not kept_own:
        return None
    others = [0 if name == OWN else minor for name, minor in zip(discount.funders, discount.funder_minor, strict=True)]
    held = [
        0 if name == OWN else minor - back
        for name, minor, back in zip(discount.funders, discount.funder_minor, discount.funder_back_minor, strict=True)
    ]
    shares = share_out(held, -sum(kept_borne.values()), others) if kept_borne else [0] * len(held)
    return Back(
        discount=discount,
        borne=kept_borne,
        own=kept_own,
        funder_minor=tuple(
            sum(kept_own.values()) if name == OWN else -share
            for name, share in zip(discount.funders, shares, strict=True)
        ),
    )


def after(discount: Discount, back: Back, sign: int = 1) -> Discount:
    """The discount after a refund took that back; sign -1: after that was undone."""
    return msgspec.structs.replace(
        discount,
        funder_back_minor=tuple(
            was + sign * more for was, more in zip(discount.funder_back_minor, back.funder_minor, strict=True)
        ),
        borne_back_minor=_added(discount, discount.borne_back_minor, back.borne, sign),
        own_back_minor=_added(discount, discount.own_back_minor, back.own, sign),
    )


def _added(discount: Discount, was: Sequence[int], more: Mapping[int, int], sign: int) -> tuple[int, ...]:
    return tuple(minor + sign * more.get(no, 0) for no, minor in zip(discount.line_nos, was, strict=True))
