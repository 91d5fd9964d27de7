"""Files of payouts for the bank, and the accounts that they are paid out of."""

from datetime import date
from typing import Annotated

import msgspec
from litestar import Response, get, post
from litestar.di import NamedDependency
from litestar.openapi.datastructures import ResponseSpec
from litestar.params import JSONBody

from billing.bank_accounts.model import NUMBER_LENGTH_MAX, Scheme
from billing.payout_files import store
from billing.payout_files.model import Party, PayoutFile
from billing.payout_files.store import DebtorAccount
from marketplace.core.db import Database
from marketplace.core.paging import Page, decode_cursor, page
from marketplace.flows.payouts import instruct_bank as flow
from marketplace.flows.payouts.instruct_bank import MakeFile, SetDebtor
from marketplace.routes.fields import Currency, EntityId, Name, Reason
from marketplace.routes.parameters import LIMIT, Cursor, Limit, PathNo
from marketplace.web.auth import ActorRequest
from marketplace.web.body import StrictBody
from marketplace.web.files import attached
from marketplace.web.guards import CONTROL, FINANCE, needs
from marketplace.web.once import once
from marketplace.web.openapi import ALSO, ONCE

XML, CSV = "application/xml", "text/csv"


class NewDebtorAccount(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """routing: the bank's BIC, or its code in its country. entity_id: not needed where there is only one."""

    currency: Currency
    holder: Name
    scheme: Scheme
    number: Annotated[str, msgspec.Meta(min_length=5, max_length=2 * NUMBER_LENGTH_MAX, pattern=r"^[\x20-\x7e]*$")]
    routing: Annotated[str, msgspec.Meta(max_length=NUMBER_LENGTH_MAX, pattern=r"^[\x20-\x7e]*$")] = ""
    entity_id: EntityId | None = None


class NewPayoutFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """pay_on: the day on which the bank is to pay; payouts that are instructed for a later one stay out."""

    currency: Currency
    pay_on: date
    entity_id: EntityId | None = None


class Because(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    reason: Reason


class DebtorAccounts(msgspec.Struct, frozen=True, kw_only=True):
    accounts: list[DebtorAccount]


@get("/debtor-accounts", guards=[needs(FINANCE)])
async def list_debtor_accounts(request: ActorRequest, db: NamedDependency[Database]) -> DebtorAccounts:
    """The accounts that legal entities pay out of, by entity and currency."""
    async with db.read(request.user.scope) as tx:
        return DebtorAccounts(accounts=await store.list_debtors(tx))


@post(
    "/debtor-accounts",
    dto=StrictBody[NewDebtorAccount],
    guards=[needs(CONTROL)],
    status_code=200,
    opt={**ONCE, ALSO: (404,)},
)
async def set_debtor_account(
    request: ActorRequest, db: NamedDependency[Database], data: JSONBody[NewDebtorAccount]
) -> Response[Party]:
    """Pay out a currency from this account; files that are made already keep the one before."""
    party = Party(holder=data.holder, scheme=data.scheme, number=data.number, routing=data.routing)
    cmd = SetDebtor(currency=data.currency, party=party, entity_id=data.entity_id)
    return await once(request, db, flow.set_debtor, cmd)


@post(
    "/payout-files",
    dto=StrictBody[NewPayoutFile],
    guards=[needs(FINANCE)],
    status_code=201,
    opt={**ONCE, ALSO: (404,)},
)
async def make_payout_file(
    request: ActorRequest, db: NamedDependency[Database], data: JSONBody[NewPayoutFile]
) -> Response[PayoutFile]:
    """A file of the payouts that wait for one, at most 10,000; the bank details are those of this moment."""
    return await once(request, db, flow.make_file, MakeFile(**msgspec.structs.asdict(data)))


@get("/payout-files", guards=[needs(FINANCE)])
async def list_payout_files(
    request: ActorRequest, db: NamedDependency[Database], limit: Limit = LIMIT, cursor: Cursor = None
) -> Page[PayoutFile]:
    """The files for the bank, the newest first."""
    (before,) = decode_cursor(cursor, tuple[int]) or (None,)
    async with db.read(request.user.scope) as tx:
        rows = await store.list_files(tx, limit=limit + 1, before=before)
    return page(rows, limit, lambda row: row, lambda row: (row.file_id,))


@get("/payout-files/{file_id:int}", guards=[needs(FINANCE)])
async def get_payout_file(request: ActorRequest, db: NamedDependency[Database], file_id: PathNo) -> PayoutFile:
    """One file: who made and approved it, how many payouts, and their sum."""
    async with db.read(request.user.scope) as tx:
        return await store.get_file(tx, file_id)


@post("/payout-files/{file_id:int}/approve", guards=[needs(FINANCE)], status_code=200, opt=ONCE)
async def approve_payout_file(
    request: ActorRequest, db: NamedDependency[Database], file_id: PathNo
) -> Response[PayoutFile]:
    """Let a file go to the bank, as another person than its maker; from then on it can be downloaded."""
    return await once(request, db, flow.approve_file, file_id)


@post(
    "/payout-files/{file_id:int}/cancel",
    dto=StrictBody[Because],
    guards=[needs(FINANCE)],
    status_code=200,
    opt=ONCE,
)
async def cancel_payout_file(
    request: ActorRequest, db: NamedDependency[Database], file_id: PathNo, data: JSONBody[Because]
) -> Response[PayoutFile]:
    """Give up a file: its payouts go into the next one. Once approved, by another person than who approved it."""
    return await once(request, db, flow.cancel_file, file_id, data.reason)


@get(
    "/payout-files/{file_id:int}/pain.001.xml",
    guards=[needs(FINANCE)],
    responses={
        200: ResponseSpec(str, media_type=XML, description="ISO 20022 pain.001.001.09.", generate_examples=False)
    },
    opt={ALSO: (409,)},
)
async def download_xml(request: ActorRequest, db: NamedDependency[Database], file_id: PathNo) -> Response[bytes]:
    """An approved file as the bank takes it, the same bytes every time."""
    return await _download(request, db, file_id, "xml", XML)


@get(
    "/payout-files/{file_id:int}/lines.csv",
    guards=[needs(FINANCE)],
    responses={
        200: ResponseSpec(
            str, media_type=CSV, description="One line per payout, after a header.", generate_examples=False
        )
    },
    opt={ALSO: (409,)},
)
async def download_csv(request: ActorRequest, db: NamedDependency[Database], file_id: PathNo) -> Response[bytes]:
    """An approved file as CSV, with the same content."""
    return await _download(request, db, file_id, "csv", CSV)


async def _download(request: ActorRequest, db: Database, file_id: int, kind: str, media_type: str) -> Response[bytes]:
    async with db.read(request.user.scope) as tx:
        content = await flow.read_bytes(tx, file_id, kind)
    name = attached(f"payouts-{file_id}.{kind}")
    return Response(content, media_type=media_type, headers=name)


HANDLERS = [
    list_debtor_accounts,
    set_debtor_account,
    make_payout_file,
    list_payout_files,
    get_payout_file,
    approve_payout_file,
    cancel_payout_file,
    download_xml,
    download_csv,
]
