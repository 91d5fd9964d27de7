"""What the database itself keeps apart, whatever a program may ask it: rows of tenants, and who may write at all."""

from typing import Any

import pytest
from sqlalchemy import Table
from sqlalchemy.exc import DBAPIError

from marketplace.core.db import WORKER, Database, Role, Scope, sqlstate
from marketplace.core.security import APPEND_ONLY, CHANGEABLE, FORGETTABLE
from marketplace.core.tables import placement, qualified
from marketplace.tables import metadata
from tests.http.market import ALPHA, BETA

TABLES = metadata.sorted_tables
DENIED = "42501"
"""SQLSTATE insufficient_privilege."""

SECRETS = (
    "core.access_link", "core.half_sign_in", "core.identity", "core.link_token", "core.mail", "core.oidc_attempt",
    "core.notice", "core.notice_reader", "core.recovery_code", "core.second_factor",
    "core.api_key", "core.app_user", "core.audit", "core.idempotency_key", "core.policy", "core.request_window",
    "core.session", "core.webhook_delivery", "core.webhook_endpoint", "core.outbox", "billing.inbox_event",
    "billing.payment_command", "billing.processor_line", "billing.debtor_account", "billing.payout_file",
    "billing.bank_file", "billing.bank_file_part", "billing.bank_line", "billing.bank_mapping",
    "billing.bank_statement", "demand.buyer_ref",
    "demand.buyer_ref", "supply.lead", "supply.lead_event", "supply.lead_merge", "supply.touch", "supply.stage_event",
    "supply.stage_entry", "supply.attribution_share", "supply.channel", "supply.channel_cost", "supply.territory",
    "supply.visit", "supply.lead_site", "supply.lead_task", "supply.fair", "supply.attendee", "supply.agent",
    "supply.agent_plan", "supply.agent_commission", "supply.agent_movement", "supply.lead_credit", "supply.referral",
    "supply.referral_code", "supply.referral_programme", "supply.referral_reward",
    "supply.rep", "supply.lead_pool", "supply.funnel", "supply.lead_scoring", "supply.agent_person",
    "metrics.observation", "supply.course_answers", "supply.content_partner", "supply.content_piece",
    "supply.content_send", "supply.content_day",
)  # fmt: skip
"""What no tenant reads any of."""

EMPTY = {
    "billing.balance_snapshot", "billing.billing_window_history", "billing.exchange_revaluation",
    "billing.opening_line", "billing.parked_order", "billing.payer_back",
    "billing.payment_share",
    "billing.payout_carried", "billing.payout_due", "billing.payout_reserve", "billing.period_block",
}  # fmt: skip
"""Tables of merchants in which the busy market has nothing, or only of one of them."""
HIDDEN = {
    "billing.ad_order_event",
    "billing.journal",
    "billing.payout_hold",
    "billing.period_block",
    "billing.rerating_line",
    "billing.run_charge",
    "incentives.exposure",
    "metrics.merchant_span",
    "metrics.order_day",
}
"""What is about a merchant, and not for it to read, or not yet: what a run will charge is only previewed there."""


def owned_by(key: str) -> list[Table]:
    return [table for table in TABLES if placement(table).distributed_by == key]


async def owners(db: Database, scope: Scope, table: Table, key: str) -> set[int]:
    async with db.read(scope) as tx:
        return {row[0] for row in await tx.rows(f"SELECT DISTINCT {key} FROM {qualified(table)}")}


async def refused(db: Database, scope: Scope, statement: str) -> bool:
    """Whether the database denies the scope's role this, as a statement of its own transaction."""

    async def run(tx: Any) -> None:
        await tx.execute(statement)

    try:
        await db.write(scope, "nobody", run)
    except DBAPIError as fault:
        return sqlstate(fault) == DENIED
    return False


async def allowed(db: Database, scope: Scope, statements: list[str]) -> list[str]:
    return [statement for statement in statements if not await refused(db, scope, statement)]


async def buyers_of(db: Database) -> list[int]:
    async with db.read(WORKER) as tx:
        return [row.buyer_id for row in await tx.rows("SELECT buyer_id FROM demand.buyer ORDER BY buyer_ref")]


async def test_a_merchant_sees_its_own_rows_of_every_table(busy_db: Database) -> None:
    empty = set()
    for table in owned_by("merchant_id"):
        every = await owners(busy_db, WORKER, table, "merchant_id")
        if not {ALPHA, BETA} <= every:
            empty.add(qualified(table))
        for merchant_id in (ALPHA, BETA):
            seen = await owners(busy_db, Scope(Role.MERCHANT, merchant_id), table, "merchant_id")
            own = set() if qualified(table) in HIDDEN else {merchant_id} & every
            assert seen == own, qualified(table)
        assert await owners(busy_db, Scope(Role.MERCHANT), table, "merchant_id") == set(), qualified(table)
    assert empty == EMPTY


async def test_a_buyer_sees_its_own_rows_of_every_table(busy_db: Database) -> None:
    anne, ben = await buyers_of(busy_db)
    for table in owned_by("buyer_id"):
        assert await owners(busy_db, WORKER, table, "buyer_id") == {anne, ben}, qualified(table)
        for buyer_id in (anne, ben):
            seen = await owners(busy_db, Scope(Role.BUYER, buyer_id), table, "buyer_id")
            assert seen == {buyer_id}, qualified(table)
        assert await owners(busy_db, Scope(Role.BUYER), table, "buyer_id") == set(), qualified(table)


async def test_one_tenant_reads_no_table_of_another_kind_and_no_secret(busy_db: Database) -> None:
    anne, _ = await buyers_of(busy_db)
    merchant, buyer = Scope(Role.MERCHANT, ALPHA), Scope(Role.BUYER, anne)
    foreign = [(merchant, table) for table in owned_by("buyer_id")] + [
        (buyer, table) for table in owned_by("merchant_id")
    ]
    names = [(scope, qualified(table)) for scope, table in foreign]
    names += [(scope, name) for scope in (merchant, buyer) for name in SECRETS]
    assert not [(scope.role, name) for scope, name in names if not await refused(busy_db, scope, f"SELECT FROM {name}")]


@pytest.mark.parametrize("role", [Role.MERCHANT, Role.BUYER, Role.PAYER])
async def test_a_tenant_writes_nothing_at_all(busy_db: Database, role: Role) -> None:
    anne, _ = await buyers_of(busy_db)
    scope = Scope(role, ALPHA if role is Role.MERCHANT else anne)
    statements: list[str] = []
    for table in TABLES:
        name, column = qualified(table), next(iter(table.columns)).name
        statements += (
            f"INSERT INTO {name} SELECT * FROM {name} WHERE false",
            f"INSERT INTO {name} DEFAULT VALUES",
            f"UPDATE {name} SET {column} = {column} WHERE false",
            f"DELETE FROM {name} WHERE false",
            f"TRUNCATE {name}",
        )
    assert await allowed(busy_db, scope, statements) == []


@pytest.mark.parametrize("role", [Role.STAFF, Role.WORKER])
async def test_what_was_is_not_rewritten(busy_db: Database, role: Role) -> None:
    """Also not by the house's own roles, column by column."""
    statements = [f"TRUNCATE {qualified(table)}" for table in TABLES]
    for table in TABLES:
        name = qualified(table)
        if name in APPEND_ONLY or name in CHANGEABLE:
            statements += [] if name in FORGETTABLE else [f"DELETE FROM {name} WHERE false"]
            statements += [
                f"UPDATE {name} SET {column.name} = {column.name} WHERE false"
                for column in table.columns
                if column.name not in CHANGEABLE.get(name, ())
            ]
    assert await allowed(busy_db, Scope(role), statements) == []


async def test_the_check_would_notice_what_is_allowed(busy_db: Database) -> None:
    for statement in (
        "UPDATE billing.inbox_event SET state = state WHERE false",
        "DELETE FROM demand.cart WHERE false",
        "SELECT FROM core.api_key",
    ):
        assert not await refused(busy_db, WORKER, statement)
