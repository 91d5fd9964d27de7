"""Every statement on courses, attempts and certificates."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import msgspec
from sqlalchemy import insert, select, tuple_, update
from sqlalchemy.exc import IntegrityError

from marketplace.core import outbox
from marketplace.core.db import Tx
from marketplace.core.errors import Conflict, NotFound
from marketplace.core.rows import edit_row
from supply.academy.model import Attempt, AttemptState, Certificate, ClassDate, Course, CourseVersion, Mode
from supply.academy.tables import attempt, certificate, class_date, course, course_answers, course_version

_COURSE = [course.c[field] for field in Course.__struct_fields__]
_VERSION = [course_version.c[field] for field in CourseVersion.__struct_fields__]
_CLASS = [class_date.c[field] for field in ClassDate.__struct_fields__]
_ATTEMPT = [attempt.c[field] for field in Attempt.__struct_fields__]
_CERTIFICATE = [certificate.c[field] for field in Certificate.__struct_fields__]

COUNTS = """
    c.revoked_at IS NULL AND (c.expires_at IS NULL OR c.expires_at > :at) AND c.version_no >= k.counts_from
"""
"""When a certificate c of a course k counts at an instant, as `rules.counts`."""


async def add_course(tx: Tx, new: Course) -> Course:
    """Raises Conflict for a code in use."""
    try:
        await tx.execute(insert(course), msgspec.structs.asdict(new))
    except IntegrityError as fault:
        raise Conflict(f"code: there is a course {new.code!r} already", pointer="/code") from fault
    return new


async def get_course(tx: Tx, course_id: int, *, lock: bool = False) -> Course:
    """A course, held until the transaction ends when `lock` says so. Raises NotFound."""
    query = select(*_COURSE).where(course.c.course_id == course_id)
    row = await tx.row(query.with_for_update() if lock else query)
    if row is None:
        raise NotFound(f"there is no course {course_id}")
    return _course(row)


async def edit_course(tx: Tx, held: Course, **values: Any) -> Course:
    """Change what is said of a held course."""
    return await edit_row(tx, course, held, **values)


async def list_courses(tx: Tx, *, limit: int, after: str = "") -> list[Course]:
    """At most `limit` courses by code, those behind the code `after`."""
    query = select(*_COURSE).where(course.c.code > after).order_by(course.c.code).limit(limit)
    return [_course(row) for row in await tx.rows(query)]


async def add_version(tx: Tx, new: CourseVersion, right: tuple[int, ...]) -> CourseVersion:
    """Another version of a held course, with the right choice of each question."""
    key = {"course_id": new.course_id, "version_no": new.version_no}
    row = {**msgspec.structs.asdict(new), "lessons": msgspec.to_builtins(new.lessons)}
    row |= {"questions": msgspec.to_builtins(new.questions), "made_by": tx.actor, "made_at": tx.now}
    await tx.execute(insert(course_version), row)
    await tx.execute(insert(course_answers), {**key, "right_choices": list(right)})
    return new


async def get_version(tx: Tx, course_id: int, version_no: int) -> CourseVersion:
    """Raises NotFound."""
    query = select(*_VERSION).where(
        course_version.c.course_id == course_id, course_version.c.version_no == version_no
    )  # fmt: skip
    row = await tx.row(query)
    if row is None:
        raise NotFound(f"course {course_id} has no version {version_no}")
    return msgspec.convert(dict(zip(CourseVersion.__struct_fields__, row, strict=True)), CourseVersion)


async def right_answers(tx: Tx, course_id: int, version_no: int) -> list[int]:
    found: list[int] = await tx.scalar(
        select(course_answers.c.right_choices).where(
            course_answers.c.course_id == course_id, course_answers.c.version_no == version_no
        )
    )
    return found


async def add_class(tx: Tx, new: ClassDate) -> ClassDate:
    await tx.execute(insert(class_date), msgspec.structs.asdict(new))
    return new


async def get_class(tx: Tx, class_id: int, *, lock: bool = False) -> ClassDate:
    """A class, held until the transaction ends when `lock` says so. Raises NotFound."""
    query = select(*_CLASS).where(class_date.c.class_id == class_id)
    row = await tx.row(query.with_for_update() if lock else query)
    if row is None:
        raise NotFound(f"there is no class {class_id}")
    return ClassDate(**row._mapping)


async def list_classes(tx: Tx, course_id: int, *, limit: int, from_at: datetime | None = None) -> list[ClassDate]:
    """At most `limit` classes of a course, the latest first; those that begin at or after from_at."""
    query = select(*_CLASS).where(class_date.c.course_id == course_id)
    if from_at is not None:
        query = query.where(class_date.c.starts_at >= from_at, ~class_date.c.cancelled)
    rows = await tx.rows(query.order_by(class_date.c.starts_at.desc(), class_date.c.class_id.desc()).limit(limit))
    return [ClassDate(**row._mapping) for row in rows]


async def cancel_class(tx: Tx, held: ClassDate) -> ClassDate:
    """A held class does not take place; whoever has a seat in it may take another."""
    await tx.execute(update(class_date).where(class_date.c.class_id == held.class_id).values(cancelled=True))
    rows = await tx.rows(
        select(*_ATTEMPT)
        .where(attempt.c.class_id == held.class_id, attempt.c.state == AttemptState.OPEN)
        .order_by(attempt.c.merchant_id, attempt.c.attempt_id)
        .with_for_update()
    )
    for row in rows:
        await end_attempt(tx, _attempt(row), AttemptState.CANCELLED)
    return msgspec.structs.replace(held, cancelled=True)


async def seats_taken(tx: Tx, class_id: int) -> int:
    """Seats of a held class that are given away."""
    taken: int = await tx.scalar(
        "SELECT count(*) FROM supply.attempt WHERE class_id = :class AND state <> 'cancelled'", **{"class": class_id}
    )
    return taken


async def add_attempt(tx: Tx, new: Attempt) -> Attempt:
    """The merchant's row is held."""
    await tx.execute(insert(attempt), msgspec.structs.asdict(new))
    await _tell(tx, new)
    return new


async def get_attempt(tx: Tx, merchant_id: int, attempt_id: int, *, lock: bool = False) -> Attempt:
    """An attempt, held until the transaction ends when `lock` says so. Raises NotFound."""
    query = select(*_ATTEMPT).where(attempt.c.merchant_id == merchant_id, attempt.c.attempt_id == attempt_id)
    row = await tx.row(query.with_for_update() if lock else query)
    if row is None:
        raise NotFound(f"merchant {merchant_id} has no attempt {attempt_id}")
    return _attempt(row)


async def last_attempt(tx: Tx, merchant_id: int, course_id: int, person: str) -> Attempt | None:
    """The newest attempt of a person at a course."""
    query = select(*_ATTEMPT).where(
        attempt.c.merchant_id == merchant_id, attempt.c.course_id == course_id, attempt.c.person == person
    )
    row = await tx.row(query.order_by(attempt.c.attempt_id.desc()).limit(1))
    return _attempt(row) if row else None


async def read_lesson(tx: Tx, held: Attempt, lessons: list[str]) -> Attempt:
    await tx.execute(_of(held).values(lessons=lessons))
    return msgspec.structs.replace(held, lessons=lessons)


async def end_attempt(tx: Tx, held: Attempt, state: AttemptState, score_ppm: int | None = None) -> Attempt:
    """A held attempt is over."""
    ended = {"state": state, "score_ppm": score_ppm, "ended_at": tx.now}
    await tx.execute(_of(held).values(**ended))
    now = msgspec.structs.replace(held, **ended)
    await _tell(tx, now)
    return now


def _of(held: Attempt) -> Any:
    return update(attempt).where(attempt.c.merchant_id == held.merchant_id, attempt.c.attempt_id == held.attempt_id)


async def list_attempts(
    tx: Tx,
    *,
    limit: int,
    before: tuple[int, int] | None = None,
    merchant_id: int | None = None,
    course_id: int | None = None,
) -> list[Attempt]:
    """At most `limit` attempts, the newest first, those behind (attempt_id, merchant_id)."""
    query = select(*_ATTEMPT)
    for column, value in ((attempt.c.merchant_id, merchant_id), (attempt.c.course_id, course_id)):
        if value is not None:
            query = query.where(column == value)
    if before is not None:
        query = query.where(tuple_(attempt.c.attempt_id, attempt.c.merchant_id) < before)
    rows = await tx.rows(query.order_by(attempt.c.attempt_id.desc(), attempt.c.merchant_id.desc()).limit(limit))
    return [_attempt(row) for row in rows]


async def add_certificate(tx: Tx, new: Certificate) -> Certificate:
    await tx.execute(insert(certificate), msgspec.structs.asdict(new))
    return new


async def get_certificate(tx: Tx, merchant_id: int, attempt_id: int, *, lock: bool = False) -> Certificate:
    """Raises NotFound."""
    query = select(*_CERTIFICATE).where(
        certificate.c.merchant_id == merchant_id, certificate.c.attempt_id == attempt_id
    )
    row = await tx.row(query.with_for_update() if lock else query)
    if row is None:
        raise NotFound(f"merchant {merchant_id} has no certificate of attempt {attempt_id}")
    return Certificate(**row._mapping)


async def revoke(tx: Tx, held: Certificate, reason: str) -> Certificate:
    gone = {"revoked_at": tx.now, "revoke_reason": reason}
    await tx.execute(
        update(certificate)
        .where(certificate.c.merchant_id == held.merchant_id, certificate.c.attempt_id == held.attempt_id)
        .values(**gone)
    )
    told = {"attempt_id": held.attempt_id, "course_id": held.course_id, "person": held.person}
    await outbox.emit(tx, "supply.certificate_revoked.v1", told, merchant_id=held.merchant_id)
    return msgspec.structs.replace(held, **gone)


async def list_certificates(
    tx: Tx, *, limit: int, before: tuple[int, int] | None = None, merchant_id: int | None = None
) -> list[Certificate]:
    """At most `limit` certificates, the newest first, those behind (attempt_id, merchant_id)."""
    query = select(*_CERTIFICATE)
    if merchant_id is not None:
        query = query.where(certificate.c.merchant_id == merchant_id)
    if before is not None:
        query = query.where(tuple_(certificate.c.attempt_id, certificate.c.merchant_id) < before)
    query = query.order_by(certificate.c.attempt_id.desc(), certificate.c.merchant_id.desc())
    return [Certificate(**row._mapping) for row in await tx.rows(query.limit(limit))]


async def certificates_of(tx: Tx, merchant_ids: Sequence[int], course_id: int) -> list[Certificate]:
    """All certificates of a course that people of some merchants have, the newest first."""
    query = select(*_CERTIFICATE).where(
        certificate.c.merchant_id.in_(merchant_ids), certificate.c.course_id == course_id
    )  # fmt: skip
    return [Certificate(**row._mapping) for row in await tx.rows(query.order_by(certificate.c.attempt_id.desc()))]


async def missing_courses(tx: Tx, merchant_id: int) -> list[str]:
    """The titles of required courses that nobody of a merchant has a certificate of that counts now."""
    rows = await tx.rows(
        f"""
        SELECT k.title FROM supply.course k
        WHERE k.required AND k.active AND k.newest_no > 0 AND NOT EXISTS (
            SELECT FROM supply.certificate c
            WHERE c.merchant_id = :merchant AND c.course_id = k.course_id AND {COUNTS})
        ORDER BY k.title
        """,
        merchant=merchant_id,
        at=tx.now,
    )
    return [row.title for row in rows]


async def _tell(tx: Tx, now: Attempt) -> None:
    told = {
        "attempt_id": now.attempt_id, "course_id": now.course_id, "version_no": now.version_no, "person": now.person,
        "state": now.state, "score_ppm": now.score_ppm,
    }  # fmt: skip
    await outbox.emit(tx, "supply.attempt_moved.v1", told, merchant_id=now.merchant_id)


def _course(row: Any) -> Course:
    return Course(**{**row._mapping, "mode": Mode(row.mode)})


def _attempt(row: Any) -> Attempt:
    return Attempt(**{**row._mapping, "state": AttemptState(row.state)})
