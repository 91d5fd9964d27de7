"""The worker: runs jobs, keeps the clock's appointments, and does its share of every open batch of work.

Any number of workers on any number of machines may run against one database. A worker may be killed at any moment:
what it had claimed is rolled back or started again by another.
"""

import asyncio
import signal
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
import structlog

from marketplace.core import jobs, outbox, retention, work
from marketplace.core.db import WORKER, Database, Tx, is_lost
from marketplace.core.jobs import Job
from marketplace.core.log import bound
from marketplace.core.outbox import Delivery, Event
from marketplace.core.people.senders import sender_of
from marketplace.core.together import end
from marketplace.core.webhooks import deliveries, sender
from marketplace.core.webhooks.topics import TOPICS
from marketplace.flows.acquisition import claim_leads, note_stages
from marketplace.flows.acquisition.pay_agents import pay_agents
from marketplace.flows.acquisition.refer_merchants import reward_referrals
from marketplace.flows.ads import book_slots, deliver_ad_orders, plan_campaign, rate_ads, score_campaigns
from marketplace.flows.ads.forget_ad_events import forget_ad_events
from marketplace.flows.bank.import_bank_file import read_unfinished
from marketplace.flows.bank.match_lines import match_named
from marketplace.flows.bank.take_bank_folder import take_bank_folder
from marketplace.flows.books import roll_ledger
from marketplace.flows.commission import settle_orders
from marketplace.flows.orders import amend_order, fulfil_order
from marketplace.flows.orders.release_order import expire_orders
from marketplace.flows.payers.dun_claims import dun_claims
from marketplace.flows.payments.apply_payment_events import apply_events
from marketplace.flows.payments.send_payment_commands import send_commands
from marketplace.flows.payouts import pay_merchants
from marketplace.flows.payouts.pay_due import pay_due
from marketplace.flows.payouts.set_payout_terms import release_reserves
from marketplace.flows.people.notify_people import notify
from marketplace.flows.people.send_mails import send_mails
from marketplace.flows.products import bill_services, dun_merchants, run_charges, run_subscriptions, sell_hardware
from marketplace.flows.promotions import advance_incentives, grant_rewards, reward_listings
from marketplace.flows.promotions.simulate_promotion import JOB as SIMULATION
from marketplace.flows.promotions.simulate_promotion import run_simulation
from marketplace.flows.promotions.vest_rebates import vest_rebates
from marketplace.flows.promotions.vest_rewards import vest_rewards
from marketplace.flows.proofs.check_again import JOB as CHECKS
from marketplace.flows.proofs.check_again import check_books
from marketplace.flows.refunds.grant_credit import expire_credit
from marketplace.flows.runs import run_billing_buckets, schedule_runs
from marketplace.flows.steering.roll_metrics import roll_metrics
from marketplace.flows.steering.watch_metrics import report_periods, watch_metrics
from marketplace.processors.model import Processor
from marketplace.settings import Settings

ACTOR = "worker"
"""Who writes what no person asked for; a batch is worked on in the name of whoever planned it."""

_EVENTS_PER_COMMIT = 500
_IDLE_S = 1.0
_GRACE_S = 30.0
_RECONNECT_S = 2.0

log = structlog.get_logger(__name__)


async def _tell(tx: Tx, events: Sequence[Event]) -> None:
    for event in events:
        log.info("event", **msgspec.structs.asdict(event))
    await deliveries.fan_out(tx, events)
    await notify(tx, events)


DELIVERIES: Mapping[str, Delivery] = dict.fromkeys(TOPICS, _tell)
"""What becomes of each topic of the outbox: a line in the log, webhooks to those who want it, and notices to people."""

BATCHES: Mapping[str, work.Handle] = settle_orders.HANDLERS | run_billing_buckets.HANDLERS
"""How an item of each kind of batch is done."""


async def _dispatch_outbox(db: Database, _: Any) -> None:
    while await db.write(WORKER, ACTOR, outbox.dispatch, DELIVERIES, _EVENTS_PER_COMMIT) == _EVENTS_PER_COMMIT:
        pass


async def _roll_ledger(db: Database, _: Any) -> None:
    rolled = await roll_ledger.roll_ledger(db, ACTOR)
    if rolled:
        log.info("ledger rolled forward", entries=rolled)


async def _activate_bank_accounts(db: Database, _: Any) -> None:
    activated = await pay_merchants.activate_bank_accounts(db, ACTOR)
    if activated:
        log.info("bank accounts active from now on", accounts=activated)


async def _complete_orders(db: Database, _: Any) -> None:
    while await db.write(WORKER, ACTOR, fulfil_order.complete_due, db.clock.now()) == fulfil_order.BATCH:
        pass


def _expiring(expire: Callable[..., Awaitable[Any]]) -> Callable[[Database, Any], Awaitable[None]]:
    async def run(db: Database, _: Any) -> None:
        await expire(db, ACTOR, db.clock.now())

    return run


async def _rate_ads(db: Database, _: Any) -> None:
    begun, rated = await book_slots.begin_slots(db, ACTOR), await rate_ads.rate_ended(db, ACTOR)
    ended = await plan_campaign.end_campaigns(db, ACTOR)
    if begun or rated or ended:
        log.info("ads rated", slots=begun, hours=rated, campaigns_ended=ended)


async def _deliver_ad_orders(db: Database, _: Any) -> None:
    done = await deliver_ad_orders.deliver_ad_orders(db, ACTOR)
    if done:
        log.info("ad orders looked after", steps=done)


async def _score_campaigns(db: Database, _: Any) -> None:
    await score_campaigns.score_campaigns(db, ACTOR)


async def _advance_incentives(db: Database, _: Any) -> None:
    expired = await advance_incentives.expire_reservations(db, ACTOR)
    moved = await advance_incentives.advance_incentives(db, ACTOR)
    if moved or expired:
        log.info("incentives advanced", moved=moved, expired=expired)


async def _grant_rewards(db: Database, _: Any) -> None:
    granted = await grant_rewards.grant_rewards(db, ACTOR)
    vested = await vest_rewards(db, ACTOR) + await vest_rebates(db, ACTOR)
    if granted or vested:
        log.info("rewards looked after", granted=granted, vested=vested)


async def _simulate_promotion(db: Database, simulation_id: Any) -> None:
    await run_simulation(db, ACTOR, simulation_id)


async def _release_reserves(db: Database, _: Any) -> None:
    released = await release_reserves(db, ACTOR)
    if released:
        log.info("reserves released", reserves=released)


async def _pay_due(db: Database, _: Any) -> None:
    paid = await pay_due(db, ACTOR)
    if paid:
        log.info("payouts instructed on their day", payouts=paid)


async def _run_schedules(db: Database, _: Any) -> None:
    resumed, opened = await schedule_runs.resume_runs(db, ACTOR), await schedule_runs.open_due_runs(db, ACTOR)
    if resumed or opened:
        log.info("billing runs looked after", resumed=resumed, opened=opened)


async def _look_after_leads(db: Database, _: Any) -> None:
    done = {
        "recycled": await claim_leads.recycle_leads(db, ACTOR),
        "gone_on": await note_stages.note_milestones(db, ACTOR),
        "referred": await reward_referrals(db, ACTOR),
        "agents": await pay_agents(db, ACTOR),
    }
    if any(done.values()):
        log.info("leads looked after", **done)


async def _roll_metrics(db: Database, _: Any) -> None:
    rolled = await roll_metrics(db, ACTOR)
    if rolled.changes or rolled.days or rolled.months:
        log.info("figures rolled up", **msgspec.structs.asdict(rolled))


async def _watch_metrics(db: Database, _: Any) -> None:
    done = {"reported": await report_periods(db, ACTOR), "alerts": await watch_metrics(db, ACTOR)}
    if any(done.values()):
        log.info("figures watched", **done)


async def _clean_up(db: Database, _: Any) -> None:
    log.info("cleaned up", **await db.write(WORKER, ACTOR, retention.clean_up))
    forgotten = await forget_ad_events(db, ACTOR)
    if forgotten:
        log.info("events of ads forgotten", hours=forgotten)


async def _dun_claims(db: Database, _: Any) -> None:
    dunned = await dun_claims(db, ACTOR)
    if dunned:
        log.info("payers reminded of claims", claims=dunned)


async def _match_lines(db: Database, _: Any) -> None:
    run = await match_named(db, ACTOR)
    if run:
        log.info("lines matched", **run.found)


async def _run_products(db: Database, _: Any) -> None:
    """What was charged is set off before anybody is asked for it, and asked for before anybody recovers."""
    done = {
        "advanced": await run_subscriptions.run_subscriptions(db, ACTOR),
        "billed": await bill_services.bill_services(db, ACTOR),
        "expired": await sell_hardware.expire_quotes(db, ACTOR),
        "netted": await run_charges.net_charges(db, ACTOR),
        "dunned": await dun_merchants.dun_merchants(db, ACTOR),
        "recognised": await run_charges.recognise_revenue(db, ACTOR),
    }
    if any(done.values()):
        log.info("products looked after", **done)


def jobs_of(settings: Settings) -> dict[str, Job]:
    """Every job by its name, as a worker with these settings does it."""

    async def send_webhooks(db: Database, _: Any) -> None:
        await sender.send_due(db, ACTOR, private=settings.webhooks_private)

    async def take_bank_files(db: Database, _: Any) -> None:
        resumed = await read_unfinished(db, ACTOR, settings.processor)
        if resumed:
            log.info("bank files read on", files=resumed)
        if settings.bank_folder:
            await take_bank_folder(db, ACTOR, Path(settings.bank_folder), processor=settings.processor)

    async def mail(db: Database, _: Any) -> None:
        await send_mails(db, ACTOR, sender_of(settings.mail_url, settings.mail_from, settings.home), settings.base)

    return {
        "send_mails": Job(mail, cron="* * * * * */5"),
        "dispatch_outbox": Job(_dispatch_outbox, cron="* * * * * */5"),
        "send_webhooks": Job(send_webhooks, cron="* * * * * */2"),
        "roll_ledger": Job(_roll_ledger, cron="* * * * * */10"),
        "complete_orders": Job(_complete_orders, cron="* * * * *"),
        "expire_amendments": Job(_expiring(amend_order.expire_amendments), cron="*/5 * * * *"),
        "expire_credit": Job(_expiring(expire_credit), cron="* * * * *"),
        "expire_orders": Job(_expiring(expire_orders), cron="* * * * * */5"),
        "activate_bank_accounts": Job(_activate_bank_accounts, cron="* * * * *"),
        "dun_claims": Job(_dun_claims, cron="41 * * * *"),
        "take_bank_files": Job(take_bank_files, cron="* * * * *"),
        "match_lines": Job(_match_lines, cron="*/3 * * * *"),
        "run_products": Job(_run_products, cron="*/10 * * * *"),
        "advance_incentives": Job(_advance_incentives, cron="* * * * *"),
        "grant_rewards": Job(_grant_rewards, cron="* * * * *"),
        "rate_ads": Job(_rate_ads, cron="* * * * *"),
        "pay_due": Job(_pay_due, cron="*/5 * * * *"),
        "run_schedules": Job(_run_schedules, cron="*/5 * * * *"),
        "deliver_ad_orders": Job(_deliver_ad_orders, cron="* * * * *"),
        "score_campaigns": Job(_score_campaigns, cron="11 * * * *"),
        SIMULATION: Job(_simulate_promotion),
        reward_listings.JOB: Job(reward_listings.reward_listings),
        "release_reserves": Job(_release_reserves, cron="*/5 * * * *"),
        "look_after_leads": Job(_look_after_leads, cron="*/10 * * * *"),
        "roll_metrics": Job(_roll_metrics, cron="*/2 * * * *"),
        "watch_metrics": Job(_watch_metrics, cron="*/15 * * * *"),
        CHECKS: Job(partial(check_books, actor=ACTOR), cron="37 * * * *"),
        "clean_up": Job(_clean_up, cron="17 3 * * *"),
    }


Chore = Callable[[Database], Awaitable[int]]
"""Does what is due now and returns how much that was. Several workers may do it at once: each takes its own."""

CHORES: Mapping[str, Chore] = {"apply_payment_events": apply_events}
"""What is looked after every second, beside the jobs: a worker that dies holds up none of it."""


def chores_with(processors: Mapping[str, Processor]) -> Mapping[str, Chore]:
    """All chores, with the processors that payment commands are sent to; without any, other workers send them."""
    if not processors:
        return CHORES

    async def send(db: Database) -> int:
        return await send_commands(db, processors)

    return {**CHORES, "send_payment_commands": send}


async def run_worker(
    db: Database,
    stop: asyncio.Event,
    *,
    jobs_by_name: Mapping[str, Job],
    batches: Mapping[str, work.Handle] = BATCHES,
    chores: Mapping[str, Chore] = CHORES,
) -> None:
    """Work until `stop` is set, then finish the job and the item in hand and return.

    What is not finished half a minute later is rolled back and left to the next worker. A lost connection is made
    again; any other failure of the worker itself, as opposed to one of a job or an item, is raised.
    """
    log.info("worker started", jobs=sorted(jobs_by_name), batches=sorted(batches), chores=sorted(chores))
    loops = [
        _run_jobs(db, stop, jobs_by_name),
        *(_share_batches(db, stop, kind, batches[kind]) for kind in batches),
        *(_look_after(db, stop, name, chores[name]) for name in chores),
    ]
    tasks = [asyncio.create_task(loop) for loop in loops]
    stopped = asyncio.create_task(stop.wait())
    try:
        await asyncio.wait([stopped, *tasks], return_when=asyncio.FIRST_COMPLETED)
        stop.set()
        await asyncio.wait(tasks, timeout=_GRACE_S)
    finally:
        await end([stopped, *tasks])
    for task in tasks:
        if not task.cancelled() and (fault := task.exception()):
            raise fault
    log.info("worker stopped")


def stop_on_signals() -> asyncio.Event:
    """An event that SIGTERM and SIGINT set, for the running loop."""
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    return stop


async def _run_jobs(db: Database, stop: asyncio.Event, jobs_by_name: Mapping[str, Job]) -> None:
    async def run() -> None:
        connection = await jobs.connect(db.url)
        runner = jobs.runner(connection, db, jobs_by_name)
        relay = asyncio.create_task(_relay(stop, runner.shutdown))
        try:
            await runner.run()
        finally:
            await end([relay])
            await connection.close()

    await _reconnecting(run, stop)


async def _relay(stop: asyncio.Event, shutdown: asyncio.Event) -> None:
    await stop.wait()
    shutdown.set()


async def _share_batches(db: Database, stop: asyncio.Event, kind: str, handle: work.Handle) -> None:
    async def run() -> None:
        while not stop.is_set():
            async with db.read(WORKER) as tx:
                batch_id = await work.open_batch(tx, kind)
                maker = await work.maker(tx, batch_id) if batch_id else ""
            if batch_id is None:
                with suppress(TimeoutError):
                    await asyncio.wait_for(stop.wait(), _IDLE_S)
                continue
            with bound(batch_id=batch_id, kind=kind, actor=maker):
                left = await work.drain(db, batch_id, maker, handle, until=stop.is_set)
                log.info("batch left", done=left.done, parked=left.parked, todo=left.todo)

    await _reconnecting(run, stop)


async def _look_after(db: Database, stop: asyncio.Event, name: str, chore: Chore) -> None:
    async def run() -> None:
        with bound(chore=name):
            while not stop.is_set():
                if not await _do_chore(chore, db, name):
                    with suppress(TimeoutError):
                        await asyncio.wait_for(stop.wait(), _IDLE_S)

    await _reconnecting(run, stop)


async def _do_chore(chore: Chore, db: Database, name: str) -> int:
    """A chore that fails is looked after again in a moment; it takes nobody else's work with it."""
    try:
        return await chore(db)
    except Exception as fault:
        if is_lost(fault):
            raise
        log.exception("chore failed", chore=name)
        return 0


async def _reconnecting(run: Callable[[], Awaitable[None]], stop: asyncio.Event) -> None:
    """Run until `stop`, again and again while the database cannot be reached."""
    while not stop.is_set():
        try:
            await run()
        except Exception as fault:
            if not is_lost(fault):
                raise
            log.warning("database out of reach, trying again", error=str(fault))
            with suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), _RECONNECT_S)
