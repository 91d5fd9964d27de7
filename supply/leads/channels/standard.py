"""The channels that every house begins with; it may add its own below them. Pure."""

from supply.leads.model import Channel, ChannelKind

_NAMES = {
    "online": "Online",
    "online.form": "Lead form",
    "online.direct": "Direct visit",
    "online.search": "Search",
    "online.ads": "Ads",
    "online.ads.search": "Search ads",
    "online.ads.display": "Display ads",
    "online.ads.other": "Other ads",
    "online.content": "Content",
    "online.content.social": "Social media",
    "online.content.email": "Email",
    "online.referral": "Referral",
    "offline": "Offline",
    "offline.field": "Field push",
    "offline.conference": "Conference",
    "offline.agent": "Distributor or agent",
    "offline.event": "Event",
    "partner": "Partner",
    "partner.association": "Association",
    "partner.institution": "Institution",
    "partner.government": "Government",
    "partner.media": "Media",
    "unattributed": "Unattributed",
    "unattributed.unknown": "Unknown",
    "unattributed.other": "Other",
    "unattributed.blank": "Not recorded",
}
_IDS = {code: number for number, code in enumerate(_NAMES, start=1)}


def _channel(code: str) -> Channel:
    steps = code.split(".")
    above = [".".join(steps[:depth]) for depth in range(1, len(steps) + 1)]
    return Channel(
        channel_id=_IDS[code],
        code=code,
        name=_NAMES[code],
        kind=ChannelKind(steps[0]),
        parent_id=_IDS[above[-2]] if len(above) > 1 else None,
        path=[_IDS[each] for each in above],
        active=True,
        version=1,
    )


STANDARD = tuple(_channel(code) for code in _NAMES)
