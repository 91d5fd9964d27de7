"""What a merchant buys and has to do, on pages without a script; and what the house does for it."""

import httpx
import pytest

from marketplace.core.db import STAFF, Database
from supply.products.hardware import store as hardware
from supply.products.hardware.model import HardwareState, WorkState
from supply.products.model import Means
from supply.products.services import store as services
from supply.products.services.model import AgreementState
from supply.products.subscriptions import store as subscriptions
from supply.products.subscriptions.model import SubscriptionState
from tests.billing.market import check_books
from tests.pages.conftest import MINE, SignIn, plain
from tests.pages.forms import send
from tests.pages.test_pages import Page
from tests.pages.work import a_merchant_buys

PRODUCTS, TASKS = "/merchant/products", "/merchant/tasks"


@pytest.fixture(scope="module", autouse=True)
async def bought(market: Database) -> None:
    await a_merchant_buys(market)


async def press(browser: httpx.AsyncClient, page: str, action: str, **typed: str) -> None:
    answer = await send(browser, page, action, **typed)
    assert answer.status_code == 303, plain(answer.text)
    shown = await browser.get(answer.headers["location"])
    assert shown.status_code == 200
    assert Page(shown.text).faults == []


async def test_a_merchant_decides_on_what_it_buys(sign_in: SignIn, market: Database) -> None:
    owner = await sign_in("merchant")
    words = plain((await owner.get(TASKS)).text)
    assert "Decide on a quote of €250.00" in words
    assert "Decide on a service: Care" in words
    async with market.read(STAFF) as tx:
        [trial] = await subscriptions.list_subscriptions(tx, merchant_id=MINE, limit=9)
        quoted, _ = await hardware.list_orders(tx, merchant_id=MINE, limit=9)
        [care] = await services.list_agreements(tx, merchant_id=MINE, limit=9)
    at = f"{PRODUCTS}/subscriptions/{trial.subscription_id}"
    await press(owner, PRODUCTS, f"{at}/agree", pays_by="netting")
    quote = f"{PRODUCTS}/hardware/{quoted.order_id}/accept"
    assert (await send(owner, PRODUCTS, quote, pays_by="gold")).status_code == 422
    await press(owner, PRODUCTS, quote, pays_by="transfer")
    await press(owner, PRODUCTS, f"{PRODUCTS}/services/{care.agreement_id}/accept", pays_by="transfer")
    async with market.read(STAFF) as tx:
        trial = await subscriptions.get_subscription(tx, MINE, trial.subscription_id)
        assert (trial.state, trial.pays_by) == (SubscriptionState.TRIALING, Means.NETTING)
        assert (await hardware.get_order(tx, MINE, quoted.order_id)).state is HardwareState.ACCEPTED
        assert (await services.get_agreement(tx, MINE, care.agreement_id)).state is AgreementState.ACTIVE
    assert "Decide on" not in plain((await owner.get(TASKS)).text)
    assert (await (await sign_in("cashier")).get(PRODUCTS)).status_code == 403
    assert "Till" not in plain((await (await sign_in("other")).get(PRODUCTS)).text.partition("On offer")[0])
    await check_books(market)


async def test_the_checklist_is_attested_by_the_one_and_verified_by_the_other(
    sign_in: SignIn, market: Database
) -> None:
    owner, ops = await sign_in("merchant"), await sign_in("ops")
    house = f"/books/{MINE}/tasks"
    await press(owner, TASKS, f"{TASKS}/identity_document/attest", note="the <passport>")
    assert "the &lt;passport&gt;" in (await ops.get(house)).text
    assert (await owner.post(f"{TASKS}/identity_document/verify", data={"form_key": "by-myself"})).status_code == 403
    assert (await ops.post(f"{house}/identity_document/attest", data={"form_key": "for-others"})).status_code == 403
    await press(ops, house, f"{house}/identity_document/verify")
    assert (await send(ops, house, f"{house}/terms/waive", reason="")).status_code == 422
    await press(ops, house, f"{house}/terms/waive", reason="signed on paper")
    words = plain((await owner.get(TASKS)).text)
    assert "verified the <passport>".replace("<", "&lt;").replace(">", "&gt;") in words
    assert "waived signed on paper" in words


async def test_ops_suspends_a_merchant_and_lets_it_sell_again(sign_in: SignIn) -> None:
    ops = await sign_in("ops")
    house, moves = f"/books/{MINE}/tasks", f"/books/{MINE}/moves"
    await press(ops, house, f"{moves}/suspend", reason="no answer")
    assert "suspended" in plain((await ops.get(house)).text)
    await press(ops, house, f"{moves}/reinstate", reason="they answered")


async def test_ops_works_off_tasks_and_appointments(sign_in: SignIn, market: Database) -> None:
    ops = await sign_in("ops")
    async with market.read(STAFF) as tx:
        [task] = await subscriptions.list_tasks(tx, limit=9, state="open", owner="ops")
        [work] = await hardware.list_work(tx, merchant_id=MINE, limit=9)
    at = f"/ops/tasks/{MINE}/{task.task_id}"
    await press(ops, "/ops/tasks", f"{at}/change", owner="admin", due_on="2018-09-10")
    assert "Till: in use" not in (await ops.get("/ops/tasks?owner=ops")).text
    await press(ops, "/ops/tasks", f"{at}/done", outcome="they stay")
    assert "they stay" in (await ops.get("/ops/tasks?state=done")).text
    at = f"/ops/service/{MINE}/{work.work_order_id}"
    assert (await send(ops, "/ops/service", f"{at}/appoint", at="soon")).status_code == 422
    await press(ops, "/ops/service", f"{at}/appoint", at="2018-09-05T09:30")
    assert "Sep 5, 2018" in (await (await sign_in("merchant")).get(TASKS)).text
    await press(ops, "/ops/service", f"{at}/finish", on="2018-09-03", evidence="signed by Ann")
    async with market.read(STAFF) as tx:
        done = await hardware.get_work(tx, MINE, work.work_order_id)
    assert (done.state, done.evidence) == (WorkState.DONE, "signed by Ann")


async def test_what_follows_from_facts_is_ticked_by_nobody(sign_in: SignIn) -> None:
    ops = await sign_in("ops")
    answer = await ops.post(f"/books/{MINE}/tasks/bank_account/verify", data={"form_key": "computed-1"})
    assert answer.status_code == 409
    assert "nobody ticks it" in answer.text
