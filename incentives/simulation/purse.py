"""The budgets of a promotion in memory, by the rules of the stored ones (`incentives.budgets.model`). Pure."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from incentives.budgets.model import Ask, Budget, Control, Draw, Scope, Slot, decide
from incentives.promotions.budgets import ask_for, budgets_of_terms
from incentives.rules.events import Room
from incentives.rules.model import Terms
from marketplace.core.money import AMOUNT_MAX

_QUARTER = timedelta(minutes=15)
"""In no zone does a day begin within a quarter of an hour."""
Takings = list[tuple[Ask, int]]
"""What one grant has drawn, piece by piece; what comes back is of the last piece first."""


class Purse:
    """Budgets without a store. Nothing is ever topped up, so what waits for more gets nothing.

    exhausted_at: when a limit first had not enough. refused_minor: what was asked and not given.
    """

    def __init__(self, promotion_id: int, terms: Terms, budgets: Sequence[Budget] | None = None) -> None:
        numbers = iter(range(1, 1 + len(terms.budgets)))
        self.budgets = budgets_of_terms(promotion_id, terms, lambda: next(numbers)) if budgets is None else budgets
        self._terms = terms
        self._rooms: dict[Slot, int] = {}
        self._from = self._until = datetime.min.replace(tzinfo=UTC)
        self._draws: dict[str | None, tuple[Draw, ...]] = {}
        self._weights = tuple(funder.weight for funder in terms.funding)
        self.exhausted_at: datetime | None = None
        self.refused_minor = 0

    def _ask(self, amount_minor: int, at: datetime, region: str | None) -> Ask:
        if not self._from <= at < self._until:
            self._from = at.replace(minute=at.minute // 15 * 15, second=0, microsecond=0)
            self._until = self._from + _QUARTER
            self._draws.clear()
        draws = self._draws.get(region)
        if draws is None:
            draws = self._draws[region] = ask_for("", 0, self._terms, self.budgets, at, region).draws
            for draw in draws:
                self._rooms.setdefault(draw.slot, draw.budget.limit_minor)
        return Ask(key="", amount_minor=amount_minor, draws=draws, weights=self._weights)

    def covers(self, amount_minor: int, at: datetime, region: str | None) -> bool:
        """Whether every limit has that much left."""
        ask = self._ask(amount_minor, at, region)
        return all(
            draw.budget.control is Control.ADVISORY or ask.part_of(draw, amount_minor) <= self._rooms[draw.slot]
            for draw in ask.draws
        )

    def room(self, at: datetime, region: str | None) -> Room | None:
        """What the tightest of the limits still gives to an event; None when there is none."""
        ask = self._ask(AMOUNT_MAX, at, region)
        limits = [
            (max(0, ask.largest_within(draw, self._rooms[draw.slot])), draw.budget.on_shortfall)
            for draw in ask.draws
            if draw.budget.control is Control.ABSOLUTE
        ]
        if not limits:
            return None
        minor, shortfall = min(limits, key=lambda limit: limit[0])
        return Room(minor=minor, on_shortfall=shortfall.value)

    def take(self, amount_minor: int, at: datetime, region: str | None, takings: Takings) -> int:
        """Set aside what the budgets have of an amount; returns how much that is."""
        if not self.budgets:
            return amount_minor
        ask = self._ask(amount_minor, at, region)
        given = decide([ask], self._rooms)[0].granted_minor
        if given:
            takings.append((ask, given))
        if given < amount_minor:
            self.refuse(amount_minor - given, at)
        return given

    def refuse(self, amount_minor: int, at: datetime) -> None:
        """Note that there was not enough."""
        self.refused_minor += amount_minor
        self.exhausted_at = self.exhausted_at or at

    def give_back(self, amount_minor: int, takings: Takings) -> None:
        """Put back into the budgets what of a grant is not needed any more."""
        while amount_minor and takings:
            ask, held = takings.pop()
            kept = max(0, held - amount_minor)
            for draw in ask.draws:
                self._rooms[draw.slot] += ask.part_of(draw, held) - ask.part_of(draw, kept)
            if kept:
                takings.append((ask, kept))
            amount_minor -= held - kept

    def overdrawn(self) -> list[str]:
        """Limits that gave more than they had: there are none unless the engine is wrong."""
        names = {each.budget_id: each for each in self.budgets if each.control is Control.ABSOLUTE}
        return [
            f"budget {names[budget_id].scope} {names[budget_id].scope_key} {period}: {room} left".replace("  ", " ")
            for (budget_id, period), room in sorted(self._rooms.items())
            if room < 0 and budget_id in names
        ]

    def total_minor(self) -> int | None:
        """The limit on all that is given, None without one."""
        limits = [
            each.limit_minor for each in self.budgets if each.scope is Scope.TOTAL and each.control is Control.ABSOLUTE
        ]
        return min(limits, default=None)
