"""The LLM to ask on an event loop in place of one that may be bound to another loop.

A sync call of an LLM cannot be cancelled, so within a query the async method is called in its
place, on the background loop. That is the same only where the same server gets the same request
by a client of the same making: where that is not known, the LLM is called as it is.
"""

from __future__ import annotations

import asyncio
import copy
import threading
import weakref
from asyncio import AbstractEventLoop
from collections.abc import Callable
from typing import Any, NamedTuple, TypeAlias, TypeVar

from llama_index.core.llms import LLM

from llama_index_streaming_ext.llm.fallbacks import blocks_the_loop
from llama_index_streaming_ext.llm.overlay import inner_of
from llama_index_streaming_ext.query.llms.openai_clients import client_of
from llama_index_streaming_ext.threads.background_loop import background
from llama_index_streaming_ext.upstream.methods import qualified_name, undecorated
from llama_index_streaming_ext.upstream.openai_clients import (
    ACLIENT,
    CLIENT,
    GET_ACLIENT,
    GET_CLIENT,
    GIVEN_ASYNC_HTTP,
    GIVEN_HTTP,
    have_equal_settings,
    http_of,
)
from llama_index_streaming_ext.upstream.state import PrivateAttribute

MakeLoopLLM: TypeAlias = Callable[[Any, AbstractEventLoop], LLM | None]
"""Makes the LLM to ask on a loop out of one; None where there is none."""

_Class = TypeVar("_Class", bound=type[LLM])

# Sync clients that were seen to be as the class makes them, however the LLM was changed since.
_of_the_class: weakref.WeakSet[Any] = weakref.WeakSet()


def for_background_loop(llm: LLM) -> LLM | None:
    """The LLM whose async methods stand for the sync ones of `llm`, on the background loop.

    It has the fields of `llm` as they are now, so it is made anew for each call; that is cheap.
    Its client and the connections of that are kept from call to call.

    There is one for `OpenAI` and `OpenAIResponses` of LlamaIndex, for classes with
    `any_loop = True` in their body (they are bound to no loop), and for registered classes. There
    is none, because the call would be another one, where

    - a subclass overrides a method that answers;
    - the user gave a client: `http_client=`, `async_http_client=`, `openai_client=`;
    - answers are kept in the LLM: `track_previous_responses=True` of `OpenAIResponses`;
    - the async methods block the loop.

    Args:
        llm: any LLM. Of a wrapped one, its inner LLM counts.

    Returns:
        The LLM for the background loop; None where the sync methods of `llm` must be called.

    Raises:
        LoopClosed: the interpreter is ending.
    """
    llm = inner_of(llm)
    ways = _ways_of(llm)
    if ways is None or blocks_the_loop(llm):
        return None
    return ways.for_sync(llm, background().loop)


def for_this_loop(llm: LLM) -> LLM:
    """The LLM whose async methods can be called on the running loop.

    It is `llm` itself, or, where for_background_loop knows how to make one, a copy whose client
    belongs to this loop: the client of `llm` may be in use on another one, also by its user.

    Args:
        llm: any LLM. Of a wrapped one, its inner LLM counts.

    Raises:
        RuntimeError: no event loop runs in this thread.
    """
    loop = asyncio.get_running_loop()
    inner = inner_of(llm)
    ways = _ways_of(inner)
    made = ways.for_async(inner, loop) if ways is not None else None
    return made if made is not None else llm


def register_loop_llm(cls: _Class, make: MakeLoopLLM) -> _Class:
    """Says how to make LLMs of a class that can be asked on the background loop.

    It holds for subclasses that override no method that answers.

    Args:
        cls: the class of LLMs.
        make: a function of the LLM and the loop, called in any thread, before each call. It
            returns an LLM with the same fields, whose async methods do on that loop what the sync
            ones of the LLM do; the LLM itself, if it can be asked on any loop; or None, if its
            sync methods must be called. For subclasses of LlamaIndex's `OpenAI` with a client as
            that makes it, it may be `with_own_client`.

    Raises:
        TypeError: `cls` is no class of LLMs.

    Example:
        >>> register_loop_llm(MyLLM, lambda llm, loop: llm)
    """
    if not (isinstance(cls, type) and issubclass(cls, LLM)):  # pyright: ignore[reportUnnecessaryIsInstance] -- not all type
        raise TypeError(f"register_loop_llm registers classes of LLMs, not {cls!r}")
    with _choosing:
        _registered[cls] = _Ways(make, make)
        _chosen.clear()
    return cls


def with_own_client(llm: Any, loop: AbstractEventLoop) -> LLM | None:
    """A copy of an LLM of LlamaIndex's `OpenAI` classes, with a client that belongs to a loop.

    Args:
        llm: the LLM.
        loop: the loop, which runs.

    Returns:
        The copy; None where the user gave an async client, or where answers are kept in the LLM.
    """
    return _copied(llm, loop, ACLIENT)


def _in_place_of_sync(llm: Any, loop: AbstractEventLoop) -> LLM | None:
    return _copied(llm, loop, CLIENT) if GIVEN_HTTP.of(llm) is None else None


def _copied(llm: Any, loop: AbstractEventLoop, replaced: PrivateAttribute[Any]) -> LLM | None:
    """The copy, unless the client in the attribute `replaced` is not as the class makes it."""
    if GIVEN_ASYNC_HTTP.of(llm) is not None or getattr(llm, "track_previous_responses", False):
        return None
    client = client_of(llm, loop)
    if not _is_of_the_class(replaced.of(llm), client):
        return None
    copied = copy.copy(llm)
    ACLIENT.set(copied, client)
    if not getattr(llm, "reuse_client", True):
        # The class would make another client, and leave that open after a stream. This one is of
        # this call only, too.
        copied.reuse_client = True
    return copied


def _is_of_the_class(client: Any, ours: Any) -> bool:
    """Return True if a client was made by its class, and not given by the user.

    The classes do not tell the clients that they make (`OpenAI` at its first call) from those that
    they are given. So one counts as theirs if it is as they would make it, or once was.
    """
    if client is None or client in _of_the_class:
        return True
    # By their names, so that subclasses (Azure's, a user's) are told from OpenAI's own. The SDK has
    # a class of HTTP clients for those that it makes itself.
    named, named_http = _class_name(ours), _class_name(http_of(ours))
    same = (
        _class_name(client) in (named, named.replace("Async", ""))
        and _class_name(http_of(client)) in (named_http, named_http.replace("Async", "Sync"))
        and have_equal_settings(client, ours)
    )
    if same:
        _of_the_class.add(client)
    return same


def _class_name(thing: object) -> str:
    return qualified_name(type(thing))


def _itself(llm: Any, loop: AbstractEventLoop) -> LLM:
    return llm


class _Ways(NamedTuple):
    """The ways to make the LLM that is asked."""

    for_sync: MakeLoopLLM
    for_async: MakeLoopLLM


_OPENAI = _Ways(_in_place_of_sync, with_own_client)
# By name, because importing them would need what they need.
_KNOWN = {
    "llama_index.llms.openai.base.OpenAI": _OPENAI,
    "llama_index.llms.openai.responses.OpenAIResponses": _OPENAI,
}
_choosing = threading.RLock()
_registered: weakref.WeakKeyDictionary[type, _Ways] = weakref.WeakKeyDictionary()
_chosen: weakref.WeakKeyDictionary[type, tuple[_Ways | None, tuple[str, ...]]] = (
    weakref.WeakKeyDictionary()
)


def _ways_of(llm: LLM) -> _Ways | None:
    cls = type(llm)
    with _choosing:
        chosen = _chosen.get(cls)
        if chosen is None:
            chosen = _chosen[cls] = _choose(cls)
    ways, methods = chosen
    own = vars(llm)
    # Somebody may have patched one on the LLM.
    return ways if ways is not None and not any(name in own for name in methods) else None


def _choose(cls: type) -> tuple[_Ways | None, tuple[str, ...]]:
    for base in cls.__mro__:
        ways = _registered.get(base) or _known_ways(base)
        if ways is not None:
            methods = tuple(_answering(base))
            same = all(undecorated(cls, name) is undecorated(base, name) for name in methods)
            return (ways if same else None), methods
    return None, ()


def _known_ways(cls: type) -> _Ways | None:
    if vars(cls).get("any_loop") is True:
        return _Ways(_itself, _itself)
    return _KNOWN.get(qualified_name(cls))


def _answering(cls: type) -> set[str]:
    """The methods that have a sync and an async face, and what they get their clients by."""
    names = set(dir(cls))
    pairs = ((name, _async_name(name)) for name in names)
    return {name for pair in pairs if pair[1] in names for name in pair}


def _async_name(name: str) -> str:
    if name == GET_CLIENT:
        return GET_ACLIENT
    bare = name.lstrip("_")
    return f"{name[: len(name) - len(bare)]}a{bare}"
