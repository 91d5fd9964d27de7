"""Terms that contradict themselves are refused, naming the field and why; sound ones survive a round trip."""

from typing import Any

import msgspec
import pytest

from incentives.rules.check import check_terms, problems, read_terms
from incentives.rules.model import Terms
from marketplace.core.errors import Invalid
from tests.incentives.rules.cases import discount, per_order, percent, raw, terms


def ladder(*tiers: tuple[int, int]) -> dict[str, Any]:
    steps = [{"threshold": threshold, "total_minor": total} for threshold, total in tiers]
    return {"amount": {"gives": "ladder", "tiers": steps}}


def rates(kind: str, *bands: tuple[int, int]) -> dict[str, Any]:
    return {"amount": {"gives": kind, "bands": [{"from_minor": start, "rate_ppm": rate} for start, rate in bands]}}


def asks(**predicate: Any) -> dict[str, Any]:
    return {"event": predicate}


def runs(**changes: Any) -> dict[str, Any]:
    return {"zone": "Europe/Berlin", "starts": "2026-11-01", "ends": "2026-11-30", **changes}


BUDGET = {"per": "promotion", "limit_minor": 100, "currency": "EUR"}
EVENT = {"over": "event"}
TIER_KEPT = {"amount": {"gives": "once", "threshold": 1, "amount_minor": 1}, "clawback": {"policy": "keep_tier"}}
OFF = {"amount": percent(100_000), "form": {"as": "discount"}}

BAD: list[tuple[dict[str, Any], str, str]] = [
    ({"reward": ladder((100, 20), (200, 10))}, "/reward/amount/tiers/1/total_minor", "10 is below the 20 before it"),
    ({"reward": ladder((100, 20), (100, 30))}, "/reward/amount/tiers/1/threshold", "100 is not above the 100"),
    ({"reward": rates("volume", (0, 50_000), (100, 10_000))}, "/reward/amount/bands/1/rate_ppm", "with falling rates"),
    ({"reward": rates("graduated", (5, 1), (5, 2))}, "/reward/amount/bands/1/from_minor", "is not above"),
    ({"schedule": runs(ends="2026-10-30")}, "/schedule/ends", "is not after the start 2026-11-01"),
    ({"schedule": runs(starts="2026-11-01T12:00", ends="2026-11-01T12:00")}, "/schedule/ends", "is not after"),
    ({"schedule": runs(zone="Europe/Atlantis")}, "/schedule/zone", "is no zone of the IANA database"),
    ({"schedule": runs(zone="../etc/passwd")}, "/schedule/zone", "is no zone"),
    ({"schedule": runs(zone="Europe")}, "/schedule/zone", "is no zone"),
    ({"schedule": runs(starts="2026-02-30")}, "/schedule/starts", "is no date"),
    ({"schedule": runs(ends="9999-12-31")}, "/schedule/ends", "is no date, or none from 2000 to 2200"),
    ({"schedule": runs(only=[{"from_time": "20:00", "to_time": "06:00"}])}, "/schedule/only/0/to_time", "two spans"),
    ({"qualify": asks(**{"is": "exists", "attribute": "order.colour"})}, "/qualify/event/attribute", "is no attribute"),
    (
        {"qualify": asks(**{"is": "exists", "attribute": "line.category"})},
        "/qualify/event/attribute",
        "cannot be asked here",
    ),
    (
        {"qualify": asks(**{"is": "not", "of": {"is": "all", "of": [{"is": "exists", "attribute": "x"}]}})},
        "/qualify/event/of/of/0/attribute",
        "is no attribute",
    ),
    (
        {"qualify": asks(**{"is": "equals", "attribute": "merchant.id", "value": "7"})},
        "/qualify/event/value",
        "'7' is no whole number",
    ),
    (
        {"qualify": asks(**{"is": "equals", "attribute": "merchant.id", "value": True})},
        "/qualify/event/value",
        "True is no whole number",
    ),
    (
        {"qualify": asks(**{"is": "in", "attribute": "order.channel", "values": ["web", 3]})},
        "/qualify/event/values",
        "3 is no text",
    ),
    (
        {"qualify": asks(**{"is": "range", "attribute": "order.amount", "at_least": 9, "below": 9})},
        "/qualify/event/below",
        "9 is not above at_least 9",
    ),
    ({"qualify": asks(**{"is": "range", "attribute": "order.amount"})}, "/qualify/event", "at_least, below, or both"),
    (
        {"qualify": asks(**{"is": "range", "attribute": "order.channel", "below": 9})},
        "/qualify/event/attribute",
        "is no number",
    ),
    ({"budgets": [{**BUDGET, "currency": "USD"}]}, "/budgets/0/currency", "is in USD, the promotion in EUR"),
    ({"budgets": [BUDGET, BUDGET]}, "/budgets/1", "there is such a budget already"),
    ({"budgets": [{**BUDGET, "per": "funder", "funder": "acme"}]}, "/budgets/0/funder", "none of the funders platform"),
    ({"funding": [{"by": "platform", "weight": 0}]}, "/funding", "every weight is zero"),
    ({"funding": [{"by": "platform"}, {"by": "platform"}]}, "/funding", "'platform' is named twice"),
    ({"currency": "XXX"}, "/currency", "is not a currency this platform accepts"),
    ({"name": " "}, "/name", "is blank"),
    ({"trigger": {"on": "custom", "name": "order.placed"}}, "/trigger/name", "is a trigger of its own"),
    ({"trigger": {"on": "listing.published"}, "beneficiary": {"to": "buyer"}}, "/beneficiary", "has no buyer"),
    ({"measure": {"of": "distinct_buyers"}, "beneficiary": {"to": "buyer"}}, "/measure/of", "for a merchant only"),
    ({"measure": {"of": "orders"}, "reward": {"amount": percent(1)}}, "/reward/amount", "the measure counts orders"),
    ({"reward": TIER_KEPT}, "/reward/clawback/policy", "only a volume percentage"),
    ({"reward": OFF}, "/reward/form", "only a buyer gets a discount"),
    ({"reward": OFF, "beneficiary": {"to": "buyer"}}, "/reward/form", "a window of one event"),
    (
        {"reward": {**OFF, "vest_seconds": 1}, "beneficiary": {"to": "buyer"}, "window": EVENT},
        "/reward/vest_seconds",
        "is given at once",
    ),
    (
        {
            "reward": OFF,
            "beneficiary": {"to": "buyer"},
            "window": EVENT,
            "budgets": [{**BUDGET, "on_shortfall": "queue"}],
        },
        "/reward/form",
        "cannot wait for a budget",
    ),
    (
        {"beneficiary": {"to": "both", "buyer_reward": {"amount": percent(1), "form": {"as": "fee_reduction"}}}},
        "/beneficiary/buyer_reward/form",
        "only merchants pay fees",
    ),
    ({"limits": {"per_event_minor": 5}}, "/limits/per_event_minor", "needs a window of one event"),
    (
        {"limits": {"order_share_ppm": 5}, "window": EVENT, "trigger": {"on": "listing.published"}},
        "/limits/order_share_ppm",
        "the trigger is no order",
    ),
    ({"stacking": {"base": "after_earlier_lanes"}}, "/stacking/base", "the window must be one event"),
    ({"experiment": {"salt": "s", "arms": [{"name": "a", "weight": 0}]}}, "/experiment/arms", "every weight is zero"),
    ({"experiment": {"salt": "s", "arms": [{"name": "a"}, {"name": "a"}]}}, "/experiment/arms", "'a' is named twice"),
    ({"experiment": {"salt": "s", "holdout_slots": 10_000}}, "/experiment/holdout_slots", "everybody"),
    (
        {"experiment": {"salt": "s", "arms": [{"name": "a", "reward": ladder((2, 1), (1, 1))}]}},
        "/experiment/arms/0/reward/amount/tiers/1/threshold",
        "1 is not above",
    ),
]


@pytest.mark.parametrize(("changes", "pointer", "reason"), BAD, ids=[f"{n} {case[1]}" for n, case in enumerate(BAD)])
def test_what_contradicts_itself_is_refused(changes: dict[str, Any], pointer: str, reason: str) -> None:
    found = problems(terms(**changes))
    assert [where for where, _ in found] == [pointer]
    assert reason in found[0][1]
    with pytest.raises(Invalid, match=pointer[1:]) as refusal:
        check_terms(terms(**changes))
    assert refusal.value.extra["pointer"] == pointer


SOUND = [
    terms(),
    discount(percent(100_000)),
    per_order({"gives": "every", "every": 10_00, "amount_minor": 1_00, "times_max": 3}),
    terms(reward=rates("volume", (0, 10_000), (100, 10_000), (200, 50_000))),
    terms(beneficiary={"to": "both", "buyer_reward": {"amount": percent(1), "cap_minor": 5}}),
    terms(
        funding=[{"by": "platform", "weight": 2}, {"by": "payer", "contract": "acme spring"}],
        budgets=[{**BUDGET, "per": "funder", "funder": "acme spring"}, {**BUDGET, "per": "day"}],
        experiment={
            "salt": "s",
            "holdout_slots": 500,
            "arms": [{"name": "a"}, {"name": "b", "reward": ladder((1, 1))}],
        },
    ),
]


@pytest.mark.parametrize("sound", SOUND)
def test_sound_terms_survive_a_round_trip(sound: Terms) -> None:
    assert problems(sound, ["early", "standard"]) == []
    assert read_terms(msgspec.json.encode(sound)) == sound


def test_a_lane_must_exist() -> None:
    assert problems(terms(stacking={"lane": "fast"}), ["early", "late"]) == [
        ("/stacking/lane", "'fast' is none of the lanes early, late")
    ]


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"colour": "red"}, "unknown field `colour`"),
        ({"window": {"over": "fortnight"}}, "fortnight"),
        ({"window": {"over": "calendar", "period": "week", "week_starts": 8}}, "week_starts"),
        ({"reward": {"amount": {"gives": "once", "threshold": "100", "amount_minor": 1}}}, "Expected `int`"),
        ({"reward": {"amount": {"gives": "once", "threshold": 1.5, "amount_minor": 1}}}, "Expected `int`"),
        ({"reward": {"amount": {"gives": "once", "threshold": 0, "amount_minor": 1}}}, "threshold"),
        ({"reward": {"amount": {"gives": "once", "threshold": 10**13, "amount_minor": 1}}}, "threshold"),
        ({"reward": {"amount": {"gives": "volume", "bands": []}}}, "bands"),
        ({"name": "a\0b"}, "name"),
        ({"funding": []}, "funding"),
    ],
)
def test_what_is_no_terms_is_not_read(changes: dict[str, Any], reason: str) -> None:
    with pytest.raises(Invalid, match=reason):
        read_terms(msgspec.json.encode(raw(**changes)))


@pytest.mark.parametrize(
    "document", [b"", b"{", b"[]", b"\xff", b'{"qualify":{"event":' + b'{"is":"not","of":' * 50_000]
)
def test_rubbish_is_not_read(document: bytes) -> None:
    with pytest.raises(Invalid, match="not the terms of a promotion"):
        read_terms(document)


def test_predicates_are_bounded() -> None:
    node: dict[str, Any] = {"is": "exists", "attribute": "order.code"}
    for _ in range(8):
        node = {"is": "not", "of": node}
    assert problems(terms(qualify={"event": node})) == [("/qualify/event", "it is nested deeper than 8")]
    leaf = {"is": "exists", "attribute": "order.code"}
    wide = {"is": "all", "of": [{"is": "any", "of": [leaf] * 60}, {"is": "any", "of": [leaf] * 60}]}
    assert problems(terms(qualify={"event": wide})) == [("/qualify/event", "it has 123 nodes, more than 100")]


def test_the_terms_have_a_json_schema() -> None:
    schema = msgspec.json.schema(Terms)
    assert {"Terms", "Ladder", "SinceOptIn", "ByPayer", "RegionBudget", "Experiment"} <= set(schema["$defs"])
    assert schema["$defs"]["Terms"]["additionalProperties"] is False
