"""What matching goes by: whose accounts are read, by which calendars and rules, and what processors may charge."""

from datetime import date
from typing import Annotated

import msgspec
from litestar import Response, get, post
from litestar.di import NamedDependency
from litestar.params import JSONBody

from billing.matching.agreements import store
from billing.matching.model import Account, Book, FeeLine, FeeSchedule, Rules, RulesVersion
from marketplace.core.db import Database, Tx
from marketplace.core.paging import Page, decode_cursor, page
from marketplace.flows.bank import match_by_hand
from marketplace.flows.bank.match_by_hand import SetAccount
from marketplace.routes.fields import EntityId, Label, Name
from marketplace.routes.parameters import LIMIT, Cursor, Limit, PathNo, PathVersion
from marketplace.web.auth import ActorRequest
from marketplace.web.body import StrictBody
from marketplace.web.guards import FINANCE, Role, needs
from marketplace.web.once import once
from marketplace.web.openapi import ALSO, ONCE

CONTROL = frozenset({Role.CONTROLLER, Role.ADMIN})
HOLIDAYS_MAX = 2_000
FEES_MAX = 200


class NewAccount(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """An account as statements name it (an IBAN, `adyen:Shop`); processor: at whom it is, else it is at a bank.

    lag_days: business days of the calendar until what our books have should be on it. from_on: the first day matched.
    """

    account: Name
    entity_id: EntityId
    from_on: date
    processor: Label = ""
    calendar: Label = ""
    lag_days: Annotated[int, msgspec.Meta(ge=0, le=60)] = 2


class Holidays(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The days of a calendar on which nothing is settled, beside Saturdays and Sundays."""

    calendar: Name
    days: Annotated[tuple[date, ...], msgspec.Meta(max_length=HOLIDAYS_MAX)]


class NewFees(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What a processor may charge from a day on, by method and currency; a line without a method is for all others."""

    processor: Name
    from_on: date
    fees: Annotated[tuple[FeeLine, ...], msgspec.Meta(min_length=1, max_length=FEES_MAX)]


@get("/match-accounts", guards=[needs(FINANCE)])
async def list_match_accounts(request: ActorRequest, db: NamedDependency[Database]) -> list[Account]:
    """Whose the accounts in statements are."""
    async with db.read(request.user.scope) as tx:
        return await store.list_accounts(tx)


@post(
    "/match-accounts", dto=StrictBody[NewAccount], guards=[needs(CONTROL)], status_code=200, opt=ONCE | {ALSO: (404,)}
)
async def set_match_account(
    request: ActorRequest, db: NamedDependency[Database], data: JSONBody[NewAccount]
) -> Response[Account]:
    """Say whose an account is: from then on its lines are matched."""
    account = Account(
        account=data.account,
        book=Book.PROCESSOR if data.processor else Book.BANK,
        entity_id=data.entity_id,
        processor_id=None,
        calendar=data.calendar,
        lag_days=data.lag_days,
        from_on=data.from_on,
    )
    return await once(request, db, match_by_hand.set_account, SetAccount(account=account, processor=data.processor))


@get("/match-holidays", guards=[needs(FINANCE)])
async def list_match_holidays(request: ActorRequest, db: NamedDependency[Database]) -> dict[str, list[date]]:
    """Holidays by calendar."""
    async with db.read(request.user.scope) as tx:
        return {name: sorted(days) for name, days in sorted((await store.holidays(tx)).items())}


@post(
    "/match-holidays",
    dto=StrictBody[Holidays],
    return_dto=None,
    guards=[needs(CONTROL)],
    status_code=200,
    opt=ONCE,
)
async def set_match_holidays(
    request: ActorRequest, db: NamedDependency[Database], data: JSONBody[Holidays]
) -> Response[Holidays]:
    """Replace the holidays of a calendar."""

    async def work(tx: Tx) -> Holidays:
        await store.set_holidays(tx, data.calendar, data.days)
        return data

    return await once(request, db, work)


@get("/match-rules", guards=[needs(FINANCE)])
async def list_match_rules(
    request: ActorRequest, db: NamedDependency[Database], limit: Limit = LIMIT, cursor: Cursor = None
) -> Page[RulesVersion]:
    """Versions of the rules, the newest first; the newest approved one is in force."""
    (before,) = decode_cursor(cursor, tuple[int]) or (None,)
    async with db.read(request.user.scope) as tx:
        rows = await store.list_rules(tx, limit=limit + 1, before=before)
    return page(rows, limit, lambda row: row, lambda row: (row.version,))


@post("/match-rules", dto=StrictBody[Rules], guards=[needs(FINANCE)], status_code=201, opt=ONCE)
async def propose_match_rules(
    request: ActorRequest, db: NamedDependency[Database], data: JSONBody[Rules]
) -> Response[RulesVersion]:
    """Propose the next version of the rules. Somebody else approves it."""
    return await once(request, db, match_by_hand.propose_rules, data)


@post("/match-rules/{version:int}/approve", guards=[needs(FINANCE)], status_code=200, opt=ONCE | {ALSO: (409,)})
async def approve_match_rules(
    request: ActorRequest, db: NamedDependency[Database], version: PathVersion
) -> Response[RulesVersion]:
    """Let a version of the rules hold; not by who made it."""
    return await once(request, db, match_by_hand.approve_rules, version)


@get("/fee-schedules", guards=[needs(FINANCE)])
async def list_fee_schedules(request: ActorRequest, db: NamedDependency[Database]) -> list[FeeSchedule]:
    """What processors may charge, in versions."""
    async with db.read(request.user.scope) as tx:
        return await store.list_schedules(tx)


@post("/fee-schedules", dto=StrictBody[NewFees], guards=[needs(FINANCE)], status_code=201, opt=ONCE | {ALSO: (404,)})
async def propose_fee_schedule(
    request: ActorRequest, db: NamedDependency[Database], data: JSONBody[NewFees]
) -> Response[FeeSchedule]:
    """Propose what a processor may charge from a day on. Somebody else approves it."""
    return await once(request, db, match_by_hand.propose_fees, data.processor, data.from_on, data.fees)


@post(
    "/fee-schedules/{processor_id:int}/{version:int}/approve",
    guards=[needs(FINANCE)],
    status_code=200,
    opt=ONCE | {ALSO: (409,)},
)
async def approve_fee_schedule(
    request: ActorRequest, db: NamedDependency[Database], processor_id: PathNo, version: PathVersion
) -> Response[FeeSchedule]:
    """Agree with a fee schedule; not by who made it. What is charged otherwise becomes a break."""
    return await once(request, db, match_by_hand.approve_fees, processor_id, version)


HANDLERS = [
    list_match_accounts,
    set_match_account,
    list_match_holidays,
    set_match_holidays,
    list_match_rules,
    propose_match_rules,
    approve_match_rules,
    list_fee_schedules,
    propose_fee_schedule,
    approve_fee_schedule,
]
