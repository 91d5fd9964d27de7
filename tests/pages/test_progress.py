"""Long work on pages: its events while it goes on, the bar, and what there is without a script."""

from functools import partial

from litestar.response import ServerSentEventMessage

from marketplace.consoles.finance_queries import run_progress
from marketplace.consoles.progress import follow
from marketplace.core import work
from marketplace.core.db import WORKER, Database, Tx
from tests.pages.conftest import SignIn
from tests.pages.test_pages import Page


async def _at_work(tx: Tx, state: str) -> int:
    """The newest run as it is while two buckets of it are still to be done."""
    batch_id = await work.plan(tx, "billing preview", {}, [{}, {}])
    run_id = int(await tx.scalar("SELECT max(run_id) FROM billing.billing_run"))
    change = "UPDATE billing.billing_run SET state = :state, batch_id = :batch WHERE run_id = :run"
    await tx.execute(change, {"state": state, "batch": batch_id, "run": run_id})
    return run_id


async def _finish_one(tx: Tx) -> None:
    await tx.execute(
        """
        UPDATE core.work_item SET state = 'done' WHERE (batch_id, item_no) IN
            (SELECT batch_id, item_no FROM core.work_item WHERE state = 'todo' ORDER BY 1, 2 LIMIT 1)
        """
    )


async def test_a_run_is_followed_until_it_has_ended(sign_in: SignIn, market: Database) -> None:
    run_id = await market.write(WORKER, "test", _at_work, "finalising")
    browser = await sign_in("finance")
    page = (await browser.get(f"/finance/runs/{run_id}")).text
    assert Page(page).faults == []
    assert f'data-follow="/finance/runs/{run_id}/progress"' in page
    assert '<noscript><meta http-equiv="refresh"' in page

    def said(message: ServerSentEventMessage) -> tuple[str | None, object]:
        return message.event, message.data

    events = follow(market, partial(run_progress, run_id=run_id), pause_s=0)
    wanted = '{"state":"finalising","done":%d,"total":2,"working":true}'
    assert said(await anext(events)) == ("progress", wanted % 0)
    await market.write(WORKER, "test", _finish_one)
    assert said(await anext(events)) == ("progress", wanted % 1)
    await market.write(WORKER, "test", _finish_one)
    assert said(await anext(events)) == ("end", "finalising")
    assert [said(event) async for event in events] == []

    answer = await browser.get(f"/finance/runs/{run_id}/progress")
    assert answer.headers["content-type"].startswith("text/event-stream")
    assert answer.text.split() == ["event:", "end", "data:", "finalising"]
    assert "data-follow" not in (await browser.get(f"/finance/runs/{run_id}")).text
    assert (await browser.get("/finance/runs/999/progress")).status_code == 404
    assert (await (await sign_in("merchant")).get(f"/finance/runs/{run_id}/progress")).status_code == 403


async def test_a_file_is_followed_while_it_is_read(sign_in: SignIn, market: Database) -> None:
    async def arrive(tx: Tx) -> int:
        file_id = int(await tx.scalar("SELECT coalesce(max(file_id), 0) + 1 FROM billing.bank_file"))
        await tx.execute(
            """
            INSERT INTO billing.bank_file (file_id, content_hash, name, size_bytes, state, lines, stored_lines,
                received_at, received_by, moved_at)
            VALUES (:file, :digest, 'long.xml', 9, 'storing', 1000, 250, :now, 'test', :now)
            """,
            {"file": file_id, "digest": b"0" * 32, "now": tx.now},
        )
        return file_id

    file_id = await market.write(WORKER, "test", arrive)
    browser = await sign_in("finance")
    page = (await browser.get("/finance/files")).text
    assert f'value="250" max="1000" data-follow="/finance/files/{file_id}/progress"' in page
    assert Page(page).faults == []

    async def read(tx: Tx) -> None:
        done = "UPDATE billing.bank_file SET state = 'read', stored_lines = lines WHERE file_id = :file"
        await tx.execute(done, {"file": file_id})

    await market.write(WORKER, "test", read)
    answer = await browser.get(f"/finance/files/{file_id}/progress")
    assert answer.text.split() == ["event:", "end", "data:", "read"]
    assert "data-follow" not in (await browser.get("/finance/files")).text
    assert (await browser.get("/finance/files/999999/progress")).status_code == 404
