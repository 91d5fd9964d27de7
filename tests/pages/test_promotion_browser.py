"""Ops builds a promotion, sees what it would have cost, submits; another approves; it burns; its review appears."""

from datetime import date

import pytest
from playwright.async_api import Browser, Page

from incentives.campaigns.model import FunderPart, OnDay, Plan, Target
from incentives.lifecycle import Move
from incentives.rules.model import Schedule
from incentives.simulation import store as simulations
from marketplace.core.db import WORKER, Database, Tx
from marketplace.flows.demo.run_demo import PASSWORD
from marketplace.flows.promotions import plan_incentives as flow
from marketplace.flows.promotions.advance_incentives import advance_incentives
from marketplace.flows.promotions.grant_rewards import grant_rewards
from marketplace.flows.promotions.plan_incentives import DraftCampaign
from marketplace.flows.promotions.simulate_promotion import run_simulation
from tests.pages.conftest import CHROMIUM
from tests.pages.test_browser import DESK, looks_right
from tests.pages.test_deeds import two_people

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(CHROMIUM is None, reason="NO BROWSER TESTED: install chromium (apt-get install chromium)"),
]
PLAN = Plan(
    target=Target(metric="orders", value=100, by=date(2018, 10, 31)),
    budget_minor=100_000,
    funders=(FunderPart(funder="platform", amount_minor=100_000),),
    stops=(OnDay(on=date(2018, 10, 20)),),
    reviewer="admin",
    gains="merchants",
    loses="the margin",
)


async def approved_campaign(db: Database, name: str) -> int:
    await db.write(WORKER, "test", two_people)
    schedule = Schedule(zone="UTC", starts="2018-09-01", ends="2018-10-31")
    cmd = DraftCampaign(name=name, currency="EUR", schedule=schedule, plan=PLAN)
    made = await db.write(WORKER, "ops", flow.draft_campaign, cmd)
    for actor, move in (("ops", Move.SUBMIT), ("admin", Move.APPROVE), ("ops", Move.SCHEDULE)):
        await db.write(WORKER, actor, flow.move_campaign, made.campaign_id, move)
    return made.campaign_id


async def as_if_just_settled(tx: Tx) -> None:
    """The pass of rewards looks at the books from their beginning, whichever run comes first."""
    await tx.execute("DELETE FROM incentives.reward_cursor")


async def signed_in(browser: Browser, address: str, login: str, faults: list[str], *, script: bool) -> Page:
    context = await browser.new_context(
        java_script_enabled=script,
        locale="en-GB",
        viewport={"width": DESK["width"], "height": DESK["height"]},
        color_scheme="light" if script else "dark",
    )
    page = await context.new_page()
    page.on("console", lambda said: faults.append(said.text) if said.type in {"error", "warning"} else None)
    page.on("pageerror", lambda error: faults.append(str(error)))
    page.on("request", lambda sent: None if sent.url.startswith(address) else faults.append(sent.url))
    await page.goto(f"{address}/sign-in")
    await page.locator("input[name=login]:visible").fill(login)
    await page.locator("input[type=password]").fill(PASSWORD)
    await page.locator("button.primary").click()
    await page.wait_for_url(lambda url: "sign-in" not in url)
    return page


@pytest.mark.parametrize("script", [True, False])
async def test_from_an_idea_to_its_review(address: str, browser: Browser, market: Database, *, script: bool) -> None:
    campaign_id = await approved_campaign(market, f"autumn {script}")
    faults: list[str] = []
    ops = await signed_in(browser, address, "ops", faults, script=script)
    admin = await signed_in(browser, address, "admin", faults, script=script)
    await ops.goto(f"{address}/ops/campaigns/{campaign_id}/promotions/new?gives=once")
    await looks_right(ops)
    cost = ops.locator("#preview .figure")
    before = await cost.inner_text()
    award = ops.locator("input[name=award]")
    if script:
        async with ops.expect_response(lambda answer: answer.url.endswith("/promotions/preview")):
            await award.fill("40")
        await ops.wait_for_function("() => !document.getElementById('preview').hasAttribute('aria-busy')")
    else:
        await award.fill("40")
        await ops.get_by_role("button", name="Preview").click()
    after = await cost.inner_text()
    assert minor(after) == 2 * minor(before) > 0
    assert await ops.locator("input[name=award]").input_value() == "40"
    await ops.locator("input[name=name]").fill(f"forty {script}")
    await ops.get_by_role("button", name="Submit for approval").click()
    await ops.wait_for_url("**/ops/promotions/*")
    page = ops.url.partition("?")[0]
    promotion_id = int(page.rpartition("/")[2])
    await ops.get_by_role("button", name="Simulate").click()
    await ops.wait_for_url("**done=incentive_simulate**")
    async with market.read(WORKER) as tx:
        [asked] = await simulations.list_simulations(tx, promotion_id, limit=9, before=None)
    await run_simulation(market, "worker", asked.simulation_id)
    await admin.goto(page)
    await looks_right(admin)
    for field in await admin.locator("input[name^=because_]").all():
        await field.fill("we want to learn")
    await admin.get_by_role("button", name="Approve").click()
    await admin.wait_for_url("**done=incentive_approve**")
    await ops.goto(page)
    await ops.get_by_role("button", name="Schedule").click()
    await ops.wait_for_url("**done=incentive_schedule**")
    await advance_incentives(market, "worker")
    await ops.goto(page)
    assert await ops.locator("#burn .pairs").count() == 0
    await market.write(WORKER, "test", as_if_just_settled)
    await grant_rewards(market, "worker")
    if not script:
        await ops.goto(page)
    await ops.locator("#burn .pairs").wait_for()  # with a script the open page moves by itself
    await looks_right(ops)
    assert minor(await ops.locator("#burn .pairs dd").first.inner_text()) > 0
    await ops.get_by_role("link", name="Review", exact=True).click()
    await looks_right(ops)
    assert "Review" in await ops.locator("h1").inner_text()
    assert faults == []
    for each in (ops, admin):
        await each.context.close()


def minor(shown: str) -> int:
    """Cents of an amount as the page shows it."""
    return int("".join(each for each in shown if each.isdigit()))
