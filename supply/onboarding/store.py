"""Every statement on the points of onboarding checklists."""

from typing import Any

from sqlalchemy.dialects.postgresql import insert

from marketplace.core.db import Tx
from supply.academy.store import missing_courses
from supply.onboarding.rules import Act, Fact, Record, State
from supply.tables import requirement

_COLUMNS = ", ".join(Record.__struct_fields__)


async def read_records(tx: Tx, merchant_id: int) -> dict[str, Record]:
    """What was said of each point, by key."""
    rows = await tx.rows(
        f"SELECT {_COLUMNS} FROM supply.requirement WHERE merchant_id = :merchant", merchant=merchant_id
    )
    return {row.key: Record(**{**row._mapping, "state": State(row.state)}) for row in rows}


async def write_record(
    tx: Tx, merchant_id: int, key: str, act: Act, state: State, *, reason: str = "", note: str = ""
) -> None:
    """Say something of a point; the merchant's row is held. note: what the merchant writes when it attests."""
    row: dict[str, Any] = {"merchant_id": merchant_id, "key": key, "state": state, "reason": reason}
    row |= {"actor": tx.actor, "at": tx.now}
    if act is Act.ATTEST:
        row |= {"attested_by": tx.actor, "note": note}
    statement = insert(requirement).values(row)
    changed = {name: statement.excluded[name] for name in row if name not in {"merchant_id", "key"}}
    await tx.execute(
        statement.on_conflict_do_update(
            index_elements=["merchant_id", "key"], set_={**changed, "version": requirement.c.version + 1}
        )
    )


async def listing_fact(tx: Tx, merchant_id: int) -> Fact:
    """Whether the merchant has a listing that buyers could see."""
    found = await tx.scalar(
        "SELECT EXISTS (SELECT FROM supply.offer WHERE merchant_id = :merchant AND state = 'listed')",
        merchant=merchant_id,
    )
    return Fact(State.VERIFIED, None) if found else Fact(State.MISSING, "a listing that is not hidden")


async def courses_fact(tx: Tx, merchant_id: int) -> Fact:
    """Whether somebody of the merchant has passed every course that is required, and it counts now."""
    missing = await missing_courses(tx, merchant_id)
    return Fact(State.MISSING, f"to be passed: {', '.join(missing)}") if missing else Fact(State.VERIFIED, None)
