"""What waits for a second person is listed where those who decide are: finance in one console, ops in the other."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from billing.matching.model import Rules
from incentives.lifecycle import Move
from incentives.rules.model import Schedule
from marketplace.consoles.approvals import DECIDED, Kind, deeds_of
from marketplace.core.db import STAFF, WORKER, Database
from marketplace.core.errors import Conflict
from marketplace.flows.bank.match_by_hand import propose_rules
from marketplace.flows.promotions import plan_incentives as plans
from marketplace.flows.promotions.plan_incentives import DraftCampaign
from tests.pages.conftest import billed_market, plain
from tests.pages.forms import send
from tests.pages.test_deeds import browser_of, two_people
from tests.pages.test_promotion_browser import PLAN


@pytest.fixture
async def fresh(maintenance_url: str) -> AsyncIterator[Database]:
    """A billed market of its own: these tests change it."""
    async with billed_market(maintenance_url) as db:
        yield db


async def _propose(db: Database) -> int:
    schedule = Schedule(zone="UTC", starts="2018-09-01", ends="2018-10-31")
    cmd = DraftCampaign(name="autumn", currency="EUR", schedule=schedule, plan=PLAN)
    made = await db.write(WORKER, "finance", plans.draft_campaign, cmd)
    await db.write(WORKER, "finance", plans.move_campaign, made.campaign_id, Move.SUBMIT)
    await db.write(WORKER, "finance", propose_rules, Rules(window_days=3))
    return made.campaign_id


async def test_ops_approves_what_is_ops_and_finance_what_is_finances(fresh: Database, tmp_path: Path) -> None:
    await fresh.write(WORKER, "test", two_people)
    campaign_id = await _propose(fresh)
    campaign, rules = f"campaign/0/{campaign_id}/approve", "match_rules/0/1/approve"
    async with browser_of(fresh, tmp_path, "ops") as ops, browser_of(fresh, tmp_path, "admin") as admin:
        listed = (await ops.get("/ops/approvals")).text
        assert campaign in listed
        assert rules not in listed
        approved = await send(ops, "/ops/approvals", f"/ops/approvals/{campaign}")
        assert approved.headers["location"] == "/ops/approvals?done=approved", plain(approved.text)
        assert (await ops.get("/finance/approvals")).status_code == 403
        html = (await admin.get("/finance/approvals")).text
        assert "Rules of matching" in plain(html)
        assert (await send(admin, "/finance/approvals", f"/finance/approvals/{rules}")).status_code == 303
        assert "Nothing waits" in (await admin.get("/finance/approvals")).text
    async with fresh.read(STAFF) as tx:
        assert await tx.scalar("SELECT approved_by FROM billing.match_rules") == "admin"
        assert await tx.scalar("SELECT state FROM incentives.campaign") == "approved"


def test_a_kind_with_a_page_of_its_own_is_refused_here_by_name() -> None:
    elsewhere = [kind for kind in Kind if kind not in DECIDED]
    assert Kind.PERIOD_BREAK in elsewhere
    for kind in elsewhere:
        with pytest.raises(Conflict, match=f"a {kind} is decided on its own page"):
            deeds_of(kind)
