"""Whether treated merchants only take from the others: comparisons within a market then mislead. Pure."""

from collections.abc import Sequence
from statistics import fmean, median_low

import msgspec

from incentives.uplift.estimates import Effect, difference


class Market(msgspec.Struct, frozen=True, kw_only=True):
    """treated: of its merchants, how many in a million are. changes: of each control merchant, after less before."""

    treated_ppm: int
    changes: Sequence[float]


class Displacement(msgspec.Struct, frozen=True, kw_only=True):
    """effect: how much worse (below zero) or better controls fared where many are treated than where few are."""

    effect: Effect
    high_markets: int
    low_markets: int

    @property
    def flagged(self) -> bool:
        """Controls lose where many are treated: randomise markets, not merchants."""
        return self.effect.high < 0


def displacement(markets: Sequence[Market], level: float = 0.95) -> Displacement:
    """Compares control merchants of markets above the median share of treated ones with those of the others.

    Markets are the units, each with the mean of its controls: merchants of one market have their fate in common. Those
    without controls say nothing. Raises ValueError for fewer than two markets on either side.
    """
    speaking = [market for market in markets if market.changes]
    if not speaking:
        raise ValueError("markets: none has a control merchant")
    middle = median_low([market.treated_ppm for market in speaking])
    high = [fmean(market.changes) for market in speaking if market.treated_ppm > middle]
    low = [fmean(market.changes) for market in speaking if market.treated_ppm <= middle]
    return Displacement(effect=difference(high, low, level), high_markets=len(high), low_markets=len(low))
