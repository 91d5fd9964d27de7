"""What a page cannot wait for is shown as it was last checked, with its time, and checked anew by whom one asks."""

from datetime import timedelta
from pathlib import Path
from urllib.parse import quote

import msgspec
import pytest

from marketplace.consoles.finance_lists_queries import PAYMENT_BREAKS
from marketplace.core import last_checks
from marketplace.core.clock import FixedClock
from marketplace.core.db import STAFF, WORKER, Database, Tx
from marketplace.core.errors import Invalid
from marketplace.core.last_checks import JOB
from marketplace.flows.payments.reconcile_payments import MatchKind, list_payment_breaks
from marketplace.flows.proofs.check_again import check_again, payments_in, subjects_of
from marketplace.settings import Settings
from marketplace.worker import jobs_of
from tests.pages.conftest import MARKET_NOW, billed_market, plain
from tests.pages.forms import send
from tests.pages.test_deeds import browser_of

PAGES = {
    "/finance/proofs": ("/finance/proofs/check", "books"),
    "/finance/reconciliation": ("/finance/reconciliation/1/check", "payments:EUR"),
    "/finance/payouts/owed": ("/finance/payouts/owed/check", "owed"),
    "/finance/close?entity=1&month=2018-08": ("/finance/close/1/2018-08/check", "period:1/2018-08"),
}


async def waiting(tx: Tx) -> list[str]:
    return [row.subject for row in await tx.rows("SELECT convert_from(payload, 'UTF8') AS subject FROM core.job")]


async def test_a_page_shows_the_last_result_and_has_it_checked_anew(maintenance_url: str, tmp_path: Path) -> None:
    async with billed_market(maintenance_url) as db, browser_of(db, tmp_path, "finance") as finance:
        later = Database(db.url, FixedClock(MARKET_NOW + timedelta(hours=2)), pool_size=2)
        for page, (action, subject) in PAGES.items():
            shown = plain((await finance.get(page)).text)
            assert "Being checked" not in shown
            before = shown.partition("As of ")[2][:30]
            assert before, page
            assert (await send(finance, page, action)).status_code == 303
            working = (await finance.get(page)).text
            assert f'data-follow="/finance/checks/progress?subject={quote(subject)}"' in working
            async with db.read(WORKER) as tx:
                assert f'"{subject}"' in await waiting(tx)
                assert await last_checks.is_working(tx, subject)
            assert "event: progress" not in (await finance.get("/finance/checks/progress?subject=none")).text
            await jobs_of(Settings(home=tmp_path))[JOB].run(later, subject)
            shown = plain((await finance.get(page)).text)
            assert "Being checked" not in shown
            assert shown.partition("As of ")[2][:30] != before, page
        await later.close()


async def test_nothing_is_said_about_what_was_never_checked(maintenance_url: str, tmp_path: Path) -> None:
    async with billed_market(maintenance_url) as db, browser_of(db, tmp_path, "finance") as finance:
        await db.write(WORKER, "test", _forget)
        for page in ("/finance", *PAGES):
            assert "Not checked yet" in plain((await finance.get(page)).text), page
        await check_by_the_clock(db, tmp_path)
        for page in ("/finance", *PAGES):
            assert "Not checked yet" not in plain((await finance.get(page)).text), page
        with pytest.raises(Invalid):
            await check_again(db, "worker", "the weather")


async def check_by_the_clock(db: Database, home: Path) -> None:
    """As workers do: the clock's run asks for a job for each subject, so that one that fails holds up no other."""
    run = jobs_of(Settings(home=home))[JOB].run
    for _ in range(2):  # what waits already is not asked for again
        await run(db, None)
    async with db.read(WORKER) as tx:
        subjects = [msgspec.json.decode(one) for one in await waiting(tx)]
        assert sorted(subjects) == sorted(await subjects_of(tx))
    assert len(subjects) >= len(PAGES)
    for subject in reversed(subjects):
        await run(db, subject)


async def test_kept_breaks_are_the_breaks(market: Database) -> None:
    async with market.read(STAFF) as tx:
        for kind in set(MatchKind) - {MatchKind.MATCHED}:
            live = await list_payment_breaks(tx, kind, limit=200)
            kept = await tx.rows(f"{PAYMENT_BREAKS.query} ORDER BY order_ref", currency="EUR", kind=kind.value)
            assert [(row.order_ref, row.difference_minor) for row in kept] == [
                (each.order_ref, each.difference_minor) for each in live
            ]
        assert (await last_checks.last(tx, payments_in("USD"), object)).answer is None


async def _forget(tx: Tx) -> None:
    await tx.execute("DELETE FROM core.last_check")
