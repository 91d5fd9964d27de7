"""What the demonstration's documents and payouts need: addresses, tax ids, and bank accounts. All of it made up."""

from datetime import datetime, timedelta
from typing import Any

from billing.bank_accounts import store as accounts
from billing.bank_accounts.model import COOL_DOWN, Scheme
from billing.bank_accounts.store import ProposeAccount
from billing.documents.model import Details, Party
from billing.payout_files import model as payout_files
from marketplace.core.db import Tx
from marketplace.flows.demo.demo_market import CURRENCY, ENTITY, DemoMarket
from marketplace.flows.documents.set_billing_details import read_details, set_details
from marketplace.flows.payouts.instruct_bank import SetDebtor, set_debtor

_COUNTRY = "DE"
_BIC = "DEMODEFFXXX"
_WITHOUT_ACCOUNT = 25
"""Every so manyeth merchant has not said yet where it is to be paid to: its payouts are held."""


async def hand_in_papers(tx: Tx, market: DemoMarket) -> None:
    """Give the house and every merchant an address, and most of them a bank account that is in use. Once."""
    known = await tx.rows("SELECT merchant_id, merchant_ref FROM supply.merchant")
    merchants = {row.merchant_ref: row.merchant_id for row in known}
    house = await tx.scalar("SELECT house_merchant_id FROM billing.entity WHERE name = :name", name=ENTITY)
    if (await read_details(tx, house)).version:
        return
    await _set_details(tx, house, ENTITY, "Marktplatz 1, 10115 Berlin", 0)
    debtor = payout_files.Party(holder=ENTITY, scheme=Scheme.IBAN, number=_iban(0), routing=_BIC)
    await set_debtor(tx, SetDebtor(currency=CURRENCY, party=debtor))
    shops = [(number, merchants[shop.merchant_ref], shop) for number, shop in enumerate(market.shops, start=1)]
    for number, merchant_id, shop in shops:
        await _set_details(
            tx, merchant_id, shop.name, f"Ladenstraße {number}, {10000 + 97 * number} {shop.city}", number
        )
    opened = datetime.combine(market.first_on, datetime.min.time(), tx.now.tzinfo) - COOL_DOWN - timedelta(days=1)
    for number, merchant_id, shop in shops:
        if number % _WITHOUT_ACCOUNT:
            then = Tx(tx.connection, tx.raw, opened + timedelta(minutes=number), tx.actor)
            await _open_account(then, merchant_id, shop.name, _iban(number))
    while await accounts.activate_due(tx, tx.now):
        pass


async def _set_details(tx: Tx, merchant_id: int, name: str, address: str, number: int) -> None:
    party = Party(name=name, address=address, country=_COUNTRY, tax_id=f"{_COUNTRY}{900_000_000 + number}")
    await set_details(tx, Details(merchant_id=merchant_id, party=party), lambda _: None)


async def _open_account(tx: Tx, merchant_id: int, holder: str, number: str) -> None:
    wanted: dict[str, Any] = {
        "currency": CURRENCY,
        "holder": holder,
        "scheme": Scheme.IBAN,
        "number": number,
        "routing": _BIC,
    }
    account = await accounts.propose(tx, ProposeAccount(merchant_id=merchant_id, **wanted))
    await accounts.verify_by_document(tx, merchant_id, account.account_id, "made up for the demonstration")
    await accounts.approve(tx, merchant_id, account.account_id)


def _iban(number: int) -> str:
    """An IBAN of a bank that there is not: its check digits are right (ISO 7064, 97 - 1)."""
    account = f"{99_999_999:08d}{number:010d}"
    check = 98 - int(account + "".join(str(int(letter, 36)) for letter in _COUNTRY) + "00") % 97
    return f"{_COUNTRY}{check:02d}{account}"
