"""What all products share. Pure."""

from enum import StrEnum


class Means(StrEnum):
    """How a merchant has agreed to pay: out of its earnings, or by transfer."""

    NETTING = "netting"
    TRANSFER = "transfer"
