"""One order's money as a child would keep its account: written without looking at how the product does it."""

from typing import Protocol


class Line(Protocol):
    """A line as it is stored: units and what it sold for."""

    quantity: int
    goods_minor: int


def half_even(numerator: int, denominator: int) -> int:
    """A quotient of whole numbers rounded to the nearest one, ties to the even one."""
    whole, rest = divmod(numerator, denominator)
    doubled = 2 * rest
    return whole + (doubled > denominator or (doubled == denominator and whole % 2))


class Money:
    """Minor units. left: what the merchant has sold and not given back; taken: what the processor has of the buyer.

    disputed: what an open dispute holds; lost: what the platform lost to disputes of money that had gone back already.
    """

    def __init__(self) -> None:
        self.left = self.taken = self.disputed = self.fees = self.lost = 0
        self.settled_on: int | None = None

    def pay(self, minor: int) -> None:
        self.left += minor
        self.taken += minor

    def give_back(self, minor: int) -> None:
        self.left -= minor
        self.taken -= minor

    def dispute(self, minor: int, fee: int) -> None:
        self.disputed += minor
        self.fees += fee
        self.taken -= minor

    def win(self) -> None:
        self.taken += self.disputed
        self.disputed = 0

    def lose(self) -> None:
        borne = min(self.disputed, self.left)
        self.left -= borne
        self.lost += self.disputed - borne
        self.disputed = 0

    @property
    def refundable(self) -> int:
        """The most that can be given back now: what a dispute holds, or has taken, is not given a second time."""
        return max(0, self.taken)

    def settle(self) -> None:
        """10 % commission and 20 % VAT on it are of what is left now; what goes back later takes its share along."""
        if self.settled_on is None:
            self.settled_on = self.left

    @property
    def commission(self) -> int:
        return self._still_earned(self._earned()[0])

    @property
    def vat(self) -> int:
        return self._still_earned(self._earned()[1])

    def _earned(self) -> tuple[int, int]:
        commission = half_even(self.settled_on or 0, 10)
        return commission, half_even(commission, 5)

    def _still_earned(self, minor: int) -> int:
        if not self.settled_on:
            return 0
        return minor - half_even(minor * (self.settled_on - self.left), self.settled_on)

    def books(self) -> dict[str, int]:
        """What the books say of it, credits negative as there. due: owed to the merchant, on its way, or paid out."""
        settled = self.settled_on is not None
        due = self.left - self.commission - self.vat
        found = {
            "pending": 0 if settled else -self.left,
            "due": -due if settled else 0,
            "commission": -self.commission,
            "vat": -self.vat,
            "clearing": self.taken - self.fees,
            "disputed": self.disputed,
            "fees": self.fees,
            "lost": self.lost,
        }
        return {name: minor for name, minor in found.items() if minor}
