"""Templates to HTML: one Jinja environment, strict about names, escaping everything, speaking the user's language."""

import hashlib
import re
from datetime import datetime
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import msgspec
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from marketplace.core.money import text_from_minor
from marketplace.web.i18n import LANGUAGES, Speech, speech

TEMPLATES = Path(__file__).parent.parent / "templates"
_STATIC = Path(__file__).parent.parent / "static"
STATIC_TYPES = {".css": "text/css; charset=utf-8", ".svg": "image/svg+xml", ".js": "text/javascript; charset=utf-8"}
PLOTLY = "plotly.min.js"


def _static_files() -> dict[str, Path]:
    """Our own static files by name, and Plotly's script, which is found in its wheel without importing any of it."""
    spec = find_spec("plotly")
    assert spec is not None
    assert spec.origin is not None
    own = {path.name: path for path in _STATIC.iterdir() if path.suffix in STATIC_TYPES}
    return {**own, PLOTLY: Path(spec.origin).parent / "package_data" / PLOTLY}


STATIC = _static_files()

CONTENT_SECURITY_POLICY = (
    "default-src 'self'; object-src 'none'; base-uri 'none'; frame-ancestors 'none'; form-action 'self'"
)


@lru_cache
def environment() -> Environment:
    """The environment of the process; templates are compiled once."""
    made = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
    made.globals |= {"asset": asset, "plotly_style_id": plotly_style_id, "languages": tuple(LANGUAGES.values())}
    return made


def render(template: str, language: str, page: msgspec.Struct, **context: Any) -> str:
    """The template filled with a page, whose fields and properties it sees by name, and the language's vocabulary."""
    fields = {name: getattr(page, name) for name in (*page.__struct_fields__, *_properties(type(page)))}
    return environment().get_template(template).render(**fields, **context, **_vocabulary(speech(language)))


@lru_cache
def _properties(page: type[msgspec.Struct]) -> tuple[str, ...]:
    return tuple(name for name, member in vars(page).items() if isinstance(member, property))


def _vocabulary(say: Speech) -> dict[str, Any]:
    """The verbs of a template, bound to the language; the same names as the methods of Speech.

    zones: on whose clocks the moments are that have been shown so far.
    """
    zones: list[str] = []

    def instant(at: datetime, zone: str) -> str:
        if zone not in zones:
            zones.append(zone)
        return say.instant(at, zone)

    def last_day(end: datetime, zone: str) -> str:
        if zone not in zones:
            zones.append(zone)
        return say.last_day(end, zone)

    return {
        "language": say.language,
        "t": say.text,
        "count": say.count,
        "label": say.label,
        "name_of": say.name,
        "amount": say.amount,
        "plain": text_from_minor,
        "json": lambda value: msgspec.json.encode(value).decode(),
        "money": say.money,
        "signed": say.signed,
        "compact": say.compact,
        "number": say.number,
        "percent": say.percent,
        "times": say.times,
        "change": say.change,
        "day": say.day,
        "short_day": say.short_day,
        "period": say.period,
        "month": say.month,
        "instant": instant,
        "last_day": last_day,
        "zones": zones,
    }


@lru_cache
def asset(name: str) -> str:
    """The address of a static file, with its digest: a changed file is fetched anew, an unchanged one never."""
    digest = hashlib.sha256(STATIC[name].read_bytes()).hexdigest()[:12]
    return f"/static/{name}?v={digest}"


@lru_cache
def plotly_style_id() -> str:
    """The id by which Plotly's script knows that the styles of its maps are there, which it then does not put in."""
    found = re.search(r'getElementById\("([0-9a-f]{64})"\)', STATIC[PLOTLY].read_text())
    assert found is not None
    return found[1]
