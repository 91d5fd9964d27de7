"""The pages of reconciliation and payers, which are open to finance; and those of a payer's own people."""

_BENCH = "/finance/workbench"
_RECONCILED = (
    *(f"GET {_BENCH}", f"GET {_BENCH}/sums", f"POST {_BENCH}/match", f"POST {_BENCH}/run"),
    *(f"GET {_BENCH}/groups/{{group_id}}", f"POST {_BENCH}/groups/{{group_id}}/unmatch"),
    f"GET {_BENCH}/proposals/{{proposal_id}}",
    *("GET /finance/breaks", "GET /finance/breaks/{break_id}", "POST /finance/breaks/{break_id}/{deed}"),
    *("GET /finance/files", "POST /finance/files", "GET /finance/files/{file_id}"),
    *("GET /finance/files/{file_id}/content", "GET /finance/mappings", "GET /finance/mappings/edit"),
    *("POST /finance/mappings", "POST /finance/mappings/preview"),
    *("GET /finance/erp-accounts", "POST /finance/erp-accounts/{entity}"),
)
_OF_PAYERS = (
    *(
        "GET ",
        "GET /claims",
        "GET /claims/{claim_id}",
        "GET /statement",
        "GET /documents",
        "GET /rejections",
    ),
    *("POST /claims/{claim_id}/accept", "POST /claims/{claim_id}/reject"),
)
_OF_PAYERS_TOO = ("POST /claims", "POST /claims/{claim_id}/reclaim", "POST /claims/{claim_id}/remit")

_MONEY = (
    *(
        "GET /payouts",
        "GET /payouts/owed",
        "POST /payout-files",
        "GET /payout-files/{file_id}",
        "POST /payout-files/{file_id}/{deed}",
    ),
    *("GET /payouts/{merchant_id}/{payout_id}", "POST /payouts/{merchant_id}/{payout_id}/{deed}"),
    *("GET /payout-terms/{merchant_id}", "POST /payout-terms/{merchant_id}/{deed}"),
    *("GET /reports", "GET /reports/{report}", "GET /reports/{report}/rows.xlsx"),
    *("GET /disputes", "GET /line-disputes", "GET /line-disputes/{merchant_id}/{case_id}"),
    "POST /line-disputes/{merchant_id}/{case_id}/{deed}",
    *("GET /exchange", "POST /exchange/{deed}", "GET /rules", "POST /rules/{deed}"),
    *("GET /schedules", "POST /schedules", "GET /runs/{run_id}/comparison"),
)
CONTROLLERS_PAGES = ("POST /finance/debtor-accounts", "POST /finance/rules/set/{what}")
_APPROVED = "/approvals/{kind}/{merchant_id}/{proposal_id}"
APPROVALS = ("GET /approvals", f"POST {_APPROVED}/approve", f"POST {_APPROVED}/reject")
PAYER_PAGES = [page.replace(" ", " /payer", 1) for page in _OF_PAYERS]
FINANCE_PAGES = [
    *("POST /finance/reconciliation/{entity}/check", "POST /finance/proofs/check", "POST /finance/payouts/owed/check"),
    *_RECONCILED,
    "GET /finance/payers",
    *(page.replace(" ", " /finance", 1) for page in _MONEY),
    *(page.replace(" ", " /finance/payers/{payer_id}", 1) for page in (*_OF_PAYERS, *_OF_PAYERS_TOO)),
]
