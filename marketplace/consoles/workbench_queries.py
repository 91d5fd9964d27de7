"""What the workbench shows: open lines of theirs and open items of ours, and what is known of those that are ticked."""

from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any

import msgspec

from billing.matching import rules as pure
from billing.matching import store
from billing.matching.agreements import store as agreements
from billing.matching.model import Book, Group, Item, ItemKind, Proposal, ResidueKind, Side, Suggestion
from marketplace.consoles.ops_queries import Entity, get_entity, list_entities
from marketplace.core.db import Tx
from marketplace.core.money import minor_from_typed
from marketplace.flows.bank import match_by_hand
from marketplace.flows.bank.book_matches import pays_part

LISTED_MAX = 40
GROUPS_MAX = 8
PROPOSALS_MAX = 50

Place = tuple[date, int]
"""Where a page of a list begins: behind the item of this day and id."""


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """What an address or a form of the workbench says. line: whose suggestions are wanted; theirs, ours: the ticked."""

    entity_id: int | None = None
    book: Book = Book.BANK
    currency: str = ""
    words: str = ""
    line: int | None = None
    theirs_after: str | None = None
    ours_after: str | None = None
    theirs: tuple[int, ...] = ()
    ours: tuple[int, ...] = ()
    reason: str = ""
    residue_kind: ResidueKind | None = None


class Row(msgspec.Struct, frozen=True):
    """An open item. break_id: of the live break that is about it. apart: a person took a match of it back.
    proposal_id: of the match that waits for a second person."""

    item_id: int
    kind: ItemKind
    amount_minor: int
    reference: str
    party: str
    words: str
    day: date
    break_id: int | None
    apart: bool
    proposal_id: int | None

    @property
    def name(self) -> str:
        return self.party or self.reference or self.words


class Sums(msgspec.Struct, frozen=True):
    """The ticked of both sides. verdict: what matching them would be; "apart" where nothing explains the difference."""

    currency: str
    theirs: Sequence[Item]
    ours: Sequence[Item]
    verdict: str

    @property
    def theirs_minor(self) -> int:
        return sum(item.amount_minor for item in self.theirs)

    @property
    def ours_minor(self) -> int:
        return sum(item.amount_minor for item in self.ours)


class Suggested(msgspec.Struct, frozen=True):
    """A suggestion with its items."""

    found: Suggestion
    items: Sequence[Item]


class Matched(msgspec.Struct, frozen=True):
    """A group that stands, with the sum and the name of its lines."""

    group: Group
    name: str
    theirs_minor: int


class Booked(msgspec.Struct, frozen=True):
    """A journal entry that a group has made, or that an item of it stands for."""

    merchant_id: int
    entry_no: int
    kind: str
    effective_on: date


class MatchPage(msgspec.Struct, frozen=True, kw_only=True):
    """What is a group, or is proposed to be one or none any more, with the items of both sides."""

    group: Group | None
    proposal: Proposal | None
    items: Sequence[Item]
    entries: Sequence[Booked]
    zone: str

    @property
    def residue(self) -> tuple[str, int]:
        """What explains that the sides differ, "" where nothing has to, and by how much they do."""
        if self.group is not None:
            return self.group.residue_kind, self.group.residue_minor
        assert self.proposal is not None
        signs = {Side.THEIRS: 1, Side.OURS: -1}
        return self.proposal.residue_kind, sum(signs[item.side] * item.amount_minor for item in self.items)


class Workbench(msgspec.Struct, frozen=True, kw_only=True):
    """Both lists a page at a time, oldest first. theirs_next, ours_next: where their next pages begin.

    lines_wait: lines have been read since the last pass, which are not listed before the next.
    """

    entity: Entity
    entities: Sequence[Entity]
    asked: Asked
    currencies: Sequence[str]
    theirs: Sequence[Row]
    ours: Sequence[Row]
    theirs_next: Place | None
    ours_next: Place | None
    sums: Sums
    line: Item | None
    suggested: Sequence[Suggested]
    waiting: Sequence[Proposal]
    matched: Sequence[Matched]
    lines_wait: bool


_READ_SINCE = """
SELECT EXISTS (
    SELECT FROM billing.bank_file WHERE state = 'read' AND new_lines > 0
    AND moved_at > coalesce((SELECT max(started_at) FROM billing.match_run WHERE state = 'done'), '-infinity')
)
"""
_CURRENCIES = """
SELECT currency FROM billing.match_item
WHERE group_id IS NULL AND book = :book AND entity_id = :entity GROUP BY currency ORDER BY count(*) DESC, currency
"""

_OPEN = """
WITH waiting AS MATERIALIZED (
    SELECT item_id, min(proposal_id) AS proposal_id
    FROM billing.match_proposal CROSS JOIN LATERAL unnest(theirs || ours) AS i (item_id)
    WHERE state = 'proposed' AND action = 'match' GROUP BY item_id
)
SELECT i.item_id, i.kind, i.amount_minor, i.reference, i.party, i.words, i.day,
       (SELECT b.break_id FROM billing.recon_break b WHERE b.subject = 'item:' || i.item_id AND b.closed_at IS NULL),
       i.apart <> '{}', w.proposal_id
FROM billing.match_item i LEFT JOIN waiting w ON w.item_id = i.item_id
WHERE i.group_id IS NULL AND i.book = :book AND i.side = :side AND i.entity_id = :entity AND i.currency = :currency
  AND (CAST(:day AS date) IS NULL OR (i.day, i.item_id) > (CAST(:day AS date), CAST(:item AS bigint)))
  AND (:words = '' OR abs(i.amount_minor) = CAST(:minor AS bigint)
       OR strpos(upper(concat_ws(' ', i.reference, i.batch_ref, i.party, i.party_account, i.words)), upper(:words)) > 0)
ORDER BY i.day, i.item_id LIMIT :limit
"""

_MATCHED = """
SELECT g.group_id, i.name, i.minor
FROM billing.match_group g
CROSS JOIN LATERAL (SELECT min(coalesce(nullif(party, ''), nullif(reference, ''), words)) AS name,
                           sum(amount_minor)::bigint AS minor, min(entity_id) AS entity_id
                    FROM billing.match_item WHERE item_id = ANY(g.theirs)) AS i
WHERE g.book = :book AND g.currency = :currency AND g.stage <> 'unmatch' AND i.entity_id = :entity
  AND NOT EXISTS (SELECT 1 FROM billing.match_group r WHERE r.reverses_id = g.group_id)
ORDER BY g.group_id DESC LIMIT :limit
"""

_ENTRIES = """
SELECT e.merchant_id, e.entry_no, e.kind, e.effective_on
FROM unnest(CAST(:books AS bigint[]), CAST(:kinds AS text[]), CAST(:sources AS bigint[]))
    AS w (merchant_id, kind, source)
JOIN billing.entry e ON e.merchant_id = w.merchant_id AND e.kind = w.kind AND e.source_id = w.source
ORDER BY e.effective_on, e.merchant_id, e.entry_no
"""
_OF_HOUSE = {
    ItemKind.PROCESSOR_PAYOUT: "processor_paid_out",
    ItemKind.SETTLEMENT: "processor_settled",
    ItemKind.WRITE_OFF: "break_written_off",
}
"""As what the house's books have an item, under its source."""


async def workbench(tx: Tx, asked: Asked, after: Mapping[Side, Place | None]) -> Workbench | None:
    """Both lists of one entity, book and currency; None when there is no entity yet. Raises NotFound."""
    entity = await get_entity(tx, asked.entity_id)
    if entity is None:
        return None
    open_in = await tx.rows(_CURRENCIES, book=asked.book, entity=entity.entity_id)
    currencies = [row.currency for row in open_in] or [entity.currency]
    asked = msgspec.structs.replace(
        asked, entity_id=entity.entity_id, currency=asked.currency or currencies[0], words=asked.words.strip()
    )
    scale = {"book": asked.book, "entity": entity.entity_id, "currency": asked.currency}
    theirs, theirs_next = await _open(tx, asked, scale | {"side": Side.THEIRS}, after[Side.THEIRS])
    ours, ours_next = await _open(tx, asked, scale | {"side": Side.OURS}, after[Side.OURS])
    line = await _line(tx, asked.line)
    return Workbench(
        entity=entity,
        entities=await list_entities(tx),
        asked=asked,
        currencies=currencies if asked.currency in currencies else [*currencies, asked.currency],
        theirs=theirs,
        ours=ours,
        theirs_next=theirs_next,
        ours_next=ours_next,
        sums=await sums(tx, asked),
        line=line,
        suggested=await _suggested(tx, line) if line else [],
        waiting=await store.list_proposals(tx, limit=PROPOSALS_MAX, state="proposed"),
        matched=await _matched(tx, scale),
        lines_wait=await tx.scalar(_READ_SINCE),
    )


async def _open(
    tx: Tx, asked: Asked, scale: Mapping[str, Any], after: Place | None
) -> tuple[Sequence[Row], Place | None]:
    day, item = after or (None, None)
    found = await tx.rows(
        _OPEN,
        **scale,
        day=day,
        item=item,
        words=asked.words,
        minor=_amount(asked.words, asked.currency),
        limit=LISTED_MAX + 1,
    )
    rows = [Row(row[0], ItemKind(row[1]), *row[2:]) for row in found[:LISTED_MAX]]
    return rows, (rows[-1].day, rows[-1].item_id) if len(found) > LISTED_MAX else None


def _amount(words: str, currency: str) -> int | None:
    """The amount that was looked for, whichever its sign, None for words that are none."""
    try:
        return abs(minor_from_typed(words, currency))
    except ValueError:
        return None


async def _line(tx: Tx, item_id: int | None) -> Item | None:
    """The chosen line, None when it is not open any more."""
    if item_id is None:
        return None
    [item] = await store.items_of(tx, [item_id])
    return item if item.side is Side.THEIRS and item.group_id is None else None


async def _suggested(tx: Tx, line: Item) -> list[Suggested]:
    found = await match_by_hand.suggest(tx, line.item_id)
    items = {
        item.item_id: item for item in await store.items_of(tx, sorted({id_ for one in found for id_ in one.ours}))
    }
    return [Suggested(one, [items[item_id] for item_id in one.ours]) for one in found]


async def _matched(tx: Tx, scale: Mapping[str, Any]) -> list[Matched]:
    rows = await tx.rows(_MATCHED, **scale, limit=GROUPS_MAX)
    return [Matched(await store.get_group(tx, row.group_id), row.name or "", row.minor) for row in rows]


async def sums(tx: Tx, asked: Asked) -> Sums:
    """What is ticked on both sides, and whether it could be one group. Raises NotFound."""
    items = {item.item_id: item for item in await store.items_of(tx, [*asked.theirs, *asked.ours])}
    theirs, ours = ([items[item_id] for item_id in side] for side in (asked.theirs, asked.ours))
    return Sums(asked.currency, theirs, ours, await _verdict(tx, theirs, ours))


async def _verdict(tx: Tx, theirs: Sequence[Item], ours: Sequence[Item]) -> str:
    if not theirs or not ours:
        return "none"
    sides = [sum(item.amount_minor for item in side) for side in (theirs, ours)]
    if sides[0] == sides[1]:
        return "even"
    if pays_part(theirs, ours):
        return "part"
    version = await agreements.rules_in_force(tx)
    return pure.residue_of(version.rules, theirs[0].book, sides[0], sides[1]) or "apart"


async def match_page(tx: Tx, *, group_id: int | None = None, proposal_id: int | None = None) -> MatchPage:
    """A group, or what is proposed. Raises NotFound."""
    proposal = await store.get_proposal(tx, proposal_id) if proposal_id is not None else None
    if proposal is not None:
        group_id = proposal.group_id
    group = await store.get_group(tx, group_id) if group_id is not None else None
    stands = group or proposal
    assert stands is not None
    items = await store.items_of(tx, [*stands.theirs, *stands.ours])
    entity = await get_entity(tx, items[0].entity_id)
    assert entity is not None
    entries = await _entries(tx, group, items, entity) if group else []
    return MatchPage(group=group, proposal=proposal, items=items, entries=entries, zone=entity.zone)


async def _entries(tx: Tx, group: Group, items: Sequence[Item], entity: Entity) -> list[Booked]:
    house: int = await tx.scalar(
        "SELECT house_merchant_id FROM billing.entity WHERE entity_id = :entity", entity=entity.entity_id
    )
    residues = [group.group_id, *([group.reversed_by] if group.reversed_by else [])]
    wanted = [(house, "match_residue", residue) for residue in residues]
    wanted += [(house, _OF_HOUSE[item.kind], item.source_id) for item in items if item.kind in _OF_HOUSE]
    wanted += [(item.owner_id, "payout_confirmed", item.source_id) for item in items if item.kind is ItemKind.PAYOUT]
    books, kinds, sources = ([one[place] for one in wanted] for place in range(3))
    found = [Booked(*row) for row in await tx.rows(_ENTRIES, books=books, kinds=kinds, sources=sources)]
    # a journal's item names its entry itself
    journals = [item for item in items if item.kind is ItemKind.JOURNAL]
    return found + [Booked(item.owner_id, item.source_id, item.words, item.day) for item in journals]
