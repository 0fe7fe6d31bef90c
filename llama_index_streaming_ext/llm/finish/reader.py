"""The end of an LLM call, as its provider reports it.

LlamaIndex shows it in `raw` only, so that a refusal, a cut-off answer and a failure look like short
answers (U24). A `FinishReader` reads the raw chunks of one call.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any, NamedTuple, TypeAlias, cast

from llama_index.core.llms import LLM

from llama_index_streaming_ext.llm.finish.openai import chat_finish, responses_finish
from llama_index_streaming_ext.llm.finish.others import finish_by_shape
from llama_index_streaming_ext.llm.finish.reasons import Extractor, Finish, normalised
from llama_index_streaming_ext.llm.overlay import inner_of
from llama_index_streaming_ext.llm.provider import provider_of

__all__ = ["Extractor", "Finish", "FinishReader", "Shape", "reader_for", "register_finish_reason"]

Shape: TypeAlias = "type[LLM] | str | Callable[[Any], bool]"
"""Whose chunks an extractor reads: those of an LLM class, of a `class_name()`, or of a look."""


class _Rule(NamedTuple):
    extract: Extractor
    says_its_end: bool


class _Look(NamedTuple):
    looks: Callable[[Any], bool]
    rule: _Rule


class FinishReader:
    """Reader of how one LLM call ended from its raw chunks.

    Attributes:
        says_its_end: whether this provider always says why a call ended. If it does and `finish`
            is None after the last chunk, the stream was cut off, or (U71) `OpenAI.astream_chat`
            dropped its only chunk. Where the extractor was registered for a look, this is True
            only once a chunk had that look.
    """

    __slots__ = ("_extract", "_fragments", "_looks", "_refused", "_said", "says_its_end")

    def __init__(
        self, extract: Extractor, says_its_end: bool, looks: tuple[_Look, ...] = ()
    ) -> None:
        self._extract = extract
        self._looks = looks
        self._said: Finish | None = None
        self._refused = False
        self._fragments: list[str] = []
        self.says_its_end = says_its_end

    def see(self, raw: Any) -> None:
        """Read one raw chunk, or the raw answer of a call that is not streamed.

        Args:
            raw: `ChatResponse.raw` or `CompletionResponse.raw`; None says nothing.

        Raises:
            TypeError: a registered extractor returned something else than it should.
        """
        if raw is None:
            return
        if self._looks:
            self._recognise(raw)
        said = self._extract(raw)
        if said is not None:
            self._take(said)

    @property
    def refusal(self) -> str:
        """The text of the model's refusal so far."""
        return "".join(self._fragments)

    @property
    def finish(self) -> Finish | None:
        """The finish reason of the call; None if the provider has not reported it (yet).

        A refusal is known from its first fragment on, and `text` is then all of it so far.
        """
        said = self._said
        if not self._refused:
            return said
        if said is not None and said.reason in ("content_filter", "failed"):
            return said
        return Finish("refusal", self.refusal)

    def _recognise(self, raw: Any) -> None:
        for look in self._looks:
            if look.looks(raw):
                self._extract, self.says_its_end = look.rule
                self._looks = ()
                return

    def _take(self, said: Finish | str) -> None:
        finish = self._read(said)
        if finish is None:
            return
        if finish.reason == "refusal":
            self._refused = True
            self._fragments.append(finish.text)
        elif not self._failed_with_text():
            self._said = finish

    def _read(self, said: Finish | str) -> Finish | None:
        if isinstance(said, Finish):
            reason = normalised(said.reason)
            return None if reason is None else said._replace(reason=reason)
        if isinstance(said, str):  # pyright: ignore[reportUnnecessaryIsInstance] # users may err
            reason = normalised(said)
            return None if reason is None else Finish(reason)
        raise TypeError(
            f"The extractor {self._extract!r} returned {said!r}: it should return a Finish, a str "
            "or None, as register_finish_reason() says."
        )

    def _failed_with_text(self) -> bool:
        """Return True if a failure was explained: no later event adds to it or takes it back."""
        return self._said is not None and self._said.reason == "failed" and bool(self._said.text)


_registering = threading.Lock()
_by_class: dict[type[LLM], _Rule] = {}
_by_name: dict[str, _Rule] = {}
_by_look: tuple[_Look, ...] = ()


def register_finish_reason(
    shape: Shape, extractor: Extractor, *, says_its_end: bool = False
) -> None:
    """Register how a provider says that a call has ended.

    It is needed where a provider says it in a way of its own. OpenAI (both APIs) and what is like
    it, Anthropic, Google, Ollama, Bedrock and Cohere are known.

    Args:
        shape: whose chunks to read. A subclass of `LLM`: its own and those of its subclasses (the
            nearest class counts). A str: those of LLMs with that `class_name()`. A function of a
            raw chunk: it is asked for each chunk of any call that no class or name is registered
            for, until it returns True; from there on the extractor reads that call. The function
            that was registered last is asked first. What is registered comes before what is known.
        extractor: called with every raw chunk; returns the finish reason (any spelling that
            providers use), a `Finish`, or None where the chunk says nothing of the end. A
            refusal's text comes as a `Finish("refusal", fragment)` for each fragment.
        says_its_end: whether the provider says the reason in every call, so that a stream
            without one was cut off. If in doubt, leave it out.

    Raises:
        TypeError: there is no such shape, or the extractor cannot be called.

    Example:
        >>> register_finish_reason("my_llm", lambda raw: raw.get("why"), says_its_end=True)
    """
    if not callable(extractor):
        raise TypeError(f"extractor= is a function of a raw chunk, not {extractor!r}.")
    rule = _Rule(extractor, says_its_end)
    with _registering:
        _register(shape, rule)


def _register(shape: object, rule: _Rule) -> None:
    global _by_look
    if isinstance(shape, str):
        _by_name[shape] = rule
    elif isinstance(shape, type) and issubclass(shape, LLM):
        _by_class[shape] = rule
    elif isinstance(shape, type) or not callable(shape):
        raise TypeError(
            "shape= is a subclass of LLM, what its class_name() returns, or a function of a raw "
            f"chunk that returns a bool, not {shape!r}."
        )
    else:
        looks = cast("Callable[[Any], bool]", shape)
        others = tuple(look for look in _by_look if look.looks != looks)
        _by_look = (_Look(looks, rule), *others)


def reader_for(llm: LLM) -> FinishReader:
    """Return the reader for one call of an LLM.

    Args:
        llm: the LLM that is called, wrapped or not.
    """
    rule = _registered(llm)
    if rule is not None:
        return FinishReader(*rule)
    return FinishReader(*_known(llm), looks=_by_look)


def _registered(llm: LLM) -> _Rule | None:
    inner = inner_of(llm)
    for cls in type(inner).__mro__:
        if cls in _by_class:
            return _by_class[cls]
    return _by_name.get(inner.class_name()) if _by_name else None


def _known(llm: LLM) -> _Rule:
    provider = provider_of(llm)
    if provider is None:
        return _Rule(finish_by_shape, says_its_end=False)
    extract = chat_finish if provider.dialect == "chat" else responses_finish
    return _Rule(extract, provider.faithful)
