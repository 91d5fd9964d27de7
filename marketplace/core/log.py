"""Logs: one line per happening on standard error, JSON for machines, aligned and coloured for a person's terminal.

What binds a line to its request, actor or job travels in context variables: `with bound(request_id=…)` around the
work puts the ids on every line that is written inside it, whichever module writes it. Lines of libraries that log
through the standard library take the same form.
"""

import logging
import sys
from collections.abc import MutableMapping
from contextlib import AbstractContextManager
from typing import Any

import msgspec
import structlog
from structlog.contextvars import bound_contextvars, merge_contextvars

_QUIET = ("alembic", "httpcore", "httpx", "pgqueuer")
"""Libraries whose informational lines tell an operator nothing."""


def configure_logging(*, as_json: bool | None = None, level: int = logging.INFO) -> None:
    """Send every log line to standard error; JSON unless standard error is a terminal, or as `as_json` says."""
    if as_json is None:
        as_json = not sys.stderr.isatty()
    shared: list[structlog.typing.Processor] = [
        merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True, key="at"),
    ]
    shape: list[structlog.typing.Processor] = (
        [structlog.processors.format_exc_info, structlog.processors.JSONRenderer(serializer=_json)]
        if as_json
        # Plain tracebacks: the richer ones show local variables, and with them secrets.
        else [structlog.dev.ConsoleRenderer(timestamp_key="at", exception_formatter=structlog.dev.plain_traceback)]
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[*shared, structlog.stdlib.ExtraAdder()],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *shape],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)
    for name in _QUIET:
        logging.getLogger(name).setLevel(max(level, logging.WARNING))
    structlog.configure(
        processors=[*shared, *shape],
        logger_factory=_Lines,
        wrapper_class=structlog.make_filtering_bound_logger(level),
        cache_logger_on_first_use=False,
    )


class _Lines(structlog.WriteLogger):
    """Our own lines go straight to standard error: the way through the standard library costs four times as much."""

    def __init__(self, name: str = "") -> None:
        super().__init__(sys.stderr)
        self.name = name


def bound(**ids: Any) -> AbstractContextManager[None]:
    """Put `ids` (request_id, actor, job_id, batch_id, …) on every line written in the block, and in its tasks."""
    return bound_contextvars(**{name: value for name, value in ids.items() if value is not None})


def _json(event: MutableMapping[str, Any], **_: Any) -> str:
    """One line, its members in a fixed order: when, how bad, what, where, then the rest."""
    first = {name: event.pop(name) for name in ("at", "level", "event", "logger") if name in event}
    return msgspec.json.encode(first | dict(event), enc_hook=repr).decode()
