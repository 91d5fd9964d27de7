"""Commission and VAT of settled orders, as anyone can read and check them. Pure.

The settlement pass does the same in SQL, a bucket of merchants at a time; a property test holds the two together.
"""

from collections.abc import Iterable, Mapping
from datetime import date, datetime

import msgspec

from billing.contracts.terms import Terms
from marketplace.core.rates import PPM, apply_half_even, divide_half_even


class Part(msgspec.Struct, frozen=True, kw_only=True):
    """The lines of one order that fall under one contract: what is left of them after refunds, in minor units."""

    contract: Terms
    goods_minor: int
    freight_minor: int
    discount_minor: int = 0

    @property
    def worth_minor(self) -> int:
        """What the buyer paid for these lines and was not given back."""
        return self.goods_minor - self.discount_minor + self.freight_minor

    @property
    def base_minor(self) -> int:
        """What the rate applies to: goods less the merchant's own discount, with the freight if the contract says."""
        freight = self.freight_minor if self.contract.base == "goods_and_freight" else 0
        return self.goods_minor - self.discount_minor + freight


class DueOrder(msgspec.Struct, frozen=True, kw_only=True):
    """An order of a merchant that is to be settled. settles_on: the local date of settles_at in the market's zone."""

    merchant_ref: str
    order_ref: str
    settles_at: datetime
    settles_on: date
    parts: tuple[Part, ...]


class Rated(msgspec.Struct, frozen=True, kw_only=True):
    """What one order earned under one contract, in minor units."""

    merchant_ref: str
    order_ref: str
    settled_on: date
    contract: Terms
    base_minor: int
    commission_minor: int
    vat_minor: int


class MonthSoFar(msgspec.Struct):
    """Where a merchant's calendar month stands: cumulative base per contract, commission per currency and VAT rate."""

    base: dict[Terms, int] = msgspec.field(default_factory=dict)
    commission: dict[tuple[str, int], int] = msgspec.field(default_factory=dict)


def tiered_commission(contract: Terms, cumulative_base: int) -> int:
    """Graduated commission on the month's cumulative base: each band at its own rate, rounded half-even once."""
    assert contract.tiers is not None
    bounds = [tier.from_minor for tier in contract.tiers[1:]] + [cumulative_base]
    scaled = sum(
        max(0, min(cumulative_base, upper) - tier.from_minor) * tier.rate_ppm
        for tier, upper in zip(contract.tiers, bounds, strict=True)
    )
    return divide_half_even(scaled, PPM)


def commission(part: Part, base_before: int) -> int:
    """Commission of one part, given the month's base under the same contract before it."""
    contract = part.contract
    if contract.rate_ppm is not None:
        amount = apply_half_even(part.base_minor, contract.rate_ppm)
    else:
        amount = tiered_commission(contract, base_before + part.base_minor) - tiered_commission(contract, base_before)
    amount += contract.fixed_minor
    if contract.min_minor is not None:
        amount = max(amount, contract.min_minor)
    if contract.max_minor is not None:
        amount = min(amount, contract.max_minor)
    return amount


def settle(orders: Iterable[DueOrder], months: Mapping[tuple[str, date], MonthSoFar] | None = None) -> list[Rated]:
    """Rate orders in (settlement instant, order ref, contract name) order, merchant by merchant.

    months: where (merchant, first of month) stood before this pass; it is not changed. A pass over many orders gives
    what the same orders give one by one in the same order, because every share is the difference of a cumulative
    function: of the base for tiers, of the commission for VAT. A part worth nothing owes nothing, no fee either.
    """
    standing = {key: MonthSoFar(dict(month.base), dict(month.commission)) for key, month in (months or {}).items()}
    rated: list[Rated] = []
    for order in sorted(orders, key=lambda order: (order.merchant_ref, order.settles_at, order.order_ref)):
        month = standing.setdefault((order.merchant_ref, order.settles_on.replace(day=1)), MonthSoFar())
        rated += [
            Rated(
                merchant_ref=order.merchant_ref,
                order_ref=order.order_ref,
                settled_on=order.settles_on,
                contract=part.contract,
                base_minor=part.base_minor,
                commission_minor=amount,
                vat_minor=vat,
            )
            for part, amount, vat in rate_order(order.parts, month)
        ]
    return rated


def rate_order(parts: Iterable[Part], month: MonthSoFar) -> list[tuple[Part, int, int]]:
    """Commission and VAT of the parts of the order that is next in its month, which is moved on by them."""
    rated: list[tuple[Part, int, int]] = []
    charged = [part for part in parts if part.worth_minor != 0]
    for part in sorted(charged, key=lambda part: (part.contract.name, part.contract.valid_from)):
        base_before = month.base.get(part.contract, 0)
        amount = commission(part, base_before)
        currency, vat_ppm = part.contract.currency, part.contract.vat_ppm
        taxed_before = month.commission.get((currency, vat_ppm), 0)
        month.base[part.contract] = base_before + part.base_minor
        month.commission[currency, vat_ppm] = taxed_before + amount
        vat = apply_half_even(taxed_before + amount, vat_ppm) - apply_half_even(taxed_before, vat_ppm)
        rated.append((part, amount, vat))
    return rated


def refund_share(original_minor: int, returned_minor: int, cumulative_base: int, base_minor: int) -> int:
    """What a refund takes back of a frozen amount: its cumulative share less what was taken back already.

    cumulative_base: base refunded so far, this refund included; base_minor: the original base. Any partition of a
    full refund takes back exactly original_minor. A base of zero gives everything back with the first refund.
    """
    if base_minor == 0:
        return original_minor - returned_minor
    return divide_half_even(original_minor * cumulative_base, base_minor) - returned_minor
