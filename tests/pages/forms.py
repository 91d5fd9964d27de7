"""Forms as a browser without any script sends them."""

import re

import httpx

from tests.pages.conftest import plain

_FIELD = re.compile(r'<input (?:type="hidden" )?name="([^"]+)"[^>]*?value="([^"]*)"')
_LONG = re.compile(r'<textarea name="([^"]+)"[^>]*>([^<]*)</textarea>')
_CHOICE = re.compile(r'<select name="([^"]+)"[^>]*>(.*?)</select>', re.DOTALL)
_OPTION = re.compile(r'<option value="([^"]*)"( selected)?')


def form(html: str, action: str) -> dict[str, str]:
    """The fields of the form with this action, as a browser would send them; of each choice the chosen, or first."""
    found = re.search(rf'<form method="post" action="{re.escape(action)}".*?</form>', html, re.DOTALL)
    assert found is not None, (action, plain(html))
    chosen = {}
    for name, options in _CHOICE.findall(found[0]):
        given = _OPTION.findall(options)
        chosen[name] = next((value for value, selected in given if selected), given[0][0] if given else "")
    return dict(_FIELD.findall(found[0])) | dict(_LONG.findall(found[0])) | chosen


async def send(browser: httpx.AsyncClient, page: str, action: str, **typed: str) -> httpx.Response:
    """Open a page, fill a form of it in and send it."""
    html = (await browser.get(page)).text
    return await browser.post(action, data={**form(html, action), **typed})
