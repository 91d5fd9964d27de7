"""The stylesheet and the mark. Their addresses carry a digest of the content, so a browser fetches each once."""

from litestar import Response, get
from litestar.params import FromPath

from marketplace.core.errors import NotFound
from marketplace.web.guards import public
from marketplace.web.templating import STATIC

_TYPES = {".css": "text/css; charset=utf-8", ".svg": "image/svg+xml", ".js": "text/javascript; charset=utf-8"}
_FILES = {path.name: path for path in STATIC.iterdir() if path.suffix in _TYPES}


@get("/static/{name:str}", guards=[public], sync_to_thread=False, include_in_schema=False)
def static_file(name: FromPath[str]) -> Response[bytes]:
    """One of our own static files."""
    path = _FILES.get(name)
    if path is None:
        raise NotFound(f"there is no file {name!r}")
    return Response(
        path.read_bytes(),
        media_type=_TYPES[path.suffix],
        headers={"cache-control": "public, max-age=31536000, immutable"},
    )


PAGES = [static_file]
