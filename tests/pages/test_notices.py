"""Events become notices for those whom they concern, in the console and by mail; and nobody else sees them."""

import re

import httpx
import pytest

from marketplace.core import outbox, users
from marketplace.core.db import WORKER, Database, Tx
from marketplace.core.people.senders import Message
from marketplace.core.webhooks.topics import TOPICS
from marketplace.flows.people.notify_people import RULES
from marketplace.flows.people.send_mails import send_mails
from marketplace.worker import DELIVERIES
from tests.pages.conftest import MINE, SignIn, plain
from tests.pages.forms import send
from tests.pages.test_pages import PAGES, Page


async def happened(db: Database, topic: str, payload: dict[str, int], merchant_id: int | None = None) -> None:
    """An event that the worker has dispatched."""

    async def emit(tx: Tx) -> None:
        await outbox.emit(tx, topic, payload, merchant_id=merchant_id)

    await db.write(WORKER, "test", emit)
    while await db.write(WORKER, "worker", outbox.dispatch, DELIVERIES, 100):
        pass


async def unread(browser: httpx.AsyncClient) -> int:
    """What the shell of a page says."""
    found = re.search(r"(\d+) new", plain((await browser.get("/account")).text))
    return int(found[1]) if found else 0


async def mailed(db: Database) -> list[Message]:
    """What is waiting to be sent by mail."""
    sent: list[Message] = []

    async def keep(message: Message) -> None:
        sent.append(message)

    await send_mails(db, "worker", keep, "https://market.test")
    return sent


def test_every_notice_is_of_a_topic_and_leads_to_a_page() -> None:
    assert RULES.keys() <= TOPICS.keys()
    for rule in RULES.values():
        prefix = "/merchant" if rule.audience == "merchant" else ""
        assert f"GET {prefix}{rule.path}" in PAGES, rule


async def test_a_notice_reaches_those_whom_it_concerns(sign_in: SignIn, market: Database) -> None:
    await market.write(WORKER, "test", users.set_email, "merchant", "owner@shop.test")
    await mailed(market)
    await happened(market, "billing.payout_confirmed.v1", {"payout_id": 77}, MINE)
    await happened(market, "billing.run_finalised.v1", {"run_id": 1})
    await happened(market, "billing.orders_settled.v1", {"orders": 1})
    owner, finance, ops = await sign_in("merchant"), await sign_in("finance"), await sign_in("ops")
    assert await unread(owner)
    assert await unread(finance)
    html = (await owner.get("/notices")).text
    assert Page(html).faults == []
    assert '<a href="/merchant/payouts/77">The bank has paid a payout</a>' in html
    assert "billing run" not in html
    assert "A billing run is final" in (await finance.get("/notices")).text
    for browser in (finance, ops, await sign_in("other")):
        assert "payouts/77" not in (await browser.get("/notices")).text
    assert (await (await sign_in("cashier")).get("/notices")).status_code == 403
    [message] = await mailed(market)
    assert message.recipient == "owner@shop.test"
    assert "The bank has paid a payout" in message.text
    assert "https://market.test/merchant/payouts/77" in message.text

    assert "new" in plain(html).partition("The bank has paid a payout")[2].split()[:1]
    assert await unread(owner) == 0, "what was opened is new no more"
    assert "new" not in plain((await owner.get("/notices")).text).split()
    assert (await send(owner, "/notices", "/notices/mails")).status_code == 303
    await happened(market, "billing.payout_returned.v1", {"payout_id": 78}, MINE)
    assert "A payout has come back" in (await owner.get("/notices")).text
    assert await mailed(market) == []
    assert (await send(owner, "/notices", "/notices/mails")).status_code == 303
    await happened(market, "supply.merchant_moved.v1", {}, MINE)
    assert len(await mailed(market)) == 1


@pytest.mark.parametrize("login", ["merchant", "finance", "ops"])
async def test_the_menu_leads_to_the_notices(sign_in: SignIn, login: str) -> None:
    assert 'href="/notices"' in (await (await sign_in(login)).get("/account")).text
