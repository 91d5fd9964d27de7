"""Message catalogues: every word that a page shows, in the user's language, and numbers in that language's form.

The catalogues are gettext `.po` files with dotted keys, read and compiled in memory at start: there is no build step.
A key that a catalogue does not know raises, and a test compares the catalogues with each other and with their uses.
"""

import io
import re
from collections.abc import Iterable
from datetime import date, datetime, timedelta
from functools import lru_cache
from gettext import GNUTranslations, NullTranslations
from pathlib import Path
from typing import NoReturn
from zoneinfo import ZoneInfo

import msgspec
from babel import Locale, dates, numbers
from babel.messages.catalog import Catalog
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po
from babel.numbers import NumberPattern

from marketplace.core.money import MINOR_DIGITS, text_from_minor
from marketplace.core.months import last_of_month

CATALOGUES = Path(__file__).parent.parent / "locales"
MINUS = "\N{MINUS SIGN}"
_WISHES_MAX = 20
_WEIGHT = re.compile(r"0(\.[0-9]{0,3})?|1(\.0{0,3})?")


class Language(msgspec.Struct, frozen=True):
    """A language that pages speak: `code` as users store it, `tag` as HTML says it, `name` as its speakers write it."""

    code: str
    locale: str
    tag: str
    name: str


LANGUAGES = {
    language.code: language
    for language in (
        Language("en", "en", "en", "English"),
        Language("zh", "zh_Hans_CN", "zh-Hans", "简体中文"),
        Language("pt", "pt_BR", "pt-BR", "Português"),
    )
}
DEFAULT_LANGUAGE = "en"


class _Strict(NullTranslations):
    """What a catalogue falls back to: nothing, loudly."""

    def gettext(self, message: str) -> NoReturn:
        raise KeyError(f"no message {message!r}")

    def ngettext(self, msgid1: str, msgid2: str, n: int) -> NoReturn:
        raise KeyError(f"no message {msgid1!r} with a plural")


class Speech:
    """One language at work: messages, amounts, numbers and dates as its speakers write them."""

    def __init__(self, language: Language, translations: GNUTranslations, known: frozenset[str]) -> None:
        self.language = language
        self.known = known
        self.locale = Locale.parse(language.locale)
        self._translations = translations

    def text(self, key: str, **values: object) -> str:
        """The message `key`, with its {named} places filled."""
        message = self._translations.gettext(key)
        return message.format(**values) if values else message

    def count(self, key: str, number: int, **values: object) -> str:
        """The message `key` in the plural form of `number`, which it shows as {number}."""
        message = self._translations.ngettext(key, f"{key}#", number)
        return message.format(number=self.number(number), **values)

    def label(self, family: str, member: object, **values: object) -> str:
        """The word for one member of a closed family, such as the state of a payout: the message `family.member`."""
        return self.text(f"{family}.{member}", **values)

    def name(self, family: str, member: object) -> str:
        """Like `label`, for a family that data may extend: what no catalogue knows is shown as it is."""
        key = f"{family}.{member}"
        return self.text(key) if key in self.known else str(member).replace("_", " ")

    def amount(self, minor: int, currency: str) -> str:
        """An amount without its currency, for columns that name it once: 1,234.50."""
        digits = MINOR_DIGITS[currency]
        return self._decimal(text_from_minor(abs(minor), currency), digits, negative=minor < 0)

    def money(self, minor: int, currency: str) -> str:
        """An amount with its currency, where it stands alone: R$ 1.234,50."""
        symbol = numbers.get_currency_symbol(currency, locale=self.locale)
        gap = "\N{NO-BREAK SPACE}" if symbol[-1].isalpha() or self.language.code == "pt" else ""
        sign = MINUS if minor < 0 else ""
        return f"{sign}{symbol}{gap}{self.amount(abs(minor), currency)}"

    def signed(self, minor: int, currency: str) -> str:
        """A change of an amount: +12.00, −12.00, 0.00."""
        return ("+" if minor > 0 else "") + self.amount(minor, currency)

    def compact(self, minor: int, currency: str) -> str:
        """A round amount for the axis of a chart: 50K."""
        units = minor // 10 ** MINOR_DIGITS[currency]
        return str(numbers.format_compact_decimal(units, locale=self.locale, fraction_digits=1))

    def number(self, value: int) -> str:
        return self._decimal(str(abs(value)), 0, negative=value < 0)

    def percent(self, ppm: int, digits: int = 1) -> str:
        """A rate of integer parts per million as a percentage: 125000 is 12.5%."""
        scale = 10 ** (4 - digits)
        tenths = (abs(ppm) + scale // 2) // scale
        whole = f"{tenths // 10**digits}.{tenths % 10**digits:0{digits}d}" if digits else str(tenths)
        return self._decimal(whole, digits, negative=ppm < 0 and tenths > 0) + "%"

    def times(self, ppm: int) -> str:
        """A ratio of integer parts per million as a number: 2500000 is 2.50."""
        hundredths = (abs(ppm) + 5_000) // 10_000
        return self._decimal(f"{hundredths // 100}.{hundredths % 100:02}", 2, negative=ppm < 0 and hundredths > 0)

    def change(self, ppm: int) -> str:
        """A relative change with its sign: +12.5%."""
        return ("+" if ppm >= 500 else "") + self.percent(ppm)

    def country(self, code: str) -> str:
        """The name of an ISO 3166-1 alpha-2 code; what is none, and nothing, as it is."""
        return str(self.locale.territories.get(code, code))

    def day(self, on: date) -> str:
        return dates.format_date(on, "medium", self.locale)

    def short_day(self, on: date) -> str:
        """A day within a known year."""
        return dates.format_skeleton("MMMd", on, locale=self.locale)

    def month(self, on: date) -> str:
        return dates.format_skeleton("yMMMM", on, locale=self.locale)

    def period(self, first: date, last: date) -> str:
        """The days from the first to the last: by the month's name where they are a month."""
        if first.day == 1 and last == last_of_month(first):
            return self.month(first)
        return self.text("period", first=self.day(first), last=self.day(last))

    def instant(self, at: datetime, zone: str) -> str:
        """A moment, on the clocks of `zone`."""
        local = at.astimezone(ZoneInfo(zone))
        clock = dates.format_time(local, "short", locale=self.locale)
        return f"{self.day(local.date())} {clock}"

    def last_day(self, end: datetime, zone: str) -> str:
        """The last day of something that lasts until just before `end`, on the clocks of `zone`."""
        return self.day((end - timedelta(microseconds=1)).astimezone(ZoneInfo(zone)).date())

    def _decimal(self, plain: str, digits: int, *, negative: bool) -> str:
        whole, _, fraction = plain.partition(".")
        pattern, point = _grouping(self.language.locale)
        grouped = str(pattern.apply(int(whole), self.locale))
        return (MINUS if negative else "") + grouped + (point + fraction if digits else "")


@lru_cache
def _grouping(locale: str) -> tuple[NumberPattern, str]:
    """How a locale groups thousands, and its decimal point. Fractions are ours: exact digits, never a float."""
    return numbers.parse_pattern("#,##0"), numbers.get_decimal_symbol(locale)


def read_catalogue(code: str) -> Catalog:
    """The messages of one language as they stand in the file. A malformed file raises babel's PoFileError."""
    with (CATALOGUES / f"{code}.po").open("rb") as file:
        return read_po(file, locale=LANGUAGES[code].locale, abort_invalid=True)


@lru_cache
def speech(code: str) -> Speech:
    """The language of this code; an unknown one is English, so that a user's stored choice never breaks a page."""
    language = LANGUAGES.get(code, LANGUAGES[DEFAULT_LANGUAGE])
    catalogue = read_catalogue(language.code)
    compiled = io.BytesIO()
    write_mo(compiled, catalogue)
    compiled.seek(0)
    translations = GNUTranslations(compiled)
    translations.add_fallback(_Strict())
    return Speech(language, translations, frozenset(keys(catalogue)))


def keys(catalogue: Catalog) -> Iterable[str]:
    """The keys of a catalogue; one with a plural is a single key."""
    return (message.id[0] if isinstance(message.id, tuple) else str(message.id) for message in catalogue if message.id)


def negotiate(accept_language: str) -> str:
    """The code of the language a browser asks for first among ours (RFC 9110, section 12.5.4); English if none."""
    ranked: list[tuple[str, str]] = []
    for part in accept_language.split(",")[:_WISHES_MAX]:
        tag, _, weight = part.strip().partition(";q=")
        if _WEIGHT.fullmatch(weight or "1"):
            ranked.append(((weight or "1").ljust(5, "0"), tag.lower().split("-")[0]))
    ranked.sort(key=lambda wish: wish[0], reverse=True)
    wanted = (code for weight, code in ranked if weight.strip("0.") and code in LANGUAGES)
    return next(wanted, DEFAULT_LANGUAGE)
