"""How promising a lead is: points for what it is (fit) and for what it does (engagement), by versioned rules. Pure."""

from collections.abc import Sequence
from typing import Annotated, Literal

import msgspec

from marketplace.core.errors import Refusals

Part = Literal["fit", "engagement"]
Field = Literal[
    "model",
    "channel",
    "campaign",
    "region",
    "city",
    "has_tax_id",
    "has_phone",
    "has_email",
    "touches",
    "actions",
    "forms",
]
Text = Annotated[str, msgspec.Meta(max_length=200, pattern=r"^[^\x00-\x1f\x7f]*$")]
SCORE_MAX = 100


class Criterion(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Points, also below zero, for a lead whose `field` is one of `any_of`, or a number of at least `at_least`.

    Words need the first, numbers the second. A channel is also found under the code of one above it. What is had or not
    is 1 or 0.
    """

    part: Part
    field: Field
    any_of: Annotated[tuple[Text, ...], msgspec.Meta(max_length=100)] = ()
    at_least: Annotated[int, msgspec.Meta(ge=0, le=1_000)] | None = None
    points: Annotated[int, msgspec.Meta(ge=-SCORE_MAX, le=SCORE_MAX)]


class ScoringRules(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A lead is qualified for sales (MQL) from these two thresholds on, both of them."""

    criteria: Annotated[tuple[Criterion, ...], msgspec.Meta(min_length=1, max_length=100)]
    fit_min: Annotated[int, msgspec.Meta(ge=0, le=SCORE_MAX)]
    engagement_min: Annotated[int, msgspec.Meta(ge=0, le=SCORE_MAX)]


class Facts(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of a lead. channel: its code with the codes above it, such as `online.ads`."""

    model: str
    channel: str
    campaign: str
    region: str
    city: str
    has_tax_id: int
    has_phone: int
    has_email: int
    touches: int
    actions: int
    forms: int


_NUMBERS = frozenset(field for field, kind in Facts.__annotations__.items() if kind is int)


class Score(msgspec.Struct, frozen=True):
    """Each from 0 to 100."""

    fit: int
    engagement: int

    def qualifies(self, rules: ScoringRules) -> bool:
        return self.fit >= rules.fit_min and self.engagement >= rules.engagement_min


def check_rules(rules: ScoringRules) -> None:
    """Raise Invalid naming every criterion that no lead could ever meet."""
    wrong = Refusals()
    for number, each in enumerate(rules.criteria):
        if each.field in _NUMBERS and each.at_least is None:
            wrong.add(f"/criteria/{number}/at_least", f"at_least: {each.field} is a number: say from which one on")
        elif each.field not in _NUMBERS and not each.any_of:
            wrong.add(f"/criteria/{number}/any_of", f"any_of: say which values of {each.field} give the points")
    wrong.check()


def score(facts: Facts, rules: ScoringRules) -> Score:
    """The points of every criterion that is met, cut off at 0 and 100."""
    return Score(_points(facts, rules.criteria, "fit"), _points(facts, rules.criteria, "engagement"))


def _points(facts: Facts, criteria: Sequence[Criterion], part: Part) -> int:
    total = sum(criterion.points for criterion in criteria if criterion.part == part and _is_met(facts, criterion))
    return min(max(total, 0), SCORE_MAX)


def _is_met(facts: Facts, criterion: Criterion) -> bool:
    value: str | int = getattr(facts, criterion.field)
    if isinstance(value, int):
        return criterion.at_least is not None and value >= criterion.at_least
    if criterion.field == "channel":
        return any(value == code or value.startswith(f"{code}.") for code in criterion.any_of)
    return value in criterion.any_of
