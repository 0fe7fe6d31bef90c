"""The memory of an agent whose context is used again.

On pydantic 2.14 core's `ChatMemoryBuffer` cannot be serialised, so the store of a context that is
used again has lost it, and the agent silently forgets the conversation (U30). Two things together
make it right on every version: a run that is given no memory gets one that can be serialised, and
the memory of the run before is passed to the next one.
"""

from __future__ import annotations

import functools
import weakref
from collections.abc import Coroutine
from typing import Any, cast

from llama_index.core.llms import LLM, ChatMessage
from llama_index.core.memory import BaseMemory, ChatMemoryBuffer
from workflows import Context
from workflows.context.serializers import JsonSerializer

from llama_index_streaming_ext.run.run import Run, current_run

_memories: weakref.WeakKeyDictionary[Run, BaseMemory] = weakref.WeakKeyDictionary()


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
    memory = at_once(reading)
    return memory if isinstance(memory, BaseMemory) else None


def use_memory(run: Run, memory: BaseMemory) -> None:
    """Note the memory of a run, which stays the one in the store of its context.

    Args:
        run: the run.
        memory: the memory that it was given.
    """
    _memories[run] = memory


async def put_back_memory(ctx: Context[Any]) -> None:
    """Put the memory of the current run back into its store, if the store has a copy of it.

    `edit_state` works on a deep copy of the store, so that what is said later would go into a copy
    of the user's memory (U93).

    Args:
        ctx: the context of the step.
    """
    run = current_run()
    memory = _memories.get(run) if run is not None else None
    if memory is not None and await ctx.store.get("memory", default=None) is not memory:
        await ctx.store.set("memory", memory)


def at_once(reading: Coroutine[Any, Any, Any]) -> Any:
    """Return the result of a coroutine that has nothing to wait for: a store that nobody uses.

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
