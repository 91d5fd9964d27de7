"""The academy: courses and their versions, classes, attempts at them, and certificates."""

from typing import Annotated

import msgspec
from litestar import Response, get, patch, post
from litestar.di import NamedDependency
from litestar.params import JSONBody

from marketplace.core.clock import local_date
from marketplace.core.db import Database, Tx
from marketplace.core.paging import Page, decode_cursor, page
from marketplace.flows.academy import offer_courses as offers
from marketplace.flows.academy import take_courses as taking
from marketplace.flows.academy.weigh_courses import CourseEffect, weigh_course
from marketplace.routes.fields import Days, Id, Name, Past, Ppm, Reason, Reference, Words
from marketplace.routes.parameters import LIMIT, Cursor, Limit, PathId, PathVersion, QueryId, check_books, own_or
from marketplace.web.auth import ActorRequest
from marketplace.web.body import StrictBody
from marketplace.web.etag import edited, tagged, versioned
from marketplace.web.guards import GROWTH, MERCHANT, OPS, STAFF, needs
from marketplace.web.once import once
from marketplace.web.openapi import ALSO, ONCE
from supply.academy import store
from supply.academy.model import Attempt, Certificate, ClassDate, Course, CourseVersion, Lesson, Mode, Question

_ONE = "/courses/{course_id:int}"
_ATTEMPT = "/merchants/{merchant_id:int}/attempts/{attempt_id:int}"
_LESSONS_MAX, _QUESTIONS_MAX, _CHOICES_MAX = 50, 50, 10
_VALID_MAX = 3_660
CLASSES_MAX = 200
CourseCode = Annotated[str, msgspec.Meta(pattern="^[a-z][a-z0-9_]{0,39}$")]
Choice = Annotated[int, msgspec.Meta(ge=0, lt=_CHOICES_MAX, description="A choice, counted from 0.")]
Choices = Annotated[tuple[Choice, ...], msgspec.Meta(max_length=_QUESTIONS_MAX)]


class CourseBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """required: no merchant goes live before somebody of it has passed."""

    code: CourseCode
    title: Name
    mode: Mode
    required: bool = False


class CourseChanges(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """null leaves a field as it is. What is not active is taken no more and asked for no more."""

    title: Name | None = None
    required: bool | None = None
    active: bool | None = None


class LessonBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    key: CourseCode
    title: Name
    text: Words


class QuestionBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """right: which choice is, counted from 0; merchants are not told."""

    asks: Reason
    choices: Annotated[tuple[Name, ...], msgspec.Meta(min_length=2, max_length=_CHOICES_MAX)]
    right: Choice


class VersionBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """valid_days: how long a certificate counts, null for ever. wait_days: before another attempt.

    supersedes: certificates of earlier versions count no more.
    """

    lessons: Annotated[tuple[LessonBody, ...], msgspec.Meta(max_length=_LESSONS_MAX)] = ()
    questions: Annotated[tuple[QuestionBody, ...], msgspec.Meta(max_length=_QUESTIONS_MAX)] = ()
    pass_ppm: Ppm = 800_000
    valid_days: Annotated[int, msgspec.Meta(ge=1, le=_VALID_MAX)] | None = None
    wait_days: Days = 1
    supersedes: bool = False


class ClassBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    starts_at: Past
    place: Name
    trainer: Name
    seats: Annotated[int, msgspec.Meta(ge=1, le=10_000)]


class AttemptBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """class_id: the date on which a course in class is taken."""

    course_id: Id
    class_id: Id | None = None


class LessonRead(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    lesson: Reference


class Answers(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A choice for each question, in their order."""

    answers: Choices


class Marked(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """null: did not come."""

    score_ppm: Ppm | None


class Revoked(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    reason: Reason


@get("/courses", guards=[needs(STAFF, MERCHANT)])
async def list_courses(
    request: ActorRequest, db: NamedDependency[Database], limit: Limit = LIMIT, cursor: Cursor = None
) -> Page[Course]:
    """Courses by code."""
    (after,) = decode_cursor(cursor, tuple[str]) or ("",)
    async with db.read(request.user.scope) as tx:
        rows = await store.list_courses(tx, limit=limit + 1, after=after)
    return page(rows, limit, lambda row: row, lambda row: (row.code,))


@post("/courses", dto=StrictBody[CourseBody], guards=[needs(GROWTH)], opt=ONCE)
async def create_course(
    request: ActorRequest, db: NamedDependency[Database], data: JSONBody[CourseBody]
) -> Response[Course]:
    """Make a course; it is taken once it has a version."""
    return await once(request, db, offers.make_course, offers.NewCourse(**msgspec.structs.asdict(data)))


@get(_ONE, guards=[needs(STAFF, MERCHANT)])
async def get_course(request: ActorRequest, db: NamedDependency[Database], course_id: PathId) -> Response[Course]:
    """One course."""
    async with db.read(request.user.scope) as tx:
        found = await store.get_course(tx, course_id)
    return tagged(found, found.version)


@patch(_ONE, dto=StrictBody[CourseChanges], guards=[needs(GROWTH)], opt=versioned())
async def change_course(
    request: ActorRequest, db: NamedDependency[Database], course_id: PathId, data: JSONBody[CourseChanges]
) -> Response[Course]:
    """Rename a course, ask for it or not, or take it out of use."""

    async def change(tx: Tx, held: Course) -> Course:
        return await offers.edit_course(tx, held, **msgspec.structs.asdict(data))

    return await edited(request, db, lambda tx: store.get_course(tx, course_id, lock=True), change)


@post(f"{_ONE}/versions", dto=StrictBody[VersionBody], guards=[needs(GROWTH)], opt=ONCE)
async def create_course_version(
    request: ActorRequest, db: NamedDependency[Database], course_id: PathId, data: JSONBody[VersionBody]
) -> Response[CourseVersion]:
    """Say what is taught from now on."""
    cmd = offers.NewVersion(
        lessons=tuple(Lesson(**msgspec.structs.asdict(each)) for each in data.lessons),
        questions=tuple(Question(asks=each.asks, choices=each.choices) for each in data.questions),
        right=tuple(each.right for each in data.questions),
        pass_ppm=data.pass_ppm, valid_days=data.valid_days, wait_days=data.wait_days, supersedes=data.supersedes,
    )  # fmt: skip
    return await once(request, db, offers.add_version, course_id, cmd)


@get(f"{_ONE}/versions/{{version_no:int}}", guards=[needs(STAFF, MERCHANT)])
async def get_course_version(
    request: ActorRequest, db: NamedDependency[Database], course_id: PathId, version_no: PathVersion
) -> CourseVersion:
    """The lessons and questions of a version."""
    async with db.read(request.user.scope) as tx:
        return await store.get_version(tx, course_id, version_no)


@get(f"{_ONE}/effect", guards=[needs(STAFF)])
async def get_course_effect(
    request: ActorRequest, db: NamedDependency[Database], course_id: PathId
) -> CourseEffect:  # fmt: skip
    """Whether merchants that have passed begin to sell sooner than others."""
    async with db.read(request.user.scope) as tx:
        return await weigh_course(tx, course_id, local_date(tx.now, "UTC"))


@get(f"{_ONE}/classes", guards=[needs(STAFF, MERCHANT)])
async def list_classes(request: ActorRequest, db: NamedDependency[Database], course_id: PathId) -> list[ClassDate]:
    """When and where a course is held, the latest first."""
    async with db.read(request.user.scope) as tx:
        await store.get_course(tx, course_id)
        return await store.list_classes(tx, course_id, limit=CLASSES_MAX)


@post(f"{_ONE}/classes", dto=StrictBody[ClassBody], guards=[needs(GROWTH)], opt=ONCE)
async def create_class(
    request: ActorRequest, db: NamedDependency[Database], course_id: PathId, data: JSONBody[ClassBody]
) -> Response[ClassDate]:
    """Hold a course on a date."""
    cmd = offers.NewClass(course_id=course_id, **msgspec.structs.asdict(data))
    return await once(request, db, offers.plan_class, cmd)


@post("/classes/{class_id:int}/cancel", guards=[needs(GROWTH)], status_code=200, opt=ONCE)
async def cancel_class(
    request: ActorRequest, db: NamedDependency[Database], class_id: PathId
) -> Response[ClassDate]:  # fmt: skip
    """Call a class off; whoever has a seat may take another."""
    return await once(request, db, offers.cancel_class, class_id)


@get("/attempts", guards=[needs(STAFF, MERCHANT)])
async def list_attempts(
    request: ActorRequest,
    db: NamedDependency[Database],
    merchant_id: QueryId = None,
    course_id: QueryId = None,
    limit: Limit = LIMIT,
    cursor: Cursor = None,
) -> Page[Attempt]:
    """Who takes which course and what came of it, the newest first."""
    before = decode_cursor(cursor, tuple[int, int])
    wanted = own_or(request.user, merchant_id)
    async with db.read(request.user.scope) as tx:
        rows = await store.list_attempts(
            tx, limit=limit + 1, before=before, merchant_id=wanted, course_id=course_id
        )  # fmt: skip
    return page(rows, limit, lambda row: row, lambda row: (row.attempt_id, row.merchant_id))


@post(
    "/merchants/{merchant_id:int}/attempts", dto=StrictBody[AttemptBody], guards=[needs(MERCHANT)],
    opt={**ONCE, ALSO: (404,)},
)  # fmt: skip
async def begin_attempt(
    request: ActorRequest, db: NamedDependency[Database], merchant_id: PathId, data: JSONBody[AttemptBody]
) -> Response[Attempt]:
    """Begin a course, or take a seat in a class."""
    check_books(request.user, merchant_id)
    cmd = taking.Begin(merchant_id=merchant_id, course_id=data.course_id, class_id=data.class_id)
    return await once(request, db, taking.begin, cmd)


@post(f"{_ATTEMPT}/lessons", dto=StrictBody[LessonRead], guards=[needs(MERCHANT)], status_code=200, opt=ONCE)
async def read_lesson(
    request: ActorRequest,
    db: NamedDependency[Database],
    merchant_id: PathId,
    attempt_id: PathId,
    data: JSONBody[LessonRead],
) -> Response[Attempt]:
    """A lesson was read."""
    check_books(request.user, merchant_id)
    return await once(request, db, taking.read_lesson, merchant_id, attempt_id, data.lesson)


@post(f"{_ATTEMPT}/answers", dto=StrictBody[Answers], guards=[needs(MERCHANT)], status_code=200, opt=ONCE)
async def answer_questions(
    request: ActorRequest,
    db: NamedDependency[Database],
    merchant_id: PathId,
    attempt_id: PathId,
    data: JSONBody[Answers],
) -> Response[Attempt]:
    """Answer all questions, having read all lessons: the attempt is passed or failed."""
    check_books(request.user, merchant_id)
    return await once(request, db, taking.answer, merchant_id, attempt_id, data.answers)


@post(f"{_ATTEMPT}/cancel", guards=[needs(MERCHANT)], status_code=200, opt=ONCE)
async def cancel_attempt(
    request: ActorRequest, db: NamedDependency[Database], merchant_id: PathId, attempt_id: PathId
) -> Response[Attempt]:
    """Give an attempt up, and its seat."""
    check_books(request.user, merchant_id)
    return await once(request, db, taking.cancel, merchant_id, attempt_id)


@post(f"{_ATTEMPT}/mark", dto=StrictBody[Marked], guards=[needs(OPS)], status_code=200, opt=ONCE)
async def mark_attempt(
    request: ActorRequest,
    db: NamedDependency[Database],
    merchant_id: PathId,
    attempt_id: PathId,
    data: JSONBody[Marked],
) -> Response[Attempt]:
    """Say what somebody in class has come to."""
    return await once(request, db, taking.mark, merchant_id, attempt_id, data.score_ppm)


@get("/certificates", guards=[needs(STAFF, MERCHANT)])
async def list_certificates(
    request: ActorRequest,
    db: NamedDependency[Database],
    merchant_id: QueryId = None,
    limit: Limit = LIMIT,
    cursor: Cursor = None,
) -> Page[Certificate]:
    """Certificates, the newest first."""
    before = decode_cursor(cursor, tuple[int, int])
    wanted = own_or(request.user, merchant_id)
    async with db.read(request.user.scope) as tx:
        rows = await store.list_certificates(tx, limit=limit + 1, before=before, merchant_id=wanted)
    return page(rows, limit, lambda row: row, lambda row: (row.attempt_id, row.merchant_id))


@post(
    "/merchants/{merchant_id:int}/certificates/{attempt_id:int}/revoke",
    dto=StrictBody[Revoked],
    guards=[needs(GROWTH)],
    status_code=200,
    opt=ONCE,
)
async def revoke_certificate(
    request: ActorRequest,
    db: NamedDependency[Database],
    merchant_id: PathId,
    attempt_id: PathId,
    data: JSONBody[Revoked],
) -> Response[Certificate]:
    """A certificate counts no more."""
    return await once(request, db, taking.revoke, merchant_id, attempt_id, data.reason)


HANDLERS = [
    list_courses,
    create_course,
    get_course,
    change_course,
    create_course_version,
    get_course_version,
    get_course_effect,
    list_classes,
    create_class,
    cancel_class,
    list_attempts,
    begin_attempt,
    read_lesson,
    answer_questions,
    cancel_attempt,
    mark_attempt,
    list_certificates,
    revoke_certificate,
]
