"""The turns over one memory: who may read and write it, and who is to be waited for."""

from __future__ import annotations

import asyncio
import threading
import weakref
from collections import deque
from collections.abc import AsyncGenerator, Callable, Generator
from contextlib import (
    AbstractContextManager,
    asynccontextmanager,
    contextmanager,
    nullcontext,
)
from typing import Any

from llama_index_streaming_ext.query.execution.query_run import Gate
from llama_index_streaming_ext.threads.loops import running_loop

# How long a turn waits for one that was stopped to write what there is, seconds.
_PATIENCE = 5.0


class MemoryLock:
    """A lock that tasks and threads take, first come, first served.

    A task that waits for it leaves its loop to others.
    """

    def __init__(self) -> None:
        self._guard = threading.Lock()
        self._taken = False
        self._waiting: deque[Gate] = deque()

    @contextmanager
    def held_sync(self) -> Generator[None]:
        """Have it, in a thread that may block."""
        gate = self._asked()
        try:
            gate.wait_sync()
        except BaseException:
            self._give_up(gate)
            raise
        try:
            yield
        finally:
            self._let_go()

    @asynccontextmanager
    async def held(self) -> AsyncGenerator[None]:
        """Have it, in a task."""
        gate = self._asked()
        try:
            await gate.wait()
        except BaseException:
            self._give_up(gate)
            raise
        try:
            yield
        finally:
            self._let_go()

    def _asked(self) -> Gate:
        gate = Gate()
        with self._guard:
            if self._taken:
                self._waiting.append(gate)
                return gate
            self._taken = True
        gate.open()
        return gate

    def _give_up(self, gate: Gate) -> None:
        with self._guard:
            if gate in self._waiting:
                self._waiting.remove(gate)
                return
        self._let_go()

    def _let_go(self) -> None:
        with self._guard:
            if not self._waiting:
                self._taken = False
                return
            gate = self._waiting.popleft()
        gate.open()


class Conversation:
    """What the turns over one memory share, whichever engines they are turns of.

    Args:
        memory: the memory.

    Attributes:
        lock: held by who reads or writes the memory.
        writer: the sign of the turn that has written to it last.
        resets: how often it was forgotten: what was asked before is not written after.
    """

    def __init__(self, memory: Any) -> None:
        self.memory = memory
        self.lock = MemoryLock()
        self.writer: object = None
        self.resets = 0
        self._turns: dict[Gate, Callable[[], bool]] = {}
        self._guard = threading.Lock()

    def held_here(self) -> AbstractContextManager[None]:
        """Have the lock in sync code, if it may wait for it here."""
        if running_loop() is None:
            return self.lock.held_sync()
        # A task that waited here would keep the one that has the lock from going on.
        return nullcontext()

    def began(self, over: Callable[[], bool]) -> Gate:
        """A turn begins, which is going to write. It opens the gate when it has.

        Args:
            over: tells whether the turn has ended for those who read it.
        """
        gate = Gate()
        with self._guard:
            self._turns[gate] = over
        return gate

    def written(self, gate: Gate) -> None:
        """A turn has written what it had to write."""
        with self._guard:
            self._turns.pop(gate, None)
        gate.open()

    def settled_sync(self) -> None:
        """Wait for the turns that were stopped but have not been written yet."""
        for gate in self._unwritten():
            gate.wait_sync(_PATIENCE)

    async def settled(self) -> None:
        """What `settled_sync` does, in a task."""
        try:
            async with asyncio.timeout(_PATIENCE):
                for gate in self._unwritten():
                    await gate.wait()
        except TimeoutError:
            return

    def _unwritten(self) -> list[Gate]:
        with self._guard:
            return [gate for gate, over in self._turns.items() if over()]


_conversations: weakref.WeakValueDictionary[int, Conversation] = weakref.WeakValueDictionary()
_finding = threading.Lock()


def conversation_over(memory: Any) -> Conversation:
    """The conversation of a memory: the same one for as long as somebody holds it."""
    with _finding:
        found = _conversations.get(id(memory))
        if found is None:
            # It holds the memory, whose id is nobody else's meanwhile.
            found = _conversations[id(memory)] = Conversation(memory)
        return found
