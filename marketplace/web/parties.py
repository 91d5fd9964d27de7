"""As whom somebody who has signed in acts on what a merchant and the platform share."""

from billing.ads.lifecycle import AdParty
from demand.lifecycle import Party
from marketplace.web.auth import Actor


def order_party(actor: Actor) -> Party:
    """As whom a caller acts on an order."""
    return Party.PLATFORM if actor.merchant_id is None else Party.MERCHANT


def ad_party(actor: Actor) -> AdParty:
    """As whom a caller acts on a campaign or an ad order."""
    return AdParty.PLATFORM if actor.merchant_id is None else AdParty.MERCHANT
