"""What a promotion has changed is checked by the clock from when it counts until it is reviewed."""

from marketplace.core import last_checks
from marketplace.core.clock import FixedClock
from marketplace.core.db import WORKER, Database
from marketplace.flows.proofs.check_again import check_all, review_of
from tests.billing.market import MAKER, prepare
from tests.incentives import market as m


async def test_a_draft_whose_days_are_here_is_not_looked_back_on(db: Database, clock: FixedClock) -> None:
    await db.write(WORKER, MAKER, prepare, [])
    campaign, promotion = await m.live(db, clock)
    draft = await m.drafted(db, campaign, m.terms(name="never approved"))
    await check_all(db, "worker")
    async with db.read(WORKER) as tx:
        checked = [await last_checks.last(tx, review_of(one.promotion_id), object) for one in (promotion, draft)]
    assert [each.answer is not None for each in checked] == [True, False]
