"""What may be changed of an approved campaign or promotion without a new version. Pure."""

from datetime import datetime
from enum import StrEnum
from typing import Annotated

import msgspec

from incentives.budgets.model import Owner
from incentives.rules.parts import LocalTime, Part, Positive


class ChangeState(StrEnum):
    PROPOSED = "proposed"
    APPROVED = "approved"
    REJECTED = "rejected"


class _Edit(Part, frozen=True, tag_field="to"):
    """See `Edit`."""


class EndOn(_Edit, frozen=True, kw_only=True, tag="end"):
    """End then, earlier or later: a local time in the zone of its schedule, a date alone until its last moment."""

    ends: LocalTime


class TopUp(_Edit, frozen=True, kw_only=True, tag="top_up"):
    """Add so much to one of its budgets."""

    budget_id: Annotated[int, msgspec.Meta(ge=1, le=2**63 - 1)]
    amount_minor: Positive


Edit = EndOn | TopUp


class Change(msgspec.Struct, frozen=True, kw_only=True):
    """A change and what became of it."""

    change_id: int
    owner: Owner
    owner_id: int
    edit: Edit
    reason: str
    state: ChangeState
    made_by: str
    made_at: datetime
    decided_by: str | None
    decided_at: datetime | None
