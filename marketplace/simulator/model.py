"""How the simulated processor behaves: tokens, fees, what a request leads to. Pure. Amounts are minor units."""

from enum import StrEnum

import msgspec

from marketplace.core.rates import apply_half_even


class Token(StrEnum):
    """What a payment is made with, and so what becomes of it."""

    OK = "tok_ok"
    DECLINE = "tok_decline"
    INSUFFICIENT = "tok_insufficient"
    CAPTURE_FAILS = "tok_capture_fails"
    REFUND_FAILS = "tok_refund_fails"
    PARTIAL = "tok_partial"
    SLOW = "tok_slow"
    DISPUTE = "tok_dispute"


DECLINED = {Token.DECLINE: "card declined", Token.INSUFFICIENT: "insufficient funds"}


class Fees(msgspec.Struct, frozen=True, kw_only=True):
    """What the processor charges: for a capture a share of it, half-even, and a fixed amount; for a dispute its own."""

    ppm: int = 12_500
    fixed_minor: int = 36
    dispute_minor: int = 1_500

    def of_capture(self, amount_minor: int) -> int:
        return apply_half_even(amount_minor, self.ppm) + self.fixed_minor


class Behaviour(msgspec.Struct, frozen=True, kw_only=True):
    """The settings of one simulator. slow_s: how late the events of a slow payment are, in seconds."""

    fees: Fees = Fees()
    slow_s: int = 5


def captured_of(token: str, asked_minor: int) -> int:
    """What a capture brings: all that was asked, or the lesser half of it."""
    return asked_minor // 2 if token == Token.PARTIAL else asked_minor
