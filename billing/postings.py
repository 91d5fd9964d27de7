"""Business facts as balanced legs, one function per fact. Pure; the set-based passes book the same legs in SQL."""

from billing.ledger.chart import Account
from billing.ledger.model import Leg, legs


def order_paid(gross_minor: int, processor_id: int) -> tuple[Leg, ...]:
    """A, C: the buyer paid; the merchant's pending balance holds what was paid less its own discount."""
    return legs(
        {Account.PROCESSOR_CLEARING: gross_minor, Account.PENDING: -gross_minor},
        dimensions={Account.PROCESSOR_CLEARING: processor_id},
    )


def cash_collected(gross_minor: int) -> tuple[Leg, ...]:
    """A, in cash: the merchant holds the buyer's money and owes it to the platform."""
    return legs({Account.MERCHANT_RECEIVABLE: gross_minor, Account.PENDING: -gross_minor})


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
