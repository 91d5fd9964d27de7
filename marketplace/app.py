"""The web application: what it is made of, put together in one place.

Assembling hundreds of routes takes seconds and depends on the code alone. What an application serves with (settings,
database, figures) is in its state, so that one and the same may serve with others after it has stopped.
"""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import cache, partial

from litestar import Litestar
from litestar.datastructures import State
from litestar.di import NamedDependency, Provide

from billing.payments.store import ensure_processor
from marketplace import routes
from marketplace.bootstrap import open_database
from marketplace.consoles import page_handlers
from marketplace.core.db import WORKER, Database
from marketplace.core.limits import Limits
from marketplace.flows.orders.place_carts import Checkouts
from marketplace.migrate import newest_version
from marketplace.settings import Settings
from marketplace.web import system
from marketplace.web.auth import Authentication
from marketplace.web.body import BODY_BYTES_MAX
from marketplace.web.head import HeadLimit
from marketplace.web.limits import RateLimit, tell_allowance
from marketplace.web.observed import add_safety_headers, observed
from marketplace.web.openapi import describe
from marketplace.web.origin import SameOrigin
from marketplace.web.problems import EXCEPTION_HANDLERS
from marketplace.web.query import queries_of

Opening = Callable[[], AbstractAsyncContextManager[Database]]


def create_app(settings: Settings, database: Opening | None = None) -> Litestar:
    """The application. It opens its database when it starts and closes it when it stops.

    database: where the database comes from, when not from the settings: one that is open already, a test's own.
    """
    return furnish(assemble(), settings, database)


def assemble() -> Litestar:
    """The application without anything to serve with."""
    app = Litestar(
        route_handlers=[*system.HANDLERS, routes.API, *page_handlers],
        lifespan=[_with_database],
        state=State({"openapi": description(), "queries": queries_of(description())}),
        dependencies=_DEPENDENCIES,
        middleware=[HeadLimit(), SameOrigin(), Authentication(), RateLimit()],
        exception_handlers=EXCEPTION_HANDLERS,
        before_send=[add_safety_headers, tell_allowance],
        request_max_body_size=BODY_BYTES_MAX,
        openapi_config=None,
        return_dto=None,
        logging_config=None,
    )
    app.asgi_handler = observed(app, app.asgi_handler)
    return app


def furnish(app: Litestar, settings: Settings, database: Opening | None = None) -> Litestar:
    """Give an application that does not run what it is to serve with, and figures that begin at zero."""
    app.state["settings"] = settings
    app.state["opening"] = database or partial(open_database, settings)
    app.state["metrics"] = system.Metrics(routes.FIGURES)
    return app


@asynccontextmanager
async def _with_database(app: Litestar) -> AsyncIterator[None]:
    settings: Settings = app.state["settings"]
    async with app.state["opening"]() as db:
        app.state["db"], app.state["limits"], app.state["checkouts"] = db, Limits(db), Checkouts(db)
        if settings.processor_secret:
            await db.write(WORKER, "bootstrap", ensure_processor, settings.processor)
        yield


async def _get_db(state: State) -> Database:
    db: Database = state["db"]
    return db


async def _get_settings(db: NamedDependency[Database], state: State) -> Settings:
    """After the database, though it needs it not: what is provided side by side costs a task each."""
    settings: Settings = state["settings"]
    return settings


async def _get_checkouts(settings: NamedDependency[Settings], state: State) -> Checkouts:
    """After the settings, as those come after the database."""
    checkouts: Checkouts = state["checkouts"]
    return checkouts


_DEPENDENCIES = {
    "db": Provide(_get_db),
    "checkouts": Provide(_get_checkouts),
    "settings": Provide(_get_settings),
    "schema_version": Provide(newest_version, sync_to_thread=False),
}


@cache
def description() -> bytes:
    """The API's description, which takes as long to make as all routes: once."""
    return describe(routes.API, _DEPENDENCIES)
