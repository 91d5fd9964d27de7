"""Another site cannot write with a visitor's cookie."""

import httpx
import pytest

from marketplace.core import users
from tests.http.conftest import BASE, PASSWORD


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 204),
        ({"sec-fetch-site": "same-origin"}, 204),
        ({"sec-fetch-site": "none"}, 204),
        ({"origin": BASE}, 204),
        ({"sec-fetch-site": "same-origin", "origin": "https://proxy.example"}, 204),
        ({"sec-fetch-site": "cross-site"}, 403),
        ({"sec-fetch-site": "same-site"}, 403),
        ({"sec-fetch-site": "cross-site", "origin": BASE}, 403),
        ({"origin": "https://evil.test"}, 403),
        ({"origin": "null"}, 403),
        ({"origin": f"{BASE}.evil.test"}, 403),
    ],
)
async def test_only_our_own_pages_write_with_a_cookie(
    client: httpx.AsyncClient, anna: users.User, headers: dict[str, str], status: int
) -> None:
    await client.post("/api/v1/session", json={"login": "anna", "password": PASSWORD})
    answer = await client.delete("/api/v1/session", headers=headers)
    assert answer.status_code == status
    if status == 403:
        assert answer.json()["type"] == "/problems/cross-site"
        assert (await client.get("/api/v1/me", headers=headers)).status_code == 200


async def test_another_site_cannot_sign_a_visitor_in(client: httpx.AsyncClient, anna: users.User) -> None:
    answer = await client.post(
        "/api/v1/session", json={"login": "anna", "password": PASSWORD}, headers={"sec-fetch-site": "cross-site"}
    )
    assert answer.status_code == 403
    assert "set-cookie" not in answer.headers
