"""Business facts as balanced legs, one function per fact. Pure; the set-based passes book the same legs in SQL."""

from billing.ledger.chart import Account
from billing.ledger.model import Leg, legs


def order_paid(gross_minor: int, processor_id: int) -> tuple[Leg, ...]:
    """A, C: the buyer paid; the merchant's pending balance holds what was paid less its own discount."""
    return legs(
        {Account.PROCESSOR_CLEARING: gross_minor, Account.PENDING: -gross_minor},
        dimensions={Account.PROCESSOR_CLEARING: processor_id},
    )


def order_settled(gross_minor: int, commission_minor: int, vat_minor: int) -> tuple[Leg, ...]:
    """A1: pending is released; commission and the VAT on it are earned, the rest becomes payable."""
    return legs(
        {
            Account.PENDING: gross_minor,
            Account.COMMISSION: -commission_minor,
            Account.OUTPUT_VAT: -vat_minor,
            Account.PAYABLE: commission_minor + vat_minor - gross_minor,
        }
    )


def refunded_before_settlement(gross_minor: int) -> tuple[Leg, ...]:
    """E: the buyer is owed what was pending for the merchant."""
    return legs({Account.PENDING: gross_minor, Account.BUYER_REFUND_DUE: -gross_minor})


def refunded_after_settlement(gross_minor: int, commission_minor: int, vat_minor: int) -> tuple[Leg, ...]:
    """E1, E3: the merchant gives back what it was paid, the platform its commission and VAT. Payable may go below 0."""
    return legs(
        {
            Account.PAYABLE: gross_minor - commission_minor - vat_minor,
            Account.COMMISSION: commission_minor,
            Account.OUTPUT_VAT: vat_minor,
            Account.BUYER_REFUND_DUE: -gross_minor,
        }
    )


def payout_confirmed(amount_minor: int, batch_id: int) -> tuple[tuple[Leg, ...], tuple[Leg, ...]]:
    """K: the bank has paid a payout; the legs in the merchant's books and in the house's, which meet in the batch."""
    batch = {Account.CONTROL: batch_id}
    return (
        legs({Account.PAYOUT_IN_TRANSIT: amount_minor, Account.CONTROL: -amount_minor}, dimensions=batch),
        legs({Account.CONTROL: amount_minor, Account.BANK: -amount_minor}, dimensions=batch),
    )


def payout_returned(amount_minor: int, batch_id: int) -> tuple[tuple[Leg, ...], tuple[Leg, ...]]:
    """K mirrored: a payout that had been paid came back; the merchant is owed it again."""
    batch = {Account.CONTROL: batch_id}
    return (
        legs({Account.CONTROL: amount_minor, Account.PAYABLE: -amount_minor}, dimensions=batch),
        legs({Account.BANK: amount_minor, Account.CONTROL: -amount_minor}, dimensions=batch),
    )


def payout_not_sent(amount_minor: int) -> tuple[Leg, ...]:
    """K taken back before the bank paid it: what was in transit is owed again."""
    return legs({Account.PAYOUT_IN_TRANSIT: amount_minor, Account.PAYABLE: -amount_minor})
