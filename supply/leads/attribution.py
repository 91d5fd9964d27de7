"""To which channels a won lead is due: shares in parts per million that sum to the whole, exactly. Pure."""

from collections.abc import Sequence
from datetime import datetime
from enum import StrEnum

import msgspec

from marketplace.core.money import allocate
from marketplace.core.rates import PPM


class AttributionModel(StrEnum):
    """`position`: 40 % to the first touch, 40 % to the last, the rest in equal parts to those between (40-20-40).

    `owner`: the whole to the last touch of the rep who holds the contract, or to the last touch of all where there is
    none.
    """

    FIRST = "first"
    LAST = "last"
    LINEAR = "linear"
    POSITION = "position"
    OWNER = "owner"


class Point(msgspec.Struct, frozen=True):
    """A touch, as far as attribution asks. Their order is that of instant and number."""

    at: datetime
    touch_id: int
    channel_id: int
    campaign: str
    rep_id: int | None


class Share(msgspec.Struct, frozen=True):
    """What a channel and campaign are due of one lead."""

    channel_id: int
    campaign: str
    share_ppm: int


def weights(count: int, model: AttributionModel) -> list[int]:
    """The weights of so many touches in their order, for every model but `owner`."""
    if model is AttributionModel.FIRST:
        return [1] + [0] * (count - 1)
    if model is AttributionModel.LINEAR:
        return [1] * count
    if model is AttributionModel.POSITION and count > 2:
        return [2 * (count - 2), *[1] * (count - 2), 2 * (count - 2)]
    if model is AttributionModel.POSITION:
        return [1] * count
    return [0] * (count - 1) + [1]


def attribute(
    points: Sequence[Point], model: AttributionModel, *, until: datetime, owner_id: int | None
) -> list[Share]:
    """The shares of the touches up to an instant, by largest remainder; nothing where there was no touch by then.

    Touches of one channel and campaign are one share. until: when the lead was activated, after which nothing is due.
    """
    counted = sorted((each for each in points if each.at <= until), key=lambda each: (each.at, each.touch_id))
    if model is AttributionModel.OWNER:
        counted = [point for point in counted if owner_id is not None and point.rep_id == owner_id] or counted
    if not counted:
        return []
    summed: dict[tuple[int, str], int] = {}
    for point, share in zip(counted, allocate(PPM, weights(len(counted), model)), strict=True):
        key = (point.channel_id, point.campaign)
        summed[key] = summed.get(key, 0) + share
    return [Share(channel, campaign, share) for (channel, campaign), share in sorted(summed.items()) if share]
