"""The terms of a payer contract: what it pays, of what, up to how much, and what the platform earns by it. Pure."""

import tomllib
from collections.abc import Iterable, Iterator
from datetime import date
from itertools import pairwise
from typing import Literal

import msgspec

from marketplace.core.errors import Invalid
from marketplace.core.money import AMOUNT_MAX, MINOR_DIGITS
from marketplace.core.rates import PPM

VERSIONS_MAX = 1_000
"""Versions in one file."""
NAME_MAX = 200
PRIORITY_MAX = 1_000
DAYS_MAX = 365
PAYER_KINDS = ("brand", "bank", "insurer", "government", "distributor")

Pays = Literal["order", "charges", "promotion"]
CapPeriod = Literal["day", "month", "whole"]


class PayerTerms(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One version of a payer contract, as files and the API write it.

    payer: the payer's name. pays: part of an order's price, a merchant's charges, or a promotion's cost. valid_from,
    valid_until: half-open, compared with the local purchase date. merchants: the merchants' own ids, categories: the
    source's names, entity_id: the legal entity; None means every one. base: what of the eligible lines counts.
    minimum_minor: below this eligible price it pays nothing. share_ppm: of the eligible price. order_cap_minor: at most
    per order. cap_minor: at most per cap_period, over all versions of the name. priority: contracts take in this order,
    each of what is left. pay_when_paid: the merchant gets its part only when the payer has paid. recourse: what the
    payer rejects the merchant bears, else the platform. fee_ppm: what the platform earns of what is claimed,
    fee_fixed_minor: per claim; vat_ppm: VAT on both. due_days: how long a claim may stay unpaid.
    """

    name: str
    payer: str
    currency: str
    pays: Pays = "order"
    valid_from: date
    valid_until: date | None = None
    merchants: tuple[str, ...] | None = None
    categories: tuple[str, ...] | None = None
    entity_id: int | None = None
    base: Literal["goods", "goods_and_freight"] = "goods_and_freight"
    minimum_minor: int = 0
    share_ppm: int
    order_cap_minor: int | None = None
    cap_minor: int | None = None
    cap_period: CapPeriod = "whole"
    priority: int = 100
    pay_when_paid: bool = False
    recourse: bool = False
    fee_ppm: int = 0
    fee_fixed_minor: int = 0
    vat_ppm: int = 0
    due_days: int = 30

    def is_valid_on(self, on: date) -> bool:
        return self.valid_from <= on and (self.valid_until is None or on < self.valid_until)

    def is_for(self, merchant_ref: str, entity_id: int, currency: str, on: date) -> bool:
        """Whether an order of this merchant in that currency, bought on that local date, may fall under the terms."""
        return (
            self.currency == currency
            and self.is_valid_on(on)
            and (self.merchants is None or merchant_ref in self.merchants)
            and (self.entity_id is None or entity_id == self.entity_id)
        )

    def covers(self, category: str | None) -> bool:
        """Whether a line of this category counts."""
        return self.categories is None or category in self.categories


_FIXED = ("payer", "currency", "pays", "cap_period")
"""What all versions of a name have in common: its receivable and its caps run on over them."""


_SAID_BY_PROMOTION = {
    "merchants": None,
    "categories": None,
    "entity_id": None,
    "minimum_minor": 0,
    "order_cap_minor": None,
}
"""Whom and what a promotion is for stands in its own terms: here these would bind nobody."""


def check_terms(terms: PayerTerms, where: str) -> None:
    """Raise Invalid, naming the field after `where`, when the terms contradict themselves."""
    for field, reason in _faults(terms):
        raise Invalid(f"{where}.{field}: {reason}", field=field)


def _faults(terms: PayerTerms) -> Iterator[tuple[str, str]]:
    for field in ("name", "payer"):
        given = getattr(terms, field)
        if not 0 < len(given.strip()) <= NAME_MAX or not given.isprintable():
            yield field, f"must have 1 to {NAME_MAX} printable characters"
    if terms.currency not in MINOR_DIGITS:
        yield "currency", f"{terms.currency!r} is not a currency this platform accepts"
    if terms.valid_until is not None and terms.valid_until <= terms.valid_from:
        yield "valid_until", f"{terms.valid_until} is not after valid_from {terms.valid_from}"
    yield from _naming_faults(terms)
    yield from _number_faults(terms)
    if terms.pays == "promotion":
        yield from _promotion_faults(terms)


def _naming_faults(terms: PayerTerms) -> Iterator[tuple[str, str]]:
    for field, named in (("merchants", terms.merchants), ("categories", terms.categories)):
        if named is None:
            continue
        if not all(named) or not 0 < len(named) == len(set(named)):
            yield field, "must name at least one, each once; leave it out for all"
        if any("\0" in text for text in named):
            yield field, "holds a NUL character, which cannot be stored"


def _promotion_faults(terms: PayerTerms) -> Iterator[tuple[str, str]]:
    for field, free in _SAID_BY_PROMOTION.items():
        if getattr(terms, field) != free:
            yield field, "whom and what a promotion is for its own terms say; leave it out"
    if terms.share_ppm != PPM:
        yield "share_ppm", f"a promotion's weights say its part of the cost; write {PPM}"
    if terms.pay_when_paid:
        yield "pay_when_paid", "nobody waits for a promotion's payer: the merchant has its part with the sale"


def _number_faults(terms: PayerTerms) -> Iterator[tuple[str, str]]:
    if not 0 < terms.share_ppm <= PPM:
        yield "share_ppm", f"{terms.share_ppm} is not between 1 and {PPM} parts per million"
    for field in ("fee_ppm", "vat_ppm"):
        if not 0 <= getattr(terms, field) <= PPM:
            yield field, f"{getattr(terms, field)} is not between 0 and {PPM} parts per million"
    for field in ("minimum_minor", "order_cap_minor", "cap_minor", "fee_fixed_minor"):
        amount = getattr(terms, field)
        if amount is not None and not 0 <= amount <= AMOUNT_MAX:
            yield field, f"{amount} is not between 0 and {AMOUNT_MAX}"
    if not 0 <= terms.priority <= PRIORITY_MAX:
        yield "priority", f"{terms.priority} is not between 0 and {PRIORITY_MAX}"
    if not 0 <= terms.due_days <= DAYS_MAX:
        yield "due_days", f"{terms.due_days} is not between 0 and {DAYS_MAX}"
    if terms.entity_id is not None and not 0 < terms.entity_id < 2**31:
        yield "entity_id", f"{terms.entity_id} is no legal entity"


def normalised(terms: PayerTerms) -> PayerTerms:
    """The same terms with what they name in code-point order, so that equal terms compare equal."""
    return msgspec.structs.replace(
        terms,
        merchants=tuple(sorted(terms.merchants)) if terms.merchants is not None else None,
        categories=tuple(sorted(terms.categories)) if terms.categories is not None else None,
    )


def parse_payer_contracts(document: bytes) -> list[PayerTerms]:
    """The `[[payer_contract]]` tables of a TOML document, each checked. Raises Invalid naming table and field."""
    try:
        tables = tomllib.loads(document.decode("utf-8"))
    except (UnicodeDecodeError, tomllib.TOMLDecodeError) as fault:
        raise Invalid(f"not a TOML document: {fault}") from fault
    unknown = sorted(set(tables) - {"payer_contract"})
    if unknown:
        raise Invalid(f"{unknown[0]}: unknown table; this file holds [[payer_contract]] tables")
    contracts = tables.get("payer_contract", [])
    if not isinstance(contracts, list) or not 0 < len(contracts) <= VERSIONS_MAX:
        raise Invalid(f"payer_contract: the file must hold 1 to {VERSIONS_MAX} [[payer_contract]] tables")
    parsed: list[PayerTerms] = []
    for number, table in enumerate(contracts):
        where = f"payer_contract[{number}]"
        try:
            terms = msgspec.convert(table, PayerTerms, strict=True)
        except msgspec.ValidationError as fault:
            reason, _, path = str(fault).partition(" - at `$")
            raise Invalid(f"{where}{path.rstrip('`')}: {reason}") from fault
        check_terms(terms, where)
        parsed.append(normalised(terms))
    check_versions(parsed)
    return parsed


def check_versions(contracts: Iterable[PayerTerms]) -> None:
    """Raise Invalid when two versions of one name overlap, or differ in what all of them have in common."""
    versions: dict[str, list[PayerTerms]] = {}
    for terms in contracts:
        versions.setdefault(terms.name, []).append(terms)
    for name, of_name in versions.items():
        of_name.sort(key=lambda terms: terms.valid_from)
        for earlier, later in pairwise(of_name):
            where = f"payer contract {name!r}: the version from {later.valid_from}"
            if earlier.valid_until is None or earlier.valid_until > later.valid_from:
                raise Invalid(
                    f"{where} overlaps the one from {earlier.valid_from}"
                    f" until {earlier.valid_until or 'further notice'}"
                )
            for field in _FIXED:
                if getattr(earlier, field) != getattr(later, field):
                    raise Invalid(f"{where} has another {field} than the one before: give it another name")
