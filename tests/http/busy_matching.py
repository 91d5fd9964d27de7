"""What the bank says of a payout, matched; a match that people want taken back; breaks, one of them to be approved."""

import base64

import httpx

from tests.http.market import done

ACCOUNT = "DE89370400440532013000"
STATEMENT = """:20:paid
:25:{account}
:28C:2/1
:60F:C180601EUR9000,00
:61:180602D{amount}NTRFNONREF//B-1
:86:a payout
:62F:C180602EUR{closing}
-
"""


def _major(minor: int) -> str:
    return f"{minor // 100},{minor % 100:02}"


async def match_payout(clerk: httpx.AsyncClient, controller: httpx.AsyncClient, payout_minor: int) -> None:
    """The bank has paid ALPHA's payout; something else on its account is from nobody known."""
    account = {"account": ACCOUNT, "entity_id": 1, "from_on": "2018-01-01"}
    await done(controller, "/match-accounts", account)
    await done(controller, "/match-holidays", {"calendar": "T2", "days": ["2018-12-25"]})
    limits = {"entity_id": 1, "currency": "EUR", "accountant_minor": 1, "controller_minor": 9}
    await done(controller, "/write-off-limits", limits)
    text = STATEMENT.format(account=ACCOUNT, amount=_major(payout_minor), closing=_major(900_000 - payout_minor))
    content = base64.b64encode(text.encode()).decode()
    await done(controller, "/bank-files", {"name": "paid", "content": content})
    await done(clerk, "/match-rules", {"window_days": 4})
    fees = [{"currency": "EUR", "fixed_minor": 25, "ppm": 14_000}]
    await done(clerk, "/fee-schedules", {"processor": "card", "from_on": "2018-01-01", "fees": fees})
    await done(clerk, "/match-runs")
    [group] = (await clerk.get("/api/v1/match-groups")).json()["items"]
    unmatch = f"/match-groups/{group['group_id']}/unmatch"
    refused = await done(clerk, unmatch, {"reason": "a doubt"})
    await done(controller, f"/match-proposals/{refused['proposal_id']}/reject", {"reason": "it fits"})
    await done(clerk, unmatch, {"reason": "another doubt"})
    breaks = (await clerk.get("/api/v1/breaks")).json()["items"]
    await done(clerk, f"/breaks/{breaks[0]['break_id']}/accept", {"reason": "the bank is late"})
