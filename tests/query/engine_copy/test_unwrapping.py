"""Wrappers of parts that a copy of an engine takes away."""

from __future__ import annotations

from typing import Any

import pytest
from llama_index.core.base.base_query_engine import BaseQueryEngine
from llama_index.core.base.base_selector import BaseSelector
from llama_index.core.schema import QueryBundle

from llama_index_streaming_ext.query.engine_copy.copy import copy_of
from llama_index_streaming_ext.testing import FakeStreamingLLM
from tests.support.query.core_engines import QUERY_ENGINES, Custom, fake, plain, tools


class Wrapper(BaseQueryEngine):
    """An engine that asks the one in it."""

    def __init__(self, inner: BaseQueryEngine) -> None:
        super().__init__(None)
        self.inner = inner

    def _get_prompt_modules(self) -> dict[str, Any]:
        return {}

    def _query(self, query_bundle: QueryBundle) -> Any:
        return self.inner.query(query_bundle)

    async def _aquery(self, query_bundle: QueryBundle) -> Any:
        return await self.inner.aquery(query_bundle)


def inner_of(part: object) -> object | None:
    """Return the engine in a wrapper."""
    return part.inner if isinstance(part, Wrapper) else None


@pytest.mark.parametrize("times", [1, 2])
def test_a_wrapper_is_taken_away(times: int) -> None:
    """The copy holds a copy of what is in the wrapper; the engine keeps its wrapper."""
    llm, other = fake(), fake()
    wrapper = Wrapper(plain(llm))
    engine = Custom(llm=[wrapper] * times)
    copy: Any = copy_of(engine, lambda _: other, unwrap=inner_of)
    inner: Any = copy.llm[-1]
    assert type(inner) is type(wrapper.inner)
    assert inner is not wrapper.inner
    assert all(one is inner for one in copy.llm)
    str(inner.query("why?"))
    assert (len(llm.calls), len(other.calls)) == (0, 1)
    assert engine.llm == [wrapper] * times


def test_the_engine_itself_is_not_unwrapped() -> None:
    """Only what the engine holds is."""
    assert type(copy_of(Wrapper(plain(fake())), lambda llm: llm, unwrap=inner_of)) is Wrapper


def test_a_part_without_an_llm_is_unwrapped() -> None:
    """Even where nothing else needs a copy."""
    inner = Custom(llm=None)
    copy = copy_of(Custom(llm=[Wrapper(inner)]), lambda llm: llm, unwrap=inner_of)
    assert type(copy.llm[0]) is Custom


def test_parts_are_shown_and_the_engine_is_not() -> None:
    """Tools and selectors are among them."""
    llm: FakeStreamingLLM = fake()
    shown: list[object] = []
    offered = tools(llm)
    engine = Custom(llm=[*offered, QUERY_ENGINES["router_single"](llm)])
    copy_of(engine, lambda llm: llm, unwrap=lambda part: shown.append(part))
    assert all(any(tool is part for part in shown) for tool in offered)
    assert any(isinstance(part, BaseSelector) for part in shown)
    assert not any(part is engine for part in shown)
