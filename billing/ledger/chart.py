"""The chart of accounts: every code that an entry may carry. Pure."""

from enum import IntEnum

import msgspec


class Nature(msgspec.Struct, frozen=True):
    name: str
    debit_normal: bool


ASSET = Nature("asset", True)
LIABILITY = Nature("liability", False)
EQUITY = Nature("equity", False)
REVENUE = Nature("revenue", False)
EXPENSE = Nature("expense", True)


class Account(IntEnum):
    """Account codes; a merchant's books and the house books use the same chart."""

    BANK = 1010
    PROCESSOR_CLEARING = 1020
    CONTROL = 1030
    MERCHANT_RECEIVABLE = 1100
    PAYER_RECEIVABLE = 1110
    DISPUTE_IN_PROGRESS = 1120
    STOCK = 1200
    EXCHANGE_POSITION = 1900
    PAYABLE = 2000
    PENDING = 2005
    RESERVE = 2010
    PAYOUT_IN_TRANSIT = 2020
    INCENTIVE_PAYABLE = 2050
    SUPPLIER_PAYABLE = 2060
    AD_PREPAID_PAID = 2100
    AD_PREPAID_GRANTED = 2110
    DEFERRED_REVENUE = 2200
    OUTPUT_VAT = 2300
    BUYER_REFUND_DUE = 2400
    BUYER_CREDIT = 2410
    PAYER_ADVANCE = 2500
    SUSPENSE = 2900
    OPENING_BALANCE = 3000
    COMMISSION = 4000
    AD_REVENUE = 4010
    SUBSCRIPTION = 4020
    HARDWARE = 4030
    MANAGED_SERVICE = 4040
    RECHARGED_FEES = 4050
    PAYER_FEE = 4060
    SELF_OPERATED_SALES = 4070
    INCENTIVE_CONTRA_REVENUE = 4090
    INCENTIVE_COST = 5000
    PROCESSOR_FEES = 5100
    CHARGEBACK_LOSS = 5200
    BAD_DEBT = 5210
    COST_OF_GOODS = 5300
    GRANTED_AD_CREDIT = 5400
    SELLING_COST = 5500
    ROUNDING = 6900
    EXCHANGE_RESULT = 6910
    ADJUSTMENTS = 6920

    @property
    def title(self) -> str:
        return self.name.replace("_", " ").capitalize()

    @property
    def nature(self) -> Nature:
        """The first digit says it: 1 assets, 2 liabilities, 3 equity, 4 revenue, 5 and 6 expense."""
        return {1: ASSET, 2: LIABILITY, 3: EQUITY, 4: REVENUE, 5: EXPENSE, 6: EXPENSE}[self // 1000]

    @property
    def dimension(self) -> str | None:
        """What the dimension of a leg on this account identifies, if anything."""
        return _DIMENSIONS.get(self)


_DIMENSIONS = {
    Account.PROCESSOR_CLEARING: "processor",
    Account.CONTROL: "batch",
    Account.MERCHANT_RECEIVABLE: "charge",
    Account.DEFERRED_REVENUE: "charge",
    Account.PAYER_RECEIVABLE: "payer contract",
    Account.BUYER_CREDIT: "buyer",
    Account.STOCK: "item",
    Account.EXCHANGE_POSITION: "rate",
    Account.SUPPLIER_PAYABLE: "provider",
    Account.SUSPENSE: "bank line",
    Account.INCENTIVE_COST: "promotion",
    Account.INCENTIVE_PAYABLE: "promotion",
    Account.INCENTIVE_CONTRA_REVENUE: "promotion",
}
