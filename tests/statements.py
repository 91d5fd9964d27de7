"""What is asked of the database while something is done."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import event

from marketplace.core.db import Database


@contextmanager
def statements(db: Database) -> Iterator[list[str]]:
    """Every statement that is run through the engine while the block lasts."""
    heard: list[str] = []

    def note(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        heard.append(statement)

    event.listen(db.engine.sync_engine, "before_cursor_execute", note)
    try:
        yield heard
    finally:
        event.remove(db.engine.sync_engine, "before_cursor_execute", note)
