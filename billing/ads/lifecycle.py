"""The life of a campaign: a table of allowed moves and who may make them. Pure.

draft -> in_review -> active <-> paused, active or paused <-> suspended, and out of every state: ended
"""

from enum import StrEnum

import msgspec

from billing.ads.model import CampaignState
from marketplace.core.errors import Conflict, Forbidden


class AdParty(StrEnum):
    """Who makes a move. `clock`: the end of the campaign has come."""

    MERCHANT = "merchant"
    PLATFORM = "platform"
    CLOCK = "clock"


class CampaignMove(StrEnum):
    SUBMIT = "submit"
    APPROVE = "approve"
    REJECT = "reject"
    PAUSE = "pause"
    RESUME = "resume"
    SUSPEND = "suspend"
    REINSTATE = "reinstate"
    END = "end"


class Rule(msgspec.Struct, frozen=True):
    """From these states a move leads to that one, when one of these parties makes it."""

    sources: frozenset[CampaignState]
    target: CampaignState
    parties: frozenset[AdParty]


_S, _M, _P = CampaignState, CampaignMove, AdParty


def _rule(sources: tuple[CampaignState, ...], target: CampaignState, *parties: AdParty) -> Rule:
    return Rule(frozenset(sources), target, frozenset(parties))


RULES: dict[CampaignMove, Rule] = {
    _M.SUBMIT: _rule((_S.DRAFT,), _S.IN_REVIEW, _P.MERCHANT, _P.PLATFORM),
    _M.APPROVE: _rule((_S.IN_REVIEW,), _S.ACTIVE, _P.PLATFORM),
    _M.REJECT: _rule((_S.IN_REVIEW,), _S.DRAFT, _P.PLATFORM),
    _M.PAUSE: _rule((_S.ACTIVE,), _S.PAUSED, _P.MERCHANT, _P.PLATFORM),
    _M.RESUME: _rule((_S.PAUSED,), _S.ACTIVE, _P.MERCHANT, _P.PLATFORM),
    # What the platform has stopped only the platform lets go on; it comes back paused, for its merchant to resume.
    _M.SUSPEND: _rule((_S.ACTIVE, _S.PAUSED), _S.SUSPENDED, _P.PLATFORM),
    _M.REINSTATE: _rule((_S.SUSPENDED,), _S.PAUSED, _P.PLATFORM),
    _M.END: _rule(
        (_S.DRAFT, _S.IN_REVIEW, _S.ACTIVE, _S.PAUSED, _S.SUSPENDED), _S.ENDED, _P.MERCHANT, _P.PLATFORM, _P.CLOCK
    ),
}


def check_move(state: CampaignState, move: CampaignMove, party: AdParty) -> CampaignState:
    """The state that the move leads to.

    Raises Forbidden when this party never makes such a move, Conflict when the campaign's state does not allow it.
    """
    rule = RULES[move]
    if party not in rule.parties:
        raise Forbidden(f"move: the {party} may not {move} a campaign")
    if state not in rule.sources:
        allowed = ", ".join(sorted(rule.sources))
        raise Conflict(f"state: the campaign is {state}; {move} needs one that is {allowed}", state=state.value)
    return rule.target
