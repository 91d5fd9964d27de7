"""A life cycle as a table: where each move leads to, from which states, and which party may make it. Pure."""

from collections.abc import Mapping
from enum import StrEnum
from typing import Generic, TypeVar

import msgspec

from marketplace.core.errors import Conflict, Forbidden

S = TypeVar("S", bound=StrEnum)
M = TypeVar("M", bound=StrEnum)
P = TypeVar("P", bound=StrEnum)


class Rule(msgspec.Struct, Generic[S, P], frozen=True):
    """From these states a move leads to that one, when one of these parties makes it."""

    sources: frozenset[S]
    target: S
    parties: frozenset[P]


def rule(sources: tuple[S, ...], target: S, *parties: P) -> Rule[S, P]:
    return Rule(frozenset(sources), target, frozenset(parties))


def checked(rules: Mapping[M, Rule[S, P]], state: S, move: M, party: P, noun: str) -> S:
    """The state that the move leads to.

    Raises Forbidden when this party never makes such a move, Conflict when the state of the `noun` does not allow it.
    """
    of_move = rules[move]
    if party not in of_move.parties:
        raise Forbidden(f"move: the {party} may not {move} {'an' if noun[0] in 'aeiou' else 'a'} {noun}")
    if state not in of_move.sources:
        allowed = ", ".join(each for each in type(state) if each in of_move.sources)
        raise Conflict(f"state: the {noun} is {state}; {move} needs one that is {allowed}", state=state.value)
    return of_move.target


def open_to(rules: Mapping[M, Rule[S, P]], state: S, party: P) -> list[M]:
    """What the party may do with a thing in this state."""
    return [move for move, of_move in rules.items() if party in of_move.parties and state in of_move.sources]
