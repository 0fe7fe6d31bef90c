"""A free position goes on; everybody else reads from the start."""

from __future__ import annotations

import weakref

from llama_index_streaming_ext.stream.shared_position import SharedPosition


class Cursor:
    """A cursor that a test moves."""

    seq = 0


class Reader:
    """Object that is collected when its last name goes."""


def begun(position: SharedPosition, reader: Reader) -> Cursor:
    """A cursor that has just begun."""
    cursor = Cursor()
    position.take(cursor, weakref.ref(reader))
    return cursor


def test_the_first_reader_begins_at_the_start() -> None:
    """Nobody has read anything, so the first reader begins before the first record."""
    assert begun(SharedPosition(), Reader()).seq == 0


def test_a_reader_goes_on_after_one_that_was_closed() -> None:
    """A reader that begins after another was closed goes on where that one stopped."""
    position, reader = SharedPosition(), Reader()
    first = begun(position, reader)
    first.seq = 3
    position.release(first)
    assert begun(position, reader).seq == 3


def test_a_reader_goes_on_after_one_that_was_collected() -> None:
    """A reader that begins after another was collected goes on where that one stopped."""
    position, reader = SharedPosition(), Reader()
    begun(position, reader).seq = 3
    del reader
    assert begun(position, Reader()).seq == 3


def test_a_reader_beside_an_open_one_reads_from_the_start() -> None:
    """A reader that begins while another is open reads from the start, and takes nothing away."""
    position, reader = SharedPosition(), Reader()
    first = begun(position, reader)
    first.seq = 3
    second = begun(position, Reader())
    second.seq = 1
    position.release(second)
    position.release(first)
    assert begun(position, Reader()).seq == 3


def test_after_the_end_everybody_reads_from_the_start() -> None:
    """Once the end was read, each reader begins at the start, also after one that was left."""
    position = SharedPosition()
    first = begun(position, Reader())
    first.seq = 3
    position.release(first, end_read=True)
    begun(position, Reader()).seq = 1
    assert (position.end_read, begun(position, Reader()).seq) == (True, 0)


def test_the_end_that_another_has_read_does_not_count() -> None:
    """A reader beside the holder that reaches the end leaves the holder's position alone."""
    position, reader = SharedPosition(), Reader()
    first = begun(position, reader)
    first.seq = 3
    second = begun(position, Reader())
    position.release(second, end_read=True)
    position.release(first)
    assert begun(position, Reader()).seq == 3
