"""The life of a campaign: a table of allowed moves and who may make them. Pure.

draft -> in_review -> active <-> paused, active or paused <-> suspended, and out of every state: ended
"""

from enum import StrEnum

from billing.ads.model import CampaignState
from marketplace.core import moves
from marketplace.core.moves import Rule, rule


class AdParty(StrEnum):
    """Who makes a move. `clock`: the end of the campaign has come."""

    MERCHANT = "merchant"
    PLATFORM = "platform"
    CLOCK = "clock"


def party_of(merchant_id: int | None) -> AdParty:
    """As whom people act on campaigns and ad orders: a merchant's own people, or the platform's, who have none."""
    return AdParty.PLATFORM if merchant_id is None else AdParty.MERCHANT


class CampaignMove(StrEnum):
    SUBMIT = "submit"
    APPROVE = "approve"
    REJECT = "reject"
    PAUSE = "pause"
    RESUME = "resume"
    SUSPEND = "suspend"
    REINSTATE = "reinstate"
    END = "end"


_S, _M, _P = CampaignState, CampaignMove, AdParty


RULES: dict[CampaignMove, Rule[CampaignState, AdParty]] = {
    _M.SUBMIT: rule((_S.DRAFT,), _S.IN_REVIEW, _P.MERCHANT, _P.PLATFORM),
    _M.APPROVE: rule((_S.IN_REVIEW,), _S.ACTIVE, _P.PLATFORM),
    _M.REJECT: rule((_S.IN_REVIEW,), _S.DRAFT, _P.PLATFORM),
    _M.PAUSE: rule((_S.ACTIVE,), _S.PAUSED, _P.MERCHANT, _P.PLATFORM),
    _M.RESUME: rule((_S.PAUSED,), _S.ACTIVE, _P.MERCHANT, _P.PLATFORM),
    # What the platform has stopped only the platform lets go on; it comes back paused, for its merchant to resume.
    _M.SUSPEND: rule((_S.ACTIVE, _S.PAUSED), _S.SUSPENDED, _P.PLATFORM),
    _M.REINSTATE: rule((_S.SUSPENDED,), _S.PAUSED, _P.PLATFORM),
    _M.END: rule(
        (_S.DRAFT, _S.IN_REVIEW, _S.ACTIVE, _S.PAUSED, _S.SUSPENDED), _S.ENDED, _P.MERCHANT, _P.PLATFORM, _P.CLOCK
    ),
}


def check_move(state: CampaignState, move: CampaignMove, party: AdParty) -> CampaignState:
    """The state that the move leads to. Raises as `moves.checked` does."""
    return moves.checked(RULES, state, move, party, "campaign")


def moves_from(state: CampaignState, party: AdParty) -> list[CampaignMove]:
    """What the party may do with a campaign in this state."""
    return moves.open_to(RULES, state, party)
