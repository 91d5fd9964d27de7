"""A month on a Citus cluster: the same figures as on one server, and the bulk statements run whole on the workers."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from typing import Any

import pytest
from sqlalchemy import event

from billing.runs.model import period_named
from marketplace.core.db import WORKER, Database
from marketplace.flows.commission.apply_contracts import apply_file
from marketplace.flows.commission.settle_orders import settle_through
from marketplace.flows.demo.demo_market import demo_contracts, load_demo_market, make_market
from marketplace.flows.proofs.verify_books import verify_books
from marketplace.flows.runs import run_billing
from tests.conftest import NOW, connect

pytestmark = pytest.mark.citus

ACTOR = "operator"
FIGURES = {
    "entries": "SELECT merchant_id, entry_no, kind, effective_on, accounts, amounts FROM billing.entry ORDER BY 1, 2",
    "commission": "SELECT * FROM billing.commission_line ORDER BY merchant_id, entry_no, contract_id",
    "months": "SELECT * FROM billing.commission_month ORDER BY merchant_id, month, contract_id",
    "days": "SELECT * FROM billing.account_day ORDER BY 1, 2, 3, 4, 5",
    "statements": "SELECT merchant_id, orders, goods_minor, refund_minor, commission_minor, vat_minor, payout_minor,"
    " opening_minor, closing_minor, state FROM billing.statement ORDER BY merchant_id, from_on, state",
    "windows": "SELECT merchant_id, charge, from_on, to_on, follows_on FROM billing.billing_window ORDER BY 1, 2, 3",
    "heads": "SELECT merchant_id, last_entry_no, closed_through FROM billing.ledger_head ORDER BY 1",
}


class Watch:
    """The INSERT … SELECT statements of which Citus moved the rows through the coordinator or between workers."""

    def __init__(self) -> None:
        self.moved: list[str] = []
        self._heard = False

    def on_message(self, _: Any, message: Any) -> None:
        self._heard = self._heard or "INSERT ... SELECT" in message.message

    def on_connect(self, dbapi_connection: Any, _: Any) -> None:
        dbapi_connection.driver_connection.add_log_listener(self.on_message)

    def on_executed(self, connection: Any, cursor: Any, statement: str, *_: Any) -> None:
        if self._heard:
            self.moved.append(" ".join(statement.split()))
        self._heard = False


@contextmanager
def watched(db: Database) -> Iterator[Watch]:
    """Listen to what the coordinator says of how it ran each statement, on connections made from now on."""
    watch = Watch()
    engine = db.engine.sync_engine
    event.listen(engine, "connect", watch.on_connect)
    event.listen(engine, "after_cursor_execute", watch.on_executed)
    yield watch
    event.remove(engine, "connect", watch.on_connect)
    event.remove(engine, "after_cursor_execute", watch.on_executed)


async def figures(db: Database) -> dict[str, list[tuple[Any, ...]]]:
    async with db.read(WORKER) as tx:
        return {name: [tuple(row) for row in await tx.rows(query)] for name, query in FIGURES.items()}


async def bill(db: Database, *, contracts_first: bool) -> None:
    """Settle a small market and finalise its first month; reverse it and finalise it again."""
    market = make_market(NOW, orders=600, merchants=30)
    if contracts_first:
        await apply_file(db, ACTOR, demo_contracts(market).encode())
    await load_demo_market(db, ACTOR, market)
    if not contracts_first:  # then they are frozen at settlement
        await apply_file(db, ACTOR, demo_contracts(market).encode())
    await settle_through(db, ACTOR, market.last_on)
    async with db.read(WORKER) as tx:
        first: date = await tx.scalar("SELECT min(effective_on) FROM billing.commission_line")
    for again in (False, True):
        run = (await run_billing.run_period(db, ACTOR, period_named(f"{first:%Y-%m}"))).run
        await run_billing.approve_run(db, ACTOR, run.run_id)
        await run_billing.finalise_run(db, ACTOR, run.run_id)
        if not again:
            await run_billing.reverse_run(db, ACTOR, run.run_id)


@pytest.mark.parametrize("contracts_first", [True, False])
async def test_a_month_is_the_same_as_on_one_server_and_runs_on_the_workers(
    db: Database, citus_db: Database, contracts_first: bool
) -> None:
    await bill(db, contracts_first=contracts_first)
    connection = await connect(citus_db.url)
    await connection.execute(f'ALTER DATABASE "{citus_db.engine.url.database}" SET client_min_messages = debug1')
    await connection.close()
    await citus_db.disconnect()
    with watched(citus_db) as watch:
        await bill(citus_db, contracts_first=contracts_first)
    for name, here in (await figures(db)).items():
        assert here, name
        assert (await figures(citus_db))[name] == here, name
    assert (await verify_books(citus_db)).ok
    moved = [query for query in watch.moved if "load_" not in query]  # rows of an import come from outside
    assert watch.moved, "the coordinator's messages were not heard"
    assert {query.split("(")[0].strip() for query in moved} == {
        "INSERT INTO billing.contract_merchant"  # from reference tables, once per contract applied
    }
