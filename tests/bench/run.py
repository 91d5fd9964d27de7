"""How long a billing run takes against one bare GROUP BY over the entries that it bills."""

from typing import Any

from billing.runs.model import period_named
from marketplace.core.db import WORKER, Database
from marketplace.flows.commission.settle_orders import settle_through
from marketplace.flows.proofs.verify_books import verify_books
from marketplace.flows.runs import draft_run, run_billing
from marketplace.flows.steering.roll_metrics import roll_metrics
from tests.bench.market import LAST_DAY, build_market
from tests.bench.scratch import ACTOR, Stopwatch, as_owner, ask_owner, at_most, main, median_ms, note, scratch_database

_GROUP_BY = """
SELECT merchant_id, account, sum(amount) FROM billing.entry, unnest(accounts, amounts) AS leg (account, amount)
GROUP BY 1, 2
"""

# The market was made beside the program: its figures are told of it, or the proofs would miss its orders there.
_CHANGED = "INSERT INTO demand.order_change (change_id, merchant_id) SELECT 0, merchant_id FROM supply.merchant"


async def measure(entries: int, merchants: int) -> dict[str, Any]:
    """Half of the entries are orders paid, half the same orders settled; all of one month."""
    async with scratch_database() as db:
        await build_market(db, merchants=merchants, orders=entries // 2, exponent=0.7)
        await settle_through(db, ACTOR, LAST_DAY)
        stored = await ask_owner(db, "SELECT count(*) FROM billing.entry")
        note(f"{stored} entries are there")
        bare = await median_ms(3, lambda: _bare(db)) / 1000
        steps: dict[str, float] = {}
        watch = Stopwatch()
        run = (await run_billing.run_period(db, ACTOR, period_named(f"{LAST_DAY:%Y-%m}"))).run
        steps["preview"] = watch.seconds
        await run_billing.approve_run(db, ACTOR, run.run_id)
        done = await run_billing.finalise_run(db, ACTOR, run.run_id)
        whole = watch.seconds
        steps["approve_and_finalise"] = round(whole - steps["preview"], 3)
        note(f"run in {whole} s, GROUP BY in {bare} s")
        await as_owner(db, _CHANGED)
        await roll_metrics(db, ACTOR)
        watch = Stopwatch()
        verified = await verify_books(db)
        verify_seconds = watch.seconds
    if not verified.ok:
        raise SystemExit(f"the books do not hold: {[proof for proof in verified.proofs if not proof.ok]}")
    return {
        "entries": stored,
        "merchants": merchants,
        "entries_per_bucket": draft_run.ENTRIES_PER_BUCKET,
        "run": {"seconds": whole, **steps},
        "bare": {"seconds": bare},
        "verify_seconds": verify_seconds,
        "totals": done.totals,
        "bars": {"run_against_group_by": at_most(whole / bare, 4.0)},
    }


async def _bare(db: Database) -> None:
    async with db.read(WORKER) as tx:
        await tx.rows(_GROUP_BY)


if __name__ == "__main__":
    main(measure, entries=1_000_000, merchants=10_000)
