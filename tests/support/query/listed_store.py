"""A store of one chat's messages, without a database, and memories over it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from llama_index.core.base.llms.types import ChatMessage
from llama_index.core.bridge.pydantic import PrivateAttr
from llama_index.core.memory import FactExtractionMemoryBlock, Memory
from llama_index.core.storage.chat_store.base_db import AsyncDBChatStore, MessageStatus

Status = MessageStatus


class ListedStore(AsyncDBChatStore):
    """The messages of one chat, in a list."""

    _kept: list[tuple[Status, ChatMessage]] = PrivateAttr(
        default_factory=list[tuple[Status, ChatMessage]]
    )

    async def get_messages(
        self,
        key: str,
        status: Status | None = Status.ACTIVE,
        limit: int | None = None,
        offset: int | None = None,
    ) -> list[ChatMessage]:
        """Those of a status, or all."""
        found = [message for has, message in self._kept if status in (None, has)]
        return found[offset or 0 :][:limit]

    async def count_messages(self, key: str, status: Status | None = Status.ACTIVE) -> int:
        """How many there are."""
        return len(await self.get_messages(key, status))

    async def add_message(
        self, key: str, message: ChatMessage, status: Status = Status.ACTIVE
    ) -> None:
        """One more."""
        self._kept.append((status, message))

    async def add_messages(
        self, key: str, messages: Sequence[ChatMessage], status: Status = Status.ACTIVE
    ) -> None:
        """Some more."""
        self._kept += [(status, message) for message in messages]

    async def set_messages(
        self, key: str, messages: Sequence[ChatMessage], status: Status = Status.ACTIVE
    ) -> None:
        """These only."""
        self._kept = [(status, message) for message in messages]

    async def delete_messages(self, key: str, status: Status | None = None) -> None:
        """None any more."""
        self._kept = [(has, one) for has, one in self._kept if status not in (None, has)]

    async def archive_oldest_messages(self, key: str, n: int) -> list[ChatMessage]:
        """The oldest ones are put away."""
        active = [at for at, (has, _) in enumerate(self._kept) if has is Status.ACTIVE][:n]
        for at in active:
            self._kept[at] = (Status.ARCHIVED, self._kept[at][1])
        return [self._kept[at][1] for at in active]

    async def delete_message(self, key: str, idx: int) -> ChatMessage | None:
        """No memory asks for it."""
        raise NotImplementedError

    async def delete_oldest_messages(self, key: str, n: int) -> list[ChatMessage]:
        """No memory asks for it."""
        raise NotImplementedError

    async def get_keys(self) -> list[str]:
        """No memory asks for it."""
        raise NotImplementedError


def extracting_facts(llm: Any, history: Sequence[ChatMessage], limit: int) -> Memory:
    """A memory that extracts facts of what it puts away."""
    store = ListedStore()
    store._kept = [(Status.ACTIVE, message) for message in history]  # pyright: ignore[reportPrivateUsage]
    made: Any = Memory
    memory = made.from_defaults(
        memory_blocks=[FactExtractionMemoryBlock(llm=llm)],
        token_limit=limit,
        token_flush_size=limit,
        tokenizer_fn=str.split,
    )
    # Older cores take none as an argument.
    memory.sql_store = store
    return memory
