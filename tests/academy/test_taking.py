"""Courses are taken: read, answered, passed, held in class, and lead to a merchant's going live."""

import asyncio
from datetime import date, timedelta

import pytest

from marketplace.core import policies
from marketplace.core.clock import FixedClock
from marketplace.core.db import WORKER, Database, Tx
from marketplace.core.errors import Conflict, Forbidden, Invalid
from marketplace.flows.academy import offer_courses as offers
from marketplace.flows.academy import take_courses as taking
from marketplace.flows.academy.weigh_courses import weigh_course
from marketplace.flows.acquisition.onboard_merchant import OnboardMerchant, onboard_merchant, read_checklist, tick
from supply import store as merchants
from supply.academy import store
from supply.academy.model import Attempt, AttemptState, Course
from supply.model import MerchantState
from supply.onboarding.rules import CHECKLIST, Act
from tests.academy.market import ANN, BOB, CLASS_AT, OPS, RIGHT, offer, offer_class, teach
from tests.builders import Line, Order, add_market, add_orders
from tests.conftest import NOW

WRONG = (1, 0)


@pytest.fixture
async def market(db: Database) -> None:
    await db.write(WORKER, "test", add_market, [1, 2])


async def begin(db: Database, course: int, person: str = ANN, merchant_id: int = 1, at: int | None = None) -> Attempt:
    cmd = taking.Begin(merchant_id=merchant_id, course_id=course, class_id=at)
    return await db.write(WORKER, person, taking.begin, cmd)


async def take(
    db: Database, course: Course, answers: tuple[int, ...] = RIGHT, person: str = ANN, merchant_id: int = 1
) -> Attempt:
    """From the beginning to the answers."""
    begun = await begin(db, course.course_id, person, merchant_id)
    for lesson in ("ship", "talk", "ship"):
        read = await db.write(WORKER, person, taking.read_lesson, merchant_id, begun.attempt_id, lesson)
    assert read.lessons == ["ship", "talk"]
    return await db.write(WORKER, person, taking.answer, merchant_id, begun.attempt_id, answers)


async def missing(db: Database, merchant_id: int) -> list[str]:
    async with db.read(WORKER) as tx:
        return await store.missing_courses(tx, merchant_id)


async def test_a_required_course_passed_is_the_last_point_before_a_merchant_goes_live(
    market: None, db: Database, clock: FixedClock
) -> None:
    course = await offer(db, required=True)
    made = await db.write(WORKER, OPS, onboard_merchant, OnboardMerchant(name="Newcomer"))
    m = made.merchant_id

    async def prepare(tx: Tx) -> None:
        await policies.switch(tx, "auto_approve_merchants", on=True)
        for point in CHECKLIST:
            if point.key != "courses":
                await tick(tx, m, point.key, Act.WAIVE, reason="a test")

    await db.write(WORKER, OPS, prepare)
    async with db.read(WORKER) as tx:
        checklist = await read_checklist(tx, m)
    assert checklist.missing == ["courses"]
    assert checklist.items[-1].missing == "to be passed: First steps start"

    failed = await take(db, course, WRONG, merchant_id=m)
    assert (failed.state, failed.score_ppm) == (AttemptState.FAILED, 0)
    clock.move_to(NOW + timedelta(days=2))
    assert (await take(db, course, (0, 0), merchant_id=m)).score_ppm == 500_000
    async with db.read(WORKER) as tx:
        assert (await read_checklist(tx, m)).ready
        assert (await merchants.get_merchant(tx, m)).state is MerchantState.LIVE
        [certificate] = await store.list_certificates(tx, limit=9, merchant_id=m)
        told = [row.payload["state"] for row in await tx.rows(_TOLD)]
    assert certificate.expires_at == clock.now() + timedelta(days=365)
    assert told == ["open", "failed", "open", "passed"]


_TOLD = "SELECT payload FROM core.outbox WHERE topic = 'supply.attempt_moved.v1' ORDER BY event_id"


async def test_a_certificate_ends_is_revoked_or_superseded_and_the_course_is_missing_again(
    market: None, db: Database, clock: FixedClock
) -> None:
    course = await offer(db, required=True, valid_days=10)
    assert await missing(db, 1) == ["First steps start"]
    first = await take(db, course)
    assert await missing(db, 1) == []
    assert await missing(db, 2) == ["First steps start"]
    clock.move_to(NOW + timedelta(days=10))
    assert await missing(db, 1) == ["First steps start"]
    second = await take(db, course)
    assert await missing(db, 1) == []
    await db.write(WORKER, OPS, taking.revoke, 1, second.attempt_id, "answered by somebody else")
    with pytest.raises(Conflict, match="revoked already"):
        await db.write(WORKER, OPS, taking.revoke, 1, second.attempt_id, "again")
    assert await missing(db, 1) == ["First steps start"]
    await take(db, course)
    await teach(db, course.course_id)
    assert await missing(db, 1) == []  # another version, which leaves earlier ones what they are
    await teach(db, course.course_id, supersedes=True)
    assert await missing(db, 1) == ["First steps start"]
    renewed = await take(db, course)
    assert (renewed.version_no, await missing(db, 1)) == (3, [])
    assert first.version_no == 1

    async def retire(tx: Tx) -> None:
        held = await store.get_course(tx, course.course_id, lock=True)
        await offers.edit_course(tx, held, title=None, required=None, active=False)

    await db.write(WORKER, OPS, retire)
    assert await missing(db, 2) == []
    with pytest.raises(Conflict, match="cannot be taken now"):
        await begin(db, course.course_id, BOB)


async def test_an_attempt_goes_on_under_the_version_it_began_with(market: None, db: Database) -> None:
    course = await offer(db)
    begun = await begin(db, course.course_id)
    await teach(db, course.course_id)
    for lesson in ("ship", "talk"):
        await db.write(WORKER, ANN, taking.read_lesson, 1, begun.attempt_id, lesson)
    assert (await db.write(WORKER, ANN, taking.answer, 1, begun.attempt_id, RIGHT)).version_no == 1


async def test_what_is_refused(market: None, db: Database) -> None:
    course = await offer(db)
    begun = await begin(db, course.course_id)
    with pytest.raises(Conflict, match="is open"):
        await begin(db, course.course_id)
    await begin(db, course.course_id, BOB)  # another person of the same merchant
    with pytest.raises(Forbidden, match="for another"):
        await db.write(WORKER, BOB, taking.read_lesson, 1, begun.attempt_id, "ship")
    with pytest.raises(Invalid, match="no lesson 'x'"):
        await db.write(WORKER, ANN, taking.read_lesson, 1, begun.attempt_id, "x")
    with pytest.raises(Conflict, match="read first Shipping, Talking"):
        await db.write(WORKER, ANN, taking.answer, 1, begun.attempt_id, RIGHT)
    with pytest.raises(Conflict, match="mark is not done in a course that is held online"):
        await db.write(WORKER, OPS, taking.mark, 1, begun.attempt_id, 0)
    await db.write(WORKER, ANN, taking.cancel, 1, begun.attempt_id)
    with pytest.raises(Conflict, match="the attempt is cancelled"):
        await db.write(WORKER, ANN, taking.read_lesson, 1, begun.attempt_id, "ship")
    again = await begin(db, course.course_id)  # who gave up need not wait
    assert again.state is AttemptState.OPEN


async def test_a_class_has_its_seats_and_its_trainer_marks_who_came(
    market: None, db: Database, clock: FixedClock
) -> None:
    held = await offer_class(db, seats=2)
    ann = await begin(db, held.course_id, at=held.class_id)
    bob = await begin(db, held.course_id, BOB, 2, held.class_id)
    with pytest.raises(Conflict, match="every seat is taken"):
        await begin(db, held.course_id, "cleo", at=held.class_id)
    with pytest.raises(Conflict, match="has not begun"):
        await db.write(WORKER, OPS, taking.mark, 1, ann.attempt_id, 900_000)
    clock.move_to(CLASS_AT)
    with pytest.raises(Conflict, match="called off or has begun"):
        await begin(db, held.course_id, "cleo", at=held.class_id)
    assert (await db.write(WORKER, OPS, taking.mark, 1, ann.attempt_id, 900_000)).state is AttemptState.PASSED
    assert (await db.write(WORKER, OPS, taking.mark, 2, bob.attempt_id, None)).state is AttemptState.MISSED
    async with db.read(WORKER) as tx:
        assert [each.person for each in await store.list_certificates(tx, limit=9)] == [ANN]


async def test_nobody_gives_up_what_has_begun_in_class(market: None, db: Database, clock: FixedClock) -> None:
    held = await offer_class(db)
    ann = await begin(db, held.course_id, at=held.class_id)
    clock.move_to(CLASS_AT)
    with pytest.raises(Conflict, match="the class has begun"):
        await db.write(WORKER, ANN, taking.cancel, 1, ann.attempt_id)
    marked = await db.write(WORKER, OPS, taking.mark, 1, ann.attempt_id, None)
    assert marked.state is AttemptState.MISSED


async def test_a_class_that_is_called_off_gives_its_seats_back(market: None, db: Database) -> None:
    held = await offer_class(db)
    begun = await begin(db, held.course_id, at=held.class_id)
    assert (await db.write(WORKER, OPS, offers.cancel_class, held.class_id)).cancelled
    async with db.read(WORKER) as tx:
        assert (await store.get_attempt(tx, 1, begun.attempt_id)).state is AttemptState.CANCELLED
    with pytest.raises(Conflict, match="called off"):
        await begin(db, held.course_id, at=held.class_id)
    with pytest.raises(Invalid, match="say on which date"):
        await begin(db, held.course_id)


async def test_many_want_the_last_seats(market: None, db: Database) -> None:
    """Sixteen people of two merchants and three seats: three have one, whoever was first."""
    held = await offer_class(db, seats=3)
    wanted = [begin(db, held.course_id, f"p{n}", 1 + n % 2, held.class_id) for n in range(16)]
    found = await asyncio.gather(*wanted, return_exceptions=True)
    assert sum(isinstance(each, Attempt) for each in found) == 3
    assert sum(isinstance(each, Conflict) for each in found) == 13


async def test_one_person_begins_once_however_often_at_the_same_time(market: None, db: Database) -> None:
    course = await offer(db)
    found = await asyncio.gather(*(begin(db, course.course_id) for _ in range(8)), return_exceptions=True)
    assert sum(isinstance(each, Attempt) for each in found) == 1


async def test_training_is_weighed_against_others_of_the_same_region_and_month(db: Database) -> None:
    """Twelve of one cell: of four that passed three sell, of eight others two. Early sellers and young ones are out."""
    everybody = list(range(1, 16))
    await db.write(WORKER, "test", add_market, everybody)
    course = await offer(db)

    async def live(tx: Tx) -> None:
        await tx.execute("UPDATE supply.merchant SET joined_on = '2018-06-01', region = 'North'")
        await tx.execute("UPDATE supply.merchant SET joined_on = '2018-08-20' WHERE merchant_id = 14")
        await tx.execute("UPDATE supply.merchant SET region = 'South' WHERE merchant_id = 15")
        sold = [(1, 20), (2, 20), (3, 30), (5, 20), (6, 40), (7, 43), (13, 5)]
        day = NOW.replace(year=2018, month=6, day=1)
        await add_orders(
            tx,
            [
                Order(merchant_id=m, order_id=m, lines=(Line(goods_minor=100),), settles_at=day + timedelta(days=after))
                for m, after in sold
            ],
        )

    await db.write(WORKER, "test", live)
    for m in (1, 2, 3, 4, 13, 14, 15):
        await take(db, course, merchant_id=m)
    await db.write(WORKER, "test", _passed_in_june)
    async with db.read(WORKER) as tx:
        found = await weigh_course(tx, course.course_id, date(2018, 9, 3))
    assert (found.passed, found.passed_active, found.passed_ppm) == (4, 3, 750_000)
    assert (found.others, found.others_active, found.others_ppm) == (8, 2, 250_000)
    assert found.unmatched == 1  # the only one of the south


async def _passed_in_june(tx: Tx) -> None:
    await tx.execute("UPDATE supply.certificate SET issued_at = '2018-06-10'")
