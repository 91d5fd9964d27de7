"""For machines that keep this one running: is it alive, is it ready, what do its figures say, what does a code mean."""

import inspect
from collections.abc import Sequence

import msgspec
from litestar import MediaType, Request, Response, get
from litestar.datastructures import State
from litestar.di import NamedDependency
from litestar.params import FromPath
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Gauge, generate_latest
from sqlalchemy import text

from marketplace.core.db import STAFF, Database, is_lost
from marketplace.core.errors import AppError, NotFound
from marketplace.web.guards import STAFF as STAFF_ROLES
from marketplace.web.guards import needs, public
from marketplace.web.observed import RequestMetrics
from marketplace.web.problems import all_errors


class NotReady(AppError):
    """The only refusal above 499: whoever balances load must stop sending requests here."""

    code = "not-ready"
    status = 503
    title = "Not ready to serve"


class Figure(msgspec.Struct, frozen=True):
    """A gauge read from the database when it is asked for: `sql` gives rows of one value and the label's value."""

    name: str
    help: str
    label: str
    sql: str


class Metrics:
    """The figures of one process: those of its requests, and those that are read from the database."""

    def __init__(self, figures: Sequence[Figure]) -> None:
        self.registry = CollectorRegistry()
        self.requests = RequestMetrics(self.registry)
        self._gauges = [
            (figure, Gauge(figure.name, figure.help, (figure.label,), registry=self.registry)) for figure in figures
        ]

    async def exposition(self, db: Database) -> bytes:
        """Everything in Prometheus' text format."""
        async with db.read(STAFF) as tx:
            for figure, gauge in self._gauges:
                gauge.clear()
                for value, label in await tx.rows(figure.sql):
                    gauge.labels(str(label)).set(value)
        return generate_latest(self.registry)


class Health(msgspec.Struct, frozen=True):
    status: str
    schema_version: str | None = None


class ProblemKind(msgspec.Struct, frozen=True):
    """What the `type` of a problem document leads to."""

    code: str
    status: int
    title: str
    meaning: str


@get("/health/live", guards=[public], include_in_schema=False)
async def live() -> Health:
    """The process answers."""
    return Health("live")


@get("/health/ready", guards=[public], include_in_schema=False)
async def ready(db: NamedDependency[Database], schema_version: NamedDependency[str]) -> Health:
    """The database answers and has the schema this program was written for; 503 otherwise."""
    try:
        async with db.engine.connect() as connection:
            found = (await connection.execute(text("SELECT version_num FROM public.schema_version"))).scalar()
    except Exception as fault:
        if not is_lost(fault):
            raise
        raise NotReady("the database does not answer") from fault
    if found != schema_version:
        raise NotReady(f"the database is at schema version {found}, this program needs {schema_version}")
    return Health("ready", schema_version)


@get("/metrics", guards=[needs(STAFF_ROLES)], include_in_schema=False)
async def metrics(db: NamedDependency[Database], state: State) -> Response[bytes]:
    """Prometheus' text format, for a scraper with an API key of one of the house's own users."""
    return Response(await state["metrics"].exposition(db), headers={"content-type": CONTENT_TYPE_LATEST})


@get("/problems/{code:str}", guards=[public], include_in_schema=False, media_type=MediaType.JSON)
async def problem_kind(request: Request[None, None, State], code: FromPath[str]) -> ProblemKind:
    """What a problem's code means, from the class that raises it."""
    for kind in all_errors():
        if kind.code == code:
            return ProblemKind(code, kind.status, kind.title, inspect.cleandoc(kind.__doc__ or kind.title))
    raise NotFound(f"code: there is no kind of problem {code!r}")


@get("/openapi.json", guards=[public], include_in_schema=False)
async def openapi(state: State) -> Response[bytes]:
    """The API's description. There are no pages about it: they would load scripts from elsewhere."""
    return Response(state["openapi"], media_type="application/vnd.oai.openapi+json")


HANDLERS = [live, ready, metrics, problem_kind, openapi]
