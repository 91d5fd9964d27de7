"""Who is shown in sponsored positions, and what each pays: a generalised second-price auction. Pure.

(Edelman, Ostrovsky, Schwarz: Internet Advertising and the Generalized Second-Price Auction, 2007, with quality scores
as in section I.) Bids are ranked by bid times quality. Whoever has a position pays the least in whole minor units that
keeps its rank against the next one, so the exact price is rounded up; never more than its bid, never less than the
reserve price. Equal scores are ranked by the older campaign, then by merchant, so that the answer never depends on the
order of the bids.
"""

from collections.abc import Iterable, Sequence

import msgspec

QUALITY_MIN, QUALITY_MAX = 200_000, 5_000_000
"""Bounds of a quality score in ppm: nothing is clicked so seldom or so often that its bid does not count."""

_PRIOR_IMPRESSIONS = 1_000
"""A campaign counts as average until it has been shown about as often as this."""


class Bid(msgspec.Struct, frozen=True, kw_only=True):
    """A campaign's offer for a position; price in minor units, quality in ppm of the average."""

    merchant_id: int
    campaign_id: int
    bid_minor: int
    quality_ppm: int

    @property
    def score(self) -> int:
        return self.bid_minor * self.quality_ppm

    @property
    def _rank(self) -> tuple[int, int, int]:
        """Smaller is better."""
        return (-self.score, self.campaign_id, self.merchant_id)


class Won(msgspec.Struct, frozen=True, kw_only=True):
    """A position, from 1 on, and what it costs."""

    bid: Bid
    position: int
    price_minor: int


def run_auction(bids: Iterable[Bid], *, positions: int, reserve_minor: int) -> list[Won]:
    """The winners in the order of their positions.

    Bids below the reserve price take no part. A merchant has one position at most: its best bid counts, and its others
    do not raise its price.
    """
    best: dict[int, Bid] = {}
    for bid in bids:
        held = best.get(bid.merchant_id)
        if bid.bid_minor >= max(reserve_minor, 1) and (held is None or bid._rank < held._rank):
            best[bid.merchant_id] = bid
    ranked = sorted(best.values(), key=lambda bid: bid._rank)
    return [
        Won(bid=bid, position=number, price_minor=_price(bid, ranked[number : number + 1], reserve_minor))
        for number, bid in enumerate(ranked[:positions], start=1)
    ]


def _price(bid: Bid, following: Sequence[Bid], reserve_minor: int) -> int:
    floor = max(reserve_minor, 1)
    if not following:
        return floor
    [below] = following
    exact, rest = divmod(below.score, bid.quality_ppm)
    least = exact + (rest > 0)
    if least * bid.quality_ppm == below.score and (bid.campaign_id, bid.merchant_id) > (
        below.campaign_id,
        below.merchant_id,
    ):
        least += 1  # with an equal score the other one would be ranked first
    return max(least, floor)


def quality_ppm(impressions: int, clicks: int, average_ppm: int) -> int:
    """How much oftener than the average of its placement a campaign is clicked, in ppm, within the bounds.

    average_ppm: clicks of the placement per impression. Few impressions say little: they are mixed with a thousand
    average ones. Rounded down.
    """
    if average_ppm <= 0:
        return 1_000_000
    prior_clicks_ppm = _PRIOR_IMPRESSIONS * average_ppm
    smoothed = (clicks * 1_000_000 + prior_clicks_ppm) * 1_000_000 // ((impressions + _PRIOR_IMPRESSIONS) * average_ppm)
    return min(max(smoothed, QUALITY_MIN), QUALITY_MAX)
