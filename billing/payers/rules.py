"""What payers bear of an order, how that unwinds, and what the platform earns by it. Pure. Amounts are minor units."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from itertools import pairwise

import msgspec

from billing.payers.terms import CapPeriod, PayerTerms
from billing.rating import refund_share
from marketplace.core.money import allocate
from marketplace.core.rates import apply_half_even, divide_half_even

WHOLE = date(1970, 1, 1)
"""The one period of a cap that holds for the contract as a whole."""
NO_LIMIT = 2**60
"""The limit of a contract without a cap: more than all amounts that this platform books come to."""
AGEING = (0, 30, 60, 90)
"""Days after the due date at which the ageing buckets begin; before the first is not due yet."""
DUNNING = (7, 21, 45)
"""Days after the due date from which a claim stands at dunning level 1, 2, 3."""


class Priced(msgspec.Struct, frozen=True):
    """A line of an order to be paid: goods less discounts, and freight."""

    line_no: int
    category: str | None
    goods_minor: int
    freight_minor: int

    @property
    def price_minor(self) -> int:
        return self.goods_minor + self.freight_minor


class Offer(msgspec.Struct, frozen=True, kw_only=True):
    """A version of a contract, under the ids it is stored with. room_minor: what its cap still gives in the period."""

    contract_id: int
    version_id: int
    payer_id: int
    room_minor: int
    terms: PayerTerms


class Granted(msgspec.Struct, frozen=True, kw_only=True):
    """What a contract bears of an order, by line. note: why it is not more, None when nothing held it back."""

    offer: Offer
    amount_minor: int
    line_minor: tuple[int, ...]
    note: str | None


def period_from(cap_period: CapPeriod, on: date) -> date:
    """The first day of the cap's period that a local date belongs to; `WHOLE` where there is only one."""
    if cap_period == "day":
        return on
    return on.replace(day=1) if cap_period == "month" else WHOLE


def period_end(cap_period: CapPeriod, first: date) -> date:
    """The day after the period that begins on `first`."""
    if cap_period == "day":
        return date.fromordinal(first.toordinal() + 1)
    if cap_period == "whole":
        return date.max
    return first.replace(year=first.year + first.month // 12, month=first.month % 12 + 1)


def waterfall(lines: Sequence[Priced], offers: Iterable[Offer]) -> list[Granted]:
    """What each contract bears of an order, in the order of priority and name; contracts that do not fit are left out.

    share = min(share of the eligible price, cap per order, what its cap has left, what the lines have left), divided
    over the eligible lines by what they have left, largest remainder. The sum never exceeds the price of any line.
    """
    left = [line.price_minor for line in lines]
    granted = []
    for offer in sorted(offers, key=lambda offer: (offer.terms.priority, offer.terms.name)):
        terms = offer.terms
        eligible = [_counts(terms, line) for line in lines]
        base = sum(eligible)
        weights = [min(counts, rest) for counts, rest in zip(eligible, left, strict=True)]
        if base == 0 or base < terms.minimum_minor or sum(weights) == 0:
            continue
        wanted = apply_half_even(base, terms.share_ppm)
        if wanted == 0:
            continue
        amount, note = wanted, None
        limits = ((terms.order_cap_minor, "order_cap"), (offer.room_minor, "cap"), (sum(weights), "price"))
        for limit, name in limits:
            if limit is not None and limit < amount:
                amount, note = max(0, limit), name
        if note == "cap":
            note = "cap_exhausted" if amount == 0 else "cap_left"
        shares = allocate(amount, weights)
        left = [rest - share for rest, share in zip(left, shares, strict=True)]
        granted.append(Granted(offer=offer, amount_minor=amount, line_minor=tuple(shares), note=note))
    return granted


def _counts(terms: PayerTerms, line: Priced) -> int:
    """What of a line a contract looks at."""
    if not terms.covers(line.category):
        return 0
    return line.goods_minor + (line.freight_minor if terms.base == "goods_and_freight" else 0)


class Borne(msgspec.Struct, frozen=True, kw_only=True):
    """What one contract bears of an order, by line number, and what of it has come back."""

    contract_id: int
    line_minor: dict[int, int]
    back_minor: dict[int, int]


class Going(msgspec.Struct, frozen=True, kw_only=True):
    """What goes of a line's price. base_minor: the price, less what disputes took; before_minor: what went before."""

    base_minor: int
    before_minor: int
    going_minor: int


def unwind(
    borne: Sequence[tuple[Borne, Mapping[int, Going]]], *, given_minor: int, buyers_left_minor: int
) -> list[dict[int, int]]:
    """What comes back of each contract's share, by line, when parts of an order's lines go: of what the share is for.

    Each share returns in the proportion in which its line goes, by cumulative amounts, so that any partition of a full
    refund returns exactly what was borne. given_minor: what the refund gives back in all, to buyer and payers; what is
    left of it for the buyer is never below zero nor above buyers_left_minor, what the buyer has paid and not got back.
    """
    backs: list[dict[int, int]] = []
    room = given_minor
    for share, going in borne:
        backs.append({})
        for line_no, line in going.items():
            whole, back = share.line_minor.get(line_no, 0), share.back_minor.get(line_no, 0)
            if not line.going_minor or not whole:
                continue
            gone = min(line.before_minor + line.going_minor, line.base_minor)
            minor = min(max(0, refund_share(whole, back, gone, line.base_minor)), whole - back, room)
            backs[-1][line_no] = minor
            room -= minor
    short = room - buyers_left_minor
    for (share, _), moved in zip(borne, backs, strict=True):
        for line_no, whole in share.line_minor.items():
            more = min(short, whole - share.back_minor.get(line_no, 0) - moved.get(line_no, 0))
            if more > 0:
                moved[line_no] = moved.get(line_no, 0) + more
                short -= more
    return backs


class Standing(msgspec.Struct, frozen=True, kw_only=True):
    """Where a share stands. back_minor: what refunds took back; of that rejected_back_minor went to whom a rejection
    had hit, the rest to the payer. claimed_minor: net of rejections. remitted_minor: of share, fee and VAT together."""

    amount_minor: int
    back_minor: int = 0
    rejected_minor: int = 0
    rejected_back_minor: int = 0
    claimed_minor: int = 0
    fee_minor: int = 0
    vat_minor: int = 0
    remitted_minor: int = 0

    @property
    def payers_minor(self) -> int:
        """What the payer bears of it now."""
        return self.amount_minor - (self.back_minor - self.rejected_back_minor) - self.rejected_minor

    @property
    def claimable_minor(self) -> int:
        """What is to be claimed yet; negative: what was claimed too much, because some of it came back since."""
        return self.payers_minor - self.claimed_minor

    @property
    def open_minor(self) -> int:
        """What the payer owes of it by the ledger; negative: what it has paid too much."""
        return self.payers_minor + self.fee_minor + self.vat_minor - self.remitted_minor

    @property
    def unpaid_minor(self) -> int:
        """What of the share itself is not paid yet: what comes in counts for the share first, then for the fee."""
        return max(0, self.payers_minor - self.remitted_minor)


def split_back(standing: Standing, back_minor: int) -> tuple[int, int]:
    """What of an amount that comes back goes to the payer, and what to whoever bore its rejection: the payer first."""
    to_payer = min(back_minor, max(0, standing.payers_minor))
    return to_payer, back_minor - to_payer


def fee_for(claimed_minor: int, fee_ppm: int) -> int:
    """The fee on all that was claimed of a share: each claim books the difference to the one before."""
    return apply_half_even(claimed_minor, fee_ppm)


class Charged(msgspec.Struct, frozen=True):
    """A fee of a claim and the rate of its VAT. before: fee and VAT that its share bears from earlier claims."""

    fee_minor: int
    vat_ppm: int
    fee_before_minor: int = 0
    vat_before_minor: int = 0


def vat_by_line(fees: Iterable[Charged]) -> list[int]:
    """The VAT of a claim's fees.

    What a claim charges is taxed in one go: of all of it at a rate VAT is rounded once, and a line's is the difference
    to the line before, so that lines sum to the document. What it sets off of shares that earlier claims charged takes
    their VAT back in proportion, and all of it with the last of a share's fee: taken back to nothing leaves nothing.
    """
    sums: dict[int, int] = {}
    vats = []
    for one in fees:
        if one.fee_minor < 0:
            vats.append(divide_half_even(one.vat_before_minor * one.fee_minor, one.fee_before_minor))
        else:
            net = sums.get(one.vat_ppm, 0)
            sums[one.vat_ppm] = net + one.fee_minor
            vats.append(apply_half_even(net + one.fee_minor, one.vat_ppm) - apply_half_even(net, one.vat_ppm))
    return vats


def part_back(whole_minor: int, rejected_before: int, rejected_now: int, claimed_minor: int) -> int:
    """What a rejection takes back of a line's fee, or of its VAT: by cumulative share, so all of it with the last."""
    gone = divide_half_even(whole_minor * (rejected_before + rejected_now), claimed_minor)
    return gone - divide_half_even(whole_minor * rejected_before, claimed_minor)


def divide_remittance(received_minor: int, open_minor: Sequence[int]) -> list[int]:
    """Divide what came in over lines by what is open of each; lines that are owed to the payer are set off first.

    Everything when everything comes; otherwise by largest remainder. Raises ValueError for more than is open.
    """
    offset = -sum(minor for minor in open_minor if minor < 0)
    owing = [max(0, minor) for minor in open_minor]
    if received_minor + offset > sum(owing):
        raise ValueError("more has come in than is open")
    shares = allocate(received_minor + offset, owing)
    return [min(minor, 0) + share for minor, share in zip(open_minor, shares, strict=True)]


def ageing_bucket(due_on: date, on: date) -> str:
    """`not_due`, or how long a claim is overdue: `1_30`, `31_60`, `61_90`, `over_90`."""
    days = (on - due_on).days
    if days <= 0:
        return "not_due"
    for first, last in pairwise(AGEING):
        if days <= last:
            return f"{first + 1}_{last}"
    return f"over_{AGEING[-1]}"


def dunning_level(due_on: date, on: date) -> int:
    """How often a claim that is unpaid on that day should have been dunned."""
    return sum((on - due_on).days >= days for days in DUNNING)
