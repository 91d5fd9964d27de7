"""Bank accounts of merchants: one that is just there, and one that goes the whole way."""

from datetime import UTC, datetime

from sqlalchemy import insert

from billing.bank_accounts import store
from billing.bank_accounts.model import COOL_DOWN, BankAccount, Scheme
from billing.bank_accounts.store import ProposeAccount
from billing.bank_accounts.tables import bank_account
from marketplace.core.clock import FixedClock
from marketplace.core.db import WORKER, Database, Tx
from marketplace.flows.payouts.pay_merchants import activate_bank_accounts

OWNER, CLERK, SECOND = "owner", "clerk", "second clerk"
IBAN = "DE89 3704 0044 0532 0130 00"
OTHER_IBAN = "GB29NWBK60161331926819"
LONG_AGO = datetime(2018, 1, 1, tzinfo=UTC)


async def add_account(tx: Tx, merchant_id: int, account_id: int = 0, currency: str = "EUR") -> int:
    """An active account, as if it had been there for long; returns its id."""
    account_id = account_id or 100 + merchant_id
    row = {"merchant_id": merchant_id, "account_id": account_id, "currency": currency}
    row |= {"holder": "Shop", "scheme": "iban", "number": OTHER_IBAN, "state": "active", "method": "document"}
    by = {"proposed_by": OWNER, "verified_by": CLERK, "approved_by": SECOND}
    at = dict.fromkeys(("proposed_at", "verified_at", "approved_at", "active_from"), LONG_AGO)
    await tx.execute(insert(bank_account), {**row, **by, **at})
    return account_id


async def propose(db: Database, merchant_id: int = 1, number: str = IBAN) -> BankAccount:
    cmd = ProposeAccount(
        merchant_id=merchant_id, currency="EUR", holder="Shop", scheme=Scheme.IBAN, number=number, routing=""
    )
    return await db.write(WORKER, OWNER, store.propose, cmd)


async def verify(db: Database, account: BankAccount) -> BankAccount:
    """By the code of a transfer whose lot is fixed."""
    key = (account.merchant_id, account.account_id)
    order = await db.write(WORKER, CLERK, store.order_transfer, *key, lambda below: below - 1)
    return await db.write(WORKER, OWNER, store.verify_by_code, *key, order.code)


async def cooling(db: Database, merchant_id: int = 1, number: str = IBAN) -> BankAccount:
    account = await verify(db, await propose(db, merchant_id, number))
    return await db.write(WORKER, SECOND, store.approve, merchant_id, account.account_id)


async def activated(db: Database, clock: FixedClock, merchant_id: int = 1, number: str = IBAN) -> BankAccount:
    account = await cooling(db, merchant_id, number)
    clock.move_to(clock.now() + COOL_DOWN)
    assert await activate_bank_accounts(db, "worker") == 1
    async with db.read(WORKER) as tx:
        return await store.get_account(tx, merchant_id, account.account_id)
