"""A history as a file: processes read the same records, one by one, no memory holds it, and its digest pins it."""

import gc
from collections.abc import Iterable, Iterator
from datetime import datetime
from hashlib import sha256
from pathlib import Path
from typing import Any, BinaryIO

import msgspec

from incentives.rules.events import Holdout, Who
from incentives.rules.index import plan_of
from incentives.rules.model import Terms
from incentives.rules.windows import schedule_span
from incentives.simulation.model import Answer, Record
from incentives.simulation.replay import Replay

_PREFIX = 4
_CHUNK = 1 << 20


class Spool:
    """Writes records one after the other. digest: of all that was written, once it is."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._encoder = msgspec.msgpack.Encoder(order="deterministic")
        self._hash = sha256()
        self.records = 0

    def write(self, records: Iterable[Record]) -> None:
        for record in records:
            packed = self._encoder.encode(record)
            framed = len(packed).to_bytes(_PREFIX) + packed
            self._file.write(framed)
            self._hash.update(framed)
            self.records += 1

    @property
    def digest(self) -> str:
        return self._hash.hexdigest()


def read_spool(path: Path) -> Iterator[Record]:
    """The records of a file in their order."""
    decoder = msgspec.msgpack.Decoder(Record)
    with path.open("rb", buffering=_CHUNK) as file:
        while prefix := file.read(_PREFIX):
            yield decoder.decode(file.read(int.from_bytes(prefix)))


class Everybody(dict[Who, datetime]):
    """Whoever is asked for had joined when the promotion began."""

    def __init__(self, at: datetime) -> None:
        super().__init__()
        self._at = at

    def get(self, key: Who, default: Any = None) -> Any:
        return self._at


class Job(msgspec.Struct, frozen=True, kw_only=True):
    """One replay of a history, as another process is told of it: terms already over the recorded days.

    Where a promotion wants to be joined, everybody had joined when it began: nobody knows who would have.
    """

    path: str
    promotion_id: int
    version: int
    terms: Terms
    limited: bool
    holdout: Holdout | None = None


def replay_spool(told: Job) -> Answer:
    """Run a job: the whole work of a process."""
    gc.disable()  # a replay makes no cycles, and millions of objects
    span = schedule_span(told.terms.schedule)
    running = Replay(
        [plan_of(told.promotion_id, told.version, told.terms)],
        limited=told.limited,
        holdout=told.holdout,
        joined_at=Everybody(span.starts),
        middle=None if span.ends is None else span.starts + (span.ends - span.starts) / 2,
    )
    for record in read_spool(Path(told.path)):
        running.feed(record)
    [answer] = running.finish()
    return answer
