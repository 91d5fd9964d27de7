"""Business facts as balanced legs, one function per fact. Pure; the set-based passes book the same legs in SQL."""

from collections.abc import Mapping, Sequence

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


def commission_adjusted(commission_minor: int, vat_minor: int) -> tuple[Leg, ...]:
    """What a settled order should have earned less what it has: the merchant bears it, or is given it when negative."""
    return legs(
        {
            Account.PAYABLE: commission_minor + vat_minor,
            Account.COMMISSION: -commission_minor,
            Account.OUTPUT_VAT: -vat_minor,
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


def refunded(
    borne_minor: int,
    costs: Mapping[Account, int],
    *,
    settled: bool,
    commission_minor: int = 0,
    vat_minor: int = 0,
    against: Account = Account.BUYER_REFUND_DUE,
    others: Sequence[Leg] = (),
) -> tuple[Leg, ...]:
    """E, E1, E3: the buyer is owed what the merchant bears and what the platform bears of a refund.

    costs: the latter by account; negative for what the platform gets back because the merchant gives back more than the
    buyer, to whom the platform has given the difference before.

    Before settlement the merchant's part comes out of pending. After it the merchant gives back what it was paid and
    the platform its commission and VAT, if it returns them; payable may go below 0. M, a dispute that is lost, books
    the same against the dispute in progress. others: what third parties and promotions need not bear any more, as
    credits on their accounts; the buyer is owed the rest.
    """
    back = legs(
        {
            Account.PAYABLE if settled else Account.PENDING: borne_minor - commission_minor - vat_minor,
            Account.COMMISSION: commission_minor,
            Account.OUTPUT_VAT: vat_minor,
            **costs,
            against: -sum(leg.amount_minor for leg in others) - borne_minor - sum(costs.values()),
        }
    )
    return (*back, *others)


def fee_recharged(fee_minor: int) -> tuple[Leg, ...]:
    """The merchant bears a processor's fee. Without VAT: the fee is passed on as it was charged."""
    return legs({Account.PAYABLE: fee_minor, Account.RECHARGED_FEES: -fee_minor})


def refund_paid(amount_minor: int, processor_id: int, *, stray_minor: int = 0) -> tuple[Leg, ...]:
    """E, on paying: the processor has given the buyer what it was owed; stray_minor of it was owed no more."""
    return legs(
        {
            Account.BUYER_REFUND_DUE: amount_minor - stray_minor,
            Account.SUSPENSE: stray_minor,
            Account.PROCESSOR_CLEARING: -amount_minor,
        },
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


def payer_held(amount_minor: int, contract_id: int) -> tuple[Leg, ...]:
    """D, paid when the payer pays: the merchant waits for so much of its payable. Negative: it waits no longer."""
    return legs(
        {Account.PAYABLE: amount_minor, Account.RESERVE: -amount_minor}, dimensions={Account.RESERVE: contract_id}
    )


def payer_fee(fee_minor: int, vat_minor: int, contract_id: int) -> tuple[Leg, ...]:
    """D1: what the platform earns of what it claims from a payer. Negative: of what the payer rejects, or got back."""
    return legs(
        {
            Account.PAYER_RECEIVABLE: fee_minor + vat_minor,
            Account.PAYER_FEE: -fee_minor,
            Account.OUTPUT_VAT: -vat_minor,
        },
        dimensions={Account.PAYER_RECEIVABLE: contract_id},
    )


def payer_remitted(amount_minor: int, contract_id: int, batch_id: int) -> tuple[Leg, ...]:
    """D2: a payer's money for one merchant's shares, or for the house's fees; `payer_money` brings it to the bank."""
    return legs(
        {Account.CONTROL: amount_minor, Account.PAYER_RECEIVABLE: -amount_minor},
        dimensions={Account.CONTROL: batch_id, Account.PAYER_RECEIVABLE: contract_id},
    )


def payer_money(amount_minor: int, batch_id: int) -> tuple[Leg, ...]:
    """D2, the house's side: a payer's remittance is in the bank."""
    return legs({Account.BANK: amount_minor, Account.CONTROL: -amount_minor}, dimensions={Account.CONTROL: batch_id})


def payer_rejected(amount_minor: int, contract_id: int, *, recourse: bool) -> tuple[Leg, ...]:
    """D3: the payer will not pay it: with recourse the merchant bears it, else the platform. Negative: it will."""
    bearer = Account.PAYABLE if recourse else Account.BAD_DEBT
    return legs(
        {bearer: amount_minor, Account.PAYER_RECEIVABLE: -amount_minor},
        dimensions={Account.PAYER_RECEIVABLE: contract_id},
    )


def charge_covered(amount_minor: int, contract_id: int) -> tuple[Leg, ...]:
    """A payer bears a merchant's charge: the merchant is owed it again, by the payer's money."""
    return legs(
        {Account.PAYER_RECEIVABLE: amount_minor, Account.PAYABLE: -amount_minor},
        dimensions={Account.PAYER_RECEIVABLE: contract_id},
    )


def ads_topped_up(paid_minor: int, vat_minor: int, source: Account, dimension: int = 0) -> tuple[Leg, ...]:
    """H: a merchant has prepaid ads; what it gave comes from the processor, a bank batch or its own earnings."""
    return legs(
        {source: paid_minor + vat_minor, Account.AD_PREPAID_PAID: -paid_minor, Account.OUTPUT_VAT: -vat_minor},
        dimensions={source: dimension},
    )


def ads_received(amount_minor: int, batch_id: int) -> tuple[Leg, ...]:
    """H by bank transfer, the house's side: a top-up has come into the bank."""
    return legs({Account.BANK: amount_minor, Account.CONTROL: -amount_minor}, dimensions={Account.CONTROL: batch_id})


def ads_granted(amount_minor: int) -> tuple[Leg, ...]:
    """The platform gives a merchant ad credit: its cost at once, whenever it is used."""
    return legs({Account.GRANTED_AD_CREDIT: amount_minor, Account.AD_PREPAID_GRANTED: -amount_minor})


def ads_refunded(paid_minor: int, vat_minor: int) -> tuple[Leg, ...]:
    """H taken back: what was paid and not used is owed to the merchant again, with its VAT."""
    return legs(
        {
            Account.AD_PREPAID_PAID: paid_minor,
            Account.OUTPUT_VAT: vat_minor,
            Account.PAYABLE: -paid_minor - vat_minor,
        }
    )


def ads_spent(granted_minor: int, paid_minor: int) -> tuple[Leg, ...]:
    """H1: prepaid credit becomes revenue. Negative amounts: invalid clicks are credited."""
    return legs(
        {
            Account.AD_PREPAID_GRANTED: granted_minor,
            Account.AD_PREPAID_PAID: paid_minor,
            Account.AD_REVENUE: -granted_minor - paid_minor,
        }
    )


def reserve_held(amount_minor: int) -> tuple[Leg, ...]:
    """A part of what is paid out is kept on the merchant's reserve; negated: it is payable again."""
    return legs({Account.PAYABLE: amount_minor, Account.RESERVE: -amount_minor})


def incentive_borne(
    minor: int, promotion_id: int, payers: Sequence[tuple[int, int]] = (), *, merchant_minor: int = 0, grant_id: int = 0
) -> tuple[Leg, ...]:
    """F, G: who bears what a promotion has cost: payers by contract, of a buyer's rebate the merchant, whose part meets
    its own books on 1030 under the grant, and the platform the rest. Negative: they need not any more."""
    named = {Account.INCENTIVE_COST: promotion_id, Account.CONTROL: grant_id}
    cost = minor - merchant_minor - sum(part for _, part in payers)
    return (
        *legs({Account.INCENTIVE_COST: cost, Account.CONTROL: merchant_minor}, dimensions=named),
        *(Leg(int(Account.PAYER_RECEIVABLE), part, contract_id) for contract_id, part in payers),
    )


def incentive_earned(minor: int, promotion_id: int) -> tuple[Leg, ...]:
    """F, G: a merchant or a buyer gets something later, which is borne (`incentive_borne`); negative: not after all."""
    return legs({Account.INCENTIVE_PAYABLE: -minor}, dimensions={Account.INCENTIVE_PAYABLE: promotion_id})


def incentive_vested(minor: int, promotion_id: int) -> tuple[Leg, ...]:
    """F: what was earned becomes payable."""
    named = {Account.INCENTIVE_PAYABLE: promotion_id}
    return legs({Account.INCENTIVE_PAYABLE: minor, Account.PAYABLE: -minor}, dimensions=named)


def incentive_clawed_back(minor: int) -> tuple[Leg, ...]:
    """F: what had vested is taken back, because what earned it was refunded; whoever bore it need not any more."""
    return legs({Account.PAYABLE: minor})


def agent_commission(minor: int, provider_id: int) -> tuple[Leg, ...]:
    """In the house's books: who won a merchant is owed for it; below zero it gives back."""
    return legs(
        {Account.SELLING_COST: minor, Account.SUPPLIER_PAYABLE: -minor},
        dimensions={Account.SUPPLIER_PAYABLE: provider_id},
    )


def rebate_vested(minor: int, promotion_id: int, buyer_id: int) -> tuple[Leg, ...]:
    """G: what a buyer has earned becomes its credit."""
    named = {Account.INCENTIVE_PAYABLE: promotion_id, Account.BUYER_CREDIT: buyer_id}
    return legs({Account.INCENTIVE_PAYABLE: minor, Account.BUYER_CREDIT: -minor}, dimensions=named)


def rebate_clawed_back(minor: int, buyer_id: int) -> tuple[Leg, ...]:
    """G: what had become credit is taken back, because what earned it was refunded; as `incentive_clawed_back`."""
    return legs({Account.BUYER_CREDIT: minor}, dimensions={Account.BUYER_CREDIT: buyer_id})


def rebate_shared(minor: int, grant_id: int) -> tuple[Leg, ...]:
    """G, the merchant's side: what it bears of a rebate on its order; negative: it has that back."""
    return legs({Account.PAYABLE: minor, Account.CONTROL: -minor}, dimensions={Account.CONTROL: grant_id})
