"""Issue the tax documents of a run's bucket of merchants in the transaction that makes it final, or take them back.

The books of the merchants are held. Numbers are taken last, so that series are held for as short as can be.
"""

from collections.abc import Sequence

import msgspec
from sqlalchemy import ARRAY, BigInteger, bindparam, text

from billing.documents import store
from billing.documents.model import Draft, Party, mirror
from billing.documents.store import Issue
from billing.runs import store as runs
from billing.runs.model import Run, RunState
from marketplace.core.clock import local_date
from marketplace.core.crash import crash_point
from marketplace.core.db import Tx
from marketplace.core.errors import Conflict, NotFound


class Entity(msgspec.Struct, frozen=True, kw_only=True):
    """The legal entity that issues documents: the seller of most."""

    entity_id: int
    name: str
    zone: str
    house_merchant_id: int


async def issue_documents(tx: Tx, run: Run, merchants: Sequence[int]) -> int:
    """Issue what the run's period has to tell of these merchants; returns how many documents that is."""
    entity = await get_entity(tx, run.entity_id)
    drafts = await draft_documents(tx, run, merchants)
    parties = await parties_of(tx, entity, sorted({draft.merchant_id for draft in drafts}))
    await store.insert_documents(tx, issue_of(tx, run, entity), drafts, parties)
    crash_point("documents.numbered")
    return len(drafts)


async def draft_documents(tx: Tx, run: Run, merchants: Sequence[int]) -> list[Draft]:
    """What would be issued to these merchants: a preview, without numbers, of the very same documents."""
    entity = await get_entity(tx, run.entity_id)
    return await store.draft_run(tx, issue_of(tx, run, entity), [each for each in merchants if each > 0])


async def preview_documents(tx: Tx, run_id: int, merchant_id: int) -> list[Draft]:
    """What a run that is not final yet would issue to a merchant now. Raises NotFound, and Conflict for other runs."""
    run = await runs.get_run(tx, run_id)
    if run.state not in _BEFORE:
        raise Conflict(f"run {run_id} is {run.state}: its documents are listed, not previewed")
    return await draft_documents(tx, run, [merchant_id])


_BEFORE = {RunState.DRAFT, RunState.PREVIEWED, RunState.APPROVED}


async def reverse_documents(tx: Tx, run: Run, merchants: Sequence[int]) -> int:
    """Take back what the run has issued to these merchants, document by document; returns how many that is."""
    entity = await get_entity(tx, run.entity_id)
    issued = await store.reverse_documents(tx, run.run_id, merchants)
    drafts = [mirror(one.document, one.lines, one.taxes) for one in issued]
    parties = await parties_of(tx, entity, sorted({draft.merchant_id for draft in drafts}))
    await store.insert_documents(tx, issue_of(tx, run, entity), drafts, parties)
    return len(drafts)


def issue_of(tx: Tx, run: Run, entity: Entity) -> Issue:
    """Documents for a run's period, dated today on the entity's calendar."""
    return Issue(
        run_id=run.run_id,
        entity_id=run.entity_id,
        from_on=run.from_on,
        to_on=run.to_on,
        issued_on=local_date(tx.now, entity.zone),
    )


async def get_entity(tx: Tx, entity_id: int) -> Entity:
    """Raises NotFound."""
    row = await tx.row(
        "SELECT entity_id, name, zone, house_merchant_id FROM billing.entity WHERE entity_id = :entity",
        entity=entity_id,
    )
    if row is None:
        raise NotFound(f"there is no legal entity {entity_id}")
    return Entity(**row._mapping)


async def parties_of(tx: Tx, entity: Entity, merchants: Sequence[int]) -> dict[int, Party]:
    """Who stands on documents: the merchants by id, the entity under 0; by name alone where no more is known."""
    known = await store.find_details(tx, [entity.house_merchant_id, *merchants])
    named = {row.merchant_id: Party(name=row.name) for row in await tx.rows(_NAMES, merchants=list(merchants))}
    own = known[entity.house_merchant_id].party if entity.house_merchant_id in known else Party(name=entity.name)
    return {**named, **{each: details.party for each, details in known.items()}, 0: own}


_NAMES = text("SELECT merchant_id, name FROM supply.merchant WHERE merchant_id = ANY(:merchants)").bindparams(
    bindparam("merchants", type_=ARRAY(BigInteger))
)
