"""Every statement on progress, contributions and grants, of merchants and of buyers alike.

Each takes many rows at once, 1,000 at most. Whoever changes what parties have holds them first (`hold_parties`), so
that two events of one party follow each other; after that nothing has to be locked row by row.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any, TypeVar

import msgspec
from sqlalchemy.exc import IntegrityError

from incentives.grants.model import MOVES, Contribution, Grant, GrantState, Progress
from incentives.rules.events import Used
from incentives.rules.parts import Role
from marketplace.core.db import Tx
from marketplace.core.errors import Conflict

T = TypeVar("T", bound=msgspec.Struct)

Window = tuple[int, int, str]
"""Party, promotion and span: the key of a progress."""
EventKey = tuple[int, int, str]
"""Party, promotion and event: the key of a contribution."""


def _rows(tx: Tx, role: Role, things: Iterable[Progress | Contribution | Grant]) -> dict[str, str]:
    """The things as the one parameter of `_adding`."""
    more = {"at": tx.now, "changed_at": tx.now}
    rows = [more | msgspec.structs.asdict(each) | {f"{role}_id": each.party_id} for each in things]
    return {"rows": msgspec.json.encode(rows).decode()}


def _adding(role: Role, noun: str, names: Iterable[str]) -> str:
    """Adds any number of things by one statement that is always the same: it need not be compiled anew for each."""
    columns = ", ".join(f"{role}_id" if name == "party_id" else name for name in names)
    return f"""
        INSERT INTO incentives.{role}_{noun} ({columns})
        SELECT {columns} FROM jsonb_populate_recordset(NULL::incentives.{role}_{noun}, CAST(:rows AS jsonb))
        """


def _columns(role: Role, kind: type[msgspec.Struct]) -> str:
    return ", ".join(f"t.{role}_id AS party_id" if n == "party_id" else f"t.{n}" for n in kind.__struct_fields__)


async def hold_parties(tx: Tx, role: Role, party_ids: Iterable[int]) -> None:
    """Let nobody else change what these parties have under any promotion until this transaction ends."""
    await tx.execute(
        """
        SELECT pg_advisory_xact_lock(hashtextextended('incentives.' || :role, each))
        FROM unnest(CAST(:parties AS bigint[])) AS each
        """,
        {"role": role, "parties": sorted(set(party_ids))},
    )


_KEYS = "unnest(CAST(:parties AS bigint[]), CAST(:promotions AS bigint[]), CAST(:lasts AS text[]))"


def _keys(of: Sequence[tuple[int, int, str]]) -> dict[str, list[Any]]:
    """The parameters of `_KEYS`."""
    parties, promotions, lasts = zip(*of, strict=True) if of else ((), (), ())
    return {"parties": list(parties), "promotions": list(promotions), "lasts": list(lasts)}


async def _of_keys(
    tx: Tx, role: Role, noun: str, kind: type[T], last: str, keys: Sequence[tuple[int, int, str]]
) -> list[T]:
    rows = await tx.rows(
        f"""
        SELECT {_columns(role, kind)} FROM incentives.{role}_{noun} t
        JOIN {_KEYS} AS k (party, promotion, last)
          ON t.{role}_id = k.party AND t.promotion_id = k.promotion AND t.{last} = k.last
        """,
        **_keys(keys),
    )
    return [msgspec.convert(dict(row._mapping), kind) for row in rows]


async def progress_of(tx: Tx, role: Role, windows: Sequence[Window]) -> dict[Window, Progress]:
    """Where parties stand in windows; windows in which nothing has happened yet are left out."""
    found = await _of_keys(tx, role, "progress", Progress, "span", windows)
    return {(one.party_id, one.promotion_id, one.span): one for one in found}


async def save_progress(tx: Tx, role: Role, changed: Sequence[Progress]) -> None:
    """Store where parties stand now, in the place of what was before."""
    if not changed:
        return
    names = (*Progress.__struct_fields__, "changed_at")
    replaced = ", ".join(f"{name} = excluded.{name}" for name in names[3:])
    statement = (
        f"{_adding(role, 'progress', names)} ON CONFLICT ({role}_id, promotion_id, span) DO UPDATE SET {replaced}"
    )
    await tx.execute(statement, _rows(tx, role, changed))


async def add_granted(tx: Tx, role: Role, changes: Sequence[tuple[Window, int]], *, grants: int = 0) -> None:
    """Add to what was granted in windows, signed, and to the number of their grants."""
    for (party_id, promotion_id, span), minor in changes:
        await tx.execute(
            f"""
            UPDATE incentives.{role}_progress
            SET granted_minor = granted_minor + :minor, grants = grants + :grants, changed_at = :now
            WHERE {role}_id = :party AND promotion_id = :promotion AND span = :span
            """,
            {"minor": minor, "grants": grants, "now": tx.now, "party": party_id, "promotion": promotion_id,
             "span": span},
        )  # fmt: skip


async def contributions_of(tx: Tx, role: Role, events: Sequence[EventKey]) -> dict[EventKey, Contribution]:
    """What events have contributed so far; those never seen are left out."""
    found = await _of_keys(tx, role, "contribution", Contribution, "event_id", events)
    return {(one.party_id, one.promotion_id, one.event_id): one for one in found}


async def contributions_in(tx: Tx, role: Role, window: Window) -> list[Contribution]:
    """All that counts in a window, as distinct buyers have to be counted anew."""
    rows = await tx.rows(
        f"""
        SELECT {_columns(role, Contribution)} FROM incentives.{role}_contribution t
        WHERE t.{role}_id = :party AND t.promotion_id = :promotion AND t.span = :span ORDER BY t.at, t.event_id
        """,
        party=window[0],
        promotion=window[1],
        span=window[2],
    )
    return [msgspec.convert(dict(row._mapping), Contribution) for row in rows]


async def contributions_by(tx: Tx, role: Role, events: Sequence[tuple[int, str]]) -> list[Contribution]:
    """What events, each of a party, contribute under any promotion."""
    rows = await tx.rows(
        f"""
        SELECT {_columns(role, Contribution)}
        FROM unnest(CAST(:parties AS bigint[]), CAST(:events AS text[])) AS k (party, event)
        JOIN incentives.{role}_contribution t ON t.{role}_id = k.party AND t.event_id = k.event
        ORDER BY t.promotion_id, t.event_id
        """,
        parties=[party_id for party_id, _ in events],
        events=[event_id for _, event_id in events],
    )
    return [msgspec.convert(dict(row._mapping), Contribution) for row in rows]


async def first_versions(tx: Tx, role: Role, windows: Sequence[Window]) -> dict[Window, int]:
    """The version under which each window is looked at as a whole: that of its first grant, so that nothing that comes
    late takes it back; before there is any, the first under which anything counts in it."""
    rows = await tx.rows(
        f"""
        SELECT k.party, k.promotion, k.span, coalesce(
                   (SELECT g.version_no FROM incentives.{role}_grant g
                    WHERE g.{role}_id = k.party AND g.promotion_id = k.promotion AND g.span = k.span
                    ORDER BY g.grant_no LIMIT 1), min(t.version_no)) AS version_no
        FROM {_KEYS} AS k (party, promotion, span)
        JOIN incentives.{role}_contribution t
          ON t.{role}_id = k.party AND t.promotion_id = k.promotion AND t.span = k.span
        GROUP BY k.party, k.promotion, k.span
        """,
        **_keys(windows),
    )
    return {(row.party, row.promotion, row.span): row.version_no for row in rows}


async def grants_in(tx: Tx, role: Role, window: Window) -> list[Grant]:
    """All that was granted in a window and not void, in order."""
    return (await grants_of(tx, role, [window])).get(window, [])


async def grants_of(tx: Tx, role: Role, windows: Sequence[Window]) -> dict[Window, list[Grant]]:
    """The same of many windows; those in which nothing was granted are left out."""
    found: dict[Window, list[Grant]] = {}
    for one in sorted(await _of_keys(tx, role, "grant", Grant, "span", windows), key=lambda each: each.grant_no):
        if one.state is not GrantState.VOID:
            found.setdefault((one.party_id, one.promotion_id, one.span), []).append(one)
    return found


async def save_contributions(tx: Tx, role: Role, changed: Sequence[Contribution]) -> None:
    """Store what events contribute now. Window and version of an event stay what they were when it came first."""
    if not changed:
        return
    await tx.execute(
        f"""
        {_adding(role, "contribution", (*Contribution.__struct_fields__, "changed_at"))}
        ON CONFLICT ({role}_id, promotion_id, event_id) DO UPDATE
        SET promised = excluded.promised, settled = excluded.settled, of_buyer = excluded.of_buyer,
            line_nos = excluded.line_nos, changed_at = excluded.changed_at
        """,
        _rows(tx, role, changed),
    )


async def add_grants(tx: Tx, role: Role, new: Sequence[Grant]) -> None:
    """Raises Conflict where a window has a grant of that number already."""
    if not new:
        return
    try:
        names = (*Grant.__struct_fields__, "at", "changed_at")
        await tx.execute(_adding(role, "grant", names), _rows(tx, role, new))
    except IntegrityError as fault:
        raise Conflict("grant_no: somebody else has granted in this window meanwhile") from fault


async def move_grants(tx: Tx, role: Role, grants: Sequence[tuple[int, int]], then: GrantState) -> list[Grant]:
    """Take grants, named by party and grant id, to another state; returns those that could go there."""
    rows = await tx.rows(
        f"""
        UPDATE incentives.{role}_grant t SET state = :then, changed_at = :now
        FROM unnest(CAST(:parties AS bigint[]), CAST(:ids AS bigint[])) AS k (party, id)
        WHERE t.{role}_id = k.party AND t.grant_id = k.id AND t.state = ANY(:sources)
        RETURNING {_columns(role, Grant)}
        """,
        then=then.value,
        now=tx.now,
        parties=[party for party, _ in grants],
        ids=[grant_id for _, grant_id in grants],
        sources=[state.value for state in MOVES[then]],
    )
    return [msgspec.convert(dict(row._mapping), Grant) for row in rows]


async def open_grants(
    tx: Tx, role: Role, promotion_id: int, state: GrantState, *, vested_by: datetime | None = None, limit: int
) -> list[Grant]:
    """Grants of a promotion that are pending or available, whoever's they are; of those that had vested by then."""
    rows = await tx.rows(
        f"""
        SELECT {_columns(role, Grant)} FROM incentives.{role}_grant t
        WHERE t.promotion_id = :promotion AND t.state = :state AND t.state IN ('pending', 'available')
          AND (CAST(:by AS timestamptz) IS NULL OR t.vests_at <= :by)
        ORDER BY t.{role}_id, t.grant_id LIMIT :limit
        """,
        promotion=promotion_id,
        state=state.value,
        by=vested_by,
        limit=limit,
    )
    return [msgspec.convert(dict(row._mapping), Grant) for row in rows]


async def unvested(tx: Tx, promotion_id: int) -> bool:
    """Whether any window has more granted as credit that has not vested than was taken back of it."""
    found = await tx.scalar(
        " UNION ALL ".join(
            f"""
            (SELECT 1 FROM incentives.{role}_grant
             WHERE promotion_id = :promotion AND state = 'pending' AND state IN ('pending', 'available')
               AND form <> 'discount'
             GROUP BY {role}_id, span HAVING sum(amount_minor) > 0 LIMIT 1)
            """
            for role in ("merchant", "buyer")
        ),
        promotion=promotion_id,
    )
    return found is not None


async def used(tx: Tx, role: Role, windows: Iterable[Window]) -> dict[tuple[int, int], Used]:
    """What the parties of windows have got of their promotions in all, by party and promotion: in how many windows, and
    how much, promises among it."""
    whose = sorted({(party_id, promotion_id) for party_id, promotion_id, _ in windows})
    rows = await tx.rows(
        f"""
        SELECT p.{role}_id AS party_id, p.promotion_id, count(*)::int AS grants, sum(minor)::bigint AS minor
        FROM unnest(CAST(:parties AS bigint[]), CAST(:promotions AS bigint[])) AS k (party, promotion)
        JOIN incentives.{role}_progress p ON p.{role}_id = k.party AND p.promotion_id = k.promotion
        CROSS JOIN LATERAL (
            SELECT granted_minor + pending_minor + coalesce(sum(each), 0) AS minor FROM unnest(p.promise_minor) AS each
        ) AS has
        WHERE minor > 0 GROUP BY p.{role}_id, p.promotion_id
        """,
        parties=[party_id for party_id, _ in whose],
        promotions=[promotion_id for _, promotion_id in whose],
    )
    return {(row.party_id, row.promotion_id): Used(grants=row.grants, minor=row.minor) for row in rows}


async def granted_minor(tx: Tx, promotion_id: int) -> dict[str, int]:
    """What was granted under a promotion, less clawbacks, by state: where there is no limit nothing else counts it."""
    rows = await tx.rows(
        """
        SELECT state, sum(minor)::bigint AS minor FROM (
            SELECT state, sum(amount_minor) AS minor FROM incentives.merchant_grant
            WHERE promotion_id = :promotion GROUP BY state
            UNION ALL
            SELECT state, sum(amount_minor) FROM incentives.buyer_grant WHERE promotion_id = :promotion GROUP BY state
        ) AS each GROUP BY state ORDER BY state
        """,
        promotion=promotion_id,
    )
    return {row.state: row.minor for row in rows}
