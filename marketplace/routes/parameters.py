"""What handlers take from path and query, each with its bounds, and the rule whose books a path may name."""

from datetime import date
from typing import Annotated

from litestar.params import PathParameter, QueryParameter

from marketplace.core.errors import NotFound
from marketplace.core.paging import LIMIT_DEFAULT, LIMIT_MAX
from marketplace.web.auth import Actor

_BIGINT_MIN, _BIGINT_MAX = -(2**63), 2**63 - 1

PathId = Annotated[int, PathParameter(ge=_BIGINT_MIN, le=_BIGINT_MAX)]
PathNo = Annotated[int, PathParameter(ge=1, le=_BIGINT_MAX)]
PathVersion = Annotated[int, PathParameter(ge=1, le=2**31 - 1)]
PathAccount = Annotated[int, PathParameter(ge=1000, le=9999, description="A code of the chart of accounts.")]
QueryId = Annotated[int | None, QueryParameter(ge=_BIGINT_MIN, le=_BIGINT_MAX)]
QueryNo = Annotated[int | None, QueryParameter(ge=0, le=_BIGINT_MAX)]
QueryCurrency = Annotated[str | None, QueryParameter(min_length=3, max_length=3)]
QueryEntity = Annotated[int | None, QueryParameter(ge=1, le=2**31 - 1)]
QueryFrom = Annotated[date | None, QueryParameter(description="The first day.")]
QueryTo = Annotated[date | None, QueryParameter(description="The day after the last one.")]
FromOn = Annotated[date, QueryParameter(description="The first day.")]
ToOn = Annotated[date, QueryParameter(description="The day after the last one.")]
Limit = Annotated[int, QueryParameter(ge=1, le=LIMIT_MAX, description="How many items at most.")]
Cursor = Annotated[str | None, QueryParameter(description="`next` of the page before.", max_length=400)]
PathCode = Annotated[str, PathParameter(pattern="^[A-Za-z0-9-]{1,40}$", description="A code of a promotion.")]
Codes = Annotated[
    str | None,
    QueryParameter(pattern="^[A-Za-z0-9-]{1,40}(,[A-Za-z0-9-]{1,40}){0,9}$", description="Codes of promotions."),
]
VoucherCode = Annotated[
    str | None, QueryParameter(pattern="^[A-Za-z0-9-]{1,40}$", description="The code of a buyer's voucher.")
]

LIMIT = LIMIT_DEFAULT


def check_books(actor: Actor, merchant_id: int) -> None:
    """Raise NotFound when a merchant's person names another's books: to them those do not exist.

    The database would show nothing of them either; this makes the answer the same for every question.
    """
    if actor.merchant_id not in {None, merchant_id}:
        raise NotFound(f"there is no merchant {merchant_id}")


def seller_of(actor: Actor) -> int | None:
    """The person who sells, whose own leads are meant; None for the house's people, who mean all."""
    return None if actor.is_staff else actor.user_id


def own_or(actor: Actor, merchant_id: int | None) -> int | None:
    """The merchant a list is narrowed to: always the caller's own for a merchant's person, else the one asked for."""
    if actor.merchant_id is not None and merchant_id is not None:
        check_books(actor, merchant_id)
    return merchant_id if actor.merchant_id is None else actor.merchant_id
