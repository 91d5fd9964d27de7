"""Text that bodies carry, each kind with its bounds: no field takes a NUL, and none takes more than it needs."""

from typing import Annotated

import msgspec

from marketplace.core.money import AMOUNT_MAX

_LINE = r"^[^\x00-\x1f\x7f]*$"
_SOMETHING = r"^[^\x00-\x1f\x7f]*[^\s\x00-\x1f\x7f][^\x00-\x1f\x7f]*$"

Name = Annotated[str, msgspec.Meta(min_length=1, max_length=200, pattern=_SOMETHING)]
Place = Annotated[str, msgspec.Meta(max_length=200, pattern=_LINE)]
Reason = Annotated[str, msgspec.Meta(min_length=1, max_length=1_000, pattern=_SOMETHING)]
Note = Annotated[str, msgspec.Meta(max_length=1_000, pattern=_LINE)]
Reference = Annotated[str, msgspec.Meta(min_length=1, max_length=100, pattern=_SOMETHING)]
"""An id that somebody else gave."""
Sku = Annotated[str, msgspec.Meta(min_length=1, max_length=100, pattern=r"^[^\x00-\x20\x7f/]([^\x00-\x1f\x7f/]*)$")]
"""A merchant's own code of what it sells; the slash separates it from the merchant in a product's name."""
Currency = Annotated[str, msgspec.Meta(pattern="^[A-Z]{3}$")]
Minor = Annotated[int, msgspec.Meta(ge=0, le=AMOUNT_MAX)]
Units = Annotated[int, msgspec.Meta(ge=0, le=2**31 - 1)]
Amount = Annotated[int, msgspec.Meta(ge=1, le=AMOUNT_MAX)]
Ppm = Annotated[int, msgspec.Meta(ge=0, le=1_000_000)]
"""A rate in parts per million, at most the whole."""
Days = Annotated[int, msgspec.Meta(ge=0, le=366)]
Seats = Annotated[int, msgspec.Meta(ge=1, le=100_000)]
Id = Annotated[int, msgspec.Meta(ge=-(2**63), le=2**63 - 1)]
Serials = Annotated[tuple[Reference, ...], msgspec.Meta(min_length=1, max_length=200)]
"""Serial numbers of units."""
