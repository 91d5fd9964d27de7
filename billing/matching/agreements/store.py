"""Every statement on accounts, holidays, rules and fee schedules."""

from collections.abc import Sequence
from datetime import date
from typing import Any

import msgspec
from sqlalchemy import insert
from sqlalchemy.dialects import postgresql

from billing.matching.model import Account, Book, FeeLine, FeeSchedule, Rules, RulesVersion
from billing.matching.tables import fee_schedule, match_account, match_holiday, match_rules
from marketplace.core.db import Tx
from marketplace.core.errors import NotFound

_ACCOUNT = ", ".join(Account.__struct_fields__)
_RULES = ", ".join(RulesVersion.__struct_fields__)
_FEES = ", ".join(FeeSchedule.__struct_fields__)


async def set_account(tx: Tx, account: Account) -> None:
    """Say whose an account is; said again, it is changed."""
    row = msgspec.structs.asdict(account) | {"set_by": tx.actor, "set_at": tx.now}
    await tx.execute(
        postgresql.insert(match_account).values(row).on_conflict_do_update(index_elements=["account"], set_=row)
    )


async def list_accounts(tx: Tx) -> list[Account]:
    rows = await tx.rows(f"SELECT {_ACCOUNT} FROM billing.match_account ORDER BY account")
    return [Account(**{**row._mapping, "book": Book(row.book)}) for row in rows]


async def set_holidays(tx: Tx, calendar: str, days: Sequence[date]) -> None:
    """Replace the holidays of a calendar."""
    await tx.execute("DELETE FROM billing.match_holiday WHERE calendar = :calendar", {"calendar": calendar})
    if days:
        await tx.execute(insert(match_holiday), [{"calendar": calendar, "day": day} for day in sorted(set(days))])


async def holidays(tx: Tx) -> dict[str, frozenset[date]]:
    """Holidays by calendar."""
    found: dict[str, set[date]] = {}
    for row in await tx.rows("SELECT calendar, day FROM billing.match_holiday"):
        found.setdefault(row.calendar, set()).add(row.day)
    return {calendar: frozenset(days) for calendar, days in found.items()}


def _version(row: Any) -> RulesVersion:
    return RulesVersion(**{**row._mapping, "rules": msgspec.convert(row.rules, Rules)})


async def rules_in_force(tx: Tx) -> RulesVersion:
    """The newest approved rules; version 0, the defaults, before there are any."""
    row = await tx.row(
        f"SELECT {_RULES} FROM billing.match_rules WHERE approved_at IS NOT NULL ORDER BY version DESC LIMIT 1"
    )
    if row is not None:
        return _version(row)
    return RulesVersion(version=0, rules=Rules(), made_by="", made_at=tx.now, approved_by=None, approved_at=None)


async def add_rules(tx: Tx, rules: Rules) -> RulesVersion:
    """Store rules as the next version, which counts once it is approved."""
    await tx.execute("SELECT pg_advisory_xact_lock(hashtext('match_rules'))")
    version = await tx.scalar("SELECT coalesce(max(version), 0) + 1 FROM billing.match_rules")
    row = {"version": version, "rules": msgspec.to_builtins(rules), "made_by": tx.actor, "made_at": tx.now}
    await tx.execute(insert(match_rules), row)
    return await get_rules(tx, version)


async def get_rules(tx: Tx, version: int, *, lock: bool = False) -> RulesVersion:
    """Raises NotFound."""
    row = await tx.row(
        f"SELECT {_RULES} FROM billing.match_rules WHERE version = :version" + (" FOR UPDATE" if lock else ""),
        version=version,
    )
    if row is None:
        raise NotFound(f"there is no version {version} of the matching rules")
    return _version(row)


async def approve_rules(tx: Tx, version: int, *, single_operator: bool) -> RulesVersion:
    await tx.execute(
        """
        UPDATE billing.match_rules SET approved_by = :actor, approved_at = :now, single_operator = :single
        WHERE version = :version
        """,
        {"actor": tx.actor, "now": tx.now, "single": single_operator, "version": version},
    )
    return await get_rules(tx, version)


async def list_rules(tx: Tx, *, limit: int, before: int | None = None) -> list[RulesVersion]:
    """At most `limit` versions, the newest first."""
    rows = await tx.rows(
        f"""
        SELECT {_RULES} FROM billing.match_rules WHERE CAST(:before AS integer) IS NULL OR version < :before
        ORDER BY version DESC LIMIT :limit
        """,
        before=before,
        limit=limit,
    )
    return [_version(row) for row in rows]


def _schedule(row: Any) -> FeeSchedule:
    return FeeSchedule(**{**row._mapping, "fees": msgspec.convert(row.fees, tuple[FeeLine, ...])})


async def add_schedule(tx: Tx, processor_id: int, from_on: date, fees: Sequence[FeeLine]) -> FeeSchedule:
    """Store fees as the processor's next version, which counts once it is approved."""
    await tx.execute("SELECT pg_advisory_xact_lock(hashtext('fee_schedule'))")
    version = await tx.scalar(
        "SELECT coalesce(max(version), 0) + 1 FROM billing.fee_schedule WHERE processor_id = :processor",
        processor=processor_id,
    )
    row = {"processor_id": processor_id, "version": version, "from_on": from_on, "fees": msgspec.to_builtins(fees)}
    await tx.execute(insert(fee_schedule), row | {"made_by": tx.actor, "made_at": tx.now})
    return await get_schedule(tx, processor_id, version)


async def get_schedule(tx: Tx, processor_id: int, version: int, *, lock: bool = False) -> FeeSchedule:
    """Raises NotFound."""
    row = await tx.row(
        f"SELECT {_FEES} FROM billing.fee_schedule WHERE processor_id = :processor AND version = :version"
        + (" FOR UPDATE" if lock else ""),
        processor=processor_id,
        version=version,
    )
    if row is None:
        raise NotFound(f"processor {processor_id} has no fee schedule {version}")
    return _schedule(row)


async def approve_schedule(tx: Tx, processor_id: int, version: int, *, single_operator: bool) -> FeeSchedule:
    await tx.execute(
        """
        UPDATE billing.fee_schedule SET approved_by = :actor, approved_at = :now, single_operator = :single
        WHERE processor_id = :processor AND version = :version
        """,
        {"actor": tx.actor, "now": tx.now, "single": single_operator, "processor": processor_id, "version": version},
    )
    return await get_schedule(tx, processor_id, version)


async def list_schedules(tx: Tx) -> list[FeeSchedule]:
    """All versions of all processors."""
    rows = await tx.rows(f"SELECT {_FEES} FROM billing.fee_schedule ORDER BY processor_id, version")
    return [_schedule(row) for row in rows]
