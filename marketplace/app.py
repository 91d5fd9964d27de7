"""The web application: what it is made of, put together in one place."""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager

from litestar import Litestar
from litestar.datastructures import State
from litestar.di import NamedDependency, Provide

from billing.payments.store import ensure_processor
from marketplace import routes
from marketplace.bootstrap import open_database
from marketplace.consoles import page_handlers
from marketplace.core.db import WORKER, Database
from marketplace.core.limits import Limits
from marketplace.migrate import newest_version
from marketplace.settings import Settings
from marketplace.web import system
from marketplace.web.auth import Authentication
from marketplace.web.body import BODY_BYTES_MAX
from marketplace.web.head import HeadLimit
from marketplace.web.limits import RateLimit, tell_allowance
from marketplace.web.observed import observed, safety_headers
from marketplace.web.openapi import describe
from marketplace.web.origin import SameOrigin
from marketplace.web.problems import EXCEPTION_HANDLERS
from marketplace.web.query import queries_of


def create_app(
    settings: Settings, database: Callable[[], AbstractAsyncContextManager[Database]] | None = None
) -> Litestar:
    """The application. It opens its database when it starts and closes it when it stops.

    database: where the database comes from, when not from the settings: one that is open already, a test's own.
    """
    metrics = system.Metrics(routes.FIGURES)
    schema_version = newest_version()

    @asynccontextmanager
    async def with_database(app: Litestar) -> AsyncIterator[None]:
        async with database() if database else open_database(settings) as db:
            app.state["db"], app.state["limits"] = db, Limits(db)
            if settings.processor_secret:
                await db.write(WORKER, "bootstrap", ensure_processor, settings.processor)
            yield

    async def get_db(state: State) -> Database:
        db: Database = state["db"]
        return db

    async def get_settings(db: NamedDependency[Database]) -> Settings:
        """After the database, though it needs it not: what is provided side by side costs a task each."""
        return settings

    dependencies = {
        "db": Provide(get_db),
        "settings": Provide(get_settings),
        "schema_version": Provide(lambda: schema_version, sync_to_thread=False),
    }
    description = describe(routes.API, dependencies)
    app = Litestar(
        route_handlers=[*system.HANDLERS, routes.API, *page_handlers],
        lifespan=[with_database],
        state=State({"metrics": metrics, "openapi": description, "queries": queries_of(description)}),
        dependencies=dependencies,
        middleware=[HeadLimit(), SameOrigin(), Authentication(settings), RateLimit(settings)],
        exception_handlers=EXCEPTION_HANDLERS,
        before_send=[safety_headers(https=settings.cookie_secure), tell_allowance],
        request_max_body_size=BODY_BYTES_MAX,
        openapi_config=None,
        return_dto=None,
        logging_config=None,
    )
    app.asgi_handler = observed(app.asgi_handler, metrics.requests)
    return app
