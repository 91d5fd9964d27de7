"""Who may call the operations of bank files, and bodies for them; `plausible_payouts` adds them to its own."""

from base64 import b64encode
from collections.abc import Callable
from typing import Any

from marketplace.core.users import UserRole

_FINANCE = {UserRole.CONTROLLER, UserRole.ADMIN, UserRole.ACCOUNTANT}

ROUTES: dict[str, set[UserRole]] = {
    "GET /api/v1/bank-files": _FINANCE,
    "POST /api/v1/bank-files": _FINANCE,
    "GET /api/v1/bank-files/gaps": _FINANCE,
    "GET /api/v1/bank-files/{bank_file_id}": _FINANCE,
    "GET /api/v1/bank-files/{bank_file_id}/statements": _FINANCE,
    "GET /api/v1/bank-files/{bank_file_id}/lines": _FINANCE,
    "GET /api/v1/bank-mappings": _FINANCE,
    "POST /api/v1/bank-mappings": _FINANCE,
    "POST /api/v1/bank-mappings/preview": _FINANCE,
}

REAL: dict[tuple[str, ...], str] = {
    ("bank_file_id",): "SELECT file_id FROM billing.bank_file ORDER BY file_id",
}

MAPPING = {"account": "till 1", "currency": "EUR", "day": "Day", "amount": "Amount", "text": "What"}
TABLE = b"Day,Amount,What\n2018-09-01,12.50,flowers\n2018-09-02,-3.00,a refund\n"

STATEMENT = """:20:ref
:25:DE89370400440532013000
:28C:1/1
:60F:C180831EUR100,00
:61:180901C12,50NTRFpaid//77
:86:flowers
:62F:C180901EUR112,50
-
"""

SENSIBLE: dict[str, Callable[[Any, int], Any]] = {
    "POST /api/v1/bank-files": lambda _, n: {
        "name": f"statement {n}.sta", "content": b64encode(STATEMENT.replace(":20:ref", f":20:r{n}").encode()).decode(),
    },
    "POST /api/v1/bank-mappings": lambda _, n: {"name": f"till {n}", "mapping": MAPPING},
    "POST /api/v1/bank-mappings/preview": lambda *_: {"mapping": MAPPING, "content": b64encode(TABLE).decode()},
}  # fmt: skip
