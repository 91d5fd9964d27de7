"""A merchant's bank account: how its number is checked, and the life of a change. Pure.

    proposed -> verified -> cooling -> active -> replaced
    rejected from every state but replaced, cancelled until it is active

Who proposes does not approve, and whoever vouched for the account does not either. Between approval and the first
payout to it lies COOL_DOWN: a thief who changes where the money goes is found out in that time. The account before
stays active until then.
"""

import re
from datetime import datetime, timedelta
from enum import StrEnum

import msgspec

from marketplace.core.errors import Conflict, Invalid

COOL_DOWN = timedelta(days=3)
"""From the second person's approval until money goes to the account."""

TRIES_MAX = 3
"""Wrong codes after which the account is rejected."""

NUMBER_LENGTH_MAX = 34

_IBAN_LENGTHS = {
    "AD": 24, "AE": 23, "AT": 20, "BE": 16, "BG": 22, "BR": 29, "CH": 21, "CY": 28, "CZ": 24, "DE": 22, "DK": 18,
    "EE": 20, "ES": 24, "FI": 18, "FR": 27, "GB": 22, "GR": 27, "HR": 21, "HU": 28, "IE": 22, "IS": 26, "IT": 27,
    "LI": 21, "LT": 20, "LU": 20, "LV": 21, "MC": 27, "MT": 31, "NL": 18, "NO": 15, "PL": 28, "PT": 25, "RO": 24,
    "SA": 24, "SE": 24, "SI": 19, "SK": 24, "SM": 27, "TR": 26,
}  # fmt: skip
"""Characters of an IBAN by country (ISO 13616 registry), for the countries that are common here."""


class Scheme(StrEnum):
    IBAN = "iban"
    OTHER = "other"


class AccountState(StrEnum):
    PROPOSED = "proposed"
    VERIFIED = "verified"
    COOLING = "cooling"
    ACTIVE = "active"
    REJECTED = "rejected"
    REPLACED = "replaced"
    CANCELLED = "cancelled"


class Method(StrEnum):
    """How the account was shown to be the merchant's: a code that came with a small transfer, or a document."""

    MICRO_TRANSFER = "micro_transfer"
    DOCUMENT = "document"


class BankAccount(msgspec.Struct, frozen=True, kw_only=True):
    """A bank account as people see it: of its number the last four characters. tries: wrong codes so far."""

    merchant_id: int
    account_id: int
    currency: str
    holder: str
    scheme: Scheme
    masked: str
    state: AccountState
    proposed_by: str
    proposed_at: datetime
    tries: int
    method: Method | None
    verified_by: str | None
    verified_at: datetime | None
    approved_by: str | None
    approved_at: datetime | None
    active_from: datetime | None
    reason: str
    version: int


_S = AccountState

MOVES: dict[AccountState, frozenset[AccountState]] = {
    _S.PROPOSED: frozenset({_S.VERIFIED, _S.REJECTED, _S.CANCELLED}),
    _S.VERIFIED: frozenset({_S.COOLING, _S.REJECTED, _S.CANCELLED}),
    _S.COOLING: frozenset({_S.ACTIVE, _S.REJECTED, _S.CANCELLED}),
    _S.ACTIVE: frozenset({_S.REPLACED, _S.REJECTED}),
    _S.REJECTED: frozenset(),
    _S.REPLACED: frozenset(),
    _S.CANCELLED: frozenset(),
}


def check_move(now: AccountState, then: AccountState) -> None:
    """Raise Conflict when an account in state `now` cannot become `then`."""
    if then not in MOVES[now]:
        raise Conflict(f"state: the bank account is {now}; it cannot become {then}", state=now.value)


def checked_iban(text: str) -> str:
    """The IBAN without its spaces, in capitals.

    Raises Invalid unless it has the length of its country (where that is known) and the check digits are right:
    moved to the end with the country and read with A = 10 … Z = 35, the number leaves 1 modulo 97 (ISO 7064).
    """
    iban = re.sub(r"[ \u00a0-]", "", text).upper()
    if not re.fullmatch(r"[A-Z]{2}[0-9]{2}[A-Z0-9]{11,30}", iban):
        raise Invalid("number: an IBAN is a country, two check digits and 11 to 30 characters", pointer="/number")
    length = _IBAN_LENGTHS.get(iban[:2])
    if length is not None and len(iban) != length:
        raise Invalid(f"number: an IBAN of {iban[:2]} has {length} characters, not {len(iban)}", pointer="/number")
    if not 2 <= int(iban[2:4]) <= 98 or int("".join(str(int(char, 36)) for char in iban[4:] + iban[:4])) % 97 != 1:
        raise Invalid("number: the check digits do not fit the rest of it", pointer="/number")
    return iban


def checked_number(scheme: Scheme, text: str) -> str:
    """The account number as it is stored. Raises Invalid."""
    if scheme is Scheme.IBAN:
        return checked_iban(text)
    number = " ".join(text.split())
    if not 4 < len(number) <= NUMBER_LENGTH_MAX or not (number.isascii() and number.isprintable()):
        raise Invalid(f"number: 5 to {NUMBER_LENGTH_MAX} plain characters", pointer="/number")
    return number


def masked(number: str) -> str:
    """What people see of a number: its last four characters."""
    return f"…{number[-4:]}"


def code_from(drawn: int) -> str:
    """The code that a verifying transfer carries, from a number drawn below 10**10: ten digits, easily typed."""
    return f"{drawn:010d}"
