"""Templates to HTML: one Jinja environment, strict about names, escaping everything, speaking the user's language."""

import hashlib
from functools import lru_cache
from pathlib import Path
from typing import Any

import msgspec
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from marketplace.core.money import text_from_minor
from marketplace.web.i18n import LANGUAGES, Speech, speech

TEMPLATES = Path(__file__).parent.parent / "templates"
STATIC = Path(__file__).parent.parent / "static"

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
    made.globals |= {"asset": asset, "languages": tuple(LANGUAGES.values())}
    return made


def render(template: str, language: str, page: msgspec.Struct, **context: Any) -> str:
    """The template filled with a page, whose fields and properties it sees by name, and the language's vocabulary."""
    fields = {name: getattr(page, name) for name in (*page.__struct_fields__, *_properties(type(page)))}
    return environment().get_template(template).render(**fields, **context, **_vocabulary(speech(language)))


@lru_cache
def _properties(page: type[msgspec.Struct]) -> tuple[str, ...]:
    return tuple(name for name, member in vars(page).items() if isinstance(member, property))


def _vocabulary(say: Speech) -> dict[str, Any]:
    """The verbs of a template, bound to the language; the same names as the methods of Speech."""
    return {
        "language": say.language,
        "t": say.text,
        "count": say.count,
        "label": say.label,
        "name_of": say.name,
        "amount": say.amount,
        "plain": text_from_minor,
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
        "instant": say.instant,
    }


@lru_cache
def asset(name: str) -> str:
    """The address of a static file, with its digest: a changed file is fetched anew, an unchanged one never."""
    digest = hashlib.sha256((STATIC / name).read_bytes()).hexdigest()[:12]
    return f"/static/{name}?v={digest}"
