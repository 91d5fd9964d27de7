"""What is approved is what was simulated, by somebody who has said why each of its warnings does not matter."""

from typing import Any

import pytest

from incentives.lifecycle import Move, State
from incentives.promotions import store as promotions
from incentives.promotions.model import Version, VersionState
from incentives.rules.awards import Once, Reward
from incentives.rules.model import CustomEvent, Measure
from marketplace.core.clock import FixedClock
from marketplace.core.db import WORKER, Database
from marketplace.core.errors import Conflict, Invalid
from marketplace.flows.promotions import plan_incentives as flow
from marketplace.flows.promotions.plan_incentives import NewVersion
from tests.incentives import market as m


async def in_review(db: Database, **changes: Any) -> int:
    await m.people(db)
    campaign = await m.move_campaign(db, await m.drafted_campaign(db), Move.SUBMIT, Move.APPROVE)
    drafted = await m.drafted(db, campaign, m.terms(**changes))
    return (await m.move(db, drafted, Move.SUBMIT)).promotion_id


async def approve(db: Database, promotion_id: int, **acknowledged: str) -> State:
    work = flow.move_promotion
    return (await db.write(WORKER, m.CHECKER, work, promotion_id, Move.APPROVE, "", acknowledged)).state


async def test_what_was_not_simulated_is_not_approved(db: Database) -> None:
    promotion_id = await in_review(db)
    with pytest.raises(Conflict, match="version 1 has not been simulated"):
        await approve(db, promotion_id, power="never mind", unsimulated="never mind")


async def test_each_warning_wants_a_reason_and_the_digest_stays_with_the_approval(db: Database) -> None:
    promotion_id = await in_review(db)
    await m.simulated(db, promotion_id)
    empty: dict[str, str] = {}
    for reasons in (empty, {"power": "  "}, {"deadweight": "another one"}):
        with pytest.raises(Invalid, match="power: no effect can be measured") as refused:
            await approve(db, promotion_id, **reasons)
        assert [each["pointer"] for each in refused.value.extra["errors"]] == ["/acknowledged/power"]
    assert await approve(db, promotion_id, power="we learn ", other="is not there") is State.APPROVED
    async with db.read(WORKER) as tx:
        [digest] = [row.digest for row in await tx.rows("SELECT digest FROM incentives.simulation")]
        version = await promotions.get_version(tx, promotion_id)
    assert version.simulation_digest == digest
    assert len(digest) == 64
    assert version.acknowledged == {"power": "we learn"}


async def test_another_version_wants_a_simulation_of_its_own(db: Database, clock: FixedClock) -> None:
    _, promotion = await m.live(db, clock)
    more = Reward(amount=Once(threshold=10_000, amount_minor=2_500))
    cmd = NewVersion(promotion_id=promotion.promotion_id, terms=m.terms(reward=more))
    await db.write(WORKER, m.MAKER, flow.add_version, cmd)

    async def decide(acknowledged: dict[str, str]) -> Version:
        work = flow.decide_version
        return await db.write(WORKER, m.CHECKER, work, promotion.promotion_id, 2, VersionState.APPROVED, acknowledged)

    with pytest.raises(Conflict, match="version 2 has not been simulated"):
        await decide(m.WARNED)
    await m.simulated(db, promotion.promotion_id)
    with pytest.raises(Invalid, match="power"):
        await decide({})
    assert (await decide(m.WARNED)).simulation_digest
    async with db.read(WORKER) as tx:
        first = await promotions.get_version(tx, promotion.promotion_id, 1)
    assert first.simulation_digest != (await m.newest(db, promotion)).simulation_digest


async def test_what_no_history_can_tell_is_approved_with_a_reason_only(db: Database) -> None:
    promotion_id = await in_review(db, trigger=CustomEvent(name="first listing"), measure=Measure(of="orders"))
    with pytest.raises(Invalid, match="unsimulated: only orders and listings are recorded"):
        await approve(db, promotion_id)
    assert await approve(db, promotion_id, unsimulated="a first listing bonus") is State.APPROVED
