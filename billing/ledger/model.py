"""What the ledger speaks of. Pure."""

from collections.abc import Mapping
from datetime import date, datetime

import msgspec

from billing.ledger.chart import Account
from marketplace.core.errors import Invalid


class Leg(msgspec.Struct, frozen=True):
    """One line of an entry: minor units, debit positive, credit negative."""

    account: int
    amount_minor: int
    dimension: int = 0


class NewEntry(msgspec.Struct, frozen=True, kw_only=True):
    """An entry to post. `effective_on` is the day wished for: a closed one becomes the first open day.

    by_hand: a journal of finance's, which may take a day of a month that is soft-closed.
    """

    merchant_id: int
    kind: str
    source_id: int
    currency: str
    occurred_at: datetime
    effective_on: date
    legs: tuple[Leg, ...]
    by_hand: bool = False

    def __post_init__(self) -> None:
        if len(self.legs) < 2 or any(leg.amount_minor == 0 for leg in self.legs):
            raise Invalid(f"{self.kind}: an entry needs at least two legs, none of them zero")
        if sum(leg.amount_minor for leg in self.legs) != 0:
            raise Invalid(f"{self.kind}: debits and credits differ by {sum(leg.amount_minor for leg in self.legs)}")


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """A posted entry."""

    merchant_id: int
    entry_no: int
    kind: str
    source_id: int
    entity_id: int
    currency: str
    occurred_at: datetime
    effective_on: date
    prior_period: bool
    legs: tuple[Leg, ...]
    posted_at: datetime
    posted_by: str


class Balance(msgspec.Struct, frozen=True):
    """What an account stands at: debits less credits, in minor units."""

    account: int
    dimension: int
    currency: str
    balance_minor: int


class TrialLine(msgspec.Struct, frozen=True):
    """One account of the trial balance of one legal entity."""

    entity_id: int
    account: int
    currency: str
    debit_minor: int
    credit_minor: int

    @property
    def balance_minor(self) -> int:
        return self.debit_minor - self.credit_minor


class AccountLine(msgspec.Struct, frozen=True):
    """One leg on an account, with the entry that it belongs to."""

    merchant_id: int
    entry_no: int
    effective_on: date
    occurred_at: datetime
    kind: str
    source_id: int
    currency: str
    dimension: int
    amount_minor: int


def legs(amounts: Mapping[Account, int], *, dimensions: Mapping[Account, int] | None = None) -> tuple[Leg, ...]:
    """Legs from account to signed amount; zero amounts are left out. `dimensions` names those that have one."""
    named = dimensions or {}
    return tuple(Leg(int(account), amount, named.get(account, 0)) for account, amount in amounts.items() if amount != 0)
