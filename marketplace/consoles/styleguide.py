"""All components on one page, for whoever builds pages: what is not here is not there yet."""

from datetime import date, timedelta

import msgspec
from litestar import Response, get

from marketplace.consoles import plots
from marketplace.consoles.deeds import Refused
from marketplace.consoles.figures import Change
from marketplace.consoles.layout import send
from marketplace.consoles.plots import Bar, Burn, Driver, Figure, Point, Step
from marketplace.web.auth import ActorRequest
from marketplace.web.guards import STAFF, needs
from marketplace.web.i18n import Speech, speech

_TOKENS = ("page", "surface", "raised", "line", "ink", "soft", "accent", "wash", "good", "bad", "warn", "ghost")
_CURRENCY = "EUR"
_FIRST = date(2026, 1, 5)


class StyleGuide(msgspec.Struct, frozen=True):
    """What the components are shown with."""

    tokens: tuple[str, ...]
    rising: Change
    falling: Change
    figures: list[tuple[str, Figure]]


@get("/styleguide", guards=[needs(STAFF)], include_in_schema=False, sync_to_thread=False)
def styleguide(request: ActorRequest) -> Response[str]:
    """Every component once; the form stands as if it had been refused."""
    say = speech(request.user.locale)
    page = StyleGuide(_TOKENS, Change(120, 100), Change(80, 100), samples(say))
    refused = Refused(
        "invalid-input", say.text("style.sample"), {"quantity": say.text("style.wrong")}, {"quantity": "x"}
    )
    return send(request, "styleguide.html", page, "styleguide", refused=refused)


def samples(say: Speech) -> list[tuple[str, Figure]]:
    """One figure of each kind, by its name."""

    def money(minor: int) -> str:
        return say.amount(minor, _CURRENCY)

    days = [_FIRST + timedelta(days=number) for number in range(14)]
    points = [
        Point(day, 4_000 + 900 * (number % 5), 3_500 + 600 * (number % 4), say.day(day), "/styleguide")
        for number, day in enumerate(days)
    ]
    goods, taken = say.label("column", "goods"), say.label("column", "commission")
    steps = [Step(goods, 100_000, money(100_000)), Step(taken, -12_000, money(-12_000))]
    steps.append(Step(say.text("statement.earned"), 88_000, money(88_000), total=True))
    bars = [Bar(say.text("ageing.over", days=age), 50_000 // (age + 1), money(50_000 // (age + 1))) for age in (0, 30)]
    burns = [
        Burn(day, 100_000 - 6_000 * number if number < 9 else None, 90_000 - 7_500 * number, 100_000 - 4_500 * number)
        for number, day in enumerate(days)
    ]
    drivers = [
        Driver("sales", None, say.text("kpi.sales"), money(100_000), better=True),
        Driver("orders", "sales", say.text("kpi.orders"), say.number(40), better=True),
        Driver("average", "sales", say.text("kpi.average"), money(2_500), better=False),
    ]
    stages = [(say.label("order_state", state), reached) for state, reached in (("placed", 90), ("delivered", 61))]
    months = [say.month(_FIRST.replace(month=month)) for month in (1, 2, 3)]
    kept: list[list[int | None]] = [[1_000_000, 640_000, 520_000], [1_000_000, 700_000, None], [1_000_000, None, None]]
    left, expected = say.text("kpi.payout"), say.text("balance.pending")
    return [
        ("trend", plots.trend(points, _CURRENCY, now=months[1], earlier=months[0])),
        ("waterfall", plots.waterfall(steps, _CURRENCY)),
        ("ageing", plots.ageing(bars, _CURRENCY)),
        ("funnel", plots.funnel(stages)),
        ("cohorts", plots.cohorts(months, ["0", "1", "2"], kept)),
        ("burn_down", plots.burn_down(burns, _CURRENCY, left=left, expected=expected)),
        ("driver_tree", plots.driver_tree(drivers)),
    ]


PAGES = [styleguide]
