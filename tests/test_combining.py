"""Work asked for by many at once is done in few goes, and each gets its own."""

import asyncio
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from marketplace.core.combining import Combining


class Doubling:
    """Doubles numbers; a go that holds 13 fails. It stands until it is let go on."""

    def __init__(self, at_once: int = 1, most: int = 4) -> None:
        self.goes: list[list[int]] = []
        self.may_go = asyncio.Event()
        self.combining = Combining[int, int](self._work, at_once=at_once, most=most, fits=_fits)

    async def _work(self, asked: Sequence[int]) -> list[int]:
        self.goes.append(list(asked))
        await self.may_go.wait()
        if 13 in asked:
            raise ValueError("thirteen")
        return [2 * number for number in asked]


def _fits(taken: Sequence[int], one: int) -> bool:
    return one not in taken


async def asked_for(doubling: Doubling, numbers: Sequence[int]) -> list[int | BaseException]:
    """What each of the numbers is answered, asked for in this order while the first go stands."""
    asking = []
    for number in numbers:
        asking.append(asyncio.create_task(doubling.combining.ask(number)))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
    doubling.may_go.set()
    return await asyncio.gather(*asking, return_exceptions=True)


async def test_what_comes_meanwhile_is_done_together() -> None:
    doubling = Doubling()
    assert await asked_for(doubling, [1, 2, 3, 4, 5, 6]) == [2, 4, 6, 8, 10, 12]
    assert doubling.goes == [[1], [2, 3, 4, 5], [6]]


async def test_what_does_not_fit_goes_later_and_holds_up_nobody() -> None:
    doubling = Doubling()
    assert await asked_for(doubling, [1, 2, 2, 3, 2]) == [2, 4, 4, 6, 4]
    assert doubling.goes == [[1], [2, 3], [2], [2]]


async def test_a_go_that_fails_fails_for_all_it_was_for_and_for_no_other() -> None:
    doubling = Doubling(most=2)
    one, two, three, four, five = await asked_for(doubling, [1, 2, 13, 4, 5])
    assert (one, four, five) == (2, 8, 10)
    for fault in (two, three):
        assert isinstance(fault, ValueError)


async def test_whoever_goes_away_is_not_worked_for_and_breaks_nothing() -> None:
    doubling = Doubling()
    first = asyncio.create_task(doubling.combining.ask(1))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    second = asyncio.create_task(doubling.combining.ask(2))
    third = asyncio.create_task(doubling.combining.ask(3))
    await asyncio.sleep(0)
    first.cancel()
    second.cancel()
    await asyncio.sleep(0)
    doubling.may_go.set()
    assert await third == 6
    with pytest.raises(asyncio.CancelledError):
        await first
    assert await doubling.combining.ask(4) == 8
    assert doubling.goes == [[1], [3], [4]]


async def test_who_asks_in_the_turn_in_which_all_goes_end_is_not_left_waiting() -> None:
    gates: list[asyncio.Future[None]] = []

    async def work(asked: Sequence[int]) -> Sequence[int]:
        gates.append(asyncio.get_running_loop().create_future())
        await gates[-1]
        return asked

    combining = Combining[int, int](work, at_once=2, most=1, fits=lambda *_: True)
    first = [asyncio.create_task(combining.ask(number)) for number in range(2)]
    await asyncio.sleep(0.01)
    assert len(gates) == 2
    for gate in gates:
        gate.set_result(None)
    third = asyncio.create_task(combining.ask(2))
    assert await asyncio.gather(*first) == [0, 1]
    await asyncio.sleep(0.01)
    gates[-1].set_result(None)
    assert await asyncio.wait_for(third, 10) == 2


@given(st.lists(st.integers(0, 12), max_size=30), st.integers(1, 4), st.integers(1, 5))
def test_each_gets_its_own_whatever_comes(numbers: list[int], at_once: int, most: int) -> None:
    async def run() -> None:
        doubling = Doubling(at_once, most)
        assert await asked_for(doubling, numbers) == [2 * number for number in numbers]
        assert sorted(number for go in doubling.goes for number in go) == sorted(numbers)
        assert all(len(set(go)) == len(go) <= most for go in doubling.goes)

    asyncio.run(run())
