"""Merchants as an experiment has reached them, and estimates as they are told. Pure."""

import msgspec

from incentives.uplift.estimates import Effect
from marketplace.core.rates import PPM

HELD_OUT = ""
TREATED = "treated"
"""The arm of everybody whom a promotion without an experiment reaches."""
UNITS_MIN = 2


class Exposed(msgspec.Struct, frozen=True, kw_only=True):
    """A merchant of the experiment. after, before, earlier: its settled sales, net of refunds, while the promotion ran,
    in a time as long before it, and before that; later: in the four weeks after its end. margin: the commission on what
    it sold while it ran; cost: what it was granted in all.

    orders, cancelled: placed while it ran; sold, refunded: of what settled then. price_ppm: of a piece in the four
    weeks before the start, of its price in the four before them; None: it sold nothing in one of the two.
    """

    merchant_id: int
    unit: str
    arm: str
    after_minor: int
    before_minor: int
    margin_minor: int
    cost_minor: int
    earlier_minor: int = 0
    later_minor: int = 0
    orders: int = 0
    cancelled: int = 0
    sold_minor: int = 0
    refunded_minor: int = 0
    price_ppm: int | None = None


class Interval(msgspec.Struct, frozen=True, kw_only=True):
    """An estimate between the ends of its 95 % interval; p_ppm: the probability of one as far from zero by chance."""

    estimate: int
    low: int
    high: int
    p_ppm: int

    @property
    def is_clear(self) -> bool:
        """Whether the interval leaves out zero."""
        return self.low > 0 or self.high < 0


def interval(effect: Effect, scale: int = 1) -> Interval:
    """An estimate in whole units, or in parts of them by `scale`."""
    return Interval(
        estimate=round(effect.estimate * scale),
        low=round(effect.low * scale),
        high=round(effect.high * scale),
        p_ppm=round(effect.p_value * PPM),
    )
