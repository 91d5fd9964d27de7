"""The pages of reconciliation, which are open to finance."""

_BENCH = "/finance/workbench"
RECONCILED = [
    *(f"GET {_BENCH}", f"GET {_BENCH}/sums", f"POST {_BENCH}/match", f"POST {_BENCH}/run"),
    *(f"GET {_BENCH}/groups/{{group_id}}", f"POST {_BENCH}/groups/{{group_id}}/unmatch"),
    f"GET {_BENCH}/proposals/{{proposal_id}}",
    *("GET /finance/breaks", "GET /finance/breaks/{break_id}", "POST /finance/breaks/{break_id}/{deed}"),
    *("GET /finance/files", "POST /finance/files"),
]
