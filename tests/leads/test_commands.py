"""The commands that show by what and by whom merchants are won, as JSON and as tables."""

from pathlib import Path

from marketplace.core.clock import FixedClock
from marketplace.core.db import WORKER, Database
from marketplace.flows.acquisition import attend_fairs as fairs
from supply.leads.events.model import FairKind
from supply.leads.model import CostKind
from tests.conftest import NOW
from tests.leads.market import bring
from tests.leads.test_sales import sold
from tests.ops.commands import marketplace, printed


async def test_channels_territories_pools_and_fairs(db: Database, clock: FixedClock, tmp_path: Path) -> None:
    """As tests of sales have it: the tour has cost 900.00 with Rita's commission, for one merchant."""
    clock.move_to(NOW)
    org = await sold(db)
    await bring(db, "Waits", pool_id=org.pool.pool_id)
    new = fairs.NewFair(
        code="expo", name="Expo", kind=FairKind.CONFERENCE, starts_on=NOW.date(), ends_on=NOW.date(), place="Bonn"
    )
    fair = await db.write(WORKER, "greta", fairs.make_fair, new)
    cost = fairs.NewCost(
        fair_id=fair.fair_id, ref="e-1", kind=CostKind.EVENT, spent_on=NOW.date(), currency="EUR",
        amount_minor=9_000,
    )  # fmt: skip
    await db.write(WORKER, "greta", fairs.add_cost, cost)
    settings = {"MARKETPLACE_DATABASE_URL": db.url}

    tree = marketplace("channels", "tree", home=tmp_path, **settings).value
    leads = {each["channel"]["code"]: (each["level"], each["leads"]) for each in tree}
    assert (leads["online"], leads["online.ads"], leads["offline.field"]) == ((0, 0), (1, 1), (1, 2))
    days = ("--from", "2018-09-01", "--to", "2018-10-01", "--currency", "EUR")
    weighed = marketplace("channels", "economics", "--by", "campaign", *days, home=tmp_path, **settings).value
    tour = {each["channel"]: each for each in weighed["channels"]}["tour"]
    assert (tour["spent_minor"], tour["activated_ppm"], tour["cac_loaded_minor"]) == (90_000, 1_000_000, 90_000)
    assert "900.00" in printed("channels", "economics", "--by", "campaign", *days, home=tmp_path, **settings)
    areas = marketplace("territories", "list", home=tmp_path, **settings).value
    assert [(each["name"], each["level"], each["manager"]) for each in areas] == [
        ("all", 0, "max"), ("north", 1, "nina"), ("south", 1, None),
    ]  # fmt: skip
    assert [(rep["login"], rep["held"], rep["won"]) for rep in areas[1]["reps"]] == [("rita", 1, 1), ("rolf", 0, 0)]
    [pool] = marketplace("pools", "list", home=tmp_path, **settings).value
    assert (pool["pool"]["name"], pool["territory"], pool["waiting"]) == ("northern", "north", 1)
    dealing = ("pools", "deal", str(org.pool.pool_id), "--count", "5", "--as", "operator")
    assert len(marketplace(*dealing, home=tmp_path, **settings).value["leads"]) == 1
    assert "Expo" in printed("fairs", "list", home=tmp_path, **settings)
    report = marketplace("fairs", "show", str(fair.fair_id), "--currency", "EUR", home=tmp_path, **settings).value
    assert (report["spent_minor"], report["met"], report["cost_per_deal_minor"]) == (9_000, 0, None)
    refused = marketplace("fairs", "show", "1", home=tmp_path, **settings)
    assert (refused.status, "there is no fair 1" in refused.refusal) == (1, True)
