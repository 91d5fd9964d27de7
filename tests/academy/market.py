"""Courses to take: one online with two lessons and two questions, one in class."""

from datetime import timedelta

from marketplace.core.db import WORKER, Database, Tx
from marketplace.flows.academy import offer_courses as offers
from supply.academy.model import ClassDate, Course, CourseVersion, Lesson, Mode, Question
from tests.conftest import NOW

OPS, ANN, BOB = "ops", "ann", "bob"
LESSONS = (Lesson(key="ship", title="Shipping", text="Pack well."), Lesson(key="talk", title="Talking", text="Kindly."))
QUESTIONS = (Question(asks="How to pack?", choices=("well", "badly")), Question(asks="How to talk?", choices=("", "x")))
RIGHT = (0, 1)
CLASS_AT = NOW + timedelta(days=3)


async def offer(db: Database, *, code: str = "start", required: bool = False, valid_days: int | None = 365) -> Course:
    """An online course that has a version."""
    cmd = offers.NewCourse(code=code, title=f"First steps {code}", mode=Mode.ONLINE, required=required)
    made = await db.write(WORKER, OPS, offers.make_course, cmd)
    await teach(db, made.course_id, valid_days=valid_days)
    return made


async def teach(
    db: Database, course_id: int, *, valid_days: int | None = 365, supersedes: bool = False
) -> CourseVersion:
    cmd = offers.NewVersion(
        lessons=LESSONS, questions=QUESTIONS, right=RIGHT, pass_ppm=500_000, valid_days=valid_days, wait_days=2,
        supersedes=supersedes,
    )  # fmt: skip
    return await db.write(WORKER, OPS, offers.add_version, course_id, cmd)


async def offer_class(db: Database, seats: int = 1) -> ClassDate:
    """A course in class, with one date."""

    async def make(tx: Tx) -> ClassDate:
        made = await offers.make_course(tx, offers.NewCourse(code="till", title="At the till", mode=Mode.IN_CLASS))
        await offers.add_version(tx, made.course_id, offers.NewVersion(lessons=(), wait_days=0))
        return await offers.plan_class(
            tx,
            offers.NewClass(course_id=made.course_id, starts_at=CLASS_AT, place="Bonn", trainer="Tess", seats=seats),
        )

    return await db.write(WORKER, OPS, make)
