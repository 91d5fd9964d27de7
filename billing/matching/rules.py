"""Which items belong together where no reference says so: sums of subsets, and what is likely. Pure.

Nothing here depends on the order in which items are given, nor on their ids.
"""

import re
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Sequence
from datetime import timedelta
from functools import lru_cache
from itertools import accumulate, islice

from billing.matching.model import PPM_MAX, SUBSET_ITEMS_MAX, Book, Draft, Item, ResidueKind, Rules, Stage, Suggestion

AMOUNT_SCORE, REFERENCE_SCORE, DAY_SCORE, PARTY_SCORE = 40, 25, 20, 15
"""What a pair is worth, of 100, where it agrees in full."""

SUGGESTIONS_MAX = 10
HINT_DAYS = 45
"""How far apart the days of a line and of what is suggested for it may lie."""
CROWD_MAX = 1_000
"""With so many items of about one amount at most a line is compared: 5,000 lines cost some seconds."""
_PIECE = 4
_NOISE = re.compile(r"[^0-9A-Z]+")


def residue_of(rules: Rules, book: Book, theirs_minor: int, ours_minor: int) -> ResidueKind | None:
    """What explains the difference between two amounts, None when nothing does."""
    allowed = (one for one in rules.tolerances if one.book is book and one.allows(theirs_minor, ours_minor))
    return next((one.residue for one in allowed), None)


def explains(rules: Rules, book: Book, theirs_minor: int, ours_minor: int) -> bool:
    """Whether two amounts are equal, or something explains their difference."""
    return theirs_minor == ours_minor or residue_of(rules, book, theirs_minor, ours_minor) is not None


@lru_cache(maxsize=20_000)
def plain(text: str) -> str:
    """A reference or a name as far as it survives the ways of banks: capitals and digits."""
    return _NOISE.sub("", text.upper())


def subset_sum(items: Sequence[Item], target_minor: int) -> tuple[Item, ...] | None:
    """The one subset of two items or more that sums to the target; None when there is none, or more than one.

    Items that cannot be told apart by amount make it more than one: which of them is paid would be a guess.
    """
    if len(items) > SUBSET_ITEMS_MAX:
        return None
    ordered = sorted(items, key=lambda item: item.rank)
    found: dict[int, tuple[int, int]] = {}  # each sum of two items or more: how many subsets make it, and one of them
    for at, item in enumerate(ordered):
        grown = [(minor, count, chosen) for minor, (count, chosen) in found.items()]
        grown += [(earlier.amount_minor, 1, 1 << place) for place, earlier in enumerate(ordered[:at])]
        for minor, count, chosen in grown:
            whole = minor + item.amount_minor
            found[whole] = found.get(whole, (0, 0))[0] + count, chosen | 1 << at
    count, chosen = found.get(target_minor, (0, 0))
    return tuple(item for at, item in enumerate(ordered) if chosen >> at & 1) if count == 1 else None


def may_pair(line: Item, item: Item, window_days: int) -> bool:
    """The gates: the same book, entity and currency, the same direction, days that are near, and not taken apart."""
    near = item.day <= line.day and (line.day - item.expected_on).days <= window_days
    return _comparable(line, item) and near and item.item_id not in line.apart


def _comparable(line: Item, item: Item) -> bool:
    same = (line.book, line.entity_id, line.currency) == (item.book, item.entity_id, item.currency)
    return same and (line.amount_minor > 0) == (item.amount_minor > 0)


def same_party(line: Item, item: Item) -> bool:
    """Whether both name the same counterparty, by its account or by its name."""
    if line.party_account and item.party_account:
        return plain(line.party_account) == plain(item.party_account)
    return bool(plain(line.party)) and plain(line.party) == plain(item.party)


def score(line: Item, item: Item, rules: Rules) -> Suggestion | None:
    """How likely an item is the other side of a line, and why; None where a gate is shut or the amounts are apart."""
    worth = _amounts(line, item, rules)
    if worth is None or not may_pair(line, item, rules.window_days):
        return None
    return _rated(line, item, rules, worth)


def hint(line: Item, item: Item, rules: Rules) -> Suggestion | None:
    """The same for a person to look at, who may know why the days lie far apart, or the amounts where the line names
    the reference."""
    if not _comparable(line, item) or abs((line.day - item.expected_on).days) > HINT_DAYS:
        return None
    worth = _amounts(line, item, rules)
    if worth is None and _reference(line, item) is None:
        return None
    return _rated(line, item, rules, worth or (0, "the amounts differ"))


def _amounts(line: Item, item: Item, rules: Rules) -> tuple[int, str] | None:
    if line.amount_minor == item.amount_minor:
        return AMOUNT_SCORE, "the amounts are equal"
    residue = residue_of(rules, line.book, line.amount_minor, item.amount_minor)
    return None if residue is None else (AMOUNT_SCORE // 2, f"a {residue} would explain")


def _reference(line: Item, item: Item) -> tuple[int, str] | None:
    said, named = plain(" ".join((*line.keys, line.words))), plain(item.reference)
    if len(named) >= _PIECE and named in said:
        return REFERENCE_SCORE, "the line names the reference"
    if len(named) > _PIECE and named[-_PIECE - 2 :] in said:
        return REFERENCE_SCORE // 2, "the line names the end of the reference"
    return None


def _rated(line: Item, item: Item, rules: Rules, worth: tuple[int, str]) -> Suggestion:
    parts = [worth]
    if (named := _reference(line, item)) is not None:
        parts.append(named)
    late = max((line.day - item.expected_on).days, 0)
    timely = max(DAY_SCORE - DAY_SCORE * late // (rules.window_days + 1), 0)
    parts.append((timely, f"{late} days after it was expected"))
    if same_party(line, item):
        parts.append((PARTY_SCORE, "the counterparty is the same"))
    elif line.party and item.party and plain(line.party) != plain(item.party):
        parts.append((-PARTY_SCORE, "another counterparty"))
    if item.item_id in line.apart:
        parts.append((-sum(points for points, _ in parts), "a person took these apart"))
    total = sum(points for points, _ in parts)
    return Suggestion(ours=(item.item_id,), score=max(total, 0), reasons=tuple(why for _, why in parts))


def suggestions(line: Item, items: Sequence[Item], rules: Rules) -> list[Suggestion]:
    """What may be the other side of a line, the likeliest first."""
    scored = [(one, item) for item in items if (one := hint(line, item, rules)) is not None]
    scored.sort(key=lambda pair: (-pair[0].score, pair[1].rank))
    found = [one for one, _ in scored[:SUGGESTIONS_MAX]]
    chosen = subset_sum(list(_of_party(line, items, rules)), line.amount_minor)
    if chosen:
        why = f"the only {len(chosen)} items of this counterparty that sum to it"
        found.insert(0, Suggestion(ours=tuple(item.item_id for item in chosen), score=100, reasons=(why,)))
    return found


def subsets(lines: Sequence[Item], items: Sequence[Item], rules: Rules) -> list[Draft]:
    """Groups of a line and several items of one counterparty that sum to it, each item in one group at most.

    An item that two lines would take is taken by neither.
    """
    wanted: list[tuple[Item, tuple[Item, ...]]] = []
    parties: dict[str, list[Item]] = {}
    for item in sorted(items, key=lambda item: item.expected_on):
        for name in _names(item):
            parties.setdefault(name, []).append(item)
    for line in lines:
        since = line.day - timedelta(days=rules.window_days)
        candidates: dict[int, Item] = {}
        for name in _names(line):
            some = parties.get(name, [])
            late = islice(some, bisect_left(some, since, key=lambda item: item.expected_on), None)
            for item in _of_party(line, late, rules):
                candidates[item.item_id] = item
                if len(candidates) > rules.subset_items:
                    break
        few = len(candidates) <= rules.subset_items
        if few and (chosen := subset_sum(list(candidates.values()), line.amount_minor)):
            wanted.append((line, chosen))
    claims: dict[int, int] = {}
    for _, chosen in wanted:
        for item in chosen:
            claims[item.item_id] = claims.get(item.item_id, 0) + 1
    return [
        Draft(
            stage=Stage.SUBSET,
            theirs=(line.item_id,),
            ours=tuple(item.item_id for item in chosen),
            reasons=(f"the only {len(chosen)} items of this counterparty that sum to it",),
        )
        for line, chosen in sorted(wanted, key=lambda pair: pair[0].rank)
        if all(claims[item.item_id] == 1 for item in chosen)
    ]


def _names(item: Item) -> list[str]:
    """By what `same_party` may know an item: its counterparty's account and its name, in its direction."""
    names = plain(item.party_account), f" {plain(item.party)}"
    return [f"{name} {item.amount_minor > 0}" for name in names if name.strip()]


def _of_party(line: Item, items: Iterable[Item], rules: Rules) -> Iterator[Item]:
    return (item for item in items if may_pair(line, item, rules.window_days) and same_party(line, item))


def likely_pairs(lines: Sequence[Item], items: Sequence[Item], rules: Rules) -> list[Draft]:
    """Pairs that score enough, and ahead of every other pair of either of the two by the margin.

    A line with more than CROWD_MAX items of about its amount, and those items, are left to people.
    """
    ordered = sorted(items, key=lambda item: (item.amount_minor, item.rank))
    minors = [item.amount_minor for item in ordered]
    crowds = [0] * (len(ordered) + 1)
    scored: list[tuple[Item, Item, Suggestion]] = []
    for line in lines:
        most = _farthest(line, rules)
        first, last = bisect_left(minors, line.amount_minor - most), bisect_right(minors, line.amount_minor + most)
        if last - first > CROWD_MAX:
            crowds[first] += 1
            crowds[last] -= 1
        else:
            scored += [(line, item, found) for item in ordered[first:last] if (found := score(line, item, rules))]
    crowded = {item.item_id for item, lines_of in zip(ordered, accumulate(crowds), strict=False) if lines_of}
    of_line: dict[int, list[int]] = {}
    of_item: dict[int, list[int]] = {}
    for line, item, found in scored:
        of_line.setdefault(line.item_id, []).append(found.score)
        of_item.setdefault(item.item_id, []).append(found.score)
    drafts = []
    for line, item, found in sorted(scored, key=lambda one: (-one[2].score, one[0].rank, one[1].rank)):
        ahead = all(_ahead(found.score, all_of, rules) for all_of in (of_line[line.item_id], of_item[item.item_id]))
        if found.score >= rules.likely_score and ahead and item.item_id not in crowded:
            residue = line.amount_minor - item.amount_minor
            kind = residue_of(rules, line.book, line.amount_minor, item.amount_minor) if residue else None
            drafts.append(
                Draft(
                    stage=Stage.LIKELY,
                    theirs=(line.item_id,),
                    ours=found.ours,
                    residue_minor=residue,
                    residue_kind=kind,
                    score=found.score,
                    reasons=found.reasons,
                )
            )
    return drafts


def _farthest(line: Item, rules: Rules) -> int:
    """How far from a line's amount any tolerance lets another be: |residue| is within ppm of what is ours."""
    bounds = [
        min(one.minor_max, abs(line.amount_minor) * one.ppm_max // (PPM_MAX - one.ppm_max) + 1)
        if one.ppm_max < PPM_MAX
        else one.minor_max
        for one in rules.tolerances
        if one.book is line.book
    ]
    return max(bounds, default=0)


def _ahead(best: int, scores: list[int], rules: Rules) -> bool:
    """Whether it is the best of them, and no other is within the margin."""
    return sum(other > best - rules.likely_margin for other in scores) == 1
