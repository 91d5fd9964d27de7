"""Log lines: JSON for machines, with the ids of what they belong to, from our modules and from libraries alike."""

import asyncio
import json
import logging
from collections.abc import Iterator

import pytest
import structlog

from marketplace.core.log import bound, configure_logging


@pytest.fixture(autouse=True)
def restored() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    structlog.reset_defaults()


def test_lines_are_json_with_their_ids_in_a_fixed_order(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging(as_json=True)
    with bound(request_id="r1", actor="ann", job_id=None):
        structlog.get_logger("ours").info("placed", order_id=7)
        logging.getLogger("theirs").warning("%d left", 3)
    structlog.get_logger("ours").info("outside")
    captured = capsys.readouterr()
    assert captured.out == ""
    ours, theirs, outside = map(json.loads, captured.err.splitlines())
    assert list(ours)[:4] == ["at", "level", "event", "logger"]
    assert {**ours, "at": ""} == {
        "at": "",
        "level": "info",
        "event": "placed",
        "logger": "ours",
        "request_id": "r1",
        "actor": "ann",
        "order_id": 7,
    }
    assert (theirs["event"], theirs["logger"], theirs["request_id"]) == ("3 left", "theirs", "r1")
    assert "request_id" not in outside


async def test_ids_follow_tasks_and_do_not_leak_between_them(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging(as_json=True)

    async def one(number: int) -> None:
        with bound(request_id=number):
            await asyncio.sleep(0)
            structlog.get_logger().info("line", number=number)

    await asyncio.gather(*(one(number) for number in range(5)))
    lines = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    assert len(lines) == 5
    assert all(line["request_id"] == line["number"] for line in lines)


def test_a_failure_is_one_line_that_holds_its_traceback(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging(as_json=True)
    try:
        raise LookupError("gone")
    except LookupError:
        structlog.get_logger().exception("failed", value={1, 2})
    (line,) = capsys.readouterr().err.splitlines()
    assert "LookupError: gone" in json.loads(line)["exception"]


def test_a_person_reads_no_json(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging(as_json=False)
    structlog.get_logger().info("placed", order_id=7)
    said = capsys.readouterr().err
    assert "placed" in said
    assert not said.startswith("{")


def test_a_persons_traceback_shows_no_local_variables(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging(as_json=False)
    password = f"hunter{1 + 1}"  # not in the source as it is said
    try:
        raise LookupError(f"gone after {len(password)}")
    except LookupError:
        structlog.get_logger().exception("failed")
    said = capsys.readouterr().err
    assert "LookupError: gone after 7" in said
    assert "hunter2" not in said
