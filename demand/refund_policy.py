"""Who bears what of a refund: a matrix of reason × initiator, frozen on the order at the sale. Pure.

A version names the combinations it allows; what it does not name is refused.
"""

from collections.abc import Sequence
from enum import StrEnum

import msgspec

from demand.lifecycle import Party
from marketplace.core.errors import Conflict, Invalid
from marketplace.core.money import allocate
from marketplace.core.rates import divide_half_even


class Reason(StrEnum):
    """Why a buyer gets money back. Refunds of imported orders keep the words of their source."""

    CHANGED_MIND = "changed_mind"
    NOT_DELIVERED = "not_delivered"
    DAMAGED = "damaged"
    WRONG_ITEM = "wrong_item"
    LATE = "late"
    OUT_OF_STOCK = "out_of_stock"
    MERCHANT_CANCELLED = "merchant_cancelled"
    BUYER_CANCELLED = "buyer_cancelled"
    RETURNED = "returned"
    AMENDMENT = "amendment"
    GOODWILL = "goodwill"
    FRAUD = "fraud"
    DISPUTE_LOST = "dispute_lost"


LEAVES_STANDING = frozenset({Reason.GOODWILL, Reason.AMENDMENT})
"""Reasons that do not end an order, however much of it they give back."""


class Bearer(StrEnum):
    MERCHANT = "merchant"
    PLATFORM = "platform"
    BUYER = "buyer"


class Commission(StrEnum):
    RETURNED = "returned"
    KEPT = "kept"


class Rule(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Who bears what of a refund for this reason when this party asks for it.

    freight `buyer`: it is not given back. commission: of the goods and freight that the merchant bears; where the
    platform bears the goods the merchant's sale stands, and so does its commission (`kept`).
    """

    reason: Reason
    initiator: Party
    goods: Bearer
    freight: Bearer
    commission: Commission
    processor_fee: Bearer


class Policy(msgspec.Struct, frozen=True, kw_only=True):
    """One version of the matrix."""

    policy_id: int
    name: str
    rules: tuple[Rule, ...]

    def rule(self, reason: Reason, initiator: Party) -> Rule:
        """Raises Conflict naming reason and initiator when this version does not allow them together."""
        for rule in self.rules:
            if (rule.reason, rule.initiator) == (reason, initiator):
                return rule
        raise Conflict(
            f"reason: the refund policy {self.policy_id} of this order names no refund for {reason}"
            f" that is asked for by the {initiator}"
        )


def reason_named(code: str) -> Reason:
    """Raises Invalid for what is no reason."""
    try:
        return Reason(code)
    except ValueError as fault:
        raise Invalid(f"reason: {code!r} is none of {', '.join(Reason)}", pointer="/reason") from fault


def check_rules(rules: Sequence[Rule]) -> None:
    """Raise Invalid, naming the rule, unless every one makes sense and no two say who bears the same."""
    seen: dict[tuple[Reason, Party], int] = {}
    for number, rule in enumerate(rules):
        where = f"rules[{number}]"
        first = seen.setdefault((rule.reason, rule.initiator), number)
        if first != number:
            raise Invalid(f"{where}: {rule.reason} by the {rule.initiator} stands in rules[{first}] already")
        if rule.goods is Bearer.BUYER:
            raise Invalid(f"{where}.goods: a refund that leaves the goods with the buyer is none")
        if rule.processor_fee is Bearer.BUYER:
            raise Invalid(f"{where}.processor_fee: the buyer bears no processor fee")
        if rule.goods is Bearer.PLATFORM and rule.commission is Commission.RETURNED:
            raise Invalid(f"{where}.commission: the sale stands when the platform bears the goods: `kept`")
        if rule.reason is Reason.DISPUTE_LOST and rule.initiator is not Party.PROCESSOR:
            raise Invalid(f"{where}.initiator: it is the processor, and nobody else, that says dispute_lost")
        if rule.reason is Reason.DISPUTE_LOST and rule.freight is Bearer.BUYER:
            raise Invalid(f"{where}.freight: a lost dispute takes the freight too")
    if (Reason.DISPUTE_LOST, Party.PROCESSOR) not in seen:
        raise Invalid("rules: dispute_lost by the processor is missing, and a lost dispute cannot be refused")


def _default() -> tuple[Rule, ...]:
    """What holds until a marketplace sets its own: the merchant bears what is given back, the platform its own fees.

    A buyer that changes its mind pays the freight; what a merchant cannot deliver costs it the processor's fee too;
    the platform's own goodwill is the platform's.
    """
    reason, party, merchant, platform = Reason, Party, Bearer.MERCHANT, Bearer.PLATFORM
    plain = (merchant, merchant, Commission.RETURNED, platform)
    by_buyer = (merchant, Bearer.BUYER, Commission.RETURNED, platform)
    with_fee = (merchant, merchant, Commission.RETURNED, merchant)
    house = (platform, platform, Commission.KEPT, platform)
    rows = {(each, party.PLATFORM): plain for each in reason}
    rows |= {(each, party.MERCHANT): plain for each in reason if each != reason.FRAUD}
    rows |= {(each, party.MERCHANT): with_fee for each in (reason.OUT_OF_STOCK, reason.MERCHANT_CANCELLED)}
    rows |= {(each, party.BUYER): by_buyer for each in (reason.CHANGED_MIND, reason.RETURNED)}
    cared_for = (reason.NOT_DELIVERED, reason.DAMAGED, reason.WRONG_ITEM, reason.LATE)
    rows |= {(each, party.BUYER): plain for each in (*cared_for, reason.BUYER_CANCELLED, reason.AMENDMENT)}
    rows |= {(each, party.CLOCK): plain for each in (reason.NOT_DELIVERED, reason.LATE, reason.AMENDMENT)}
    rows |= {(each, party.PROCESSOR): plain for each in (reason.FRAUD, reason.DISPUTE_LOST, reason.AMENDMENT)}
    rows[reason.GOODWILL, party.PLATFORM] = house
    for who in (party.PLATFORM, party.MERCHANT):
        del rows[reason.DISPUTE_LOST, who]
    return tuple(
        Rule(reason=why, initiator=who, goods=goods, freight=freight, commission=commission, processor_fee=fee)
        for (why, who), (goods, freight, commission, fee) in sorted(rows.items())
    )


DEFAULT = Policy(policy_id=1, name="default", rules=_default())
"""Version 1; the one of every order that was sold before there was another."""


class LineLeft(msgspec.Struct, frozen=True):
    """What of an order line the buyer has not got back yet, in minor units."""

    line_no: int
    goods_minor: int
    freight_minor: int


def buyers_shares(left: Sequence[int], given: Sequence[int], bore_minor: int) -> list[int]:
    """What the buyer has not got back of shares of an order: together what is left of them less what the platform bore.

    left: what is left of each for the merchant; given: what the platform has given the buyer of each, net. What it
    bore and no share says, because a dispute took too much or the share was amended away, is spread over all of them.
    """
    shares = [min(minor, max(0, minor - of_it)) for minor, of_it in zip(left, given, strict=True)]
    total = max(0, sum(left) - bore_minor)
    if sum(shares) >= total:
        less = allocate(sum(shares) - total, shares)
        return [share - minor for share, minor in zip(shares, less, strict=True)]
    taken = [minor - share for share, minor in zip(shares, left, strict=True)]
    more = allocate(total - sum(shares), taken)
    return [share + minor for share, minor in zip(shares, more, strict=True)]


def fee_share(fees_minor: int, base_minor: int, captured_minor: int) -> int:
    """What a merchant bears of a processor's fees by what was refunded at its cost so far, half-even.

    base_minor: those refunds together; captured_minor: what the fees were taken for. What one more refund costs is the
    difference to the share before it, so that all of an order costs exactly the fees.
    """
    if not captured_minor:
        return 0
    return divide_half_even(fees_minor * min(base_minor, captured_minor), captured_minor)


def spread(amount_minor: int, lines: Sequence[LineLeft], *, freight: bool = True) -> list[LineLeft]:
    """Divide an amount that names no items over what is left of the lines, by largest remainder.

    No line gets more than it has left. Raises Conflict when more is asked than all of them have; lines that get
    nothing are left out.
    """
    left = [line.goods_minor for line in lines] + [line.freight_minor if freight else 0 for line in lines]
    if amount_minor > sum(left):
        raise Conflict(f"amount: {amount_minor} is more than {sum(left)}, what is left of the lines")
    shares = allocate(amount_minor, left)
    goods, carried = shares[: len(lines)], shares[len(lines) :]
    spread_over = [LineLeft(line.line_no, goods[n], carried[n]) for n, line in enumerate(lines)]
    return [line for line in spread_over if line.goods_minor or line.freight_minor]
