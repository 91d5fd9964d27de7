"""What the journal refuses, how postings and rolls meet, and who may see or touch which rows."""

import asyncio
from collections.abc import Callable
from datetime import UTC, date, datetime
from itertools import product
from typing import Any

import pytest
from sqlalchemy import Column, Table, insert, text
from sqlalchemy.exc import DBAPIError, IntegrityError

from billing.ledger import roll
from billing.ledger import store as ledger
from billing.ledger.chart import Account
from billing.ledger.model import Leg, NewEntry
from billing.ledger.tables import entry
from marketplace.core.db import STAFF, WORKER, Database, Role, Scope, Tx, sqlstate
from marketplace.core.errors import Conflict, Invalid
from marketplace.core.tables import placement, qualified
from marketplace.tables import metadata
from tests.billing.locks import wait_until_blocked
from tests.builders import add_market

AT = datetime(2018, 5, 1, 10, tzinfo=UTC)
MERCHANT_TABLES = [table for table in metadata.sorted_tables if placement(table).colocated_with == "merchant"]
PRIVILEGE_MISSING = "42501"


def new_entry(merchant_id: int, source_id: int, *legs: tuple[int, int]) -> NewEntry:
    return NewEntry(
        merchant_id=merchant_id,
        kind="order_paid",
        source_id=source_id,
        currency="EUR",
        occurred_at=AT,
        effective_on=AT.date(),
        legs=tuple(Leg(account, amount) for account, amount in legs or ((1020, 100), (2005, -100))),
    )


@pytest.fixture
async def market(db: Database) -> Database:
    await db.write(WORKER, "test", add_market, [1, 2, 3])
    return db


# --- what is no entry ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "legs", [((1020, 100), (2005, -99)), ((1020, 100),), ((1020, 0), (2005, 0)), ((1020, 1), (2005, -1), (4000, 0))]
)
def test_legs_that_do_not_balance_make_no_entry(legs: tuple[tuple[int, int], ...]) -> None:
    with pytest.raises(Invalid, match="order_paid"):
        new_entry(1, 1, *legs)


BROKEN: list[tuple[str, dict[str, list[int | None]]]] = [
    ("ck_entry_balanced", {"amounts": [100, -99]}),
    ("ck_entry_balanced", {"amounts": [0, 0]}),
    ("ck_entry_balanced", {"amounts": [100, None]}),
    ("ck_entry_balanced", {"amounts": [2**63 - 1, 2**63 - 1, 2], "accounts": [1] * 3, "dimensions": [0] * 3}),
    ("ck_entry_legs", {"amounts": [100, -60, -40]}),
    ("ck_entry_legs", {"accounts": [1020]}),
    ("ck_entry_legs", {"accounts": [], "dimensions": [], "amounts": []}),
    ("ck_entry_legs", {"dimensions": [0, 0, 0]}),
    ("ck_entry_accounts_named", {"accounts": [1020, None]}),
    ("ck_entry_dimensions_named", {"dimensions": [0, None]}),
]


async def test_the_database_itself_refuses_a_broken_entry(market: Database) -> None:
    row: dict[str, Any] = {
        "merchant_id": 1, "entry_no": 1, "kind": "order_paid", "source_id": 1, "entity_id": 1, "currency": "EUR",
        "occurred_at": AT, "effective_on": AT.date(), "prior_period": False, "accounts": [1020, 2005],
        "dimensions": [0, 0], "amounts": [100, -100], "posted_at": AT, "posted_by": "test",
    }  # fmt: skip
    for constraint, broken in BROKEN:
        with pytest.raises(IntegrityError, match=constraint):
            await market.write(WORKER, "test", Tx.execute, insert(entry), row | broken)
    await market.write(WORKER, "test", Tx.execute, insert(entry), row)  # whole, it is taken


async def test_a_fact_is_booked_once(market: Database) -> None:
    await market.write(WORKER, "test", ledger.post, [new_entry(1, 7)])
    with pytest.raises(IntegrityError, match="uq_entry"):
        await market.write(WORKER, "test", ledger.post, [new_entry(1, 8), new_entry(1, 7)])
    assert await market.write(WORKER, "test", ledger.post, [new_entry(2, 7), new_entry(1, 9)]) == [1, 2]
    with pytest.raises(Conflict, match="merchant 99 has no books"):
        await market.write(WORKER, "test", ledger.post, [new_entry(1, 10), new_entry(99, 1)])
    async with market.read(WORKER) as tx:
        assert [one.source_id for one in await ledger.list_entries(tx, 1)] == [9, 7]


# --- postings and rolls at the same time ---------------------------------------------------------------------------


async def test_sixteen_posters_to_one_merchant_leave_no_gap(market: Database) -> None:
    async def poster(number: int) -> None:
        for turn in range(5):
            source = 100 * number + turn
            await market.write(
                WORKER, "test", ledger.post, [new_entry(1, source), new_entry(1 + turn % 3, -source - 1)]
            )

    await asyncio.gather(*(poster(number) for number in range(16)))
    async with market.read(WORKER) as tx:
        rows = await tx.rows("SELECT merchant_id, entry_no FROM billing.entry ORDER BY 1, 2")
        heads = {row[0]: row[1] for row in await tx.rows("SELECT merchant_id, last_entry_no FROM billing.ledger_head")}
    assert len(rows) == 160
    for merchant in (1, 2, 3):
        assert [row.entry_no for row in rows if row.merchant_id == merchant] == list(range(1, heads[merchant] + 1))


async def test_a_roller_that_waited_does_not_roll_back_what_another_rolled(market: Database) -> None:
    """The waiting roller's statement began, and saw the head, before the entries were posted that the other rolled."""
    await market.write(WORKER, "test", ledger.post, [new_entry(2, 1)])
    holding, release = asyncio.Event(), asyncio.Event()

    async def hold_then_roll(tx: Tx) -> None:
        await tx.execute("SELECT FROM billing.ledger_roll WHERE merchant_id = 2 FOR UPDATE")
        holding.set()
        await release.wait()
        await roll.roll_forward(tx, [2])

    first = asyncio.create_task(market.write(WORKER, "A", hold_then_roll))
    await holding.wait()
    waiting = asyncio.create_task(market.write(WORKER, "B", roll.roll_forward, [2]))
    await wait_until_blocked(market)
    await market.write(WORKER, "test", ledger.post, [new_entry(2, 2), new_entry(2, 3)])
    release.set()
    await asyncio.gather(first, waiting)
    async with market.read(WORKER) as tx:
        assert await tx.scalar("SELECT rolled_no FROM billing.ledger_roll WHERE merchant_id = 2") == 3
        assert {b.account: b.balance_minor for b in await ledger.balances(tx, 2)} == {1020: 300, 2005: -300}


async def test_rolling_next_to_posting_counts_every_entry_once(market: Database) -> None:
    async def poster(merchant: int) -> None:
        for source in range(20):
            await market.write(WORKER, "test", ledger.post, [new_entry(merchant, source)])

    async def roller() -> None:
        for _ in range(12):
            await market.write(WORKER, "test", roll.roll_forward, [1, 2, 3])

    async def reader() -> None:
        for _ in range(12):
            async with market.read(WORKER) as tx:
                sums = await ledger.trial_balance(tx)
            assert sum(line.balance_minor for line in sums) == 0

    await asyncio.gather(*(poster(m) for m in (1, 2, 3)), roller(), roller(), reader())
    await market.write(WORKER, "test", roll.roll_forward, [1, 2, 3])
    async with market.read(WORKER) as tx:
        lines = await ledger.trial_balance(tx)
        assert await tx.scalar("SELECT sum(lines) FROM billing.account_day") == 2 * 60
    assert {line.account: (line.debit_minor, line.credit_minor) for line in lines} == {
        Account.PROCESSOR_CLEARING: (6000, 0),
        Account.PENDING: (0, 6000),
    }


# --- who may see and touch what ------------------------------------------------------------------------------------


async def test_no_role_changes_or_removes_what_is_append_only(market: Database) -> None:
    await market.write(WORKER, "test", ledger.post, [new_entry(1, 1)])
    scopes = [STAFF, WORKER, Scope(Role.MERCHANT, 1), Scope(Role.BUYER, 1), Scope(Role.PAYER, 1)]
    for scope, (table, column) in product(scopes, [("billing.entry", "posted_by"), ("core.audit", "actor")]):
        for statement in (f"UPDATE {table} SET {column} = 'x'", f"DELETE FROM {table}", f"TRUNCATE {table}"):
            with pytest.raises(DBAPIError) as refused:
                await market.write(scope, "test", Tx.execute, text(statement))
            assert sqlstate(refused.value) == PRIVILEGE_MISSING, (scope, statement)


async def test_row_security_is_forced_with_one_policy_per_role(db: Database) -> None:
    async with db.read(WORKER) as tx:
        secured = {
            row.name: row.secured
            for row in await tx.rows(
                """SELECT n.nspname || '.' || c.relname AS name, c.relrowsecurity AND c.relforcerowsecurity AS secured
                   FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace"""
            )
        }
        policies: dict[str, list[str]] = {}
        for row in await tx.rows(
            "SELECT schemaname || '.' || tablename AS name, unnest(roles)::text AS role FROM pg_policies"
        ):
            policies.setdefault(row.name, []).append(row.role)
    assert len(MERCHANT_TABLES) > 20
    for table in MERCHANT_TABLES:
        assert secured[qualified(table)], qualified(table)
        assert sorted(policies[qualified(table)]) == [Role.MERCHANT, Role.STAFF, Role.WORKER], qualified(table)
        assert table.primary_key.columns[0].name == "merchant_id", qualified(table)


async def test_a_merchant_may_read_its_own_tables_and_what_is_for_all_and_nothing_else(db: Database) -> None:
    own = {qualified(table) for table in MERCHANT_TABLES}
    for_all = {qualified(t) for t in metadata.sorted_tables if Role.MERCHANT in placement(t).readable_by}
    async with db.read(WORKER) as tx:
        for table in metadata.sorted_tables:
            name = qualified(table)
            granted = {
                right: await tx.scalar(
                    "SELECT has_table_privilege('app_merchant', :name, :right)", name=name, right=right
                )
                for right in ("SELECT", "INSERT", "UPDATE", "DELETE", "TRUNCATE")
            }
            readable = name in own | for_all | {"billing.contract", "incentives.public_promotion"}
            assert granted == {
                "SELECT": readable, "INSERT": False, "UPDATE": False, "DELETE": False, "TRUNCATE": False
            }, name  # fmt: skip


NOT_FOR_MERCHANTS = {
    "billing.ad_order_event",
    "billing.journal",
    "billing.payout_hold",
    "billing.period_block",
    "billing.rerating_line",
    "incentives.exposure",
    "metrics.merchant_span",
    "metrics.order_day",
}
"""What is about a merchant, and not for it to read."""


async def test_a_merchant_sees_its_own_rows_only(db: Database) -> None:
    """Every merchant table gets a row of merchants 1 and 2; keys and checks are put aside to make them."""
    async with db.engine.connect() as owner:
        await owner.execute(text("SET session_replication_role = replica"))
        for table in MERCHANT_TABLES:
            rows = await owner.execute(
                text("SELECT conname FROM pg_constraint WHERE contype = 'c' AND conrelid = CAST(:name AS regclass)"),
                {"name": qualified(table)},
            )
            for name in [row.conname for row in rows]:
                await owner.execute(text(f'ALTER TABLE {qualified(table)} DROP CONSTRAINT "{name}"'))
            for merchant in (1, 2):
                await owner.execute(insert(table), _any_row(table, merchant))
        await owner.execute(text("RESET session_replication_role"))
    names = [*map(qualified, MERCHANT_TABLES), "billing.posting"]
    for name in names:
        seen = {scope: await _merchants_seen(db, scope, name) for scope in (WORKER, STAFF)}
        assert seen == {WORKER: [1, 2], STAFF: [1, 2]}, name
        for merchant in (1, 2):
            own = [] if name in NOT_FOR_MERCHANTS else [merchant]
            assert await _merchants_seen(db, Scope(Role.MERCHANT, merchant), name) == own, name
        assert await _merchants_seen(db, Scope(Role.MERCHANT, 3), name) == [], name
        assert await _merchants_seen(db, Scope(Role.MERCHANT), name) == [], f"{name} without a tenant"


async def _merchants_seen(db: Database, scope: Scope, name: str) -> list[int]:
    async with db.read(scope) as tx:
        rows = await tx.rows(f"SELECT DISTINCT merchant_id FROM {name} ORDER BY merchant_id")
    return [row.merchant_id for row in rows]


_ANY: dict[type, Callable[[], Any]] = {
    int: lambda: 1,
    str: lambda: "x",
    bool: lambda: True,
    date: AT.date,
    datetime: lambda: AT,
    bytes: lambda: b"x",
    object: dict,  # JSON
}


def _any_row(table: Table, merchant_id: int) -> dict[str, Any]:
    known = {"merchant_id": merchant_id, "state": "final"}  # of its statements a merchant sees those that are final
    return {column.name: known[column.name] if column.name in known else _any_value(column) for column in table.columns}


def _any_value(column: Column[Any]) -> Any:
    item = getattr(column.type, "item_type", None)
    if item is not None:
        return [_ANY[item.python_type]()]
    return _ANY[column.type.python_type]()
