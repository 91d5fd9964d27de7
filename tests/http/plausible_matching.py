"""Who may call the operations of matching and breaks, ids, what is ripe and bodies; `plausible_payouts` adds them."""

from collections.abc import Callable
from typing import Any

from marketplace.core.users import UserRole

_CONTROL = {UserRole.CONTROLLER, UserRole.ADMIN}
_FINANCE = _CONTROL | {UserRole.ACCOUNTANT}

_API = "/api/v1"
_GROUP, _BREAK = f"{_API}/match-groups/{{match_group_id}}", f"{_API}/breaks/{{break_id}}"
_PROPOSAL = f"{_API}/match-proposals/{{match_proposal_id}}"

ROUTES: dict[str, set[UserRole]] = {
    **dict.fromkeys(
        (
            f"GET {_API}/match-accounts",
            f"GET {_API}/match-holidays",
            f"GET {_API}/match-rules",
            f"POST {_API}/match-rules",
            f"POST {_API}/match-rules/{{version}}/approve",
            f"GET {_API}/fee-schedules",
            f"POST {_API}/fee-schedules",
            f"POST {_API}/fee-schedules/{{processor_id}}/{{version}}/approve",
            f"POST {_API}/match-runs",
            f"GET {_API}/match-runs",
            f"GET {_API}/match-runs/{{match_run_id}}",
            f"GET {_API}/match-groups",
            f"POST {_API}/match-groups",
            f"GET {_GROUP}",
            f"POST {_GROUP}/unmatch",
            f"GET {_API}/match-proposals",
            f"POST {_PROPOSAL}/approve",
            f"POST {_PROPOSAL}/reject",
            f"GET {_API}/open-items",
            f"GET {_API}/open-items/{{match_item_id}}/suggestions",
            f"GET {_API}/breaks",
            f"GET {_API}/breaks/counts",
            f"GET {_BREAK}",
            f"GET {_BREAK}/steps",
            f"POST {_BREAK}/assign",
            f"POST {_BREAK}/comments",
            f"POST {_BREAK}/accept",
            f"POST {_BREAK}/write-off",
            f"POST {_BREAK}/come-back",
            f"POST {_BREAK}/approve",
            f"POST {_BREAK}/reopen",
            f"GET {_API}/write-off-limits",
        ),
        _FINANCE,
    ),
    f"POST {_API}/match-accounts": _CONTROL,
    f"POST {_API}/match-holidays": _CONTROL,
    f"POST {_API}/write-off-limits": _CONTROL,
}

REAL: dict[tuple[str, ...], str] = {
    ("match_run_id",): "SELECT run_id FROM billing.match_run ORDER BY run_id",
    ("match_group_id",): "SELECT group_id FROM billing.match_group ORDER BY stage = 'unmatch', group_id",
    ("match_proposal_id",): "SELECT proposal_id FROM billing.match_proposal ORDER BY state DESC, proposal_id",
    ("match_item_id",): """SELECT item_id FROM billing.match_item WHERE side = 'theirs' AND group_id IS NULL
        ORDER BY item_id""",
    ("break_id",): "SELECT break_id FROM billing.recon_break ORDER BY closed_at IS NOT NULL, break_id",
    ("version",): "SELECT version FROM billing.match_rules ORDER BY version",
    ("processor_id", "version"): "SELECT processor_id, version FROM billing.fee_schedule ORDER BY 1, 2",
}

_PROPOSED = "FROM (SELECT proposal_id AS match_proposal_id FROM billing.match_proposal WHERE state = 'proposed') AS p"

RIPE: dict[str, str] = {
    f"POST {_PROPOSAL}/approve": _PROPOSED,
    f"POST {_PROPOSAL}/reject": _PROPOSED,
    f"POST {_BREAK}/accept": "FROM billing.recon_break WHERE state = 'open'",
    f"POST {_BREAK}/approve": "FROM billing.recon_break WHERE state IN ('accepting', 'writing_off')",
    f"POST {_BREAK}/reopen": "FROM billing.recon_break WHERE state IN ('accepting', 'writing_off', 'accepted')",
    f"POST {_BREAK}/write-off": """FROM billing.recon_break
        WHERE state = 'open' AND kind IN ('unidentified_receipt', 'missing_internal')""",
}

SENSIBLE: dict[str, Callable[[Any, int], Any]] = {
    f"POST {_API}/match-accounts": lambda _, n: {"account": f"DE{n:04}", "entity_id": 1, "from_on": "2018-01-01"},
    f"POST {_API}/match-holidays": lambda _, n: {"calendar": "T2", "days": [f"2019-01-{n % 28 + 1:02}"]},
    f"POST {_API}/match-rules": lambda _, n: {"window_days": n % 9, "likely_score": 90},
    f"POST {_API}/fee-schedules": lambda _, n: {
        "processor": "card", "from_on": f"2018-0{n % 9 + 1}-01",
        "fees": [{"currency": "EUR", "fixed_minor": 25, "ppm": 14_000}],
    },
    f"POST {_API}/write-off-limits": lambda _, n: {
        "entity_id": 1, "currency": "EUR", "accountant_minor": n, "controller_minor": 100 + n,
    },
    f"POST {_GROUP}/unmatch": lambda *_: {"reason": "another merchant's"},
    f"POST {_BREAK}/assign": lambda *_: {"owner": ""},
    f"POST {_BREAK}/comments": lambda _, n: {"words": f"seen {n}", "evidence": "ticket 7"},
    f"POST {_BREAK}/accept": lambda *_: {"reason": "the bank is late"},
    f"POST {_BREAK}/write-off": lambda *_: {"reason": "not worth it"},
    f"POST {_BREAK}/come-back": lambda *_: {"reason": "account closed"},
    f"POST {_BREAK}/approve": lambda *_: {},
    f"POST {_BREAK}/reopen": lambda *_: {"reason": "look again"},
}  # fmt: skip
