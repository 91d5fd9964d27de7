"""The onboarding checklist: what a merchant has to show before it sells, and who says that it has. Pure.

Three kinds of points. *Attested*: the merchant's word is enough. *Verified*: the merchant gives its word and somebody
of the house looks. *Computed*: nobody ticks it, it follows from what the merchant has. Every point may be waived.
"""

from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum

import msgspec

from marketplace.core.errors import Conflict, Invalid, NotFound


class Kind(StrEnum):
    COMPUTED = "computed"
    ATTESTED = "attested"
    VERIFIED = "verified"


class State(StrEnum):
    MISSING = "missing"
    ATTESTED = "attested"
    VERIFIED = "verified"
    REJECTED = "rejected"
    WAIVED = "waived"


class Act(StrEnum):
    """What is done to a point: the first by the merchant, the others by the house."""

    ATTEST = "attest"
    VERIFY = "verify"
    REJECT = "reject"
    WAIVE = "waive"


class Requirement(msgspec.Struct, frozen=True):
    """A point of the checklist. asks: what the merchant has to show."""

    key: str
    kind: Kind
    asks: str


CHECKLIST: tuple[Requirement, ...] = (
    Requirement("legal_name_and_address", Kind.ATTESTED, "the legal name and address are right"),
    Requirement("terms", Kind.ATTESTED, "the terms of the marketplace are signed"),
    Requirement("identity_document", Kind.VERIFIED, "a document shows who owns the business"),
    Requirement("bank_account", Kind.COMPUTED, "a bank account is verified"),
    Requirement("listing", Kind.COMPUTED, "at least one listing is not hidden"),
    Requirement("courses", Kind.COMPUTED, "somebody has passed every course that is required"),
)
"""What every merchant is asked for."""


class Record(msgspec.Struct, frozen=True, kw_only=True):
    """What was said of a point last. attested_by: whose word it is, kept when others judged it."""

    key: str
    state: State
    reason: str
    note: str
    attested_by: str | None
    actor: str
    at: datetime
    version: int


class Fact(msgspec.Struct, frozen=True):
    """What a computed point comes to; missing: what is missing of it, None when nothing is."""

    state: State
    missing: str | None


class Item(msgspec.Struct, frozen=True, kw_only=True):
    """A point as it stands. missing: what still has to happen, None when it is met. reason: of a refusal or waiver."""

    key: str
    kind: Kind
    asks: str
    state: State
    missing: str | None
    reason: str
    note: str
    attested_by: str | None
    actor: str | None
    at: datetime | None


class Checklist(msgspec.Struct, frozen=True, kw_only=True):
    """All points of a merchant, and the keys of those that are not met."""

    merchant_id: int
    ready: bool
    missing: list[str]
    items: list[Item]


def find(key: str) -> Requirement:
    """The point of that name. Raises NotFound."""
    for requirement in CHECKLIST:
        if requirement.key == key:
            return requirement
    raise NotFound(f"the checklist has no point {key[:60]!r}; it has {', '.join(r.key for r in CHECKLIST)}")


_FROM: dict[Act, frozenset[State]] = {
    Act.ATTEST: frozenset({State.MISSING, State.ATTESTED, State.REJECTED}),
    Act.VERIFY: frozenset({State.ATTESTED}),
    Act.REJECT: frozenset({State.ATTESTED, State.VERIFIED, State.WAIVED}),
    Act.WAIVE: frozenset({State.MISSING, State.ATTESTED, State.REJECTED}),
}
_TO = {Act.ATTEST: State.ATTESTED, Act.VERIFY: State.VERIFIED, Act.REJECT: State.REJECTED, Act.WAIVE: State.WAIVED}


def check_act(requirement: Requirement, record: Record | None, act: Act, reason: str) -> State:
    """The state that the act leads to.

    Raises Conflict for a computed point that somebody wants to tick and for an act that the state does not allow,
    Invalid for a refusal or waiver without a reason. A waiver that is rejected is gone: the point is asked for again.
    """
    state = record.state if record is not None else State.MISSING
    computed = requirement.kind is Kind.COMPUTED
    if computed and act not in {Act.WAIVE, Act.REJECT}:
        raise Conflict(f"{requirement.key}: nobody ticks it, it follows from what the merchant has")
    if act in {Act.REJECT, Act.WAIVE} and not reason.strip():
        raise Invalid(f"reason: say why {requirement.key} is {_TO[act]}", pointer="/reason")
    if computed and act is Act.REJECT and state is not State.WAIVED:
        raise Conflict(f"{requirement.key}: only its waiver can be taken back")
    if state not in _FROM[act]:
        allowed = ", ".join(sorted(_FROM[act]))
        raise Conflict(f"{requirement.key} is {state}; to {act} it, it has to be {allowed}", state=state.value)
    return _TO[act]


def needs_second_person(record: Record | None, act: Act) -> str | None:
    """Who must not be the one that does this: whoever gave the word that the act is about."""
    return record.attested_by if record is not None and act is not Act.ATTEST else None


def checklist(merchant_id: int, records: Mapping[str, Record], facts: Mapping[str, Fact]) -> Checklist:
    """Every point as it stands. `facts` has every computed point."""
    items = [_item(requirement, records.get(requirement.key), facts) for requirement in CHECKLIST]
    missing = [item.key for item in items if item.missing is not None]
    return Checklist(merchant_id=merchant_id, ready=not missing, missing=missing, items=items)


def _item(requirement: Requirement, record: Record | None, facts: Mapping[str, Fact]) -> Item:
    stored = record.state if record is not None else State.MISSING
    if requirement.kind is Kind.COMPUTED and stored is not State.WAIVED:
        fact = facts[requirement.key]
        state, missing = fact.state, fact.missing
    else:
        state, missing = stored, _missing(requirement, stored)
    return Item(
        key=requirement.key,
        kind=requirement.kind,
        asks=requirement.asks,
        state=state,
        missing=missing,
        reason=record.reason if record is not None else "",
        note=record.note if record is not None else "",
        attested_by=record.attested_by if record is not None else None,
        actor=record.actor if record is not None else None,
        at=record.at if record is not None else None,
    )


def _missing(requirement: Requirement, state: State) -> str | None:
    if state in {State.VERIFIED, State.WAIVED} or (requirement.kind is Kind.ATTESTED and state is State.ATTESTED):
        return None
    if state is State.ATTESTED:
        return "somebody of the house has to look at it"
    return "it was rejected: the merchant has to attest it anew" if state is State.REJECTED else "the merchant's word"
