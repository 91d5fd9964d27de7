"""What runs is ended at another time or gets more budget, on pages: one person proposes it, another decides."""

from collections.abc import Mapping
from functools import partial
from typing import Any

from litestar import Response, post
from litestar.di import NamedDependency
from litestar.params import FromPath

from incentives.budgets.model import Owner
from incentives.changes.model import ChangeState, EndOn, TopUp
from incentives.lifecycle import Move
from marketplace.consoles.campaigns import show_campaign
from marketplace.consoles.deeds import Refused, amount, carry_out, done, number, text
from marketplace.consoles.layout import PathId
from marketplace.consoles.promotions import show_promotion
from marketplace.core.db import Database, Tx
from marketplace.flows.promotions.change_incentives import ProposeChange, decide_change, propose_change
from marketplace.web.auth import ActorRequest
from marketplace.web.guards import check_approver


@post("/incentive-changes/{owner:str}/{owner_id:int}")
async def change(
    request: ActorRequest, db: NamedDependency[Database], owner: FromPath[Owner], owner_id: PathId
) -> Response[Any]:
    """Propose another end, or more budget, for what was approved."""
    back = f"/ops/{owner}s/{owner_id}"

    async def work(tx: Tx, typed: Mapping[str, str]) -> str:
        reason = text(typed, "reason", most=500, least=1)
        edit: EndOn | TopUp
        if "top_up" not in typed:
            edit = EndOn(ends=text(typed, "new_end", most=16, least=1))
        else:
            budget_id, _, currency = text(typed, "budget_id", most=40, least=1).partition(":")
            edit = TopUp(
                budget_id=number({"budget_id": budget_id}, "budget_id"),
                amount_minor=amount(typed, "top_up", currency, least=1),
            )
        await propose_change(tx, ProposeChange(owner=owner, owner_id=owner_id, edit=edit, reason=reason))
        return done(back, "incentive_change")

    return await carry_out(request, db, work, again=partial(_owner_again, request, db, owner, owner_id))


@post("/incentive-changes/{owner:str}/{owner_id:int}/{change_id:int}/{decision:str}")
async def decide(
    request: ActorRequest,
    db: NamedDependency[Database],
    owner: FromPath[Owner],
    owner_id: PathId,
    change_id: PathId,
    decision: FromPath[ChangeState],
) -> Response[Any]:
    """Make what another person has proposed, or refuse it."""

    async def work(tx: Tx, typed: Mapping[str, str]) -> str:
        del typed
        check_approver(request.user.roles, f"move: to {Move.APPROVE}")
        await decide_change(tx, change_id, decision)
        return done(f"/ops/{owner}s/{owner_id}", f"incentive_change_{decision}")

    return await carry_out(request, db, work, again=partial(_owner_again, request, db, owner, owner_id))


async def _owner_again(
    request: ActorRequest, db: Database, owner: Owner, owner_id: int, refused: Refused
) -> Response[str]:
    if owner is Owner.CAMPAIGN:
        return await show_campaign(request, db, owner_id, refused)
    return await show_promotion(request, db, owner_id, refused)


PAGES = [change, decide]
