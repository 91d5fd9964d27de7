"""Charges to merchants for what the platform sells them, and what becomes of a charge. Pure. Amounts in minor units.

What a charge earns over time waits as deferred revenue and is recognised month by month (`unrecognised`). A change of
the contract starts the count anew from the day it happens on (anchored_on): what was earned until then stays earned.
"""

from datetime import date, datetime
from enum import StrEnum

import msgspec

from billing.ledger.chart import Account
from marketplace.core import months
from marketplace.core.errors import Invalid
from marketplace.core.rates import apply_half_even, divide_half_even


class ChargeSource(StrEnum):
    """What a charge is for; the noun whose id is its source_id."""

    SUBSCRIPTION = "subscription"
    HARDWARE = "hardware"
    WORK_ORDER = "work_order"
    SERVICE = "service"
    AD_ORDER = "ad_order"


REVENUE = {
    ChargeSource.SUBSCRIPTION: Account.SUBSCRIPTION,
    ChargeSource.HARDWARE: Account.HARDWARE,
    ChargeSource.WORK_ORDER: Account.HARDWARE,
    ChargeSource.SERVICE: Account.MANAGED_SERVICE,
    ChargeSource.AD_ORDER: Account.AD_REVENUE,
}


def entry_kind(source: ChargeSource, happened: str) -> str:
    """The kind of the entry that books what happened: statements show ads apart from products."""
    return f"{'ad_order' if source is ChargeSource.AD_ORDER else 'product'}_{happened}"


class PaysBy(StrEnum):
    """How a merchant has agreed to pay: out of its earnings, or by transfer."""

    NETTING = "netting"
    TRANSFER = "transfer"


class NewCharge(msgspec.Struct, frozen=True, kw_only=True):
    """What is to be charged. part: which part of the source, such as a period; each is charged once.

    service_from, service_to: what it is earned over, half-open. Without them it is earned at once, or, `deferred`, when
    the source says so (a deposit).
    """

    merchant_id: int
    source: ChargeSource
    source_id: int
    part: str
    description: str
    currency: str
    net_minor: int
    vat_ppm: int
    charged_on: date
    due_on: date
    pays_by: PaysBy
    service_from: date | None = None
    service_to: date | None = None
    deferred: bool = False

    def __post_init__(self) -> None:
        if self.net_minor <= 0:
            raise Invalid("net_minor: a charge is above zero", pointer="/net_minor")

    @property
    def vat_minor(self) -> int:
        return apply_half_even(self.net_minor, self.vat_ppm)


class Charge(msgspec.Struct, frozen=True, kw_only=True):
    """A charge. open_minor: what the merchant still owes of it, with VAT.

    credited_minor and credited_vat_minor: net and VAT that were taken back. regained_minor: what of the loss that was
    written off is none, because it was credited since. recognised_minor: what is booked as revenue
    so far, of anchored_minor that was earned by anchored_on and of what is earned since.
    """

    merchant_id: int
    charge_id: int
    source: ChargeSource
    source_id: int
    part: str
    description: str
    currency: str
    net_minor: int
    vat_ppm: int
    vat_minor: int
    pays_by: PaysBy
    charged_on: date
    due_on: date
    deferred: bool
    service_from: date | None
    service_to: date | None
    anchored_on: date | None
    anchored_minor: int
    recognised_minor: int
    credited_minor: int
    credited_vat_minor: int
    written_off_minor: int
    regained_minor: int
    open_minor: int
    dunning_step: int
    entry_no: int
    created_at: datetime

    @property
    def kept_minor(self) -> int:
        """What is left of it after credits, without VAT."""
        return self.net_minor - self.credited_minor

    @property
    def lost_minor(self) -> int:
        """What was written off, and not credited since."""
        return self.written_off_minor - self.regained_minor

    @property
    def waiting_minor(self) -> int:
        """What is left to be recognised."""
        return self.kept_minor - self.recognised_minor

    def earned(self, on: date) -> int:
        """What is earned of it when the day `on` begins: of a service the used part, of the rest what was said."""
        if self.service_from is None or self.service_to is None or self.anchored_on is None:
            return self.anchored_minor if self.deferred else self.kept_minor
        if on < self.anchored_on:
            if self.anchored_minor == 0:
                return 0
            return months.used(self.anchored_minor, self.service_from, self.anchored_on, on)
        if self.service_to <= self.anchored_on:
            return self.kept_minor
        rest = self.kept_minor - self.anchored_minor
        return self.anchored_minor + months.used(rest, self.anchored_on, self.service_to, on)

    def unused(self, on: date) -> int:
        """What is not earned yet when the day `on` begins: what may be credited of a service from then on."""
        return self.kept_minor - self.earned(on)

    def credited_vat(self, net_minor: int) -> int:
        """The VAT that a credit of `net_minor` takes back: the difference of the cumulative share, so it telescopes."""
        after = divide_half_even(self.vat_minor * (self.credited_minor + net_minor), self.net_minor)
        return after - self.credited_vat_minor


class Happened(StrEnum):
    """What moves a charge after it was made."""

    NETTED = "netted"
    PAID = "paid"
    CREDITED = "credited"
    WRITTEN_OFF = "written_off"
    RECOGNISED = "recognised"


class ChargeMovement(msgspec.Struct, frozen=True, kw_only=True):
    """Something that happened to a charge. amount_minor: of all of it, VAT included where there is any.

    open_minor: by how much less the merchant owes; the rest of a credit went to its payable balance. counts_on: the day
    it counts for; of what was recognised the end of the service month.
    """

    merchant_id: int
    movement_id: int
    charge_id: int
    kind: Happened
    counts_on: date
    amount_minor: int
    vat_minor: int
    open_minor: int
    reason: str
    bank_ref: str | None
    entry_no: int
    at: datetime
    actor: str
