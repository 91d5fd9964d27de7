"""What every page shares: whose data it shows, the frame around it, and how it is sent."""

import secrets
from collections.abc import Sequence
from typing import Annotated, Any

import msgspec
from litestar import MediaType, Response
from litestar.params import PathParameter

from marketplace.consoles.deeds import Refused
from marketplace.core.db import Scope
from marketplace.core.errors import NotFound
from marketplace.web.auth import Actor, ActorRequest
from marketplace.web.guards import (
    DISTRIBUTOR,
    EVERYBODY,
    FINANCE,
    MERCHANT,
    MERCHANT_BOOKS,
    OPS,
    PAYER,
    SALES,
    STAFF,
    Role,
)
from marketplace.web.i18n import DEFAULT_LANGUAGE, speech
from marketplace.web.templating import render

PathId = Annotated[int, PathParameter(ge=-(2**63), le=2**63 - 1)]
"""A number in an address: what the database can hold, so that a longer one is refused by name."""


class Place(msgspec.Struct, frozen=True):
    """Whose books a page shows, as whom they are read, and the address that all pages about them begin with."""

    merchant_id: int
    scope: Scope
    base: str


class Nothing(msgspec.Struct, frozen=True):
    """A page that has nothing to show yet."""


class Tab(msgspec.Struct, frozen=True):
    """One door of the navigation; `key` names its words, `roles` who sees it."""

    key: str
    href: str
    roles: frozenset[Role] = EVERYBODY


_MERCHANT_PAGES = (
    ("home", ""),
    ("tasks", "/tasks"),
    ("orders", "/orders"),
    ("listings", "/listings"),
    ("statements", "/statements"),
    ("documents", "/documents"),
    ("payouts", "/payouts"),
    ("ads", "/ads"),
    ("promotions", "/promotions"),
    ("products", "/products"),
    ("balance", "/accounts/2000"),
    ("team", "/team"),
)
_WITHOUT_BOOKS = frozenset({"home", "orders", "listings", "promotions"})
_OF_MERCHANTS = frozenset({"tasks", "listings", "products", "team"})
"""Pages that a house's own books do not have."""

LEADERS = frozenset({Role.MERCHANT_OWNER, Role.ADMIN})
"""Who says who is of a team."""

_TABS = {
    "distributor": (Tab("home", "/distributor"), Tab("commissions", "/distributor/commissions")),
    "field": (
        Tab("home", "/field"),
        Tab("territory", "/field/territory", frozenset({Role.SALES_MANAGER})),
        Tab("pool", "/field/pool"),
        Tab("visits", "/field/visits"),
        Tab("fairs", "/field/fairs"),
        Tab("follow_ups", "/field/tasks"),
        Tab("commissions", "/field/commissions"),
    ),
    "payer": (
        Tab("home", "/payer"),
        Tab("claims", "/payer/claims"),
        Tab("payer_statement", "/payer/statement"),
        Tab("documents", "/payer/documents"),
        Tab("rejections", "/payer/rejections"),
    ),
    "ops": (
        Tab("home", "/ops"),
        Tab("approvals", "/ops/approvals"),
        Tab("steering", "/ops/steering"),
        Tab("goals", "/ops/goals"),
        Tab("reviews", "/ops/reviews"),
        Tab("alerts", "/ops/alerts"),
        Tab("funnel", "/ops/funnel"),
        Tab("leads", "/ops/leads"),
        Tab("territories", "/ops/territories"),
        Tab("pools", "/ops/pools"),
        Tab("fairs", "/ops/fairs"),
        Tab("agents", "/ops/agents"),
        Tab("channels", "/ops/channels"),
        Tab("economics", "/ops/economics"),
        Tab("costs", "/ops/costs"),
        Tab("content", "/ops/content"),
        Tab("merchants", "/ops/merchants"),
        Tab("academy", "/ops/academy"),
        Tab("tasks", "/ops/tasks"),
        Tab("service", "/ops/service"),
        Tab("campaigns", "/ops/campaigns"),
        Tab("promotions", "/ops/promotions"),
        Tab("parked", "/ops/parked"),
        Tab("people", "/ops/people", frozenset({Role.ADMIN})),
        Tab("audit", "/audit"),
        Tab("styleguide", "/styleguide", frozenset({Role.ADMIN})),
    ),
    "finance": (
        Tab("home", "/finance"),
        Tab("approvals", "/finance/approvals"),
        Tab("payouts", "/finance/payouts"),
        Tab("payers", "/finance/payers"),
        Tab("disputes", "/finance/disputes"),
        Tab("reports", "/finance/reports"),
        Tab("reconciliation", "/finance/reconciliation"),
        Tab("workbench", "/finance/workbench"),
        Tab("breaks", "/finance/breaks"),
        Tab("files", "/finance/files"),
        Tab("proofs", "/finance/proofs"),
        Tab("close", "/finance/close"),
        Tab("exchange", "/finance/exchange"),
        Tab("rules", "/finance/rules"),
        Tab("schedules", "/finance/schedules"),
        Tab("audit", "/audit"),
    ),
}
"""The tabs of each console, in the order of a working day."""

_ENTRANCE = {
    "payer": PAYER,
    "distributor": DISTRIBUTOR,
    "field": SALES,
    "merchant": MERCHANT,
    "ops": OPS,
    "finance": FINANCE,
}


DEMONSTRATION_LOGINS = {"merchant": "merchant", "ops": "ops", "finance": "finance", "rep": "field", "payer": "payer"}
"""The people who come with the demonstration, one for each console; a demonstration of real orders has the first three.
"""


class Frame(msgspec.Struct, frozen=True):
    """What surrounds a page: the console, its tabs and the open one, and who is signed in.

    about: the tabs of the merchant whose books staff look at. books: whether this person sees a merchant's money.
    done: the sentence about what was just done, "" for none. refused: why a form was not taken.
    form_key: of this page's forms, see `deeds`. viewing: the name of the merchant as whom one of the house looks at
    these pages, None where nobody does.
    may_view: whether this person may do so with the merchant whose books are shown. told: whether there are
    notices for this person; unread: how many of them are new. switches: whether to offer the demonstration's others.
    """

    console: str
    consoles: Sequence[str]
    tabs: Sequence[Tab]
    tab: str
    about: Sequence[Tab]
    books: bool
    person: str
    path: str
    done: str
    refused: Refused | None
    form_key: str
    viewing: str | None
    may_view: bool
    told: bool
    unread: int
    switches: bool


def consoles_of(actor: Actor) -> list[str]:
    """The consoles that the actor's roles open, in the order of _TABS."""
    return [console for console, roles in _ENTRANCE.items() if actor.roles & roles]


def send(
    request: ActorRequest,
    template: str,
    page: msgspec.Struct,
    tab: str,
    place: Place | None = None,
    refused: Refused | None = None,
    **more: Any,
) -> Response[str]:
    """The page in its frame, in the language of the one who asked. `place` gives its templates `base`."""
    actor = request.user
    open_to = consoles_of(actor)
    wanted = request.url.path.split("/")[1]
    console = wanted if wanted in open_to else next(iter(reversed(open_to)), "")
    if not console:
        raise NotFound("there is no page for this role yet")
    foreign = place is not None and console != "merchant"
    of_merchant = place is None or place.merchant_id > 0  # the house's own books have neither team nor visitors
    books = bool(actor.roles & (MERCHANT_BOOKS | FINANCE))
    theirs = [
        (key, path)
        for key, path in _MERCHANT_PAGES
        if (books or key in _WITHOUT_BOOKS or (foreign and key in _OF_MERCHANTS))
        and (of_merchant or key not in _OF_MERCHANTS)
        and (key != "team" or actor.roles & LEADERS)
    ]
    doors = [Tab(key, f"/merchant{path}") for key, path in theirs] if console == "merchant" else _TABS[console]
    frame = Frame(
        console=console,
        consoles=open_to,
        tabs=[door for door in doors if door.roles & actor.roles],
        tab="" if foreign else tab,
        about=[Tab(key, f"{place.base}{path}") for key, path in theirs] if place and foreign else [],
        books=books,
        person=actor.name,
        path=request.url.path,
        done=_known(request.query_params.get("done", "")),
        refused=refused,
        form_key=secrets.token_urlsafe(12),
        viewing=actor.viewing_name if actor.viewing else None,
        may_view=foreign and of_merchant and bool(actor.roles & STAFF),
        told=bool(actor.roles & (MERCHANT_BOOKS | STAFF)) and not actor.viewing,
        unread=actor.unread,
        switches=actor.login in DEMONSTRATION_LOGINS and not actor.viewing,
    )
    content = render(template, actor.locale, page, frame=frame, tab=tab, base=place.base if place else "", **more)
    return Response(content, media_type=MediaType.HTML)


def _known(done: str) -> str:
    """The name of a sentence that there is: an address may say anything."""
    return done if f"done.{done}" in speech(DEFAULT_LANGUAGE).known else ""
