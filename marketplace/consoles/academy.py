"""The pages of the academy: courses and who has passed them, for the house; and a course as it is taken."""

from collections.abc import Mapping
from functools import partial
from typing import Any

from litestar import Response, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath, FromQuery

from marketplace.consoles import ops_queries
from marketplace.consoles.academy_queries import COURSES, course_page, taking_page
from marketplace.consoles.deeds import Refused, carry_out, done, number, text
from marketplace.consoles.layout import Nothing, PathId, Place, send
from marketplace.core.clock import local_date
from marketplace.core.db import STAFF as STAFF_SCOPE
from marketplace.core.db import Database, Tx
from marketplace.core.errors import NotFound
from marketplace.core.paging import decode_cursor, encode_cursor
from marketplace.core.rates import PPM
from marketplace.flows.academy import take_courses as taking
from marketplace.web.auth import ActorRequest
from marketplace.web.guards import MERCHANT, STAFF, needs
from supply.academy import store
from supply.academy.model import Mode

_TEXT_MAX = 200


@get(["/academy", "/academy.csv"])
async def courses(request: ActorRequest, db: NamedDependency[Database]) -> Response[Any]:
    """Courses, with how many merchants have passed them."""
    listing = COURSES.asked(request, "/ops/academy", at=db.clock.now())
    if listing.is_file:
        return await listing.as_file(request, db, STAFF_SCOPE)
    async with db.read(STAFF_SCOPE) as tx:
        listing = await listing.page(tx)
    return send(request, "ops/courses.html", Nothing(), "academy", listing=listing)


@get("/academy/{course_id:int}")
async def course(
    request: ActorRequest, db: NamedDependency[Database], course_id: PathId, before: FromQuery[str | None] = None
) -> Response[str]:
    """One course: what it teaches, whether that helps, and who takes it."""
    return await show_course(request, db, course_id, before)


async def show_course(
    request: ActorRequest, db: Database, course_id: int, before: str | None = None, refused: Refused | None = None
) -> Response[str]:
    key = decode_cursor(before, tuple[int, int])
    async with db.read(STAFF_SCOPE) as tx:
        entity = await ops_queries.get_entity(tx, None)
        zone = entity.zone if entity else "UTC"
        page = await course_page(tx, course_id, local_date(tx.now, zone), key)
    cursor = encode_cursor(page.older) if page.older else None
    return send(request, "ops/course.html", page, "academy", refused=refused, cursor=cursor, zone=zone)


@post("/academy/{course_id:int}/{merchant_id:int}/{attempt_id:int}/{deed:str}")
async def change_attempt(
    request: ActorRequest,
    db: NamedDependency[Database],
    course_id: PathId,
    merchant_id: PathId,
    attempt_id: PathId,
    deed: FromPath[str],
) -> Response[Any]:
    """Say what somebody in class has come to, or take a certificate back."""

    async def work(tx: Tx, typed: Mapping[str, str]) -> str:
        if deed == "mark":
            percent = number(typed, "percent", most=100)
            await taking.mark(tx, merchant_id, attempt_id, percent * PPM // 100)
        elif deed == "missed":
            await taking.mark(tx, merchant_id, attempt_id, None)
        elif deed == "revoke":
            await taking.revoke(tx, merchant_id, attempt_id, text(typed, "reason", most=_TEXT_MAX, least=1))
        else:
            raise NotFound(f"nothing is called {deed} here")
        return done(f"/ops/academy/{course_id}", f"attempt_{deed}")

    return await carry_out(
        request, db, work, again=lambda why: show_course(request, db, course_id, refused=why)
    )  # fmt: skip


@get("/courses/{course_id:int}", guards=[needs(MERCHANT, STAFF)])
async def taken_course(
    request: ActorRequest, db: NamedDependency[Database], place: NamedDependency[Place], course_id: PathId
) -> Response[str]:
    """A course: its lessons and questions, or the dates on which it is held."""
    return await show_taken(request, db, place, course_id)


async def show_taken(
    request: ActorRequest, db: Database, place: Place, course_id: int, refused: Refused | None = None
) -> Response[str]:
    async with db.read(place.scope) as tx:
        page = await taking_page(tx, place.merchant_id, course_id, request.user.login)
    return send(
        request, "merchant/course.html", page, "tasks", place, refused,
        may_take=request.user.merchant_id is not None and not request.user.viewing,
    )  # fmt: skip


@post("/courses/{course_id:int}/{deed:str}", guards=[needs(MERCHANT)])
async def take_course(
    request: ActorRequest,
    db: NamedDependency[Database],
    place: NamedDependency[Place],
    course_id: PathId,
    deed: FromPath[str],
) -> Response[Any]:
    """Begin a course, read a lesson, answer the questions, or give it up."""

    async def work(tx: Tx, typed: Mapping[str, str]) -> str:
        said = deed
        if deed == "begin":
            in_class = (await store.get_course(tx, course_id)).mode is Mode.IN_CLASS
            class_id = number(typed, "class_id") if in_class else None
            cmd = taking.Begin(merchant_id=place.merchant_id, course_id=course_id, class_id=class_id)
            await taking.begin(tx, cmd)
        else:
            said = await _go_on(tx, place.merchant_id, course_id, deed, typed)
        return done(f"{place.base}/courses/{course_id}", f"course_{said}")

    return await carry_out(request, db, work, again=partial(show_taken, request, db, place, course_id))


async def _go_on(tx: Tx, merchant_id: int, course_id: int, deed: str, typed: Mapping[str, str]) -> str:
    """Do something with the person's own attempt; the name of what came of it."""
    own = await store.last_attempt(tx, merchant_id, course_id, tx.actor)
    if own is None:
        raise NotFound("the course has not been begun")
    if deed == "read":
        await taking.read_lesson(tx, merchant_id, own.attempt_id, text(typed, "lesson", most=_TEXT_MAX, least=1))
    elif deed == "answer":
        asked = (await store.get_version(tx, course_id, own.version_no)).questions
        answers = tuple(number(typed, f"q{place}", most=len(each.choices) - 1) for place, each in enumerate(asked))
        return (await taking.answer(tx, merchant_id, own.attempt_id, answers)).state
    elif deed == "cancel":
        await taking.cancel(tx, merchant_id, own.attempt_id)
    else:
        raise NotFound(f"nothing is called {deed} here")
    return deed


PAGES = [courses, course, change_attempt]
OF_MERCHANTS = [taken_course]
OWN_DEEDS = [take_course]
"""Only under the merchant's own address: nobody takes a course for another."""
