"""Copies of an LLM that a query has met: what they are set to holds, and nothing else changes."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable
from typing import Any

import pytest
from llama_index.core import Settings
from llama_index.core.llms import MockLLM
from pydantic import BaseModel

from llama_index_streaming_ext import StreamingLLM
from tests.support.query.asking import BOTH
from tests.support.query.lookers import Looking, ask, saying


@pytest.fixture
def default(monkeypatch: pytest.MonkeyPatch) -> MockLLM:
    """The default LLM, which says three words."""
    llm = MockLLM(max_tokens=3)
    monkeypatch.setattr(Settings, "_llm", llm)
    return llm


def _set_otherwise() -> Any:
    return Settings.llm.model_copy(update={"max_tokens": 2})


def _put(make: Callable[[], Any]) -> Callable[[], Any]:
    """Make it the default LLM."""

    def look() -> Any:
        Settings.llm = make()
        return Settings.llm

    return look


@BOTH
@pytest.mark.parametrize("look", [_set_otherwise, _put(_set_otherwise)], ids=["used", "put"])
def test_a_copy_is_asked_as_it_is_set(
    default: MockLLM, look: Callable[[], Any], is_async: bool
) -> None:
    """Not as the LLM that it is a copy of; its call is seen."""
    seen = ask(Looking(look=look), is_async=is_async)
    assert (seen.text, seen.calls) == ("text text", [("call", None)])


def test_what_is_put_there_is_the_copy(default: MockLLM) -> None:
    """For all who look after the query, as a plain LLM."""
    ask(Looking(look=_put(_set_otherwise)))
    after: Any = Settings.llm
    assert (type(after), after.max_tokens, default.max_tokens) == (MockLLM, 2, 3)


def test_what_is_set_on_a_copy_is_not_set_on_the_llm(default: MockLLM) -> None:
    """Also when the copy has become the default."""

    def look() -> Any:
        Settings.llm = copied = copy.deepcopy(Settings.llm)
        copied.max_tokens = 1  # pyright: ignore[reportAttributeAccessIssue] # it is a MockLLM
        return Settings.llm

    assert (ask(Looking(look=look)).text, default.max_tokens) == ("text", 3)


def test_a_copy_stands_in_what_the_llm_stood_in(monkeypatch: pytest.MonkeyPatch) -> None:
    """The copy of a StreamingLLM is one, set as that is."""
    streaming: Any = StreamingLLM(MockLLM(max_tokens=3), strict=True)
    monkeypatch.setattr(Settings, "_llm", streaming)
    ask(Looking(look=_put(_set_otherwise)))
    after: Any = Settings.llm
    options = after.streaming_options
    assert (isinstance(after, StreamingLLM), options.strict, after.max_tokens) == (True, True, 2)


def test_a_pickled_one_is_seen(default: MockLLM) -> None:
    """It belongs to the query that it is asked in."""
    seen = ask(Looking(look=lambda: pickle.loads(pickle.dumps(Settings.llm))))
    assert (seen.text, seen.calls) == ("text text text", [("call", None)])


def test_who_looks_twice_finds_the_same(default: MockLLM) -> None:
    """As outside of queries: users' code keeps what it has by its LLM."""
    found: list[Any] = []
    ask(Looking(look=lambda: found.extend((Settings.llm, Settings.llm)) or found[0]))
    assert found[0] is found[1]


class Said(BaseModel):
    """An answer."""

    words: str


def test_a_structured_llm_that_is_put_back_is_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    """Though what the query has of it is a copy."""
    structured = saying().as_structured_llm(Said)
    monkeypatch.setattr(Settings, "_llm", structured)

    def look() -> Any:
        before = Settings.llm
        Settings.llm = MockLLM()
        Settings.llm = before
        return saying()

    ask(Looking(look=look))
    assert Settings.llm is structured
