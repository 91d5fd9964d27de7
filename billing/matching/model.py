"""What matching speaks of. Pure. Amounts are minor units, signed as the account's owner sees them."""

from datetime import date, datetime
from enum import StrEnum
from typing import Annotated

import msgspec

from marketplace.core.errors import Refusals
from marketplace.core.money import MINOR_DIGITS

SUBSET_ITEMS_MAX = 12
"""Among so many candidates at most a sum is looked for: 4,096 subsets."""

PPM_MAX = 1_000_000


class Book(StrEnum):
    """Whose word is compared with ours."""

    BANK = "bank"
    PROCESSOR = "processor"


class Side(StrEnum):
    THEIRS = "theirs"
    OURS = "ours"


class ItemKind(StrEnum):
    """What an item stands for: the first two are lines of others, the rest is what our books expect there.

    A processor's fee that belongs to no payment is expected for nothing, so that its line has another side. What is
    written off stands on the side that lacks it.
    """

    BANK_LINE = "bank_line"
    PROCESSOR_LINE = "processor_line"
    PROCESSOR_FEE = "processor_fee"
    CAPTURE = "capture"
    REFUND = "refund"
    DISPUTE = "dispute"
    DISPUTE_WON = "dispute_won"
    SETTLEMENT = "settlement"
    PROCESSOR_PAYOUT = "processor_payout"
    PAYOUT = "payout"
    PAYOUT_RETURN = "payout_return"
    CLAIM = "claim"
    REMITTANCE = "remittance"
    AD_RECEIPT = "ad_receipt"
    OWN_SALE = "own_sale"
    JOURNAL = "journal"
    WRITE_OFF = "write_off"


class Stage(StrEnum):
    """How a group was found, in the order in which it is looked for."""

    EXACT = "exact"
    EXPLAINED = "explained"
    BATCH = "batch"
    SUBSET = "subset"
    LIKELY = "likely"
    MANUAL = "manual"
    UNMATCH = "unmatch"


class ResidueKind(StrEnum):
    """What explains that two sides differ; an adjustment is what nothing does."""

    FEE = "fee"
    EXCHANGE = "exchange"
    ROUNDING = "rounding"
    ADJUSTMENT = "adjustment"


Minor = Annotated[int, msgspec.Meta(ge=0, le=10**12)]
Ppm = Annotated[int, msgspec.Meta(ge=0, le=PPM_MAX)]
Days = Annotated[int, msgspec.Meta(ge=0, le=60)]
Score = Annotated[int, msgspec.Meta(ge=0, le=100)]


class Tolerance(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A residue that needs no person: within both limits, and of a fee only where theirs is less than ours."""

    book: Book
    residue: ResidueKind
    minor_max: Minor
    ppm_max: Ppm

    def allows(self, theirs_minor: int, ours_minor: int) -> bool:
        residue = theirs_minor - ours_minor
        within = abs(residue) <= self.minor_max and abs(residue) * PPM_MAX <= abs(ours_minor) * self.ppm_max
        return within and (self.residue is not ResidueKind.FEE or residue < 0)


_ROUNDING = (
    Tolerance(book=Book.BANK, residue=ResidueKind.ROUNDING, minor_max=1, ppm_max=PPM_MAX),
    Tolerance(book=Book.PROCESSOR, residue=ResidueKind.ROUNDING, minor_max=1, ppm_max=PPM_MAX),
    Tolerance(book=Book.BANK, residue=ResidueKind.FEE, minor_max=500, ppm_max=10_000),
)


class Rules(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How items are matched. tolerances: the first that allows a residue explains it.

    window_days: how far apart the days may lie where no reference says that two belong together. likely_score: from
    which score, of 100, a likely pair is matched without a person, and by how much it must be ahead of every other.
    """

    tolerances: Annotated[tuple[Tolerance, ...], msgspec.Meta(max_length=20)] = _ROUNDING
    window_days: Days = 5
    subset_items: Annotated[int, msgspec.Meta(ge=0, le=SUBSET_ITEMS_MAX)] = SUBSET_ITEMS_MAX
    likely_score: Score = 85
    likely_margin: Annotated[int, msgspec.Meta(ge=1, le=100)] = 10


class RulesVersion(msgspec.Struct, frozen=True, kw_only=True):
    """Version 0 is what holds before anybody has set rules."""

    version: int
    rules: Rules
    made_by: str
    made_at: datetime
    approved_by: str | None
    approved_at: datetime | None


class Account(msgspec.Struct, frozen=True, kw_only=True):
    """Whose an account in statements is. lag_days: business days until what we booked should be on it.

    from_on: the first day that is matched.
    """

    account: str
    book: Book
    entity_id: int
    processor_id: int | None
    calendar: str
    lag_days: int
    from_on: date


class Item(msgspec.Struct, frozen=True, kw_only=True):
    """One side of a match, see `billing.matching.tables`."""

    item_id: int
    book: Book
    side: Side
    kind: ItemKind
    owner_id: int
    source_id: int
    part: int
    entity_id: int
    processor_id: int | None
    currency: str
    amount_minor: int
    fee_minor: int | None
    reference: str
    batch_ref: str
    keys: tuple[str, ...]
    party: str
    party_account: str
    words: str
    day: date
    expected_on: date
    sort_key: str
    booked: bool
    booked_as: int | None
    suspense_id: int | None
    group_id: int | None
    apart: tuple[int, ...] = ()

    @property
    def charge_minor(self) -> int:
        """What a processor charged for a line that only its bank file brought, as long as it is not booked."""
        due = self.side is Side.THEIRS and not self.booked and self.booked_as is None
        return (self.fee_minor or 0) if due else 0

    @property
    def rank(self) -> tuple[date, int, str]:
        """An order that does not depend on when the item came."""
        return self.day, self.amount_minor, self.sort_key


class Charge(msgspec.Struct, frozen=True, kw_only=True):
    """What a processor charged for lines of one day; source_id: the match group, or the first of those, with them."""

    source_id: int
    entity_id: int
    processor_id: int
    currency: str
    day: date
    fee_minor: int


class Draft(msgspec.Struct, frozen=True, kw_only=True):
    """Items that are to be a group."""

    stage: Stage
    theirs: tuple[int, ...]
    ours: tuple[int, ...]
    residue_minor: int = 0
    residue_kind: ResidueKind | None = None
    score: int = 100
    reasons: tuple[str, ...] = ()


class Group(msgspec.Struct, frozen=True, kw_only=True):
    """What belongs together; `live` until a group reverses it."""

    group_id: int
    run_id: int | None
    proposal_id: int | None
    stage: Stage
    rules_version: int
    score: int
    reasons: tuple[str, ...]
    book: Book
    currency: str
    theirs: tuple[int, ...]
    ours: tuple[int, ...]
    residue_minor: int
    residue_kind: str
    reverses_id: int | None
    reversed_by: int | None
    made_by: str
    made_at: datetime


class Run(msgspec.Struct, frozen=True, kw_only=True):
    """A pass over what is open. found: groups by stage, lines put on suspense, breaks opened and closed."""

    run_id: int
    rules_version: int
    state: str
    found: dict[str, int]
    started_by: str
    started_at: datetime
    ended_at: datetime | None


class Proposal(msgspec.Struct, frozen=True, kw_only=True):
    """What a person wants matched or taken back; another person decides. residue_kind: what the person says explains a
    difference, "" where it is left to the rules."""

    proposal_id: int
    action: str
    theirs: tuple[int, ...]
    ours: tuple[int, ...]
    group_id: int | None
    residue_kind: str
    reason: str
    state: str
    made_by: str
    made_at: datetime
    decided_by: str | None
    decided_at: datetime | None
    single_operator: bool


class PayoutBack(msgspec.Struct, frozen=True, kw_only=True):
    """A payout that the bank has paid and whose amount a line brings back; break_id: the break to say so of."""

    merchant_id: int
    payout_id: int
    break_id: int


class Suggestion(msgspec.Struct, frozen=True, kw_only=True):
    """Items that may be the other side of an open line, and why.

    payout_back: instead of items, the payout that came back with the line. Nothing is matched before somebody has said
    so of its break, which makes it owed again.
    """

    ours: tuple[int, ...]
    score: int
    reasons: tuple[str, ...]
    payout_back: PayoutBack | None = None


class FeeLine(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What one capture costs: fixed_minor and a rate on its gross; method '' where no other line names it.

    A fee that belongs to no payment has for its method what the processor's report calls it, and only fixed_minor.
    """

    method: Annotated[str, msgspec.Meta(max_length=60)] = ""
    currency: Annotated[str, msgspec.Meta(min_length=3, max_length=3)]
    fixed_minor: Minor
    ppm: Ppm


class FeeSchedule(msgspec.Struct, frozen=True, kw_only=True):
    """What a processor may charge from a day on; it counts once somebody else has approved it."""

    processor_id: int
    version: int
    from_on: date
    fees: tuple[FeeLine, ...]
    made_by: str
    made_at: datetime
    approved_by: str | None
    approved_at: datetime | None


def check_fees(fees: tuple[FeeLine, ...]) -> None:
    """Raise Invalid naming every line in a currency that is none, and every one that is there a second time."""
    wrong, seen = Refusals(), set()
    for at, fee in enumerate(fees):
        if fee.currency not in MINOR_DIGITS:
            wrong.add(f"/fees/{at}/currency", f"fees[{at}].currency: {fee.currency!r} is not one we accept")
        if (fee.method, fee.currency) in seen:
            twice = f"{fee.method or 'any method'} in {fee.currency} is there twice"
            wrong.add(f"/fees/{at}", f"fees[{at}]: {twice}")
        seen.add((fee.method, fee.currency))
    wrong.check()
