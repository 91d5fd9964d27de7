"""What commission for winning merchants speaks of. Pure. Amounts are minor units, shares parts per million."""

from datetime import date, datetime
from enum import StrEnum
from typing import Annotated

import msgspec

from marketplace.core.money import AMOUNT_MAX
from marketplace.core.rates import PPM

Days = Annotated[int, msgspec.Meta(ge=0, le=366)]
PlanCode = Annotated[str, msgspec.Meta(pattern="^[a-z][a-z0-9_]{0,39}$")]


class AgentKind(StrEnum):
    """rep: of the own team. distributor: another firm, or an agent, that wins merchants for the house."""

    REP = "rep"
    DISTRIBUTOR = "distributor"


class Agent(msgspec.Struct, frozen=True, kw_only=True):
    """Who earns commission. user_id: the rep. provider_id: as whom the house owes and pays it.

    since_on: merchants activated before that day earn it nothing. An agent that is not active earns no more.
    """

    agent_id: int
    kind: AgentKind
    name: str
    user_id: int | None
    territory_id: int | None
    provider_id: int
    plan_code: str
    since_on: date
    active: bool
    version: int


class ClawbackRule(StrEnum):
    """full: all goes back. pro_rata: the part of the clawback period that the merchant did not stay."""

    FULL = "full"
    PRO_RATA = "pro_rata"


class AgentTerms(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What an activated merchant earns: so much, and a share of what the house earns with it in its first days.

    The commission of the house is account 4000 of the merchant's books, net of what went back, in the share_days from
    the activation on. A merchant that is lost before day clawback_days takes the commission back: closed, its
    activation undone, or, where idle_days is set, without a delivered order for so many days.
    """

    currency: Annotated[str, msgspec.Meta(pattern="^[A-Z]{3}$")]
    fixed_minor: Annotated[int, msgspec.Meta(ge=0, le=AMOUNT_MAX)] = 0
    share_ppm: Annotated[int, msgspec.Meta(ge=0, le=PPM)] = 0
    share_days: Days = 0
    clawback: ClawbackRule = ClawbackRule.FULL
    clawback_days: Days = 90
    idle_days: Days = 0


class AgentPlan(msgspec.Struct, frozen=True, kw_only=True):
    """A version of a plan; it holds for merchants activated from a day on, until the next version does."""

    code: str
    version_no: int
    from_on: date
    terms: AgentTerms
    made_by: str
    made_at: datetime


class CommissionState(StrEnum):
    """open: still watched. vested: nothing changes it any more. clawed_back: the merchant was lost in time."""

    OPEN = "open"
    VESTED = "vested"
    CLAWED_BACK = "clawed_back"


class AgentPerson(msgspec.Struct, frozen=True, kw_only=True):
    """One of a distributor's own people."""

    agent_id: int
    user_id: int
    login: str


class AgentCommission(msgspec.Struct, frozen=True, kw_only=True):
    """What an agent has earned with a merchant, by the version of its plan that held at the activation.

    base_minor: what the house earned in the first days, so far; earned_minor: the agent's, now. lost_on: when the
    merchant was lost, if that was in time.
    """

    commission_id: int
    agent_id: int
    lead_id: int
    merchant_id: int
    plan_code: str
    version_no: int
    currency: str
    activated_on: date
    base_minor: int
    earned_minor: int
    state: CommissionState
    lost_on: date | None
    reason: str


class AgentMovement(msgspec.Struct, frozen=True, kw_only=True):
    """A change of a commission, booked. Below zero it was taken back, or less was earned than it seemed."""

    movement_id: int
    commission_id: int
    agent_id: int
    merchant_id: int
    kind: str
    currency: str
    amount_minor: int
    booked_on: date
    reason: str
