"""What a copy of an engine shares with it, what it makes anew, and how."""

from __future__ import annotations

import functools
import gc
import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any, NamedTuple, cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from llama_index.core.agent.workflow import FunctionAgent
from llama_index.core.llms.structured_llm import StructuredLLM
from llama_index.core.memory import ChatMemoryBuffer, ChatSummaryMemoryBuffer
from llama_index.core.postprocessor.types import BaseNodePostprocessor
from llama_index.core.query_engine import CustomQueryEngine
from llama_index.core.retrievers import BaseRetriever
from llama_index.core.schema import NodeWithScore, QueryBundle
from llama_index.core.tools import FunctionTool, QueryEngineTool
from pydantic import PrivateAttr

from llama_index_streaming_ext.llm.streaming_llm import StreamingLLM
from llama_index_streaming_ext.query.engine_copy.copy import Survey, copy_of
from llama_index_streaming_ext.testing import FakeStreamingLLM
from tests.support.query.copies import llms_of
from tests.support.query.core_engines import (
    CHAT_ENGINES,
    QUERY_ENGINES,
    Person,
    fake,
    nodes,
    plain,
    vectors,
)


class Engine(CustomQueryEngine):
    """A user's engine that holds anything."""

    held: Any
    _more: Any = PrivateAttr(default=None)

    def custom_query(self, query_str: str) -> str:
        """Give back the query."""
        return query_str


class Helper:
    """A user's own object."""

    def __init__(self, llm: Any) -> None:
        self.llm = llm

    def ask(self) -> str:
        """Ask the LLM."""
        return str(self.llm.complete("why?"))


class Retriever(BaseRetriever):
    """A user's retriever."""

    def __init__(self, llm: Any) -> None:
        super().__init__()  # pyright: ignore[reportUnknownMemberType] # core's
        self.llm = llm

    def _retrieve(self, query_bundle: QueryBundle) -> list[NodeWithScore]:
        return []


class SlottedRetriever(Retriever):
    """One with slots."""

    __slots__ = ("own", "unset")

    def __init__(self, llm: Any) -> None:
        super().__init__(None)
        self.own = llm


class Postprocessor(BaseNodePostprocessor):
    """A user's postprocessor."""

    held: Any

    def _postprocess_nodes(
        self, nodes: list[NodeWithScore], query_bundle: QueryBundle | None = None
    ) -> list[NodeWithScore]:
        return nodes


@dataclass(frozen=True)
class Frozen:
    """One that refuses to be written to."""

    llm: Any


class Pair(NamedTuple):
    """A tuple with names."""

    llm: Any
    n: int


class Shelf(dict[str, Any]):
    """A dict with an attribute."""

    label = "shelf"


@pytest.fixture
def llm() -> FakeStreamingLLM:
    """The engine's LLM."""
    return fake()


@pytest.fixture
def other() -> FakeStreamingLLM:
    """The LLM to put in its place."""
    return fake()


def with_other(held: Any, other: Any) -> Any:
    """What a copy of an engine that holds `held` holds."""
    return copy_of(Engine(held=held), lambda _: other).held


HOLDERS: dict[str, tuple[Callable[[Any], Any], Callable[[Any], Any]]] = {
    "field": (lambda llm: llm, lambda held: held),
    "list": (lambda llm: [1, llm], lambda held: held[1]),
    "tuple": (lambda llm: ([llm],), lambda held: held[0][0]),
    "dict": (lambda llm: {"a": {"b": llm}}, lambda held: held["a"]["b"]),
    "retriever": (Retriever, lambda held: held.llm),
    "slots": (SlottedRetriever, lambda held: held.own),
    "postprocessor": (lambda llm: Postprocessor(held=llm), lambda held: held.held),
    "engine": (lambda llm: Engine(held=[llm]), lambda held: held.held[0]),
    "synthesizer": (
        lambda llm: plain(llm)._response_synthesizer,
        lambda held: held._llm,
    ),
    "tool": (
        lambda llm: QueryEngineTool.from_defaults(plain(llm)),
        lambda held: held.query_engine._response_synthesizer._llm,
    ),
    "agent": (lambda llm: FunctionAgent(llm=llm), lambda held: held.llm),
    "structured": (lambda llm: llm.as_structured_llm(Person), lambda held: held.llm),
}

LEFT: dict[str, Callable[[Any], Any]] = {
    "object": Helper,
    "frozen": Frozen,
    "namespace": lambda llm: SimpleNamespace(llm=llm),
    "namedtuple": lambda llm: Pair(llm, 1),
    "set": lambda llm: {Helper(llm)},
    "deque": lambda llm: deque([llm], 3),
    "subclass": lambda llm: Shelf(a=llm),
    "closure": lambda llm: lambda: llm,
    "partial": lambda llm: functools.partial(Pair, llm, n=1),
    "method": lambda llm: Helper(llm).ask,
    "spanned": lambda llm: plain(llm).query,
    "function tool": lambda llm: FunctionTool.from_defaults(Helper(llm).ask),
    "memory": lambda llm: ChatSummaryMemoryBuffer(llm=llm, token_limit=9, tokenizer_fn=str.split),
}


@pytest.mark.parametrize("name", LEFT)
def test_objects_of_the_user_are_left_alone(
    name: str, llm: FakeStreamingLLM, other: FakeStreamingLLM
) -> None:
    """Functions, and objects of classes that are not LlamaIndex's, are shared with the engine."""
    held = LEFT[name](llm)
    assert with_other([held, llm], other) == [held, other]
    assert with_other([held, llm], other)[0] is held


@pytest.mark.parametrize("name", HOLDERS)
def test_reached(name: str, llm: FakeStreamingLLM, other: FakeStreamingLLM) -> None:
    """An LLM is found in whatever holds it, and replaced in a new one of the same class."""
    make, get = HOLDERS[name]
    held = make(llm)
    copy = with_other(held, other)
    assert type(copy) is type(held)
    assert get(copy) is other
    assert get(held) is llm


def test_once_each(llm: FakeStreamingLLM) -> None:
    """One LLM in several places is wrapped once, and is one LLM in the copy."""
    wrapped: list[Any] = []
    engine = Engine(held=[llm, Retriever(llm)])
    held = copy_of(engine, lambda llm: wrapped.append(llm) or fake()).held
    assert wrapped == [llm]
    assert held[0] is held[1].llm


def test_circles(llm: FakeStreamingLLM, other: FakeStreamingLLM) -> None:
    """Objects that hold each other do so in the copy."""
    retriever: Any = Retriever(llm)
    retriever.around = ({"back": retriever},)
    copy = with_other(retriever, other)
    assert copy.around[0]["back"] is copy


def test_written_parts_are_copied() -> None:
    """U60: a part that core writes to during a query is copied, even if it holds no LLM."""
    inner = Engine(held=None)
    assert with_other(inner, None) is not inner


def test_private_attributes(llm: FakeStreamingLLM, other: FakeStreamingLLM) -> None:
    """A model's private attributes are those of the copy."""
    engine = Engine(held=None)
    engine._more = llm  # pyright: ignore[reportPrivateUsage]
    copy = copy_of(engine, lambda _: other)
    assert copy._more is other  # pyright: ignore[reportPrivateUsage]
    assert engine._more is llm  # pyright: ignore[reportPrivateUsage]


def test_private_attributes_are_own() -> None:
    """What a copy writes to a private attribute, the user's engine does not see."""
    engine = Engine(held=None)
    copy_of(engine, lambda llm: llm)._more = 1  # pyright: ignore[reportPrivateUsage]
    assert engine._more is None  # pyright: ignore[reportPrivateUsage]


def test_no_code_is_run(llm: FakeStreamingLLM, other: FakeStreamingLLM) -> None:
    """No method of a user's class is called to copy it, and a copy is not finalized."""
    ran: list[str] = []

    class Touchy(Retriever):
        def __init__(self, llm: Any) -> None:
            super().__init__(llm)
            ran.clear()

        def __copy__(self) -> Any:
            ran.append("copy")

        def __getattr__(self, name: str) -> Any:
            ran.append(name)
            raise AttributeError(name)

        def __setattr__(self, name: str, value: Any) -> None:
            ran.append(name)
            super().__setattr__(name, value)

        def __init_subclass__(cls) -> None:
            ran.append("subclass")

        def __del__(self) -> None:
            ran.append("closed")

    held = Touchy(llm)
    copy = with_other(held, other)
    assert isinstance(copy, Touchy)
    assert (copy.llm, held.llm) == (other, llm)
    del copy
    gc.collect()
    assert ran == []


@pytest.mark.parametrize(
    "kept", [vectors(), nodes(2), threading.Lock(), threading.Thread(), fake, 1j, b"", [1, [2]]]
)
def test_kept(kept: Any, llm: FakeStreamingLLM, other: FakeStreamingLLM) -> None:
    """Data, and what belongs to the system, is the same object in the copy."""
    assert with_other([kept, llm], other)[0] is kept


def test_retriever_without_llm_is_shared() -> None:
    """A part that holds no LLM, and that no query writes to, is the user's own."""
    engine = plain(fake())
    assert copy_of(engine, lambda _: fake()).retriever is engine.retriever


@pytest.mark.parametrize("name", CHAT_ENGINES)
def test_memory_is_shared(name: str) -> None:
    """A memory is the user's, as the conversation goes on in it."""
    engine = CHAT_ENGINES[name](fake())
    memory = copy_of(engine, lambda _: fake())._memory
    assert isinstance(memory, ChatMemoryBuffer)
    assert memory is engine._memory


async def test_agent_runs(llm: FakeStreamingLLM, other: FakeStreamingLLM) -> None:
    """The copy of an agent is an agent that runs."""
    copy = with_other(FunctionAgent(llm=llm), other)
    assert str(await copy.run("why?")) == "It is so. Indeed."
    assert (len(llm.calls), len(other.calls)) == (0, 1)


def test_streaming_llm_is_handed_over(llm: FakeStreamingLLM) -> None:
    """A wrapped LLM is wrapped as any other; it is not taken apart, whatever is in it."""
    inner = StreamingLLM(StructuredLLM(llm=llm, output_cls=Person))
    assert llms_of(Engine(held=inner)) == [inner]


@pytest.mark.parametrize("name", ["sub_question", "router_single", "tool_router", "sql_join"])
def test_size_of_indices_does_not_matter(name: str) -> None:
    """Nodes are not looked into: an engine over a thousand is seen as one over three."""
    few, many = (plain(fake(), count=count) for count in (3, 1000))
    assert len(Survey(few).met) == len(Survey(many).met) < 100
    assert len(Survey(QUERY_ENGINES[name](fake())).met) < 500


def test_rows_of_data(llm: FakeStreamingLLM) -> None:
    """Of rows of data only so many are looked into, and the LLM beside them is found first."""
    rows = [{"n": n} for n in range(30_000)]
    engine = Engine(held=[llm, rows])
    assert llms_of(engine) == [llm]
    assert with_other([llm, rows], fake())[1] is rows


@pytest.mark.parametrize("given_", [vectors(), fake(), 1, ChatMemoryBuffer(token_limit=9)])
def test_nothing_to_copy(given_: Any) -> None:
    """What has no parts is refused, with the reason."""
    with pytest.raises(TypeError, match=f"{type(given_).__name__} has no parts to copy"):
        copy_of(given_, lambda llm: llm)


_LLM = fake()
_shapes = st.recursive(
    st.integers() | st.just(_LLM),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.text(max_size=2), inner, max_size=3)
        | st.tuples(inner, inner)
        | st.builds(Retriever, inner)
    ),
    max_leaves=12,
)


def _drawn(obj: Any, llm: Any) -> Any:
    """The shape of a value, with a word for the LLM."""
    if obj is llm:
        return "llm"
    if isinstance(obj, Retriever):
        return ("retriever", _drawn(obj.llm, llm))
    if isinstance(obj, dict):
        named = cast("dict[str, Any]", obj)
        return {key: _drawn(value, llm) for key, value in named.items()}
    if isinstance(obj, list | tuple):
        elements = cast("list[Any]", obj)
        return type(elements)(_drawn(value, llm) for value in elements)
    return obj


@settings(max_examples=60, deadline=None)
@given(_shapes)
def test_any_shape(held: Any) -> None:
    """Whatever holds the LLM, the copy has the other one at just the same places."""
    other = fake()
    assert _drawn(with_other(held, other), other) == _drawn(held, _LLM)
