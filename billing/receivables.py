"""What merchants owe the platform: the cash they collected for it, and what they were billed. Pure."""

from datetime import date

import msgspec

SUSPENDS_ABOVE_MINOR = 100_000
"""A merchant that owes more than this, in minor units of the currency, is one to suspend until it has paid."""


class Receivable(msgspec.Struct, frozen=True, kw_only=True):
    """What a merchant owes in a currency, and since when: the day of the oldest debt that its payments do not cover.

    Payments and set-offs cover the oldest debts first. age_days: from that day to today in the entity's zone.
    """

    merchant_id: int
    currency: str
    balance_minor: int
    since: date
    age_days: int
    above_threshold: bool


AGES = (0, 31, 61, 91)
"""The first day of each age of a debt, in days since the oldest one that is not covered."""


class Aged(msgspec.Struct, frozen=True, kw_only=True):
    """What merchants owe whose oldest unpaid debt is `from_days` old or older, up to the next age."""

    from_days: int
    merchants: int
    balance_minor: int
