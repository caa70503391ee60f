"""The bounded stream: nothing is lost or overtakes, and the bound holds."""

import asyncio
import weakref
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.stream import BoundedStream, StreamClosed


async def settled(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(5):
        while not condition():
            await asyncio.sleep(0)


@given(
    st.lists(st.lists(st.integers(), max_size=30), min_size=1, max_size=4),
    st.integers(1, 5),
    st.lists(st.integers(0, 3), max_size=20),
)
def test_each_writers_items_come_once_in_order_and_no_more_wait_than_may(
    items: list[list[int]], limit: int, naps: list[int]
) -> None:
    async def story() -> None:
        stream: BoundedStream[tuple[int, int]] = BoundedStream(limit)

        async def write(writer: int) -> None:
            for item in items[writer]:
                await stream.put((writer, item))

        async def read() -> list[tuple[int, int]]:
            taken: list[tuple[int, int]] = []
            rest = list(naps)
            async for batch in stream:
                assert 1 <= len(batch) <= limit
                taken += batch
                for _ in range(rest.pop() if rest else 0):
                    await asyncio.sleep(0)
            return taken

        reading = asyncio.create_task(read())
        await asyncio.gather(*(write(writer) for writer in range(len(items))))
        stream.close()
        taken = await reading
        for writer, written in enumerate(items):
            assert [item for who, item in taken if who == writer] == written

    asyncio.run(story())


async def test_a_writer_waits_while_it_is_full() -> None:
    stream: BoundedStream[int] = BoundedStream(2)
    await stream.put(1)
    await stream.put(2)
    third = asyncio.create_task(stream.put(3))
    await asyncio.sleep(0)
    assert not third.done() and repr(stream) == "BoundedStream(open, 2/2)"
    assert await stream.take() == [1, 2]
    await settled(third.done)
    assert await stream.take() == [3]


async def test_several_waiting_writers_do_not_pass_the_bound() -> None:
    stream: BoundedStream[int] = BoundedStream(1)
    writers = [asyncio.create_task(stream.put(number)) for number in range(5)]
    taken: list[int] = []
    while len(taken) < 5:
        batch = await stream.take()
        assert len(batch) == 1
        taken += batch
    assert sorted(taken) == list(range(5)) and all(writer.done() for writer in writers)


async def test_a_control_message_passes_the_bound() -> None:
    stream: BoundedStream[str] = BoundedStream(1)
    stream.put_now("text")
    stream.put_now("cancel")
    assert await stream.take() == ["text", "cancel"]


async def test_room_is_waited_for_without_putting() -> None:
    stream: BoundedStream[int] = BoundedStream(1)
    await stream.room()
    stream.put_now(1)
    waiting = asyncio.create_task(stream.room())
    await asyncio.sleep(0)
    assert not waiting.done()
    await stream.take()
    await settled(waiting.done)


async def test_a_reader_waits_for_the_first_item() -> None:
    stream: BoundedStream[int] = BoundedStream(1)
    reading = asyncio.create_task(stream.take())
    await asyncio.sleep(0)
    assert not reading.done()
    stream.put_now(1)
    assert await reading == [1]


async def test_what_waits_can_be_taken_after_the_close_and_then_its_end_is_told() -> None:
    stream: BoundedStream[int] = BoundedStream(2)
    stream.put_now(1)
    stream.close()
    assert await stream.take() == [1]
    assert await stream.take() == [] == await stream.take()


async def test_the_error_of_a_close_comes_after_what_waits() -> None:
    stream: BoundedStream[int] = BoundedStream(2)
    stream.put_now(1)
    stream.close(ConnectionResetError("lost"))
    stream.close()
    assert await stream.take() == [1]
    with pytest.raises(ConnectionResetError):
        await stream.take()


async def test_a_close_wakes_whoever_waits() -> None:
    full: BoundedStream[int] = BoundedStream(1)
    full.put_now(1)
    writing = asyncio.create_task(full.put(2))
    empty: BoundedStream[int] = BoundedStream(1)
    reading = asyncio.create_task(empty.take())
    await asyncio.sleep(0)
    full.close()
    empty.close()
    with pytest.raises(StreamClosed):
        await writing
    assert await reading == []
    with pytest.raises(StreamClosed):
        full.put_now(3)
    assert full.closed


async def test_a_cancelled_writer_or_reader_takes_nothing_with_it() -> None:
    stream: BoundedStream[int] = BoundedStream(1)
    reading = asyncio.create_task(stream.take())
    await asyncio.sleep(0)
    reading.cancel()
    await asyncio.gather(reading, return_exceptions=True)
    stream.put_now(1)
    writing = asyncio.create_task(stream.put(2))
    await asyncio.sleep(0)
    writing.cancel()
    await asyncio.gather(writing, return_exceptions=True)
    assert await stream.take() == [1]
    await stream.put(3)
    assert await stream.take() == [3]


class Item:
    pass


async def test_who_waits_for_more_keeps_nothing_of_what_was_taken() -> None:
    stream: BoundedStream[Item] = BoundedStream(5)

    async def read() -> None:
        async for batch in stream:
            del batch

    reading = asyncio.create_task(read())
    item = Item()
    kept = weakref.ref(item)
    stream.put_now(item)
    del item
    await settled(lambda: kept() is None)
    stream.close()
    await reading
