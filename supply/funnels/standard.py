"""The first version of each model's funnel, from which a house may go its own way with versions of its own. Pure.

Platform: acquire, serve, monetise. Tool: serve free of charge, then convert and renew. Hardware: acquire and be paid,
then install and maintain. Service: agree, work, be paid. Payer: a third party that bears a part of the bill.
"""

from supply.funnels.model import Funnel, Stage
from supply.leads.model import Model


def _funnel(model: Model, won: str, activated: str, **stages: int | None) -> Funnel:
    """stages: in their order, each with the days that a subject may stay."""
    made = tuple(Stage(key=key, sla_days=days) for key, days in stages.items())
    return Funnel(model=model, version_no=1, stages=made, won=won, activated=activated)


STANDARD = (
    _funnel(
        Model.PLATFORM, "signed", "first_order",
        lead=14, qualified=30, signed=14, live=30, first_order=28, active=90, monetised=90, repeat=None,
    ),
    _funnel(
        Model.TOOL, "paid", "key_action",
        lead=14, sign_up=7, set_up=7, key_action=14, weekly_active=30, paid=365, renewed=365, expanded=None,
    ),
    _funnel(
        Model.HARDWARE, "deposit", "installed",
        lead=14, survey=14, quote=30, deposit=14, shipped=14, installed=14, first_use=365, renewed=None,
    ),
    _funnel(
        Model.SERVICE, "contract", "milestone",
        lead=14, diagnosis=14, proposal=30, contract=30, milestone=90, acceptance=30, cash_collected=365, renewed=None,
    ),
    _funnel(
        Model.PAYER, "contract", "first_claim",
        lead=30, qualified=60, proposal=60, contract=60, first_claim=60, remitted=365, renewed=None,
    ),
)  # fmt: skip
