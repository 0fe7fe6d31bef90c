"""A pytest plugin: the engines and synthesizers that core's tests ask answer through ours.

    pytest -p swap_query tests/query_engine tests/chat_engine tests/response_synthesizers

Only what a test itself asks goes through `StreamingQueryEngine` and `StreamingChatEngine`; what
core's code asks of core's stays as it is. A synthesizer is asked as the last part of a query engine
whose retriever finds the nodes of the test. Where core would give a complete `Response`, the whole
of ours is given; where it streams, the live response.
"""

from __future__ import annotations

import functools
import importlib
import sys
from collections.abc import Callable, Iterator
from typing import Any, cast

import pytest

TESTS = "tests."
"""How the names of core's test modules begin."""

CHAT = ("achat", "astream_chat", "chat", "stream_chat")
"""The methods of a chat engine that are asked."""

Method = Callable[..., Any]


@pytest.hookimpl(tryfirst=True)
def pytest_load_initial_conftests() -> None:
    """Swaps before the first conftest.py is imported."""
    swap()


# Their patches are their own: a fixture of core's undoes those of pytest's `monkeypatch`.


@pytest.fixture(autouse=True)
def one_database(request: pytest.FixtureRequest) -> Iterator[None]:
    """Has all threads see one SQLite database in memory, for a sync query has one of its own."""
    module = cast("Any", request).module  # pytest does not say of what type it is
    made: Any = getattr(module, "create_engine", None)
    with pytest.MonkeyPatch.context() as patch:
        if made is not None:
            from sqlalchemy.pool import StaticPool

            shared = {"poolclass": StaticPool, "connect_args": {"check_same_thread": False}}
            patch.setattr(module, "create_engine", functools.partial(made, **shared))
        yield


@pytest.fixture(autouse=True)
def stand_in_streams(request: pytest.FixtureRequest) -> Iterator[None]:
    """Where a test puts something in the place of `predict`, it stands for `stream` as well."""
    from llama_index.core.llms import MockLLM

    def stream(self: Any, prompt: Any, **args: Any) -> Any:
        return iter([self.predict(prompt, **args)])

    async def astream(self: Any, prompt: Any, **args: Any) -> Any:
        async def tokens() -> Any:
            yield await self.apredict(prompt, **args)

        return tokens()

    with pytest.MonkeyPatch.context() as patch:
        if "patch_llm_predictor" in request.fixturenames:
            patch.setattr(MockLLM, "stream", stream)
            patch.setattr(MockLLM, "astream", astream)
        yield


def swap() -> list[str]:
    """Have what tests ask go through ours.

    Returns:
        The swapped methods (`llama_index.core.chat_engine.simple.SimpleChatEngine.chat`), sorted.
    """
    # Ours are made from core's, so they have to be there first.
    importlib.import_module("llama_index_streaming_ext.query.chat.engine")
    places = list(_places())
    for owner, name, ours in places:
        setattr(owner, name, _through(vars(owner)[name], ours))
    return sorted(f"{owner.__module__}.{owner.__name__}.{name}" for owner, name, _ in places)


def _places() -> Iterator[tuple[type, str, Method]]:
    """The classes of core's that have such a method of their own, its name, and ours."""
    from llama_index.core.base.base_query_engine import BaseQueryEngine
    from llama_index.core.chat_engine.types import BaseChatEngine
    from llama_index.core.response_synthesizers.base import BaseSynthesizer

    bases: dict[type, dict[str, Method]] = {
        BaseQueryEngine: {"query": ask, "aquery": aask},
        BaseSynthesizer: {"synthesize": synthesize, "asynthesize": asynthesize},
        BaseChatEngine: {name: _chatting(name) for name in CHAT},
    }
    for base, methods in bases.items():
        for cls in _of_core(base):
            for name, ours in methods.items():
                if name in vars(cls) and name not in cls.__dict__.get("__abstractmethods__", ()):
                    yield cls, name, ours


def _of_core(base: type) -> Iterator[type]:
    """A class, and all of core's that are made from it."""
    yield base
    for cls in base.__subclasses__():
        if cls.__module__.startswith("llama_index.core."):
            yield from _of_core(cls)


def _through(core: Any, ours: Method) -> Method:
    """A method that is ours where a test calls it, and core's elsewhere."""

    # Not a coroutine function: who calls can be told only now, not when it is awaited.
    @functools.wraps(core)
    def asked(self: Any, *args: Any, **kwargs: Any) -> Any:
        caller: str = sys._getframe(1).f_globals.get("__name__", "")  # pyright: ignore[reportPrivateUsage] # documented by Python
        if caller.startswith(TESTS):
            return ours(self, *args, **kwargs)
        return core.__get__(self, type(self))(*args, **kwargs)

    return asked


# What is asked instead


def ask(engine: Any, question: Any) -> Any:
    """What `engine.query(question)` gives, through ours."""
    from llama_index_streaming_ext.query.engine import StreamingQueryEngine

    response = StreamingQueryEngine(engine).query(question)
    return response if streams(engine) else _whole(response, response.get_response())


async def aask(engine: Any, question: Any) -> Any:
    """What `await engine.aquery(question)` gives, through ours."""
    from llama_index_streaming_ext.query.engine import StreamingQueryEngine

    response = await StreamingQueryEngine(engine).aquery(question)
    # Core's str() of an async response reads it, which freezes the loop (U57); ours never waits.
    whole = await response.get_response()
    return response if streams(engine) else _whole(response, whole)


def synthesize(synthesizer: Any, query: Any, nodes: Any) -> Any:
    """What `synthesizer.synthesize(query, nodes)` gives, as the last part of an engine of ours."""
    return ask(_engine_of(synthesizer, nodes), query)


def asynthesize(synthesizer: Any, query: Any, nodes: Any) -> Any:
    """What `synthesizer.asynthesize(query, nodes)` gives, likewise."""
    return aask(_engine_of(synthesizer, nodes), query)


def streams(engine: Any) -> bool:
    """Whether an engine, or its synthesizer, was built to stream."""
    return _streams(engine) or _streams(engine.__dict__.get("_response_synthesizer"))


def _streams(part: Any) -> bool:
    filters = getattr(part, "_structured_answer_filtering", False)
    return getattr(part, "_streaming", False) is True and not filters


def _whole(response: Any, whole: Any) -> Any:
    from llama_index.core.base.response.schema import PydanticResponse

    if response.object is None:
        return whole
    return PydanticResponse(response.object, whole.source_nodes, whole.metadata)


def _engine_of(synthesizer: Any, nodes: Any) -> Any:
    """A query engine that finds these nodes."""
    from llama_index.core.base.base_retriever import BaseRetriever
    from llama_index.core.query_engine import RetrieverQueryEngine

    class Found(BaseRetriever):
        def _retrieve(self, query_bundle: Any) -> Any:
            return nodes

    return RetrieverQueryEngine(Found(), response_synthesizer=synthesizer)


def _chatting(name: str) -> Method:
    """A method of a chat engine, through ours."""
    from llama_index_streaming_ext.query.chat.engine import StreamingChatEngine

    def chat(engine: Any, *args: Any, **kwargs: Any) -> Any:
        return getattr(StreamingChatEngine(engine), name)(*args, **kwargs)

    return chat
