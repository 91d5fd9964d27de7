"""What the pages of payouts show: instructions by state, files for the bank, who waits, and a merchant's terms."""

from collections.abc import Sequence
from datetime import date

import msgspec

from billing.payout_files import store as files
from billing.payout_files.model import FileLine, Party, PayoutFile
from billing.payout_files.store import DebtorAccount
from billing.payout_terms import store as terms_store
from billing.payout_terms.dues import store as dues_store
from billing.payout_terms.model import Due, Hold, Reserve, Terms
from billing.payouts.store import OwedPayout
from billing.runs import store as runs
from billing.runs.model import Payout
from marketplace.consoles.books_queries import Merchant, get_merchant
from marketplace.consoles.names_queries import names_of
from marketplace.consoles.ops_queries import Entity, get_entity, list_entities
from marketplace.core.db import Tx
from marketplace.core.last_checks import LastCheck
from marketplace.flows.proofs.check_again import last_of_owed

FILES_SHOWN = 10
LINES_SHOWN = 200
TERMS_SHOWN = 12
STATES = ("instructed", "confirmed", "returned", "cancelled")


class PayoutsPage(msgspec.Struct, frozen=True, kw_only=True):
    """Payouts of all merchants in one state or any, and the newest files for the bank."""

    state: str
    files: Sequence[PayoutFile]
    debtors: Sequence[DebtorAccount]
    entities: Sequence[Entity]
    today: date


class Waiting(msgspec.Struct, frozen=True):
    """Who should have been getting money and was not. why: the reasons as their codes."""

    merchant: str
    found: OwedPayout
    merchant_id: int
    currency: str
    owed_minor: int
    why: str


class OwedPage(msgspec.Struct, frozen=True):
    """Who waits, as was last checked."""

    checked: LastCheck[list[OwedPayout]]
    zone: str
    waiting: Sequence[Waiting]


class FilePage(msgspec.Struct, frozen=True, kw_only=True):
    """A file for the bank, the account it is paid out of, and its first lines."""

    file: PayoutFile
    debtor: Party
    lines: Sequence[FileLine]
    names: dict[int, str]
    zone: str


class PayoutPage(msgspec.Struct, frozen=True, kw_only=True):
    """One payout and what the bank said of it."""

    merchant: Merchant
    payout: Payout
    today: date


class TermsPage(msgspec.Struct, frozen=True, kw_only=True):
    """On which terms a merchant is paid out: their versions, holds, what was kept back, and what is due on its day."""

    merchant: Merchant
    terms: Sequence[Terms]
    holds: Sequence[Hold]
    reserves: Sequence[Reserve]
    dues: Sequence[Due]

    @property
    def held(self) -> Hold | None:
        """The hold that is live."""
        return next((hold for hold in self.holds if hold.released_at is None), None)


async def payouts_page(tx: Tx, state: str) -> PayoutsPage:
    return PayoutsPage(
        state=state,
        files=await files.list_files(tx, limit=FILES_SHOWN),
        debtors=await files.list_debtors(tx),
        entities=await list_entities(tx),
        today=tx.now.date(),
    )


async def owed_page(tx: Tx) -> OwedPage:
    checked = await last_of_owed(tx)
    found = checked.answer or []
    names = await names_of(tx, (row.merchant_id for row in found))
    entity = await get_entity(tx, None)
    waiting = [
        Waiting(
            merchant=names.get(row.merchant_id, str(row.merchant_id)),
            found=row,
            merchant_id=row.merchant_id,
            currency=row.currency,
            owed_minor=row.owed_minor,
            why=", ".join(reason.why for reason in row.reasons),
        )
        for row in found
    ]
    return OwedPage(checked, entity.zone if entity else "UTC", waiting)


async def file_page(tx: Tx, file_id: int) -> FilePage:
    """Raises NotFound."""
    file = await files.get_file(tx, file_id)
    debtor, shown = await files.content(tx, file_id, limit=LINES_SHOWN)
    entity = next((one for one in await list_entities(tx) if one.entity_id == file.entity_id), None)
    return FilePage(
        file=file,
        debtor=debtor,
        lines=shown,
        names=await names_of(tx, [line.merchant_id for line in shown]),
        zone=entity.zone if entity else "UTC",
    )


async def payout_page(tx: Tx, merchant_id: int, payout_id: int) -> PayoutPage:
    """Raises NotFound."""
    merchant = await get_merchant(tx, merchant_id)
    return PayoutPage(merchant=merchant, payout=await runs.get_payout(tx, merchant_id, payout_id), today=tx.now.date())


async def terms_page(tx: Tx, merchant_id: int) -> TermsPage:
    """Raises NotFound."""
    return TermsPage(
        merchant=await get_merchant(tx, merchant_id),
        terms=await terms_store.list_terms(tx, merchant_id, limit=TERMS_SHOWN),
        holds=await terms_store.list_holds(tx, merchant_id, limit=TERMS_SHOWN),
        reserves=await terms_store.list_reserves(tx, merchant_id, limit=TERMS_SHOWN),
        dues=await dues_store.list_dues(tx, merchant_id, limit=TERMS_SHOWN),
    )
