"""What matching goes by, on a page: rules in versions, accounts, holidays, fee schedules, and limits of write-offs."""

from collections.abc import Mapping, Sequence
from datetime import date
from enum import StrEnum
from typing import Any

import msgspec
from litestar import Response, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath

from billing.breaks import store as breaks
from billing.breaks.model import Limits
from billing.matching.agreements import store
from billing.matching.model import (
    SUBSET_ITEMS_MAX,
    Account,
    Book,
    FeeLine,
    FeeSchedule,
    ResidueKind,
    Rules,
    RulesVersion,
    Tolerance,
)
from billing.payments.store import list_processors
from marketplace.consoles import ops_queries
from marketplace.consoles.deeds import Refused, amount, carry_out, day_needed, done, number, text
from marketplace.consoles.layout import send
from marketplace.consoles.ops_queries import Entity
from marketplace.consoles.reader import ppm
from marketplace.core.db import STAFF, Database, Tx
from marketplace.core.errors import Invalid
from marketplace.core.money import check_currency
from marketplace.flows.bank import match_by_hand, work_breaks
from marketplace.flows.bank.match_by_hand import SetAccount
from marketplace.web.auth import ActorRequest
from marketplace.web.guards import CONTROL, needs

VERSIONS_SHOWN = 10
HOLIDAYS_MAX = 2_000
TOLERANCES_MAX = 20
FEES_MAX = 200
_LONG = 30_000
_ENTITY_MAX = 2**31 - 1


class Deed(StrEnum):
    """What anybody of finance does."""

    PROPOSE_RULES = "propose_rules"
    APPROVE_RULES = "approve_rules"
    PROPOSE_FEES = "propose_fees"
    APPROVE_FEES = "approve_fees"


class Set(StrEnum):
    """What a controller sets."""

    ACCOUNT = "account"
    HOLIDAYS = "holidays"
    LIMITS = "limits"


class RulesPage(msgspec.Struct, frozen=True, kw_only=True):
    """The rules in force and their newest versions, accounts, holidays by calendar, fee schedules, and limits."""

    in_force: RulesVersion
    versions: Sequence[RulesVersion]
    accounts: Sequence[Account]
    holidays: dict[str, list[date]]
    schedules: Sequence[FeeSchedule]
    processors: dict[int, str]
    limits: Sequence[Limits]
    entities: Sequence[Entity]
    zone: str

    @property
    def tolerances(self) -> str:
        """Those in force, as the form has them."""
        return "\n".join(
            f"{one.book} {one.residue} {one.minor_max} {one.ppm_max}" for one in self.in_force.rules.tolerances
        )


@get("/rules")
async def rules(request: ActorRequest, db: NamedDependency[Database]) -> Response[str]:
    """What matching goes by, and who has said so."""
    return await show_rules(request, db)


async def show_rules(request: ActorRequest, db: Database, refused: Refused | None = None) -> Response[str]:
    async with db.read(STAFF) as tx:
        entities = await ops_queries.list_entities(tx)
        page = RulesPage(
            in_force=await store.rules_in_force(tx),
            versions=await store.list_rules(tx, limit=VERSIONS_SHOWN),
            accounts=await store.list_accounts(tx),
            holidays={name: sorted(days) for name, days in sorted((await store.holidays(tx)).items())},
            schedules=await store.list_schedules(tx),
            processors=await list_processors(tx),
            limits=await breaks.list_limits(tx, entity_id=None, currency=None),
            entities=entities,
            zone=entities[0].zone if entities else "UTC",
        )
    may_set = bool(request.user.roles & CONTROL)
    return send(request, "finance/rules.html", page, "rules", refused=refused, may_set=may_set, me=request.user.login)


@post("/rules/{deed:str}")
async def rules_deed(request: ActorRequest, db: NamedDependency[Database], deed: FromPath[Deed]) -> Response[Any]:
    """Propose the next version of the rules or of a processor's fees, or approve what somebody else has proposed."""

    async def work(tx: Tx, typed: Mapping[str, str]) -> str:
        match deed:
            case Deed.PROPOSE_RULES:
                await match_by_hand.propose_rules(tx, _rules(typed))
            case Deed.APPROVE_RULES:
                await match_by_hand.approve_rules(tx, number(typed, "version", least=1, most=_ENTITY_MAX))
            case Deed.PROPOSE_FEES:
                processor = text(typed, "processor", least=1, most=200)
                await match_by_hand.propose_fees(tx, processor, day_needed(typed, "fees_from"), _fees(typed))
            case Deed.APPROVE_FEES:
                processor_id = number(typed, "processor_id", least=1)
                version = number(typed, "version", least=1, most=_ENTITY_MAX)
                await match_by_hand.approve_fees(tx, processor_id, version)
        return done("/finance/rules", f"rules_{deed}")

    return await carry_out(request, db, work, again=lambda why: show_rules(request, db, why))


@post("/rules/set/{what:str}", guards=[needs(CONTROL)])
async def set_rules(request: ActorRequest, db: NamedDependency[Database], what: FromPath[Set]) -> Response[Any]:
    """Say whose an account is, which days are holidays, or up to how much a role writes off."""

    async def work(tx: Tx, typed: Mapping[str, str]) -> str:
        match what:
            case Set.ACCOUNT:
                await match_by_hand.set_account(tx, _account(typed))
            case Set.HOLIDAYS:
                await store.set_holidays(tx, text(typed, "calendar", least=1, most=200), _days(typed))
            case Set.LIMITS:
                currency = check_currency(text(typed, "limit_currency", least=3, most=3).upper())
                limits = Limits(
                    entity_id=number(typed, "limit_entity", least=1, most=_ENTITY_MAX),
                    currency=currency,
                    accountant_minor=amount(typed, "accountant", currency),
                    controller_minor=amount(typed, "controller", currency),
                )
                await work_breaks.set_limits(tx, limits)
        return done("/finance/rules", f"rules_set_{what}")

    return await carry_out(request, db, work, again=lambda why: show_rules(request, db, why))


def _rules(typed: Mapping[str, str]) -> Rules:
    """Rules as a form has them. Raises Invalid."""
    return Rules(
        tolerances=_tolerances(typed),
        window_days=number(typed, "window_days", most=60),
        subset_items=number(typed, "subset_items", most=SUBSET_ITEMS_MAX),
        likely_score=number(typed, "likely_score", most=100),
        likely_margin=number(typed, "likely_margin", least=1, most=100),
    )


def _tolerances(typed: Mapping[str, str]) -> tuple[Tolerance, ...]:
    """Lines `book residue minor_max ppm_max`. Raises Invalid."""
    found = []
    for line in text(typed, "tolerances", most=_LONG).splitlines():
        match line.split():
            case []:
                continue
            case [book, residue, minor, rate] if book in set(Book) and residue in set(ResidueKind):
                given = {"minor": minor, "rate": rate}
                minor_max = _of_line(given, "minor", "tolerances", line, most=10**12)
                ppm_max = _of_line(given, "rate", "tolerances", line, most=10**6)
                found.append(
                    Tolerance(book=Book(book), residue=ResidueKind(residue), minor_max=minor_max, ppm_max=ppm_max)
                )
            case _:
                raise Invalid(
                    f"tolerances: {line.strip()[:60]!r} is not written as: bank rounding 1 1000000",
                    pointer="/tolerances",
                )
    if len(found) > TOLERANCES_MAX:
        raise Invalid(f"tolerances: at most {TOLERANCES_MAX}", pointer="/tolerances")
    return tuple(found)


def _of_line(given: Mapping[str, str], name: str, field: str, line: str, *, most: int) -> int:
    try:
        return number(given, name, most=most)
    except Invalid as fault:
        raise Invalid(f"{field}: {line.strip()[:60]!r}: {fault.detail}", pointer=f"/{field}") from fault


def _fees(typed: Mapping[str, str]) -> tuple[FeeLine, ...]:
    """Lines `method currency fixed percent`, with * for every other method. Raises Invalid."""
    found = []
    for line in text(typed, "fees", least=1, most=_LONG).splitlines():
        match line.split():
            case []:
                continue
            case [method, currency, fixed, percent]:
                try:
                    known = check_currency(currency.upper())
                    fixed_minor, rate = amount({"fixed": fixed}, "fixed", known), ppm(percent)
                except Invalid as fault:
                    raise Invalid(f"fees: {line.strip()[:60]!r}: {fault.detail}", pointer="/fees") from fault
                method = "" if method == "*" else method[:60]
                found.append(FeeLine(method=method, currency=known, fixed_minor=fixed_minor, ppm=rate))
            case _:
                raise Invalid(f"fees: {line.strip()[:60]!r} is not written as: visa EUR 0.10 1.4%", pointer="/fees")
    if not 0 < len(found) <= FEES_MAX:
        raise Invalid(f"fees: 1 to {FEES_MAX} lines", pointer="/fees")
    return tuple(found)


def _days(typed: Mapping[str, str]) -> tuple[date, ...]:
    """Days between spaces, commas or lines. Raises Invalid."""
    found = []
    for each in text(typed, "days", most=_LONG).replace(",", " ").split():
        try:
            found.append(date.fromisoformat(each))
        except ValueError as fault:
            raise Invalid(f"days: {each[:20]!r} is no day, as 2026-12-25", pointer="/days") from fault
    if len(found) > HOLIDAYS_MAX:
        raise Invalid(f"days: at most {HOLIDAYS_MAX}", pointer="/days")
    return tuple(found)


def _account(typed: Mapping[str, str]) -> SetAccount:
    """An account as a form has it. Raises Invalid."""
    processor = text(typed, "at_processor", most=200)
    account = Account(
        account=text(typed, "account", least=1, most=200),
        book=Book.PROCESSOR if processor else Book.BANK,
        entity_id=number(typed, "entity_id", least=1, most=_ENTITY_MAX),
        processor_id=None,
        calendar=text(typed, "of_calendar", most=200),
        lag_days=number(typed, "lag_days", most=60),
        from_on=day_needed(typed, "from_on"),
    )
    return SetAccount(account=account, processor=processor)


PAGES = [rules, rules_deed, set_rules]
