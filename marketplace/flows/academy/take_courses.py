"""Process: somebody of a merchant takes a course, and what it has passed counts, also towards going live.

Whoever takes one acts for itself: the actor is the learner. First the merchant's row is held, then the class, then the
attempt.
"""

import msgspec

from marketplace.core import audit
from marketplace.core.db import Tx
from marketplace.core.errors import Conflict, Forbidden, Invalid
from marketplace.core.ids import time_ordered_id
from marketplace.flows.acquisition.onboard_merchant import go_live_if_ready
from supply.academy import store
from supply.academy.model import Attempt, AttemptState, Certificate, Course, CourseVersion, Mode
from supply.academy.rules import Move, check_again, check_move, expires_at, judge, passed
from supply.model import MerchantState
from supply.store import lock_merchant


class Begin(msgspec.Struct, frozen=True, kw_only=True):
    """class_id: the date on which a course in class is taken."""

    merchant_id: int
    course_id: int
    class_id: int | None = None


async def begin(tx: Tx, cmd: Begin) -> Attempt:
    """Begin a course, or take a seat. Raises NotFound, Invalid, Conflict."""
    merchant = await lock_merchant(tx, cmd.merchant_id)
    if merchant.state is MerchantState.CLOSED:
        raise Conflict("state: the merchant is closed", state=merchant.state.value)
    course = await store.get_course(tx, cmd.course_id)
    if not course.active or not course.newest_no:
        raise Conflict("course_id: the course cannot be taken now", pointer="/course_id")
    version = await store.get_version(tx, course.course_id, course.newest_no)
    check_again(await store.last_attempt(tx, cmd.merchant_id, course.course_id, tx.actor), version, tx.now)
    await _take_seat(tx, course, cmd.class_id)
    new = Attempt(
        merchant_id=cmd.merchant_id, attempt_id=time_ordered_id(tx.now), course_id=course.course_id,
        version_no=version.version_no, class_id=cmd.class_id, person=tx.actor, state=AttemptState.OPEN, lessons=[],
        score_ppm=None, begun_at=tx.now, ended_at=None,
    )  # fmt: skip
    return await store.add_attempt(tx, new)


async def _take_seat(tx: Tx, course: Course, class_id: int | None) -> None:
    if (class_id is None) != (course.mode is Mode.ONLINE):
        said = "the course is taken online" if class_id is not None else "say on which date"
        raise Invalid(f"class_id: {said}", pointer="/class_id")
    if class_id is None:
        return
    held = await store.get_class(tx, class_id, lock=True)
    if held.course_id != course.course_id:
        raise Invalid(f"class_id: class {class_id} is of another course", pointer="/class_id")
    if held.cancelled or held.starts_at <= tx.now:
        raise Conflict("class_id: the class is called off or has begun", pointer="/class_id")
    if await store.seats_taken(tx, class_id) >= held.seats:
        raise Conflict("class_id: every seat is taken", pointer="/class_id")


async def read_lesson(tx: Tx, merchant_id: int, attempt_id: int, lesson: str) -> Attempt:
    """A lesson was read; again it changes nothing. Raises NotFound, Forbidden, Conflict, Invalid."""
    held, _, version = await _own(tx, merchant_id, attempt_id, Move.READ)
    if lesson not in {each.key for each in version.lessons}:
        raise Invalid(f"lesson: there is no lesson {lesson!r}", pointer="/lesson")
    if lesson in held.lessons:
        return held
    return await store.read_lesson(tx, held, [*held.lessons, lesson])


async def answer(tx: Tx, merchant_id: int, attempt_id: int, answers: tuple[int, ...]) -> Attempt:
    """Answer all questions at once, having read all lessons. Raises NotFound, Forbidden, Conflict, Invalid."""
    held, course, version = await _own(tx, merchant_id, attempt_id, Move.ANSWER)
    unread = [lesson.title for lesson in version.lessons if lesson.key not in held.lessons]
    if unread:
        raise Conflict(f"state: read first {', '.join(unread)}")
    right = await store.right_answers(tx, course.course_id, version.version_no)
    score, state = judge(answers, right, version.pass_ppm)
    return await _end(tx, held, version, score, state)


async def cancel(tx: Tx, merchant_id: int, attempt_id: int) -> Attempt:
    """Give an attempt up, and its seat before the class begins. Raises NotFound, Forbidden, Conflict."""
    held, _, _ = await _own(tx, merchant_id, attempt_id, Move.CANCEL)
    if held.class_id is not None and (await store.get_class(tx, held.class_id)).starts_at <= tx.now:
        raise Conflict("state: the class has begun")
    return await store.end_attempt(tx, held, AttemptState.CANCELLED)


async def mark(tx: Tx, merchant_id: int, attempt_id: int, score_ppm: int | None) -> Attempt:
    """The trainer says what somebody in class has come to; None: did not come. Raises NotFound, Conflict."""
    held, _, version = await _lock(tx, merchant_id, attempt_id, Move.MARK)
    assert held.class_id is not None
    if (await store.get_class(tx, held.class_id)).starts_at > tx.now:
        raise Conflict("state: the class has not begun")
    await audit.record(tx, "attempt marked", f"attempt:{attempt_id}", merchant_id=merchant_id, score_ppm=score_ppm)
    if score_ppm is None:
        return await store.end_attempt(tx, held, AttemptState.MISSED)
    return await _end(tx, held, version, score_ppm, passed(score_ppm >= version.pass_ppm))


async def revoke(tx: Tx, merchant_id: int, attempt_id: int, reason: str) -> Certificate:
    """A certificate counts no more; who is live stays so. Raises NotFound, Conflict."""
    held = await store.get_certificate(tx, merchant_id, attempt_id, lock=True)
    if held.revoked_at is not None:
        raise Conflict("state: the certificate is revoked already")
    await audit.record(tx, "certificate revoked", f"attempt:{attempt_id}", merchant_id=merchant_id, reason=reason)
    return await store.revoke(tx, held, reason)


async def _own(tx: Tx, merchant_id: int, attempt_id: int, move: Move) -> tuple[Attempt, Course, CourseVersion]:
    found = await _lock(tx, merchant_id, attempt_id, move)
    if found[0].person != tx.actor:
        raise Forbidden("nobody takes a course for another")
    return found


async def _lock(tx: Tx, merchant_id: int, attempt_id: int, move: Move) -> tuple[Attempt, Course, CourseVersion]:
    await lock_merchant(tx, merchant_id)
    held = await store.get_attempt(tx, merchant_id, attempt_id, lock=True)
    course = await store.get_course(tx, held.course_id)
    check_move(held, course, move)
    return held, course, await store.get_version(tx, course.course_id, held.version_no)


async def _end(tx: Tx, held: Attempt, version: CourseVersion, score_ppm: int, state: AttemptState) -> Attempt:
    ended = await store.end_attempt(tx, held, state, score_ppm)
    if state is AttemptState.PASSED:
        new = Certificate(
            merchant_id=held.merchant_id, attempt_id=held.attempt_id, course_id=held.course_id,
            version_no=held.version_no, person=held.person, issued_at=tx.now, expires_at=expires_at(version, tx.now),
            revoked_at=None, revoke_reason="",
        )  # fmt: skip
        await store.add_certificate(tx, new)
        await go_live_if_ready(tx, held.merchant_id)
    return ended
