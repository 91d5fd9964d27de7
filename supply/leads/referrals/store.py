"""Every statement on referrals: programmes, codes, who brought whom."""

from collections.abc import Sequence
from typing import Any

import msgspec
from sqlalchemy import insert, select, update
from sqlalchemy.exc import IntegrityError

from marketplace.core import outbox
from marketplace.core.db import Tx
from marketplace.core.errors import Conflict, Invalid, NotFound
from supply.leads.referrals.model import Programme, ProgrammeTerms, Referral, ReferralCode, ReferralState
from supply.leads.referrals.tables import referral, referral_code, referral_programme, referral_reward

_PROGRAMME = [referral_programme.c[field] for field in Programme.__struct_fields__]
_CODE = [referral_code.c[field] for field in ReferralCode.__struct_fields__]
_REFERRAL = [referral.c[field] for field in Referral.__struct_fields__]


async def add_programme(tx: Tx, name: str, terms: ProgrammeTerms) -> Programme:
    """A programme's first version, or the next one. Raises Conflict when somebody was faster."""
    known = [each for each in await list_programmes(tx) if each.name == name]
    new = Programme(name=name, version_no=len(known) + 1, terms=terms, made_by=tx.actor, made_at=tx.now)
    row = {**msgspec.structs.asdict(new), "terms": msgspec.to_builtins(terms)}
    try:
        await tx.execute(insert(referral_programme), row)
    except IntegrityError as fault:
        raise Conflict(f"version {new.version_no} of {name} was made at the same moment") from fault
    return new


async def list_programmes(tx: Tx) -> list[Programme]:
    """Every version of every programme."""
    query = select(*_PROGRAMME).order_by(referral_programme.c.name, referral_programme.c.version_no)
    return [_programme(row) for row in await tx.rows(query)]


async def get_programme(tx: Tx, name: str, version_no: int | None = None) -> Programme:
    """A version of a programme, the newest for None. Raises Invalid."""
    found = [each for each in await list_programmes(tx) if each.name == name and version_no in {None, each.version_no}]
    if not found:
        raise Invalid(f"programme: there is no programme {name!r}", pointer="/programme")
    return found[-1]


async def add_code(tx: Tx, new: ReferralCode) -> ReferralCode:
    """Raises Conflict for a code that is taken."""
    try:
        await tx.execute(insert(referral_code), {**msgspec.structs.asdict(new), "made_by": tx.actor, "made_at": tx.now})
    except IntegrityError as fault:
        raise Conflict(f"code: {new.code!r} is taken", pointer="/code") from fault
    return new


async def code_of(tx: Tx, code: str) -> ReferralCode:
    """A code that is in use. Raises Invalid."""
    row = await tx.row(select(*_CODE).where(referral_code.c.code == code))
    if row is None or not row.active:
        raise Invalid(f"code: {code!r} is {'not in use any more' if row else 'no code'}", pointer="/code")
    return ReferralCode(**row._mapping)


async def get_code(tx: Tx, code: str, *, lock: bool = False) -> ReferralCode:
    """Raises NotFound."""
    query = select(*_CODE).where(referral_code.c.code == code)
    row = await tx.row(query.with_for_update() if lock else query)
    if row is None:
        raise NotFound(f"there is no code {code!r}")
    return ReferralCode(**row._mapping)


async def set_active(tx: Tx, code: str, active: bool) -> ReferralCode:
    """Take a held code out of use, or into it again; its version was compared."""
    statement = update(referral_code).where(referral_code.c.code == code)
    await tx.execute(statement.values(active=active, version=referral_code.c.version + 1))
    return await get_code(tx, code)


async def list_codes(tx: Tx, *, limit: int, after: str = "", merchant_id: int | None = None) -> list[ReferralCode]:
    """At most `limit` codes in their order, those behind `after`; of one merchant if asked so."""
    query = select(*_CODE).where(referral_code.c.code > after)
    if merchant_id is not None:
        query = query.where(referral_code.c.merchant_id == merchant_id)
    return [ReferralCode(**row._mapping) for row in await tx.rows(query.order_by(referral_code.c.code).limit(limit))]


async def add_referral(tx: Tx, new: Referral) -> Referral:
    """Raises Conflict for a lead that somebody has brought already."""
    try:
        await tx.execute(insert(referral), {**msgspec.structs.asdict(new), "made_by": tx.actor})
    except IntegrityError as fault:
        raise Conflict(f"lead_id: somebody has referred lead {new.lead_id} already", pointer="/lead_id") from fault
    await tell(tx, new)
    return new


async def get_referral(tx: Tx, referral_id: int, *, lock: bool = False) -> Referral:
    """Raises NotFound."""
    query = select(*_REFERRAL).where(referral.c.referral_id == referral_id)
    row = await tx.row(query.with_for_update() if lock else query)
    if row is None:
        raise NotFound(f"there is no referral {referral_id}")
    return _referral(row)


async def list_referrals(
    tx: Tx, *, limit: int, before: int | None = None, state: ReferralState | None = None, referrer_id: int | None = None
) -> list[Referral]:
    """At most `limit`, the newest first, behind the id `before`, narrowed to what is given."""
    query = select(*_REFERRAL)
    for column, value in ((referral.c.state, state), (referral.c.referrer_id, referrer_id)):
        if value is not None:
            query = query.where(column == value)
    if before is not None:
        query = query.where(referral.c.referral_id < before)
    return [_referral(row) for row in await tx.rows(query.order_by(referral.c.referral_id.desc()).limit(limit))]


async def move_referral(tx: Tx, held: Referral, state: ReferralState, **values: Any) -> Referral:
    """Take a held referral on. Raises Conflict for a merchant that somebody else has brought."""
    statement = update(referral).where(referral.c.referral_id == held.referral_id)
    try:
        await tx.execute(statement.values(**values, state=state.value, version=held.version + 1))
    except IntegrityError as fault:
        raise Conflict("merchant_id: somebody else has brought this merchant") from fault
    moved = await get_referral(tx, held.referral_id)
    await tell(tx, moved)
    return moved


async def tell(tx: Tx, now: Referral) -> None:
    told = {"referral_id": now.referral_id, "lead_id": now.lead_id, "state": now.state, "reasons": now.reasons}
    sides = {"referrer_id": now.referrer_id, "referee_id": now.merchant_id, "version": now.version}
    await outbox.emit(tx, "supply.referral_moved.v1", told | sides)


async def brought_already(tx: Tx, merchant_id: int, but: int) -> bool:
    """Whether another referral has brought this merchant."""
    found = await tx.scalar(
        """
        SELECT referral_id FROM supply.referral
        WHERE merchant_id = :merchant AND referral_id <> :but AND state IN ('qualified', 'rewarded', 'clawed_back')
        """,
        merchant=merchant_id,
        but=but,
    )
    return found is not None


async def add_rewards(tx: Tx, rows: Sequence[dict[str, Any]]) -> None:
    await tx.execute(insert(referral_reward), list(rows))


def _programme(row: Any) -> Programme:
    return Programme(**{**row._mapping, "terms": msgspec.convert(row.terms, ProgrammeTerms)})


def _referral(row: Any) -> Referral:
    return Referral(**{**row._mapping, "state": ReferralState(row.state)})
