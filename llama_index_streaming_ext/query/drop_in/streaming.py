"""`streaming(...)`: an index, an engine or a chat engine of others, made to stream."""

from __future__ import annotations

from typing import Any, TypeVar, overload

from llama_index.core.base.base_query_engine import BaseQueryEngine
from llama_index.core.chat_engine.types import BaseChatEngine

from llama_index_streaming_ext.query.chat.engine import StreamingChatEngine
from llama_index_streaming_ext.query.drop_in.indexes import is_index, streaming_index
from llama_index_streaming_ext.query.engine import StreamingQueryEngine

Index = TypeVar("Index")


@overload
def streaming(thing: BaseQueryEngine, **options: Any) -> StreamingQueryEngine: ...
@overload
def streaming(thing: BaseChatEngine, **options: Any) -> StreamingChatEngine: ...
@overload
def streaming(thing: Index) -> Index: ...


def streaming(thing: Any, **options: Any) -> Any:
    """Make an index, a query engine or a chat engine stream, whoever has built it.

    Args:
        thing: an index: the result is an index of the same class, over the same storage, whose
            `as_query_engine` and `as_chat_engine` stream. A query engine: a
            `StreamingQueryEngine`. A chat engine: a `StreamingChatEngine`.
        **options: what these two take: `show`, `strict`, `max_lead`, `on_incomplete`.

    Raises:
        TypeError: it is none of these; or options were given with an index.

    Example:
        >>> engine = streaming(index).as_query_engine()
        >>> engine.query("How high is the tower?").print_response_stream()
    """
    if isinstance(thing, BaseQueryEngine):
        return StreamingQueryEngine(thing, **options)
    if isinstance(thing, BaseChatEngine):
        return StreamingChatEngine(thing, **options)
    if is_index(thing):
        if options:
            raise TypeError(
                f"streaming(index) takes no options ({', '.join(options)}): give them to the "
                "engine, streaming(index.as_query_engine(), ...)."
            )
        return streaming_index(thing)
    raise TypeError(
        "streaming(...) takes an index, a query engine or a chat engine, not "
        f"{type(thing).__name__}."
    )
