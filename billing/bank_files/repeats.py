"""Which occurrence of a line this is, in a file of any length and in memory of a fixed size. Pure."""

import hashlib
from collections import Counter

import msgspec

from billing.bank_files.model import Line

_BITS = 27


class Repeats:
    """Notes every line in a first reading; a second one then counts only those that may occur more than once.

    A bit per hash (16 MiB in all) says that one like it was there before; that two different lines share a bit only
    means that both are counted.
    """

    def __init__(self) -> None:
        self._bits = bytearray(2 ** (_BITS - 3))
        self._again: set[int] = set()
        self._counts: Counter[bytes] = Counter()

    def note(self, line: Line) -> None:
        """A line of the first reading."""
        at = _bit(line)
        byte, mask = at >> 3, 1 << (at & 7)
        if self._bits[byte] & mask:
            self._again.add(at)
        self._bits[byte] |= mask

    def occurrence(self, line: Line, fingerprint: bytes) -> int:
        """How often a line of this fingerprint has come in the second reading, with this one: 1 for the first."""
        if _bit(line) not in self._again:
            return 1
        self._counts[fingerprint] += 1
        return self._counts[fingerprint]


def _bit(line: Line) -> int:
    told = (line.day.toordinal(), line.amount_minor, line.bank_ref, line.end_to_end, line.party_account, line.type_code)
    digest = hashlib.blake2b(msgspec.msgpack.encode(told), digest_size=4).digest()
    return int.from_bytes(digest) >> (32 - _BITS)
