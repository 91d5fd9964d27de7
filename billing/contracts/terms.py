"""The terms of a commission contract and which of several applies. Pure."""

import tomllib
from calendar import monthrange
from collections.abc import Iterable, Iterator, Sequence
from datetime import date
from itertools import pairwise
from typing import Literal

import msgspec

from marketplace.core.errors import Invalid
from marketplace.core.money import AMOUNT_MAX, MINOR_DIGITS
from marketplace.core.rates import PPM

CONTRACTS_MAX = 10_000
"""Versions in one file."""
NAME_MAX = 200
TIERS_MAX = 100
FIRST_MONTHS_MAX = 120


class Tier(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """From this cumulative base upwards, this rate; up to where the next tier begins."""

    from_minor: int
    rate_ppm: int


class Terms(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One version of a commission contract, as files and the API write it.

    valid_from, valid_until: half-open, compared with the order's local purchase date in the market's zone.
    first_months: only what was sold within so many months from the day on which the merchant began to sell; later sales
    fall under the other terms that cover them. merchants: the merchants' own ids; None means every merchant.
    categories: the source's names; None means every one.
    rate_ppm: of the base, per order. tiers instead: graduated over the merchant's base of the calendar month.
    fixed_minor, then min_minor, then max_minor apply per order. vat_ppm: VAT on the commission.
    month_min_minor: what each merchant named owes at least for a calendar month, charged by the billing run.
    """

    name: str
    currency: str
    valid_from: date
    valid_until: date | None = None
    first_months: int | None = None
    merchants: tuple[str, ...] | None = None
    categories: tuple[str, ...] | None = None
    base: Literal["goods", "goods_and_freight"] = "goods"
    rate_ppm: int | None = None
    tiers: tuple[Tier, ...] | None = None
    fixed_minor: int = 0
    min_minor: int | None = None
    max_minor: int | None = None
    month_min_minor: int | None = None
    vat_ppm: int = 0

    def covers(
        self,
        merchant_ref: str,
        category: str | None,
        currency: str,
        purchased_on: date,
        joined_on: date | None = None,
    ) -> bool:
        """Whether a line of this merchant and category, bought on that local date, falls under these terms.

        joined_on: the day the merchant began to sell; None where nobody knows it, and then it has no first months.
        """
        return (
            self.currency == currency
            and self.valid_from <= purchased_on
            and (self.valid_until is None or purchased_on < self.valid_until)
            and (self.first_months is None or _within(purchased_on, joined_on, self.first_months))
            and (self.merchants is None or merchant_ref in self.merchants)
            and (self.categories is None or category in self.categories)
        )

    @property
    def precedence(self) -> tuple[int, bool, int, str]:
        """Sorts the best first: merchants and categories, merchants, categories, neither; of first months only; newest;
        name by code point.

        Python compares strings by code point.
        """
        specificity = 2 * (self.merchants is not None) + (self.categories is not None)
        return (-specificity, self.first_months is None, -self.valid_from.toordinal(), self.name)


def _within(on: date, joined_on: date | None, months: int) -> bool:
    """Whether a day is before so many months after another; a day that a month lacks is its last, as in PostgreSQL."""
    if joined_on is None:
        return False
    years, month = divmod(joined_on.month - 1 + months, 12)
    year = joined_on.year + years
    return on < date(year, month + 1, min(joined_on.day, monthrange(year, month + 1)[1]))


def choose(
    contracts: Iterable[Terms],
    merchant_ref: str,
    category: str | None,
    currency: str,
    on: date,
    joined_on: date | None = None,
) -> Terms | None:
    """The contract that a line falls under, None when none covers it."""
    covering = (terms for terms in contracts if terms.covers(merchant_ref, category, currency, on, joined_on))
    return min(covering, key=lambda terms: terms.precedence, default=None)


def normalised(terms: Terms) -> Terms:
    """The same terms with what they name in code-point order, so that equal terms compare equal."""
    return msgspec.structs.replace(
        terms,
        merchants=tuple(sorted(terms.merchants)) if terms.merchants is not None else None,
        categories=tuple(sorted(terms.categories)) if terms.categories is not None else None,
    )


def check_terms(terms: Terms, where: str) -> None:
    """Raise Invalid, naming the field after `where`, when the terms contradict themselves."""
    for field, reason in _faults(terms):
        raise Invalid(f"{where}.{field}: {reason}", field=field)


def _faults(terms: Terms) -> Iterator[tuple[str, str]]:
    """(field, reason) of everything that is wrong with the terms."""
    if not 0 < len(terms.name.strip()) <= NAME_MAX:
        yield "name", f"must have 1 to {NAME_MAX} characters"
    elif not terms.name[0].isalnum():
        yield "name", f"{terms.name!r} must begin with a letter or digit"
    if terms.currency not in MINOR_DIGITS:
        yield "currency", f"{terms.currency!r} is not a currency this platform accepts"
    if terms.valid_until is not None and terms.valid_until <= terms.valid_from:
        yield "valid_until", f"{terms.valid_until} is not after valid_from {terms.valid_from}"
    if terms.first_months is not None and not 1 <= terms.first_months <= FIRST_MONTHS_MAX:
        yield "first_months", f"{terms.first_months} is not between 1 and {FIRST_MONTHS_MAX}"
    for field, named in (("merchants", terms.merchants), ("categories", terms.categories)):
        if named is not None and (not all(named) or not 0 < len(named) == len(set(named))):
            yield field, "must name at least one, each once; leave it out for all"
    for field, texts in (("name", [terms.name]), ("merchants", terms.merchants), ("categories", terms.categories)):
        if any("\0" in text for text in texts or ()):
            yield field, "holds a NUL character, which cannot be stored"
    yield from _rate_faults(terms)


def _rate_faults(terms: Terms) -> Iterator[tuple[str, str]]:
    if (terms.rate_ppm is None) == (terms.tiers is None):
        yield "rate_ppm", "give either rate_ppm or tiers"
    for field, rate in (("rate_ppm", terms.rate_ppm), ("vat_ppm", terms.vat_ppm)):
        if rate is not None and not 0 <= rate <= PPM:
            yield field, f"{rate} is not between 0 and {PPM} parts per million"
    limits = (
        ("fixed_minor", terms.fixed_minor),
        ("min_minor", terms.min_minor),
        ("max_minor", terms.max_minor),
        ("month_min_minor", terms.month_min_minor),
    )
    for field, amount in limits:
        if amount is not None and not 0 <= amount <= AMOUNT_MAX:
            yield field, f"{amount} is not between 0 and {AMOUNT_MAX}"
    if terms.min_minor is not None and terms.max_minor is not None and terms.min_minor > terms.max_minor:
        yield "max_minor", f"{terms.max_minor} is below min_minor {terms.min_minor}"
    if terms.month_min_minor is not None and (terms.merchants is None or terms.categories is not None):
        yield "month_min_minor", "is of a merchant's whole month: name merchants, and no categories"
    if terms.tiers is not None and (fault := tier_fault(terms.tiers)):
        yield "tiers", fault


def tier_fault(tiers: tuple[Tier, ...]) -> str | None:
    """What is wrong with a ladder of tiers: it must start at 0 and rise without a gap. None when it is sound."""
    if not 0 < len(tiers) <= TIERS_MAX:
        return f"must have 1 to {TIERS_MAX} tiers"
    if tiers[0].from_minor != 0:
        return f"gap: the first tier starts at {tiers[0].from_minor}, so nothing rates a base below it; start at 0"
    for lower, upper in pairwise(tiers):
        if upper.from_minor <= lower.from_minor:
            return f"a tier from {upper.from_minor} follows one from {lower.from_minor}; they must rise"
    for tier in tiers:
        if not 0 <= tier.rate_ppm <= PPM:
            return f"rate_ppm {tier.rate_ppm} is not between 0 and {PPM} parts per million"
        if tier.from_minor > AMOUNT_MAX:
            return f"from_minor {tier.from_minor} is larger than {AMOUNT_MAX}"
    return None


def tiered_bounds(tiers: Sequence[Tier]) -> list[int]:
    """Commission reached where each tier starts, in minor units times 10**6, so that rating needs one tier only."""
    reached = [0]
    for lower, upper in pairwise(tiers):
        reached.append(reached[-1] + (upper.from_minor - lower.from_minor) * lower.rate_ppm)
    return reached


def parse_contracts(document: bytes) -> list[Terms]:
    """The `[[contract]]` tables of a TOML document, each checked.

    Raises Invalid naming table and field: TOML that does not parse, unknown or missing fields, wrong types (nothing
    is converted: "100" is no integer and 0.12 is no rate), terms that contradict themselves, a version given twice,
    versions of one name that overlap.
    """
    try:
        tables = tomllib.loads(document.decode("utf-8"))
    except (UnicodeDecodeError, tomllib.TOMLDecodeError) as fault:
        raise Invalid(f"not a TOML document: {fault}") from fault
    unknown = sorted(set(tables) - {"contract"})
    if unknown:
        raise Invalid(f"{unknown[0]}: unknown table; this file holds [[contract]] tables")
    contracts = tables.get("contract", [])
    if not isinstance(contracts, list) or not contracts:
        raise Invalid("contract: the file has no [[contract]] table")
    return check_contracts(contracts)


def check_contracts(contracts: list[object]) -> list[Terms]:
    """Contracts from plain values (a TOML file's, a JSON body's), checked as `parse_contracts` says."""
    if len(contracts) > CONTRACTS_MAX:
        raise Invalid(f"contract: {len(contracts)} versions are more than {CONTRACTS_MAX} in one file")
    parsed: list[Terms] = []
    for number, table in enumerate(contracts):
        where = f"contract[{number}]"
        try:
            terms = msgspec.convert(table, Terms, strict=True)
        except msgspec.ValidationError as fault:
            reason, _, path = str(fault).partition(" - at `$")
            raise Invalid(f"{where}{path.rstrip('`')}: {reason}") from fault
        check_terms(terms, where)
        parsed.append(normalised(terms))
    check_overlaps(parsed)
    return parsed


def check_overlaps(contracts: Iterable[Terms]) -> None:
    """Raise Invalid when two versions of one name have a day in common."""
    versions: dict[str, list[Terms]] = {}
    for terms in contracts:
        versions.setdefault(terms.name, []).append(terms)
    for name, of_name in versions.items():
        of_name.sort(key=lambda terms: terms.valid_from)
        for earlier, later in pairwise(of_name):
            if earlier.valid_until is None or earlier.valid_until > later.valid_from:
                raise Invalid(
                    f"contract {name!r}: the version from {later.valid_from} overlaps the one from {earlier.valid_from}"
                    f" until {earlier.valid_until or 'further notice'}"
                )
