"""Every statement of the simulator, on a SQLite file: what it commits survives its being killed.

One connection, used by one task at a time: the process is asynchronous and nothing here waits.
"""

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

_TABLES = """
CREATE TABLE IF NOT EXISTS setting (name TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS answer (
    key TEXT PRIMARY KEY, request TEXT NOT NULL, status INTEGER NOT NULL, body BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS payment (
    payment_no INTEGER PRIMARY KEY, reference TEXT NOT NULL UNIQUE, method TEXT NOT NULL, currency TEXT NOT NULL,
    amount_minor INTEGER NOT NULL, state TEXT NOT NULL, captured_minor INTEGER NOT NULL DEFAULT 0,
    refunded_minor INTEGER NOT NULL DEFAULT 0);
CREATE TABLE IF NOT EXISTS refund (
    reference TEXT NOT NULL, payment TEXT NOT NULL, amount_minor INTEGER NOT NULL, PRIMARY KEY (reference, payment));
CREATE TABLE IF NOT EXISTS dispute (
    dispute_no INTEGER PRIMARY KEY, reference TEXT NOT NULL, amount_minor INTEGER NOT NULL, state TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS movement (
    movement_no INTEGER PRIMARY KEY, kind TEXT NOT NULL, reference TEXT NOT NULL, dispute TEXT NOT NULL,
    gross_minor INTEGER NOT NULL, fee_minor INTEGER NOT NULL, currency TEXT NOT NULL, at TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS event (
    event_no INTEGER PRIMARY KEY, body BLOB NOT NULL, state TEXT NOT NULL, attempts INTEGER NOT NULL DEFAULT 0,
    not_before TEXT NOT NULL);
"""  # fmt: skip


class Store:
    """The simulator's file. Instants are kept as ISO 8601 in UTC, so that they sort as text."""

    def __init__(self, file: Path, now: datetime) -> None:
        self.connection = sqlite3.connect(file, isolation_level=None)
        self.connection.row_factory = sqlite3.Row
        self.connection.execute("PRAGMA journal_mode = WAL")
        self.connection.execute("PRAGMA synchronous = FULL")
        self.connection.executescript(_TABLES)
        self.connection.execute("INSERT OR IGNORE INTO setting VALUES ('began', ?)", (str(int(now.timestamp())),))
        self.began = self.setting("began") or ""

    def close(self) -> None:
        self.connection.close()

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """All or nothing, on disk when the block is left."""
        self.connection.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            self.connection.execute("ROLLBACK")
            raise
        self.connection.execute("COMMIT")

    def row(self, statement: str, *values: Any) -> Any | None:
        return self.connection.execute(statement, values).fetchone()

    def rows(self, statement: str, *values: Any) -> Sequence[Any]:
        return self.connection.execute(statement, values).fetchall()

    def run(self, statement: str, *values: Any) -> int:
        """Run a statement that writes; returns the number that a new row was given."""
        return int(self.connection.execute(statement, values).lastrowid or 0)

    def setting(self, name: str) -> str | None:
        found = self.row("SELECT value FROM setting WHERE name = ?", name)
        return None if found is None else str(found["value"])

    def set(self, name: str, value: str | None) -> None:
        self.run("DELETE FROM setting WHERE name = ?", name)
        if value is not None:
            self.run("INSERT INTO setting VALUES (?, ?)", name, value)

    # Answers by idempotency key.
    def answer(self, key: str) -> Any | None:
        return self.row("SELECT request, status, body FROM answer WHERE key = ?", key)

    def keep_answer(self, key: str, request: str, status: int, body: bytes) -> None:
        self.run("INSERT INTO answer VALUES (?, ?, ?, ?)", key, request, status, body)

    # Payments, refunds and disputes.
    def payment(self, reference: str) -> Any | None:
        return self.row("SELECT * FROM payment WHERE reference = ?", reference)

    def add_payment(self, reference: str, method: str, currency: str, amount_minor: int, state: str) -> int:
        return self.run(
            "INSERT INTO payment (reference, method, currency, amount_minor, state) VALUES (?, ?, ?, ?, ?)",
            reference, method, currency, amount_minor, state,
        )  # fmt: skip

    def set_payment(self, reference: str, state: str, captured_minor: int = 0) -> None:
        self.run(
            "UPDATE payment SET state = ?, captured_minor = ? WHERE reference = ?", state, captured_minor, reference
        )

    def refund(self, reference: str, payment: str) -> Any | None:
        return self.row("SELECT * FROM refund WHERE reference = ? AND payment = ?", reference, payment)

    def add_refund(self, reference: str, payment: str, amount_minor: int) -> None:
        self.run("INSERT INTO refund VALUES (?, ?, ?)", reference, payment, amount_minor)
        self.run("UPDATE payment SET refunded_minor = refunded_minor + ? WHERE reference = ?", amount_minor, payment)

    def dispute(self, dispute_no: int) -> Any | None:
        return self.row("SELECT * FROM dispute WHERE dispute_no = ?", dispute_no)

    def add_dispute(self, reference: str, amount_minor: int) -> int:
        return self.run(
            "INSERT INTO dispute (reference, amount_minor, state) VALUES (?, ?, 'opened')", reference, amount_minor
        )

    def set_dispute(self, dispute_no: int, state: str) -> None:
        self.run("UPDATE dispute SET state = ? WHERE dispute_no = ?", state, dispute_no)

    # Movements of money, by day.
    def add_movement(
        self, kind: str, reference: str, dispute: str, gross_minor: int, fee_minor: int, currency: str, at: datetime
    ) -> None:
        self.run(
            "INSERT INTO movement (kind, reference, dispute, gross_minor, fee_minor, currency, at)"
            " VALUES (?, ?, ?, ?, ?, ?, ?)",
            kind, reference, dispute, gross_minor, fee_minor, currency, at.isoformat(),
        )  # fmt: skip

    def movements(self, day: str) -> Sequence[Any]:
        return self.rows("SELECT * FROM movement WHERE substr(at, 1, 10) = ? ORDER BY movement_no", day)

    # Events to be delivered.
    def add_event(self, body: bytes, state: str, not_before: datetime) -> int:
        return self.run(
            "INSERT INTO event (body, state, not_before) VALUES (?, ?, ?)", body, state, not_before.isoformat()
        )

    def event(self, event_no: int) -> Any | None:
        return self.row("SELECT * FROM event WHERE event_no = ?", event_no)

    def events(self) -> Sequence[Any]:
        return self.rows("SELECT * FROM event ORDER BY event_no")

    def due_event(self, now: datetime) -> Any | None:
        return self.row(
            "SELECT * FROM event WHERE state = 'pending' AND not_before <= ? ORDER BY event_no LIMIT 1", now.isoformat()
        )

    def set_event(self, event_no: int, state: str, attempts: int, not_before: str) -> None:
        self.run(
            "UPDATE event SET state = ?, attempts = ?, not_before = ? WHERE event_no = ?",
            state, attempts, not_before, event_no,
        )  # fmt: skip

    def release_events(self) -> None:
        """Let the events that are held back go, in their order."""
        self.run("UPDATE event SET state = 'pending', not_before = '' WHERE state IN ('held', 'pending')")
