"""A wrapped LLM can be copied, pickled, validated and called as the LLM can."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable
from typing import Any, ClassVar, Generic, TypeVar, cast

import pytest
from llama_index.core import PromptTemplate, Settings
from llama_index.core.agent.workflow import FunctionAgent
from llama_index.core.callbacks import CallbackManager, TokenCountingHandler
from llama_index.core.instrumentation.event_handlers import BaseEventHandler
from llama_index.core.instrumentation.events.llm import LLMChatEndEvent, LLMChatStartEvent
from llama_index.core.instrumentation.span_handlers import SimpleSpanHandler
from llama_index.core.llms import LLM, MockLLM
from llama_index.core.llms.structured_llm import StructuredLLM
from llama_index.llms.openai import OpenAI
from llama_index_instrumentation import get_dispatcher
from pydantic import BaseModel, ConfigDict, PrivateAttr, TypeAdapter

from llama_index_streaming_ext.llm.overlay import inner_of, options_of
from llama_index_streaming_ext.testing import FakeStreamingLLM, Turn, tool_call
from tests.support.llm.wrapped_llms import (
    CHATS,
    HI,
    MAKERS,
    OPTIONS,
    Album,
    Echo,
    Face,
    class_of,
    wrapped,
)

T = TypeVar("T")


@pytest.fixture(params=MAKERS)
def llm(request: pytest.FixtureRequest) -> LLM:
    """One LLM of each kind."""
    return MAKERS[request.param]()


# -- copies ---------------------------------------------------------------------------------

COPIES: dict[str, Callable[[Any], Any]] = {
    "copy": copy.copy,
    "deepcopy": copy.deepcopy,
    "model_copy": lambda w: w.model_copy(),
    "model_copy, deep": lambda w: w.model_copy(deep=True),
    **{
        f"pickle-{p}": lambda w, p=p: pickle.loads(pickle.dumps(w, p))
        for p in range(pickle.HIGHEST_PROTOCOL + 1)
    },
}
# An OpenAIResponses holds its HTTP client, which nobody can copy deeply.
POSSIBLE = [
    (maker, how)
    for maker in MAKERS
    for how in COPIES
    if maker != "OpenAIResponses" or how not in ("deepcopy", "model_copy, deep")
]


@pytest.mark.parametrize(("maker", "how"), POSSIBLE)
def test_copy(maker: str, how: str) -> None:
    """A copy is wrapped as the original is, around an inner of its own."""
    w = wrapped(llm := MAKERS[maker]())
    other = COPIES[how](w)
    assert class_of(other) is class_of(w)
    assert options_of(other) == OPTIONS
    assert inner_of(other) is not llm
    assert other.to_dict() == llm.to_dict()


@pytest.mark.parametrize("how", COPIES)
def test_copy_is_apart(how: str) -> None:
    """What is set on a copy is not set on the original."""
    w = wrapped(MockLLM())
    COPIES[how](w).max_tokens = 7
    assert w.max_tokens is None


@pytest.mark.filterwarnings("ignore:The `copy` method is deprecated")
def test_deprecated_copy() -> None:
    """Pydantic's old `copy` gives a wrapped copy, too."""
    other = wrapped(MockLLM()).copy(update={"max_tokens": 3})
    assert class_of(other) is class_of(wrapped(MockLLM()))
    assert inner_of(other).max_tokens == 3


def test_copy_updated(llm: LLM) -> None:
    """An updated copy leaves the original as it is."""
    w = wrapped(llm)
    assert w.model_copy(update={"system_prompt": "Be kind."}).system_prompt == "Be kind."
    assert llm.system_prompt is None


def test_deepcopy_of_both() -> None:
    """Copied together, a wrapper and its inner stay together."""
    inner = MockLLM()
    one, other = copy.deepcopy((inner, wrapped(inner)))
    assert inner_of(other) is one


def test_made_of_its_class() -> None:
    """Its class makes plain LLMs, of the inner's class."""
    made: list[Any] = [
        class_of(wrapped(MockLLM()))(max_tokens=2),
        class_of(wrapped(MockLLM())).from_dict(MockLLM(max_tokens=2).to_dict()),
        class_of(wrapped(MockLLM())).model_validate({"max_tokens": 2}),
    ]
    assert [(class_of(m), m.max_tokens) for m in made] == [(MockLLM, 2)] * 3


def test_constructed_of_its_class() -> None:
    """Made without validation, too, it is a plain LLM."""
    w = wrapped(StructuredLLM(llm=MockLLM(), output_cls=Album))
    assert type(class_of(w).model_construct(output_cls=Album)) is StructuredLLM


# -- classes --------------------------------------------------------------------------------


class Hooked(Echo):
    """Has hooks that ask for arguments, and keep a list of all its subclasses."""

    known: ClassVar[list[str]] = []

    def __new__(cls, *, name: str) -> Any:
        """Cannot do without a name."""
        return super().__new__(cls)

    def __init__(self, *, name: str) -> None:
        super().__init__()
        self.known.append(name)

    def __init_subclass__(cls, *, label: str, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        cls.known.append(label)

    @classmethod
    def __pydantic_init_subclass__(cls, *, label: str, **_: Any) -> None:
        cls.known.append(label)

    def __getattr__(self, name: str) -> Any:
        """Answers to any public name."""
        return cast(Any, super()).__getattr__(name) if name.startswith("_") else f"any {name}"

    def __del__(self) -> None:
        """Say so."""
        self.known.append("closed")


def test_hooks_do_not_run() -> None:
    """Neither the hooks of the user's class nor its `__init__` and `__del__` run for a wrapper."""
    llm = Hooked(name="mine")
    wrapped(llm)
    assert Hooked.known == ["mine"]
    del llm
    assert Hooked.known == ["mine", "closed"]


def test_getattr() -> None:
    """A `__getattr__` of the user's class answers."""
    assert wrapped(Hooked(name="mine")).colour == "any colour"


class Open(Echo, Generic[T]):
    """Generic, takes any field, and has its own way of reading."""

    model_config = ConfigDict(extra="allow")

    def __getattribute__(self, name: str) -> Any:
        """Know the answer."""
        return 42 if name == "answer" else super().__getattribute__(name)


def test_getattribute() -> None:
    """A `__getattribute__` of the user's class answers, too."""
    assert wrapped(Open[int]()).answer == 42


def test_extra_fields() -> None:
    """Fields that the class allows besides its own are shared."""
    w = wrapped(inner := cast(Any, Open[int])(colour="red"))
    w.size = inner.weight = 1
    del w.colour
    assert w.model_extra == inner.model_extra == {"size": 1, "weight": 1}


def test_no_subclasses() -> None:
    """A subclass of a wrapper's class is refused, and what to subclass is said."""
    cls: Any = class_of(wrapped(MockLLM()))
    with pytest.raises(TypeError, match="subclass MockLLM itself and wrap an instance of it"):
        type("Sub", (cls,), {})


def test_methods_are_not_decorated() -> None:
    """The methods of the face stay as they are."""
    w = wrapped(MockLLM())
    assert w.chat.__func__ is vars(Face)["chat"]
    assert "chat" not in vars(class_of(w))


def test_patched_inner() -> None:
    """A method that is patched on the inner, or the wrapper, is called through the face."""
    w = wrapped(Echo())
    CHATS.clear()
    for patched in (inner_of(w), w):
        object.__setattr__(patched, "chat", len)
        assert w.chat(HI) == len(HI)
    assert len(CHATS) == 2


# -- pydantic -------------------------------------------------------------------------------


def test_validated_by_identity(llm: LLM) -> None:
    """Where an LLM is asked for, the wrapper is taken as it is."""
    w = wrapped(llm)
    for asked in (LLM, class_of(llm), class_of(w)):
        assert TypeAdapter(asked).validate_python(w) is w
    assert class_of(llm).model_validate(w) is w


def test_field(llm: LLM) -> None:
    """A model keeps the wrapper as it is, and serialises it as it does the inner."""

    class Holder(BaseModel):
        llm: LLM

    assert Holder(llm=(w := wrapped(llm))).llm is w
    assert Holder(llm=w).model_dump() == Holder(llm=llm).model_dump()


def test_agent() -> None:
    """An agent keeps the wrapper as it is."""
    w = wrapped(FakeStreamingLLM())
    assert FunctionAgent(llm=w).llm is w


def test_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    """The settings keep the wrapper as it is, and give it their callbacks."""
    monkeypatch.setattr(Settings, "_llm", None)
    monkeypatch.setattr(Settings, "_callback_manager", manager := CallbackManager())
    Settings.llm = w = wrapped(MockLLM())
    assert Settings.llm is w
    assert inner_of(w).callback_manager is manager


# -- calls ----------------------------------------------------------------------------------


def test_structured_llm() -> None:
    """A structured LLM of the wrapper holds the wrapper."""
    w = wrapped(OpenAI(api_key="x"))
    assert w.as_structured_llm(Album).llm is w


def test_providers_own_mode() -> None:
    """Structured prediction is the provider's own code, run with the wrapper as `self`."""
    w = wrapped(OpenAI(api_key="x"))
    assert w.structured_predict.__func__ is inner_of(w).structured_predict.__func__
    assert w.structured_predict.__self__ is w


def test_structured_predict() -> None:
    """Structured prediction through the wrapper gives the object."""
    w = wrapped(FakeStreamingLLM([Turn(tool_call("Album", {"name": "Blue"}))]))
    album = w.structured_predict(Album, PromptTemplate("Write an album."))
    assert album == Album(name="Blue")


def counted(face: Callable[[LLM], Any]) -> list[tuple[int, int]]:
    """The tokens that are counted for a chat and a completion."""
    counter = TokenCountingHandler(tokenizer=str.split)
    llm = face(FakeStreamingLLM(["It is sunny", "It is late"]))
    llm.callback_manager = CallbackManager([counter])
    llm.chat(HI)
    llm.complete("hi")
    return [(c.prompt_token_count, c.completion_token_count) for c in counter.llm_token_counts]


def test_counted_once() -> None:
    """The token counter counts what it counts without the wrapper."""
    assert counted(wrapped) == counted(lambda llm: llm)
    assert len(counted(wrapped)) == 2


class Seen(BaseEventHandler):
    """Keeps what kinds of events there were."""

    _kinds: list[type] = PrivateAttr(default_factory=list[type])

    @property
    def kinds(self) -> list[type]:
        """The kinds so far."""
        return self._kinds

    def handle(self, event: Any, **_: Any) -> None:
        """Keep the kind."""
        self._kinds.append(class_of(event))


def seen(face: Callable[[LLM], Any]) -> tuple[list[type], list[str]]:
    """The events and the spans of one chat."""
    root, events, spans = cast(Any, get_dispatcher()), Seen(), SimpleSpanHandler()
    before = root.event_handlers[:], root.span_handlers[:]
    root.add_event_handler(events)
    root.add_span_handler(spans)
    try:
        face(Echo()).chat(HI)
    finally:
        root.event_handlers[:], root.span_handlers[:] = before
    return events.kinds, [s.id_.split("-")[0] for s in spans.completed_spans]


def test_instrumented_once() -> None:
    """The events and the spans of a call are those of a call without the wrapper."""
    events, spans = seen(wrapped)
    assert (events, spans) == seen(lambda llm: llm)
    assert events.count(LLMChatStartEvent) == events.count(LLMChatEndEvent) == 1
    assert spans.count("Echo.chat") == 1


def test_through_the_face() -> None:
    """What the inner's class does with `self`, it does with the face."""
    CHATS.clear()
    w = wrapped(Echo())
    w.predict(PromptTemplate("hi"))  # a completion, as Echo is no chat model
    w.as_structured_llm(Album).llm.chat(HI)
    assert w is CHATS.pop()
    assert not CHATS
