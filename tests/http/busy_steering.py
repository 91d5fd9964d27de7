"""Steering in the busy market: figures rolled up, a goal, an alert, and a review."""

import httpx

from marketplace.core.db import Database
from marketplace.flows.steering.roll_metrics import roll_metrics
from marketplace.flows.steering.watch_metrics import report_periods, watch_metrics
from tests.http.market import send
from tests.http.plausible_steering import SENSIBLE


async def steer(db: Database, ops: httpx.AsyncClient) -> None:
    """Over HTTP where the API can."""
    for noun in ("alerts", "goals", "holidays", "observations", "reviews"):
        answer = await send(ops, f"/{noun}", SENSIBLE[f"POST /api/v1/{noun}"](None, 400))
        assert answer.is_success, answer.text
    await roll_metrics(db, "worker")
    await report_periods(db, "worker")
    await watch_metrics(db, "worker")
