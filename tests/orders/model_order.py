"""A small model of one merchant's order: units, money and shelf, written without looking at how the product does it."""

import msgspec

from demand.lifecycle import Party
from marketplace.core.money import allocate

UNDER_WAY = ("paid", "accepted", "fulfilling", "partly_delivered")


class ModelLine(msgspec.Struct):
    """goods_left and freight_left: what the buyer has not got back of the line."""

    quantity: int
    goods_left: int
    freight_left: int
    cancelled: int = 0
    shipped: int = 0
    delivered: int = 0
    returned: int = 0

    @property
    def unshipped(self) -> int:
        return self.quantity - self.cancelled - self.shipped

    @property
    def kept(self) -> int:
        return self.quantity - self.cancelled - self.returned

    @property
    def left(self) -> int:
        return self.goods_left + self.freight_left

    def give_back(self, units: int, *, freight: bool) -> int:
        """The worth of the next units that go, of equal shares of what is left; asked before they are counted as gone.

        Freight that stays with the merchant is left to the units that are.
        """
        each = [1] * self.kept
        goods = sum(allocate(self.goods_left, each)[:units])
        carried = sum(allocate(self.freight_left, each)[:units]) if freight else 0
        self.goods_left -= goods
        self.freight_left -= carried
        return goods + carried


def model_line(quantity: int, goods: int, freight: int, discount: int) -> ModelLine:
    return ModelLine(quantity, goods - discount, freight)


class ModelOrder:
    """on_hand and reserved change by line; settled and refunded in minor units."""

    def __init__(self, lines: list[ModelLine], shelf: list[list[int]]) -> None:
        self.lines = lines
        self.shelf = shelf
        self.state = "paid"
        self.settled = False
        self.refunded = 0
        self.shipments: list[list[int]] = []
        self.arrived: set[int] = set()

    @property
    def left(self) -> int:
        return sum(line.left for line in self.lines)

    def accept(self) -> bool:
        if self.state != "paid":
            return False
        self.state = "accepted"
        return True

    def ship(self, units: list[int]) -> bool:
        if self.state not in UNDER_WAY or not self._fits(units, "unshipped"):
            return False
        for line, shelf, count in zip(self.lines, self.shelf, units, strict=True):
            line.shipped += count
            shelf[0] -= count
            shelf[1] -= count
        self.shipments.append(units)
        self.state = "partly_delivered" if self.state == "partly_delivered" else "fulfilling"
        return True

    def deliver(self, number: int) -> bool:
        if number in self.arrived:
            return True
        if self.state not in {"fulfilling", "partly_delivered"}:
            return False
        self.arrived.add(number)
        for line, count in zip(self.lines, self.shipments[number], strict=True):
            line.delivered += count
        self.state = "partly_delivered"
        self._look_whether_all_is_there()
        return True

    def complete(self) -> bool:
        if self.state == "delivered":
            return True
        if self.state not in {"fulfilling", "partly_delivered"} or any(line.unshipped for line in self.lines):
            return False
        for line in self.lines:
            line.delivered = line.shipped
        self.state = "delivered"
        return True

    def cancel(self, party: Party) -> bool:
        allowed = {Party.BUYER: UNDER_WAY[:1], Party.MERCHANT: UNDER_WAY[:3], Party.PLATFORM: UNDER_WAY}
        if self.state not in allowed[party]:
            return False
        self.refunded += self.left
        for line in self.lines:
            line.goods_left = line.freight_left = 0
        self._end()
        return True

    def cancel_part(self, units: list[int]) -> bool:
        if self.state not in UNDER_WAY or not self._fits(units, "unshipped"):
            return False
        back = 0
        for line, shelf, count in zip(self.lines, self.shelf, units, strict=True):
            back += line.give_back(count, freight=True)
            line.cancelled += count
            shelf[1] -= count
        self.refunded += back
        worthless = back and not self.left and not any(line.shipped for line in self.lines)
        if worthless or all(line.cancelled == line.quantity for line in self.lines):
            self._end()
        else:
            self._look_whether_all_is_there()
        return True

    def give_back(self, units: list[int], party: Party, *, restock: bool) -> bool:
        if self.state != "delivered" or not self._fits(units, "kept"):
            return False
        back = 0
        for line, shelf, count in zip(self.lines, self.shelf, units, strict=True):
            back += line.give_back(count, freight=party is not Party.BUYER)
            line.returned += count
            shelf[0] += count if restock else 0
        self.refunded += back
        if not any(line.kept for line in self.lines):
            self.state = "returned"
        return True

    def settle(self) -> None:
        self.settled = self.settled or self.state in {"delivered", "returned"}

    def _fits(self, units: list[int], what: str) -> bool:
        return any(units) and all(count <= getattr(line, what) for line, count in zip(self.lines, units, strict=True))

    def _look_whether_all_is_there(self) -> None:
        there = all(line.delivered + line.cancelled == line.quantity for line in self.lines)
        if there and any(line.delivered for line in self.lines):
            self.state = "delivered"

    def _end(self) -> None:
        self.state = "cancelled"
        for line, shelf in zip(self.lines, self.shelf, strict=True):
            shelf[1] -= line.unshipped
            line.cancelled += line.unshipped
