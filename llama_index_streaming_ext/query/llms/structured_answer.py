"""Objects that LLMs are asked for (`output_cls`), shown while their JSON is written.

A synthesizer that answers with an object asks for one in each of its steps; only that of the last
step is the answer. `structuring.py` knows which step is the last one, and the query's LLMs, which
are asked in the end, tell what they write.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any, Literal

from llama_index.core.schema import NodeWithScore
from pydantic import BaseModel

from llama_index_streaming_ext.errors import NoStructuredAnswer
from llama_index_streaming_ext.events import Incomplete
from llama_index_streaming_ext.llm.call import incomplete_error
from llama_index_streaming_ext.llm.partial_json import GrowingObject


@dataclass
class Synthesis:
    """An answer that is being made, and that is to be an object.

    Attributes:
        sources: what it is drawn from.
        is_last: whether the next object that an LLM is asked for is the answer.
        failure: why there is no object from the last call, None where there is one.
    """

    sources: list[NodeWithScore] = field(default_factory=list[NodeWithScore])
    is_last: bool = False
    failure: Exception | None = None


Output = dict[str, Any]
"""The fields that there are of an object."""

_synthesis: ContextVar[Synthesis | None] = ContextVar(
    "llama_index_streaming_ext.synthesis", default=None
)
_asked: ContextVar[AskedObject | None] = ContextVar(
    "llama_index_streaming_ext.asked_object", default=None
)

_hidden: ContextVar[bool] = ContextVar("llama_index_streaming_ext.hidden", default=False)


@contextmanager
def making(synthesis: Synthesis) -> Generator[None, None, None]:
    """In this context that answer is being made."""
    token = _synthesis.set(synthesis)
    try:
        yield
    finally:
        _synthesis.reset(token)


@contextmanager
def hidden() -> Generator[None, None, None]:
    """In this context nothing that is made is the answer."""
    token = _hidden.set(True)
    try:
        yield
    finally:
        _hidden.reset(token)


def is_hidden() -> bool:
    """True if the object that is made here is not the answer."""
    return _hidden.get()


def asked_object() -> AskedObject | None:
    """The object that an LLM is being asked for here, None where it is asked for text."""
    return _asked.get()


class AskedObject:
    """An object that an LLM is asked for.

    Args:
        output_cls: its class.
        synthesis: the answer that it has a part in, None where it is for something else.

    Attributes:
        synthesis: as given.
        is_answer: whether it is the answer, which is shown while it is written.
        reads: where it is written: in the text, or in the arguments of a tool call.
        call_id: the LLM call that it is asked for in, None before there is one.
        parent_id: the work that this is a part of.
        incomplete: what was said about the call, None where its answer is whole.
    """

    def __init__(self, output_cls: type[BaseModel], synthesis: Synthesis | None) -> None:
        self.synthesis = synthesis
        self.is_answer = synthesis is not None and synthesis.is_last
        self.reads: Literal["text", "arguments"] = "text"
        self.call_id: str | None = None
        self.parent_id: str | None = None
        self.incomplete: Incomplete | None = None
        self._cls = output_cls
        self._object = GrowingObject(output_cls) if self.is_answer else None
        self._newest: Output | None = None
        self._begun = False

    def text(self, delta: str) -> Output | None:
        """The text goes on; the object begins with its first brace.

        Returns:
            What is to be shown, None where nothing is new.
        """
        if self.reads != "text":
            return None
        if not self._begun:
            _, brace, after = delta.partition("{")
            self._begun = bool(brace)
            delta = brace + after
        return self._fed(delta)

    def argument(self, position: int, delta: str) -> Output | None:
        """The arguments of a tool call go on; those of the first one are the object."""
        return self._fed(delta) if self.reads == "arguments" and position == 0 else None

    def whole(self, given: Any) -> Output | None:
        """The LLM's answer is there. Returns what is to be shown.

        Raises:
            NoStructuredAnswer: it is no object of the class.
        """
        synthesis = self.synthesis
        if synthesis is None:
            return None
        if not isinstance(given, self._cls):
            # Core's programs give the text of an error where the arguments are not valid.
            raise NoStructuredAnswer(f"The LLM has given no {self._cls.__name__}: {given!s:.500}")
        synthesis.failure = None
        output = given.model_dump(mode="json")
        return None if not self.is_answer or output == self._newest else output

    def failed(self, error: Exception) -> None:
        """The LLM, or what reads its answer, has failed with an error."""
        if self.synthesis is not None:
            self.synthesis.failure = self._said_of(error)

    def _said_of(self, error: Exception) -> Exception:
        """Return the error to raise for one that core may keep to itself."""
        if not isinstance(error, ValueError | TypeError):
            return error
        if self.incomplete is not None:
            said: Exception = incomplete_error(self.incomplete)
        elif isinstance(error, NoStructuredAnswer):
            return error
        else:
            said = NoStructuredAnswer(f"The LLM has given no {self._cls.__name__}: {error!s:.500}")
        said.__cause__ = error
        return said

    def _fed(self, delta: str) -> Output | None:
        so_far = self._object.feed(delta) if delta and self._object is not None else None
        if so_far is not None:
            self._newest = so_far
        return so_far


@contextmanager
def expect_object(
    output_cls: type[BaseModel], show: Callable[[AskedObject, Output | None], None]
) -> Generator[Callable[[Any], Any], None, None]:
    """In this context an LLM is asked for an object.

    Args:
        output_cls: its class.
        show: shows what there is of it to the readers of the query, if anything is new.

    Yields:
        Takes what the LLM has answered, and gives it back.
    """
    asked = AskedObject(output_cls, _synthesis.get())

    def given(answer: Any) -> Any:
        show(asked, asked.whole(answer))
        return answer

    token = _asked.set(asked)
    try:
        yield given
    except Exception as error:
        asked.failed(error)
        raise
    finally:
        _asked.reset(token)
