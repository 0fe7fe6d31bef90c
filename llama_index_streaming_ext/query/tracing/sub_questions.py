"""Events of engines within an engine: their queries, sub-questions and steps, and selections."""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from llama_index.core.base.base_query_engine import BaseQueryEngine
from llama_index.core.query_engine import CustomQueryEngine

from llama_index_streaming_ext.events.query import (
    EngineSelected,
    QueryStarted,
    StepQuery,
    SubAnswer,
    SubQuestion,
)
from llama_index_streaming_ext.query.context.call_tree import Span, Work
from llama_index_streaming_ext.query.engine_copy.method_hooks import Advice, enclosing, hook_method
from llama_index_streaming_ext.query.response.complete import afinished, complete, finished
from llama_index_streaming_ext.upstream.query_engines import AQUERY, QUERY

_Method = Callable[..., Any]
_Args = tuple[Any, ...]
_Kwargs = dict[str, Any]


def trace_engine(work: Work, engine: BaseQueryEngine) -> None:
    """Announce each query of an engine within an engine by one `QueryStarted`.

    Core's engines call `query` of others, and some call `_query`, which `query` calls, too.
    """
    advice, async_advice = enclosing(_InnerEngine(work, type(engine).__name__).announced)
    # A custom engine's `_query` is there to say that there is none.
    implementing = () if isinstance(engine, CustomQueryEngine) else ((QUERY, AQUERY),)
    for name, async_name in (("query", "aquery"), *implementing):
        hook_method(engine, name, advice, by=work)
        hook_method(engine, async_name, async_advice, by=work)


class _InnerEngine:
    """An engine within an engine, whose queries are announced."""

    def __init__(self, work: Work, engine: str) -> None:
        self._work = work
        self._engine = engine
        self._own: set[str] = set()

    @contextmanager
    def announced(self, args: _Args, kwargs: _Kwargs) -> Generator[None]:
        here = self._work.current().call_id
        if here in self._own:
            yield
            return
        call_id, query = self._work.new_id(), question_in(args, kwargs)
        self._work.write(
            QueryStarted(call_id=call_id, parent_id=here, query=query, engine=self._engine)
        )
        self._own.add(call_id)
        with self._work.at_work(None, call_id):
            yield


def selector_hooks(work: Work) -> dict[str, Advice]:
    """Return the hooks of a selector, which write `EngineSelected`."""

    @contextmanager
    def enclose(args: _Args, kwargs: _Kwargs) -> Generator[Callable[[Any], Any]]:
        choices: Sequence[Any] = args[0] if args else kwargs["choices"]
        with work.at_work("select") as place:
            yield lambda selected: _announce_selection(work, place, selected, choices)

    select, aselect = enclosing(enclose)
    return {"select": select, "aselect": aselect}


def _announce_selection(work: Work, place: Span, selected: Any, choices: Sequence[Any]) -> Any:
    chosen = selected.selections
    work.write(
        EngineSelected(
            call_id=work.new_id(),
            parent_id=place.call_id,
            names=[_name_of(choices, one.index) for one in chosen],
            reasons=[one.reason for one in chosen],
        )
    )
    return selected


def _name_of(choices: Sequence[Any], index: int) -> str:
    # An LLM may choose what is not there; core raises that error a moment later.
    name = getattr(choices[index], "name", None) if 0 <= index < len(choices) else None
    return name or f"engine {index}"


@dataclass
class _Pending:
    """A sub-question that is not answered yet."""

    call_id: str
    parent_id: str
    index: int
    question: str
    tool_name: str


class Questions:
    """The sub-questions of one engine, from when they are made up to their answers.

    Args:
        work: the tree of the query's work.
        tools: the names of the engines that can be asked; None if that is not known.
    """

    def __init__(self, work: Work, tools: Collection[str | None] | None = None) -> None:
        self._work = work
        self._tools = tools
        self._pending: list[_Pending] = []
        self._lock = threading.Lock()

    def generating(self) -> dict[str, Advice]:
        """Return the hooks of a question generator, which write `SubQuestion`."""

        @contextmanager
        def enclose(args: _Args, kwargs: _Kwargs) -> Generator[Callable[[Any], Any]]:
            with self._work.at_work("sub_questions") as place:
                yield lambda made: self._announce(made, place)

        generate, agenerate = enclosing(enclose)
        return {"generate": generate, "agenerate": agenerate}

    def answering(self, tool_name: str | None) -> dict[str, Advice]:
        """Return the hooks of the engine of a name, which write `SubAnswer`, also if it fails.

        Their answers are complete, because core takes the text at once (U57).
        """

        def query(method: _Method, args: _Args, kwargs: _Kwargs) -> Any:
            pending = self._take(tool_name, question_in(args, kwargs))
            if pending is None:
                return method(*args, **kwargs)
            with self._answered(pending) as answer:
                answer.append(finished(method(*args, **kwargs)))
            return answer[0]

        async def aquery(method: _Method, args: _Args, kwargs: _Kwargs) -> Any:
            pending = self._take(tool_name, question_in(args, kwargs))
            if pending is None:
                return await method(*args, **kwargs)
            with self._answered(pending) as answer:
                answer.append(await afinished(await method(*args, **kwargs)))
            return answer[0]

        return {"query": query, "aquery": aquery}

    def _announce(self, made: Sequence[Any], place: Span) -> Any:
        for index, one in enumerate(made):
            call_id = self._work.new_id()
            pending = _Pending(call_id, place.call_id, index, one.sub_question, one.tool_name)
            self._work.write(
                SubQuestion(
                    call_id=call_id,
                    parent_id=place.call_id,
                    index=index,
                    question=pending.question,
                    tool_name=pending.tool_name,
                )
            )
            if self._tools is not None and pending.tool_name not in self._tools:
                # Core looks it up, and hides that there is none.
                self._write_answer(pending, error=f"KeyError: {pending.tool_name!r}")
            elif self._tools is not None:
                with self._lock:
                    self._pending.append(pending)
        return made

    def _take(self, tool_name: str | None, question: str) -> _Pending | None:
        """Return the first such question not taken yet, of the engine that asks now if possible."""
        here = self._work.current().call_id
        with self._lock:
            fits = [
                one
                for one in self._pending
                if (one.tool_name, one.question) == (tool_name, question)
            ]
            fits.sort(key=lambda one: one.parent_id != here)
            if fits:
                self._pending.remove(fits[0])
        return fits[0] if fits else None

    @contextmanager
    def _answered(self, pending: _Pending) -> Generator[list[Any]]:
        answer: list[Any] = []
        try:
            with self._work.at_work("sub_answer", pending.call_id):
                yield answer
        except Exception as error:
            self._write_answer(pending, error=f"{type(error).__name__}: {error}")
            raise
        self._write_answer(pending, answer=complete(answer[0]))

    def _write_answer(
        self, pending: _Pending, *, answer: str | None = None, error: str | None = None
    ) -> None:
        self._work.write(
            SubAnswer(
                call_id=pending.call_id,
                parent_id=pending.parent_id,
                index=pending.index,
                question=pending.question,
                answer=answer,
                error=error,
            )
        )


class Steps:
    """Steps of the engine that is asked step by step."""

    def __init__(self, work: Work) -> None:
        self._work = work
        self._counts: dict[str, int] = {}

    def hooks(self) -> dict[str, Advice]:
        """Return the hooks of the engine, which write `StepQuery`."""
        query, aquery = enclosing(self._step)
        return {"query": query, "aquery": aquery}

    @contextmanager
    def _step(self, args: _Args, kwargs: _Kwargs) -> Generator[None]:
        here, call_id = self._work.current().call_id, self._work.new_id()
        index = self._counts[here] = self._counts.get(here, -1) + 1
        question = question_in(args, kwargs)
        self._work.write(StepQuery(call_id=call_id, parent_id=here, index=index, question=question))
        with self._work.at_work("step", call_id):
            yield


def question_in(args: _Args, kwargs: _Kwargs) -> str:
    """Return the question among the arguments of a method of an engine."""
    query = args[0] if args else next(iter(kwargs.values()))
    return str(getattr(query, "query_str", query))
