"""How much budgets give: pure, for any asks and any rooms."""

from hypothesis import given
from hypothesis import strategies as st

from incentives.budgets.model import WHOLE, Ask, Budget, Control, Draw, Scope, Shortfall, Verdict, decide, spread
from tests.incentives.budgets import budget

policies = st.sampled_from(Shortfall)
amounts = st.integers(0, 300)


@st.composite
def markets(draw: st.DrawFn) -> tuple[list[Budget], list[Ask], dict[tuple[int, object], int]]:
    """A total budget, one per funder, and asks that draw on all of them or on some."""
    weights = tuple(draw(st.lists(st.integers(0, 5), min_size=1, max_size=3).filter(any)))
    budgets = [budget(1, on_shortfall=draw(policies), control=draw(st.sampled_from(Control)))]
    budgets += [
        budget(2 + number, scope=Scope.FUNDER, scope_key=f"f{number}", on_shortfall=draw(policies))
        for number in range(len(weights))
    ]
    draws = [Draw(budgets[0], WHOLE)] + [Draw(each, WHOLE, number) for number, each in enumerate(budgets[1:])]
    asks = [
        Ask(
            key=f"k{number}",
            amount_minor=amount,
            draws=tuple(draw(st.lists(st.sampled_from(draws), unique=True))),
            weights=weights,
        )
        for number, amount in enumerate(draw(st.lists(amounts, max_size=6)))
    ]
    return budgets, asks, {each.slot: draw(amounts) for each in draws}


@given(markets())
def test_invariants_4_and_5_what_is_given_fits_and_what_is_refused_would_not_have(
    market: tuple[list[Budget], list[Ask], dict[tuple[int, object], int]],
) -> None:
    _, asks, rooms = market
    left = dict(rooms)
    for ask in asks:
        before = dict(left)
        [one] = decide([ask], left)  # type: ignore[arg-type]
        absolute = [each for each in ask.draws if each.budget.control is Control.ABSOLUTE]

        def fits(amount: int, ask: Ask = ask, absolute: list[Draw] = absolute, before: dict = before) -> bool:  # type: ignore[type-arg]
            return all(ask.part_of(each, amount) <= before[each.slot] for each in absolute)

        for each in ask.draws:
            assert left[each.slot] == before[each.slot] - ask.part_of(each, one.granted_minor)
            assert left[each.slot] >= 0 or each.budget.control is Control.ADVISORY
        if one.verdict is Verdict.RESERVED:
            assert one.granted_minor == ask.amount_minor
        else:
            assert not fits(ask.amount_minor)
            short = next(each for each in absolute if each.budget.budget_id == one.short_id)
            assert ask.part_of(short, ask.amount_minor) > before[short.slot]
        if one.verdict is Verdict.PARTIAL:
            assert 0 < one.granted_minor < ask.amount_minor
        elif one.verdict is not Verdict.RESERVED:
            assert one.granted_minor == 0


def test_a_part_is_the_largest_that_fits() -> None:
    platform, brand = (
        budget(each, scope=Scope.FUNDER, scope_key=str(each), on_shortfall=Shortfall.PARTIAL) for each in (1, 2)
    )
    ask = Ask(key="k", amount_minor=100, weights=(1, 3), draws=(Draw(platform, WHOLE, 0), Draw(brand, WHOLE, 1)))
    rooms = {(1, WHOLE): 10, (2, WHOLE): 1_000}
    [one] = decide([ask], rooms)
    assert (one.verdict, one.granted_minor, one.short_id) == (Verdict.PARTIAL, 40, 1)
    assert rooms == {(1, WHOLE): 0, (2, WHOLE): 970}


def test_the_strictest_of_the_short_budgets_speaks() -> None:
    part, queue, reject = (
        budget(number, on_shortfall=each)
        for number, each in enumerate((Shortfall.PARTIAL, Shortfall.QUEUE, Shortfall.REJECT))
    )
    rooms = dict.fromkeys(((0, WHOLE), (1, WHOLE), (2, WHOLE)), 5)
    for budgets, verdict in (
        ([part], Verdict.PARTIAL),
        ([part, queue], Verdict.QUEUED),
        ([part, queue, reject], Verdict.REJECTED),
    ):
        ask = Ask(key="k", amount_minor=10, draws=tuple(Draw(each, WHOLE) for each in budgets))
        [one] = decide([ask], dict(rooms))
        assert one.verdict is verdict


@given(st.integers(0, 10_000), st.integers(1, 32), st.integers(0, 500))
def test_what_is_left_is_spread_without_losing_any(room: int, shards: int, largest: int) -> None:
    parts = spread(room, shards, largest)
    assert sum(parts) == room
    assert len(parts) == shards
    assert min(parts) >= 0
    assert parts[0] == room or min(parts) >= 2 * largest
