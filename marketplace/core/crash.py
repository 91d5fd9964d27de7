"""Named crash points: places where a test kills the real process with SIGKILL to prove that nothing is lost."""

import os
import signal

CRASH_POINTS = frozenset(
    {
        "import.staged",
        "import.parties",
        "import.orders",
        "import.entries",
        "import.before-commit",
        "import.committed",
        "settle.planned",
        "settle.rated",
        "settle.posted",
        "settle.before-commit",
        "settle.committed",
        "run.drafted",
        "run.previewing",
        "run.previewed",
        "run.approved",
        "run.finalising",
        "run.before-commit",
        "run.bucket-committed",
        "run.finalised",
        "documents.numbered",
        "payout.instructed",
        "payout.posted",
        "payment.claimed",
        "payment.sent",
        "roll.committed",
        "file.part-committed",
        "bank-file.part-kept",
        "bank-file.judged",
        "bank-file.batch-committed",
        "opening.posted",
        "opening.before-commit",
    }
)

_reached: dict[str, int] = {}


def crash_point(name: str) -> None:
    """Kill this process when `MARKETPLACE_CRASH_AT` names this point (`name` or `name:n`, the n-th time it is met)."""
    wanted = os.environ.get("MARKETPLACE_CRASH_AT")
    if not wanted:
        return
    if name not in CRASH_POINTS:
        raise ValueError(f"unknown crash point {name!r}")
    point, _, nth = wanted.partition(":")
    if point != name:
        return
    _reached[name] = _reached.get(name, 0) + 1
    if _reached[name] == int(nth or 1):
        os.kill(os.getpid(), signal.SIGKILL)
