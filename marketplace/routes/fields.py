"""What bodies carry, each kind with its bounds: no text takes a NUL, and none takes more than it needs."""

from datetime import datetime
from typing import Annotated

import msgspec

from marketplace.core.money import AMOUNT_MAX

_LINE = r"^[^\x00-\x1f\x7f]*$"
_SOMETHING = r"^[^\x00-\x1f\x7f]*[^\s\x00-\x1f\x7f][^\x00-\x1f\x7f]*$"

Name = Annotated[str, msgspec.Meta(min_length=1, max_length=200, pattern=_SOMETHING)]
Label = Annotated[str, msgspec.Meta(max_length=200, pattern=_LINE)]
"""A line of text: no control characters, which no screen shows and PostgreSQL in part refuses."""
Reason = Annotated[str, msgspec.Meta(min_length=1, max_length=1_000, pattern=_SOMETHING)]
Note = Annotated[str, msgspec.Meta(max_length=1_000, pattern=r"^[^\x00]*$")]
"""What somebody writes for others to read, in lines if need be."""
Words = Annotated[str, msgspec.Meta(min_length=1, max_length=20_000, pattern=r"^[^\x00]*[^\s\x00][^\x00]*$")]
"""Something that is said at length."""
Address = Annotated[str, msgspec.Meta(max_length=400, pattern=r"^[^\x00-\x09\x0b-\x1f\x7f]*$")]
"""A postal address, in lines."""
Country = Annotated[str, msgspec.Meta(pattern="^([A-Z]{2})?$", description="ISO 3166-1 alpha-2, such as `FR`.")]
TaxId = Annotated[str, msgspec.Meta(max_length=40, pattern=r"^[\x20-\x7e]*$")]
Code = Annotated[str, msgspec.Meta(pattern="^[a-z][a-z_]{0,39}$", description="A code such as `damaged`.")]
Reference = Annotated[str, msgspec.Meta(min_length=1, max_length=100, pattern=_SOMETHING)]
"""An id that somebody else gave."""
Sku = Annotated[str, msgspec.Meta(min_length=1, max_length=100, pattern=r"^[^\x00-\x20\x7f/]([^\x00-\x1f\x7f/]*)$")]
"""A merchant's own code of what it sells; the slash separates it from the merchant in a product's name."""
Currency = Annotated[str, msgspec.Meta(pattern="^[A-Z]{3}$")]
Minor = Annotated[int, msgspec.Meta(ge=0, le=AMOUNT_MAX)]
Positive = Annotated[int, msgspec.Meta(ge=1, le=AMOUNT_MAX)]
"""An amount in minor units that is something."""
Units = Annotated[int, msgspec.Meta(ge=0, le=2**31 - 1)]
Id = Annotated[int, msgspec.Meta(ge=1, le=2**63 - 1)]
"""Of what this program has numbered itself."""
BuyerId = Annotated[int, msgspec.Meta(ge=-(2**63), le=2**63 - 1)]
Past = Annotated[datetime, msgspec.Meta(tz=True)]
"""An instant, with its offset; that it is over is the rule's to say."""
EntityId = Annotated[int, msgspec.Meta(ge=1, le=2**31 - 1)]
Method = Annotated[str, msgspec.Meta(min_length=1, max_length=200, pattern=r"^[\x21-\x7e]+$")]
"""What a buyer pays with: the processor's token of a card or account."""
Ppm = Annotated[int, msgspec.Meta(ge=0, le=1_000_000)]
"""A rate in parts per million, at most the whole."""
Days = Annotated[int, msgspec.Meta(ge=0, le=366)]
Seats = Annotated[int, msgspec.Meta(ge=1, le=100_000)]
Serials = Annotated[tuple[Reference, ...], msgspec.Meta(min_length=1, max_length=200)]
"""Serial numbers of units."""
PromotionCode = Annotated[str, msgspec.Meta(pattern="^[A-Za-z0-9-]{1,40}$", description="A code of a promotion.")]
CODES_MAX = 10
"""Codes that one order takes."""
