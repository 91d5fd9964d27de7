"""What settled orders should have earned under the contracts as they stand now, less what they have earned. Pure."""

from collections import defaultdict
from collections.abc import Iterable, Sequence

import msgspec

from billing.contracts.terms import Terms
from billing.rating import MonthSoFar, Part, rate_order, refund_share
from marketplace.core.money import allocate


class Issued(msgspec.Struct, frozen=True, kw_only=True):
    """What an order has earned under the contract it was sold under, in minor units.

    commission, vat: of the sale and its adjustments; …_back: what its refunds gave back of that, or a policy kept.
    base_minor, base_back_minor: of the sale and its refunds, by the rule of that contract.
    """

    contract_id: int
    base_minor: int
    commission_minor: int
    vat_minor: int
    refunded: bool = False
    base_back_minor: int = 0
    commission_back_minor: int = 0
    vat_back_minor: int = 0


class Cell(msgspec.Struct, frozen=True, kw_only=True):
    """What of an order was sold under one contract and now falls under another, or the same: as it was settled."""

    sold_under: int
    contract: Terms
    goods_minor: int
    freight_minor: int = 0
    discount_minor: int = 0


class SettledOrder(msgspec.Struct, frozen=True, kw_only=True):
    """A settled order: what it has earned, and what it is to be rated by now."""

    order_id: int
    issued: tuple[Issued, ...]
    cells: tuple[Cell, ...]


class Difference(msgspec.Struct, frozen=True, kw_only=True):
    """What an order should have earned of what it was sold under, and what it has, both less what refunds took back.

    more_back…: what the refunds so far count for more under the new rating; later refunds give back the rest of it.
    """

    order_id: int
    contract_id: int
    expected_commission_minor: int
    expected_vat_minor: int
    issued_commission_minor: int
    issued_vat_minor: int
    more_back_commission_minor: int
    more_back_vat_minor: int

    @property
    def commission_minor(self) -> int:
        return self.expected_commission_minor - self.issued_commission_minor

    @property
    def vat_minor(self) -> int:
        return self.expected_vat_minor - self.issued_vat_minor


def rerate(orders: Iterable[SettledOrder]) -> list[Difference]:
    """Rate one month of a merchant's settled orders anew, in the order in which they were settled.

    The rule is settlement's: tiers and VAT are differences of what the month has come to, which refunds never lower.
    What was expected of one contract is divided over those the order was sold under by base, largest remainder.
    """
    month = MonthSoFar()
    return [difference for order in orders for difference in _rerate_order(order, month)]


def _rerate_order(order: SettledOrder, month: MonthSoFar) -> list[Difference]:
    by_contract: dict[Terms, list[Cell]] = defaultdict(list)
    for cell in order.cells:
        by_contract[cell.contract].append(cell)
    expected: dict[int, tuple[int, int]] = {}
    for part, commission, vat in rate_order(
        [_part(contract, by_contract[contract]) for contract in by_contract], month
    ):
        cells = by_contract[part.contract]
        parts = [_part(part.contract, [cell]) for cell in cells]
        weights = [one.base_minor for one in parts]
        if not any(weights):
            weights = [one.worth_minor for one in parts]
        shares = zip(cells, allocate(commission, weights), allocate(vat, weights), strict=True)
        for cell, of_commission, of_vat in shares:
            so_far = expected.get(cell.sold_under, (0, 0))
            expected[cell.sold_under] = so_far[0] + of_commission, so_far[1] + of_vat
    return [_difference(order.order_id, issued, *expected.get(issued.contract_id, (0, 0))) for issued in order.issued]


def _part(contract: Terms, cells: Sequence[Cell]) -> Part:
    return Part(
        contract=contract,
        goods_minor=sum(cell.goods_minor for cell in cells),
        freight_minor=sum(cell.freight_minor for cell in cells),
        discount_minor=sum(cell.discount_minor for cell in cells),
    )


def _difference(order_id: int, issued: Issued, commission: int, vat: int) -> Difference:
    """Refunds give back of the new amounts the share of the base that they gave back of the old."""
    commission_back = vat_back = 0
    if issued.refunded:
        commission_back = refund_share(commission, 0, issued.base_back_minor, issued.base_minor)
        vat_back = refund_share(vat, 0, issued.base_back_minor, issued.base_minor)
    return Difference(
        order_id=order_id,
        contract_id=issued.contract_id,
        expected_commission_minor=commission - commission_back,
        expected_vat_minor=vat - vat_back,
        issued_commission_minor=issued.commission_minor - issued.commission_back_minor,
        issued_vat_minor=issued.vat_minor - issued.vat_back_minor,
        more_back_commission_minor=commission_back - issued.commission_back_minor,
        more_back_vat_minor=vat_back - issued.vat_back_minor,
    )
