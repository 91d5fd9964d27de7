"""When a tax document may be made void and issued again, whoever it is to. Pure."""

from typing import Protocol

from billing.documents.model import State
from marketplace.core.errors import Conflict


class Voidable(Protocol):
    """A document with its number, as far as these rules look at it."""

    @property
    def document_id(self) -> int: ...

    @property
    def number(self) -> str: ...

    @property
    def state(self) -> State: ...

    @property
    def void_asked_by(self) -> str | None: ...


def check_stands(one: Voidable, *, is_corrected: bool) -> None:
    """Raise Conflict for one that is void, or that others which stand correct."""
    if one.state is not State.ISSUED:
        raise Conflict(f"document {one.number} is {one.state}")
    if is_corrected:
        raise Conflict(f"document {one.number}: other documents correct it; make those void first")


def check_unasked(one: Voidable) -> None:
    """Raise Conflict when somebody wants it void already."""
    if one.void_asked_by is not None:
        raise Conflict(f"document {one.number}: {one.void_asked_by} has asked for it to be void already")


def check_asked(one: Voidable) -> None:
    """Raise Conflict unless somebody wants it void, and it is not yet."""
    if one.state is State.VOID or one.void_asked_by is None:
        raise Conflict(f"document {one.number} is {one.state}, and nobody asks for it to be void")


def check_reissuable(one: Voidable, replacement: Voidable | None) -> None:
    """Raise Conflict unless it is void, and no other stands in its place."""
    if one.state is not State.VOID:
        raise Conflict(f"document {one.number} is {one.state}: only a void one is issued again")
    if replacement is not None:
        raise Conflict(f"document {one.number} has been issued again as {replacement.number}")
