"""Forms as a browser without any script sends them."""

import re

import httpx

from tests.pages.conftest import plain

_FIELD = re.compile(r'<input (?:type="hidden" )?name="([^"]+)"[^>]*?value="([^"]*)"')
_CHOICE = re.compile(r'<select name="([^"]+)"[^>]*><option value="([^"]*)"')


def form(html: str, action: str) -> dict[str, str]:
    """The fields of the form with this action, as a browser would send them; of each choice the first."""
    found = re.search(rf'<form method="post" action="{re.escape(action)}".*?</form>', html, re.DOTALL)
    assert found is not None, (action, plain(html))
    return dict(_FIELD.findall(found[0])) | dict(_CHOICE.findall(found[0]))


async def send(browser: httpx.AsyncClient, page: str, action: str, **typed: str) -> httpx.Response:
    """Open a page, fill a form of it in and send it."""
    html = (await browser.get(page)).text
    return await browser.post(action, data={**form(html, action), **typed})
