"""Several pieces of work at once, of which none goes on when one has failed."""

import asyncio
from collections.abc import Collection, Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


async def together(*work: Coroutine[Any, Any, T]) -> list[T]:
    """Do all of it at once and return the results in order; the first failure ends the others and is raised itself.

    `asyncio.gather` would leave the others running, a TaskGroup would wrap the failure.
    """
    tasks = [asyncio.create_task(each) for each in work]
    try:
        return await asyncio.gather(*tasks)
    finally:
        await end(tasks)


async def end(tasks: Collection[asyncio.Task[Any]]) -> None:
    """Cancel the tasks that still run and wait until all have ended; what they raise is left in them."""
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
