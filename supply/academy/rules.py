"""How an attempt goes on, what answers are worth, and when a certificate counts. Pure.

open -> passed, failed, missed, cancelled
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from enum import StrEnum

from marketplace.core.errors import Conflict, Invalid
from marketplace.core.rates import PPM
from supply.academy.model import Attempt, AttemptState, Certificate, Course, CourseVersion, Mode, Question

AGAIN_AFTER = frozenset({AttemptState.FAILED, AttemptState.MISSED})
"""After these one waits before another attempt."""


class Move(StrEnum):
    """The first three are the learner's, the last is the trainer's."""

    READ = "read"
    ANSWER = "answer"
    CANCEL = "cancel"
    MARK = "mark"


_MODE_OF = {Move.READ: Mode.ONLINE, Move.ANSWER: Mode.ONLINE, Move.MARK: Mode.IN_CLASS}


def check_move(attempt: Attempt, course: Course, move: Move) -> None:
    """Raise Conflict for an attempt that is over, and for what is not done in such a course."""
    if attempt.state is not AttemptState.OPEN:
        raise Conflict(f"state: the attempt is {attempt.state}", state=attempt.state.value)
    if _MODE_OF.get(move, course.mode) is not course.mode:
        raise Conflict(f"move: {move} is not done in a course that is held {course.mode.replace('_', ' ')}")


def check_content(mode: Mode, lessons: Sequence[str], questions: Sequence[Question], right: Sequence[int]) -> None:
    """Raise Invalid for lessons that are not told apart, a choice that is none, or a course with nothing in it."""
    if len(set(lessons)) < len(lessons):
        raise Invalid("lessons: give each a key of its own", pointer="/lessons")
    if mode is Mode.ONLINE and not lessons:
        raise Invalid("lessons: an online course has at least one", pointer="/lessons")
    if mode is Mode.IN_CLASS and questions:
        raise Invalid("questions: in class the trainer asks", pointer="/questions")
    if len(right) != len(questions):
        raise Invalid("right: name the right choice of each question", pointer="/right")
    for number, (question, choice) in enumerate(zip(questions, right, strict=True)):
        if choice >= len(question.choices):
            raise Invalid(f"right: question {number + 1} has {len(question.choices)} choices", pointer="/right")


def judge(answers: Sequence[int], right: Sequence[int], pass_ppm: int) -> tuple[int, AttemptState]:
    """The score, rounded down, and whether it is enough; where nothing is asked, having read is enough.

    Raises Invalid unless every question is answered.
    """
    if len(answers) != len(right):
        raise Invalid(f"answers: answer all {len(right)} questions", pointer="/answers")
    hits = sum(one == other for one, other in zip(answers, right, strict=True))
    score = hits * PPM // len(right) if right else PPM
    return score, passed(hits * PPM >= pass_ppm * len(right))


def passed(enough: bool) -> AttemptState:
    return AttemptState.PASSED if enough else AttemptState.FAILED


def check_again(last: Attempt | None, version: CourseVersion, at: datetime) -> None:
    """Raise Conflict while an attempt is open, or before another may be made."""
    if last is None:
        return
    if last.state is AttemptState.OPEN:
        raise Conflict(f"course_id: attempt {last.attempt_id} is open", pointer="/course_id")
    if last.state in AGAIN_AFTER and last.ended_at is not None:
        free_at = last.ended_at + timedelta(days=version.wait_days)
        if at < free_at:
            raise Conflict(f"course_id: another attempt may be made from {free_at:%Y-%m-%d %H:%M %Z}")


def expires_at(version: CourseVersion, issued_at: datetime) -> datetime | None:
    return None if version.valid_days is None else issued_at + timedelta(days=version.valid_days)


def counts(certificate: Certificate, course: Course, at: datetime) -> bool:
    """Whether a certificate is worth anything at an instant."""
    alive = certificate.expires_at is None or at < certificate.expires_at
    return alive and certificate.revoked_at is None and certificate.version_no >= course.counts_from
