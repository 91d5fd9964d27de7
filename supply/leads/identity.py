"""By what two leads are known to be the same: tax id, telephone number, or name and place. Pure.

Keys are for comparing only; what people wrote is kept as they wrote it.
"""

import unicodedata

_PHONE_DIGITS = 9
"""So many last digits are compared: what stands before is written with and without the country's code."""
_PHONE_DIGITS_MIN = 6
_LEGAL_FORMS = frozenset(
    {"ag", "bv", "co", "corp", "eireli", "gmbh", "inc", "kg", "limited", "llc", "ltd", "ltda", "me", "mei", "sa", "sl",
     "srl"}
)  # fmt: skip
_LEGAL_ENDINGS = ("有限责任公司", "股份有限公司", "有限公司")


def tax_key(tax_id: str) -> str | None:
    """Letters and digits alone; None for an empty one."""
    return "".join(character for character in tax_id.upper() if character.isalnum()) or None


def phone_key(phone: str) -> str | None:
    """The last digits; None for what is too short to tell anybody by."""
    digits = "".join(character for character in phone if character.isdecimal() and character.isascii())
    return digits[-_PHONE_DIGITS:] if len(digits) >= _PHONE_DIGITS_MIN else None


def plain(text: str) -> str:
    """A text without case, accents and punctuation, words apart by one space."""
    letters = unicodedata.normalize("NFKD", text.casefold())
    kept = "".join(c if c.isalnum() else " " for c in letters if not unicodedata.combining(c))
    return " ".join(kept.split())


def name_key(company: str) -> str:
    """A company's name without its legal form: "Loja São João Ltda." is "loja sao joao"."""
    name = plain(company.replace(".", ""))
    for ending in _LEGAL_ENDINGS:
        name = name.removesuffix(ending)
    words = name.split()
    while len(words) > 1 and words[-1] in _LEGAL_FORMS:
        words.pop()
    return " ".join(words)


def place_key(company: str, city: str, region: str) -> str | None:
    """Name and place together; None without a place, because names alone are shared by strangers."""
    name, place = name_key(company), (plain(city), plain(region))
    return "|".join((name, *place)) if name and place[0] else None
