"""What the page of a file shows: its statements, and what has become of each of its lines."""

from collections.abc import Sequence
from datetime import date

import msgspec

from billing.bank_files import store
from billing.bank_files.model import BankFile, BankStatement
from billing.bank_files.readers import Format
from billing.matching.model import ItemKind
from marketplace.core.db import Tx

STATEMENTS_MAX = 50
LINES_MAX = 100


class FileLine(msgspec.Struct, frozen=True):
    """A line as the file has it, and what it is matched with: the group, and the name and kind of its other side.

    place: by which lines are paged through. position: as the file counts. waits: for the next pass of matching.
    named: whether somebody has said whose its account is.
    item_id: None before that, and for what is not matched at all, of an account that nobody has named or not booked.
    break_id: of the live break that is about it.
    """

    place: int
    position: int | None
    day: date
    amount_minor: int
    fee_minor: int | None
    currency: str
    name: str
    refs: str
    words: str
    waits: bool
    named: bool
    item_id: int | None
    suspended: bool
    group_id: int | None
    other: str | None
    other_kind: str | None
    break_id: int | None
    break_kind: str | None


class FilePage(msgspec.Struct, frozen=True, kw_only=True):
    """A file with the first of its statements, and a page of the lines that it was the first to bring.

    lines_unknown: it is a settlement file of the time before it was kept as what such a file is booked.
    """

    file: BankFile
    statements: Sequence[BankStatement]
    lines: Sequence[FileLine]
    lines_unknown: bool
    zone: str


_STANDS = """
LEFT JOIN billing.match_group g ON g.group_id = i.group_id
LEFT JOIN LATERAL (
    SELECT min(coalesce(nullif(o.party, ''), nullif(o.reference, ''), o.words)) AS name, min(o.kind) AS kind
    FROM billing.match_item o WHERE o.item_id = ANY(CASE i.side WHEN 'theirs' THEN g.ours ELSE g.theirs END)
) AS o ON true
LEFT JOIN billing.recon_break b ON b.subject = 'item:' || i.item_id AND b.closed_at IS NULL"""
_STATE = "i.item_id, i.suspense_id IS NOT NULL, i.group_id, o.name, o.kind, b.break_id, b.kind"

_LINES = f"""
SELECT l.line_no, l.position, l.day, l.amount_minor, l.fee_minor, l.currency, l.party,
       concat_ws(' · ', nullif(l.end_to_end, ''), nullif(l.bank_ref, ''), nullif(l.batch_ref, '')),
       concat_ws(' ', nullif(l.type_code, ''), nullif(l.text, '')),
       i.item_id IS NULL AND l.booked AND EXISTS (
           SELECT FROM billing.match_account a WHERE a.account = l.account AND l.day >= a.from_on),
       EXISTS (SELECT FROM billing.match_account a WHERE a.account = l.account), {_STATE}
FROM billing.bank_line l
LEFT JOIN billing.match_item i
  ON i.kind IN ('{ItemKind.BANK_LINE}', '{ItemKind.PROCESSOR_LINE}', '{ItemKind.PROCESSOR_PAYOUT}')
 AND i.owner_id = 0 AND i.source_id = l.line_id AND i.part = 0
{_STANDS}
WHERE l.file_id = :file AND l.line_no > :after ORDER BY l.line_no LIMIT :limit"""

_SETTLED = f"""
SELECT l.line_id, NULL, (l.at AT TIME ZONE e.zone)::date, l.net_minor, l.fee_minor, l.currency, '',
       concat_ws(' · ', l.line_ref, l.reference, nullif(l.dispute_ref, '')), l.kind,
       i.item_id IS NULL AND EXISTS (
           SELECT FROM billing.match_account a
           WHERE a.processor_id = l.processor_id AND a.entity_id = f.entity_id
             AND (l.at AT TIME ZONE e.zone)::date >= a.from_on),
       EXISTS (SELECT FROM billing.match_account a
               WHERE a.processor_id = l.processor_id AND a.entity_id = f.entity_id), {_STATE}
FROM billing.processor_line l
JOIN billing.processor_file f ON f.file_id = l.file_id
JOIN billing.entity e ON e.entity_id = f.entity_id
LEFT JOIN billing.match_item i
  ON i.kind = '{ItemKind.PROCESSOR_LINE}' AND i.owner_id = l.processor_id AND i.source_id = l.line_id AND i.part = 0
{_STANDS}
WHERE l.file_id = :file AND l.line_id > :after ORDER BY l.line_id LIMIT :limit"""


async def file_page(tx: Tx, file_id: int, zone: str, after: int) -> FilePage:
    """A file, and one line more than a page of those behind `after`. Raises NotFound."""
    file = await store.get_file(tx, file_id)
    lines, whose = (_LINES, file_id) if file.settlement_id is None else (_SETTLED, file.settlement_id)
    rows = await tx.rows(lines, file=whose, after=after, limit=LINES_MAX + 1)
    return FilePage(
        file=file,
        statements=await store.list_statements(tx, file_id, limit=STATEMENTS_MAX),
        lines=[FileLine(*row) for row in rows],
        lines_unknown=file.format == Format.SETTLEMENT and file.settlement_id is None and file.new_lines > 0,
        zone=zone,
    )
