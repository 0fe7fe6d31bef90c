"""The memory of a chat engine, as one turn sees it: what it adds is written when it has ended."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from llama_index.core.base.llms.types import ChatMessage, MessageRole, ToolCallBlock
from llama_index.core.memory import BaseMemory, Memory

from llama_index_streaming_ext.llm.marks import INCOMPLETE
from llama_index_streaming_ext.query.chat.conversation import Conversation
from llama_index_streaming_ext.query.chat.summary_memory import aget, get, to_the_end
from llama_index_streaming_ext.query.context.call_tree import MEMORY, Work
from llama_index_streaming_ext.query.engine_copy.method_hooks import Advice, ObjectProxy


class TurnMemory:
    """The user's memory as one turn sees it.

    A read gives the messages of the memory, followed by those that the turn has put. The turn's
    messages are written into the memory together when the turn ends, so that no other turn comes
    between a question and its answer.

    The calls of the memory's own LLM are seen by core's instrumentation. A stop interrupts a read
    that runs in the turn's own task. It never interrupts a write, which would lose messages.

    Args:
        conversation: the conversation that the turn belongs to.
        work: the tree of the turn's work.

    Attributes:
        face: the object that the engine gets as its memory.
    """

    def __init__(self, conversation: Conversation, work: Work) -> None:
        self._conversation = conversation
        self._work = work
        self._memory: BaseMemory = conversation.memory
        self._resets = conversation.resets
        self._set: list[ChatMessage] | None = None
        self._put: list[ChatMessage] = []
        self._written = False
        self._sign = object()
        sync = (self.get, self.get_all, self.put, self.put_messages, self.set, self.reset)
        tasks = (self.aget, self.aget_all, self.aput, self.aput_messages, self.aset, self.areset)
        hooks = {method.__name__: _instead(method) for method in (*sync, *tasks)}
        self.face: Any = ObjectProxy(self._memory, hooks, by=self)

    # What the engine calls

    def get(self, *args: Any, **kwargs: Any) -> list[ChatMessage]:
        """Return the messages to send."""
        with self._conversation.held_here(), self._work.at_work(MEMORY):
            self._apply()
            return [*get(self._memory, *args, **self._reading(kwargs)), *self._put]

    async def aget(self, *args: Any, **kwargs: Any) -> list[ChatMessage]:
        """Return the messages to send, in a task."""
        async with self._conversation.lock.held():
            with self._work.at_work(MEMORY):
                await self._aapply()
                return [*await aget(self._memory, *args, **self._reading(kwargs)), *self._put]

    def get_all(self, *args: Any, **kwargs: Any) -> list[ChatMessage]:
        """Return all messages."""
        with self._conversation.held_here():
            self._apply()
            return [*self._memory.get_all(*args, **kwargs), *self._put]

    async def aget_all(self, *args: Any, **kwargs: Any) -> list[ChatMessage]:
        """Return all messages, in a task."""
        async with self._conversation.lock.held():
            await self._aapply()
            return [*await self._memory.aget_all(*args, **kwargs), *self._put]

    def put(self, message: ChatMessage) -> None:
        """Add a message to the turn."""
        self._put.append(message)

    async def aput(self, message: ChatMessage) -> None:
        """Add a message to the turn."""
        self.put(message)

    def put_messages(self, messages: Sequence[ChatMessage]) -> None:
        """Add messages to the turn."""
        self._put.extend(messages)

    async def aput_messages(self, messages: Sequence[ChatMessage]) -> None:
        """Add messages to the turn."""
        self.put_messages(messages)

    def set(self, messages: Sequence[ChatMessage]) -> None:
        """Go on from another history, which takes the place of what the memory has."""
        self._set, self._put = list(messages), []

    async def aset(self, messages: Sequence[ChatMessage]) -> None:
        """Go on from another history."""
        self.set(messages)

    def reset(self) -> None:
        """Go on from no history."""
        self.set(())

    async def areset(self) -> None:
        """Go on from no history."""
        self.set(())

    # The end of the turn

    def write_sync(self, message: str, text: str, incomplete: str | None) -> None:
        """Write the turn into the memory, once.

        Args:
            message: the user's message.
            text: the text of the answer so far. If it is empty, nothing is written.
            incomplete: the reason why the answer is not whole; None if it is whole.
        """
        if self._written:
            return
        with self._conversation.held_here(), self._work.at_work(MEMORY):
            messages = self._messages(message, text, incomplete)
            if messages:
                self._apply()
            failed: Exception | None = None
            for one in messages:
                try:
                    self._memory.put(one)
                except Exception as error:
                    if not _is_last(one, self._memory.get_all()):
                        raise
                    failed = failed or error
                self._conversation.writer = self._sign
            if failed is not None:
                raise failed

    async def write(self, message: str, text: str, incomplete: str | None) -> None:
        """Write the turn in a task. Cancelling the task does not interrupt the write."""
        if not self._written:
            await to_the_end(self._write(message, text, incomplete))

    async def _write(self, message: str, text: str, incomplete: str | None) -> None:
        async with self._conversation.lock.held():
            with self._work.at_work(MEMORY):
                await self._put_all(self._messages(message, text, incomplete))

    async def _put_all(self, messages: Sequence[ChatMessage]) -> None:
        if messages:
            await self._aapply()
        failed: Exception | None = None
        for one in messages:
            try:
                await self._memory.aput(one)
            except Exception as error:
                if not _is_last(one, await self._memory.aget_all()):
                    raise
                failed = failed or error
            self._conversation.writer = self._sign
        if failed is not None:
            raise failed

    def _messages(self, message: str, text: str, incomplete: str | None) -> list[ChatMessage]:
        self._written = True
        if not text or self._conversation.resets != self._resets:
            return []
        put = list(self._put)
        if incomplete is None:
            return put
        if not any(one.role == MessageRole.USER for one in put):
            put.insert(0, ChatMessage(content=message, role=MessageRole.USER))
        if not _is_answer(put[-1]):
            put.append(ChatMessage(content=text, role=MessageRole.ASSISTANT))
        put[-1] = _marked(put[-1], incomplete)
        return put

    # The history that the turn was given

    def _apply(self) -> None:
        if self._to_be_set():
            self._memory.set(list(self._set or ()))

    async def _aapply(self) -> None:
        if self._to_be_set():
            await self._memory.aset(list(self._set or ()))

    def _to_be_set(self) -> bool:
        """Return True if the memory has another history than the turn was given.

        It is set when it is needed, and again if another turn has set or written meanwhile: turns
        that are each given a history do not read each other's.
        """
        if self._set is None or self._conversation.writer is self._sign:
            return False
        self._conversation.writer = self._sign
        return True

    def _reading(self, kwargs: dict[str, Any]) -> dict[str, Any]:
        """Return arguments that leave room in the memory's limit for the turn's own messages."""
        if not self._put:
            return kwargs
        kwargs = dict(kwargs)
        if isinstance(self._memory, Memory):
            # Its blocks look for what fits to the last messages, of which this is one.
            kwargs.setdefault("input", self._put[-1].content)
        tokens, limit = (getattr(self._memory, name, None) for name in ("tokenizer_fn", _LIMIT))
        given = kwargs.get(_INITIAL, 0)
        if callable(tokens) and limit is not None and _INITIAL in kwargs and given <= limit:
            said = " ".join(one.content or "" for one in self._put)
            added: Any = tokens(said)
            kwargs[_INITIAL] = min(limit, given + len(added))
        return kwargs


_INITIAL = "initial_token_count"
_LIMIT = "token_limit"


def _instead(method: Callable[..., Any]) -> Advice:
    return lambda _, args, kwargs: method(*args, **kwargs)


def _is_last(message: ChatMessage, messages: Sequence[ChatMessage]) -> bool:
    """Return True if a memory that failed to put a message has it all the same.

    Then the failure is that of a side effect, such as a call of an LLM, and the rest of the turn is
    put, too: else a question would stay in the memory without its answer.
    """
    last = messages[-1] if messages else None
    return last is not None and (last.role, last.content) == (message.role, message.content)


def _is_answer(message: ChatMessage) -> bool:
    calls = any(isinstance(block, ToolCallBlock) for block in message.blocks)
    asks = calls or bool(message.additional_kwargs.get("tool_calls"))
    return message.role == MessageRole.ASSISTANT and bool(message.content) and not asks


def _marked(message: ChatMessage, why: str) -> ChatMessage:
    said = {**message.additional_kwargs, INCOMPLETE: why}
    return message.model_copy(update={"additional_kwargs": said})
