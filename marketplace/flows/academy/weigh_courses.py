"""Process: whether merchants that have passed a course sell sooner than others of their region and month.

A landmark is looked back from, so that who sold early has no more time to learn than others: of the merchants that had
sold nothing on that day after they joined, those that had passed by then are held against those that had not.
"""

from datetime import date, timedelta

import msgspec

from marketplace.core.db import Tx
from marketplace.core.rates import PPM, divide_half_even
from supply.academy import store

LANDMARK_DAYS = 14
WINDOW_DAYS = 28


class CourseEffect(msgspec.Struct, frozen=True, kw_only=True):
    """passed, others: merchants on both sides in cells of region and month that have both; active: of them, those that
    delivered an order in the window. The others' rate is weighted as those who passed are spread over the cells; rates
    are in parts per million, None where nobody can be compared. unmatched: who passed in cells without others.
    """

    course_id: int
    landmark_days: int
    window_days: int
    passed: int
    passed_active: int
    others: int
    others_active: int
    unmatched: int
    passed_ppm: int | None
    others_ppm: int | None


async def weigh_course(tx: Tx, course_id: int, on: date) -> CourseEffect:
    """Of merchants whose window was over on a day. Raises NotFound."""
    await store.get_course(tx, course_id)
    cells = await tx.rows(
        _CELLS,
        course=course_id,
        landmark=LANDMARK_DAYS,
        window=LANDMARK_DAYS + WINDOW_DAYS,
        joined_by=on - timedelta(days=LANDMARK_DAYS + WINDOW_DAYS),
    )
    both = [cell for cell in cells if cell.passed and cell.others]
    passed = sum(cell.passed for cell in both)
    active = sum(cell.passed_active for cell in both)
    weighted = sum(divide_half_even(cell.passed * cell.others_active * PPM, cell.others) for cell in both)
    return CourseEffect(
        course_id=course_id,
        landmark_days=LANDMARK_DAYS,
        window_days=WINDOW_DAYS,
        passed=passed,
        passed_active=active,
        others=sum(cell.others for cell in both),
        others_active=sum(cell.others_active for cell in both),
        unmatched=sum(cell.passed for cell in cells) - passed,
        passed_ppm=divide_half_even(active * PPM, passed) if passed else None,
        others_ppm=divide_half_even(weighted, passed) if passed else None,
    )


_CELLS = """
    WITH learner AS (
        SELECT merchant_id, min(issued_at)::date AS on_day FROM supply.certificate
        WHERE course_id = :course GROUP BY merchant_id
    ), merchant AS (
        SELECT m.region, date_trunc('month', m.joined_on) AS month,
               coalesce(l.on_day <= m.joined_on + CAST(:landmark AS integer), false) AS passed,
               coalesce(o.on_day <= m.joined_on + CAST(:window AS integer), false) AS active
        FROM supply.merchant m
        LEFT JOIN LATERAL (
            SELECT min(d.delivered_on) AS on_day FROM demand.merchant_order d
            WHERE d.merchant_id = m.merchant_id AND d.delivered_on IS NOT NULL
        ) o ON true
        LEFT JOIN learner l ON l.merchant_id = m.merchant_id
        WHERE m.joined_on <= :joined_by AND coalesce(o.on_day > m.joined_on + CAST(:landmark AS integer), true)
    )
    SELECT region, month, count(*) FILTER (WHERE passed) AS passed, count(*) FILTER (WHERE NOT passed) AS others,
           count(*) FILTER (WHERE passed AND active) AS passed_active,
           count(*) FILTER (WHERE NOT passed AND active) AS others_active
    FROM merchant GROUP BY region, month ORDER BY region, month
"""
