"""What the pages of the academy show: courses and who has passed them, and what is there for a merchant to take."""

from collections.abc import Mapping, Sequence
from datetime import date, datetime

import msgspec

from marketplace.consoles.books_queries import Merchant, get_merchant
from marketplace.consoles.lists import Column, Kind, Roll, Shown
from marketplace.core.db import Tx
from marketplace.flows.academy.weigh_courses import CourseEffect, weigh_course
from supply.academy import store
from supply.academy.model import Attempt, AttemptState, Certificate, ClassDate, Course, CourseVersion
from supply.academy.rules import counts

ROWS_MAX = 50


class CoursePage(msgspec.Struct, frozen=True):
    """A course with its newest version, and who takes it, the newest first. certificates: by attempt."""

    course: Course
    content: CourseVersion | None
    effect: CourseEffect
    classes: Mapping[int, ClassDate]
    attempts: Sequence[Attempt]
    certificates: Mapping[int, Certificate]
    names: Mapping[int, str]
    now: datetime
    older: tuple[int, int] | None

    @property
    def to_mark(self) -> set[int]:
        """Attempts in a class that has begun, of which the trainer has not said yet what came."""
        begun = {key for key, held in self.classes.items() if held.starts_at <= self.now}
        return {each.attempt_id for each in self.attempts if each.state is AttemptState.OPEN and each.class_id in begun}


class Taken(msgspec.Struct, frozen=True):
    """A course as somebody of a merchant sees it: its own last attempt, and the merchant's certificate that counts."""

    course: Course
    attempt: Attempt | None
    certificate: Certificate | None

    @property
    def to_take(self) -> bool:
        """Whether it waits for this person: begun, or required and passed by nobody."""
        begun = self.attempt is not None and self.attempt.state is AttemptState.OPEN
        return begun or (self.course.required and self.certificate is None)


class TakingPage(msgspec.Struct, frozen=True):
    """A course as it is taken. content: of the attempt, or what would be taken. dates: on which seats can be had."""

    merchant: Merchant
    taken: Taken
    content: CourseVersion
    dates: Sequence[ClassDate]
    seat: ClassDate | None

    @property
    def open(self) -> bool:
        return self.taken.attempt is not None and self.taken.attempt.state is AttemptState.OPEN

    @property
    def read(self) -> Sequence[str]:
        """The keys of lessons that were read."""
        return self.taken.attempt.lessons if self.taken.attempt is not None and self.open else []

    @property
    def all_read(self) -> bool:
        return len(self.read) == len(self.content.lessons)


async def course_page(tx: Tx, course_id: int, today: date, before: tuple[int, int] | None) -> CoursePage:
    """A course with one page of attempts, those behind (attempt_id, merchant_id). Raises NotFound."""
    course = await store.get_course(tx, course_id)
    rows = await store.list_attempts(tx, limit=ROWS_MAX + 1, before=before, course_id=course_id)
    attempts = rows[:ROWS_MAX]
    merchants = sorted({each.merchant_id for each in attempts})
    names = await tx.rows(
        "SELECT merchant_id, name FROM supply.merchant WHERE merchant_id = ANY(:merchants)", merchants=merchants
    )
    certificates = await store.certificates_of(tx, merchants, course_id)
    return CoursePage(
        course=course,
        content=await store.get_version(tx, course_id, course.newest_no) if course.newest_no else None,
        effect=await weigh_course(tx, course_id, today),
        classes={each.class_id: each for each in await store.list_classes(tx, course_id, limit=ROWS_MAX)},
        attempts=attempts,
        certificates={each.attempt_id: each for each in certificates},
        names={row.merchant_id: row.name for row in names},
        now=tx.now,
        older=(attempts[-1].attempt_id, attempts[-1].merchant_id) if len(rows) > ROWS_MAX else None,
    )


async def taken_courses(tx: Tx, merchant_id: int, person: str) -> list[Taken]:
    """All courses that can be taken now, those that are required first."""
    courses = [each for each in await store.list_courses(tx, limit=ROWS_MAX) if each.active and each.newest_no]
    found = [await _taken(tx, course, merchant_id, person) for course in courses]
    return sorted(found, key=lambda each: (not each.course.required, each.course.title))


async def taking_page(tx: Tx, merchant_id: int, course_id: int, person: str) -> TakingPage:
    """Raises NotFound."""
    taken = await _taken(tx, await store.get_course(tx, course_id), merchant_id, person)
    begun = taken.attempt if taken.attempt and taken.attempt.state is AttemptState.OPEN else None
    seat = await store.get_class(tx, begun.class_id) if begun and begun.class_id else None
    return TakingPage(
        merchant=await get_merchant(tx, merchant_id),
        taken=taken,
        content=await store.get_version(tx, course_id, begun.version_no if begun else taken.course.newest_no),
        dates=await store.list_classes(tx, course_id, limit=ROWS_MAX, from_at=tx.now),
        seat=seat,
    )


async def _taken(tx: Tx, course: Course, merchant_id: int, person: str) -> Taken:
    held = await store.certificates_of(tx, [merchant_id], course.course_id)
    return Taken(
        course=course,
        attempt=await store.last_attempt(tx, merchant_id, course.course_id, person),
        certificate=next((each for each in held if counts(each, course, tx.now)), None),
    )


COURSES = Roll(
    name="courses",
    first="title",
    key=("course_id",),
    columns=(
        Column("code", "growth.code", shown=Shown.IN_FILES, by=""),
        Column("title", "academy.course"),
        Column("mode", "academy.mode"),
        Column("required", "academy.required", Kind.FLAG),
        Column("newest_no", "academy.version", Kind.NUMBER),
        Column("passed", "academy.merchants_passed", Kind.NUMBER),
        Column("ending", "academy.ending", Kind.NUMBER),
        Column("open", "academy.open", Kind.NUMBER),
    ),
    query=f"""
SELECT k.course_id, k.code, k.title, k.mode, k.required, k.newest_no, k.active,
       (SELECT count(DISTINCT c.merchant_id) FROM supply.certificate c
        WHERE c.course_id = k.course_id AND {store.COUNTS}) AS passed,
       (SELECT count(*) FROM (
            SELECT FROM supply.certificate c WHERE c.course_id = k.course_id AND {store.COUNTS}
            GROUP BY c.merchant_id
            HAVING bool_and(coalesce(c.expires_at <= :at + interval '30 days', false))) soon) AS ending,
       (SELECT count(*) FROM supply.attempt a WHERE a.course_id = k.course_id AND a.state = 'open') AS open
FROM supply.course k
""",
)
"""Courses with how many merchants have passed them, of those how many soon do not count any more, and who is at it."""
