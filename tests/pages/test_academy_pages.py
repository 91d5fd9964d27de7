"""A course is taken by forms alone, marked by its trainer, and content shows what it brought."""

import httpx
import pytest
from playwright.async_api import Browser

from marketplace.core.db import Database
from marketplace.flows.demo.run_demo import PASSWORD
from supply.academy.model import Attempt, Course
from tests.pages.academy_market import add_content, add_courses
from tests.pages.conftest import CHROMIUM, SignIn, plain
from tests.pages.forms import send
from tests.pages.test_browser import looks_right


@pytest.fixture(scope="module", autouse=True)
async def courses(market: Database) -> tuple[Course, Attempt]:
    await add_content(market)
    return await add_courses(market)


async def followed(browser: httpx.AsyncClient, answer: httpx.Response) -> str:
    assert answer.status_code == 303, plain(answer.text)
    return plain((await browser.get(answer.headers["location"])).text)


async def test_a_merchant_takes_a_course_without_any_script(courses: tuple[Course, Attempt], sign_in: SignIn) -> None:
    merchant, here = await sign_in("merchant"), f"/merchant/courses/{courses[0].course_id}"
    tasks = plain((await merchant.get("/merchant/tasks")).text)
    assert "Take the course “First steps start”" in tasks
    begun = await followed(merchant, await send(merchant, here, f"{here}/begin"))
    assert "You have begun the course." in begun
    assert "Read all lessons first" in begun
    for lesson in ("ship", "talk"):
        shown = await followed(merchant, await send(merchant, here, f"{here}/read", lesson=lesson))
    assert "How to pack?" in shown
    answered = await followed(merchant, await send(merchant, here, f"{here}/answer", q0="0", q1="1"))
    assert "You have passed." in answered
    tasks = plain((await merchant.get("/merchant/tasks")).text)
    assert "Take the course" not in tasks
    assert "valid until" in tasks
    ops = await sign_in("ops")
    listed = plain((await ops.get("/ops/academy")).text)
    assert "First steps start Online Yes 1 1 0 0" in listed
    as_staff = await ops.get(f"/books/1/courses/{courses[0].course_id}")
    assert (as_staff.status_code, "Begin" in plain(as_staff.text)) == (200, False)


async def test_a_trainer_marks_a_class_and_takes_a_certificate_back(
    courses: tuple[Course, Attempt], sign_in: SignIn
) -> None:
    ops, attempt = await sign_in("ops"), courses[1]
    here = f"/ops/academy/{attempt.course_id}"
    one = f"{here}/{attempt.merchant_id}/{attempt.attempt_id}"
    refused = await send(ops, here, f"{one}/mark", percent="101")
    assert (refused.status_code, "must be a whole number from 0 to 100" in plain(refused.text)) == (422, True)
    marked = await followed(ops, await send(ops, here, f"{one}/mark", percent="90"))
    assert "It is marked." in marked
    assert "passed 90.0%" in marked
    revoked = await followed(ops, await send(ops, here, f"{one}/revoke", reason="was <not> there"))
    assert "revoked was &lt;not&gt; there" in revoked


async def test_content_shows_what_each_piece_brought(sign_in: SignIn) -> None:
    shown = plain((await (await sign_in("ops")).get("/ops/content")).text)
    assert "Email 400 25.0% 1.3% 1 1 0 0" in shown
    assert "How to &lt;sell&gt;" in shown
    assert "City &lt;press&gt;" in shown


@pytest.mark.browser
@pytest.mark.skipif(CHROMIUM is None, reason="NO BROWSER TESTED: install chromium (apt-get install chromium)")
async def test_the_pages_look_right(address: str, browser: Browser, courses: tuple[Course, Attempt]) -> None:
    course_id = courses[0].course_id
    for login, paths in (
        ("ops", ("/ops/academy", f"/ops/academy/{courses[1].course_id}", "/ops/content")),
        (
            "merchant",
            ("/merchant/tasks", f"/merchant/courses/{course_id}", f"/merchant/courses/{courses[1].course_id}"),
        ),
    ):
        context = await browser.new_context(color_scheme="dark" if login == "ops" else "light")
        page = await context.new_page()
        await page.goto(f"{address}/")
        await page.locator("input[name=login]:visible").fill(login)
        await page.locator("input[type=password]").fill(PASSWORD)
        await page.locator("button.primary").click()
        await page.wait_for_url(f"{address}/{login}")
        for path in paths:
            await page.goto(f"{address}{path}")
            await looks_right(page)
        await context.close()
