"""The demonstration: a marketplace with users, orders, contracts, refunds, and its closed months billed."""

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from datetime import date, datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any

import msgspec

from billing.payers import store as payers
from billing.runs.model import Period, period_named
from demand.store import ORDER_STATE
from marketplace.core import policies
from marketplace.core.db import WORKER, Database, Tx
from marketplace.core.errors import Conflict
from marketplace.core.users import UserRole, create_user, set_password
from marketplace.flows.commission.apply_contracts import apply_file
from marketplace.flows.commission.settle_orders import settle_through
from marketplace.flows.demo.demo_growth import REP, win_merchants
from marketplace.flows.demo.demo_incentives import promote
from marketplace.flows.demo.demo_market import SEED, SOURCE, demo_contracts, load_demo_market, make_market
from marketplace.flows.demo.demo_orders import Outside, live_orders
from marketplace.flows.demo.demo_papers import hand_in_papers
from marketplace.flows.demo.demo_payer import PAYER, PERSON, agree_with_payer, claim_on_payer
from marketplace.flows.imports.import_olist import import_olist
from marketplace.flows.imports.load_orders_model import Loaded
from marketplace.flows.payments.reconcile_payments import Reconciliation
from marketplace.flows.proofs.check_again import check_all, last_of_books, last_of_payments
from marketplace.flows.refunds.refund_order import RefundOrder, refund_order
from marketplace.flows.runs import run_billing
from marketplace.flows.steering.roll_metrics import roll_metrics

PASSWORD = "demonstration"  # noqa: S105  # shown on the sign-in page, on made-up data only
_REFUNDS_PER_MILLE = 15

Bar = Callable[[str], AbstractContextManager[Callable[[int, int], None]]]
"""Opens a progress bar with a title."""


class SignIn(msgspec.Struct, frozen=True):
    """A user of the demonstration."""

    login: str
    password: str
    role: str


class Demo(msgspec.Struct, frozen=True, kw_only=True):
    """What the demonstration holds when it is ready."""

    orders: int
    merchants: int
    gmv_minor: int
    settled: int
    refunds: int
    live_orders: int
    periods: list[str]
    statements: int
    payouts: int
    payouts_minor: int
    reconciliation: Reconciliation
    verified: bool
    sign_ins: list[SignIn]


async def run_demo(
    db: Database, actor: str, bar: Bar, outside: Mapping[str, Outside], *, olist: Path | None = None
) -> Demo:
    """Load a demonstration marketplace (made up, or the Olist folder) and bill its closed months; prove the books.

    The caller has checked that it is alone here. outside: the processor that live orders are paid through, by its name;
    Olist has none of these. Interrupted at any point it goes on where it stopped; run again it changes nothing.
    """
    await db.write(WORKER, actor, _set_policies)
    market = make_market(await _loaded_at(db) or db.clock.now())
    if olist is None:
        with bar("Orders") as show:
            loaded = await load_demo_market(db, actor, market, show)
        contracts = demo_contracts(market)
        last_on = market.last_on
    else:
        with bar("Olist") as show:
            loaded = await import_olist(db, actor, olist, on_progress=show)
        contracts = _OLIST_CONTRACTS
        last_on = await _last_delivery(db)
    await apply_file(db, actor, contracts.encode())
    if olist is None:
        await db.write(WORKER, actor, hand_in_papers, market)
        await db.write(WORKER, actor, agree_with_payer, market)
    with bar("Settling") as show:
        await settle_through(db, actor, last_on, show)
    refunds = await _refund_some(db, actor, last_on, bar) if olist is None else 0
    periods = closed_periods(await _first_settlement(db), last_on)
    for period in periods:
        await _bill(db, actor, period, bar)
    largest = await db.write(WORKER, actor, _ensure_users)
    live = 0
    if olist is None:
        with bar("Live orders") as show:
            live = await live_orders(db, actor, market, outside, largest, show)
        with bar("Promotions, leads, a payer"):
            await db.write(WORKER, actor, claim_on_payer, last_on)
            await db.write(WORKER, actor, win_merchants, largest)
            await promote(db, actor, market)
            await db.write(WORKER, actor, _let_others_in)
    with bar("Figures"):
        await roll_metrics(db, actor)
    return await _summary(db, actor, loaded, refunds, live, periods)


def closed_periods(first_on: date, last_on: date) -> list[Period]:
    """The calendar months that are over by `last_on`, the newest three at most, from the month of `first_on`."""
    periods: list[Period] = []
    period = period_named(f"{first_on:%Y-%m}")
    while period.last_on <= last_on:
        periods.append(period)
        period = period_named(f"{period.to_on:%Y-%m}")
    return periods[-3:]


async def check_alone(db: Database, olist: Path | None) -> None:
    """Raise Conflict, before anything is written, when these books hold anything but this demonstration."""
    async with db.read(WORKER) as tx:
        demonstration = await policies.is_on(tx, "demonstration")
        sources = [row.source for row in await tx.rows("SELECT source FROM billing.data_import ORDER BY import_id")]
    made_up = [source for source in sources if source.startswith(f"{SOURCE} ")]
    if sources and (not demonstration or bool(made_up) != (olist is None)):
        raise Conflict(
            f"these books hold {sources[0]!r} already; a demonstration needs books of its own: set MARKETPLACE_HOME to"
            " an empty folder"
        )


async def _loaded_at(db: Database) -> datetime | None:
    """When the demonstration's market was loaded, if it was: run again on another day it is still that market."""
    async with db.read(WORKER) as tx:
        at: datetime | None = await tx.scalar(
            "SELECT min(imported_at) FROM billing.data_import WHERE source LIKE :source", source=f"{SOURCE} %"
        )
    return at


async def _set_policies(tx: Tx) -> None:
    """Once, for a new demonstration: what somebody has switched off since stays off."""
    if not await policies.is_on(tx, "demonstration"):
        for name in ("single_operator", "demonstration"):
            await policies.switch(tx, name, on=True)


async def _bill(db: Database, actor: str, period: Period, bar: Bar) -> None:
    with bar(f"Billing {period.name}") as show:
        result = await run_billing.run_period(db, actor, period, on_progress=show)
        if result.run.state == "previewed":
            await run_billing.approve_run(db, actor, result.run.run_id)
        await run_billing.finalise_run(db, actor, result.run.run_id, show)


async def _first_settlement(db: Database) -> date:
    async with db.read(WORKER) as tx:
        first: date = await tx.scalar("SELECT min(effective_on) FROM billing.commission_line")
    return first


async def _last_delivery(db: Database) -> date:
    async with db.read(WORKER) as tx:
        last: date = await tx.scalar("SELECT max(settles_on) FROM demand.order_due")
        if last is None:  # everything is settled already
            last = await tx.scalar("SELECT max(effective_on) FROM billing.commission_line")
    return last


async def _refund_some(db: Database, actor: str, last_on: date, bar: Bar) -> int:
    """Refund some settled orders whole, days after their settlement; the same ones whenever it is asked."""
    async with db.read(WORKER) as tx:
        settled = await tx.rows(_REFUNDABLE)
        done = {(row.merchant_id, row.order_id) for row in await tx.rows(_REFUNDED)}
    rng = Random(SEED)  # noqa: S311  # a demonstration, not a secret
    wanted = []
    for row in settled:
        drawn, days = rng.randrange(1000), rng.randint(2, 12)
        at = row.delivered_at + timedelta(days=days)
        if drawn < _REFUNDS_PER_MILLE and at.date() <= last_on:
            wanted.append((row, at))
    with bar("Refunds") as show:
        for number, (row, at) in enumerate(wanted, start=1):
            if (row.merchant_id, row.order_id) not in done:
                reason = ("damaged", "wrong_item", "changed_mind")[number % 3]
                refund = RefundOrder(merchant_id=row.merchant_id, order_id=row.order_id, reason=reason, refunded_at=at)
                await db.write(WORKER, actor, refund_order, refund)
            show(number, len(wanted))
    return len(wanted)


# Of imported orders only, whose ids lie below: lots are drawn for the same ones, whatever is sold later.
_REFUNDABLE = f"""
SELECT o.merchant_id, o.order_id, o.delivered_at FROM demand.merchant_order o
WHERE {ORDER_STATE} = 'settled' AND o.order_id < {2**40} ORDER BY o.merchant_id, o.order_id
"""
_REFUNDED = f"""
SELECT r.merchant_id, r.order_id FROM demand.refund r
JOIN demand.merchant_order o ON o.merchant_id = r.merchant_id AND o.order_id = r.order_id AND {ORDER_STATE} = 'settled'
"""


async def _ensure_users(tx: Tx) -> int:
    """The three people of the demonstration, and its shop. The merchant is the one with the most orders: its id."""
    known = {row.login: row.merchant_id for row in await tx.rows("SELECT login, merchant_id FROM core.app_user")}
    largest = await tx.row(
        """
        SELECT m.merchant_id, m.name FROM supply.merchant m
        JOIN (SELECT merchant_id, count(*) AS orders FROM demand.merchant_order GROUP BY merchant_id) AS o
          ON o.merchant_id = m.merchant_id
        ORDER BY o.orders DESC, m.merchant_id LIMIT 1
        """
    )
    assert largest is not None
    people: tuple[tuple[str, str, list[str], dict[str, Any]], ...] = (
        ("merchant", largest.name, [UserRole.MERCHANT_OWNER], {"merchant_id": largest.merchant_id}),
        ("ops", "Olivia Ops", [UserRole.GROWTH, UserRole.INCENTIVES, UserRole.APPROVER], {}),
        ("finance", "Felix Finance", [UserRole.ACCOUNTANT, UserRole.CONTROLLER], {}),
        ("shop", "The shop", [UserRole.STOREFRONT], {}),
    )
    for login, name, roles, more in people:
        if login not in known:
            password = None if UserRole.STOREFRONT in roles else PASSWORD
            await create_user(tx, login, name, [str(role) for role in roles], password=password, **more)
    merchant_id: int = known.get("merchant") or largest.merchant_id
    return merchant_id


async def _let_others_in(tx: Tx) -> None:
    """The rep of the made-up leads and a person of the made-up payer sign in like the three."""
    known = {row.login: row for row in await tx.rows("SELECT login, password_hash FROM core.app_user")}
    if known[REP].password_hash is None:
        await set_password(tx, REP, PASSWORD)
    if PERSON not in known:
        payer_id = (await payers.payers_named(tx, [PAYER]))[PAYER]
        await create_user(tx, PERSON, "Petra Payer", [str(UserRole.PAYER)], payer_id=payer_id, password=PASSWORD)


async def _sign_ins(tx: Tx) -> list[SignIn]:
    known = {row.login for row in await tx.rows("SELECT login FROM core.app_user WHERE password_hash IS NOT NULL")}
    return [SignIn(login, PASSWORD, role) for login, role in _ROLES.items() if login in known]


_ROLES = {
    "merchant": "merchant owner",
    "ops": "growth, incentives, approver",
    "finance": "accountant, controller",
    REP: "sales rep",
    PERSON: "payer",
}


async def _summary(db: Database, actor: str, loaded: Loaded, refunds: int, live: int, periods: list[Period]) -> Demo:
    await check_all(db, actor)
    async with db.read(WORKER) as tx:
        settled = await tx.scalar(f"SELECT count(*) FROM demand.merchant_order o WHERE {ORDER_STATE} = 'settled'")
        statements = await tx.scalar("SELECT count(*) FROM billing.statement WHERE state = 'final'")
        payouts = await tx.row(
            "SELECT count(*) AS payouts, coalesce(sum(amount_minor), 0)::bigint AS minor FROM billing.payout"
            " WHERE state <> 'cancelled'"
        )
        currency = await tx.scalar("SELECT currency FROM billing.entity ORDER BY entity_id LIMIT 1")
        reconciliation = (await last_of_payments(tx, currency)).answer
        verified = (await last_of_books(tx)).answer
        sign_ins = await _sign_ins(tx)
    assert payouts is not None
    assert reconciliation is not None
    assert verified is not None
    return Demo(
        orders=loaded.orders,
        merchants=loaded.merchants,
        gmv_minor=loaded.gmv_minor,
        settled=settled,
        refunds=refunds,
        live_orders=live,
        periods=[period.name for period in periods],
        statements=statements,
        payouts=payouts.payouts,
        payouts_minor=payouts.minor,
        reconciliation=reconciliation,
        verified=verified.ok,
        sign_ins=sign_ins,
    )


_OLIST_CONTRACTS = """
[[contract]]
name = "Standard"
currency = "BRL"
valid_from = 2016-01-01
base = "goods"
tiers = [
    { from_minor = 0, rate_ppm = 160000 },
    { from_minor = 200000, rate_ppm = 140000 },
    { from_minor = 1000000, rate_ppm = 110000 },
]
min_minor = 200
vat_ppm = 50000

[[contract]]
name = "Furniture"
currency = "BRL"
valid_from = 2016-01-01
categories = ["moveis_decoracao", "moveis_escritorio", "moveis_sala"]
base = "goods_and_freight"
rate_ppm = 95000
fixed_minor = 300
max_minor = 9000
vat_ppm = 50000
"""
