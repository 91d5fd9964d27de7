"""What amendments speak of. Pure. Amounts are minor units of the order's currency."""

from datetime import datetime
from enum import StrEnum
from typing import Annotated

import msgspec

from demand.lifecycle import Party
from marketplace.core.errors import Forbidden
from marketplace.core.money import AMOUNT_MAX

CHANGES_MAX = 50
"""Changes of one kind in one amendment."""
UNITS_MAX = 100_000

LineNo = Annotated[int, msgspec.Meta(ge=1, le=32_767)]
Units = Annotated[int, msgspec.Meta(ge=1, le=UNITS_MAX)]
Words = Annotated[str, msgspec.Meta(min_length=1, max_length=200, pattern="^[^\\x00]*$")]


class AmendmentState(StrEnum):
    """Proposed and awaiting_payment are open; an order has at most one open amendment."""

    PROPOSED = "proposed"
    AWAITING_PAYMENT = "awaiting_payment"
    APPLIED = "applied"
    DECLINED = "declined"
    EXPIRED = "expired"
    CANCELLED = "cancelled"


OPEN = (AmendmentState.PROPOSED, AmendmentState.AWAITING_PAYMENT)


class TakeOff(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Units of a line that will not be delivered; none of them is shipped yet."""

    line_no: LineNo
    quantity: Units


class Add(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Units of a listing of the same merchant, at its present price and freight."""

    product_id: Annotated[int, msgspec.Meta(ge=-(2**63), le=2**63 - 1)]
    quantity: Units


class Reprice(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """More (positive) or less (negative) for a line as a whole, and why."""

    line_no: LineNo
    amount_minor: Annotated[int, msgspec.Meta(ge=-AMOUNT_MAX, le=AMOUNT_MAX)]
    reason: Words


class Changes(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What is to change of an order."""

    take_off: Annotated[tuple[TakeOff, ...], msgspec.Meta(max_length=CHANGES_MAX)] = ()
    add: Annotated[tuple[Add, ...], msgspec.Meta(max_length=CHANGES_MAX)] = ()
    reprice: Annotated[tuple[Reprice, ...], msgspec.Meta(max_length=CHANGES_MAX)] = ()


class Listing(msgspec.Struct, frozen=True, kw_only=True):
    """What is offered of a product: price and freight of one unit, as they were when the change set was priced."""

    product_id: int
    title: str
    category: str | None
    price_minor: int
    freight_minor: int


class LineChange(msgspec.Struct, frozen=True, kw_only=True):
    """A line before and after: units still to be had, and what is left to pay for them. New lines were nothing."""

    line_no: int
    product_id: int | None
    title: str
    quantity_before: int
    quantity_after: int
    goods_before_minor: int
    goods_after_minor: int
    freight_before_minor: int
    freight_after_minor: int


class GivenBack(msgspec.Struct, frozen=True, kw_only=True):
    """What a line loses: units, and what was paid. The carried part pays for new lines, the rest is refunded."""

    line_no: int
    quantity: int
    goods_minor: int
    freight_minor: int
    carried_goods_minor: int
    carried_freight_minor: int


class NewLine(msgspec.Struct, frozen=True, kw_only=True):
    """A line to be added; surcharge_on: the line whose price it raises, None for units of a listing."""

    line_no: int
    product_id: int | None
    category: str | None
    title: str
    quantity: int
    goods_minor: int
    freight_minor: int
    surcharge_on: int | None


class Priced(msgspec.Struct, frozen=True, kw_only=True):
    """What a set of changes comes to for the merchant's lines, whoever has given the buyer some of their worth before.

    delta_minor: what the buyer has to pay (positive), or what the lines lose (negative); see `Preview.refund_minor`.

    carried_minor: the part of what is given back that pays for what is added, without any money moving.
    """

    lines: tuple[LineChange, ...]
    given_back: tuple[GivenBack, ...]
    added: tuple[NewLine, ...]
    goods_delta_minor: int
    freight_delta_minor: int
    delta_minor: int
    carried_minor: int


class ChangeSet(msgspec.Struct, frozen=True, kw_only=True):
    """Changes with the listings they were priced by and what they come to: all that confirming them needs."""

    changes: Changes
    listings: tuple[Listing, ...]
    priced: Priced


class Amendment(msgspec.Struct, frozen=True, kw_only=True):
    """A change set on its way. base_version: the order's version that it was priced against.

    party and proposed_by: who proposed it; decided_party and decided_by: who ended it. method: the buyer's means of
    paying the difference, empty for the one that the order was paid with. expires_at: when an open one lapses.
    """

    merchant_id: int
    amendment_id: int
    order_id: int
    state: AmendmentState
    base_version: int
    changes: ChangeSet
    delta_minor: int
    carried_goods_minor: int
    carried_freight_minor: int
    party: Party
    proposed_by: str
    proposed_at: datetime
    reason: str
    method: str
    decided_party: Party | None
    decided_by: str | None
    decided_at: datetime | None
    outcome: str
    expires_at: datetime
    payment_id: int | None
    refund_id: int | None


def check_may_decide(party: Party, proposed_by: Party) -> None:
    """Raise Forbidden unless this party may accept or decline: the other side, or the platform for either.

    What the platform proposed, buyer or merchant may accept; somebody else of the platform too, see the caller.
    """
    if party not in {Party.BUYER, Party.MERCHANT, Party.PLATFORM} or (
        party is proposed_by and party is not Party.PLATFORM
    ):
        raise Forbidden(f"the {proposed_by} proposed this amendment: the other side accepts or declines it")


def check_may_cancel(party: Party, proposed_by: Party, state: AmendmentState) -> None:
    """Raise Forbidden unless this party may take the amendment back: its proposer, the platform, or who is to pay."""
    pays = state is AmendmentState.AWAITING_PAYMENT and party is Party.BUYER
    if not (party in {proposed_by, Party.PLATFORM} or pays):
        raise Forbidden(f"the {proposed_by} proposed this amendment: the {party} may decline it")
