"""A weekly threshold under orders, refunds, late and repeated events, against a reference that knows only the rule."""

from datetime import UTC, date, datetime, timedelta
from typing import Literal
from zoneinfo import ZoneInfo

import msgspec
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, MultipleResults, RuleBasedStateMachine, consumes, invariant, multiple, rule

from incentives.rules.evaluate import evaluate
from incentives.rules.events import Facts, Line
from incentives.rules.index import Index
from incentives.rules.target import Contribution, Progress, contribution, moved
from tests.incentives.rules.cases import order, plan, terms

THRESHOLD, REWARD = 100, 20
PROMOTION = plan(
    terms(
        reward={"amount": {"gives": "once", "threshold": THRESHOLD, "amount_minor": REWARD}},
        schedule={"zone": "America/New_York", "starts": "2026-10-14", "ends": "2026-11-30"},
    )
)
INDEX = Index([PROMOTION])
ZONE = ZoneInfo("America/New_York")
FIRST = datetime(2026, 10, 10, tzinfo=UTC)
"""Some days before the promotion; the clock is put back on the 1st of November."""

Standing = Literal["placed", "settled", "cancelled"]


class Order(msgspec.Struct, kw_only=True):
    """An order as the reference sees it."""

    merchant: int
    at: datetime
    left: int
    standing: Standing = "placed"

    @property
    def week(self) -> date | None:
        """The local Monday, None outside the promotion."""
        on = self.at.astimezone(ZONE).date()
        return on - timedelta(days=on.weekday()) if date(2026, 10, 14) <= on <= date(2026, 11, 30) else None


class Threshold(RuleBasedStateMachine):
    orders: Bundle[int] = Bundle("orders")

    def __init__(self) -> None:
        super().__init__()
        self.all: dict[int, Order] = {}
        self.keys: dict[int, tuple[int, str]] = {}
        self.contributions: dict[int, Contribution] = {}
        self.progress: dict[tuple[int, str], Progress] = {}
        self.highest: dict[tuple[int, str], int] = {}

    @rule(target=orders, merchant=st.integers(1, 2), hours=st.integers(0, 60 * 24), minor=st.integers(1, 150))
    def place(self, merchant: int, hours: int, minor: int) -> int:
        """Of any past day, so that events come in any order."""
        number = len(self.all) + 1
        placed = Order(merchant=merchant, at=FIRST + timedelta(hours=hours), left=minor)
        self.all[number] = placed
        verdicts = evaluate(INDEX, order(minor, event_id=str(number), merchant=merchant), Facts(), placed.at)
        for verdict in verdicts:
            for effect in verdict.effects:
                self.keys[number] = (merchant, effect.window)
        assert (number in self.keys) == (placed.week is not None)
        self._tell(number)
        return number

    @rule(number=orders)
    def settle(self, number: int) -> None:
        if self.all[number].standing == "placed":
            self.all[number].standing = "settled"
        self._tell(number)

    @rule(number=orders, minor=st.integers(1, 150))
    def refund(self, number: int, minor: int) -> None:
        """Before settlement or after it, in part or in whole."""
        self.all[number].left -= min(minor, self.all[number].left)
        self._tell(number)

    @rule(number=orders)
    def repeat(self, number: int) -> None:
        before = dict(self.progress)
        self._tell(number)
        assert self.progress == before

    @rule(target=orders, number=consumes(orders))
    def cancel_and_order_again(self, number: int) -> MultipleResults[int] | int:
        if self.all[number].standing != "placed":
            return multiple()
        self.all[number].standing = "cancelled"
        self._tell(number)
        gone = self.all[number]
        return self.place(gone.merchant, int((gone.at - FIRST) / timedelta(hours=1)), max(1, gone.left))

    def _tell(self, number: int) -> None:
        """What a flow does when an order changes: its contribution, the window's progress, the grant."""
        if number not in self.keys:
            return
        key, standing = self.keys[number], self.all[number]
        line = Line(line_no=1, amount_minor=standing.left, quantity=int(standing.left > 0))
        now = contribution("amount", (line,), standing.standing)
        progress = moved(self.progress.get(key, Progress()), self.contributions.get(number), now)
        self.contributions[number] = now
        target = PROMOTION.sides[""][0].goal.target(progress)
        granted = progress.granted_minor + target.grant_minor
        self.progress[key] = msgspec.structs.replace(progress, granted_minor=granted)
        self.highest[key] = max(self.highest.get(key, 0), target.available_minor)

    @invariant()
    def granted_is_what_the_rule_says(self) -> None:
        weeks: dict[tuple[int, date], tuple[int, int, str]] = {}
        for number, placed in self.all.items():
            if placed.week is None:
                continue
            promised, settled, _ = weeks.get((placed.merchant, placed.week), (0, 0, ""))
            counted = 0 if placed.standing == "cancelled" else placed.left
            settled += counted if placed.standing == "settled" else 0
            weeks[placed.merchant, placed.week] = (promised + counted, settled, self.keys[number][1])
        assert len(weeks) == len(self.progress)
        for (merchant, _), (promised, settled, window) in weeks.items():
            progress = self.progress[merchant, window]
            assert (progress.promised, progress.settled) == (promised, settled)
            assert progress.granted_minor == (REWARD if settled >= THRESHOLD else 0)
            assert progress.granted_minor <= self.highest[merchant, window]
            target = PROMOTION.sides[""][0].goal.target(progress)
            on_the_way = REWARD if promised >= THRESHOLD > settled else 0
            assert (target.grant_minor, target.pending_minor) == (0, on_the_way)


TestThreshold = Threshold.TestCase
TestThreshold.settings = settings(max_examples=60, stateful_step_count=40, deadline=None, derandomize=True)
