"""What the academy speaks of. Pure. Scores are parts per million of what could be had."""

from datetime import datetime
from enum import StrEnum

import msgspec


class Mode(StrEnum):
    """Online, a course is read and its questions are answered; in class, a trainer says who has passed."""

    ONLINE = "online"
    IN_CLASS = "in_class"


class AttemptState(StrEnum):
    OPEN = "open"
    PASSED = "passed"
    FAILED = "failed"
    MISSED = "missed"
    CANCELLED = "cancelled"


class Course(msgspec.Struct, frozen=True, kw_only=True):
    """required: no merchant goes live without it. newest_no: the version that is taken now, 0 while there is none.

    counts_from: certificates of earlier versions count no more.
    """

    course_id: int
    code: str
    title: str
    mode: Mode
    required: bool
    active: bool
    newest_no: int
    counts_from: int
    version: int


class Lesson(msgspec.Struct, frozen=True, kw_only=True):
    key: str
    title: str
    text: str


class Question(msgspec.Struct, frozen=True, kw_only=True):
    """Which choice is right is kept apart, where no merchant can read it."""

    asks: str
    choices: tuple[str, ...]


class CourseVersion(msgspec.Struct, frozen=True, kw_only=True):
    """What is taught; it never changes. valid_days: how long a certificate counts, None for ever.

    wait_days: how long who has failed or not come waits before another attempt.
    """

    course_id: int
    version_no: int
    lessons: tuple[Lesson, ...]
    questions: tuple[Question, ...]
    pass_ppm: int
    valid_days: int | None
    wait_days: int


class ClassDate(msgspec.Struct, frozen=True, kw_only=True):
    """When and where a course is held."""

    class_id: int
    course_id: int
    starts_at: datetime
    place: str
    trainer: str
    seats: int
    cancelled: bool


class Attempt(msgspec.Struct, frozen=True, kw_only=True):
    """Somebody of a merchant takes a version of a course. person: the login. lessons: the keys of those that were read.

    score_ppm: of an attempt that was judged.
    """

    merchant_id: int
    attempt_id: int
    course_id: int
    version_no: int
    class_id: int | None
    person: str
    state: AttemptState
    lessons: list[str]
    score_ppm: int | None
    begun_at: datetime
    ended_at: datetime | None


class Certificate(msgspec.Struct, frozen=True, kw_only=True):
    """What a passed attempt is worth: it counts from issued_at until expires_at (None: for ever), unless revoked."""

    merchant_id: int
    attempt_id: int
    course_id: int
    version_no: int
    person: str
    issued_at: datetime
    expires_at: datetime | None
    revoked_at: datetime | None
    revoke_reason: str
