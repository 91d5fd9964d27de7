"""Work that many ask for at the same time, done for several of them in one go."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextvars import Context
from typing import Generic, TypeVar

Asked = TypeVar("Asked")
Given = TypeVar("Given")


class Combining(Generic[Asked, Given]):
    """Answers many by few goes of `work`, which gets what is asked for and returns what is given, in the same order.

    Nobody waits for others to come: while `at_once` goes are under way, what is asked for is kept, and the next one
    takes up to `most` of it, of which each `fits` those before it. So the more come, the less each costs, as commits of
    a database are written together. A go that fails, fails for all that it was for.
    """

    def __init__(
        self,
        work: Callable[[Sequence[Asked]], Awaitable[Sequence[Given]]],
        *,
        at_once: int,
        most: int,
        fits: Callable[[Sequence[Asked], Asked], bool],
    ) -> None:
        self._work, self._at_once, self._most, self._fits = work, at_once, most, fits
        self._waiting: list[tuple[Asked, asyncio.Future[Given]]] = []
        self._going = 0
        self._tasks: set[asyncio.Task[None]] = set()

    async def ask(self, asked: Asked) -> Given:
        """What is given for it. Raises what its go failed with."""
        loop = asyncio.get_running_loop()
        given: asyncio.Future[Given] = loop.create_future()
        self._waiting.append((asked, given))
        if self._going < self._at_once:
            self._going += 1
            task = loop.create_task(self._go(), context=Context())  # nobody's own: it works for others, too
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        return await given

    async def _go(self) -> None:
        try:
            while taken := self._take():
                await self._work_for(taken)
        finally:
            self._going -= 1  # in the same turn as nothing was left: whoever asks from now on starts the next go

    async def _work_for(self, taken: Sequence[tuple[Asked, asyncio.Future[Given]]]) -> None:
        try:
            results = await self._work([asked for asked, _ in taken])
            for (_, given), result in zip(taken, results, strict=True):
                if not given.done():
                    given.set_result(result)
        except Exception as fault:  # noqa: BLE001  # it is raised where it was asked for
            for _, given in taken:
                if not given.done():
                    given.set_exception(fault)
        finally:
            for _, given in taken:
                given.cancel()  # nobody waits for a go that was ended; what has its answer keeps it

    def _take(self) -> list[tuple[Asked, asyncio.Future[Given]]]:
        taken: list[tuple[Asked, asyncio.Future[Given]]] = []
        left: list[tuple[Asked, asyncio.Future[Given]]] = []
        for one in self._waiting:
            if one[1].done():  # whoever asked has gone away
                continue
            fits = len(taken) < self._most and self._fits([asked for asked, _ in taken], one[0])
            (taken if fits else left).append(one)
        self._waiting = left
        return taken
