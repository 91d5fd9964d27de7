"""A contracts file as the issue describes it, and the rule by which a line finds its contract."""

import tomllib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from datetime import date
from typing import Any

from .olist_files import Line

CURRENCY = "BRL"
BASES = ("goods", "goods_and_freight")


@dataclass(frozen=True)
class Tier:
    from_minor: int
    rate_ppm: int


@dataclass(frozen=True)
class Contract:
    """One version of a contract. A flat rate is a single tier from 0 with `graduated` false."""

    name: str
    valid_from: date
    tiers: tuple[Tier, ...]
    graduated: bool
    base: str
    valid_until: date | None = None
    merchants: frozenset[str] = field(default_factory=frozenset)
    categories: frozenset[str] = field(default_factory=frozenset)
    fixed_minor: int = 0
    min_minor: int | None = None
    max_minor: int | None = None
    vat_ppm: int = 0

    def covers(self, line: Line, purchased_on: date) -> bool:
        return (
            self.valid_from <= purchased_on
            and (self.valid_until is None or purchased_on < self.valid_until)
            and (not self.merchants or line.merchant_ref in self.merchants)
            and (not self.categories or line.category in self.categories)
        )

    @property
    def precedence(self) -> int:
        """Merchants and categories both named 0, merchants 1, categories 2, neither 3."""
        return (0 if self.merchants else 2) + (0 if self.categories else 1)


def read_contracts(text: str) -> list[Contract]:
    """The versions of a contracts file; raises ValueError for what the issue's format does not allow."""
    contracts = [read_contract(table) for table in tomllib.loads(text)["contract"]]
    for contract in contracts:
        for other in contracts:
            if other is not contract and other.name == contract.name and overlap(contract, other):
                raise ValueError(f"versions of {contract.name!r} overlap")
    return contracts


def overlap(one: Contract, other: Contract) -> bool:
    return (one.valid_until or date.max) > other.valid_from and (other.valid_until or date.max) > one.valid_from


def read_contract(table: Mapping[str, Any]) -> Contract:
    check_terms(table)
    graduated = "tiers" in table
    tiers = tuple(Tier(**tier) for tier in table["tiers"]) if graduated else (Tier(0, table["rate_ppm"]),)
    check_tiers(table["name"], tiers)
    optional = ("valid_until", "fixed_minor", "min_minor", "max_minor", "vat_ppm")
    return Contract(
        name=table["name"],
        valid_from=table["valid_from"],
        tiers=tiers,
        graduated=graduated,
        base=table["base"],
        merchants=frozenset(table.get("merchants", ())),
        categories=frozenset(table.get("categories", ())),
        **{key: table[key] for key in optional if key in table},
    )


def check_terms(table: Mapping[str, Any]) -> None:
    name = table["name"]
    known = {one.name for one in fields(Contract)} - {"graduated"} | {"currency", "rate_ppm"}
    if unknown := set(table) - known:
        raise ValueError(f"{name!r}: unknown {sorted(unknown)}")
    if table["currency"] != CURRENCY:
        raise ValueError(f"{name!r}: currency {table['currency']!r}")
    if table["base"] not in BASES:
        raise ValueError(f"{name!r}: base {table['base']!r}")
    if ("rate_ppm" in table) == ("tiers" in table):
        raise ValueError(f"{name!r}: give rate_ppm or tiers")
    if "valid_until" in table and table["valid_until"] <= table["valid_from"]:
        raise ValueError(f"{name!r}: valid_until is not after valid_from")
    for key in ("merchants", "categories"):
        if key in table and not table[key]:
            raise ValueError(f"{name!r}: {key} is empty; leave it out to name none")
    for key, value in table.items():
        if key.endswith(("_minor", "_ppm")):
            check_whole(name, key, value)


def check_tiers(name: str, tiers: Sequence[Tier]) -> None:
    for tier in tiers:
        check_whole(name, "from_minor", tier.from_minor)
        check_whole(name, "rate_ppm", tier.rate_ppm)
    starts = [tier.from_minor for tier in tiers]
    if not starts or starts[0] != 0 or starts != sorted(set(starts)):
        raise ValueError(f"{name!r}: tiers start at 0 and rise")


def check_whole(name: str, key: str, value: object) -> None:
    if type(value) is not int or value < 0:
        raise ValueError(f"{name!r}: {key} {value!r} is not a whole number of 0 or more")


def contract_of(line: Line, purchased_on: date, contracts: Iterable[Contract]) -> Contract | None:
    """The one contract a line falls under: precedence, then the latest `valid_from`, then the name ascending."""
    covering = [contract for contract in contracts if contract.covers(line, purchased_on)]
    return min(
        covering,
        key=lambda contract: (contract.precedence, -contract.valid_from.toordinal(), contract.name),
        default=None,
    )
