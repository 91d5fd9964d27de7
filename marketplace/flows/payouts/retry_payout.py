"""Pay again what came back, to the merchant's new bank account, without waiting for the next run.

The retry is a payout of its own, of the same run and amount, and names the one that came back. A run that comes first
pays the amount out of the balance; then there is nothing to retry.
"""

from typing import Any

import msgspec

from billing import postings
from billing.ledger import store as ledger
from billing.ledger.chart import Account
from billing.ledger.model import NewEntry
from billing.payout_terms import store as terms
from billing.runs import store
from billing.runs.model import Payout
from marketplace.core import audit
from marketplace.core.db import Tx
from marketplace.core.errors import Conflict
from marketplace.core.money import text_from_minor
from marketplace.flows.payouts.pay_merchants import hold_books


class RetryPayout(msgspec.Struct, frozen=True, kw_only=True):
    """Instruct a payout that came back once more."""

    merchant_id: int
    payout_id: int


async def retry_payout(tx: Tx, cmd: RetryPayout) -> Payout:
    """Instruct a returned payout again, to the account that is active now.

    Raises NotFound; Conflict for a payout that did not come back, that was retried or paid by a later run, while the
    merchant's payouts are held, without another account than the one it came back from, and above the balance.
    """
    books = await hold_books(tx, cmd.merchant_id, cmd.payout_id)
    payout = await store.lock_payout(tx, cmd.merchant_id, cmd.payout_id)
    if payout.state != "returned":
        raise Conflict(f"payout {cmd.payout_id} is {payout.state}: only one that came back is retried")
    hold = await terms.find_hold(tx, cmd.merchant_id)
    if hold is not None:
        raise Conflict(f"the payouts of merchant {cmd.merchant_id} are held: {hold.reason}")
    later = await store.paid_since(tx, payout)
    if later is not None:
        raise Conflict(f"payout {cmd.payout_id}: payout {later} has paid it since")
    account_id = await _new_account(tx, payout)
    await _check_balance(tx, payout)
    retry = await store.insert_retry(tx, payout, account_id, books.today)
    await terms.paid_again(tx, payout.merchant_id, payout.payout_id, retry.payout_id, retry.amount_minor)
    entry = NewEntry(
        merchant_id=retry.merchant_id,
        kind="payout_instructed",
        source_id=retry.payout_id,
        currency=retry.currency,
        occurred_at=tx.now,
        effective_on=books.today,
        legs=postings.payout_not_sent(-retry.amount_minor),
    )
    await ledger.post(tx, [entry])
    about: dict[str, Any] = {"retry": retry.payout_id, "bank_account_id": account_id}
    await audit.record(tx, "payout retried", f"payout:{payout.merchant_id}/{payout.payout_id}", **about)
    return retry


async def _new_account(tx: Tx, payout: Payout) -> int:
    """The account that is active now. Raises Conflict when there is none, or only the one that it came back from."""
    account_id: int | None = await tx.scalar(
        """
        SELECT account_id FROM billing.bank_account
        WHERE merchant_id = :merchant AND currency = :currency AND state = 'active'
        """,
        merchant=payout.merchant_id,
        currency=payout.currency,
    )
    if account_id is None or account_id == payout.bank_account_id:
        raise Conflict(f"payout {payout.payout_id}: the merchant has no new bank account in {payout.currency} yet")
    return account_id


async def _check_balance(tx: Tx, payout: Payout) -> None:
    """Raise Conflict for a payout above what the merchant is owed now."""
    found = await ledger.balances(tx, payout.merchant_id)
    owed = -sum(one.balance_minor for one in found if (one.account, one.currency) == (Account.PAYABLE, payout.currency))
    if payout.amount_minor > owed:
        amount, balance = (text_from_minor(minor, payout.currency) for minor in (payout.amount_minor, owed))
        raise Conflict(f"a payout of {amount} {payout.currency} is above the balance of {balance}", balance_minor=owed)
