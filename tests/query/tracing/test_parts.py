"""What the parts of an engine do is written into the log of its query."""

# pyright: reportPrivateUsage=false, reportUnknownMemberType=false

from __future__ import annotations

from typing import Any

import pytest
from llama_index.core import Settings
from llama_index.core.base.base_selector import BaseSelector, MultiSelection, SingleSelection
from llama_index.core.chat_engine import CondenseQuestionChatEngine
from llama_index.core.memory import ChatMemoryBuffer
from llama_index.core.query_engine import (
    CustomQueryEngine,
    RouterQueryEngine,
    SubQuestionQueryEngine,
)
from llama_index.core.question_gen.types import (
    BaseQuestionGenerator,
)
from llama_index.core.question_gen.types import (
    SubQuestion as CoreSubQuestion,
)
from llama_index.core.response_synthesizers import TreeSummarize
from llama_index.core.tools import QueryEngineTool

from llama_index_streaming_ext.events import (
    EngineSelected,
    QueryStarted,
    StepQuery,
    SubAnswer,
    SubQuestion,
)
from llama_index_streaming_ext.query.tracing.parts import observe
from tests.support.query.asking import BOTH, Log, copied, observed
from tests.support.query.core_engines import QUERY_ENGINES, fake, plain, tools


@pytest.fixture(autouse=True)
def _default_llm(monkeypatch: pytest.MonkeyPatch) -> None:  # pyright: ignore[reportUnusedFunction]
    monkeypatch.setattr(Settings, "_llm", fake())


@pytest.fixture
def log() -> Log:
    """The log of a query."""
    return Log()


class Asked(BaseQuestionGenerator):
    """Makes the sub-questions that it is told; needs no LLM."""

    def __init__(self, *questions: tuple[str, str]) -> None:
        self.questions = [CoreSubQuestion(sub_question=q, tool_name=t) for q, t in questions]
        self.times = 0

    def _get_prompts(self) -> dict[str, Any]:
        return {}

    def _update_prompts(self, prompts_dict: Any) -> None:
        """There are none."""

    def generate(self, tools: Any, query: Any) -> list[CoreSubQuestion]:
        """What it was told."""
        self.times += 1
        return self.questions

    async def agenerate(self, tools: Any, query: Any) -> list[CoreSubQuestion]:
        """What it was told."""
        return self.generate(tools, query)


class Saying(CustomQueryEngine):
    """A user's engine that says what it is asked."""

    def custom_query(self, query_str: str) -> str:
        """The question."""
        if query_str == "fail?":
            raise ValueError("no such fact")
        return f"{query_str}!"


def _sub_questions(*questions: tuple[str, str], engine: Any = None, **options: Any) -> Any:
    made = [
        QueryEngineTool.from_defaults(engine or Saying(), name=name, description="facts")
        for name in ("t0", "t1")
    ]
    return SubQuestionQueryEngine(
        Asked(*questions), TreeSummarize(llm=fake()), made, verbose=False, **options
    )


# Sub-questions


@BOTH
def test_sub_questions_are_told(log: Log, is_async: bool) -> None:
    """With their places, their engines and ids of their own."""
    observed(_sub_questions(("why?", "t0"), ("how?", "t1")), log, is_async)
    told = [(e.call_id, e.index, e.question, e.tool_name) for e in log.of(SubQuestion)]
    assert told == [("q-1", 0, "why?", "t0"), ("q-2", 1, "how?", "t1")]


@BOTH
def test_sub_answers_have_the_ids_of_their_questions(log: Log, is_async: bool) -> None:
    """And the text of the engine's answer."""
    observed(_sub_questions(("why?", "t0"), ("how?", "t1")), log, is_async)
    told = [(e.call_id, e.index, e.answer, e.error) for e in log.of(SubAnswer)]
    assert sorted(told) == [("q-1", 0, "why?!", None), ("q-2", 1, "how?!", None)]


@BOTH
def test_a_sub_question_that_fails_is_told(log: Log, is_async: bool) -> None:
    """Though core swallows the error and goes on."""
    observed(_sub_questions(("fail?", "t0"), ("how?", "t1")), log, is_async)
    told = [(e.index, e.answer, e.error) for e in log.of(SubAnswer)]
    assert sorted(told) == [(0, None, "ValueError: no such fact"), (1, "how?!", None)]


@BOTH
def test_a_sub_question_for_nobody_is_told(log: Log, is_async: bool) -> None:
    """An LLM may name an engine that does not exist, which core hides, too."""
    observed(_sub_questions(("why?", "t0"), ("how?", "gone")), log, is_async)
    told = [(e.index, e.error) for e in log.of(SubAnswer) if e.error]
    assert told == [(1, "KeyError: 'gone'")]


@BOTH
def test_the_same_question_twice_has_two_answers(log: Log, is_async: bool) -> None:
    """Each question has its own."""
    observed(_sub_questions(("why?", "t0"), ("why?", "t0")), log, is_async)
    assert sorted(e.call_id for e in log.of(SubAnswer)) == ["q-1", "q-2"]


@BOTH
@pytest.mark.parametrize("use_async", [False, True])
def test_what_a_sub_question_needs_is_a_part_of_it(
    log: Log, use_async: bool, is_async: bool
) -> None:
    """The engine that is asked has the question as parent, also in core's own threads."""
    engine = _sub_questions(("why?", "t0"), ("how?", "t1"), use_async=use_async)
    observed(engine, log, is_async)
    told = {(e.parent_id, e.query) for e in log.of(QueryStarted)}
    assert told == {("q-1", "why?"), ("q-2", "how?")}


@BOTH
def test_sub_answers_are_complete_without_help(log: Log, is_async: bool) -> None:
    """U57: also where nothing but `observe` was done to the copy."""
    llm = fake()
    engine = _sub_questions(("why?", "t0"), engine=plain(llm, streaming=True))
    observed(engine, log, is_async, streaming=False)
    assert [event.answer for event in log.of(SubAnswer)] == ["It is so. Indeed."]


def test_a_users_part_is_not_copied(log: Log) -> None:
    """A question generator without an LLM is the user's own object, and is asked itself."""
    engine = _sub_questions(("why?", "t0"))
    observed(engine, log)
    assert engine._question_gen.times == 1


# Engines


@BOTH
@pytest.mark.parametrize(
    ("name", "count"),
    [("retry", 1), ("retry_failing", 3), ("hyde", 1), ("multi_step", 2), ("sql_join", 2)],
)
def test_an_engine_within_is_announced_once(
    log: Log, name: str, count: int, is_async: bool
) -> None:
    """Also where core asks it by `_query`; what the engine itself is asked is not announced."""
    observed(QUERY_ENGINES[name](fake()), log, is_async)
    assert len(log.of(QueryStarted)) == count


@BOTH
def test_the_engine_is_named(log: Log, is_async: bool) -> None:
    """The class, the question, and the query as parent."""
    observed(QUERY_ENGINES["hyde"](fake()), log, is_async)
    (event,) = log.of(QueryStarted)
    assert (event.engine, event.query, event.parent_id) == ("RetrieverQueryEngine", "why", "q")


@BOTH
def test_a_custom_engine_is_announced(log: Log, is_async: bool) -> None:
    """Though it is a pydantic model, whose attributes cannot be set."""
    router = RouterQueryEngine(First(), [QueryEngineTool.from_defaults(Saying())], llm=fake())
    observed(router, log, is_async)
    assert [event.engine for event in log.of(QueryStarted)] == ["Saying"]


@BOTH
def test_steps_are_told(log: Log, is_async: bool) -> None:
    """Each with its number, and the question that the query transform made."""
    observed(QUERY_ENGINES["multi_step"](fake()), log, is_async)
    told = [(event.index, event.question) for event in log.of(StepQuery)]
    assert told == [(0, "It is so. Indeed."), (1, "It is so. Indeed.")]


@BOTH
def test_what_a_step_needs_is_a_part_of_it(log: Log, is_async: bool) -> None:
    """The engine that is asked has the step as parent."""
    observed(QUERY_ENGINES["multi_step"](fake()), log, is_async)
    steps = [event.call_id for event in log.of(StepQuery)]
    assert [event.parent_id for event in log.of(QueryStarted)] == steps


def test_steps_are_counted_for_each_query(log: Log) -> None:
    """An engine that is asked twice begins anew."""
    inner = QUERY_ENGINES["multi_step"](fake())
    observed(_sub_questions(("why?", "t0"), ("how?", "t0"), engine=inner), log)
    assert [event.index for event in log.of(StepQuery)] == [0, 1, 0, 1]


def test_the_engine_of_a_chat_engine_is_announced(log: Log) -> None:
    """It is an engine within, as any other."""
    # Core's default memory opens a database, and leaves it open.
    memory = ChatMemoryBuffer.from_defaults(llm=fake())
    made = CondenseQuestionChatEngine.from_defaults(plain(fake()), llm=fake(), memory=memory)
    chat = copied(made)
    observe(chat, log.work)
    chat.chat("why")
    assert [event.engine for event in log.of(QueryStarted)] == ["RetrieverQueryEngine"]


# Selectors


class First(BaseSelector):
    """Selects the first; needs no LLM."""

    def _get_prompts(self) -> dict[str, Any]:
        return {}

    def _update_prompts(self, prompts_dict: Any) -> None:
        """There are none."""

    def _select(self, choices: Any, query: Any) -> MultiSelection:
        return MultiSelection(selections=[SingleSelection(index=0, reason="it is the first")])

    async def _aselect(self, choices: Any, query: Any) -> MultiSelection:
        return self._select(choices, query)


@BOTH
@pytest.mark.parametrize(
    ("name", "names"),
    [
        ("router_single", ["t0"]),
        ("router_multi", ["t0", "t1"]),
        ("router_pydantic_single", ["t0"]),
        ("sql_join", ["sql"]),
    ],
)
def test_what_is_selected_is_told(log: Log, name: str, names: list[str], is_async: bool) -> None:
    """By the names of the tools."""
    observed(QUERY_ENGINES[name](fake()), log, is_async)
    assert [event.names for event in log.of(EngineSelected)] == [names]


@BOTH
def test_the_reasons_are_told(log: Log, is_async: bool) -> None:
    """In the words of the selector, which may be one without an LLM."""
    observed(RouterQueryEngine(First(), tools(fake()), llm=fake()), log, is_async)
    assert [event.reasons for event in log.of(EngineSelected)] == [["it is the first"]]


def test_a_choice_without_name_is_numbered(log: Log) -> None:
    """As core's selectors take plain descriptions."""
    engine = RouterQueryEngine(First(), tools(fake()), llm=fake())
    copy = copied(engine)
    observe(copy, log.work)
    copy._selector.select(["facts", "fiction"], "why")
    assert [event.names for event in log.of(EngineSelected)] == [["engine 0"]]


def test_a_stand_in_is_what_it_stands_for(log: Log) -> None:
    """To isinstance, and to who reads or writes its attributes."""
    selector = First()
    copy = copied(RouterQueryEngine(selector, tools(fake()), llm=fake()))
    observe(copy, log.work)
    copy._selector.liked = True
    assert isinstance(copy._selector, First)
    assert vars(selector) == {"liked": True}


@BOTH
def test_retrieved_engines_are_told_and_announced(log: Log, is_async: bool) -> None:
    """Those that a tool retriever finds during the query."""
    observed(QUERY_ENGINES["tool_router"](fake()), log, is_async)
    assert [sorted(event.names) for event in log.of(EngineSelected)] == [["t0", "t1"]]
    assert len(log.of(QueryStarted)) == 2


def test_retrieved_engines_are_prepared(log: Log) -> None:
    """They may be the user's own: it is what `prepare` gives that is changed and asked."""
    engine = QUERY_ENGINES["tool_router"](fake())
    found = [tool.query_engine for tool in engine._retriever.retrieve("why")]
    prepared: list[Any] = []

    def prepare(met: Any) -> Any:
        prepared.append(met)
        return copied(met)

    observe(engine, log.work, prepare=prepare)
    engine.query("why")
    assert list(map(id, prepared)) == list(map(id, found))
    assert not any("_query" in vars(met) for met in found)
