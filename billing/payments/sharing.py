"""Which orders a capture pays, and what money came for orders that are gone. Pure."""

from collections.abc import Sequence

import msgspec

from marketplace.core.errors import Invalid


class Claim(msgspec.Struct, frozen=True, kw_only=True):
    """An order's part of a payment. waiting: the order is still to be paid. asked: the capture was asked for it."""

    amount_minor: int
    waiting: bool
    asked: bool


class Share(msgspec.Struct, frozen=True, kw_only=True):
    """What a part gets of a capture. Where it is not paid, the buyer gets captured_minor back."""

    paid: bool
    captured_minor: int


def share_capture(captured_minor: int, claims: Sequence[Claim]) -> list[Share]:
    """Divide what was captured over the parts, in their order; the shares sum to it.

    An order is paid in full or not at all: parts that wait are paid as far as the money goes. What is left came for
    orders that are gone: those the capture was asked for first, then any other part not paid, each up to its amount.
    Raises Invalid when more was captured than all parts come to.
    """
    left = captured_minor
    paid = [False] * len(claims)
    captured = [0] * len(claims)
    for position, claim in enumerate(claims):
        if claim.waiting and claim.amount_minor <= left:
            paid[position], captured[position] = True, claim.amount_minor
            left -= claim.amount_minor
    unpaid = [position for position, was_paid in enumerate(paid) if not was_paid]
    for position in sorted(unpaid, key=lambda position: (not claims[position].asked, position)):
        captured[position] = min(left, claims[position].amount_minor)
        left -= captured[position]
    if left:
        raise Invalid(f"amount_minor: {left} more was captured than the payment's parts come to")
    return [Share(paid=was_paid, captured_minor=minor) for was_paid, minor in zip(paid, captured, strict=True)]
