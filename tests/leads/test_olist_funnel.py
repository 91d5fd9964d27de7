"""The Olist marketing funnel: our figures against those that DuckDB computes from the same files."""

import os
from pathlib import Path
from typing import Any

import duckdb
import pytest

from marketplace.core.db import WORKER, Database
from marketplace.flows.acquisition.import_funnel import ORIGINS, FunnelLoaded, import_funnel
from marketplace.flows.acquisition.show_funnel import ShowFunnel, show_funnel, trace_won
from marketplace.flows.imports.import_olist import import_olist
from supply.leads.model import Model

pytestmark = pytest.mark.real_data


@pytest.fixture
def olist() -> Path:
    data = os.environ.get("MARKETPLACE_DATA")
    if not data:
        pytest.skip("MARKETPLACE_DATA is not set: the figures of the real Olist funnel are NOT checked")
    return Path(data) / "olist"


LEADS = """
    CREATE VIEW leads AS
    SELECT coalesce(m.origin, '') AS origin, m.first_contact_date AS asked_on, d.won_date AS won_at, d.seller_id,
           least(m.first_contact_date, d.won_date::date) AS began_on,
           date_diff('day', least(m.first_contact_date, d.won_date::date), d.won_date::date) AS days
    FROM read_csv('{folder}/olist_marketing_qualified_leads_dataset.csv', types = {{'origin': 'VARCHAR'}}) m
    LEFT JOIN '{folder}/olist_closed_deals_dataset.csv' d USING (mql_id)
"""
"""One lead was won two days before it is said to have been contacted: it began on the day it was won."""

SALES = """
    CREATE VIEW sales AS
    SELECT i.seller_id, min(o.order_purchase_timestamp::date) AS first_on, sum(round(i.price * 100)::bigint) AS gmv
    FROM '{folder}/olist_order_items_dataset.csv' i JOIN '{folder}/olist_orders_dataset.csv' o USING (order_id)
    WHERE o.order_status NOT IN ('canceled', 'unavailable')
    GROUP BY i.seller_id
"""
"""An order that was cancelled is no sale, as it is no first order of the funnel."""


def oracle(folder: Path) -> duckdb.DuckDBPyConnection:
    connection = duckdb.connect()
    connection.execute(LEADS.format(folder=folder))
    connection.execute(SALES.format(folder=folder))
    return connection


def by_key(connection: duckdb.DuckDBPyConnection, key: str) -> dict[Any, tuple[Any, ...]]:
    rows = connection.execute(
        f"""
        SELECT {key}, count(*), count(won_at), round(1000000 * count(won_at) / count(*))::bigint, median(days),
               count(*) FILTER (WHERE days <= 30)
        FROM leads GROUP BY 1
        """
    ).fetchall()
    return {row[0]: tuple(row[1:]) for row in rows}


async def test_the_funnel_is_what_duckdb_finds(db: Database, olist: Path) -> None:
    await import_olist(db, "operator", olist)
    assert await import_funnel(db, "operator", olist) == FunnelLoaded(
        leads=8_000, won=842, new_leads=8_000, new_won=842, merchants=259, unknown_merchants=583
    )
    async with db.read(WORKER) as tx:
        found = await show_funnel(tx, ShowFunnel(model=Model.PLATFORM))
        soon = await show_funnel(tx, ShowFunnel(model=Model.PLATFORM, window_days=30))
        traced = await trace_won(tx, ShowFunnel(model=Model.PLATFORM))
    assert (found.won.entered, found.won.done, found.won.conversion_ppm) == (8_000, 842, 105_250)
    assert (found.won.median_days_done, found.won.median_days) == (14, None)
    with oracle(olist) as connection:
        origins, months = by_key(connection, "origin"), by_key(connection, "date_trunc('month', began_on)::date")
        sold = connection.execute(
            """
            SELECT origin, count(*), count(first_on), median(date_diff('day', won_at::date, first_on)), sum(gmv)
            FROM leads LEFT JOIN sales USING (seller_id) WHERE won_at IS NOT NULL GROUP BY 1
            """
        ).fetchall()
    codes = {ORIGINS[origin]: figures for origin, figures in origins.items()}
    assert len(codes) == len(origins) == 11
    for all_of, keys in ((soon.channels, codes), (soon.months, months)):
        assert {each.channel or each.month for each in all_of} == set(keys)
    for one, in_time in zip([*found.channels, *found.months], [*soon.channels, *soon.months], strict=True):
        key: Any = one.channel or one.month
        expected = (codes | months)[key]
        ours = one.figures
        assert (
            ours.entered, ours.done, ours.conversion_ppm, ours.median_days_done, in_time.figures.converted
        ) == expected, key  # fmt: skip
    assert {
        each.channel: (each.won, each.with_orders, each.median_days, each.gmv_minor.get("BRL")) for each in traced
    } == {ORIGINS[row[0]]: (row[1], row[2], row[3], row[4]) for row in sold}
    assert sum(each.without_orders for each in traced) == 584  # 583 not here, one with nothing but a cancelled order
    assert sum(each.gmv_minor.get("BRL", 0) for each in traced) == 17_036_188


async def test_again_changes_nothing_and_finds_who_came_since(db: Database, olist: Path) -> None:
    first = await import_funnel(db, "operator", olist)
    assert (first.merchants, first.unknown_merchants) == (0, 842)
    await import_olist(db, "operator", olist)
    again = await import_funnel(db, "operator", olist)
    assert (again.new_leads, again.new_won, again.merchants) == (0, 0, 259)
    async with db.read(WORKER) as tx:
        before = await tx.rows("SELECT * FROM supply.stage_event ORDER BY event_id")
        orders = await tx.scalar("SELECT count(*) FROM supply.stage_event WHERE stage = 'first_order'")
    assert await import_funnel(db, "operator", olist) == again
    async with db.read(WORKER) as tx:
        assert await tx.rows("SELECT * FROM supply.stage_event ORDER BY event_id") == before
    assert orders == 258  # of the 259, one has no delivered order
