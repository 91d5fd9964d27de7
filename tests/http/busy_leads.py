"""Acquisition in the busy market: a territory with reps, a pool, leads in every state, touches, stages and costs."""

from typing import Any

import httpx

from marketplace.core import users
from marketplace.core.db import WORKER, Database
from tests.http.market import ALPHA, send

_LEADS = 12
_FORM = {"model": "platform", "channel": "online.form", "city": "Bonn", "region": "NRW"}
_COSTS = "ref,channel,campaign,day,kind,currency,amount\nb-1,online.form,spring,2018-08-01,media,EUR,100.00\n"


async def acquire(db: Database, ops: httpx.AsyncClient) -> None:
    """Over HTTP where the API can."""
    manager = await db.write(WORKER, "test", users.create_user, "the manager", "Manager", ["sales_manager"])
    area = (await _done(ops, "/territories", {"name": "Rhineland", "manager": manager.login}))["territory_id"]
    await _done(ops, f"/territories/{area}/areas", {"region": "NRW"})
    for number in range(10):
        login = "the rep" if number == 9 else f"spare rep {number}"
        await db.write(WORKER, "test", users.create_user, login, login, ["sales_rep"])
    rep = (await _done(ops, "/reps", {"login": "the rep", "territory_id": area}))["user_id"]
    pool = (await _done(ops, "/lead-pools", {"name": "Rhine", "territory_id": area}))["pool_id"]
    criterion = {"part": "fit", "field": "region", "any_of": ["NRW"], "points": 60}
    await _done(ops, "/lead-scorings", {"criteria": [criterion], "fit_min": 50, "engagement_min": 0})
    await _done(ops, "/channel-costs", {"content": _COSTS})
    await _done(ops, "/leads", {**_FORM, "company": "The survivor", "phone": "0228 123456"})
    for number in range(_LEADS):
        await _done(ops, "/leads", {**_FORM, "company": f"Shop of {number}", "pool_id": pool})
    for number in range(_LEADS):
        await _done(ops, "/leads", {**_FORM, "company": f"Stall of {number}"})
    won = (await _done(ops, f"/lead-pools/{pool}/claim", {"rep_id": rep}))["lead_id"]
    for step in ({"move": "contact"}, {"move": "sign", "reason": "contract 7", "merchant_id": ALPHA}):
        await _done(ops, f"/leads/{won}/moves", step)
    await _done(ops, f"/leads/{won}/stages", {"stage": "first_order", "evidence": "order 1"})
    twin = (await _done(ops, "/leads", {**_FORM, "company": "A twin"}))["lead"]["lead_id"]
    await _done(ops, f"/leads/{twin}/merge", {"into": won, "reason": "the same"})


async def _done(client: httpx.AsyncClient, path: str, body: Any) -> Any:
    answer = await send(client, path, body)
    assert answer.is_success, (path, answer.text)
    return answer.json()
