"""Courses with attempts and certificates, and content, in the busy market."""

from datetime import timedelta

import httpx

from marketplace.core.db import WORKER, Database, Tx
from marketplace.flows.academy import offer_courses as offers
from marketplace.flows.academy import take_courses as taking
from supply.academy.model import Mode
from tests.conftest import NOW
from tests.http.market import ALPHA, BETA, done
from tests.http.plausible_academy import LESSON, QUESTION


async def learn(db: Database, ops: httpx.AsyncClient, owners: dict[int, httpx.AsyncClient]) -> None:
    """Over HTTP where the API can: a class is only held later."""
    course = await done(ops, "/courses", {"code": "start", "title": "First steps", "mode": "online"})
    await done(ops, f"/courses/{course['course_id']}/versions", {"lessons": [LESSON], "questions": [QUESTION]})
    for merchant_id, owner in owners.items():
        begun = await done(owner, f"/merchants/{merchant_id}/attempts", {"course_id": course["course_id"]})
        path = f"/merchants/{merchant_id}/attempts/{begun['attempt_id']}"
        await done(owner, f"{path}/lessons", {"lesson": "ship"})
        await done(owner, f"{path}/answers", {"answers": [0]})
    await db.write(WORKER, "somebody of ops", _hold_class)


async def _hold_class(now: Tx) -> None:
    """One class last week, with people of both merchants who wait for their marks; and some to come."""
    then = Tx(now.connection, now.raw, NOW - timedelta(days=8), now.actor)
    made = await offers.make_course(then, offers.NewCourse(code="till", title="At the till", mode=Mode.IN_CLASS))
    await offers.add_version(then, made.course_id, offers.NewVersion(lessons=()))
    weeks = [
        offers.NewClass(
            course_id=made.course_id, starts_at=NOW + timedelta(weeks=week), place="Bonn", trainer="Tess", seats=50
        )
        for week in range(-1, 9)
    ]
    held, *_ = [await offers.plan_class(then, week) for week in weeks]
    for person, merchant_id in enumerate([ALPHA, BETA] * 6):
        sitting = Tx(now.connection, now.raw, then.now, f"person {person}")
        cmd = taking.Begin(merchant_id=merchant_id, course_id=made.course_id, class_id=held.class_id)
        await taking.begin(sitting, cmd)


async def publish(ops: httpx.AsyncClient) -> None:
    """A piece that was sent, and sends that are planned."""
    await done(ops, "/content-partners", {"name": "City press"})
    piece = await done(ops, "/content-pieces", {"code": "guide", "title": "How to sell", "kind": "guide"})
    plan = {"channel": "online.content.email", "planned_on": "2018-09-03"}
    for number in range(16):
        planned = await done(ops, f"/content-pieces/{piece['piece_id']}/sends", plan)
        if number < 4:
            await done(ops, f"/content-sends/{planned['send_id']}/sent", {"recipients": 100})
