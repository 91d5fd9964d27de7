"""The pages of reconciliation and payers, which are open to finance; and those of a payer's own people."""

_BENCH = "/finance/workbench"
_RECONCILED = (
    *(f"GET {_BENCH}", f"GET {_BENCH}/sums", f"POST {_BENCH}/match", f"POST {_BENCH}/run"),
    *(f"GET {_BENCH}/groups/{{group_id}}", f"POST {_BENCH}/groups/{{group_id}}/unmatch"),
    f"GET {_BENCH}/proposals/{{proposal_id}}",
    *("GET /finance/breaks", "GET /finance/breaks/{break_id}", "POST /finance/breaks/{break_id}/{deed}"),
    *("GET /finance/files", "POST /finance/files"),
)
_OF_PAYERS = (
    *("GET ", "GET /claims", "GET /claims/{claim_id}", "GET /statement", "GET /rejections"),
    *("POST /claims/{claim_id}/accept", "POST /claims/{claim_id}/reject"),
)
_OF_PAYERS_TOO = ("POST /claims", "POST /claims/{claim_id}/reclaim", "POST /claims/{claim_id}/remit")

_APPROVED = "/approvals/{kind}/{merchant_id}/{proposal_id}"
APPROVALS = ("GET /approvals", f"POST {_APPROVED}/approve", f"POST {_APPROVED}/reject")
PAYER_PAGES = [page.replace(" ", " /payer", 1) for page in _OF_PAYERS]
FINANCE_PAGES = [
    *_RECONCILED,
    "GET /finance/payers",
    *(page.replace(" ", " /finance/payers/{payer_id}", 1) for page in (*_OF_PAYERS, *_OF_PAYERS_TOO)),
]
