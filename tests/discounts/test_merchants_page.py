"""What a merchant reads of a promotion before it joins it: who gets it, what it bears itself, and until when."""

from pathlib import Path

from incentives.rules.awards import Credit, Fixed, Reward, ToMerchant
from incentives.rules.model import ByMerchant, ByPlatform, OrderSettled
from marketplace.core import users
from marketplace.core.clock import FixedClock
from marketplace.core.db import WORKER, Database
from tests.discounts.market import market, off, sold
from tests.discounts.test_rebates import look
from tests.http.conftest import PASSWORD, make_client, running
from tests.pages.conftest import plain
from tests.placing.market import ALPHA


async def _page(db: Database, home: Path) -> str:
    await db.write(
        WORKER, "test", users.create_user, "owner", "Owner", ["merchant_owner"], merchant_id=ALPHA, password=PASSWORD
    )
    async with running(db, home) as app, make_client(app) as browser:
        await browser.post("/sign-in", data={"login": "owner", "password": PASSWORD, "next": "/"})
        return plain((await browser.get("/merchant/promotions")).text)


async def test_a_merchant_reads_what_it_bears_before_it_joins(db: Database, clock: FixedClock, tmp_path: Path) -> None:
    """The schedule ends before the first of October: the thirtieth of September is its last day."""
    await market(db, clock, off(100_000, ByPlatform(weight=2), ByMerchant(weight=1)), joined=False)
    page = await _page(db, tmp_path)
    assert "Your buyers get: 10.0% of what you sell" in page
    assert "You bear 33.3% of it." in page
    assert "Sep 30, 2018" in page
    assert "the whole time" not in page


async def test_a_merchant_reads_which_promotion_has_granted_what(
    db: Database, clock: FixedClock, tmp_path: Path
) -> None:
    bonus = Reward(amount=Fixed(amount_minor=500), form=Credit())
    await market(db, clock, off(name="sales bonus", trigger=OrderSettled(), beneficiary=ToMerchant(), reward=bonus))
    await sold(db)
    await look(db)
    assert "sales bonus" in (await _page(db, tmp_path)).partition("Granted")[2]
