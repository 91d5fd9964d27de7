"""Campaigns and promotions of the busy market: some live, one with everything proposed that can be, and grants of
merchants and buyers under them.
"""

from typing import Any

import httpx
import msgspec
from sqlalchemy import insert, text

from incentives.discounts import store as discounts
from incentives.discounts.codes import store as codes
from incentives.discounts.codes.store import Code
from incentives.discounts.model import Back, Discount
from incentives.discounts.tables import order_discount
from incentives.experiments.store import Exposure, expose
from incentives.grants import store as grants
from incentives.grants.model import Contribution, Grant, GrantState, Progress, Voucher
from incentives.grants.vouchers import store as vouchers
from incentives.promotions.joins import store as joins
from incentives.rules.parts import Role
from marketplace.core.db import WORKER, Database, Tx
from marketplace.flows.promotions.advance_incentives import advance_incentives
from marketplace.flows.promotions.grant_rewards import grant_rewards
from tests.http.market import ALPHA, BETA, send
from tests.incentives.market import WARNED, simulated

SCHEDULE = {"zone": "UTC", "starts": "2018-09-01", "ends": "2018-12-31"}
PLAN = {
    "target": {"metric": "orders", "value": 500, "by": "2018-12-31"}, "budget_minor": 50_000,
    "funders": [{"funder": "platform", "amount_minor": 50_000}],
    "stops": [{"when": "spent_share", "share_ppm": 900_000}],
    "reviewer": "somebody of ops", "gains": "merchants", "loses": "the margin",
}  # fmt: skip
CAMPAIGN = {"currency": "EUR", "schedule": SCHEDULE, "plan": PLAN}
TERMS: dict[str, Any] = {
    "currency": "EUR", "trigger": {"on": "order.settled"}, "window": {"over": "calendar", "period": "week"},
    "reward": {"amount": {"gives": "once", "threshold": 10_000, "amount_minor": 2_000}},
    "beneficiary": {"to": "merchant"}, "schedule": SCHEDULE,
    "budgets": [{"per": "promotion", "limit_minor": 9_000, "currency": "EUR"}],
}  # fmt: skip
FIVE_OFF: dict[str, Any] = {
    "currency": "EUR", "trigger": {"on": "order.placed"}, "window": {"over": "event"},
    "qualify": {"event": {"is": "equals", "attribute": "order.code", "value": "once:five"}},
    "reward": {"amount": {"gives": "fixed", "amount_minor": 5}, "form": {"as": "discount"}},
    "beneficiary": {"to": "buyer"}, "schedule": SCHEDULE,
}  # fmt: skip
TRAINED: dict[str, Any] = {
    "currency": "EUR", "trigger": {"on": "custom", "name": "training"}, "window": {"over": "event"},
    "measure": {"of": "orders"}, "reward": {"amount": {"gives": "fixed", "amount_minor": 300}},
    "beneficiary": {"to": "merchant"}, "schedule": SCHEDULE,
}  # fmt: skip
JOINED = {"opt_in": "from_opt_in"}
OF_ALPHA = {"event": {"is": "equals", "attribute": "merchant.id", "value": ALPHA}}


async def promote(
    db: Database, ops: httpx.AsyncClient, approver: httpx.AsyncClient, owners: dict[int, httpx.AsyncClient]
) -> None:
    """Over HTTP where the API can."""
    campaign = await _approved(ops, approver, "/incentive-campaigns", {"name": "autumn", **CAMPAIGN})
    of = campaign["campaign_id"]
    joined = await _promotion(db, ops, approver, of, {"name": "weekly twenty", **TERMS, "qualify": JOINED})
    await _promotion(db, ops, approver, of, {"name": "for one only", **TERMS, "qualify": {**JOINED, **OF_ALPHA}})
    await _promotion(db, ops, approver, of, {"name": "five off", **FIVE_OFF})
    asking = {**TERMS, "name": "buyers' weekly twenty", "beneficiary": {"to": "buyer", **JOINED}}
    asked = await _promotion(db, ops, approver, of, asking)
    await _promotion(db, ops, approver, of, {"name": "who is trained", **TRAINED})
    await advance_incentives(db, "worker")
    for merchant_id in owners:
        deed = {"event_id": "deed", "name": "training", "currency": "EUR"}
        await _done(ops, f"/merchants/{merchant_id}/incentive-events", deed)
    for merchant_id, owner in owners.items():
        await _done(owner, f"/merchants/{merchant_id}/promotions/{joined}/opt-in")
    [budget] = (await ops.get("/api/v1/budgets", params={"owner_id": joined})).json()["items"]
    await _done(ops, f"/promotions/{joined}/simulations", {"from_on": "2018-05-01", "to_on": "2018-05-31"})
    for number in range(6):
        edit = {"to": "top_up", "budget_id": budget["budget_id"], "amount_minor": 100 + number}
        await _done(
            ops, "/incentive-changes", {"owner": "promotion", "owner_id": joined, "edit": edit, "reason": "more"}
        )
        more = {"amount": {"gives": "once", "threshold": 10_000, "amount_minor": 2_001 + number}}
        wanted = {"name": "weekly twenty", **TERMS, "qualify": JOINED, "reward": more}
        await _done(ops, f"/promotions/{joined}/versions", {"terms": wanted})
        await simulated(db, joined)
    for number in range(6):
        draft = await _done(ops, "/incentive-campaigns", {"name": f"draft {number}", **CAMPAIGN})
        body = {"campaign_id": draft["campaign_id"], "terms": {"name": f"idea {number}", **TERMS}}
        await _done(ops, "/promotions", body)
    await db.write(WORKER, "test", _grant, joined, of)
    await db.write(WORKER, "test", _join, asked)
    await db.write(WORKER, "test", _expose, joined)
    await grant_rewards(db, "worker")


async def _approved(ops: httpx.AsyncClient, approver: httpx.AsyncClient, path: str, body: object) -> Any:
    made = await _done(ops, path, body)
    of = f"{path}/{made['campaign_id']}/moves"
    await _done(ops, of, {"move": "submit"})
    await _done(approver, of, {"move": "approve"})
    return await _done(ops, of, {"move": "schedule"})


async def _promotion(
    db: Database, ops: httpx.AsyncClient, approver: httpx.AsyncClient, campaign_id: int, terms: object
) -> int:
    made = await _done(ops, "/promotions", {"campaign_id": campaign_id, "terms": terms})
    promotion_id: int = made["promotion_id"]
    of = f"/promotions/{promotion_id}/moves"
    await _done(ops, of, {"move": "submit"})
    await simulated(db, promotion_id)
    await _done(approver, of, {"move": "approve", "acknowledged": WARNED})
    await _done(ops, of, {"move": "schedule"})
    return promotion_id


async def _join(tx: Tx, promotion_id: int) -> None:
    for row in await tx.rows(text("SELECT buyer_id FROM demand.buyer")):
        await joins.join(tx, "buyer", row.buyer_id, promotion_id)


async def _expose(tx: Tx, promotion_id: int) -> None:
    """Somebody is held out, somebody is not."""
    shared: Any = {"promotion_id": promotion_id, "version_no": 1, "at": tx.now}
    arms = {ALPHA: "treated", BETA: ""}
    await expose(tx, [Exposure(merchant_id=n, unit=str(n), arm=arm, **shared) for n, arm in arms.items()])


async def _grant(tx: Tx, promotion_id: int, campaign_id: int) -> None:
    """Something of each kind for both merchants and both buyers."""
    buyers = [row.buyer_id for row in await tx.rows(text("SELECT buyer_id FROM demand.buyer ORDER BY 1"))]
    parties: list[tuple[Role, int]] = [("merchant", each) for each in (ALPHA, BETA)]
    parties += [("buyer", each) for each in buyers]
    for number, (role, party_id) in enumerate(parties):
        key: Any = {"party_id": party_id, "promotion_id": promotion_id}
        window = Progress(**key, span="w", starts_at=tx.now, ends_at=None, grants=1)
        await grants.save_progress(tx, role, [window])
        event = Contribution(**key, event_id="e", span="w", version_no=1, promised=1, settled=1, at=tx.now)
        await grants.save_contributions(tx, role, [event])
        grant = Grant(
            **key, span="w", grant_no=1, grant_id=number + 1, campaign_id=campaign_id, version_no=1, form="credit",
            currency="EUR", amount_minor=5, funders=("platform",), funder_minor=(5,), state=GrantState.VOID,
        )  # fmt: skip
        await grants.add_grants(tx, role, [grant])
        voucher = Voucher(
            **key, voucher_id=number + 1, grant_id=number + 1, code=f"V-{number}", currency="EUR", amount_minor=5,
            minimum_minor=0, issued_at=tx.now, expires_at=tx.now.replace(year=2019),
        )  # fmt: skip
        await vouchers.issue(tx, role, [voucher])
    for number, merchant_id in enumerate((ALPHA, BETA)):
        await _discount(tx, promotion_id, campaign_id, merchant_id, number, buyers[0])
    await codes.issue(tx, [_code(tx, promotion_id, number) for number in range(6)])


async def _discount(tx: Tx, promotion_id: int, campaign_id: int, merchant_id: int, number: int, buyer_id: int) -> None:
    """Something that was to be taken off an order; a refund that took it back was cancelled."""
    of = Discount(
        merchant_id=merchant_id, order_id=number + 1, grant_id=number + 100, buyer_id=buyer_id,
        promotion_id=promotion_id, campaign_id=campaign_id, version_no=1, name="five off", currency="EUR",
        state="released", amount_minor=5, funders=("platform",), contracts=(0,), funder_minor=(5,),
        funder_back_minor=(0,), line_nos=(1,), line_minor=(5,), own_minor=(0,), borne_back_minor=(0,),
        own_back_minor=(0,),
    )  # fmt: skip
    await tx.execute(insert(order_discount), msgspec.to_builtins(of))
    back = Back(discount=of, borne={1: 5}, own={}, funder_minor=(5,))
    for undone in (False, True):
        await discounts.add_back(tx, number + 1, back, undone=undone)


def _code(tx: Tx, promotion_id: int, number: int) -> Code:
    return Code(
        code=f"CODE-{number}", promotion_id=promotion_id, unlocks="once:five", buyer_id=None,
        expires_at=tx.now.replace(year=2019), made_at=tx.now, made_by="ops",
    )  # fmt: skip


async def _done(client: httpx.AsyncClient, path: str, body: object = None) -> Any:
    answer = await send(client, path, body)
    assert answer.is_success, (path, answer.text)
    return answer.json()
