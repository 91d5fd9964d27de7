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


def order_paid_with_credit(card_minor: int, credit_minor: int, processor_id: int, payment_id: int) -> tuple[Leg, ...]:
    """A, C, and G where the buyer used credit: the credit comes from the house's books, the payment is the batch."""
    return legs(
        {
            Account.PROCESSOR_CLEARING: card_minor,
            Account.CONTROL: credit_minor,
            Account.PENDING: -card_minor - credit_minor,
        },
        dimensions={Account.PROCESSOR_CLEARING: processor_id, Account.CONTROL: payment_id},
    )


def credit_used(credit_minor: int, buyer_id: int, payment_id: int) -> tuple[Leg, ...]:
    """G, the house's side: the buyer's credit goes to the orders of a payment."""
    return legs(
        {Account.BUYER_CREDIT: credit_minor, Account.CONTROL: -credit_minor},
        dimensions={Account.BUYER_CREDIT: buyer_id, Account.CONTROL: payment_id},
    )


def payment_unwanted(captured_minor: int, processor_id: int) -> tuple[Leg, ...]:
    """Money came for an order that is gone: the buyer gets it back. Negative: the buyer has got it."""
    return legs(
        {Account.PROCESSOR_CLEARING: captured_minor, Account.BUYER_REFUND_DUE: -captured_minor},
        dimensions={Account.PROCESSOR_CLEARING: processor_id},
    )


def processor_settled(gross_minor: int, fee_minor: int, processor_id: int, batch_id: int) -> tuple[Leg, ...]:
    """L: the processor has paid out what it had captured, less its fee; negative for what it took back."""
    return legs(
        {
            Account.PROCESSOR_FEES: fee_minor,
            Account.CONTROL: gross_minor - fee_minor,
            Account.PROCESSOR_CLEARING: -gross_minor,
        },
        dimensions={Account.CONTROL: batch_id, Account.PROCESSOR_CLEARING: processor_id},
    )


def batch_received(net_minor: int, fee_minor: int, batch_id: int) -> tuple[Leg, ...]:
    """L, the house's side: the processor's batch is in the bank. fee_minor: fees that belong to no merchant."""
    return legs(
        {Account.BANK: net_minor, Account.PROCESSOR_FEES: fee_minor, Account.CONTROL: -net_minor - fee_minor},
        dimensions={Account.CONTROL: batch_id},
    )
