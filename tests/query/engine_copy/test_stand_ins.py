"""What stands in for a part in the copy of an engine."""

from __future__ import annotations

from typing import Any

import pytest
from llama_index.core.base.base_query_engine import BaseQueryEngine
from llama_index.core.base.base_selector import BaseSelector
from llama_index.core.schema import QueryBundle

from llama_index_streaming_ext.query.engine_copy.copy import copy_of
from llama_index_streaming_ext.testing import FakeStreamingLLM
from tests.support.query.core_engines import QUERY_ENGINES, Custom, fake, plain, tools, vectors


@pytest.fixture
def llm() -> FakeStreamingLLM:
    """The engine's LLM."""
    return fake()


@pytest.fixture
def other() -> FakeStreamingLLM:
    """The LLM to put in its place."""
    return fake()


class Seen(BaseQueryEngine):
    """An engine that notes the queries of the one in it."""

    def __init__(self, inner: BaseQueryEngine, queries: list[str]) -> None:
        super().__init__(None)
        self.inner = inner
        self.queries = queries

    def _get_prompt_modules(self) -> dict[str, Any]:
        return {}

    def _query(self, query_bundle: QueryBundle) -> Any:
        self.queries.append(query_bundle.query_str)
        return self.inner.query(query_bundle)

    async def _aquery(self, query_bundle: QueryBundle) -> Any:
        self.queries.append(query_bundle.query_str)
        return await self.inner.aquery(query_bundle)


def test_stand_in(llm: FakeStreamingLLM, other: FakeStreamingLLM) -> None:
    """A stand-in takes the part's place, and holds the part's copy."""
    queries: list[str] = []

    def seen(part: object) -> object | None:
        return Seen(part, queries) if isinstance(part, BaseQueryEngine) else None

    engine = QUERY_ENGINES["sub_question"](llm)
    copy = copy_of(engine, lambda _: other, replace=seen)
    llm.calls.clear()
    str(copy.query("what?"))
    assert queries == ["why?", "how?"]
    assert type(copy) is type(engine)
    assert not llm.calls


def test_stand_in_for_public_method(llm: FakeStreamingLLM, other: FakeStreamingLLM) -> None:
    """A public method of a part becomes the stand-in's; a private one stays the copy's."""
    queries: list[str] = []
    inner = plain(llm)
    held = [inner.query, inner._get_prompts]
    copy = copy_of(
        Custom(llm=held),
        lambda _: other,
        replace=lambda part: Seen(inner, queries) if part is inner else None,
    )
    str(copy.llm[0]("a"))
    assert queries == ["a"]
    assert type(copy.llm[1].__self__) is type(inner)
    assert len(other.calls) == 1


def test_replace_is_asked_once_per_part(llm: FakeStreamingLLM) -> None:
    """Each part is shown once, and the engine itself is not."""
    shown: list[object] = []
    offered = tools(llm)
    engine = Custom(llm=[*offered, *offered])
    copy_of(engine, lambda llm: llm, replace=lambda part: shown.append(part))
    assert len({id(part) for part in shown}) == len(shown)
    assert all(any(tool is part for part in shown) for tool in offered)
    assert engine not in shown


def test_stand_in_without_llm() -> None:
    """A part without an LLM is replaced as well."""
    engine = plain(fake())
    new = vectors().as_retriever()
    copy = copy_of(
        engine, lambda _: fake(), replace=lambda part: new if part is engine.retriever else None
    )
    assert copy.retriever is new


def test_selectors_are_shown() -> None:
    """The selector of a router is one of its parts."""
    shown: list[object] = []
    engine = QUERY_ENGINES["router_single"](fake())
    copy_of(engine, lambda llm: llm, replace=lambda found: shown.append(found))
    assert any(isinstance(found, BaseSelector) for found in shown)
