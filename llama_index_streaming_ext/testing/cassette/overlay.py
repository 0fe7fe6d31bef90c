"""An LLM whose entry points are recorded or replayed, and that is otherwise what it was.

It is a subclass of the LLM's own class, made when it is first needed, and shares the state of the
LLM: what is set on one is set on the other. Recorded calls go to the LLM itself, whose methods
are decorated already; replayed ones are decorated here, so that callbacks and instrumentation see
either once.
"""

from __future__ import annotations

import abc
import copy
import functools
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, TypeVar, cast

from llama_index.core.llms import LLM
from llama_index.core.llms.callbacks import (
    llm_chat_callback,  # pyright: ignore[reportUnknownVariableType]
    llm_completion_callback,  # pyright: ignore[reportUnknownVariableType]
)
from llama_index_instrumentation import get_dispatcher

from llama_index_streaming_ext.testing.cassette.asked import Asked
from llama_index_streaming_ext.testing.cassette.binding import SLOT, Binding, Tape, bind, bound
from llama_index_streaming_ext.testing.cassette.direct import astructured, note, structured
from llama_index_streaming_ext.testing.cassette.format.values import Face

if TYPE_CHECKING:
    from llama_index_streaming_ext.testing.cassette.recording import Recorder
    from llama_index_streaming_ext.testing.cassette.replaying import Replayer
    from llama_index_streaming_ext.testing.fake_llm.calls import Call

_L = TypeVar("_L", bound=LLM)
_dispatcher = get_dispatcher(__name__)


def overlaid(llm: _L, tape: Tape, model: str | None) -> _L:
    """Return an LLM of the same class and with the same state whose calls go through a tape.

    Args:
        llm: the LLM.
        tape: the tape.
        model: the name of its model, or None if requests match whatever the model.
    """
    cls = overlay_class(type(llm))
    made = cls.__new__(cls)
    for name, value in _state(llm):
        object.__setattr__(made, name, value)
    return bind(made, Binding(tape, llm, model))


def _state(llm: Any) -> Iterator[tuple[str, Any]]:
    """All that pydantic and wrappers keep: `__dict__`, private attributes and other slots."""
    for cls in type(llm).__mro__:
        slots = vars(cls).get("__slots__", ())
        for name in (slots,) if isinstance(slots, str) else slots:
            if name != "__weakref__" and hasattr(llm, name):
                yield name, getattr(llm, name)


def overlay_class(cls: type[_L]) -> type[_L]:
    """The subclass of a class of LLMs whose entry points go through a cassette.

    Args:
        cls: the class; its entry points may be abstract.
    """
    return cast("type[_L]", _made(cls))


@functools.cache
def _made(cls: type) -> type:
    about = {
        "__slots__": (SLOT,),
        "__module__": cls.__module__,
        "__qualname__": cls.__qualname__,
        "__doc__": cls.__doc__,
    }
    made = type(cls)(cls.__name__, (cls,), about)
    # Set afterwards: core wraps what a class body overrides in a span of its own.
    for name, make in _ENTRY_POINTS.items():
        setattr(made, name, make(cls, name))
    for name, method in _COPIES.items():
        setattr(made, name, method)
    return abc.update_abstractmethods(made)


def _copied(llm: Any) -> Any:
    binding = bound(llm)
    if binding.inner is None:
        return llm
    return overlaid(copy.copy(binding.inner), binding.tape, binding.model)


def _deepcopied(llm: Any, memo: dict[int, Any] | None = None) -> Any:
    binding = bound(llm)
    if binding.inner is None:
        return llm
    return overlaid(copy.deepcopy(binding.inner, memo), binding.tape, binding.model)


def _reduced(llm: Any, protocol: int = 2) -> tuple[Any, ...]:
    binding = bound(llm)
    return _restored, (binding.tape, binding.inner)


def _restored(tape: Tape, inner: Any) -> Any:
    return tape.llm() if inner is None else tape.wrap(inner)


_COPIES = {"__copy__": _copied, "__deepcopy__": _deepcopied, "__reduce_ex__": _reduced}


class _Route:
    """One call: to the recorder, or to the replayer.

    Args:
        llm: the overlaid LLM.
        asked: the call.
    """

    def __init__(self, llm: Any, asked: Asked) -> None:
        self._binding = bound(llm)
        self.asked = asked

    @property
    def inner(self) -> Any:
        """The LLM itself."""
        return self._binding.inner

    @property
    def model(self) -> str | None:
        """The model that is asked, None if it does not matter."""
        return self._binding.model

    @property
    def recorder(self) -> Recorder | None:
        """The recorder of this call; None if the call is replayed."""
        return self._binding.tape.recorder_for(self.asked, self.model)

    @property
    def replayer(self) -> Replayer:
        """The replayer of this call."""
        return self._binding.tape.replayer

    def call(self) -> Call:
        """The record of this call, made once it is known who answers it."""
        call = self._binding.tape.called(self.asked)
        note(call)
        return call


def _decorated(original: Any, face: Face, function: Any) -> Any:
    callback = cast("Any", llm_chat_callback if face == "chat" else llm_completion_callback)()
    return _dispatcher.span(_named(original)(callback(function)))


def _named(original: Any) -> Callable[[Any], Any]:
    # Not its `__dict__`, which says that it is abstract, or in a span already.
    return functools.wraps(original, updated=())


def _whole(face: Face) -> Callable[[type, str], Any]:
    def make(cls: type, name: str) -> Any:
        def replay(llm: Any, *args: Any, **kwargs: Any) -> Any:
            route = _Route(llm, Asked.of(face, False, args, kwargs))
            return route.replayer.whole(route.asked, route.model, route.call())

        replayed = _decorated(getattr(cls, name), face, replay)

        @_named(getattr(cls, name))
        def method(llm: Any, *args: Any, **kwargs: Any) -> Any:
            route = _Route(llm, Asked.of(face, False, args, kwargs))
            if (recorder := route.recorder) is None:
                return replayed(llm, *args, **kwargs)
            ask = functools.partial(getattr(route.inner, name), *args, **kwargs)
            return recorder.whole(route.inner, route.asked, route.call(), ask)

        return method

    return make


def _awhole(face: Face) -> Callable[[type, str], Any]:
    def make(cls: type, name: str) -> Any:
        async def replay(llm: Any, *args: Any, **kwargs: Any) -> Any:
            route = _Route(llm, Asked.of(face, False, args, kwargs))
            return await route.replayer.awhole(route.asked, route.model, route.call())

        replayed = _decorated(getattr(cls, name), face, replay)

        @_named(getattr(cls, name))
        async def method(llm: Any, *args: Any, **kwargs: Any) -> Any:
            route = _Route(llm, Asked.of(face, False, args, kwargs))
            if (recorder := route.recorder) is None:
                return await replayed(llm, *args, **kwargs)
            ask = functools.partial(getattr(route.inner, name), *args, **kwargs)
            return await recorder.awhole(route.inner, route.asked, route.call(), ask)

        return method

    return make


def _stream(face: Face) -> Callable[[type, str], Any]:
    def make(cls: type, name: str) -> Any:
        def replay(llm: Any, *args: Any, **kwargs: Any) -> Any:
            route = _Route(llm, Asked.of(face, True, args, kwargs))
            return route.replayer.stream(route.asked, route.model, route.call())

        replayed = _decorated(getattr(cls, name), face, replay)

        @_named(getattr(cls, name))
        def method(llm: Any, *args: Any, **kwargs: Any) -> Any:
            route = _Route(llm, Asked.of(face, True, args, kwargs))
            if (recorder := route.recorder) is None:
                return replayed(llm, *args, **kwargs)
            ask = functools.partial(getattr(route.inner, name), *args, **kwargs)
            return recorder.stream(route.inner, route.asked, route.call(), ask)

        return method

    return make


def _astream(face: Face) -> Callable[[type, str], Any]:
    def make(cls: type, name: str) -> Any:
        async def replay(llm: Any, *args: Any, **kwargs: Any) -> Any:
            route = _Route(llm, Asked.of(face, True, args, kwargs))
            return await route.replayer.astream(route.asked, route.model, route.call())

        replayed = _decorated(getattr(cls, name), face, replay)

        @_named(getattr(cls, name))
        async def method(llm: Any, *args: Any, **kwargs: Any) -> Any:
            route = _Route(llm, Asked.of(face, True, args, kwargs))
            if (recorder := route.recorder) is None:
                return await replayed(llm, *args, **kwargs)
            ask = functools.partial(getattr(route.inner, name), *args, **kwargs)
            return await recorder.astream(route.inner, route.asked, route.call(), ask)

        return method

    return make


_ENTRY_POINTS: dict[str, Callable[[type, str], Any]] = {
    "chat": _whole("chat"),
    "achat": _awhole("chat"),
    "stream_chat": _stream("chat"),
    "astream_chat": _astream("chat"),
    "complete": _whole("complete"),
    "acomplete": _awhole("complete"),
    "stream_complete": _stream("complete"),
    "astream_complete": _astream("complete"),
    "structured_predict": structured,
    "astructured_predict": astructured,
}
