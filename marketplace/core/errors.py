"""What can go wrong, in words a caller can act on.

Every refusal of this product is an `AppError`: a stable `code`, an HTTP `status` below 500, a `title` that is the
same for every occurrence and a `detail` that names the field and the reason of this one.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, ClassVar


class AppError(Exception):
    """A refusal with a reason. `extra` becomes members of the problem document (RFC 9457, section 3.2)."""

    code: ClassVar[str] = "refused"
    status: ClassVar[int] = 400
    title: ClassVar[str] = "The request was refused"

    def __init__(self, detail: str, **extra: Any) -> None:
        super().__init__(detail)
        self.detail = detail
        self.extra = extra


class Invalid(AppError):
    """The input breaks a rule; `pointer` (JSON Pointer, RFC 6901) names the field where one is known."""

    code = "invalid-input"
    status = 422
    title = "The input is not valid"


class NotFound(AppError):
    code = "not-found"
    status = 404
    title = "There is no such thing"


class Refusals:
    """What is wrong with the fields of one request, to be said of all at once."""

    def __init__(self) -> None:
        self.errors: list[dict[str, str]] = []

    def add(self, pointer: str, detail: str) -> None:
        self.errors.append({"pointer": pointer, "detail": detail})

    @contextmanager
    def at(self, pointer: str) -> Iterator[None]:
        """Keep it, should the field be refused that is looked at inside, and go on."""
        try:
            yield
        except (Invalid, NotFound) as refusal:
            self.add(refusal.extra.get("pointer", pointer), refusal.detail)

    def check(self) -> None:
        """Raise Invalid naming every field that is wrong."""
        if self.errors:
            first = self.errors[0]
            more = f" ({len(self.errors)} errors in all)" if len(self.errors) > 1 else ""
            raise Invalid(f"{first['detail']}{more}", errors=self.errors)


class Conflict(AppError):
    """The request is well formed but does not fit the present state."""

    code = "conflict"
    status = 409
    title = "The present state does not allow this"


class Unauthenticated(AppError):
    code = "unauthenticated"
    status = 401
    title = "Sign in first"


class Unreachable(AppError):
    """The database, or a file this program needs, cannot be reached."""

    code = "unreachable"
    status = 400
    title = "Something this needs cannot be reached"


class Forbidden(AppError):
    code = "forbidden"
    status = 403
    title = "You may not do this"
