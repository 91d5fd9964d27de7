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


def refunded(
    borne_minor: int,
    platform_minor: int = 0,
    *,
    settled: bool,
    commission_minor: int = 0,
    vat_minor: int = 0,
    cost: Account = Account.ADJUSTMENTS,
    against: Account = Account.BUYER_REFUND_DUE,
) -> tuple[Leg, ...]:
    """E, E1, E3: the buyer is owed what the merchant bears and what the platform bears (cost) of a refund.

    Before settlement the merchant's part comes out of pending. After it the merchant gives back what it was paid and
    the platform its commission and VAT, if it returns them; payable may go below 0. M, a dispute that is lost, books
    the same against the dispute in progress.
    """
    return legs(
        {
            Account.PAYABLE if settled else Account.PENDING: borne_minor - commission_minor - vat_minor,
            Account.COMMISSION: commission_minor,
            Account.OUTPUT_VAT: vat_minor,
            cost: platform_minor,
            against: -borne_minor - platform_minor,
        }
    )


def fee_recharged(fee_minor: int) -> tuple[Leg, ...]:
    """The merchant bears a processor's fee. Without VAT: the fee is passed on as it was charged."""
    return legs({Account.PAYABLE: fee_minor, Account.RECHARGED_FEES: -fee_minor})


def refund_paid(amount_minor: int, processor_id: int, *, owed: Account = Account.BUYER_REFUND_DUE) -> tuple[Leg, ...]:
    """E, on paying: the processor has given the buyer what it was owed. Negated: it came back."""
    return legs(
        {owed: amount_minor, Account.PROCESSOR_CLEARING: -amount_minor},
        dimensions={Account.PROCESSOR_CLEARING: processor_id},
    )


def refund_credited(amount_minor: int, batch_id: int) -> tuple[Leg, ...]:
    """What the buyer is owed leaves the merchant's books for the house's, which owe it as credit."""
    return legs(
        {Account.BUYER_REFUND_DUE: amount_minor, Account.CONTROL: -amount_minor}, dimensions={Account.CONTROL: batch_id}
    )


def credit_received(amount_minor: int, batch_id: int, buyer_id: int) -> tuple[Leg, ...]:
    """The house's side of `refund_credited`."""
    return legs(
        {Account.CONTROL: amount_minor, Account.BUYER_CREDIT: -amount_minor},
        dimensions={Account.CONTROL: batch_id, Account.BUYER_CREDIT: buyer_id},
    )


def credit_granted(amount_minor: int, buyer_id: int) -> tuple[Leg, ...]:
    """The house gives a buyer credit; negated: it has expired."""
    return legs(
        {Account.ADJUSTMENTS: amount_minor, Account.BUYER_CREDIT: -amount_minor},
        dimensions={Account.BUYER_CREDIT: buyer_id},
    )


def dispute_opened(amount_minor: int, fee_minor: int, processor_id: int) -> tuple[Leg, ...]:
    """M: the processor has taken the disputed amount, and its fee, which stays taken."""
    return legs(
        {
            Account.DISPUTE_IN_PROGRESS: amount_minor,
            Account.PROCESSOR_FEES: fee_minor,
            Account.PROCESSOR_CLEARING: -amount_minor - fee_minor,
        },
        dimensions={Account.PROCESSOR_CLEARING: processor_id},
    )


def dispute_won(amount_minor: int, processor_id: int) -> tuple[Leg, ...]:
    """M: the processor gives the disputed amount back."""
    return legs(
        {Account.PROCESSOR_CLEARING: amount_minor, Account.DISPUTE_IN_PROGRESS: -amount_minor},
        dimensions={Account.PROCESSOR_CLEARING: processor_id},
    )
