"""A calendar month of a legal entity's books: what moves it, and what a proof of it has found. Pure."""

import hashlib
from collections.abc import Sequence
from datetime import date, datetime
from enum import StrEnum

import msgspec

from billing.runs.model import Period, period_named
from marketplace.core.errors import Conflict, Invalid


class PeriodState(StrEnum):
    """open: entries take its days. soft_closed: only finance's journals by hand still do. closed: nothing does, and
    its entries are sealed. reopened: as soft_closed, after it was closed.
    """

    OPEN = "open"
    SOFT_CLOSED = "soft_closed"
    CLOSED = "closed"
    REOPENED = "reopened"


MOVES: dict[PeriodState, frozenset[PeriodState]] = {
    PeriodState.OPEN: frozenset({PeriodState.SOFT_CLOSED}),
    PeriodState.SOFT_CLOSED: frozenset({PeriodState.OPEN, PeriodState.CLOSED}),
    PeriodState.CLOSED: frozenset({PeriodState.REOPENED}),
    PeriodState.REOPENED: frozenset({PeriodState.OPEN, PeriodState.CLOSED}),
}

TAKES_JOURNALS = frozenset({PeriodState.SOFT_CLOSED, PeriodState.REOPENED})


class BookPeriod(msgspec.Struct, frozen=True, kw_only=True):
    """A month and where it stands. prepared_by: who soft-closed it, or asked for its reopening: somebody else closes.

    reopening_by, reopening_reason: who wants a closed month reopened, and why. seal_no: of its newest seal, 0 for none.
    """

    entity_id: int
    month_on: date
    state: PeriodState = PeriodState.OPEN
    prepared_by: str | None = None
    reopening_by: str | None = None
    reopening_reason: str | None = None
    seal_no: int = 0
    moved_by: str | None = None
    moved_at: datetime | None = None

    @property
    def period(self) -> Period:
        return month_of(self.month_on)

    @property
    def subject(self) -> str:
        return f"period:{self.entity_id}/{self.period.name}"


class Seal(msgspec.Struct, frozen=True, kw_only=True):
    """What a month's entries were when it was closed.

    from_on: the first day that it covers, None for all before, too (the first seal of an entity).
    digest: SHA-256 over the digest of the month before, whose, which and how many entries, and the entries themselves.
    """

    entity_id: int
    month_on: date
    seal_no: int
    from_on: date | None
    entries: int
    previous: str
    digest: str
    sealed_at: datetime
    sealed_by: str
    single_operator: bool


class Finding(msgspec.Struct, frozen=True):
    """Something that a proof found not to hold: of what, by how much where that is an amount, in words."""

    subject: str
    currency: str | None
    minor: int | None
    says: str


class CheckState(StrEnum):
    GREEN = "green"
    APPROVED = "approved"
    RED = "red"


class BreakApproval(msgspec.Struct, frozen=True, kw_only=True):
    """Somebody's reason why a month may close although a proof does not hold, and whoever else accepted it.

    It is for what the proof had found then (fingerprint), and for nothing that is found later.
    """

    approval_id: int
    check: str
    fingerprint: str
    reason: str
    asked_by: str
    asked_at: datetime
    approved_by: str | None
    approved_at: datetime | None
    single_operator: bool


class Check(msgspec.Struct, frozen=True, kw_only=True):
    """One proof of the checklist: what it states, whether it holds, what it found (the first of them), its approval."""

    name: str
    states: str
    state: CheckState
    violations: int
    findings: list[Finding]
    fingerprint: str
    approval: BreakApproval | None


def month_of(on: date) -> Period:
    """The calendar month of a day."""
    return period_named(f"{on:%Y-%m}")


def month_named(name: str) -> Period:
    """The month "YYYY-MM". Raises Invalid."""
    period = period_named(name)
    if ".." in name:
        raise Invalid(f"month: {name!r} is not a month written YYYY-MM", field="month")
    return period


def check_move(period: BookPeriod, then: PeriodState) -> None:
    """Raise Conflict when a month cannot go to `then` from where it stands."""
    if then not in MOVES[period.state]:
        raise Conflict(f"{period.period.name} is {period.state}; it cannot become {then}", state=period.state.value)


def fingerprint_of(findings: Sequence[Finding]) -> str:
    """Short, and another one for anything else that is found; the order does not matter. Empty for nothing."""
    if not findings:
        return ""
    lines = sorted(msgspec.json.encode(finding) for finding in findings)
    return hashlib.sha256(b"\n".join(lines)).hexdigest()[:16]


def judged(
    name: str, states: str, findings: Sequence[Finding], approvals: Sequence[BreakApproval], sample: int
) -> Check:
    """A proof with what it found; an approval counts for exactly what it was given for. The newest one is shown."""
    check = Check(
        name=name,
        states=states,
        state=CheckState.GREEN,
        violations=len(findings),
        findings=list(findings[:sample]),
        fingerprint=fingerprint_of(findings),
        approval=None,
    )
    return with_approvals(check, approvals)


def with_approvals(check: Check, approvals: Sequence[BreakApproval]) -> Check:
    """A proof as it stands with these approvals, whatever it had before."""
    if not check.violations:
        return check
    fitting = [one for one in approvals if one.check == check.name and one.fingerprint == check.fingerprint]
    given = [one for one in fitting if one.approved_by is not None]
    shown = given or fitting
    return msgspec.structs.replace(
        check, state=CheckState.APPROVED if given else CheckState.RED, approval=shown[-1] if shown else None
    )
