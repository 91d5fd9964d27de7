"""The API's description: the committed one, and one that the application keeps to."""

import os
import subprocess
import sys
from pathlib import Path

import httpx
import msgspec
import pytest
from litestar import Litestar

SNAPSHOT = Path(__file__).parent / "openapi.json"


def pretty(description: bytes) -> str:
    return msgspec.json.format(description, indent=1).decode() + "\n"


async def test_the_description_is_the_committed_one(client: httpx.AsyncClient) -> None:
    """A change of the API shows in review. To accept it: python -m tests.http.test_description."""
    answer = await client.get("/openapi.json")
    assert pretty(answer.content) == SNAPSHOT.read_text()


_DESCRIBE = """
from pathlib import Path
from marketplace.app import create_app
from marketplace.settings import Settings
print(create_app(Settings(home=Path())).state["openapi"].decode())
"""


@pytest.mark.parametrize("seed", ["0", "1"])
def test_the_description_does_not_depend_on_the_order_of_sets(seed: str) -> None:
    ran = subprocess.run(
        [sys.executable, "-c", _DESCRIBE], check=True, capture_output=True, env={**os.environ, "PYTHONHASHSEED": seed}
    )
    assert pretty(ran.stdout) == SNAPSHOT.read_text()


async def test_every_operation_has_a_name_of_its_own_a_text_and_its_refusals(app: Litestar) -> None:
    description = msgspec.json.decode(app.state["openapi"])
    operations = [operation for path in description["paths"].values() for operation in path.values()]
    assert len({operation["operationId"] for operation in operations}) == len(operations)
    for operation in operations:
        assert operation["description"]
        assert "500" in operation["responses"]
        is_public = operation.get("security") == []
        assert ("x-roles" in operation) is not is_public


@pytest.mark.parametrize("word", ["password_hash", "secret_hash", "token_hash"])
async def test_no_secret_is_described(app: Litestar, word: str) -> None:
    assert word not in app.state["openapi"].decode()


if __name__ == "__main__":
    from marketplace.app import create_app
    from marketplace.settings import Settings

    SNAPSHOT.write_text(pretty(create_app(Settings(home=Path())).state["openapi"]))
