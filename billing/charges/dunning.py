"""What happens to a charge that is not paid in time: steps by days past due. Pure."""

from datetime import date
from enum import IntEnum


class Dunning(IntEnum):
    """How far a charge has come. From SUSPENDED on what it is for is not delivered, at ENDED it has ended."""

    NONE = 0
    REMINDED = 1
    WARNED = 2
    SUSPENDED = 3
    ENDED = 4


DAYS_PAST_DUE = {Dunning.REMINDED: 3, Dunning.WARNED: 10, Dunning.SUSPENDED: 21, Dunning.ENDED: 60}


def dunning(due_on: date, today: date) -> Dunning:
    """The step that a charge, still open, has come to: the last whose days have passed, whatever was missed before."""
    late = (today - due_on).days
    return max((step for step, days in DAYS_PAST_DUE.items() if late >= days), default=Dunning.NONE)
