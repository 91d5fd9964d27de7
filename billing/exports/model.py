"""An entry as it is taken away, and which of them. Pure."""

from collections.abc import Iterator
from datetime import date, datetime
from enum import StrEnum

import msgspec

from billing.ledger.chart import Account
from marketplace.core.errors import Invalid


class JournalFormat(StrEnum):
    """How the journal is written: as a ledger of Beancount or hledger, a leg per row, or as an ERP takes it in."""

    BEANCOUNT = "beancount"
    HLEDGER = "hledger"
    CSV = "csv"
    XLSX = "xlsx"
    PARQUET = "parquet"
    ERP = "erp"

    @property
    def suffix(self) -> str:
        return {"hledger": "journal", "erp": "csv"}.get(self.value, self.value)

    @property
    def media_type(self) -> str:
        return _MEDIA_TYPES.get(self.suffix, "text/plain")


_MEDIA_TYPES = {
    "csv": "text/csv",
    "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    "parquet": "application/vnd.apache.parquet",
}


class Extract(msgspec.Struct, frozen=True, kw_only=True):
    """Which entries: of a legal entity, in a currency, on the days [from_on, to_on); None for all."""

    entity_id: int | None = None
    currency: str | None = None
    from_on: date | None = None
    to_on: date | None = None

    def __post_init__(self) -> None:
        if self.from_on is not None and self.to_on is not None and self.to_on <= self.from_on:
            raise Invalid("to_on: is not after from_on", field="to_on")


class JournalEntry(msgspec.Struct, frozen=True, kw_only=True):
    """An entry of the journal with the merchant's own id, "house" in the house's books."""

    merchant_id: int
    merchant_ref: str
    entry_no: int
    entity_id: int
    kind: str
    source_id: int
    currency: str
    occurred_at: datetime
    effective_on: date
    prior_period: bool
    accounts: list[int]
    dimensions: list[int]
    amounts: list[int]
    posted_at: datetime
    posted_by: str

    def legs(self) -> Iterator[tuple[int, int, int]]:
        """Account, dimension, amount."""
        return zip(self.accounts, self.dimensions, self.amounts, strict=True)


class ErpAccount(msgspec.Struct, frozen=True, kw_only=True):
    """Which account of another system's chart stands for one of ours, with what it wants beside it."""

    entity_id: int
    account: int
    number: str
    name: str
    cost_center: str = ""
    tax_code: str = ""


ROOTS = {"asset": "Assets", "liability": "Liabilities", "equity": "Equity", "revenue": "Income", "expense": "Expenses"}


def account_name(entity_id: int, code: int) -> str:
    """The account in a plain-text ledger, such as "Liabilities:E1:2000-Payable"."""
    account = Account(code)
    return f"{ROOTS[account.nature.name]}:E{entity_id}:{code}-{account.title.replace(' ', '-')}"
