"""Where merchants are paid to, and the changes of it."""

from typing import Annotated

import msgspec
from litestar import Response, get, post
from litestar.di import NamedDependency
from litestar.params import JSONBody

from billing.bank_accounts import store
from billing.bank_accounts.model import NUMBER_LENGTH_MAX, TRIES_MAX, AccountState, BankAccount, Scheme
from billing.bank_accounts.store import ProposeAccount, TransferOrder
from marketplace.core.db import WORKER, Database, Tx
from marketplace.core.errors import Invalid
from marketplace.core.paging import Page, decode_cursor, page
from marketplace.flows.acquisition import onboard_merchant as onboarding
from marketplace.routes.fields import Currency, Name, Reason
from marketplace.routes.parameters import LIMIT, Cursor, Limit, PathId, check_books
from marketplace.web.auth import ActorRequest
from marketplace.web.body import StrictBody
from marketplace.web.etag import tagged
from marketplace.web.guards import FINANCE, MERCHANT_BOOKS, Role, needs
from marketplace.web.once import once
from marketplace.web.openapi import ONCE
from supply.store import get_merchant

OWNER = Role.MERCHANT_OWNER


class NewBankAccount(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """number: an IBAN, with spaces or without, or what the bank calls the account, then with its routing code."""

    holder: Name
    scheme: Scheme
    number: Annotated[str, msgspec.Meta(min_length=5, max_length=2 * NUMBER_LENGTH_MAX, pattern=r"^[\x20-\x7e]*$")]
    routing: Annotated[str, msgspec.Meta(max_length=NUMBER_LENGTH_MAX, pattern=r"^[\x20-\x7e]*$")] = ""
    currency: Currency


class Code(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    code: Annotated[str, msgspec.Meta(pattern="^[0-9]{10}$")]


class Seen(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """note: which document was seen."""

    note: Reason


class Why(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    reason: Reason


@post(
    "/merchants/{merchant_id:int}/bank-accounts",
    dto=StrictBody[NewBankAccount],
    guards=[needs(OWNER)],
    status_code=201,
    opt=ONCE,
)
async def propose_bank_account(
    request: ActorRequest, db: NamedDependency[Database], merchant_id: PathId, data: JSONBody[NewBankAccount]
) -> Response[BankAccount]:
    """Ask to be paid to another account: once it is verified, approved and has cooled down, and not before."""
    check_books(request.user, merchant_id)
    cmd = ProposeAccount(merchant_id=merchant_id, **msgspec.structs.asdict(data))

    async def work(tx: Tx) -> BankAccount:
        await get_merchant(tx, merchant_id)
        return await store.propose(tx, cmd)

    return await once(request, db, work)


@get("/merchants/{merchant_id:int}/bank-accounts", guards=[needs(FINANCE, MERCHANT_BOOKS)])
async def list_bank_accounts(
    request: ActorRequest,
    db: NamedDependency[Database],
    merchant_id: PathId,
    limit: Limit = LIMIT,
    cursor: Cursor = None,
) -> Page[BankAccount]:
    """A merchant's bank accounts and the changes on their way, the newest first; numbers by their last four."""
    check_books(request.user, merchant_id)
    (before,) = decode_cursor(cursor, tuple[int]) or (None,)
    async with db.read(request.user.scope) as tx:
        await get_merchant(tx, merchant_id)
        rows = await store.list_accounts(tx, merchant_id, limit=limit + 1, before=before)
    return page(rows, limit, lambda row: row, lambda row: (row.account_id,))


@get("/merchants/{merchant_id:int}/bank-accounts/{account_id:int}", guards=[needs(FINANCE, MERCHANT_BOOKS)])
async def get_bank_account(
    request: ActorRequest, db: NamedDependency[Database], merchant_id: PathId, account_id: PathId
) -> Response[BankAccount]:
    """One bank account; its number by its last four characters."""
    check_books(request.user, merchant_id)
    async with db.read(request.user.scope) as tx:
        account = await store.get_account(tx, merchant_id, account_id)
    return tagged(account, account.version)


# Not through `once`, which would store the answer: the code is in it. Done again, only the newest code counts.
@post("/merchants/{merchant_id:int}/bank-accounts/{account_id:int}/transfer", guards=[needs(FINANCE)], status_code=200)
async def order_transfer(
    request: ActorRequest, db: NamedDependency[Database], merchant_id: PathId, account_id: PathId
) -> TransferOrder:
    """The small transfer to make, with a code for its reference. Shown this once; a new one makes the old one void."""
    return await db.write(WORKER, request.user.login, store.order_transfer, merchant_id, account_id)


@post(
    "/merchants/{merchant_id:int}/bank-accounts/{account_id:int}/verify",
    dto=StrictBody[Code],
    guards=[needs(OWNER)],
    status_code=200,
    opt=ONCE,
)
async def verify_bank_account(
    request: ActorRequest,
    db: NamedDependency[Database],
    merchant_id: PathId,
    account_id: PathId,
    data: JSONBody[Code],
) -> Response[BankAccount]:
    """The code that came with the transfer. A wrong one is refused (422) and counted; the third rejects the account."""
    check_books(request.user, merchant_id)
    answer = await once(request, db, onboarding.verify_by_code, merchant_id, account_id, data.code)
    account = msgspec.json.decode(answer.content, type=BankAccount)
    if account.state is not AccountState.VERIFIED:  # the count of tries is stored
        left = TRIES_MAX - account.tries
        then = f"{left} tries are left" if left > 0 else f"the account is {account.state}: propose it anew"
        raise Invalid(f"code: is not the one that came with the transfer; {then}", pointer="/code")
    return answer


@post(
    "/merchants/{merchant_id:int}/bank-accounts/{account_id:int}/vouch",
    dto=StrictBody[Seen],
    guards=[needs(FINANCE)],
    status_code=200,
    opt=ONCE,
)
async def vouch_for_bank_account(
    request: ActorRequest,
    db: NamedDependency[Database],
    merchant_id: PathId,
    account_id: PathId,
    data: JSONBody[Seen],
) -> Response[BankAccount]:
    """A document shows that the account is the merchant's. Somebody else has to approve it."""
    return await once(request, db, onboarding.verify_by_document, merchant_id, account_id, data.note)


@post(
    "/merchants/{merchant_id:int}/bank-accounts/{account_id:int}/approve",
    guards=[needs(FINANCE)],
    status_code=200,
    opt=ONCE,
)
async def approve_bank_account(
    request: ActorRequest, db: NamedDependency[Database], merchant_id: PathId, account_id: PathId
) -> Response[BankAccount]:
    """Approve a verified account: after three days it is the one that is paid to."""
    return await once(request, db, store.approve, merchant_id, account_id)


@post(
    "/merchants/{merchant_id:int}/bank-accounts/{account_id:int}/reject",
    dto=StrictBody[Why],
    guards=[needs(FINANCE)],
    status_code=200,
    opt=ONCE,
)
async def reject_bank_account(
    request: ActorRequest,
    db: NamedDependency[Database],
    merchant_id: PathId,
    account_id: PathId,
    data: JSONBody[Why],
) -> Response[BankAccount]:
    """Refuse an account, even the active one: nothing new goes to it."""
    return await once(request, db, store.reject, merchant_id, account_id, data.reason)


@post(
    "/merchants/{merchant_id:int}/bank-accounts/{account_id:int}/cancel",
    dto=StrictBody[Why],
    guards=[needs(FINANCE, OWNER)],
    status_code=200,
    opt=ONCE,
)
async def cancel_bank_account(
    request: ActorRequest,
    db: NamedDependency[Database],
    merchant_id: PathId,
    account_id: PathId,
    data: JSONBody[Why],
) -> Response[BankAccount]:
    """Give up a change before it takes effect."""
    check_books(request.user, merchant_id)
    return await once(request, db, store.cancel, merchant_id, account_id, data.reason)


HANDLERS = [
    propose_bank_account,
    list_bank_accounts,
    get_bank_account,
    order_transfer,
    verify_bank_account,
    vouch_for_bank_account,
    approve_bank_account,
    reject_bank_account,
    cancel_bank_account,
]
