"""A command called wrongly says so in the form it was asked for."""

from pathlib import Path

import pytest

from tests.ops.commands import marketplace


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (("billing", "run"), "--period"),
        (("billing", "approve", "first"), "'first' is not a valid int"),
        (("billing", "approve"), "RUN"),
        (("settle", "--until", "2018-05-31"), "--until"),
        (("billing", "undo"), "undo"),
        (("sttle",), "sttle"),
    ],
)
def test_wrong_usage_with_json_is_one_json_object(tmp_path: Path, arguments: tuple[str, ...], named: str) -> None:
    answer = marketplace(*arguments, home=tmp_path)
    assert answer.status == 2
    assert answer.value["error"]["code"] == "usage"
    assert named in answer.value["error"]["detail"]
    assert not answer.log
    assert not list(tmp_path.iterdir())
