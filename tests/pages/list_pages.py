"""The lists of the consoles: pages whose rows are shown page by page, sorted by their headings, and had as a file."""

_MERCHANT = ("/orders", "/statements", "/payouts", "/documents", "/listings", "/ads")
_PAYER = ("/claims", "/statement", "/documents", "/rejections")
_OPS = ("merchants", "parked", "leads", "funnel", "campaigns", "promotions", "tasks", "costs", "agents", "academy")
_FINANCE = (
    *("disputes", "line-disputes", "payouts", "payouts/owed", "payers", "breaks"),
    *("files", "exchange", "reconciliation"),
)
_LINES = "claims/{claim_id}"

LISTS = {
    **{f"/merchant{path}": f"/merchant{path}.csv" for path in _MERCHANT},
    **{f"/books/{{merchant_id}}{path}": f"/books/{{merchant_id}}{path}.csv" for path in _MERCHANT},
    **{f"/payer{path}": f"/payer{path}.csv" for path in _PAYER},
    f"/payer/{_LINES}": f"/payer/{_LINES}/lines.csv",
    **{f"/finance/payers/{{payer_id}}{path}": f"/finance/payers/{{payer_id}}{path}.csv" for path in _PAYER},
    f"/finance/payers/{{payer_id}}/{_LINES}": f"/finance/payers/{{payer_id}}/{_LINES}/lines.csv",
    **{f"/ops/{name}": f"/ops/{name}.csv" for name in _OPS},
    **{f"/finance/{name}": f"/finance/{name}.csv" for name in _FINANCE},
    "/finance/runs/{run_id}": "/finance/runs/{run_id}/statements.csv",
    "/field": "/field/leads.csv",
    "/field/territory": "/field/territory.csv",
    "/field/visits": "/field/visits.csv",
    "/field/commissions": "/field/commissions.csv",
    "/distributor": "/distributor/leads.csv",
    "/distributor/commissions": "/distributor/commissions.csv",
    "/audit": "/audit.csv",
}
"""By the address of the page that of the file."""
