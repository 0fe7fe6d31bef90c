"""The work of an engine's parts, written into the log of their query.

`observe` puts something around the methods of the parts of a query's own copy of an engine:

| part | while it works, LLMs are asked for | it writes |
|---|---|---|
| query engine within the engine | what they were before | `QueryStarted` |
| selector | `select` | `EngineSelected` |
| question generator | `sub_questions` | `SubQuestion` for each |
| engine that is asked a sub-question | `sub_answer` | `SubAnswer`, also where core hides an error |
| engine that is asked step by step | `step` | `StepQuery` |
| synthesizer | `synthesize` | |
| evaluator | `evaluate` | |
| query transform | `transform` | |
| node postprocessor | `rerank` | |

Retrievers are seen through core's instrumentation (`instrumentation.py`). So are the calls of all
LLMs (`other_llm_calls.py`) but those of the copy, which are wrapped (`llms/query_llm.py`). A call
outside of all parts has the purpose `call`, and one for a chat's memory the purpose `memory`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, cast

from llama_index.core.base.base_query_engine import BaseQueryEngine
from llama_index.core.base.base_retriever import BaseRetriever
from llama_index.core.base.base_selector import BaseSelector
from llama_index.core.chat_engine.types import BaseChatEngine
from llama_index.core.evaluation.base import BaseEvaluator
from llama_index.core.indices.query.query_transform.base import BaseQueryTransform
from llama_index.core.postprocessor.types import BaseNodePostprocessor
from llama_index.core.query_engine import MultiStepQueryEngine, SubQuestionQueryEngine
from llama_index.core.question_gen.types import BaseQuestionGenerator
from llama_index.core.response_synthesizers.base import BaseSynthesizer
from llama_index.core.tools import QueryEngineTool

from llama_index_streaming_ext.events.query import EngineSelected
from llama_index_streaming_ext.query.context.call_tree import Work
from llama_index_streaming_ext.query.engine_copy.method_hooks import (
    Advice,
    ObjectProxy,
    hook_method,
    is_face,
    part_of,
)
from llama_index_streaming_ext.query.engine_copy.retrieved_engines import Prepare, finds, on_found
from llama_index_streaming_ext.query.tracing.purposes import trace_synthesizer, with_purpose
from llama_index_streaming_ext.query.tracing.sub_questions import (
    Questions,
    Steps,
    selector_hooks,
    trace_engine,
)
from llama_index_streaming_ext.upstream.query_engines import (
    QUESTION_GENERATOR,
    STEP_ENGINE,
    SUB_QUESTION_ENGINES,
)
from llama_index_streaming_ext.upstream.state import state_of

_HOLDERS = (BaseQueryEngine, BaseChatEngine, BaseSynthesizer, BaseQueryTransform)
"""The classes of which a query always has copies of its own, which may be changed (U60)."""

_FACED = (BaseSelector, BaseQuestionGenerator, BaseEvaluator, BaseNodePostprocessor)
"""The classes whose objects may be the user's own if they hold no LLM."""

_PARTS = (*_HOLDERS, *_FACED, BaseRetriever, QueryEngineTool)


def observe(engine: Any, work: Work, *, prepare: Prepare | None = None) -> None:
    """Have the work of an engine's parts written into the log of a query.

    The engine is changed, and so are the engines, synthesizers and query transforms that it holds.
    All other parts stay as they are: their holders get stand-ins for them. To observe it for the
    same query again changes nothing. What the engine itself is asked is not announced.

    Args:
        engine: a query's own copy of a query engine or a chat engine (`copy_of`).
        work: the tree of the query's work.
        prepare: gives such a copy of an engine that is found only during the query.
    """
    _Observer(work, prepare).look_into(engine)


class _Observer:
    """The visitor of the parts of one engine."""

    def __init__(self, work: Work, prepare: Prepare | None) -> None:
        self._work = work
        self._prepare = prepare
        self._seen: dict[int, object] = {}
        self._faces: dict[int, object] = {}

    def look_into(self, holder: Any) -> None:
        """Watch what an object holds."""
        if id(holder) in self._seen:
            return
        self._seen[id(holder)] = holder
        own = isinstance(holder, _HOLDERS)
        for name, held in list(state_of(holder).items()):
            watched = self._watched(held)
            if own and watched is not held:
                state_of(holder)[name] = watched
        if isinstance(holder, SubQuestionQueryEngine):
            self._watch_sub_questions(holder)
        elif isinstance(holder, MultiStepQueryEngine):
            self._watch_steps(holder)
        elif isinstance(holder, BaseQueryEngine) and finds(holder):
            on_found(holder, prepare=self._prepare, change=self._watch_found)

    def _watched(self, held: Any) -> Any:
        """Return the part that a holder is to hold instead; it may be the same."""
        if type(held) in (list, tuple):
            return self._each(cast("Sequence[Any]", held))
        if type(held) is dict:
            named = cast("dict[Any, Any]", held)
            values = self._each(list(named.values()))
            if _differ(values, named.values()):
                return dict(zip(named, values, strict=True))
            return named
        return self._watched_part(held) if isinstance(held, _PARTS) else held

    def _each(self, several: Sequence[Any]) -> Sequence[Any]:
        # A look at the classes alone is enough for a list of a thousand nodes.
        classes: set[type] = set(map(type, several))
        if not any(issubclass(cls, (*_PARTS, ObjectProxy)) for cls in classes):
            return several
        watched = [self._watched_part(one) if isinstance(one, _PARTS) else one for one in several]
        if not _differ(watched, several):
            return several
        return tuple(watched) if isinstance(several, tuple) else watched

    def _watched_part(self, part: Any) -> Any:
        if isinstance(part, _FACED):
            return self._face_of(part)
        real: Any = part_of(part) if is_face(part) else part
        if not issubclass(type(real), _PARTS):
            # It says that it is one, as mocks do, and so was not copied: it is the user's own.
            return part
        if isinstance(real, BaseQueryEngine):
            trace_engine(self._work, real)
        elif isinstance(real, BaseSynthesizer):
            trace_synthesizer(self._work, real)
        elif isinstance(real, BaseQueryTransform):
            hook_method(real, "run", with_purpose(self._work, "transform")[0], by=self._work)
        self.look_into(real)
        return part

    def _face_of(self, part: Any) -> Any:
        if is_face(part, self._work):
            return part
        if id(part) not in self._faces:
            self._seen[id(part)] = part
            self._faces[id(part)] = ObjectProxy(part, self._hooks_for(part), by=self._work)
        return self._faces[id(part)]

    def _hooks_for(self, part: Any) -> dict[str, Advice]:
        work = self._work
        if isinstance(part, BaseSelector):
            return selector_hooks(work)
        if isinstance(part, BaseQuestionGenerator):
            return Questions(work).generating()
        if isinstance(part, BaseEvaluator):
            advice, async_advice = with_purpose(work, "evaluate")
            names = ("evaluate", "evaluate_response")
        else:
            advice, async_advice = with_purpose(work, "rerank")
            names = ("postprocess_nodes",)
        return dict.fromkeys(names, advice) | {f"a{name}": async_advice for name in names}

    def _watch_sub_questions(self, engine: Any) -> None:
        engines = SUB_QUESTION_ENGINES.of(engine)
        generator = QUESTION_GENERATOR.of(engine)
        if any(is_face(inner, self._work) for inner in engines.values()):
            return
        questions = Questions(self._work, engines.keys())
        # In place of the face that any question generator has.
        real = part_of(generator) if is_face(generator, self._work) else generator
        generating = ObjectProxy(real, questions.generating(), by=self._work)
        QUESTION_GENERATOR.set(engine, generating)
        answering: dict[str, Any] = {
            name: ObjectProxy(inner, questions.answering(name), by=self._work)
            for name, inner in engines.items()
        }
        SUB_QUESTION_ENGINES.set(engine, answering)

    def _watch_steps(self, engine: Any) -> None:
        inner = STEP_ENGINE.of(engine)
        if not is_face(inner, self._work):
            hooks = Steps(self._work).hooks()
            STEP_ENGINE.set(engine, ObjectProxy(inner, hooks, by=self._work))

    def _watch_found(self, engines: Sequence[Any], tools: Sequence[Any]) -> None:
        if tools:
            here = self._work.current().call_id
            names = [tool.metadata.name or f"engine {n}" for n, tool in enumerate(tools)]
            call_id = self._work.new_id()
            self._work.write(EngineSelected(call_id=call_id, parent_id=here, names=names))
        for engine in engines:
            _Observer(self._work, self._prepare)._watched_part(engine)


def _differ(some: Any, others: Any) -> bool:
    same: Callable[[Any, Any], bool] = lambda one, other: one is other  # noqa: E731
    return not all(map(same, some, others))
