"""What the parts of a promotion's terms are made of: amounts, rates, local times. Pure."""

from typing import Annotated, Literal

import msgspec

from marketplace.core.money import AMOUNT_MAX
from marketplace.core.rates import PPM

TIERS_MAX = 50
FUNDERS_MAX = 10
BUDGETS_MAX = 200
TAGS_MAX = 20
ARMS_MAX = 10
WEIGHT_MAX = 1_000_000
DAY = 86_400
"""Seconds."""
SLOTS = 10_000
"""Into so many equal slots the units of an experiment fall."""
TEXT_MAX = 200

Text = Annotated[str, msgspec.Meta(min_length=1, max_length=TEXT_MAX, pattern=r"^[^\x00-\x1f\x7f]*$")]
Minor = Annotated[int, msgspec.Meta(ge=0, le=AMOUNT_MAX)]
Positive = Annotated[int, msgspec.Meta(ge=1, le=AMOUNT_MAX)]
Rate = Annotated[int, msgspec.Meta(ge=0, le=PPM)]
Weight = Annotated[int, msgspec.Meta(ge=0, le=WEIGHT_MAX)]
Days = Annotated[int, msgspec.Meta(ge=1, le=3_660)]
Slots = Annotated[int, msgspec.Meta(ge=0, le=SLOTS)]
Tags = Annotated[tuple[Text, ...], msgspec.Meta(max_length=TAGS_MAX)]
Currency = Annotated[str, msgspec.Meta(pattern=r"^[A-Z]{3}$")]
LocalTime = Annotated[str, msgspec.Meta(pattern=r"^\d{4}-\d\d-\d\d(T\d\d:\d\d)?$")]
"""A local date, or a local date and time: 2026-12-01 or 2026-12-01T18:00."""
LocalHour = Annotated[str, msgspec.Meta(pattern=r"^(([01]\d|2[0-3]):[0-5]\d|24:00)$")]
Role = Literal["merchant", "buyer"]
OptIn = Literal["not_needed", "from_opt_in", "from_window_start"]
"""Whether somebody must have joined, and from when on its events then count."""


class Part(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A part of a promotion's terms."""
