"""What is kept of a beneficiary under a promotion. Pure; amounts are minor units."""

from datetime import datetime
from enum import StrEnum

import msgspec

from incentives.rules.parts import Role


class GrantState(StrEnum):
    """pending: promised, or earned and not vested. available: to be paid. void: came to nothing before it was."""

    PENDING = "pending"
    AVAILABLE = "available"
    PAID = "paid"
    VOID = "void"


MOVES: dict[GrantState, tuple[GrantState, ...]] = {
    GrantState.AVAILABLE: (GrantState.PENDING,),
    GrantState.PAID: (GrantState.AVAILABLE,),
    GrantState.VOID: (GrantState.PENDING, GrantState.AVAILABLE),
}
"""From which states a grant comes into that one."""


class Progress(msgspec.Struct, frozen=True, kw_only=True):
    """Where a beneficiary stands in a window: `incentives.rules.target.Progress`, with what is on the way.

    span: the event's id where the window is one event, else the instant at which it starts, for a buyer behind the
    legal entity. grants: how many there have been, clawbacks among them. void_minor: what it was entitled to and a
    pause has made void, for good.

    promise_keys, promise_minor: what budgets hold for what is promised and has not settled, in the order in which it
    was promised; promises: how many there have been.
    """

    party_id: int
    promotion_id: int
    span: str
    starts_at: datetime
    ends_at: datetime | None
    promised: int = 0
    settled: int = 0
    reached: int = 0
    granted_minor: int = 0
    pending_minor: int = 0
    award_minor: int | None = None
    void_minor: int = 0
    grants: int = 0
    promise_keys: tuple[str, ...] = ()
    promise_minor: tuple[int, ...] = ()
    promises: int = 0

    @property
    def promised_minor(self) -> int:
        """What budgets hold for it beyond what was granted."""
        return sum(self.promise_minor)


class Contribution(msgspec.Struct, frozen=True, kw_only=True):
    """What one event adds to a window now. version_no: in force when it happened. of_buyer: whose order it is."""

    party_id: int
    promotion_id: int
    event_id: str
    span: str
    version_no: int
    promised: int
    settled: int
    of_buyer: int | None = None
    line_nos: tuple[int, ...] = ()
    at: datetime


class Grant(msgspec.Struct, frozen=True, kw_only=True):
    """An award, or below zero a clawback. funder_minor, line_minor: its shares, frozen.

    grant_no: counts in the window. reservation_key: under which its budgets hold it. vests_at: when it may be paid.
    """

    party_id: int
    promotion_id: int
    span: str
    grant_no: int
    grant_id: int
    campaign_id: int
    version_no: int
    event_id: str | None = None
    form: str
    currency: str
    amount_minor: int
    funders: tuple[str, ...]
    funder_minor: tuple[int, ...]
    line_nos: tuple[int, ...] = ()
    line_minor: tuple[int, ...] = ()
    state: GrantState
    reservation_key: str | None = None
    vests_at: datetime | None = None

    def __post_init__(self) -> None:
        assert sum(self.funder_minor) == self.amount_minor
        assert not self.line_minor or sum(self.line_minor) == self.amount_minor


class Voucher(msgspec.Struct, frozen=True, kw_only=True):
    """Money off one later order of at least `minimum_minor`, before it expires. used_for: that order."""

    party_id: int
    voucher_id: int
    promotion_id: int
    grant_id: int
    code: str
    currency: str
    amount_minor: int
    minimum_minor: int
    state: str = "issued"
    issued_at: datetime
    expires_at: datetime
    used_for: str | None = None


class Holder(msgspec.Struct, frozen=True):
    """Whose voucher a code is."""

    role: Role
    party_id: int
    voucher_id: int
