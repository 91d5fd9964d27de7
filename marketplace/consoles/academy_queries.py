"""What the pages of the academy show: courses and who has passed them, and what is there for a merchant to take."""

from collections.abc import Mapping, Sequence
from datetime import date, datetime

import msgspec

from marketplace.consoles.books_queries import Merchant, get_merchant
from marketplace.core.db import Tx
from marketplace.flows.academy.weigh_courses import CourseEffect, weigh_course
from supply.academy import store
from supply.academy.model import Attempt, AttemptState, Certificate, ClassDate, Course, CourseVersion
from supply.academy.rules import counts

ROWS_MAX = 50


class CourseCount(msgspec.Struct, frozen=True, kw_only=True):
    """Of a course: merchants with a certificate that counts, those whose last one ends in 30 days, open attempts."""

    passed: int
    ending: int
    open: int


class CoursesPage(msgspec.Struct, frozen=True):
    """Courses by code. older: behind the last of them."""

    courses: Sequence[Course]
    counted: Mapping[int, CourseCount]
    older: str | None


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


async def courses_page(tx: Tx, after: str = "") -> CoursesPage:
    """One page of courses, those behind the code `after`."""
    rows = await store.list_courses(tx, limit=ROWS_MAX + 1, after=after)
    courses = rows[:ROWS_MAX]
    counts = await tx.rows(_COUNTED, courses=[each.course_id for each in courses], at=tx.now)
    return CoursesPage(
        courses=courses,
        counted={row.course_id: CourseCount(passed=row.passed, ending=row.ending, open=row.open) for row in counts},
        older=courses[-1].code if len(rows) > ROWS_MAX else None,
    )


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


_COUNTED = f"""
SELECT k.course_id,
       (SELECT count(DISTINCT c.merchant_id) FROM supply.certificate c
        WHERE c.course_id = k.course_id AND {store.COUNTS}) AS passed,
       (SELECT count(*) FROM (
            SELECT FROM supply.certificate c WHERE c.course_id = k.course_id AND {store.COUNTS}
            GROUP BY c.merchant_id
            HAVING bool_and(coalesce(c.expires_at <= :at + interval '30 days', false))) soon) AS ending,
       (SELECT count(*) FROM supply.attempt a WHERE a.course_id = k.course_id AND a.state = 'open') AS open
FROM supply.course k WHERE k.course_id = ANY(:courses)
"""
