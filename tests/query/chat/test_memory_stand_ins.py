"""What stands for a memory in a turn: what its own code does to itself, it does to the memory."""

from __future__ import annotations

from operator import attrgetter
from typing import Any

import pytest
from llama_index.core.base.llms.types import ChatMessage
from llama_index.core.memory import BaseMemoryBlock, ChatMemoryBuffer, ChatSummaryMemoryBuffer

from llama_index_streaming_ext.query.chat.memory_view import with_llms_seen
from llama_index_streaming_ext.query.llms.context_llm import bind_to_context
from tests.support.query.lookers import saying


class Block(BaseMemoryBlock[str]):
    """A user's memory block, which knows the memory that it is in."""

    owner: Any = None
    llm: Any = None

    async def _aget(self, messages: Any = None, **_: Any) -> str:
        return "noted"

    async def _aput(self, messages: Any) -> None:
        """Keep nothing."""

    async def atruncate(self, content: str, tokens_to_truncate: int) -> str | None:
        """Keep it as it is."""
        return content


class Noting(ChatSummaryMemoryBuffer):
    """A user's memory, with blocks of its own."""

    parts: Any = None

    def grow(self) -> None:
        """Have another block."""
        self.parts.append(Block(name="grown"))

    def sift(self) -> None:
        """Keep the blocks that have an LLM."""
        self.parts = [part for part in self.parts if part.llm is not None]


def noting() -> tuple[Noting, Any]:
    """A memory that has an LLM in a block, and what stands for it."""
    memory = Noting(token_limit=6, llm=saying(), tokenizer_fn=str.split)
    memory.parts = [Block(name="first", llm=saying()), Block(name="second")]
    return memory, with_llms_seen(memory, bind_to_context)


def names(parts: list[Any]) -> list[str]:
    """What the blocks are called."""
    return [part.name for part in parts]


# What knows itself


def test_a_memory_that_knows_itself_may_have_no_llm() -> None:
    """Then it is itself."""

    class Knowing(ChatMemoryBuffer):
        me: Any = None

    memory = Knowing(token_limit=30, tokenizer_fn=str.split)
    memory.me = [memory]
    assert with_llms_seen(memory, bind_to_context) is memory


@pytest.mark.parametrize("llm", [None, saying()], ids=["without", "with"])
def test_a_block_may_know_its_memory(llm: Any) -> None:
    """Whether there is an LLM in the two of them, or none; either reads the other's state."""

    class Knowing(ChatMemoryBuffer):
        blocks: Any = None

    memory = Knowing(token_limit=30, tokenizer_fn=str.split)
    block = Block(name="mine", owner=memory)
    memory.blocks = [block]
    block.llm = llm
    seen: Any = with_llms_seen(memory, bind_to_context)
    assert seen.blocks[0].owner.blocks[0].name == "mine"
    assert (seen is memory) == (llm is None)


# Lists in which there are LLMs


def test_what_is_added_to_a_list_is_added_to_the_memory() -> None:
    """And the stand-in has it, too."""
    memory, seen = noting()
    seen.grow()
    assert names(memory.parts) == names(seen.parts) == ["first", "second", "grown"]


def test_a_list_that_is_kept_grows_for_who_keeps_it() -> None:
    """It shows what it was told itself."""
    memory, seen = noting()
    parts = seen.parts
    parts += [Block(name="third")]
    del parts[1]
    assert names(memory.parts) == names(parts) == ["first", "third"]


def test_what_is_taken_out_of_a_list_is_taken_out_of_the_memory() -> None:
    """By the object, which equals that of the memory, or by its place."""
    memory, seen = noting()
    parts = seen.parts
    parts.remove(parts[1])
    assert (names(memory.parts), parts.pop().name, memory.parts) == (["first"], "first", [])


def test_what_is_put_into_a_list_is_the_memorys_own() -> None:
    """Not what stands for it in the turn."""
    memory, seen = noting()
    first = memory.parts[0]
    seen.parts.append(seen.parts[0])
    seen.parts[1:2] = [seen.parts[0]]
    assert all(part is first for part in memory.parts)


def test_a_list_that_is_set_anew_has_the_memorys_own() -> None:
    """The blocks, and not what stands for them in the turn."""
    memory, seen = noting()
    first = memory.parts[0]
    seen.sift()
    assert (len(memory.parts), memory.parts[0] is first) == (1, True)


def test_a_list_that_is_set_to_itself_stays_the_same() -> None:
    """As without us: who else holds it goes on to see what is added."""
    memory, seen = noting()
    parts = memory.parts
    seen.parts = seen.parts
    assert memory.parts is parts


def test_a_list_is_sorted_by_what_its_blocks_say() -> None:
    """In the memory."""
    memory, seen = noting()
    seen.parts.sort(key=attrgetter("name"), reverse=True)
    assert names(memory.parts) == ["second", "first"]


def test_what_is_within_is_set_to_what_it_is() -> None:
    """A block that is set to what the turn has of it."""
    memory, seen = noting()
    memory.parts = memory.parts[0]
    block = memory.parts
    seen.parts = seen.parts
    assert memory.parts is block


def test_there_is_never_a_stand_in_of_a_stand_in() -> None:
    """A message later it is as it was."""
    memory, seen = noting()
    seen.put(ChatMessage("why"))
    again = with_llms_seen(seen, bind_to_context)
    assert type(again) is type(seen)
    assert again == memory
