"""A marketing funnel from files: every bad row is named, and the commands show what came of the good ones."""

from datetime import date
from pathlib import Path
from typing import Any

import pytest

from marketplace.core.db import WORKER, Database, Tx
from marketplace.core.errors import Invalid
from marketplace.flows.acquisition.import_funnel import DEALS, LEADS, import_funnel
from marketplace.flows.acquisition.show_funnel import ShowFunnel, trace_won
from supply.leads.model import Model
from tests.builders import Line, Order, add_market, add_orders
from tests.ops.commands import marketplace, printed

HEADERS = {LEADS.file: ",".join(LEADS.columns), DEALS.file: ",".join((*DEALS.columns, *DEALS.others))}
GOOD = {
    LEADS.file: ["q1,2018-02-01,page,social", "q2,2018-02-03,page,", "q3,2018-03-01,page,paid search"],
    DEALS.file: ["q1,seller1,2018-02-11 10:00:00,pet" + "," * len(DEALS.others)],
}


def folder_of(folder: Path, rows: dict[str, list[str]]) -> Path:
    folder.mkdir(exist_ok=True)
    for name, lines in rows.items():
        (folder / name).write_text("\n".join([HEADERS[name], *lines]) + "\n")
    return folder


async def test_every_bad_row_is_named_and_nothing_is_stored(db: Database, tmp_path: Path) -> None:
    others = "," * len(DEALS.others)
    rows = {
        LEADS.file: [
            *GOOD[LEADS.file],
            "q1,2018-02-01,page,social",
            "q4,2018-02-30,page,telepathy",
            ",2018-02-01,page,",
        ],
        DEALS.file: [*GOOD[DEALS.file], f"q9,seller1,soon,pet{others}", "q2,seller2"],
    }
    with pytest.raises(Invalid) as refusal:
        await import_funnel(db, "operator", folder_of(tmp_path, rows))
    named = {(each["file"], each["line"], each["reason"]) for each in refusal.value.extra["rejections"]}
    assert {(file, line) for file, line, _ in named} == {
        (LEADS.file, 5), (LEADS.file, 6), (LEADS.file, 7), (DEALS.file, 3), (DEALS.file, 4),
    }  # fmt: skip
    reasons = " | ".join(reason for *_, reason in sorted(named))
    for part in ("'q1' stands on line 2 already", "first_contact_date: '2018-02-30'", "'telepathy' is none of",
                 "'q9' is not in", "'seller1' stands on line 2 already", "won_date: 'soon'"):  # fmt: skip
        assert part in reasons
    async with db.read(WORKER) as tx:
        assert await tx.scalar("SELECT count(*) FROM supply.lead") == 0


async def test_longer_files_add_what_is_new(db: Database, tmp_path: Path) -> None:
    first = await import_funnel(db, "operator", folder_of(tmp_path, GOOD))
    assert (first.new_leads, first.new_won, first.unknown_merchants) == (3, 1, 1)
    longer = {
        LEADS.file: [*GOOD[LEADS.file], "q4,2018-04-01,page,email"],
        DEALS.file: [*GOOD[DEALS.file], "q2,seller2,2018-03-01 10:00:00,pet" + "," * len(DEALS.others)],
    }
    second = await import_funnel(db, "operator", folder_of(tmp_path, longer))
    assert (second.leads, second.won, second.new_leads, second.new_won) == (4, 2, 1, 1)


async def test_what_the_won_have_sold_is_of_those_asked_for(db: Database, tmp_path: Path) -> None:
    """Seller m1 sold goods of 1,234.50; of m2 there is an order that was cancelled, and so no sale."""
    await db.write(WORKER, "test", add_market, [1, 2])
    orders = [Order(merchant_id=each, order_id=each, lines=(Line(goods_minor=123_450),)) for each in (1, 2)]
    await db.write(WORKER, "test", add_orders, orders)

    async def cancel(tx: Tx) -> None:
        await tx.execute("UPDATE demand.merchant_order SET state = 'cancelled' WHERE merchant_id = 2")

    await db.write(WORKER, "test", cancel)
    others = "," * len(DEALS.others)
    deals = [f"q1,m1,2018-02-11 10:00:00,pet{others}", f"q3,m2,2018-03-11 10:00:00,pet{others}"]
    await import_funnel(db, "operator", folder_of(tmp_path, GOOD | {DEALS.file: deals}))
    async with db.read(WORKER) as tx:

        async def won(**asked: Any) -> list[tuple[Any, ...]]:
            found = await trace_won(tx, ShowFunnel(model=Model.PLATFORM, **asked))
            return [(each.channel, each.won, each.with_orders, each.without_orders, each.gmv_minor) for each in found]

        social = ("online.content.social", 1, 1, 0, {"EUR": 123_450})
        search: tuple[Any, ...] = ("online.ads.search", 1, 0, 1, {})
        assert await won() == [search, social]
        assert await won(channel="online.content") == [social]
        assert await won(from_on=date(2018, 2, 1), to_on=date(2018, 3, 1)) == [social]
        assert await won(from_on=date(2018, 3, 1)) == [search]
        with pytest.raises(Invalid, match="no channel"):
            await won(channel="nowhere")
    assert "1234.50 EUR" in printed("funnel", "show", home=tmp_path, MARKETPLACE_DATABASE_URL=db.url)


async def test_the_commands(db: Database, tmp_path: Path) -> None:
    settings = {"MARKETPLACE_DATABASE_URL": db.url}
    folder = str(folder_of(tmp_path / "funnel", GOOD))
    loaded = marketplace("import", "funnel", folder, "--as", "operator", home=tmp_path, **settings)
    assert (loaded.status, loaded.value["leads"], loaded.value["won"]) == (0, 3, 1)
    costs = tmp_path / "costs.csv"
    costs.write_text("ref,channel,campaign,day,kind,currency,amount\n1,online.ads,,2018-02-01,media,BRL,10.00\n")
    stored = marketplace("import", "costs", str(costs), "--as", "operator", home=tmp_path, **settings)
    assert stored.value == {"entries": 1, "stored": 1}
    shown = marketplace("funnel", "show", "--model", "platform", home=tmp_path, **settings)
    assert shown.status == 0
    assert [shown.value["funnel"]["won"][name] for name in ("entered", "done", "median_days_done")] == [3, 1, 10]
    assert {each["channel"] for each in shown.value["funnel"]["channels"]} == {
        "online.content.social", "online.ads.search", "unattributed.blank",
    }  # fmt: skip
    assert shown.value["won"][0]["without_orders"] == 1
    refused = marketplace("funnel", "show", "--channel", "nowhere", home=tmp_path, **settings)
    assert (refused.status, "no channel" in refused.refusal) == (1, True)
