"""What answers are worth, when one may try again, and when a certificate counts."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from marketplace.core.errors import Conflict, Invalid
from marketplace.core.rates import PPM
from supply.academy.model import Attempt, AttemptState, Certificate, Course, CourseVersion, Mode
from supply.academy.rules import Move, check_again, check_content, check_move, counts, judge
from tests.academy.market import QUESTIONS
from tests.conftest import NOW

COURSE = Course(
    course_id=1, code="c", title="C", mode=Mode.ONLINE, required=False, active=True, newest_no=2, counts_from=1,
    version=1,
)  # fmt: skip
VERSION = CourseVersion(
    course_id=1, version_no=1, lessons=(), questions=(), pass_ppm=500_000, valid_days=10, wait_days=2
)  # fmt: skip


def attempt(state: AttemptState) -> Attempt:
    return Attempt(
        merchant_id=1, attempt_id=5, course_id=1, version_no=1, class_id=None, person="ann", state=state, lessons=[],
        score_ppm=None, begun_at=NOW, ended_at=None if state is AttemptState.OPEN else NOW,
    )  # fmt: skip


@given(st.lists(st.integers(0, 2), max_size=12), st.data(), st.integers(0, PPM))
def test_an_attempt_is_passed_exactly_when_enough_answers_are_right(
    right: list[int], data: st.DataObject, pass_ppm: int
) -> None:
    answers = data.draw(st.lists(st.integers(0, 2), min_size=len(right), max_size=len(right)))
    hits = sum(one == other for one, other in zip(answers, right, strict=True))
    score, state = judge(answers, right, pass_ppm)
    share = hits / len(right) if right else 1.0
    assert score == int(share * PPM + 1e-6)
    assert (state is AttemptState.PASSED) is (not right or hits * PPM >= pass_ppm * len(right))
    with pytest.raises(Invalid, match="answer all"):
        judge([*answers, 0], right, pass_ppm)


def test_two_of_three_pass_where_two_thirds_are_asked_for() -> None:
    assert judge([0, 0, 1], [0, 0, 0], 666_666) == (666_666, AttemptState.PASSED)
    assert judge([0, 0, 1], [0, 0, 0], 666_667) == (666_666, AttemptState.FAILED)


def test_what_is_over_stays_so_and_each_course_has_its_own_moves() -> None:
    for state in AttemptState:
        for move in Move:
            allowed = state is AttemptState.OPEN and move is not Move.MARK
            if allowed:
                check_move(attempt(state), COURSE, move)
            else:
                with pytest.raises(Conflict):
                    check_move(attempt(state), COURSE, move)


def test_who_has_failed_waits_and_who_has_passed_or_gave_up_does_not() -> None:
    check_again(None, VERSION, NOW)
    with pytest.raises(Conflict, match="attempt 5 is open"):
        check_again(attempt(AttemptState.OPEN), VERSION, NOW)
    for state in (AttemptState.FAILED, AttemptState.MISSED):
        with pytest.raises(Conflict, match="from 2018-09-05"):
            check_again(attempt(state), VERSION, NOW + timedelta(days=2, seconds=-1))
        check_again(attempt(state), VERSION, NOW + timedelta(days=2))
    for state in (AttemptState.PASSED, AttemptState.CANCELLED):
        check_again(attempt(state), VERSION, NOW)


def test_a_certificate_counts_until_it_ends_is_revoked_or_its_version_is_superseded() -> None:
    held = Certificate(
        merchant_id=1, attempt_id=5, course_id=1, version_no=1, person="ann", issued_at=NOW,
        expires_at=NOW + timedelta(days=1), revoked_at=None, revoke_reason="",
    )  # fmt: skip
    assert counts(held, COURSE, NOW + timedelta(days=1, seconds=-1))
    assert not counts(held, COURSE, NOW + timedelta(days=1))
    assert counts(replace(held, expires_at=None), COURSE, NOW + timedelta(days=9_999))
    assert not counts(replace(held, revoked_at=NOW), COURSE, NOW)
    assert not counts(held, replace(COURSE, counts_from=2), NOW)


def test_what_is_taught_is_complete() -> None:
    check_content(Mode.ONLINE, ["a"], QUESTIONS, (0, 1))
    check_content(Mode.IN_CLASS, [], (), ())
    for mode, lessons, questions, right, why in (
        (Mode.ONLINE, ["a", "a"], (), (), "a key of its own"),
        (Mode.ONLINE, [], (), (), "at least one"),
        (Mode.IN_CLASS, [], QUESTIONS, (0, 1), "the trainer asks"),
        (Mode.ONLINE, ["a"], QUESTIONS, (0,), "the right choice of each"),
        (Mode.ONLINE, ["a"], QUESTIONS, (0, 2), "question 2 has 2 choices"),
    ):
        with pytest.raises(Invalid, match=why):
            check_content(mode, lessons, questions, right)
