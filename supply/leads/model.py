"""What acquisition speaks of. Pure. Amounts are minor units, shares parts per million, days local to the lead."""

from datetime import date, datetime
from enum import StrEnum

import msgspec


class Model(StrEnum):
    """The business model by which somebody is to be won; the order of its stages differs."""

    PLATFORM = "platform"
    TOOL = "tool"
    HARDWARE = "hardware"
    SERVICE = "service"
    PAYER = "payer"


class LeadState(StrEnum):
    NEW = "new"
    POOLED = "pooled"
    CLAIMED = "claimed"
    CONTACTED = "contacted"
    VISITED = "visited"
    NEGOTIATING = "negotiating"
    SIGNED = "signed"
    HANDED_OVER = "handed_over"
    LOST = "lost"
    MERGED = "merged"


HELD = frozenset({LeadState.CLAIMED, LeadState.CONTACTED, LeadState.VISITED, LeadState.NEGOTIATING})
"""The states in which a rep works on a lead: they count as the rep's stock."""


class TouchKind(StrEnum):
    """`seen` and `form` are what the lead did; the others are actions of ours, and keep a lead from being recycled."""

    SEEN = "seen"
    FORM = "form"
    CALL = "call"
    MESSAGE = "message"
    MEETING = "meeting"
    VISIT = "visit"
    EVENT = "event"


ACTIONS = frozenset(TouchKind) - {TouchKind.SEEN, TouchKind.FORM}


class Lead(msgspec.Struct, frozen=True, kw_only=True):
    """Somebody who may be won. owner_id: the rep (a user) who holds it; ended_at: when it was signed or lost.

    former_owner_id may not claim it again before cooling_until. merged_into: the lead that lives on in its place.
    merchant_ref: as whom it was won, in the words of `source`; merchant_id: who that is here, None where it is not.
    """

    lead_id: int
    model: Model
    funnel_version: int
    source: str | None
    source_ref: str | None
    company: str
    contact: str
    phone: str
    email: str
    tax_id: str
    city: str
    region: str
    segment: str
    zone: str
    channel_id: int
    campaign: str
    territory_id: int | None
    pool_id: int | None
    owner_id: int | None
    state: LeadState
    merchant_ref: str | None
    merchant_id: int | None
    merged_into: int | None
    first_contact_at: datetime
    fit: int
    engagement: int
    scored_by: int | None
    claimed_at: datetime | None
    protected_until: datetime | None
    last_action_at: datetime | None
    former_owner_id: int | None
    cooling_until: datetime | None
    ended_at: datetime | None
    version: int


class LeadCard(msgspec.Struct, frozen=True, kw_only=True):
    """What reps see of a lead in a pool: who and where, not how to reach it."""

    lead_id: int
    model: Model
    company: str
    city: str
    region: str
    fit: int
    engagement: int


class LeadEvent(msgspec.Struct, frozen=True, kw_only=True):
    """A step in a lead's life; of a lead that others were merged into also theirs. lead_id: to whom it happened."""

    lead_id: int
    event_no: int
    move: str
    state: LeadState
    owner_id: int | None
    reason: str
    at: datetime
    actor: str


class Touch(msgspec.Struct, frozen=True, kw_only=True):
    """A contact. rep_id: the user of ours who made it; at: when it was, recorded_at: when we were told."""

    touch_id: int
    lead_id: int
    channel_id: int
    campaign: str
    kind: TouchKind
    rep_id: int | None
    note: str
    at: datetime
    recorded_at: datetime


class ChannelKind(StrEnum):
    ONLINE = "online"
    OFFLINE = "offline"
    PARTNER = "partner"
    UNATTRIBUTED = "unattributed"


class Channel(msgspec.Struct, frozen=True, kw_only=True):
    channel_id: int
    code: str
    name: str
    kind: ChannelKind
    parent_id: int | None
    path: list[int]
    active: bool
    version: int


class CostKind(StrEnum):
    """Of these, media, commission and incentive grow with every merchant that is won: they are in the paid CAC."""

    MEDIA = "media"
    PEOPLE = "people"
    TRAVEL = "travel"
    EVENT = "event"
    COMMISSION = "commission"
    INCENTIVE = "incentive"
    ONBOARDING = "onboarding"
    TOOL = "tool"


VARIABLE = frozenset({CostKind.MEDIA, CostKind.COMMISSION, CostKind.INCENTIVE})


class ChannelCost(msgspec.Struct, frozen=True, kw_only=True):
    """What was spent on a channel on a day; below zero it corrects another entry. seller: on whom of those who sell."""

    cost_id: int
    cost_ref: str
    channel_id: int
    campaign: str
    spent_on: date
    kind: CostKind
    currency: str
    amount_minor: int
    seller: str = ""


class Territory(msgspec.Struct, frozen=True, kw_only=True):
    territory_id: int
    name: str
    parent_id: int | None
    path: list[int]
    manager_id: int | None
    version: int


class Rep(msgspec.Struct, frozen=True, kw_only=True):
    user_id: int
    login: str
    territory_id: int
    active: bool
    version: int


class Pool(msgspec.Struct, frozen=True, kw_only=True):
    """daily_max: claims of a rep in a day, of this pool; stock_max: leads that a rep may hold, of all pools.

    The days: see `pools.rules`.
    """

    pool_id: int
    name: str
    territory_id: int | None
    zone: str
    daily_max: int
    stock_max: int
    protection_days: int
    idle_days: int
    outcome_days: int
    cooling_days: int
    last_dealt_to: int | None
    version: int
