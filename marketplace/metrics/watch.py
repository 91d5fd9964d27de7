"""When a figure is out of bounds, and when it is well again: two bounds, so that it does not flicker. Pure."""

from enum import StrEnum

from marketplace.core.errors import Invalid


class BoundSide(StrEnum):
    """On which side of its bound a figure is bad."""

    ABOVE = "above"
    BELOW = "below"


class Compared(StrEnum):
    """What is held against the bounds: the figure itself, or its change against the period before, in ppm."""

    VALUE = "value"
    CHANGE = "change"


def check_bounds(side: BoundSide, bound: int, clear_bound: int) -> None:
    """Raise Invalid unless what clears an alert lies on the good side of what raises it, or on it."""
    if (clear_bound > bound) if side is BoundSide.ABOVE else (clear_bound < bound):
        raise Invalid(f"clear_bound: must not lie {side} the bound", pointer="/clear_bound")


def is_raised(side: BoundSide, bound: int, clear_bound: int, value: int | None, *, was: bool) -> bool:
    """Whether the alert stands. What is not defined changes nothing."""
    if value is None:
        return was
    if side is BoundSide.ABOVE:
        return value > bound or (was and value > clear_bound)
    return value < bound or (was and value < clear_bound)
