"""Process: a course is made, gets its versions, and is held on dates."""

from datetime import datetime

import msgspec

from marketplace.core import audit
from marketplace.core.db import Tx
from marketplace.core.errors import Conflict, Invalid
from marketplace.core.ids import time_ordered_id
from supply.academy import store
from supply.academy.model import ClassDate, Course, CourseVersion, Lesson, Mode, Question
from supply.academy.rules import check_content


class NewCourse(msgspec.Struct, frozen=True, kw_only=True):
    code: str
    title: str
    mode: Mode
    required: bool = False


class NewVersion(msgspec.Struct, frozen=True, kw_only=True):
    """right: the right choice of each question, from 0. supersedes: certificates of earlier versions count no more."""

    lessons: tuple[Lesson, ...]
    questions: tuple[Question, ...] = ()
    right: tuple[int, ...] = ()
    pass_ppm: int = 800_000
    valid_days: int | None = None
    wait_days: int = 1
    supersedes: bool = False


class NewClass(msgspec.Struct, frozen=True, kw_only=True):
    course_id: int
    starts_at: datetime
    place: str
    trainer: str
    seats: int


async def make_course(tx: Tx, cmd: NewCourse) -> Course:
    """A course that nobody can take before it has a version. Raises Conflict for a code in use."""
    new = Course(
        course_id=time_ordered_id(tx.now),
        active=True,
        newest_no=0,
        counts_from=1,
        version=1,
        **msgspec.structs.asdict(cmd),
    )
    await audit.record(tx, "course made", f"course:{new.course_id}", code=new.code, required=new.required)
    return await store.add_course(tx, new)


async def edit_course(tx: Tx, held: Course, *, title: str | None, required: bool | None, active: bool | None) -> Course:
    """None leaves a field as it is."""
    values = {"title": title, "required": required, "active": active}
    changes = {name: value for name, value in values.items() if value is not None}
    await audit.record(tx, "course edited", f"course:{held.course_id}", changes=changes)
    return await store.edit_course(tx, held, **changes)


async def add_version(tx: Tx, course_id: int, cmd: NewVersion) -> CourseVersion:
    """What is taught from now on; attempts that are open go on under theirs. Raises NotFound, Invalid."""
    held = await store.get_course(tx, course_id, lock=True)
    check_content(held.mode, [lesson.key for lesson in cmd.lessons], cmd.questions, cmd.right)
    number = held.newest_no + 1
    new = CourseVersion(
        course_id=course_id, version_no=number, lessons=cmd.lessons, questions=cmd.questions, pass_ppm=cmd.pass_ppm,
        valid_days=cmd.valid_days, wait_days=cmd.wait_days,
    )  # fmt: skip
    await store.add_version(tx, new, cmd.right)
    counts_from = number if cmd.supersedes else held.counts_from
    await store.edit_course(tx, held, newest_no=number, counts_from=counts_from)
    await audit.record(tx, "course version made", f"course:{course_id}", number=number, supersedes=cmd.supersedes)
    return new


async def plan_class(tx: Tx, cmd: NewClass) -> ClassDate:
    """A date on which a course is held. Raises NotFound, Conflict, Invalid."""
    course = await store.get_course(tx, cmd.course_id)
    if course.mode is not Mode.IN_CLASS:
        raise Conflict("course_id: the course is taken online")
    if cmd.starts_at <= tx.now:
        raise Invalid("starts_at: lies in the past", pointer="/starts_at")
    return await store.add_class(
        tx, ClassDate(class_id=time_ordered_id(tx.now), cancelled=False, **msgspec.structs.asdict(cmd))
    )  # fmt: skip


async def cancel_class(tx: Tx, class_id: int) -> ClassDate:
    """Call a class off, and all attempts that have a seat in it. Raises NotFound, Conflict."""
    held = await store.get_class(tx, class_id, lock=True)
    if held.cancelled:
        raise Conflict("state: the class is called off already")
    if held.starts_at <= tx.now:
        raise Conflict("state: the class has begun")
    await audit.record(tx, "class called off", f"class:{class_id}")
    return await store.cancel_class(tx, held)
