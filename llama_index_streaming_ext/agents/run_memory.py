"""The memory of an agent whose context is used again.

On pydantic 2.14 core's `ChatMemoryBuffer` cannot be serialised, so the store of a context that is
used again has lost it, and the agent silently forgets the conversation (U30). Two things together
make it right on every version: a run that is given no memory gets one that can be serialised, and
the memory of the run before is passed to the next one.
"""

from __future__ import annotations

import functools
from collections.abc import Coroutine
from typing import Any, cast

from llama_index.core.llms import LLM, ChatMessage
from llama_index.core.memory import BaseMemory, ChatMemoryBuffer
from workflows import Context
from workflows.context.serializers import JsonSerializer


class SerialisableMemory(ChatMemoryBuffer):
    """Core's `ChatMemoryBuffer`, which also on pydantic 2.14 can be serialised (U30).

    It serialises the messages themselves; what fails is the serializer of their store.
    """

    def to_dict(self, **kwargs: Any) -> dict[str, Any]:
        """The memory as JSON values, which `from_dict` reads."""
        return {
            "token_limit": self.token_limit,
            "chat_store_key": self.chat_store_key,
            "chat_history": [message.model_dump(mode="json") for message in self.get_all()],
            "class_name": self.class_name(),
        }

    @classmethod
    def from_dict(cls, data: dict[str, Any], **kwargs: Any) -> SerialisableMemory:
        """The memory that `to_dict` was called on."""
        history = [ChatMessage.model_validate(message) for message in data["chat_history"]]
        memory = cls.from_defaults(  # pyright: ignore[reportUnknownMemberType] # core's tokenizer_fn
            token_limit=data["token_limit"], chat_store_key=data["chat_store_key"]
        )
        memory.set(history)
        return cast("SerialisableMemory", memory)


def fresh_memory(llm: LLM) -> BaseMemory:
    """The memory that core gives to a run that has none, in a form that can be serialised."""
    memory_class = ChatMemoryBuffer if _core_memory_serialises() else SerialisableMemory
    return memory_class.from_defaults(llm=llm)  # pyright: ignore[reportUnknownMemberType] # core's


def memory_of(ctx: Context[Any]) -> BaseMemory | None:
    """The memory that the last run on a context has left in its store, None where there is none.

    The next run serialises that store, and so may lose it.
    """
    try:
        reading = ctx.store.get("memory", default=None)
    except RuntimeError:
        return None  # a runtime whose contexts have no store of their own
    memory = _at_once(reading)
    return memory if isinstance(memory, BaseMemory) else None


def _at_once(reading: Coroutine[Any, Any, Any]) -> Any:
    """The result of a coroutine that has nothing to wait for: a store that nobody is using.

    `run()` is not a coroutine function, so it cannot await. Where the store would have to wait
    (another process keeps it), there is no result.
    """
    try:
        reading.send(None)
    except StopIteration as done:
        return done.value
    finally:
        reading.close()
    return None


@functools.cache
def _core_memory_serialises() -> bool:
    history = [ChatMessage(content="?")]
    memory = ChatMemoryBuffer.from_defaults(history)  # pyright: ignore[reportUnknownMemberType] # core's
    try:
        JsonSerializer().serialize(memory)
    except ValueError:
        return False
    return True
