"""Statements on the versions of scoring."""

import msgspec
from sqlalchemy import insert, select
from sqlalchemy.exc import IntegrityError

from marketplace.core.db import Tx
from marketplace.core.errors import Conflict
from supply.leads.scoring import ScoringRules, check_rules
from supply.leads.tables import lead_scoring


class Scoring(msgspec.Struct, frozen=True, kw_only=True):
    version_no: int
    rules: ScoringRules


async def newest_scoring(tx: Tx) -> Scoring | None:
    """None where leads are not scored."""
    found = await list_scorings(tx, limit=1)
    return found[0] if found else None


async def list_scorings(tx: Tx, *, limit: int) -> list[Scoring]:
    """The newest first."""
    query = select(lead_scoring.c.version_no, lead_scoring.c.rules).order_by(lead_scoring.c.version_no.desc())
    return [
        Scoring(version_no=row.version_no, rules=msgspec.convert(row.rules, ScoringRules))
        for row in await tx.rows(query.limit(limit))
    ]


async def add_scoring(tx: Tx, rules: ScoringRules) -> Scoring:
    """The next version; leads are scored by it from their next change on.

    Raises Invalid, Conflict for who was not first.
    """
    check_rules(rules)
    newest = await newest_scoring(tx)
    new = Scoring(version_no=newest.version_no + 1 if newest else 1, rules=rules)
    row = {"version_no": new.version_no, "rules": msgspec.to_builtins(rules), "made_by": tx.actor, "made_at": tx.now}
    try:
        await tx.execute(insert(lead_scoring), row)
    except IntegrityError as fault:
        raise Conflict(f"version {new.version_no} was made at the same moment") from fault
    return new
