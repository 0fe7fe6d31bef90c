"""The turns over one memory: the lock around it, and the turns that still have to write."""

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

from llama_index_streaming_ext.threads.gate import Gate
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
        """Hold it, in a thread that may block."""
        with self._asked_for() as gate:
            gate.wait_sync()
            yield

    @asynccontextmanager
    async def held(self) -> AsyncGenerator[None]:
        """Hold it, in a task."""
        with self._asked_for() as gate:
            await gate.wait()
            yield

    @contextmanager
    def _asked_for(self) -> Generator[Gate]:
        """Ask for the lock, whose gate opens when it is held, and let it go in the end."""
        gate = Gate()
        with self._guard:
            if self._taken:
                self._waiting.append(gate)
            else:
                self._taken = True
                gate.open()
        try:
            yield gate
        finally:
            with self._guard:
                if gate in self._waiting:
                    self._waiting.remove(gate)
                elif self._waiting:
                    self._waiting.popleft().open()
                else:
                    self._taken = False


class Conversation:
    """The state that the turns over one memory share, whichever engines they are turns of.

    Args:
        memory: the memory.

    Attributes:
        lock: to be held while the memory is read or written.
        writer: the sign of the turn that wrote to the memory last.
        resets: how often it was forgotten; turns that began before are not written after.
    """

    def __init__(self, memory: Any) -> None:
        self.memory = memory
        self.lock = MemoryLock()
        self.writer: object = None
        self.resets = 0
        self._turns: dict[Gate, Callable[[], bool]] = {}
        self._guard = threading.Lock()

    def held_here(self) -> AbstractContextManager[None]:
        """Hold the lock in sync code, unless this is the thread of an event loop."""
        if running_loop() is None:
            return self.lock.held_sync()
        # A task that waited here would keep the one that has the lock from going on.
        return nullcontext()

    @contextmanager
    def turn(self, over: Callable[[], bool]) -> Generator[None]:
        """Let other turns know that this one is going to write, until it has.

        Args:
            over: returns True once the turn has ended for those who read it.
        """
        gate = Gate()
        with self._guard:
            self._turns[gate] = over
        try:
            yield
        finally:
            with self._guard:
                del self._turns[gate]
            gate.open()

    def settled_sync(self) -> None:
        """Wait for the turns that were stopped but have not been written yet."""
        for gate in self._unwritten():
            gate.wait_sync(_PATIENCE)

    async def settled(self) -> None:
        """Wait as `settled_sync` does, in a task."""
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
