"""What charges book, as balanced legs: postings I, J and N of the design. Pure.

Receivable and deferred revenue carry the charge as their dimension, so each can be proved charge by charge.
"""

from collections.abc import Mapping

from billing.charges.model import REVENUE, Charge, ChargeSource, NewCharge
from billing.ledger.chart import Account
from billing.ledger.model import Leg, legs


def charged(new: NewCharge, charge_id: int) -> tuple[Leg, ...]:
    """I, J: the merchant owes net and VAT; what is earned over time waits as deferred revenue."""
    earns = Account.DEFERRED_REVENUE if new.deferred or new.service_to is not None else REVENUE[new.source]
    return legs(
        {
            Account.MERCHANT_RECEIVABLE: new.net_minor + new.vat_minor,
            earns: -new.net_minor,
            Account.OUTPUT_VAT: -new.vat_minor,
        },
        dimensions=_of(charge_id),
    )


def netted(amount_minor: int, charge_id: int) -> tuple[Leg, ...]:
    """I: what the merchant is owed pays for what it owes."""
    return legs({Account.PAYABLE: amount_minor, Account.MERCHANT_RECEIVABLE: -amount_minor}, dimensions=_of(charge_id))


def paid(amount_minor: int, charge_id: int, batch_id: int) -> tuple[tuple[Leg, ...], tuple[Leg, ...]]:
    """The merchant has transferred the money: its books and the house's, which meet in the batch."""
    batch = {Account.CONTROL: batch_id}
    return (
        legs(
            {Account.CONTROL: amount_minor, Account.MERCHANT_RECEIVABLE: -amount_minor},
            dimensions=batch | _of(charge_id),
        ),
        legs({Account.BANK: amount_minor, Account.CONTROL: -amount_minor}, dimensions=batch),
    )


def credited(charge: Charge, net_minor: int, vat_minor: int, open_minor: int, lost_minor: int) -> tuple[Leg, ...]:
    """A part of a charge is taken back: of what is not earned yet first, and from what is still owed of it first.

    lost_minor: what was written off, and is no loss now. What is left the merchant has paid, so that becomes payable.
    """
    waited = min(net_minor, charge.waiting_minor)
    return legs(
        {
            Account.DEFERRED_REVENUE: waited,
            REVENUE[charge.source]: net_minor - waited,
            Account.OUTPUT_VAT: vat_minor,
            Account.MERCHANT_RECEIVABLE: -open_minor,
            Account.BAD_DEBT: -lost_minor,
            Account.PAYABLE: open_minor + lost_minor - net_minor - vat_minor,
        },
        dimensions=_of(charge.charge_id),
    )


def recognised(amount_minor: int, source: ChargeSource, charge_id: int) -> tuple[Leg, ...]:
    """I, each month: deferred revenue is earned."""
    return legs({Account.DEFERRED_REVENUE: amount_minor, REVENUE[source]: -amount_minor}, dimensions=_of(charge_id))


def written_off(amount_minor: int, charge_id: int) -> tuple[Leg, ...]:
    """N: nobody expects the merchant to pay any more."""
    return legs({Account.BAD_DEBT: amount_minor, Account.MERCHANT_RECEIVABLE: -amount_minor}, dimensions=_of(charge_id))


def goods_received(cost_minor: int, item_id: int, provider_id: int) -> tuple[Leg, ...]:
    """The house has bought units of an item, and owes them to who delivered them."""
    return legs(
        {Account.STOCK: cost_minor, Account.SUPPLIER_PAYABLE: -cost_minor},
        dimensions={Account.STOCK: item_id, Account.SUPPLIER_PAYABLE: provider_id},
    )


def provider_paid(amount_minor: int, provider_id: int) -> tuple[Leg, ...]:
    """The house has paid a supplier or a partner."""
    return legs(
        {Account.SUPPLIER_PAYABLE: amount_minor, Account.BANK: -amount_minor},
        dimensions={Account.SUPPLIER_PAYABLE: provider_id},
    )


def goods_shipped(cost_by_item: Mapping[int, int], batch_id: int) -> tuple[tuple[Leg, ...], tuple[Leg, ...]]:
    """J: units leave the house's stock at their cost, for a merchant's books; negative costs: they come back."""
    cost = sum(cost_by_item.values())
    own = legs({Account.COST_OF_GOODS: cost, Account.CONTROL: -cost}, dimensions={Account.CONTROL: batch_id})
    stock = (Leg(int(Account.STOCK), -minor, item_id) for item_id, minor in sorted(cost_by_item.items()) if minor)
    return own, (Leg(int(Account.CONTROL), cost, batch_id), *stock)


def own_sale(net_minor: int, vat_minor: int, cost_by_item: Mapping[int, int], processor_id: int) -> tuple[Leg, ...]:
    """O: the house sells units of its stock itself, paid by card; negative amounts: they come back."""
    sold = legs(
        {
            Account.PROCESSOR_CLEARING: net_minor + vat_minor,
            Account.SELF_OPERATED_SALES: -net_minor,
            Account.OUTPUT_VAT: -vat_minor,
            Account.COST_OF_GOODS: sum(cost_by_item.values()),
        },
        dimensions={Account.PROCESSOR_CLEARING: processor_id},
    )
    stock = (Leg(int(Account.STOCK), -minor, item_id) for item_id, minor in sorted(cost_by_item.items()) if minor)
    return (*sold, *stock)


def work_done(cost_minor: int, provider_id: int, batch_id: int) -> tuple[tuple[Leg, ...], tuple[Leg, ...]]:
    """A partner has worked for a merchant: the house owes it, the cost stands in the merchant's books."""
    batch = {Account.CONTROL: batch_id}
    return (
        legs({Account.COST_OF_GOODS: cost_minor, Account.CONTROL: -cost_minor}, dimensions=batch),
        legs(
            {Account.CONTROL: cost_minor, Account.SUPPLIER_PAYABLE: -cost_minor},
            dimensions=batch | {Account.SUPPLIER_PAYABLE: provider_id},
        ),
    )


def _of(charge_id: int) -> dict[Account, int]:
    return {Account.MERCHANT_RECEIVABLE: charge_id, Account.DEFERRED_REVENUE: charge_id}
