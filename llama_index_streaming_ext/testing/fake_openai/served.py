"""The place where a fake provider answers."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager, AbstractContextManager
from types import TracebackType


class Served(AbstractContextManager[str], AbstractAsyncContextManager[str]):
    """A place where a fake answers, for `with` and `async with`; its value is the base URL."""

    def __init__(self, enter: Callable[[], AbstractContextManager[str]]) -> None:
        self._enter = enter
        self._entered = contextlib.ExitStack()

    def __enter__(self) -> str:
        """Begin to answer."""
        return self._entered.enter_context(self._enter())

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Stop answering; every connection is closed and no thread is left."""
        self._entered.close()

    async def __aenter__(self) -> str:
        """Begin to answer."""
        return self.__enter__()

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Stop answering; every connection is closed and no thread is left."""
        self._entered.close()
