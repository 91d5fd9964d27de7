"""Evaluates predicates: closures for the many that are asked, words for the few that want to know why not. Pure."""

from collections.abc import Callable, Mapping
from operator import attrgetter
from typing import Any

from incentives.rules.events import Event, Line
from incentives.rules.predicates import (
    EVENT_ATTRIBUTES,
    LINE_ATTRIBUTES,
    AllOf,
    AnyOf,
    Attribute,
    Equals,
    Exists,
    In,
    Not,
    Predicate,
    Range,
    Value,
)
from marketplace.core.money import text_from_minor

Subject = Event | Line
Test = Callable[[Any], bool]
_Read = Callable[[Any], Any]


def attributes_of(subject: Subject) -> Mapping[str, Attribute]:
    return EVENT_ATTRIBUTES if isinstance(subject, Event) else LINE_ATTRIBUTES


def compiled(predicate: Predicate, attributes: Mapping[str, Attribute]) -> Test:
    """The predicate as a function of an event (EVENT_ATTRIBUTES) or of a line (LINE_ATTRIBUTES).

    Raises KeyError for an attribute that is not of the list: `incentives.rules.check` refuses such terms.
    """
    match predicate:
        case AllOf(of=of):
            tests = [compiled(each, attributes) for each in of]
            return lambda subject: all(test(subject) for test in tests)
        case AnyOf(of=of):
            tests = [compiled(each, attributes) for each in of]
            return lambda subject: any(test(subject) for test in tests)
        case Not(of=each):
            test = compiled(each, attributes)
            return lambda subject: not test(subject)
        case _:
            attribute = attributes[predicate.attribute]
            return _comparison(predicate, attribute, reader(attribute))


def _comparison(predicate: Equals | In | Range | Exists, attribute: Attribute, read: _Read) -> Test:
    match predicate:
        case Range(at_least=None, below=int(below)):
            return lambda subject: (value := read(subject)) is not None and value < below
        case Range(at_least=at_least, below=None):
            floor = 0 if at_least is None else at_least
            return lambda subject: (value := read(subject)) is not None and value >= floor
        case Range(at_least=at_least, below=below):
            return lambda subject: (value := read(subject)) is not None and at_least <= value < below
        case Exists():
            return lambda subject: read(subject) not in (None, frozenset())
    accepted = frozenset(accepted_by(predicate))
    if attribute.kind == "texts":
        return lambda subject: not accepted.isdisjoint(read(subject) or ())
    return lambda subject: read(subject) in accepted


def accepted_by(predicate: Equals | In) -> tuple[Value, ...]:
    return (predicate.value,) if isinstance(predicate, Equals) else predicate.values


def reader(attribute: Attribute) -> _Read:
    """Reads an attribute's value; None where the event has none."""
    head, _, field = attribute.path.partition(".")
    read = attrgetter(head)
    if not field:
        return read
    read_field = attrgetter(field)
    return lambda subject: None if (party := read(subject)) is None else read_field(party)


def required(predicate: Predicate | None) -> dict[str, frozenset[Value]]:
    """By attribute, the values of which one is necessary: what an index can look up."""
    match predicate:
        case Equals() | In():
            return {predicate.attribute: frozenset(accepted_by(predicate))}
        case AllOf(of=of):
            found: dict[str, frozenset[Value]] = {}
            for each in of:
                for name, values in required(each).items():
                    found.setdefault(name, values)
            return found
        case _:
            return {}


def why_not(predicate: Predicate, subject: Subject, currency: str) -> str:
    """Why a predicate does not hold, in words: "amount 49.00 is below 50.00". It must not hold."""
    attributes = attributes_of(subject)
    match predicate:
        case AllOf(of=of):
            return next(why_not(each, subject, currency) for each in of if not compiled(each, attributes)(subject))
        case AnyOf(of=of):
            return ", and ".join(why_not(each, subject, currency) for each in of)
        case Not(of=each):
            return f"excluded: {in_words(each, attributes, currency)}"
        case _:
            attribute = attributes[predicate.attribute]
            value = reader(attribute)(subject)
            if value is None or value == frozenset():
                return f"{attribute.label} is not known"
            missed = _missed(predicate, value, attribute, currency)
            return f"{attribute.label} {_shown(value, attribute, currency)} {missed}"


def _missed(predicate: Equals | In | Range | Exists, value: Any, attribute: Attribute, currency: str) -> str:
    match predicate:
        case Range(at_least=int(at_least)) if value < at_least:
            return f"is below {_shown(at_least, attribute, currency)}"
        case Range(below=below):
            return f"is not below {_shown(below, attribute, currency)}"
        case In(values=values) if len(values) > 1:
            return f"is none of the {len(values)} accepted"
        case Equals() | In():
            return f"is not {_shown(accepted_by(predicate)[0], attribute, currency)}"
        case Exists():
            return "is not known"


def in_words(predicate: Predicate, attributes: Mapping[str, Attribute], currency: str) -> str:
    """A predicate as a person says it: "amount at least 50.00 and category is toys"."""
    match predicate:
        case AllOf(of=of):
            return " and ".join(in_words(each, attributes, currency) for each in of)
        case AnyOf(of=of):
            return "(" + " or ".join(in_words(each, attributes, currency) for each in of) + ")"
        case Not(of=each):
            return f"not ({in_words(each, attributes, currency)})"
    attribute = attributes[predicate.attribute]
    match predicate:
        case Range(at_least=at_least, below=below):
            bounds = (("at least", at_least), ("below", below))
            words = [f"{word} {_shown(bound, attribute, currency)}" for word, bound in bounds if bound is not None]
            return f"{attribute.label} {' and '.join(words)}"
        case Exists():
            return f"{attribute.label} is known"
        case Equals() | In():
            values = [_shown(value, attribute, currency) for value in accepted_by(predicate)]
            return f"{attribute.label} is {' or '.join(values)}"


def _shown(value: Any, attribute: Attribute, currency: str) -> str:
    if attribute.kind == "amount":
        return text_from_minor(value, currency)
    if isinstance(value, bool):
        return "true" if value else "false"
    return ", ".join(sorted(value)) if isinstance(value, frozenset) else str(value)
