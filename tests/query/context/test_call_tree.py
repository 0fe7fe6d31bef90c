"""Where in the tree of a query's work something happens."""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor

from hypothesis import given
from hypothesis import strategies as st

from llama_index_streaming_ext.events import Event
from llama_index_streaming_ext.query.context.call_tree import Span, Work


def _work(name: str = "q") -> Work:
    return Work(list[Event]().append, name)


def test_work_starts_at_the_query() -> None:
    """Where nothing is known, the place is the query itself."""
    assert _work().current() == Span("q", "call")


def test_a_place_is_left_when_its_work_is_done() -> None:
    """However it ends."""
    work = _work()
    try:
        with work.at_work("select", "q-1"):
            raise LookupError
    except LookupError:
        assert work.current() == Span("q", "call")


def test_a_purpose_alone_stays_within_the_work() -> None:
    """What has no id of its own is a part of what it is in."""
    work = _work()
    with work.at_work("step", "q-1"), work.at_work("synthesize") as place:
        assert place == Span("q-1", "synthesize")


def test_work_of_its_own_keeps_the_purpose() -> None:
    """None for the purpose is that of the place around it."""
    work = _work()
    with work.at_work("sub_answer"), work.at_work(None, "q-1"):
        assert work.current() == Span("q-1", "sub_answer")


def test_a_query_within_a_query_has_a_tree_of_its_own() -> None:
    """Neither sees the places of the other, however they are nested."""
    outer, inner = _work("outer"), _work("inner")
    with outer.at_work("step", "outer-1"), inner.at_work("select"), outer.at_work("transform"):
        assert inner.current() == Span("inner", "select")
        assert outer.current() == Span("outer-1", "transform")
    assert inner.current() == Span("inner", "call")


async def test_tasks_are_where_they_were_started() -> None:
    """Tasks, and threads that carry the context, begin at the place of who starts them."""
    work = _work()
    with work.at_work("select", "q-1"):
        task = asyncio.create_task(asyncio.to_thread(work.current))
    assert await task == Span("q-1", "select")


async def test_tasks_do_not_see_each_others_places() -> None:
    """Two at once are each at their own."""
    work, met = _work(), asyncio.Barrier(2)

    async def at(name: str) -> Span:
        with work.at_work(name):
            await met.wait()
            return work.current()

    places = await asyncio.gather(at("a"), at("b"))
    assert [place.purpose for place in places] == ["a", "b"]


def test_a_thread_without_context_is_at_the_query() -> None:
    """Where core loses the context, the work is not lost."""
    work, found = _work(), list[Span]()
    with work.at_work("select", "q-1"):
        thread = threading.Thread(target=lambda: found.append(work.current()))
        thread.start()
        thread.join()
    assert found == [Span("q", "call")]


def test_ids_are_numbered() -> None:
    """The same query has the same ids in the same order."""
    work = _work()
    assert [work.new_id(), work.new_id()] == ["q-1", "q-2"]


def test_ids_from_many_threads_are_unique() -> None:
    """None is given twice."""
    work = _work()
    with ThreadPoolExecutor(8) as pool:
        ids = [pool.submit(work.new_id) for _ in range(800)]
    assert len({future.result() for future in ids}) == 800


@given(st.lists(st.tuples(st.booleans(), st.text(min_size=1))))
def test_places_nest(entered: list[tuple[bool, str]]) -> None:
    """Law: after leaving what was entered, in reverse, each work is back where it was."""
    works = {True: _work("one"), False: _work("other")}
    stack = [
        (works[which], works[which].current(), works[which].enter(name)) for which, name in entered
    ]
    for work, before, token in reversed(stack):
        work.leave(token)
        assert work.current() == before
