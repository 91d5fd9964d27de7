"""Promotions on pages without any script: built, previewed, simulated, approved by another person, burning, paused."""

import re
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path

import httpx
import pytest

from incentives.budgets.model import Owner
from incentives.lifecycle import State
from incentives.promotions import store as promotions
from incentives.rules.awards import ToBuyer
from incentives.rules.model import ListingPublished
from incentives.simulation import store as simulations
from marketplace.consoles.incentives_queries import burn_of
from marketplace.consoles.promotion_form import TEMPLATES
from marketplace.core.clock import FixedClock
from marketplace.core.db import WORKER, Database, Tx
from marketplace.flows.promotions.advance_incentives import advance_incentives
from marketplace.flows.promotions.grant_rewards import grant_rewards
from marketplace.flows.promotions.simulate_promotion import run_simulation
from marketplace.flows.promotions.vest_rewards import vest_rewards
from tests.billing.market import check_books
from tests.pages.conftest import billed_market, plain
from tests.pages.forms import form, send
from tests.pages.test_deeds import browser_of, two_people

CAMPAIGN = {
    "name": "autumn", "currency": "EUR", "zone": "UTC", "starts": "2018-09-01", "ends": "2018-10-31",
    "target_metric": "gmv", "target_value": "10000", "target_by": "2018-10-31", "budget": "500",
    "funders": "platform = 500", "stop_share": "90", "reviewer": "admin", "gains": "merchants", "loses": "the margin",
}  # fmt: skip


LISTED = "UPDATE supply.offer SET listed_at = :at, state = 'listed'"
MORE = {"top_up": "100", "reason": "it goes well"}


@pytest.fixture
async def fresh(maintenance_url: str) -> AsyncIterator[Database]:
    async with billed_market(maintenance_url) as db:
        await db.write(WORKER, "test", two_people)
        yield db


async def approved_campaign(maker: httpx.AsyncClient, checker: httpx.AsyncClient) -> str:
    made = await send(maker, "/ops/campaigns/new", "/ops/campaigns", **CAMPAIGN)
    assert made.status_code == 303, plain(made.text)
    page = made.headers["location"].partition("?")[0]
    for who, move in ((maker, "submit"), (checker, "approve"), (maker, "schedule")):
        answer = await send(who, page, f"{page}/moves/{move}")
        assert answer.status_code == 303, plain(answer.text)
    return str(page)


async def test_ops_builds_previews_submits_and_another_approves(fresh: Database, tmp_path: Path) -> None:
    async with browser_of(fresh, tmp_path, "ops") as maker, browser_of(fresh, tmp_path, "admin") as checker:
        campaign = await approved_campaign(maker, checker)
        new = f"{campaign}/promotions/new?gives=once"
        shown = await maker.get(new)
        assert shown.status_code == 200, plain(shown.text)
        assert "Would have gained" in plain(shown.text)
        typed = {"name": "weekly twenty", "threshold": "100", "award": "20", "budget": "200", "starts": "2018-09-01"}
        preview = await send(maker, new, f"{campaign}/promotions", **{**typed, "award": "twenty"})
        assert preview.status_code == 422
        assert "weekly twenty" in preview.text
        made = await send(maker, new, f"{campaign}/promotions", **typed, then="submit")
        assert made.status_code == 303, plain(made.text)
        page = made.headers["location"].partition("?")[0]
        refused = await send(checker, page, f"{page}/moves/approve")
        assert "has not been simulated" in plain(refused.text)
        asked = await send(maker, page, f"{page}/simulations")
        assert asked.status_code == 303, plain(asked.text)
        async with fresh.read(WORKER) as tx:
            [queued] = await simulations.list_simulations(tx, int(page.rpartition("/")[2]), limit=9, before=None)
        follow = f"{page}/simulations/{queued.simulation_id}/progress"
        assert f'data-follow="{follow}"' in (await maker.get(page)).text
        await run_simulation(fresh, "worker", queued.simulation_id)
        assert (await maker.get(follow)).text.split() == ["event:", "end", "data:", "done"]
        html = (await checker.get(page)).text
        warnings = re.findall(r'name="(because_\w+)"', html)
        assert warnings
        refused = await send(checker, page, f"{page}/moves/approve")
        assert refused.status_code == 422
        approved = await send(checker, page, f"{page}/moves/approve", **dict.fromkeys(warnings, "we want to learn"))
        assert approved.status_code == 303, plain(approved.text)
        assert "we want to learn" in plain((await maker.get(page)).text)
        assert (await send(maker, page, f"{page}/moves/schedule")).status_code == 303
        await advance_incentives(fresh, "worker")
        assert "Spent and promised €0.00" in plain((await maker.get(page)).text)
        await grant_rewards(fresh, "worker")
        while_live = (await maker.get(page)).text
        burned = plain(while_live)
        live = f"/ops/burn/promotion/{page.rpartition('/')[2]}/progress"
        assert f'data-live="{live}"' in while_live
        async with fresh.read(WORKER) as tx:
            state, told = await burn_of(tx, Owner.PROMOTION, int(page.rpartition("/")[2]))
        assert (state, told.spent_minor > 0) == (State.LIVE, True)
        assert re.search(r"Spent and promised €[1-9]", burned)
        more = await send(maker, page, page.replace("promotions/", "incentive-changes/promotion/"), **MORE)
        assert more.status_code == 303, plain(more.text)
        [decide] = re.findall(r'action="([^"]+/approved)"', (await checker.get(page)).text)
        assert (await send(maker, page, decide)).status_code == 403
        assert (await send(checker, page, decide)).status_code == 303
        assert "€300.00" in plain((await checker.get(page)).text)
        paused = await send(maker, page, f"{page}/moves/pause", reason="enough")
        assert paused.status_code == 303, plain(paused.text)
        assert "enough" in plain((await maker.get(page)).text)
        assert "data-live" not in (await maker.get(page)).text
        assert (await maker.get(live)).text.split() == ["event:", "end", "data:", "paused"]
    await check_books(fresh)
    assert isinstance(fresh.clock, FixedClock)
    for instant in ("2018-11-01", "2018-11-09", "2019-01-09"):
        fresh.clock.move_to(datetime.fromisoformat(f"{instant}T00:00:00+00:00"))
        await vest_rewards(fresh, "worker")
        await advance_incentives(fresh, "worker")
    async with browser_of(fresh, tmp_path, "ops") as maker, browser_of(fresh, tmp_path, "admin") as checker:
        written = {"decision": "change", "learned": "the budget was too small"}
        assert (await send(maker, f"{page}/review", f"{page}/review", **written)).status_code == 403
        closed = await send(checker, f"{page}/review", f"{page}/review", **written)
        assert closed.status_code == 303, plain(closed.text)
        assert "the budget was too small" in plain((await maker.get(f"{page}/review")).text)
        assert "reviewed" in plain((await maker.get(page)).text)


async def test_buyers_who_join_and_new_listings_are_built_from_templates_previewed_and_approved(
    fresh: Database, tmp_path: Path
) -> None:
    async with browser_of(fresh, tmp_path, "ops") as maker, browser_of(fresh, tmp_path, "admin") as checker:
        campaign = await approved_campaign(maker, checker)
        there = f"{campaign}/promotions"
        await fresh.write(WORKER, "test", Tx.execute, LISTED, {"at": datetime(2018, 8, 20, tzinfo=UTC)})
        shown = await maker.get(f"{there}/new?template=new_listing")
        assert re.search(r"[1-9]\d* new listings?", plain(shown.text))
        joined = await maker.get(f"{there}/new?template=joined_buyers")
        assert re.search(r"Would have gained", plain(joined.text))
        assert '<option value="from_opt_in" selected>yes, what they buy' in joined.text
        for template in TEMPLATES:
            begun = await maker.get(f"{there}/new?template={template}")
            assert begun.status_code == 200, plain(begun.text)
        for template in ("new_listing", "joined_buyers"):
            new = f"{there}/new?template={template}"
            filled = form((await maker.get(new)).text, there)
            alone = await maker.post(f"{there}/preview", data={**filled, "award": "7"}, headers={"X-Fragment": "1"})
            assert "Would have gained" in plain(alone.text)
            made = await send(maker, new, there, name=template, budget="200", starts="2018-09-01", then="submit")
            assert made.status_code == 303, plain(made.text)
            page = made.headers["location"].partition("?")[0]
            promotion_id = int(page.rpartition("/")[2])
            assert (await send(maker, page, f"{page}/simulations")).status_code == 303
            async with fresh.read(WORKER) as tx:
                [queued] = await simulations.list_simulations(tx, promotion_id, limit=9, before=None)
                terms = (await promotions.get_version(tx, promotion_id)).terms
            await run_simulation(fresh, "worker", queued.simulation_id)
            html = (await checker.get(page)).text
            warnings = re.findall(r'name="(because_\w+)"', html)
            approved = await send(checker, page, f"{page}/moves/approve", **dict.fromkeys(warnings, "we try it"))
            assert approved.status_code == 303, plain(approved.text)
            if template == "joined_buyers":
                assert terms.beneficiary == ToBuyer(opt_in="from_opt_in")
            else:
                assert terms.trigger == ListingPublished()


def headings(html: str) -> set[str]:
    """What the headings of the parts say of their fields."""
    return {each for said in re.findall(r"<summary>.*?<small[^>]*>(.*?)</small>", html) for each in said.split(" · ")}


async def test_a_draft_of_a_campaign_may_leave_out_by_when_and_says_that_its_budget_comes(
    fresh: Database, tmp_path: Path
) -> None:
    async with browser_of(fresh, tmp_path, "ops") as maker:
        new, there = "/ops/campaigns/new", "/ops/campaigns"
        wrong = await send(maker, new, there, **{**CAMPAIGN, "target_by": "soon", "stop_day": "never"})
        assert wrong.status_code == 422
        assert plain(wrong.text).count("must be a day, as 2026-01-31") >= 2
        assert "RFC3339" not in wrong.text
        made = await send(maker, new, there, **{**CAMPAIGN, "target_by": ""})
        assert made.status_code == 303, plain(made.text)
        page = made.headers["location"].partition("?")[0]
        words = plain((await maker.get(page)).text)
        assert "It has a budget, which opens when this is approved." in words
        assert "Nothing limits it" not in words
        refused = plain((await send(maker, page, f"{page}/moves/submit")).text)
        assert "name by when the target is to be reached" in refused
        assert (await maker.get(f"{page}/edit")).status_code == 200


async def test_what_is_wrong_is_said_at_every_field_at_once_and_nothing_typed_is_lost(
    fresh: Database, tmp_path: Path
) -> None:
    async with browser_of(fresh, tmp_path, "ops") as maker, browser_of(fresh, tmp_path, "admin") as checker:
        campaign = await approved_campaign(maker, checker)
        new, there = f"{campaign}/promotions/new?gives=ladder", f"{campaign}/promotions"
        wrong = {"name": "", "steps": "100 = 20\n300 = 5", "ends": "2018-08-01", "zone": "Mars/Base", "cap": "much"}
        page = await send(maker, new, there, **wrong, regions="SP, RJ")
        assert page.status_code == 422
        words = plain(page.text)
        for reason in ("is missing", "a ladder may not fall", "Mars/Base", "much"):
            assert reason in words
        assert 'value="SP, RJ"' in page.text
        assert "300 = 5" in page.text
        unknown = '{"is": "equals", "attribute": "order.mood", "value": 1}'
        page = await send(maker, new, there, name="n", starts="2018-09-01", event_json=unknown)
        assert "is no attribute" in plain(page.text)
        filled = form((await maker.get(new)).text, there)
        page = await maker.post(f"{there}/preview", data={**filled, "shape": "volume", "regions": "SP"})
        assert 'name="gives" value="volume"' in page.text
        assert 'value="SP"' in page.text
        said = headings(page.text)
        assert {"Held out for comparison, in %: 10", "Who gets it: the merchant"} <= said
        page = await maker.post(f"{there}/preview", data={**filled, "holdout": "0", "beneficiary": "buyer"})
        other = headings(page.text)
        assert "Who gets it: the buyer" in other
        assert not any("Held out" in each for each in other)
        page = await maker.post(f"{there}/preview", data={**filled, "beneficiary": "who?"})
        assert page.status_code == 200
        alone = await maker.post(f"{there}/preview", data={"gives": "fixed"}, headers={"X-Fragment": "preview"})
        assert "<html" not in alone.text
