"""A small model of one subscription: its state, its period and its price, written without looking at the product."""

from calendar import monthrange
from datetime import date

import msgspec


class Offer(msgspec.Struct, frozen=True):
    months: int
    price: int


def later(on: date, months: int) -> date:
    year, month = on.year + (on.month - 1 + months) // 12, (on.month - 1 + months) % 12 + 1
    return date(year, month, min(on.day, monthrange(year, month)[1]))


class ModelSubscription:
    """periods: how many have been charged. money moves only where `paid` says that the merchant is in one."""

    def __init__(self, today: date, offer: Offer, seats: int, trial_to: date | None, *, agreed: bool) -> None:
        self.today, self.offer, self.seats, self.agreed = today, offer, seats, agreed
        self.trial_to = trial_to
        self.then: tuple[Offer, int] | None = None
        self.periods = 0
        self.anchor, self.number = today, 0
        self.state = "trialing" if trial_to else "active"
        if not trial_to:
            self.begin(today)

    @property
    def price(self) -> int:
        return self.offer.price * self.seats

    @property
    def period(self) -> tuple[date, date]:
        return (
            later(self.anchor, self.offer.months * self.number),
            later(self.anchor, self.offer.months * (self.number + 1)),
        )

    def begin(self, anchor: date, number: int = 0) -> None:
        self.anchor, self.number, self.state = anchor, number, "active"
        self.periods += 1

    def pass_to(self, today: date) -> None:
        self.today = today
        if self.state == "trialing" and self.trial_to and self.trial_to <= today:
            if self.agreed:
                self.begin(self.trial_to)
            else:
                self.state = "trial_ended"
        while self.state in {"active", "leaving"} and self.period[1] <= today:
            if self.state == "leaving":
                self.state = "ended"
                return
            ended, before = self.period[1], self.offer
            if self.then:
                (self.offer, self.seats), self.then = self.then, None
            if before.months == self.offer.months:
                self.begin(self.anchor, self.number + 1)
            else:
                self.begin(ended)

    def agree(self) -> bool:
        if self.state == "ended":
            return False
        self.agreed = True
        if self.state == "trial_ended":
            self.begin(self.today)
        return True

    def change(self, offer: Offer, seats: int, *, then: bool) -> bool:
        nothing = (offer, seats) == (self.offer, self.seats) and self.then is None
        if self.state not in {"trialing", "active"} or nothing:
            return False
        if self.state == "active" and then:
            self.then = (offer, seats)
            return True
        again = self.state == "active" and offer.months != self.offer.months
        self.offer, self.seats, self.then = offer, seats, None
        if again:
            self.begin(self.today)
        return True

    def leave(self) -> bool:
        if self.state != "active":
            return False
        self.state, self.then = "leaving", None
        return True

    def stay(self) -> bool:
        if self.state != "leaving":
            return False
        self.state = "active"
        return True

    def cancel(self) -> bool:
        if self.state == "ended":
            return False
        self.state = "ended"
        return True
