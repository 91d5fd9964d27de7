"""The figures of the merchant's home: the month's sales by day, and how sales became what was earned."""

from marketplace.consoles.merchant_queries import MerchantHome
from marketplace.consoles.plots import Figure, Point, Step, trend, waterfall
from marketplace.web.i18n import Speech


def sales_trend(page: MerchantHome, base: str, say: Speech) -> Figure:
    """The month by day, last month's behind; a day leads to its orders."""
    currency = page.merchant.currency
    points = [
        Point(
            on=day.on,
            minor=day.goods_minor,
            earlier_minor=day.earlier_minor,
            words=say.text(
                "chart.day_orders",
                day=say.day(day.on),
                sales=say.money(day.goods_minor, currency),
                orders=say.count("count.orders", day.orders),
            ),
            href=f"{base}/orders?first={day.on}&last={day.on}",
        )
        for day in page.chart
    ]
    return trend(points, currency, now=say.month(page.days.first), earlier=say.month(page.days.earlier_first))


def earnings(page: MerchantHome, say: Speech) -> tuple[Figure, list[Step]] | None:
    """From the goods sold in the latest statement's period to what was left to be paid; None without a statement.

    The steps sum to each total: what was earned, then with what was owed before and paid out meanwhile the rest.
    """
    statement = page.statement
    if statement is None:
        return None

    def step(words: str, minor: int, *, total: bool = False) -> Step:
        return Step(words, minor, say.amount(minor, statement.currency), total)

    steps = [step(say.label("column", name), minor) for name, minor in page.steps]
    steps.append(step(say.text("statement.earned"), statement.earned_minor, total=True))
    around = (("statement.opening", statement.opening_minor), ("statement.payout", statement.payout_minor))
    carried = [step(say.text(key), minor) for key, minor in around if minor]
    if carried:
        steps += [*carried, step(say.text("statement.closing"), statement.closing_minor, total=True)]
    return waterfall(steps, statement.currency), steps
