"""What a replay remembers: windows of beneficiaries, events that may still change, and sums of each promotion. Pure."""

from collections import Counter, defaultdict
from datetime import date, datetime

from incentives.rules.events import NOTHING_USED, Event, Line, Used, Who, measured
from incentives.rules.index import Plan, PlanSide
from incentives.rules.target import Contribution, Standing, Target, totals
from incentives.rules.windows import zone_named
from incentives.simulation.gains import Tally
from incentives.simulation.purse import Purse, Takings

Key = tuple[int, str, int, str]
"""Promotion, role, party, window."""


class Account:
    """A beneficiary's window under one promotion. side_no: of its sides, under its arm."""

    __slots__ = (
        *("award_minor", "granted_minor", "promised", "reached", "settled"),  # see `incentives.rules.target.Progress`
        *("arm", "buyers", "held", "key", "region", "run", "side", "side_no", "takings", "tally"),
    )

    def __init__(self, run: "Run", key: Key, arm: str, region: str | None, tally: Tally) -> None:
        self.run, self.key, self.arm, self.region, self.tally = run, key, arm, region, tally
        self.side_no, self.side = run.sides[arm, key[1]]
        self.promised = self.settled = self.reached = self.granted_minor = self.held = 0
        self.award_minor: int | None = None
        self.takings: Takings = []
        self.buyers: Counter[Contribution] | None = None

    def move(self, touch: "Touch", promised: int, settled: int, buyer_id: int | None) -> None:
        """What one event adds has changed to that."""
        if self.run.of == "distinct_buyers":
            self._count(touch, promised, settled, buyer_id)
        else:
            self.promised += promised - touch.promised
            self.settled += settled - touch.settled
        touch.promised, touch.settled = promised, settled
        self.reached = max(self.reached, self.settled)

    def _count(self, touch: "Touch", promised: int, settled: int, buyer_id: int | None) -> None:
        if self.buyers is None:
            self.buyers = Counter()
        self.buyers[Contribution(promised=touch.promised, settled=touch.settled, buyer_id=buyer_id)] -= 1
        self.buyers[Contribution(promised=promised, settled=settled, buyer_id=buyer_id)] += 1
        total = totals(self.run.of, [each for each, events in self.buyers.items() if events > 0])
        self.promised, self.settled = total.promised, total.settled

    def target(self, used: Used = NOTHING_USED) -> Target:
        """What it is entitled to now; see `incentives.rules.target`."""
        return self.side.goal.target(self, used)

    @property
    def who(self) -> Who:
        return self.key[0], self.side.side.role, self.key[2]

    def used_elsewhere(self, used: Used) -> Used:
        """What its beneficiary has got in other windows, of what it has got in all."""
        return Used(grants=used.grants - (self.held > 0), minor=used.minor - self.held)


class Touch:
    """What an event adds to one account, and by which of its lines. measure: of those lines, as `of` has left them."""

    __slots__ = ("account", "lines", "measure", "of", "promised", "settled")

    def __init__(self, account: Account, lines: tuple[int, ...], measure: int, of: tuple[Line, ...]) -> None:
        self.account, self.lines, self.measure, self.of = account, lines, measure, of
        self.promised = self.settled = 0


_RANKS: dict[Standing, int] = {"placed": 0, "settled": 1, "cancelled": 2}


class OpenEvent:
    """An event that may still change. judged: the names under which it has happened."""

    __slots__ = ("buyer_id", "judged", "left", "merchant_id", "settled_at", "standing", "touches")

    def __init__(self, event: Event) -> None:
        self.judged: list[str] = []
        self.left = event.lines
        self.merchant_id = event.merchant.party_id
        self.buyer_id = None if event.buyer is None else event.buyer.party_id
        self.standing: Standing = "placed"
        self.settled_at: datetime | None = None
        self.touches: list[Touch] = []

    def stand(self, standing: Standing, at: datetime) -> bool:
        """Note how the event stands: it never goes back. Returns whether its time starts to run out."""
        if _RANKS[standing] <= _RANKS[self.standing]:
            return False
        self.standing = standing
        if self.settled_at is not None:
            return False
        self.settled_at = at
        return True


class Run:
    """One promotion in a replay, with its sums. days: burned, granted, clawed."""

    def __init__(self, plan: Plan, purse: Purse) -> None:
        self.plan, self.purse = plan, purse
        self.of = plan.terms.measure.of
        self.zone = zone_named(plan.terms.schedule.zone)
        self.sides: dict[tuple[str, str], tuple[int, PlanSide]] = {
            (arm, side.side.role): (number, side)
            for arm, sides in plan.sides.items()
            for number, side in enumerate(sides)
        }
        every = [side.side.limits for _, side in self.sides.values()]
        self.has_lifetime = any(each.lifetime_minor is not None or each.grants is not None for each in every)
        self.days: defaultdict[date, list[int]] = defaultdict(lambda: [0, 0, 0])
        self.tallies: dict[tuple[str, int], Tally] = {}
        self.measures: defaultdict[tuple[str, int], Counter[int]] = defaultdict(Counter)
        self.burned: defaultdict[int, Counter[date]] = defaultdict(Counter)
        self.events = self.grants = self.cost = self.barred = self.shared = self.held_out = self.digest = 0
        self.breaches: list[str] = []

    def measured(self, touch: Touch, event: OpenEvent) -> int:
        """What an event measures now, by what is left of its lines that count."""
        if event.standing == "cancelled":
            return 0
        if touch.of is not event.left:
            touch.of = event.left
            touch.measure = measured(self.of, [line for line in event.left if line.line_no in touch.lines])
        return touch.measure
