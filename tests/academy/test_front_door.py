"""The academy over HTTP: a course is offered, taken by one merchant, and nothing of it is another's to see."""

from collections.abc import Awaitable, Callable
from typing import Any

import httpx
import pytest

from marketplace.core.db import Database
from tests.http.market import ALPHA, BETA, add_small_market, done, send
from tests.http.plausible_academy import LESSON, QUESTION

Make = Callable[..., Awaitable[httpx.AsyncClient]]


@pytest.fixture
async def course(db: Database, caller: Make) -> Any:
    await add_small_market(db)
    greta = await caller("greta", "growth")
    made = await done(greta, "/courses", {"code": "start", "title": "Start", "mode": "online", "required": True})
    version = {"lessons": [LESSON], "questions": [QUESTION], "valid_days": 30}
    taught = await done(greta, f"/courses/{made['course_id']}/versions", version)
    assert "right" not in str(taught)
    return made


async def test_a_course_is_taken_over_http(course: Any, caller: Make) -> None:
    alice = await caller("alice", "merchant_cashier", merchant_id=ALPHA)
    listed = (await alice.get("/api/v1/courses")).json()["items"]
    assert [each["code"] for each in listed] == ["start"]
    path = f"/courses/{course['course_id']}/versions/{listed[0]['newest_no']}"
    [question] = (await alice.get(f"/api/v1{path}")).json()["questions"]
    assert set(question) == {"asks", "choices"}  # which is right is not told
    begun = await done(alice, f"/merchants/{ALPHA}/attempts", {"course_id": course["course_id"]})
    attempt = f"/merchants/{ALPHA}/attempts/{begun['attempt_id']}"
    assert (await send(alice, f"{attempt}/answers", {"answers": [0]})).status_code == 409
    assert (await done(alice, f"{attempt}/lessons", {"lesson": "ship"}))["lessons"] == ["ship"]
    assert (await done(alice, f"{attempt}/answers", {"answers": [0]}))["state"] == "passed"
    [held] = (await alice.get("/api/v1/certificates")).json()["items"]
    assert (held["person"], held["expires_at"][:10]) == ("alice", "2018-10-03")
    greta = await caller("another of growth", "growth")
    revoked = await done(
        greta, f"/merchants/{ALPHA}/certificates/{begun['attempt_id']}/revoke", {"reason": "not her own"}
    )
    assert revoked["revoke_reason"] == "not her own"
    checklist = (await alice.get(f"/api/v1/merchants/{ALPHA}/onboarding")).json()
    assert next(each for each in checklist["items"] if each["key"] == "courses")["missing"] == "to be passed: Start"


async def test_one_merchant_sees_and_does_nothing_of_another(course: Any, caller: Make) -> None:
    bert = await caller("bert", "merchant_owner", merchant_id=BETA)
    begun = await done(bert, f"/merchants/{BETA}/attempts", {"course_id": course["course_id"]})
    alice = await caller("alice", "merchant_owner", merchant_id=ALPHA)
    assert (await alice.get("/api/v1/attempts")).json()["items"] == []
    assert (await alice.get("/api/v1/attempts", params={"merchant_id": BETA})).status_code == 404
    for whose in (ALPHA, BETA):
        for deed, body in (("lessons", {"lesson": "ship"}), ("answers", {"answers": [0]}), ("cancel", None)):
            path = f"/merchants/{whose}/attempts/{begun['attempt_id']}/{deed}"
            assert (await send(alice, path, body)).status_code == 404
    assert (await send(alice, f"/merchants/{BETA}/attempts", {"course_id": course["course_id"]})).status_code == 404
    [own] = (await bert.get("/api/v1/attempts")).json()["items"]
    assert (own["state"], own["lessons"]) == ("open", [])


async def test_a_class_is_planned_for_what_is_held_in_class(course: Any, caller: Make) -> None:
    greta = await caller("gus", "growth")
    plan = {"starts_at": "2018-09-20T10:00:00Z", "place": "Bonn", "trainer": "Tess", "seats": 2}
    assert (await send(greta, f"/courses/{course['course_id']}/classes", plan)).status_code == 409
    made = await done(greta, "/courses", {"code": "till", "title": "Till", "mode": "in_class"})
    path = f"/courses/{made['course_id']}"
    past = await send(greta, f"{path}/classes", {**plan, "starts_at": "2018-09-01T10:00:00Z"})
    assert (past.status_code, past.json()["errors"][0]["pointer"]) == (422, "/starts_at")
    planned = await done(greta, f"{path}/classes", plan)
    assert [each["seats"] for each in (await greta.get(f"/api/v1{path}/classes")).json()] == [2]
    assert (await done(greta, f"/classes/{planned['class_id']}/cancel"))["cancelled"]
    edited = await greta.patch(f"/api/v1{path}", json={"active": False}, headers={"If-Match": '"1"'})
    assert (edited.status_code, edited.json()["active"]) == (200, False)
    assert (await greta.get(f"/api/v1{path}/effect")).json()["passed_ppm"] is None
